"""The reference's tone ops: against Pillow, torchvision, scalar loops, and their own promises."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv
from PIL import Image, ImageEnhance, ImageOps, ImageStat

from mixwell._errors import RenderError
from mixwell.plan.steps import Code
from mixwell.render import tables
from mixwell.render.reference.tone import TONE_OPS, histogram
from tests.oracles import tone as oracle
from tests.render.samples import (
    SMALL,
    apply,
    assert_same,
    distance,
    photos,
    random_levels,
)
from tests.tolerances import atol

FACTORS = [0.0, 0.1, 0.37, 0.5, 0.9, 1.0, 1.3, 1.9, 3.7, 40.0]
SHIFTS = [-0.5, -0.3, -0.01, 0.0, 0.001, 0.25, 0.4999, 0.5]

# One row of first parameters for each code; rows must differ, to show that each row has its own.
ROWS = {
    Code.BRIGHTNESS: (0.0, 0.4, 1.7),
    Code.CONTRAST: (0.0, 0.4, 1.7),
    Code.SATURATION: (0.0, 0.4, 1.7),
    Code.HUE: (-0.4, 0.1, 0.3),
    Code.SHARPNESS: (-1.0, 0.4, 1.7),
    Code.POSTERIZE: (0, 3, 8),
    Code.SOLARIZE: (0, 100.5, 256),
    Code.INVERT: (0, 0, 0),
    Code.AUTOCONTRAST: (0, 0, 0),
    Code.EQUALIZE: (0, 0, 0),
    Code.GRAYSCALE: (0, 0, 0),
    Code.CHANNELS: (1, 2, 0),
    Code.BLUR: (0.3, 1.0, 2.5),
    Code.NOISE: (0.0, 0.1, 0.5),
    Code.ERASE: (0, 1, 1),
}
LATER = (Code.CHANNELS, Code.SHARPNESS, Code.BLUR, Code.NOISE, Code.ERASE)
TONE = [c for c in ROWS if c not in LATER]
SECOND = {Code.BLUR: (3, 7, 5), Code.ERASE: (0, 0, 1)}

PILLOW = {
    Code.BRIGHTNESS: lambda image, p: ImageEnhance.Brightness(image).enhance(p),
    Code.SATURATION: lambda image, p: ImageEnhance.Color(image).enhance(p),
    Code.INVERT: lambda image, p: ImageOps.invert(image),
    Code.AUTOCONTRAST: lambda image, p: ImageOps.autocontrast(image),
    Code.EQUALIZE: lambda image, p: ImageOps.equalize(image),
    Code.POSTERIZE: lambda image, p: ImageOps.posterize(image, p),
    Code.SOLARIZE: lambda image, p: ImageOps.solarize(image, p),
    Code.GRAYSCALE: lambda image, p: image.convert("L").convert("RGB"),
}
PILLOW_CASES = [
    *((code, f) for code in (Code.BRIGHTNESS, Code.SATURATION) for f in FACTORS),
    *((Code.POSTERIZE, bits) for bits in range(1, 9)),
    *((Code.SOLARIZE, threshold) for threshold in (0, 1, 100.5, 128, 255, 256)),
    *((code, 0) for code in (Code.INVERT, Code.AUTOCONTRAST, Code.EQUALIZE, Code.GRAYSCALE)),
]


def through_pillow(images, fn):
    """fn on each row as a Pillow image, L, RGB or RGBA by the channels; uint8 [n, C, H, W]."""
    rows = []
    for row in images.permute(0, 2, 3, 1).numpy():
        out = np.asarray(fn(Image.fromarray(row[..., 0] if row.shape[-1] == 1 else row)))
        rows.append(out.reshape(row.shape))
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2)


def floats(images):
    return images.to(torch.float32) / 255


def pillow_pivots(images):
    """Pillow's contrast pivots, from its own statistics."""
    rows = [Image.fromarray(row) for row in images.permute(0, 2, 3, 1).numpy()]
    return [int(ImageStat.Stat(row.convert("L")).mean[0] + 0.5) for row in rows]


def rows_of(code, n=3):
    param = np.zeros((n, 12))
    param[:, 0] = (ROWS[code] * n)[:n]
    if code == Code.BLUR:
        param[:, 1] = SECOND[code]
    if code == Code.CHANNELS:
        param[:, 1:3] = [(0, 2), (1, 0), (2, 1)]
    if code == Code.ERASE:
        param[:, 1:6] = [(2, 5, 9, 0, 0), (0, 4, 7, 1, 0), (1, 2, 2, 2, 0)]
    return param


