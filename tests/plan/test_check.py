"""Every rule of the plan format is broken once; the error names step, row and value."""

# ruff: noqa: E501  (tables: one broken rule a line)
from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mixwell._errors import PlanError
from mixwell.plan import Code, Edit, Interp, Mix, MixMode, Plan
from mixwell.plan import check as home
from tests.plan.strategies import edit_of

SIZE_HW = np.array([(6, 8), (6, 8), (5, 7)], np.int32)
SHEAR = [1, 0.2, 0, 0, 1, 0, 0, 0, 1]
BIG = 2.0**31


def set_slot(code: Code, *params: float) -> Callable[[Edit], None]:
    """Gives row 1 another code in slot 2 of the edit."""

    def change(edit: Edit) -> None:
        edit.code[1, 2] = code
        edit.param[1, 2] = 0
        edit.param[1, 2, : len(params)] = params

    return change


def cubic_tensor(edit: Edit) -> None:
    """Asks torchvision's tensors for what they do not have."""
    edit.code[0, 0], edit.interp[0, 0] = Code.TV_WARP, Interp.BICUBIC


def put(name: str, at: tuple, value: object) -> Callable[[Edit | Mix], None]:
    """Overwrites a part of one array."""

    def change(step: Edit | Mix) -> None:
        getattr(step, name)[at] = value

    return change


def other(name: str, make: Callable[[np.ndarray], np.ndarray]) -> Callable[[Edit | Mix], object]:
    """Puts another array in the place of one."""
    return lambda step: replace(step, **{name: make(getattr(step, name))})


def through(make: Callable[[np.ndarray], np.ndarray], weight: float = 1.0) -> Callable[[Mix], Mix]:
    """Draws row 1 through a mask of 20000 and row 2 past one of 0; `make` changes the masks."""

    def change(mix: Mix) -> Mix:
        mix.mode[1:] = [[MixMode.MASK], [MixMode.UNMASK]]
        mix.weight[1:] = weight
        mask = np.zeros((3, 4, 4), np.uint16)
        mask[1] = 20000
        return replace(mix, mask=make(mask))

    return change


def said(dtype: type, *label: float) -> Callable[[Mix], Mix]:
    """Puts labels into all rows but the last, which keeps its true one."""
    return lambda mix: replace(mix, label=np.array([label, label, (-1, -1)], dtype))


def valid_edit() -> Edit:
    edit = edit_of(
        SIZE_HW, (Code.WARP, SHEAR), (Code.RESIZE, [0, 0, 7, 5], (4, 4)), (Code.HUE, [0.1])
    )
    edit.code[1, 2], edit.param[1, 2] = Code.ERASE, 0
    edit.param[1, 2, :4] = 1, 1, 3, 3
    return edit


def valid_mix() -> Mix:
    mix = Mix.identity(np.full((3, 2), 4, np.int32))
    mix.source[:, 1] = [1, 2, 0]
    mix.mode[:, 1], mix.weight[:, 1] = MixMode.PASTE, 1.0
    mix.rect_px[:, 1] = 1, 1, 3, 3
    mix.offset_px[:, 1] = 1, 1
    return mix


def plan_of(edit: Edit, mix: Mix) -> Plan:
    return Plan(SIZE_HW, (edit, mix))


