"""WARP and CLIP against scalar loops, Pillow and torchvision, and what must hold for any warp."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from mixwell._errors import PlanError, RenderError
from mixwell.plan.steps import Code
from mixwell.render import render
from mixwell.render.taps import bicubic_phases
from tests.oracles import geometry as oracle
from tests.render.plans import (
    BICUBIC,
    BILINEAR,
    IDENTITY,
    NAMES,
    NEAREST,
    TILT,
    flip_x,
    flip_y,
    levels,
    plan,
    rotation,
    shift,
    slot,
)
from tests.render.samples import photos
from tests.tolerances import atol

PILLOW = {
    NEAREST: Image.Resampling.NEAREST,
    BILINEAR: Image.Resampling.BILINEAR,
    BICUBIC: Image.Resampling.BICUBIC,
}
MAPS = {
    "identity": IDENTITY,
    "turned": rotation(27.0, (17, 11), shift=(0.3, -1.7)),
    "zoomed": rotation(-100.0, (17, 11), zoom=2.5),
    "shrunk": rotation(5.0, (17, 11), zoom=0.4),
    "sheared": (1.0, 0.3, 0, -0.2, 1.0, 2.25, 0, 0, 1),
    "far away": shift(5000.5, 0),
    "half": shift(0.5, 0.5),
    "perspective": TILT,
    "perspective, scaled": tuple(3000.0 * v for v in TILT),
    "perspective, far": (800.0, 3.0, -5e5, 1.0, 900.0, 7e6, 0.02, 0.01, 0.01),
}


def warped(images, m, interp, size=None, fill=0.0):
    one = slot(Code.WARP, m, size, interp, fill)
    hw = tuple(images.shape[-2:])
    return render(images, plan(hw, *([one] for _ in range(len(images)))))


@pytest.mark.parametrize("interp", NAMES)
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integer_warp_is_the_documented_arithmetic(name, interp, dtype):
    image = levels((1, 2, 17, 11), dtype=dtype)
    out_hw, fill, top = (13, 19), 77, np.iinfo(dtype).max
    got = warped(image, MAPS[name], interp, out_hw, fill).numpy()
    for c in range(2):
        source = image[0, c].numpy().tolist()
        want = oracle.warp(source, list(MAPS[name]), out_hw, NAMES[interp], fill, top)
        assert (got[0, c] == np.array(want)).all()


@pytest.mark.parametrize("interp", [BILINEAR, BICUBIC])
@pytest.mark.parametrize("name", ["turned", "zoomed", "sheared", "perspective"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_warp_is_near_real_arithmetic(name, interp, dtype):
    image = levels((1, 1, 17, 11), dtype=np.dtype(dtype))
    got = warped(image, MAPS[name], interp, (17, 11), fill=0).double().numpy()[0, 0]
    source = image[0, 0].numpy().astype(float).tolist()
    want = np.array(oracle.warp_real(source, MAPS[name], (17, 11), NAMES[interp], 0.0))
    top = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    stage = "warp perspective" if name == "perspective" else f"warp {NAMES[interp]}"
    assert np.abs(got - want.clip(0, top)).max() <= atol(stage, dtype, "real arithmetic")


def test_cubic_phases_are_the_oracles_and_sum_to_one():
    phases = bicubic_phases()
    assert phases.tolist() == [oracle.phase(k) for k in range(256)]
    assert (phases.sum(axis=1) == 2048).all()


@pytest.mark.parametrize("angle", [7.0, -41.0, 115.0])
def test_bilinear_is_near_pillow(angle):
    image = photos()[:1]
    hw = tuple(image.shape[-2:])
    m = rotation(angle, hw, shift=(3.3, -4.7))
    got = warped(image, m, BILINEAR, fill=7).int()
    want = _pillow(image, m, BILINEAR)
    # Where a centre lies on the border to within rounding, one takes the fill, the other not.
    distance = (got - want).abs()
    assert (distance > atol("warp bilinear", "uint8", "Pillow")).float().mean() < 1e-5


@pytest.mark.parametrize("angle", [7.0, -41.0, 115.0])
def test_nearest_picks_pillows_pixels_but_for_its_16_bit_positions(angle):
    image = photos()[:1]
    m = rotation(angle, tuple(image.shape[-2:]), shift=(3.3, -4.7))
    differs = (warped(image, m, NEAREST, fill=7) != _pillow(image, m, NEAREST)).any(1)
    # Pillow's coefficients have 16 fraction bits, which adds up to 640 * 2^-17 px = 0.5 % of a
    # pixel at the far end of a row and as much for columns.
    assert differs.float().mean() < 5e-3


def _pillow(image, m, interp):
    size = image.shape[-1], image.shape[-2]
    picture = Image.fromarray(image[0].permute(1, 2, 0).numpy())
    moved = picture.transform(
        size, Image.Transform.AFFINE, m[:6], PILLOW[interp], fillcolor=(7, 7, 7)
    )
    return torch.from_numpy(np.array(moved)).permute(2, 0, 1)[None].int()


@pytest.mark.parametrize("interp", NAMES)
def test_lattice_maps_move_whole_pixels(interp):
    image = levels((1, 3, 17, 11))
    assert (warped(image, flip_x(11), interp) == image.flip(3)).all()
    assert (warped(image, flip_y(17), interp) == image.flip(2)).all()
    moved = warped(image, shift(-2, 3), interp, fill=9)
    assert (moved[:, :, :14, 2:] == image[:, :, 3:, :9]).all()
    assert (moved[:, :, 14:] == 9).all() and (moved[:, :, :, :2] == 9).all()
    turned = warped(image, (0, 1, 0, -1, 0, 17, 0, 0, 1), interp, size=(11, 17))
    assert (turned == image.transpose(2, 3).flip(3)).all()


@pytest.mark.parametrize("angle", [30.0, -77.0])
def test_positive_angles_turn_as_torchvisions(angle):
    image = photos()[:1, :, :200, :301].contiguous()
    got = warped(image, rotation(angle, (200, 301)), NEAREST)
    want = tv.rotate(image, angle, interpolation=tv.InterpolationMode.NEAREST)
    assert (got != want).any(1).float().mean() < 5e-3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float16])
@pytest.mark.parametrize("interp", NAMES)
@pytest.mark.parametrize("name", MAPS)
def test_a_constant_image_stays_constant(name, interp, dtype):
    value = 0.3 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max // 3
    image = torch.from_numpy(np.full((1, 1, 17, 11), value, dtype))
    out = warped(image, MAPS[name], interp, fill=float(image[0, 0, 0, 0])).double()
    limit = atol(f"constant {NAMES[interp]}", np.dtype(dtype).name, "itself")
    assert (out - image[0, 0, 0, 0].double()).abs().max() <= limit


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.floats(-3, 3), min_size=4, max_size=4),
    st.lists(st.floats(-40, 40), min_size=2, max_size=2),
    st.sampled_from(list(NAMES)),
)
def test_any_affine_map_is_the_documented_arithmetic(linear, offset, interp):
    m = (*linear[:2], offset[0], *linear[2:], offset[1], 0.0, 0.0, 1.0)
    image = levels((1, 1, 5, 7))
    got = warped(image, m, interp, (6, 4), 3)[0, 0].tolist()
    assert got == oracle.warp(image[0, 0].tolist(), list(m), (6, 4), NAMES[interp], 3, 255)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.floats(-2, 2), min_size=6, max_size=6),
    st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=2),
    st.floats(0.01, 1000),
)
def test_any_perspective_is_the_documented_arithmetic(upper, lower, scale):
    m = (*upper, *lower, scale)
    image = levels((1, 1, 5, 7))
    try:
        got = warped(image, m, NEAREST, (6, 4), 3)[0, 0].tolist()
    except PlanError:
        return  # behind the camera
    assert got == oracle.warp(image[0, 0].tolist(), list(m), (6, 4), "nearest", 3, 255)


def test_positions_hold_at_the_limits_of_the_format():
    image = levels((1, 1, 2, 3))
    edge = 2.0**30 - 70000
    for m in ((1.0, 0, edge, 0, 1, -edge, 0, 0, 1), (1.0, 0, edge, 0, 1, -edge, 1e-6, 0, 0.5)):
        assert (warped(image, m, BILINEAR, (4, 65000), 5) == 5).all()


@pytest.mark.parametrize("m", [shift(-2, 1), rotation(40.0, (17, 11)), TILT])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_clip_fills_what_left_the_canvas(m, dtype):
    image = levels((1, 1, 17, 11), dtype=dtype)
    clip = slot(Code.CLIP, (*m, 9, 8), fill=33)
    got = render(image, plan((17, 11), [clip]))[0, 0].numpy()
    want = np.array(oracle.clip(image[0, 0].tolist(), list(m), (9, 8), 33))
    assert (got == want).all()
    assert (got == 33).any() and (got == image[0, 0].numpy()).any()


def test_a_fill_is_rounded_half_to_even():
    image = levels((1, 1, 3, 3))
    for fill, stored in ((12.5, 12), (13.5, 14), (0, 0), (255, 255)):
        assert (warped(image, shift(50, 0), NEAREST, fill=fill) == stored).all()


def test_a_fill_outside_the_range_is_refused():
    for dtype, fill in ((np.uint8, 255.5), (np.uint8, -1), (np.uint16, 65536)):
        with pytest.raises(
            RenderError, match=rf"{np.dtype(dtype)} images must lie in 0 .. \d+, got"
        ):
            warped(levels((1, 1, 3, 3), dtype=dtype), shift(50, 0), NEAREST, fill=fill)
    for fill in (128, -0.1):
        with pytest.raises(RenderError, match=r"float images must lie in 0 .. 1.*Give fill=0.5"):
            warped(levels((1, 1, 3, 3), dtype=np.float32), shift(50, 0), NEAREST, fill=fill)
    grey = levels((1, 1, 3, 3), dtype=np.float32)
    only_red = plan((3, 3), [slot(Code.CLIP, (*shift(50, 0), 3, 3), fill=(1, 9, 9, 9))])
    assert (render(grey, only_red) == 1).all()  # numbers of channels that are not there


def test_more_than_four_channels_need_a_grey_fill():
    image = levels((1, 7, 5, 5))
    assert (warped(image, shift(9, 0), NEAREST, fill=3) == 3).all()
    colourful = plan((5, 5), [slot(Code.WARP, shift(9, 0), fill=(1, 2, 3, 4))])
    with pytest.raises(RenderError, match="only a grey fill"):
        render(image, colourful)


def test_fills_are_per_channel():
    colourful = plan((5, 5), [slot(Code.WARP, shift(9, 0), fill=(1, 2, 3, 4))])
    for channels in (1, 3, 4):
        out = render(levels((1, channels, 5, 5)), colourful)
        assert out[0, :, 0, 0].tolist() == [1, 2, 3, 4][:channels]
