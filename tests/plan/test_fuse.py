"""Fusing on hand-written plans: what is composed, what is not, and that pixels stay the same."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mixwell as mw
from mixwell.plan.check import check_plan
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code
from mixwell.render import render
from tests.render.plans import (
    BICUBIC,
    BILINEAR,
    IDENTITY,
    NEAREST,
    TILT,
    edit,
    flip_x,
    flip_y,
    levels,
    mix,
    plan,
    rotation,
    shift,
    slot,
)

HW = (17, 11)
W, R, C = Code.WARP, Code.RESIZE, Code.CLIP
# No pixel's centre falls exactly between two pixels or two eighths of a bit, where the last bit of
# a product of matrices would decide.
ANGLES = st.integers(-180, 180).map(lambda a: a + 0.4142)
ZOOMS = st.sampled_from([0.4321, 0.7071, 1.1892, 1.7321, 2.2361])


def turn(angle, hw=HW, zoom=1.0, **kw) -> dict:
    return slot(W, rotation(angle, hw, zoom=zoom), **kw)


def codes(p: Plan, row: int = 0) -> list[Code]:
    return [Code(c) for c in p.steps[0].code[row] if c]


def equal(p: Plan, images: torch.Tensor) -> bool:
    """Do the plan and its fused form give the same pixels?"""
    plain, fused = (render(images, q, stack=False) for q in (p, p.fused()))
    return all(torch.equal(a, b) for a, b in zip(plain, fused, strict=True))


@st.composite
def lattice_slots(draw, hw=HW, most: int = 6) -> list[dict]:
    """Flips, quarter turns, shifts, crops and pads, each with a fill of its own."""
    slots, (h, w) = [], hw
    for k in range(draw(st.integers(2, most))):
        kind = draw(st.sampled_from(["x", "y", "quarter", "move", "rest"]))
        fill, interp = 10 * k + 5, draw(st.sampled_from([NEAREST, BILINEAR, BICUBIC]))
        if kind == "rest":
            slots.append(slot(Code.NOTHING))
            continue
        size = None
        if kind == "x":
            m = flip_x(w)
        elif kind == "y":
            m = flip_y(h)
        elif kind == "quarter":
            m, size = (0, 1, 0, -1, 0, h, 0, 0, 1), (w, h)
        else:
            m = shift(draw(st.integers(-6, 6)), draw(st.integers(-6, 6)))
            size = (draw(st.integers(3, 20)), draw(st.integers(3, 20)))
        h, w = size or (h, w)
        slots.append(slot(W, m, size, interp, fill))
    return slots


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(lattice_slots(), min_size=1, max_size=3))
def test_lattice_chains_become_one_warp_with_the_same_pixels(rows):
    p = plan(HW, *rows)
    images = levels((len(rows), 2, *HW)) // 2 + 128  # no pixel looks like a fill
    assert equal(p, images)
    for row in range(len(rows)):
        assert codes(p.fused(), row).count(W) <= 1
        assert set(codes(p.fused(), row)) <= {W, C}


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    ANGLES,
    ZOOMS,
    st.sampled_from([NEAREST, BILINEAR, BICUBIC]),
    lattice_slots(most=4),
)
def test_whole_pixel_moves_behind_a_warp_change_no_pixel(angle, zoom, interp, slots):
    p = plan(HW, [turn(angle, zoom=zoom, interp=interp, fill=3), *slots])
    assert equal(p, levels((1, 1, *HW)))
    assert codes(p.fused()).count(W) == 1


@settings(max_examples=80, deadline=None, derandomize=True)
@given(lattice_slots(most=4), ANGLES, ZOOMS)
def test_whole_pixel_moves_before_a_nearest_warp_change_no_pixel(slots, angle, zoom):
    hw = next((s["size"] for s in reversed(slots) if s["size"]), HW)
    p = plan(HW, [*slots, turn(angle, hw, zoom, interp=NEAREST, fill=3)])
    assert equal(p, levels((1, 1, *HW)))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(st.tuples(ANGLES, ZOOMS), min_size=1, max_size=3))
def test_every_canvas_left_supplies_its_own_fill(turns):
    """A constant image seen through a close-up, then turned on ever smaller canvases."""
    slots, size = [turn(10, zoom=8, interp=BILINEAR, fill=1)], HW
    for k, (angle, zoom) in enumerate(turns):
        m = rotation(angle, size, zoom=zoom)
        size = (size[0] - 2, size[1] - 1)
        slots.append(slot(W, m, size, NEAREST if len(turns) == 1 else BILINEAR, 50 + 50 * k))
    images = torch.full((1, 1, *HW), 255, dtype=torch.uint8)
    p = plan(HW, slots)
    fused = render(images, p.fused())
    plain = render(images, p)
    if len(turns) == 1:
        assert torch.equal(fused, plain)  # one canvas: its outline is the same to the pixel
    # With more, what lies on an outline is blurred once more; the canvas left last is exact.
    last = 50 + 50 * (len(turns) - 1)
    only = plan(size, [slot(C, (*_last_map(p), *_last_canvas(p)), fill=last)])
    outline = render(torch.zeros(1, 1, *size, dtype=torch.uint8), only) == last
    assert (fused[outline] == last).all() and (plain[outline] == last).all()
    assert set(fused.unique().tolist()) <= {255, 50, 100, 150}


def _last_map(p: Plan) -> np.ndarray:
    return p.steps[0].param[0, -1, :9]


def _last_canvas(p: Plan) -> np.ndarray:
    return p.steps[0].size_hw[0, -2]


def test_two_turns_that_undo_each_other_give_the_image_back():
    images = levels((1, 3, *HW))
    p = plan(HW, [turn(33), turn(-33)]).fused()
    out = render(images, p)
    inside = torch.ones(HW, dtype=torch.bool)
    canvas = render(torch.full_like(images, 255), plan(HW, [turn(-33)]))[0, 0]
    inside &= canvas == 255
    assert inside.sum() > 60
    assert ((out.int() - images.int())[0, :, inside].abs() <= 1).all()


def test_a_warp_that_stays_inside_leaves_no_clip():
    assert codes(plan(HW, [turn(20), slot(W, flip_x(11))]).fused()) == [W]
    assert codes(plan(HW, [slot(W, flip_x(11)), turn(20)]).fused()) == [W, C]
    assert codes(plan(HW, [turn(20), turn(5, zoom=4)]).fused()) == [W]
    crop = slot(W, shift(2, 3), size=(8, 7))
    assert codes(plan(HW, [turn(20), crop]).fused()) == [W]


def test_rotations_and_perspectives_compose():
    p = plan(HW, [slot(W, TILT), turn(20), slot(Code.NOTHING), slot(W, TILT)]).fused()
    m = np.array(TILT).reshape(3, 3) @ np.array(rotation(20, HW)).reshape(3, 3)
    m = m @ np.array(TILT).reshape(3, 3)
    np.testing.assert_allclose(p.steps[0].param[0, 0, :9], m.ravel(), rtol=1e-12)
    assert codes(p) == [W, C, C]


@pytest.mark.parametrize("between", [slot(Code.INVERT), slot(Code.BLUR, (1.0, 3))])
def test_other_ops_end_a_run(between):
    assert codes(plan(HW, [turn(5), between, turn(6)]).fused()) == [W, between["code"], W]


def test_an_op_ends_only_its_own_row():
    p = plan(HW, [turn(5), slot(Code.INVERT), turn(6)], [turn(5), slot(Code.NOTHING), turn(6)])
    assert codes(p.fused(), 0) == [W, Code.INVERT, W]
    assert codes(p.fused(), 1) == [W, C]
    assert equal_but_for_interpolation(p)


def equal_but_for_interpolation(p: Plan) -> bool:
    smooth = torch.linspace(60, 190, 17 * 11).reshape(1, 1, *HW).repeat(p.rows, 1, 1, 1)
    images = smooth.to(torch.uint8)
    plain, fused = render(images, p).int(), render(images, p.fused()).int()
    middle = (..., slice(6, 11), slice(4, 7))  # no outline passes here
    return bool(((plain - fused)[middle].abs() <= 3).all())


def test_a_written_clip_ends_a_run():
    clip = slot(C, (*IDENTITY, 8, 8), fill=7)
    p = plan(HW, [turn(5), clip, turn(6)])
    assert codes(p.fused()) == [W, C, W]


def test_different_interpolations_do_not_mix():
    assert codes(plan(HW, [turn(5, interp=NEAREST), turn(6)]).fused()) == [W, W]
    p = plan(HW, [slot(W, flip_x(11), interp=NEAREST), turn(6, interp=BICUBIC)]).fused()
    assert codes(p)[0] == W and p.steps[0].interp[0, 0] == BICUBIC
    p = plan(HW, [turn(6, interp=BICUBIC), slot(W, flip_x(11), interp=NEAREST)]).fused()
    assert codes(p) == [W] and p.steps[0].interp[0, 0] == BICUBIC


@st.composite
def crop_resize_flip(draw) -> list[dict]:
    """Flips and inner crops, an antialiased resize of a box, flips."""
    slots, (h, w) = [], HW
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["x", "y", "crop"]))
        if kind == "crop":
            y, x = draw(st.integers(0, h - 3)), draw(st.integers(0, w - 3))
            h, w = draw(st.integers(3, h - y)), draw(st.integers(3, w - x))
            slots.append(slot(W, shift(x, y), (h, w)))
        else:
            slots.append(slot(W, flip_x(w) if kind == "x" else flip_y(h)))
    x = sorted(draw(st.lists(st.integers(0, w), min_size=2, max_size=2, unique=True)))
    y = sorted(draw(st.lists(st.integers(0, h), min_size=2, max_size=2, unique=True)))
    out = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    interp = draw(st.sampled_from([BILINEAR, BICUBIC]))
    slots.append(slot(R, (x[0], y[0], x[1], y[1]), out, interp))
    for _ in range(draw(st.integers(0, 3))):
        slots.append(slot(W, draw(st.sampled_from([flip_x(out[1]), flip_y(out[0])]))))
    return slots


@settings(max_examples=150, deadline=None, derandomize=True)
@given(crop_resize_flip())
def test_a_resize_absorbs_flips_and_inner_crops_with_the_same_pixels(slots):
    p = plan(HW, slots)
    assert codes(p.fused()) == [R]
    assert equal(p, levels((1, 2, *HW)))


def test_a_resize_absorbs_nothing_that_shows_fill():
    box = slot(R, (0, 0, 11, 17), (9, 6))
    assert codes(plan(HW, [slot(W, shift(-3, 0)), box]).fused()) == [W, R]
    assert codes(plan(HW, [turn(5), box]).fused()) == [W, R]
    assert codes(plan(HW, [slot(W, TILT), box]).fused()) == [W, R]
    # Both shifts together show the whole canvas again, but what was cut off is gone.
    there_and_back = [slot(W, shift(-3, 0), fill=9), slot(W, shift(3, 0), fill=8), box]
    p = plan(HW, there_and_back)
    assert equal(p, levels((1, 2, *HW)))


def test_what_follows_a_resize_and_is_no_flip_stays():
    box = slot(R, (1, 1, 11, 17), (9, 6))
    for after in (slot(W, shift(1, 0)), turn(5, (9, 6)), slot(W, flip_x(6), size=(9, 7))):
        assert codes(plan(HW, [box, after]).fused()) == [R, W]
    quarter = slot(W, (0, 1, 0, -1, 0, 9, 0, 0, 1), size=(6, 9))
    p = plan(HW, [box, quarter])
    assert codes(p.fused()) == [R, W] and equal(p, levels((1, 1, *HW)))
    # A flip behind a warp behind a resize joins the warp.
    p = plan(HW, [box, turn(5, (9, 6)), slot(W, flip_x(6))])
    assert codes(p.fused()) == [R, W] and equal(p, levels((1, 1, *HW)))


def test_two_resizes_stay_two():
    p = plan(HW, [slot(R, (0, 0, 11, 17), (9, 6)), slot(R, (1, 2, 5, 8), (7, 7))])
    assert codes(p.fused()) == [R, R]


def test_maps_beyond_the_formats_limits_are_left_apart():
    far = slot(W, (3e6, 0, 0, 0, 3e6, 0, 0, 0, 1))
    assert codes(plan(HW, [far, far]).fused()) == [W, W]
    # The composed warps stay small here, the clip that they leave does not.
    near = slot(W, (1e-8, 0, 1, 0, 1e-8, 1, 0, 0, 1))
    p = plan(HW, [near, far, far])
    assert equal(p, levels((1, 1, *HW)))
    steep = (1.0, 0, 0, 0, 1, 0, -0.08, 0, 1)
    assert codes(plan(HW, [slot(W, steep), slot(W, steep)]).fused()) == [W, W]


def test_fusing_keeps_sizes_and_packs_slots_to_the_front():
    sizes = np.array([HW, (8, 20)])
    rows = [
        [slot(W, flip_x(11)), slot(Code.INVERT), slot(W, shift(1, 1), (9, 9)), turn(25, (9, 9))],
        [slot(Code.NOTHING), slot(W, flip_x(20)), turn(30, (8, 20)), slot(Code.INVERT)],
    ]
    p = plan(sizes, *rows)
    fused = p.fused()
    assert (fused.out_hw == p.out_hw).all()
    assert codes(fused, 0) == [W, Code.INVERT, W, C] and codes(fused, 1) == [W, C, Code.INVERT]
    assert fused.steps[0].code[1].tolist()[3] == Code.NOTHING


def test_fusing_changes_neither_the_plan_nor_what_is_fused_already():
    p = plan(HW, [turn(5), turn(6), slot(Code.INVERT)], [slot(W, flip_x(11)), turn(3)])
    before = p.digest()
    fused = p.fused()
    assert p.digest() == before
    assert fused.fused().digest() == fused.digest()


def test_rows_fuse_as_they_would_alone():
    rows = [
        [turn(5), turn(6)],
        [slot(R, (0, 0, 11, 17), HW), slot(W, flip_x(11))],
        [slot(Code.INVERT), turn(6)],
        [],
    ]
    together = plan(HW, *rows).fused().steps[0]
    for i, row in enumerate(rows):
        alone = plan(HW, row).fused().steps[0] if row else edit(HW, [[slot(Code.NOTHING)]])
        for f in fields(alone):
            a = getattr(alone, f.name)[0]
            assert (getattr(together, f.name)[i, : len(a)] == a).all(), (i, f.name)


def test_mixes_and_labels_are_untouched():
    full = (0, 0, 11, 17)
    blend = mix(HW, [(0, 2, 0.3, full, (0, 0)), (1, 2, 0.7, full, (0, 0))])
    first = edit(np.full((2, 2), HW), [[turn(5), turn(6)], [slot(W, flip_x(11))]])
    after = edit(HW, [[slot(W, flip_x(11)), slot(W, flip_x(11))]])
    p = Plan(np.full((2, 2), HW), (first, blend, after))
    fused = p.fused()
    assert fused.steps[1] is blend
    for a, b in zip(p.sources(), fused.sources(), strict=True):
        assert (a == b).all()
    assert fused.steps[2].code.tolist() == [[W]]


def test_nothing_to_fuse():
    for p in (plan(HW, []), plan(HW, [slot(Code.INVERT)] * 2), Plan(np.empty((0, 2)), ())):
        assert p.fused().digest() == p.digest()
    none = edit(np.empty((0, 2)), [])
    assert len(Plan(np.empty((0, 2)), (none,)).fused()) == 0


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_fused_plans_obey_the_rules_of_plans(seed, which):
    """`fused` does not check its own result; this does."""
    policy = (
        mw.Policy(mw.RandomCrop(20, padding=4), mw.HorizontalFlip(), mw.Rotate((-40.0, 40.0))),
        mw.Policy(mw.RandomResizedCrop(16), mw.HorizontalFlip(), mw.RandAugment(3, 9)),
        mw.Policy(mw.Affine(degrees=20.0), mw.Perspective(0.4), mw.ShearX(0.3), mw.CutMix()),
        mw.Policy(mw.Pad(3), mw.TranslateX(0.2), mw.VerticalFlip(), mw.CenterCrop(18)),
    )[which]
    sizes = np.tile([24, 31], (9, 1))
    fused = policy.sample(sizes, keys=mw.Keys(np.arange(9)), seed=seed).fused()
    check_plan(fused.in_hw, fused.inputs, fused.steps)