EDITS = {
    "code rows": (other("code", lambda v: v[:2]), "code must be [3, K], got shape (2, 3)"),
    "code rank": (other("code", lambda v: v[:, 0]), "code must be [3, K], got shape (3,)"),
    "no slots": (other("code", lambda v: v[:, :0]), "needs at least one slot, got none"),
    "code dtype": (other("code", lambda v: v.astype(np.int64)), "code must be uint8 (3, 3), got int64"),
    "param": (other("param", lambda v: v[..., :9]), "param must be float64 (3, 3, 12), got float64 (3, 3, 9)"),
    "param dtype": (other("param", lambda v: v.astype(np.float32)), "param must be float64"),
    "size_hw": (other("size_hw", lambda v: v.astype(np.int64)), "size_hw must be int32 (3, 3, 2)"),
    "interp": (other("interp", lambda v: v[:, :1]), "interp must be uint8 (3, 3), got uint8 (3, 1)"),
    "fill": (other("fill", lambda v: v[..., :3]), "fill must be float32 (3, 3, 4)"),
    "key": (other("key", lambda v: v.astype(np.int32)), "key must be uint32 (3, 3, 4)"),
    "unknown code": (set_slot(99), "unknown code; row 1 has 99 at (1, 2)"),
    "unknown interp": (put("interp", (2, 0), 3), "unknown interpolation; row 2 has 3 at (2, 0)"),
    "nan": (put("param", (1, 2, 11), np.nan), "parameters must be finite; row 1 has nan"),
    "inf": (put("param", (0, 0, 2), np.inf), "parameters must be finite; row 0 has inf"),
    "fill nan": (put("fill", (2, 1, 3), np.nan), "fill must be finite; row 2 has nan at (2, 1, 3)"),
    "no side": (put("size_hw", (1, slice(1, None)), 0), "size_hw: sides must be 1 .. 65535 px; row 1 has 0"),
    "long side": (put("size_hw", (1, slice(1, None)), 65536), "sides must be 1 .. 65535 px; row 1 has 65536"),
    "tone resizes": (put("size_hw", (2, 2), 3), "only warps and RESIZE may change the size; row 2 has 13"),
    "far warp": (put("param", (0, 0, 2), 2.0**30), "warped coordinates must stay below 1073741824 px; row 0"),
    "far clip": (set_slot(Code.CLIP, 1, 0, BIG, 0, 1, 0, 0, 0, 1, 4, 4), "coordinates must stay below"),
    "behind": (put("param", (1, 0, slice(6, 9)), (-0.2, 0, 1)), "must keep the whole output before the camera; row 1"),
    "resize outside": (put("param", (1, 1, 2), 8.5), "a RESIZE box must lie inside the canvas; row 1 has 2 at (1, 1)"),
    "resize below 0": (put("param", (1, 1, 1), -0.5), "a RESIZE box must lie inside the canvas"),
    "resize too low": (put("param", (2, 1, 3), 5.5), "a RESIZE box must lie inside the canvas; row 2"),
    "resize empty": (put("param", (2, 1, slice(0, 4)), (3, 0, 3, 5)), "a RESIZE box must not be empty; row 2"),
    "resize flat": (put("param", (2, 1, slice(0, 4)), (0, 2, 3, 2)), "a RESIZE box must not be empty; row 2"),
    "resize nearest": (put("interp", (1, 1), 0), "RESIZE is never nearest; row 1"),
    "erase outside": (set_slot(Code.ERASE, 1, 1, 5, 3), "an ERASE must lie inside the canvas; row 1 has 32"),
    "erase turned": (set_slot(Code.ERASE, 3, 1, 1, 3), "an ERASE must lie inside the canvas; row 1"),
    "erase value": (set_slot(Code.ERASE, 1, 1, 3, 3, 3, 0), "unknown ERASE value or units; row 1"),
    "erase units": (set_slot(Code.ERASE, 1, 1, 3, 3, 0, 2), "unknown ERASE value or units; row 1"),
    "brightness": (set_slot(Code.BRIGHTNESS, -0.1), "SATURATION/PIL_CONTRAST needs a parameter in 0 .."),
    "contrast": (set_slot(Code.CONTRAST, 1e5), "needs a parameter in 0 .. 10000.0; row 1 has 100000.0"),
    "saturation": (set_slot(Code.SATURATION, -1), "SATURATION/PIL_CONTRAST needs a parameter"),
    "sharpness": (set_slot(Code.SHARPNESS, -1e5), "SHARPNESS needs a parameter in -10000.0 .. 10000.0"),
    "hue": (set_slot(Code.HUE, 0.6), "HUE needs a parameter in -0.5 .. 0.5; row 1 has 0.6"),
    "posterize": (set_slot(Code.POSTERIZE, 9), "POSTERIZE needs a parameter in 0 .. 8; row 1 has 9.0"),
    "solarize": (set_slot(Code.SOLARIZE, 257), "SOLARIZE needs a parameter in 0 .. 256"),
    "profile contrast": (set_slot(Code.TV_CONTRAST, -1), "TV_CONTRAST/TV_SATURATION/TV_SHARPNESS needs"),
    "solarize add": (set_slot(Code.SOLARIZE_ADD, 256, 128), "SOLARIZE_ADD needs a parameter in 0 .. 255"),
    "solarize add threshold": (set_slot(Code.SOLARIZE_ADD, 9, 257), "SOLARIZE_ADD needs a threshold in 0 .. 256"),
    "pil blur": (set_slot(Code.PIL_BLUR, -1), "PIL_BLUR needs a parameter in 0 .. 1000.0"),
    "bent profile": (set_slot(Code.PIL_WARP, 1, 0, 0, 0, 1, 0, 0.01, 0, 1), "PIL_WARP and TV_WARP must be affine"),
    "torn tensor": (set_slot(Code.TV_WARP, 1, 0, 2, 0, 1, 0, 0, 0, 1, 1.99, 0), "a TV_WARP's translations disagree; row 1"),
    "half filled": (set_slot(Code.TV_WARP, 1, 0, 2, 0, 1, 0, 0, 0, 1, 2, 0, 0.5), "a TV_WARP's parameter 11 must be 0 or 1; row 1 has 0.5"),
    "cubic tensor": (cubic_tensor, "TV_WARP is nearest or bilinear"),
    "channels twice": (set_slot(Code.CHANNELS, 1, 1, 1), "CHANNELS needs a permutation of 0, 1, 2; row 1 has [1. 1. 1.] at (1, 2)"),
    "channels beyond": (set_slot(Code.CHANNELS, 1, 2, 3), "CHANNELS needs a permutation of 0, 1, 2; row 1 has [1. 2. 3.]"),
    "channels in parts": (set_slot(Code.CHANNELS, 0, 1, 2.5), "CHANNELS needs a permutation of 0, 1, 2; row 1"),
    "blur": (set_slot(Code.BLUR, 0, 3), "BLUR needs a parameter in 0.001 .. 1000.0"),
    "noise": (set_slot(Code.NOISE, -0.1), "NOISE needs a parameter in 0 .. 10; row 1 has -0.1"),
    "blur even": (set_slot(Code.BLUR, 1, 4), "BLUR needs an odd kernel size, 1 .. 255; row 1 has 4.0"),
    "blur large": (set_slot(Code.BLUR, 1, 257), "BLUR needs an odd kernel size"),
}  # fmt: skip