@pytest.mark.parametrize(("code", "value"), PILLOW_CASES)
def test_equals_pillow_on_photos(code, value):
    expected = through_pillow(photos(), lambda image: PILLOW[code](image, value))
    assert_same(apply(code, photos(), value), expected)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("code", PILLOW)
def test_equals_pillow_on_small_images(code, name):
    value = {Code.POSTERIZE: 3, Code.SOLARIZE: 77.5}.get(code, 1.6)
    expected = through_pillow(SMALL[name], lambda image: PILLOW[code](image, value))
    assert_same(apply(code, SMALL[name], value), expected)


@pytest.mark.parametrize("code", [c for c in PILLOW if c not in (Code.SATURATION, Code.GRAYSCALE)])
def test_equals_pillow_on_grey(code):
    value = {Code.POSTERIZE: 3, Code.SOLARIZE: 77.5}.get(code, 0.6)
    grey = photos()[:, 1:2]
    assert_same(apply(code, grey, value), through_pillow(grey, lambda im: PILLOW[code](im, value)))


@pytest.mark.parametrize("factor", [-1.5, *FACTORS])
def test_contrast_equals_pillow_where_the_pivot_agrees(factor):
    images = photos()
    assert pillow_pivots(images) == tables.contrast_pivot(histogram(images)).tolist()
    expected = through_pillow(images, lambda image: ImageEnhance.Contrast(image).enhance(factor))
    assert_same(apply(Code.CONTRAST, images, factor), expected)


def test_contrast_pivot_is_within_one_level_of_pillows():
    images = torch.cat([random_levels(40, 3, 5, 7, seed=s) // (s + 1) for s in range(3)])
    ours, pillows = tables.contrast_pivot(histogram(images)), np.array(pillow_pivots(images))
    assert np.abs(ours - pillows).max() <= atol("contrast pivot", "uint8", "pillow")
    agree = torch.from_numpy(ours == pillows)
    assert 0 < agree.sum() < len(images)
    expected = through_pillow(images, lambda image: ImageEnhance.Contrast(image).enhance(1.4))
    assert_same(apply(Code.CONTRAST, images, 1.4)[agree], expected[agree])


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.8])
def test_contrast_of_one_channel_equals_pillow(factor):
    grey = photos()[:, :1]
    expected = through_pillow(grey, lambda image: ImageEnhance.Contrast(image).enhance(factor))
    assert_same(apply(Code.CONTRAST, grey, factor), expected)


@pytest.mark.parametrize(
    ("code", "enhancer"),
    [
        (Code.BRIGHTNESS, ImageEnhance.Brightness),
        (Code.CONTRAST, ImageEnhance.Contrast),
        (Code.SATURATION, ImageEnhance.Color),
    ],
)
def test_alpha_stays_as_in_pillow(code, enhancer):
    images = torch.cat([photos(), photos()[:, 1:2].flip(3)], dim=1)
    expected = through_pillow(images, lambda image: enhancer(image).enhance(1.4))
    assert_same(apply(code, images, 1.4), expected)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize(
    "images", [photos(), torch.cat([SMALL["odd"], SMALL["extremes"][..., :11]])]
)
def test_hue_equals_torchvision(images, shift):
    assert_same(apply(Code.HUE, images, shift), tv.adjust_hue(images, shift))
    assert_same(apply(Code.HUE, floats(images), shift), tv.adjust_hue(floats(images), shift))


def test_hue_equals_torchvision_on_a_grid_of_all_colours():
    levels = torch.tensor([0, 1, 2, 63, 64, 100, 127, 128, 129, 200, 253, 254, 255])
    colours = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 13, 169).to(torch.uint8)
    assert_same(apply(Code.HUE, colours, 0.137), tv.adjust_hue(colours, 0.137))


