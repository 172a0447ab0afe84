"""The frame: forms of images, grouping, dtypes, normalising, loose rows, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mixwell._errors import BackendError, RenderError
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, Edit, EraseUnits, EraseValue, MixMode
from mixwell.render import backends, render
from tests.render.plans import (
    BICUBIC,
    BILINEAR,
    NEAREST,
    TILT,
    edit,
    flip_x,
    levels,
    mix,
    plan,
    rotation,
    slot,
)

HW = (17, 11)
TURN = slot(Code.WARP, rotation(20, HW))
FLIP = slot(Code.WARP, flip_x(11))
HALF = slot(Code.RESIZE, (0, 0, 11, 17), (9, 6))
INVERT = slot(Code.INVERT)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def erase(rect, value=EraseValue.CONSTANT, units=EraseUnits.INPUT, fill=0.0) -> dict:
    return slot(Code.ERASE, (*rect, value, units), fill=fill, key=(1, 2, 3, 4))


MIXED_ROWS = [
    [FLIP, slot(Code.BRIGHTNESS, (1.3,)), TURN],
    [],
    [slot(Code.NOTHING), INVERT],
    [TURN, TURN, slot(Code.CLIP, (*rotation(9, HW), 17, 11), fill=50)],
    [slot(Code.WARP, TILT, interp=BICUBIC), slot(Code.BLUR, (1.0, 3))],
    [FLIP, slot(Code.NOISE, (0.1,), key=(5, 6, 7, 8)), erase((1, 2, 5, 9), EraseValue.PIXEL)],
    [slot(Code.WARP, TILT, interp=NEAREST, fill=9), slot(Code.EQUALIZE)],
]
"""Rows that share slots but not ops."""


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float16])
def test_a_batch_equals_its_rows_one_by_one(dtype):
    images = levels((len(MIXED_ROWS), 3, *HW), dtype=dtype)
    top = 255 if dtype == np.uint8 else 1
    rows = [[op | {"fill": op["fill"] / 255 * top} for op in row] for row in MIXED_ROWS]
    together = render(images, plan(HW, *rows))
    for i, row in enumerate(rows):
        alone = render(images[i : i + 1], plan(HW, row))
        assert torch.equal(together[i], alone[0]), i


def test_ragged_rows_equal_their_rows_one_by_one():
    sizes = [(17, 11), (8, 20), (17, 11), (5, 5)]
    images = [levels((3, *s), i) for i, s in enumerate(sizes)]
    rows = [
        [slot(Code.RESIZE, (0, 0, s[1], s[0]), (9, 6)), INVERT] if i != 3 else []
        for i, s in enumerate(sizes)
    ]
    out = render(images, plan(sizes, *rows))
    assert isinstance(out, list)
    for i, size in enumerate(sizes):
        assert torch.equal(out[i], render([images[i]], plan(size, rows[i]))[0])
    assert torch.equal(out[3], images[3])


def test_ragged_rows_become_one_stack_when_sizes_agree():
    sizes = [(17, 11), (8, 20)]
    images = [levels((3, *s), i) for i, s in enumerate(sizes)]
    rows = [[slot(Code.RESIZE, (0, 0, s[1], s[0]), (9, 6))] for s in sizes]
    stacked = render(images, plan(sizes, *rows), stack=True)
    assert stacked.shape == (2, 3, 9, 6)
    assert torch.equal(stacked[1], render(images, plan(sizes, *rows))[1])


@pytest.mark.parametrize("rows", [MIXED_ROWS, [[FLIP]], [[]], [[HALF]], [[TURN]] * 3])
def test_inputs_are_never_changed_nor_shared(rows):
    images = levels((len(rows), 3, *HW))
    before, version = images.clone(), images._version
    out = render(images, plan(HW, *rows))
    assert images._version == version and torch.equal(images, before)
    out.zero_()
    assert torch.equal(images, before)


def test_results_share_no_memory_with_lists_nor_with_views():
    images = [levels((3, *HW), i) for i in range(3)]
    before = [i.clone() for i in images]
    for rows in ([[], [FLIP], []], [[], [HALF], []]):
        for given in (images, torch.stack(images), [i.numpy().transpose(1, 2, 0) for i in images]):
            out = render(given, plan(HW, *rows), stack=False)
            for image in out:
                image[...] = 0
            seen = given if not isinstance(given[0], np.ndarray) else images
            assert all(torch.equal(a, b) for a, b in zip(seen, before, strict=True))
    grey = levels((1, *HW)).numpy()[..., None]
    render(grey, plan(HW, []))[...] = 0
    assert (grey == levels((1, *HW)).numpy()[..., None]).all()
    last = render([images[0]], plan(HW, []), memory_format=torch.channels_last)[0]
    assert last[None].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float16])
def test_layouts_in_memory_do_not_matter(dtype):
    rows = [[FLIP, TURN], [HALF, slot(Code.NOTHING)], [TURN, slot(Code.WARP, TILT, interp=BICUBIC)]]
    rows[1][1] = slot(Code.RESIZE, (0, 0, 6, 9), HW)
    images = levels((3, 3, *HW), dtype=dtype)
    want = render(images, plan(HW, *rows))
    strided = torch.empty((3, 3, 34, 22), dtype=images.dtype)[:, :, ::2, ::2]
    strided.copy_(images)
    for other in (images.to(memory_format=torch.channels_last), strided):
        assert not other.is_contiguous()
        assert torch.equal(render(other, plan(HW, *rows)), want)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_geometry_takes_any_number_of_channels(channels):
    images = levels((2, channels, *HW))
    out = render(images, plan(HW, [FLIP, TURN], [HALF, slot(Code.WARP, flip_x(6), HW)]))
    for c in range(channels):
        one = render(
            images[:, c : c + 1], plan(HW, [FLIP, TURN], [HALF, slot(Code.WARP, flip_x(6), HW)])
        )
        assert torch.equal(out[:, c : c + 1], one)


def test_empty_batches_and_empty_plans():
    none = torch.empty(0, 3, *HW, dtype=torch.uint8)
    assert render(none, Plan(np.empty((0, 2)), ())).shape == (0, 3, *HW)
    assert render(none, Plan(np.empty((0, 2)), (Edit.nothing(np.empty((0, 2)), 2),))).shape[0] == 0
    assert render([], Plan(np.empty((0, 2)), ())) == []
    images = levels((1, 3, *HW))
    assert torch.equal(render(images, Plan([HW])), images)


def test_numpy_in_numpy_out():
    images = levels((2, 3, *HW))
    channels_last = images.permute(0, 2, 3, 1).numpy()
    want = render(images, plan(HW, [TURN], [FLIP]))
    got = render(channels_last, plan(HW, [TURN], [FLIP]))
    assert isinstance(got, np.ndarray) and got.flags.c_contiguous and got.dtype == np.uint8
    assert (got == want.permute(0, 2, 3, 1).numpy()).all()
    listed = render(list(channels_last), plan(HW, [TURN], [FLIP]))
    assert all((a == b).all() for a, b in zip(listed, got, strict=True))
    grey = render([channels_last[0, ..., 0], channels_last[1, ..., 0]], plan(HW, [TURN], [FLIP]))
    assert grey[0].shape == (*HW, 1) and (grey[0][..., 0] == got[0, ..., 0]).all()
    sealed = channels_last.copy()
    sealed.flags.writeable = False
    assert (render(sealed, plan(HW, [TURN], [FLIP])) == got).all()
    assert (render(channels_last[:, :, ::-1], plan(HW, [FLIP], [FLIP])) == channels_last).all()


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4), ("P", 3)])
def test_pil_images_become_tensors(mode, channels):
    picture = Image.fromarray(levels((*HW, 3)).numpy()).convert(mode)
    out = render([picture], plan(HW, [FLIP]))[0]
    kept = picture if mode != "P" else picture.convert("RGB")
    want = np.array(kept.transpose(Image.Transpose.FLIP_LEFT_RIGHT)).reshape(*HW, channels)
    assert torch.equal(out, torch.from_numpy(want).permute(2, 0, 1))


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_pil_images_of_16_bits_keep_them(mode):
    wanted = levels(HW, dtype=np.uint16).numpy()
    raw = wanted.astype(">u2" if mode == "I;16B" else "<u2").tobytes()
    out = render([Image.frombytes(mode, HW[::-1], raw)], plan(HW, []))[0]
    assert out.dtype == torch.uint16 and (out.numpy() == wanted).all()


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pil_images_without_a_full_range_are_refused(mode):
    with pytest.raises(RenderError, match=f"mode {mode} has no fixed range.*Convert it to"):
        render([Image.new(mode, HW[::-1])], plan(HW, []))


@pytest.mark.parametrize("dtype", [">f4", ">u2", ">f8"])
def test_numpy_of_the_other_byte_order(dtype):
    native = np.dtype(dtype).newbyteorder("=")
    images = levels((1, *HW, 3), dtype=native).numpy()
    wanted = np.float32 if native.kind == "f" else native  # floats are carried as float32
    got = render(images.astype(dtype), plan(HW, [FLIP]))
    assert got.dtype == native and (got == images[:, :, ::-1].astype(wanted)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_normalising_is_one_multiply_add_in_float32(dtype):
    images = levels((2, 3, *HW), dtype=dtype)
    top = 1.0 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    got = render(images, plan(HW, [], [FLIP]), mean=MEAN, std=STD)
    assert got.dtype == torch.float32
    a = (1 / (top * np.array(STD))).astype(np.float32)
    b = (-np.array(MEAN) / np.array(STD)).astype(np.float32)
    plain = np.stack([images[0].numpy(), images[1].numpy()[..., ::-1]]).astype(np.float32)
    assert (got.numpy() == plain * a[:, None, None] + b[:, None, None]).all()


def test_dtypes_of_the_output():
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    idle = plan((16, 16), [])
    assert render(images, idle).dtype == torch.uint8
    as_float = render(images, idle, dtype=torch.float32)
    assert torch.equal(as_float, images.float() / 255)
    for dtype in (torch.float16, torch.bfloat16):
        assert torch.equal(render(images, idle, dtype=dtype), as_float.to(dtype))
    wide = render(images, idle, dtype=torch.uint16)
    assert torch.equal(wide.int(), images.int() * 257)
    assert torch.equal(render(wide, idle, dtype=torch.uint8), images)
    assert torch.equal(render(as_float, idle, dtype="uint8"), images)
    assert render(images.numpy()[0, ..., None], idle, dtype=np.float32).dtype == np.float32
    last = render(levels((2, 3, *HW)), plan(HW, [], []), memory_format=torch.channels_last)
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_stacking_and_padding():
    images = levels((2, 3, *HW))
    sizes = plan(HW, [HALF], [])
    assert [tuple(i.shape[1:]) for i in render(images, sizes)] == [(9, 6), HW]
    with pytest.raises(RenderError, match=r"pad_to=\(H, W\)"):
        render(images, sizes, stack=True)
    padded, inside = render(images, sizes, pad_to=(20, 12))
    assert padded.shape == (2, 3, 20, 12) and inside.dtype == torch.int64
    assert inside.tolist() == [[9, 6], [17, 11]]
    assert torch.equal(padded[1, :, :17, :11], images[1])
    assert (padded[0, :, 9:] == 0).all() and (padded[0, :, :, 6:] == 0).all()
    with pytest.raises(RenderError, match="smaller than output 1"):
        render(images, sizes, pad_to=(10, 10))
    assert isinstance(render(images, plan(HW, [], []), stack=False), list)


def test_erasing_last_leaves_a_mix_unrounded():
    images = levels((2, 3, *HW))
    full = (0, 0, 11, 17)
    blend = mix(HW, [(0, MixMode.ADD, 0.3, full, (0, 0)), (1, MixMode.ADD, 0.7, full, (0, 0))])
    last = edit(HW, [[erase((2, 3, 7, 9), fill=40)]])
    steps = Plan(np.full((2, 2), HW), (blend, last))
    units = blend.units()[0]
    exact = (images[0].long() * int(units[0]) + images[1].long() * int(units[1])).double() / 65536
    exact[:, 3:9, 2:7] = 40
    got = render(images, steps, dtype=torch.float32)[0]
    assert torch.equal(got, exact.float() / 255)
    assert torch.equal(render(images, steps)[0], exact.round().to(torch.uint8))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalised_erasing_writes_values_after_normalising(dtype):
    images = levels((3, 3, *HW), dtype=dtype)
    rows = [
        [erase((2, 3, 7, 9), units=EraseUnits.NORMALIZED, fill=1.75)],
        [erase((1, 1, 4, 4), EraseValue.PIXEL)],
        [],
    ]
    got = render(images, plan(HW, *rows), mean=MEAN, std=STD)
    assert torch.allclose(got[0, :, 3:9, 2:7], torch.tensor(1.75), atol=2e-6)
    untouched = render(images, plan(HW, [], [], []), mean=MEAN, std=STD)
    outside = torch.ones(HW, dtype=torch.bool)
    outside[3:9, 2:7] = False
    assert torch.equal(got[0][:, outside], untouched[0][:, outside])
    # What the others get does not depend on who shares the batch with them.
    alone = render(images[1:], plan(HW, *rows[1:]), mean=MEAN, std=STD)
    assert torch.equal(got[1:], alone)


def test_normalised_noise_is_standard_normal():
    images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    whole = erase((0, 0, 64, 64), EraseValue.PIXEL, EraseUnits.NORMALIZED)
    got = render(images, plan((64, 64), [whole]), mean=MEAN, std=STD)
    assert abs(got.mean().item()) < 0.03 and abs(got.std().item() - 1) < 0.03


def test_normalised_erasing_has_its_needs():
    images = levels((1, 3, *HW))
    row = [erase((2, 3, 7, 9), units=EraseUnits.NORMALIZED)]
    with pytest.raises(RenderError, match="needs mean, std"):
        render(images, plan(HW, row))
    with pytest.raises(RenderError, match="INVERT cannot follow"):
        render(images, plan(HW, [*row, INVERT]), mean=MEAN, std=STD)


def test_a_second_mix_reads_what_an_edit_left():
    images = levels((2, 3, *HW))
    full = (0, 0, 11, 17)
    swap = mix(HW, [(1, MixMode.ADD, 1.0, full, (0, 0))], [(0, MixMode.ADD, 1.0, full, (0, 0))])
    flip = edit(np.full((2, 2), HW), [[FLIP], []])
    out = render(images, Plan(np.full((2, 2), HW), (swap, flip, swap)))
    assert torch.equal(out[1], images[1].flip(2)) and torch.equal(out[0], images[0])


REFUSED = {
    "three axes": (levels((3, 5, 5)), {}, r"must be \[N, C, H, W\]"),
    "no image": ("photo.jpg", {}, "must be a torch tensor, a NumPy array or a PIL image"),
    "no list": (7, {}, "got int"),
    "int64": (torch.zeros(1, 3, *HW, dtype=torch.int64), {}, "must be uint8, uint16 or floats"),
    "numpy bool": (np.zeros((1, *HW, 3), bool), {}, "got bool"),
    "too few": (levels((0, 3, *HW)), {}, "reads 1 images, got 0"),
    "other size": (levels((1, 3, 17, 12)), {}, "image 0 is 17x12"),
    "above 1": (torch.full((1, 3, *HW), 1.5), {}, "must lie in 0 .. 1"),
    "below 0": (torch.full((1, 3, *HW), -0.1), {}, "must lie in 0 .. 1"),
    "nan": (torch.full((1, 3, *HW), float("nan")), {}, "must lie in 0 .. 1"),
    "mean alone": (levels((1, 3, *HW)), {"mean": MEAN}, "go together"),
    "short mean": (levels((1, 3, *HW)), {"mean": [0.5], "std": [0.5]}, "each of the 3 channels"),
    "zero std": (levels((1, 3, *HW)), {"mean": MEAN, "std": [0, 1, 1]}, "std must be positive"),
    "mean in levels": (
        levels((1, 3, *HW)),
        {"mean": (124, 116, 104), "std": (58, 57, 57)},
        "mean must lie in 0 .. 1.*Divide by 255",
    ),
    "negative mean": (levels((1, 3, *HW)), {"mean": (-1, 0, 0), "std": STD}, "mean must lie"),
    "longdouble": (np.zeros((1, *HW, 3), np.longdouble), {}, "must be uint8, uint16 or floats"),
    "uint32": (np.zeros((1, *HW, 3), np.uint32), {}, "must be uint8, uint16 or floats"),
    "unknown dtype": (levels((1, 3, *HW)), {"dtype": "float31"}, "must be one that torch has"),
    "longdouble out": (levels((1, 3, *HW)), {"dtype": np.longdouble}, "one that torch has"),
    "float8": (levels((1, 3, *HW)), {"dtype": torch.float8_e5m2}, "a float of 16 to 64 bits"),
    "bfloat16": (np.zeros((1, *HW, 3)), {"dtype": "bfloat16"}, "NumPy has no bfloat16"),
    "integers": (levels((1, 3, *HW)), {"mean": MEAN, "std": STD, "dtype": "uint8"}, "floating"),
    "odd dtype": (levels((1, 3, *HW)), {"dtype": torch.int64}, "dtype must be"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_is_wrong(name):
    images, options, message = REFUSED[name]
    with pytest.raises(RenderError, match=message):
        render(images, plan(HW, []), **options)


def test_the_fill_of_a_mix_is_checked_too():
    step = mix(HW, [(0, MixMode.PASTE, 1.0, (0, 0, 3, 3), (0, 0))], fill=128)
    assert render(levels((1, 3, *HW)), Plan([HW], (step,)))[0, 0, 9, 9] == 128
    with pytest.raises(RenderError, match=r"float images must lie in 0 .. 1"):
        render(levels((1, 3, *HW), dtype=np.float32), Plan([HW], (step,)))


def test_mixed_lists_are_refused():
    sizes = [HW, HW]
    for other in (levels((1, *HW)), levels((3, *HW), dtype=np.float32)):
        with pytest.raises(RenderError, match="must share one"):
            render([levels((3, *HW)), other], plan(sizes, [], []))


def test_backends_are_chosen_by_name_or_refused():
    images = levels((1, 3, *HW))
    assert torch.equal(render(images, plan(HW, [FLIP]), backend="reference"), images.flip(3))
    for name in ("numba", "triton"):
        info = next(i for i in backends() if i.name == name)
        if not info.serves("cpu"):
            with pytest.raises(BackendError, match=f"'{name}' cannot render.*'reference'"):
                render(images, plan(HW, []), backend=name)
    with pytest.raises(BackendError, match="must be one of 'auto', 'reference'"):
        render(images, plan(HW, []), backend="fastest")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: unproven that devices agree")
def test_a_gpu_gives_the_same_pixels():
    rows = [[FLIP, TURN], [slot(Code.WARP, TILT, interp=BICUBIC)], [HALF]]
    rows[2].append(slot(Code.RESIZE, (0, 0, 6, 9), HW, BILINEAR))
    images = levels((3, 3, *HW))
    on_gpu = render(images.cuda(), plan(HW, *rows))
    assert on_gpu.is_cuda and torch.equal(on_gpu.cpu(), render(images, plan(HW, *rows)))