MIXES = {
    "source rank": (other("source", lambda v: v[0]), "source must be [B, S], got shape (2,)"),
    "source dtype": (other("source", lambda v: v.astype(np.int64)), "source must be int32 (3, 2), got int64"),
    "mode": (other("mode", lambda v: v[:, :1]), "mode must be uint8 (3, 2), got uint8 (3, 1)"),
    "weight": (other("weight", lambda v: v.astype(np.float64)), "weight must be float32 (3, 2)"),
    "rect_px": (other("rect_px", lambda v: v[..., :2]), "rect_px must be int32 (3, 2, 4)"),
    "offset_px": (other("offset_px", lambda v: v.astype(np.int64)), "offset_px must be int32 (3, 2, 2)"),
    "canvas_hw": (other("canvas_hw", lambda v: v[:2]), "canvas_hw must be [B, 2] and fill [B, 4]"),
    "fill": (other("fill", lambda v: v[:, :3]), "canvas_hw must be [B, 2] and fill [B, 4]"),
    "canvas_hw dtype": (other("canvas_hw", lambda v: v + 0.5), "canvas_hw must be int32 and fill float32, got float64"),
    "fill nan": (put("fill", (2, 0), np.inf), "fill must be finite; row 2 has inf at (2, 0)"),
    "no canvas": (put("canvas_hw", (1, 0), 0), "canvas_hw: sides must be 1 .. 65535 px; row 1 has 0"),
    "unknown mode": (put("mode", (2, 1), 9), "unknown mode; row 2 has 9 at (2, 1)"),
    "no mask": (put("mode", (2, 1), 3), "MASK and UNMASK need a mask; row 2 has 3 at (2, 1)"),
    "idle mask": (lambda mix: replace(mix, mask=np.zeros((3, 4, 4), np.uint16)), "a mask without MASK or UNMASK must be None"),
    "mask dtype": (through(lambda v: v.astype(np.int32)), "mask must be uint16 (3, 4, 4), got int32 (3, 4, 4)"),
    "mask rows": (through(lambda v: v[:2]), "mask must be uint16 (3, 4, 4), got uint16 (2, 4, 4)"),
    "mask too large": (through(lambda v: np.pad(v, [(0, 0), (0, 1), (0, 0)])), "mask must be uint16 (3, 4, 4), got uint16 (3, 5, 4)"),
    "mask above one": (through(lambda v: v * np.uint16(2)), "masks must lie in 0 .. 32768; row 1 has 40000"),
    "mask where none is used": (through(lambda v: v[[1, 1, 2]]), "a mask must be 0 outside the canvas, and where none is used; row 0"),
    "faint mask": (through(lambda v: v, weight=0.5), "MASK and UNMASK need weight 1; row 1"),
    "label dtype": (said(np.float64, 0.5, 0.5), "label must be float32 (3, 2), got float64 (3, 2)"),
    "label sum": (said(np.float32, 0.5, 0.6), "a row's labels must sum to 1, with 0 for SKIP, or be -1, every one; row 0 has 0.5"),
    "label below 0": (said(np.float32, -0.5, 1.5), "a row's labels must sum to 1"),
    "half a label": (said(np.float32, -1, 1), "a row's labels must sum to 1"),
    "label nan": (said(np.float32, np.nan, 1), "a row's labels must sum to 1"),
    "no such row": (put("source", (0, 1), 3), "no such source row; row 0 has 3 at (0, 1)"),
    "row below 0": (put("source", (0, 1), -1), "no such source row; row 0 has -1 at (0, 1)"),
    "weight above": (put("weight", (1, 0), 1.5), "weights must lie in 0 .. 1; row 1 has 1.5 at (1, 0)"),
    "weight nan": (put("weight", (1, 0), np.nan), "weights must lie in 0 .. 1; row 1 has nan"),
    "turned": (put("rect_px", (1, 1), (3, 1, 1, 3)), "a rectangle must not be inverted; row 1"),
    "off canvas": (put("rect_px", (1, 1), (1, 1, 5, 3)), "a rectangle must lie inside the canvas; row 1"),
    "above canvas": (put("rect_px", (1, 1), (1, -1, 3, 3)), "a rectangle must lie inside the canvas; row 1"),
    "off source": (put("offset_px", (2, 1), (2, 1)), "a rectangle must lie inside its source; row 2"),
    "below source": (put("offset_px", (2, 1), (1, -2)), "a rectangle must lie inside its source; row 2"),
}  # fmt: skip


