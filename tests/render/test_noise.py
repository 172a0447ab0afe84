"""The reference's random pixels: the stream itself, normal noise and erasing.

No expected value is a number that some run printed: streams are compared with scalar loops and with
the package's own NumPy Philox, statistics with their expectation, five standard errors wide.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixwell._errors import RenderError
from mixwell._philox import philox4x32 as numpy_philox
from mixwell.plan.steps import Code, EraseUnits, EraseValue
from mixwell.render import tables
from mixwell.render.reference.noise import noise_words, normals, philox4x32
from tests.oracles import tone as oracle
from tests.render.samples import apply, assert_same, distance, keys, random_levels
from tests.tolerances import atol

RECT = (2, 1, 6, 4)
EDGES = np.array([0, 1, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF], np.uint32)


def words_of(key, channels, height, width):
    return noise_words(key, channels, torch.arange(height), torch.arange(width))


def param_of(rect, value, units):
    return np.array([[*rect, value, units, 0, 0, 0, 0, 0, 0]], np.float64)


def grey(n=1, channels=3, height=100, width=100, level=0.5):
    return torch.full((n, channels, height, width), level)


def test_philox_equals_the_numpy_one():
    rng = np.random.default_rng(1)
    counter = rng.integers(0, 2**32, (500, 4), np.uint32)
    key = rng.integers(0, 2**32, (500, 2), np.uint32)
    counter[:7], key[:7] = EDGES[:, None], EDGES[::-1, None]
    tensors = [torch.from_numpy(x.astype(np.int64)).unbind(1) for x in (counter, key)]
    found = torch.stack(philox4x32(*tensors), dim=1).numpy()
    np.testing.assert_array_equal(found, numpy_philox(counter, key).astype(np.int64))


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_random123s_known_answers(counter, key, expected):
    tensors = [tuple(torch.tensor([w]) for w in words) for words in (counter, key)]
    assert tuple(w.item() for w in philox4x32(*tensors)) == expected
    assert tuple(oracle.philox(counter, key)) == expected


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 9])
def test_words_are_functions_of_key_channel_y_x(channels):
    key = keys(2)
    found = words_of(key, channels, 3, 5)
    assert found.shape == (2, channels, 3, 5)
    for n, c, y, x in np.ndindex(*found.shape):
        assert found[n, c, y, x] == oracle.word(key[n].tolist(), c, y, x)


def test_words_of_far_pixels():
    key = keys(1)
    found = noise_words(key, 3, torch.tensor([65535, 40000]), torch.tensor([65534]))
    expected = [oracle.word(key[0].tolist(), 2, y, 65534) for y in (65535, 40000)]
    assert found[0, 2, :, 0].tolist() == expected


def test_normal_quantiles_equal_bisection():
    table = tables.normal_quantiles()
    some = [*range(0, 65536, 331), 1, 32767, 32768, 65534, 65535]
    assert table[some].tolist() == [oracle.normal(bits) for bits in some]
    np.testing.assert_array_equal(table, -table[::-1])
    assert (np.diff(table) >= 0).all() and abs(table.std() / 4096 - 1) < 2e-5


@pytest.mark.parametrize("std", [0.0, 0.02, 0.3, 10.0])
def test_noise_on_bytes_equals_the_scalar_loops(std):
    images, key = random_levels(2, 3, 4, 6), keys(2)
    rows = [oracle.noise(images[i].tolist(), std, key[i].tolist()) for i in range(2)]
    assert_same(apply(Code.NOISE, images, std, key=key), torch.tensor(rows, dtype=torch.uint8))


def test_noise_on_floats_is_the_same_noise():
    images, key = random_levels(2, 3, 30, 40), keys(2)
    z = normals(words_of(key, 3, 30, 40)).double() / 4096
    exact = (images.double() / 255 + 0.1 * z).clamp(0, 1)
    in_floats = apply(Code.NOISE, images / 255, 0.1, key=key)
    assert distance(in_floats.double(), exact) <= atol("noise", "float32", "real arithmetic")
    in_bytes = apply(Code.NOISE, images, 0.1, key=key)
    assert distance(in_bytes.double(), exact * 255) <= atol("noise", "uint8", "real arithmetic")


@pytest.mark.parametrize("std", [0.01, 0.1])
def test_noise_has_the_mean_and_the_deviation_asked_for(std):
    added = apply(Code.NOISE, grey(4), std).double() - 0.5
    assert abs(added.mean()) < 5 * std / added.numel() ** 0.5
    assert abs(added.std() - std) < 5 * std / (2 * added.numel()) ** 0.5


def test_noise_is_unlike_among_rows_channels_and_neighbours():
    z = (apply(Code.NOISE, grey(2, 5), 0.1).double() - 0.5) / 0.1
    planes = z.flatten(0, 1)
    series = [*planes.flatten(1), planes[0].roll(1, 0).flatten(), planes[0].roll(1, 1).flatten()]
    likeness = torch.corrcoef(torch.stack(series)).fill_diagonal_(0)
    assert likeness.abs().max() < 5 / planes[0].numel() ** 0.5


@pytest.mark.parametrize("word", range(4))
def test_every_word_of_the_key_matters(word):
    key = keys(1)
    other = key.copy()
    other[0, word] ^= 1
    images = random_levels(1, 3, 20, 20)
    changed = apply(Code.NOISE, images, 0.2, key=key) != apply(Code.NOISE, images, 0.2, key=other)
    assert changed.double().mean() > 0.9


def test_noise_does_not_depend_on_the_size_of_image_or_batch():
    key = keys(5)
    whole = apply(Code.NOISE, grey(5, 3, 20, 30), 0.1, key=key)
    part = apply(Code.NOISE, grey(2, 3, 7, 11), 0.1, key=key[3:])
    assert_same(whole[3:, :, :7, :11], part)


@pytest.mark.parametrize("value", EraseValue)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_erase_on_bytes_equals_the_scalar_loops(channels, value):
    images, key = random_levels(1, channels, 5, 8), keys(1)
    fill = np.array([[3.4, 100.6, 255, 0.5]], np.float32)
    param = param_of(RECT, value, EraseUnits.INPUT)
    found = apply(Code.ERASE, images, param=param, key=key, fill=fill)
    row = images[0].tolist(), RECT, value.name.lower(), fill[0].tolist(), key[0].tolist()
    assert_same(found, torch.tensor([oracle.erase(*row)], dtype=torch.uint8))


@pytest.mark.parametrize("value", EraseValue)
def test_erase_on_uint16(value):
    images = random_levels(1, 3, 5, 8).to(torch.int32) * 257
    key, fill = keys(1), np.array([[0, 40000, 65535, 0]], np.float32)
    out = apply(
        Code.ERASE, images, param=param_of(RECT, value, EraseUnits.INPUT), key=key, fill=fill
    )
    assert out.dtype == torch.int32
    at = (0, 0) if value == EraseValue.CHANNEL else (2, 3)
    word = oracle.word(key[0].tolist(), 1, *at) >> 16
    assert out[0, 1, 2, 3] == (40000 if value == EraseValue.CONSTANT else word)
    outside = torch.ones(5, 8, dtype=torch.bool)
    outside[1:4, 2:6] = False
    assert_same(out[..., outside], images[..., outside])


@pytest.mark.parametrize("value", EraseValue)
def test_erase_on_floats(value):
    key, fill = keys(1), np.array([[0.25, 0.5, 1, 0]], np.float32)
    out = apply(
        Code.ERASE,
        grey(1, 3, 5, 8, 0.75),
        param=param_of(RECT, value, EraseUnits.INPUT),
        key=key,
        fill=fill,
    )
    at = (0, 0) if value == EraseValue.CHANNEL else (3, 5)
    words = [oracle.word(key[0].tolist(), c, *at) for c in range(3)]
    drawn = (torch.tensor(words).double() / 2**32).to(torch.float32)
    expected = torch.from_numpy(fill[0, :3]) if value == EraseValue.CONSTANT else drawn
    assert_same(out[0, :, 3, 5], expected)
    assert (out[0, :, 0] == 0.75).all()


def test_erased_pixels_are_uniform_over_the_range():
    whole = param_of((0, 0, 200, 200), EraseValue.PIXEL, EraseUnits.INPUT)
    out = apply(Code.ERASE, random_levels(1, 3, 200, 200), param=whole)
    counts = torch.bincount(out.flatten().long(), minlength=256).double()
    expected = out.numel() / 256
    assert (counts - expected).abs().max() < 5 * expected**0.5


@pytest.mark.parametrize("value", EraseValue)
def test_normalized_values_come_out_as_said_once_normalised(value):
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    whole = param_of((0, 0, 90, 80), value, EraseUnits.NORMALIZED)
    fill = np.array([[0.0, -1.5, 2.0, 0]], np.float32)
    key = keys(1)
    named = {"param": whole, "mean": mean, "std": std, "fill": fill, "key": key}
    out = apply(Code.ERASE, grey(1, 3, 80, 90), **named)
    seen = (out - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    z = normals(words_of(key, 3, 80, 90)).to(torch.float32) / 4096
    expected = {
        EraseValue.CONSTANT: torch.from_numpy(fill)[:, :3, None, None].expand_as(out),
        EraseValue.CHANNEL: z[..., :1, :1].expand_as(out),
        EraseValue.PIXEL: z,
    }[value]
    assert distance(seen, expected) <= atol("erase normalized", "float32", "real arithmetic")
    assert value == EraseValue.CHANNEL or out.min() < 0 or out.max() > 1


@pytest.mark.parametrize("images", [grey(1, 3, 5, 8), random_levels(1, 3, 5, 8)])
def test_normalized_values_need_floats_and_statistics(images):
    param = param_of(RECT, EraseValue.PIXEL, EraseUnits.NORMALIZED)
    named = {} if images.dtype == torch.float32 else {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    with pytest.raises(RenderError, match=r"needs float images with mean and std"):
        apply(Code.ERASE, images, param=param, **named)


@pytest.mark.parametrize("value", EraseValue)
@pytest.mark.parametrize("rect", [(3, 2, 3, 4), (3, 2, 5, 2), (0, 0, 0, 0)])
def test_an_empty_rectangle_erases_nothing(rect, value):
    images = random_levels(1, 3, 5, 8)
    param = param_of(rect, value, EraseUnits.INPUT)
    assert_same(apply(Code.ERASE, images, param=param), images)


def test_constant_colour_is_rounded_half_to_even():
    fill = np.array([[0, 255, 254.5, 253.5]], np.float32)
    param = param_of((0, 0, 1, 1), EraseValue.CONSTANT, EraseUnits.INPUT)
    out = apply(Code.ERASE, random_levels(1, 4, 2, 2), param=param, fill=fill)
    assert out[0, :, 0, 0].tolist() == [0, 255, 254, 254]


@pytest.mark.parametrize("fill", [-0.5, 128.0])
def test_a_constant_outside_the_range_is_refused_in_input_units_only(fill):
    fills = np.full((1, 4), fill, np.float32)
    param = param_of((0, 0, 1, 1), EraseValue.CONSTANT, EraseUnits.INPUT)
    with pytest.raises(RenderError, match=r"must lie in 0 .. 1"):
        apply(Code.ERASE, grey(1, 3, 2, 2), param=param, fill=fills)
    param = param_of((0, 0, 1, 1), EraseValue.CONSTANT, EraseUnits.NORMALIZED)
    named = {"param": param, "fill": fills, "mean": (0.5,) * 3, "std": (0.25,) * 3}
    assert (apply(Code.ERASE, grey(1, 3, 2, 2), **named)[0, :, 0, 0] == 0.5 + fill / 4).all()


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("kind", ["uint8", "float"])
def test_many_rows_are_erased_as_each_alone(kind, channels):
    n, rng = 40, np.random.default_rng(7)
    images = random_levels(n, channels, 90, 70)
    images = images.float() / 255 if kind == "float" else images
    param = np.zeros((n, 12))
    param[:, [0, 2]] = np.sort(rng.integers(0, 71, (n, 2)), axis=1)
    param[:, [1, 3]] = np.sort(rng.integers(0, 91, (n, 2)), axis=1)
    param[:, 4] = rng.integers(0, 3, n)
    param[:, 5] = rng.integers(0, 2, n) if kind == "float" else 0
    key, fill = keys(n), np.full((n, 4), 1, np.float32)
    named = {"mean": (0.5,) * channels, "std": (0.25,) * channels}
    found = apply(Code.ERASE, images, param=param, key=key, fill=fill, **named)
    for i in range(n):
        one = {"param": param[i : i + 1], "key": key[i : i + 1], "fill": fill[i : i + 1]}
        assert_same(found[i : i + 1], apply(Code.ERASE, images[i : i + 1], **one, **named))


def test_more_than_four_channels_take_a_grey_fill_only():
    images = random_levels(1, 6, 2, 2)
    param = param_of((0, 0, 2, 2), EraseValue.CONSTANT, EraseUnits.INPUT)
    grey_fill = np.full((1, 4), 7, np.float32)
    assert (apply(Code.ERASE, images, param=param, fill=grey_fill) == 7).all()
    with pytest.raises(RenderError, match="only a grey fill can serve"):
        apply(Code.ERASE, images, param=param, fill=np.array([[7, 7, 7, 8]], np.float32))