TORCHVISION = {
    Code.BRIGHTNESS: tv.adjust_brightness,
    Code.CONTRAST: tv.adjust_contrast,
    Code.SATURATION: tv.adjust_saturation,
    Code.POSTERIZE: lambda image, bits: tv.posterize(image, int(bits)),
    Code.INVERT: lambda image, _: tv.invert(image),
    Code.AUTOCONTRAST: lambda image, _: tv.autocontrast(image),
    Code.EQUALIZE: lambda image, _: tv.equalize(image),
    Code.GRAYSCALE: lambda image, _: tv.rgb_to_grayscale(image, 3),
}
TORCHVISION_CASES = [
    *((c, f) for c in (Code.BRIGHTNESS, Code.CONTRAST, Code.SATURATION) for f in FACTORS[:-1]),
    *((Code.POSTERIZE, bits) for bits in range(9)),
    *((c, 0) for c in (Code.INVERT, Code.AUTOCONTRAST, Code.EQUALIZE, Code.GRAYSCALE)),
]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(("code", "value"), TORCHVISION_CASES)
def test_distance_to_torchvision(code, value, dtype):
    images = photos() if dtype == "uint8" else floats(photos())
    ours, theirs = apply(code, images, value), TORCHVISION[code](images, value)
    assert distance(ours, theirs) <= atol(code.name.lower(), dtype, "torchvision")


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("code", TORCHVISION)
def test_small_floats_distance_to_torchvision(code, name):
    images = floats(SMALL[name])
    ours, theirs = apply(code, images, ROWS[code][1]), TORCHVISION[code](images, ROWS[code][1])
    assert distance(ours, theirs) <= atol(code.name.lower(), "float32", "torchvision")


@pytest.mark.parametrize("threshold", [0, 1, 100.5, 255])
def test_solarize_equals_torchvision(threshold):
    images = floats(photos())
    expected = tv.solarize(images, float(np.float32(threshold / 255)))
    assert_same(apply(Code.SOLARIZE, images, threshold), expected)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("code", TONE)
def test_equals_the_scalar_loops(code, name):
    image = SMALL[name][:, :, :12, :12]
    value = ROWS[code][1]
    expected = getattr(oracle, code.name.lower())(image[0].tolist(), value)
    found = apply(code, image, value)
    off = distance(found, torch.tensor([expected], dtype=torch.uint8))
    assert off <= atol(code.name.lower(), "uint8", "scalar loops")


@pytest.mark.parametrize("code", [c for c in TONE if c not in (Code.HUE, Code.POSTERIZE)])
def test_floats_follow_the_levels(code):
    """The same op on the same picture as floats and as bytes: the same picture but for rounding."""
    value = ROWS[code][1]
    levels = floats(apply(code, photos(), value))
    off = distance(apply(code, floats(photos()), value), levels)
    assert off <= atol("tone", "float32", "uint8")


def test_float_white_and_grey_are_fixed_points_of_grey():
    images = torch.linspace(0, 1, 5).reshape(1, 1, 1, 5).expand(1, 3, 2, 5)
    torch.testing.assert_close(apply(Code.GRAYSCALE, images), images.clone(), rtol=0, atol=1.2e-7)


@pytest.mark.parametrize("shown", list(permutations(range(3))))
@pytest.mark.parametrize("name", SMALL)
def test_channels_equal_the_scalar_loops(name, shown):
    image = SMALL[name]
    expected = torch.tensor([oracle.channels(image[0].tolist(), *shown)], dtype=torch.uint8)
    assert_same(apply(Code.CHANNELS, image, *shown), expected)
    assert_same(apply(Code.CHANNELS, floats(image), *shown), floats(expected))


@pytest.mark.parametrize("code", [Code.SATURATION, Code.HUE, Code.GRAYSCALE, Code.CHANNELS])
def test_colour_ops_leave_grey_images(code):
    images = random_levels(2, 1, 5, 7)
    assert_same(apply(code, images, 0.3), images)
    assert_same(apply(code, floats(images), 0.3), floats(images))


def test_posterize_to_no_bits_is_black():
    for images in (photos(), floats(photos())):
        assert not apply(Code.POSTERIZE, images, 0).any()


def test_posterize_takes_the_floor_of_its_bits():
    images = photos()[:, :, :50, :50]
    assert_same(apply(Code.POSTERIZE, images, 3.9), apply(Code.POSTERIZE, images, 3))
    floated = floats(images)
    assert_same(apply(Code.POSTERIZE, floated, 3.9), apply(Code.POSTERIZE, floated, 3))


# What every op of TONE_OPS promises.


def sample(kind, n=3, channels=3, height=7, width=11):
    images = random_levels(n, channels, height, width)
    return images if kind == "uint8" else floats(images)