def broken(change: Callable, step: Edit | Mix) -> Edit | Mix:
    return change(step) or step


def test_the_unbroken_plan_is_valid():
    assert len(plan_of(valid_edit(), valid_mix())) == 3


@pytest.mark.parametrize(("change", "message"), EDITS.values(), ids=EDITS)
def test_a_broken_edit_is_refused(change, message):
    with pytest.raises(PlanError) as error:
        plan_of(broken(change, valid_edit()), valid_mix())
    assert str(error.value).startswith("step 0 (Edit): ")
    assert message in str(error.value)


@pytest.mark.parametrize(("change", "message"), MIXES.values(), ids=MIXES)
def test_a_broken_mix_is_refused(change, message):
    with pytest.raises(PlanError) as error:
        plan_of(valid_edit(), broken(change, valid_mix()))
    assert str(error.value).startswith("step 1 (Mix): ")
    assert message in str(error.value)


PLANS = {
    "inputs": (lambda: Plan(SIZE_HW, inputs=[0, 1]), "Plan.inputs must have shape (3,), got (2,)"),
    "in_hw": (lambda: Plan([(3, 3), (0, 4)]), "Plan.in_hw: sides must be 1 .. 65535 px; row 1 has 0"),
    "step": (lambda: Plan(SIZE_HW, ("flip",)), "step 0 (str): a step is an Edit or a Mix."),
    "rows": (lambda: Plan(SIZE_HW, (Edit.nothing(SIZE_HW[:2]),)), "code must be [3, K], got shape (2, 1)"),
    "sizes": (
        lambda: Plan(SIZE_HW, (Edit.nothing(SIZE_HW[::-1]),)),
        "only warps and RESIZE may change the size; row 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), PLANS.values(), ids=PLANS)
def test_a_broken_plan_is_refused(make, message):
    with pytest.raises(PlanError) as error:
        make()
    assert message in str(error.value)


def test_masks_and_labels_may_be_there():
    """Row 1: all of source 0 and the middle quarter of source 1, both by 20000 / 32768."""
    mix = through(lambda v: v)(valid_mix())
    shares = [[0.75, 0.25], [0.8, 0.2], [0.8, 0.2]]
    assert np.allclose(plan_of(valid_edit(), mix).sources()[1], shares, rtol=0, atol=1e-15)
    free = said(np.float32, 0.25, 0.75)(valid_mix())
    assert plan_of(valid_edit(), free).sources()[1].tolist() == [[0.25, 0.75]] * 2 + [[0.75, 0.25]]
    skipped = said(np.float32, 0.25, 0.75)(valid_mix())
    skipped.mode[0, 1] = MixMode.SKIP
    with pytest.raises(PlanError, match="with 0 for SKIP"):
        plan_of(valid_edit(), skipped)


def test_masks_of_small_canvases_end_with_them():
    mix = through(lambda v: v)(valid_mix())
    mix.canvas_hw[1] = 3, 4
    mix.rect_px[1, 0] = 0, 0, 4, 3
    with pytest.raises(
        PlanError, match="must be 0 outside the canvas, and where none is used; row 1"
    ):
        plan_of(valid_edit(), mix)
    assert mix.mask is not None
    mix.mask[1, 3] = 0
    assert plan_of(valid_edit(), mix).sources()[1].sum(axis=1).tolist() == [1.0, 1.0, 1.0]


def test_later_steps_are_checked_against_the_sizes_that_reach_them():
    edit = edit_of(SIZE_HW, (Code.RESIZE, [0, 0, 7, 5], (4, 4)))
    erase = edit_of(np.full((3, 2), 4), (Code.ERASE, [0, 0, 5, 4]))
    with pytest.raises(PlanError, match=r"step 1 \(Edit\): an ERASE must lie inside the canvas"):
        Plan(SIZE_HW, (edit, erase))


@pytest.mark.parametrize(
    "change",
    [
        put("rect_px", (1, 1), (3, 1, 1, 9)),  # never drawn
        put("offset_px", (1, 1), (100, 100)),
    ],
)
def test_what_is_skipped_may_lie_anywhere(change):
    mix = valid_mix()
    mix.mode[1, 1] = MixMode.SKIP
    plan_of(valid_edit(), broken(change, mix))


def test_an_empty_rectangle_needs_no_source_pixels():
    mix = valid_mix()
    mix.rect_px[1, 1], mix.offset_px[1, 1] = (4, 4, 4, 4), (-9, 9)
    assert plan_of(valid_edit(), mix).sources()[1][1].tolist() == [1.0, 0.0]


def test_a_mirrored_resize_box_is_valid():
    edit = valid_edit()
    edit.param[0, 1, :4] = 7, 5, 0, 0
    plan_of(edit, valid_mix())


def rules() -> list[str]:
    """The longest fixed part of every rule that check.py can name."""
    found = []
    for node in ast.walk(ast.parse(inspect.getsource(home))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_refuse", "PlanError"):
            parts = [n.value for n in ast.walk(node.args[-1]) if isinstance(n, ast.Constant)]
            found.append(max((p for p in parts if isinstance(p, str)), key=len))
    return [rule for rule in found if "; row " not in rule]  # the sentence around every rule


def test_every_rule_is_broken_by_some_test():
    messages = []
    for table, build in (
        (EDITS, lambda change: plan_of(broken(change, valid_edit()), valid_mix())),
        (MIXES, lambda change: plan_of(valid_edit(), broken(change, valid_mix()))),
        (PLANS, lambda make: make()),
    ):
        for change, _ in table.values():
            with pytest.raises(PlanError) as error:
                build(change)
            messages.append(str(error.value))
    assert len(rules()) >= 20
    assert [r for r in rules() if not any(r.strip() in m for m in messages)] == []