def test_every_code_that_moves_no_pixels_has_an_op():
    native = {c for c in Code if Code.BRIGHTNESS <= c < Code.PIL_CONTRAST}
    assert set(ROWS) == native
    assert set(TONE_OPS) == {c for c in Code if c >= Code.BRIGHTNESS}


@pytest.mark.parametrize("kind", ["uint8", "float"])
@pytest.mark.parametrize("code", ROWS)
def test_input_is_never_written(code, kind):
    images = sample(kind)
    before, version = images.clone(), images._version
    out = apply(code, images, param=rows_of(code))
    assert images._version == version
    assert_same(images, before)
    assert out.dtype == images.dtype and out.shape == images.shape


@pytest.mark.parametrize("kind", ["uint8", "float"])
@pytest.mark.parametrize("code", ROWS)
def test_each_row_has_its_own_parameters(code, kind):
    images, param = sample(kind), rows_of(code)
    fill = np.array([[9], [90], [200]], np.float32).repeat(4, 1) / (1 if kind == "uint8" else 255)
    key = np.arange(12, dtype=np.uint32).reshape(3, 4)
    batched = apply(code, images, param=param, fill=fill, key=key)
    for i in range(3):
        one = slice(i, i + 1)
        alone = apply(code, images[one], param=param[one], fill=fill[one], key=key[one])
        assert_same(batched[one], alone)


@pytest.mark.parametrize("kind", ["uint8", "float"])
@pytest.mark.parametrize("code", ROWS)
def test_no_rows(code, kind):
    out = apply(code, sample(kind)[:0], param=np.zeros((0, 12)))
    assert out.shape == (0, 3, 7, 11) and out.dtype == sample(kind).dtype


@pytest.mark.parametrize("kind", ["uint8", "float"])
@pytest.mark.parametrize("code", ROWS)
def test_memory_layout_does_not_matter(code, kind):
    images, param = sample(kind), rows_of(code)
    expected = apply(code, images, param=param)
    strided = images.repeat_interleave(2, dim=3)[..., ::2]
    for same in (images.contiguous(memory_format=torch.channels_last), strided):
        assert_same(apply(code, same, param=param), expected)


@pytest.mark.parametrize("kind", ["uint8", "float"])
@pytest.mark.parametrize("code", [c for c in ROWS if c not in (Code.BLUR, Code.ERASE)])
def test_alpha_stays(code, kind):
    images, param = sample(kind, channels=4), rows_of(code)
    out = apply(code, images, param=param)
    assert_same(out[:, 3], images[:, 3])
    assert_same(out[:, :3], apply(code, images[:, :3], param=param))


@pytest.mark.parametrize("code", [c for c in ROWS if c != Code.ERASE])
def test_uint16_is_refused(code):
    images = torch.zeros(3, 3, 4, 4, dtype=torch.int32)
    with pytest.raises(RenderError, match=r"cannot take uint16; convert to uint8 or float32"):
        apply(code, images, param=rows_of(code))


@pytest.mark.parametrize("channels", [2, 5])
@pytest.mark.parametrize("code", ROWS)
def test_other_channel_counts(code, channels):
    images = sample("uint8", channels=channels)
    if code in (Code.CONTRAST, Code.SATURATION, Code.HUE, Code.GRAYSCALE, Code.CHANNELS):
        with pytest.raises(RenderError, match=f"needs 1, 3 or 4 channels .* got {channels}"):
            apply(code, images, param=rows_of(code))
    else:
        assert apply(code, images, param=rows_of(code)).shape == images.shape


@pytest.mark.parametrize("code", ROWS)
def test_floats_stay_between_zero_and_one(code):
    images = torch.cat([floats(SMALL["white"]), floats(SMALL["black"]), floats(SMALL["odd"])])
    out = apply(code, images, param=rows_of(code))
    assert out.min() >= 0 and out.max() <= 1


@pytest.mark.gpu
@pytest.mark.parametrize("code", ROWS)
def test_gpu_gives_the_same_bytes(code):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device: unproven here: that the reference agrees on CPU and GPU")
    images = sample("uint8", height=65, width=67)
    on_gpu = apply(code, images.cuda(), param=rows_of(code)).cpu()
    assert_same(on_gpu, apply(code, images, param=rows_of(code)))
