"""Every invariant of a plan, in one place; renderers and targets rely on them unasked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixwell._errors import PlanError
from mixwell.plan import geometry
from mixwell.plan.steps import (
    MASK_ONE,
    PARAMS,
    WARPS,
    Code,
    Edit,
    EraseUnits,
    EraseValue,
    Interp,
    Mix,
    MixMode,
)

COORDINATE_LIMIT = 2**30
"""Warped coordinates must stay below this many pixels, so that fixed point cannot overflow."""
SIDE_LIMIT = 65535
"""Longest side of an image, px: noise counters and fixed point are made for it."""

_EDIT_FORM = {
    "code": (np.dtype(np.uint8), ()),
    "param": (np.dtype(np.float64), (PARAMS,)),
    "size_hw": (np.dtype(np.int32), (2,)),
    "interp": (np.dtype(np.uint8), ()),
    "fill": (np.dtype(np.float32), (4,)),
    "key": (np.dtype(np.uint32), (4,)),
}
_MIX_FORM = {
    "source": (np.dtype(np.int32), ()),
    "mode": (np.dtype(np.uint8), ()),
    "weight": (np.dtype(np.float32), ()),
    "rect_px": (np.dtype(np.int32), (4,)),
    "offset_px": (np.dtype(np.int32), (2,)),
}


_INTERPS, _MODES = int(max(Interp)), int(max(MixMode))


def check_plan(in_hw: np.ndarray, inputs: np.ndarray, steps: tuple[Edit | Mix, ...]) -> None:
    """Raise PlanError at the first broken rule."""
    if inputs.shape != (len(in_hw),):
        raise PlanError(f"Plan.inputs must have shape ({len(in_hw)},), got {inputs.shape}.")
    _check_sides("Plan.in_hw", in_hw)
    sizes = in_hw
    for i, step in enumerate(steps):
        name = f"step {i} ({type(step).__name__})"
        if isinstance(step, Edit):
            _check_edit(name, step, sizes)
        elif isinstance(step, Mix):
            _check_mix(name, step, sizes)
        else:
            raise PlanError(f"{name}: a step is an Edit or a Mix.")
        sizes = step.out_hw(sizes)


def _check_form(name: str, step: object, form: dict, lead: tuple[int, int]) -> None:
    for field, (dtype, tail) in form.items():
        array = getattr(step, field)
        if array.dtype != dtype or array.shape != lead + tail:
            raise PlanError(
                f"{name}: {field} must be {dtype} {lead + tail}, got {array.dtype} {array.shape}."
            )


def _check_sides(name: str, size_hw: np.ndarray) -> None:
    _refuse(
        (size_hw < 1) | (size_hw > SIDE_LIMIT), size_hw, name, f"sides must be 1 .. {SIDE_LIMIT} px"
    )


def _refuse(bad: np.ndarray, values: np.ndarray, subject: str | _Some, rule: str) -> None:
    """Raise for the first true entry of `bad`, naming its row and value; of some slots of an edit,
    their place in it."""
    if np.count_nonzero(bad) == 0:  # faster than `any`, and asked twenty times a plan
        return
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    value, name = values[where], subject
    if isinstance(subject, _Some):
        name, place = subject.name, np.unravel_index(subject.at[where[0]], subject.shape)
        where = tuple(int(i) for i in place)
    raise PlanError(f"{name}: {rule}; row {where[0]} has {value} at {where}.")


def _table(*codes: Code) -> np.ndarray:
    """bool [256]: whether a number is one of these codes."""
    return np.isin(np.arange(256), codes)


_CODES = _table(*Code)
_RESIZES = _table(*WARPS, Code.RESIZE)
_MAPS = _table(*WARPS, Code.CLIP)
_BOXES = _table(Code.RESIZE, Code.ERASE)
_TENSOR = _table(Code.TV_WARP)

_TONE_RANGES = (
    ((Code.BRIGHTNESS, Code.CONTRAST, Code.SATURATION, Code.PIL_CONTRAST), 0, 1e4),
    ((Code.TV_BRIGHTNESS, Code.TV_CONTRAST, Code.TV_SATURATION, Code.TV_SHARPNESS), 0, 1e4),
    ((Code.SHARPNESS,), -1e4, 1e4),
    ((Code.HUE,), -0.5, 0.5),
    ((Code.POSTERIZE,), 0, 8),
    ((Code.SOLARIZE,), 0, 256),
    ((Code.SOLARIZE_ADD,), 0, 255),
    ((Code.PIL_BLUR,), 0, 1e3),
    ((Code.BLUR,), 1e-3, 1e3),
    ((Code.NOISE,), 0, 10),
)
"""Codes and what their first parameter may be."""
_LOWEST, _HIGHEST = np.full(256, -np.inf), np.full(256, np.inf)
for _codes, _low, _high in _TONE_RANGES:
    _LOWEST[list(_codes)], _HIGHEST[list(_codes)] = _low, _high


class _Some(NamedTuple):
    """Some slots of an edit, those with certain codes, one after the other.

    Attributes:
        name: of the step.
        at: int64 [n], their places in the edit's slots.
        shape: of the edit's slots.
        code: uint8 [n].
        param: float64 [n, 12].
        interp: uint8 [n].
        before_hw: int32 [n, 2].
        size_hw: int32 [n, 2].
    """

    name: str
    at: np.ndarray
    shape: tuple[int, ...]
    code: np.ndarray
    param: np.ndarray
    interp: np.ndarray
    before_hw: np.ndarray
    size_hw: np.ndarray

    @classmethod
    def of(cls, name: str, step: Edit, before: np.ndarray, table: np.ndarray) -> _Some:
        """The slots whose codes are in a table (bool [256])."""
        at = np.flatnonzero(table[step.code])
        pairs = (array.reshape(-1, 2)[at] for array in (before, step.size_hw))
        flat = (step.code.reshape(-1)[at], step.param.reshape(-1, PARAMS)[at])
        return cls(name, at, step.code.shape, *flat, step.interp.reshape(-1)[at], *pairs)


def _check_edit(name: str, step: Edit, in_hw: np.ndarray) -> None:
    if step.code.ndim != 2 or len(step.code) != len(in_hw):
        raise PlanError(f"{name}: code must be [{len(in_hw)}, K], got shape {step.code.shape}.")
    if step.slots == 0:
        raise PlanError(f"{name}: needs at least one slot, got none. Use Edit.nothing(sizes).")
    _check_form(name, step, _EDIT_FORM, step.code.shape)
    _refuse(~_CODES[step.code], step.code, name, "unknown code")
    _refuse(step.interp > _INTERPS, step.interp, name, "unknown interpolation")
    _refuse(~np.isfinite(step.param), step.param, name, "parameters must be finite")
    _refuse(~np.isfinite(step.fill), step.fill, name, "fill must be finite")
    _check_sides(f"{name}: size_hw", step.size_hw)
    before = np.concatenate([in_hw[:, None], step.size_hw[:, :-1]], axis=1)
    changed = step.size_hw != before
    stray = (changed[..., 0] | changed[..., 1]) & ~_RESIZES[step.code]
    _refuse(stray, step.code, name, "only warps and RESIZE may change the size")
    _check_warps(_Some.of(name, step, before, _MAPS))
    _check_boxes(_Some.of(name, step, before, _BOXES))
    _check_tone(name, step)


def _check_warps(some: _Some) -> None:
    if not len(some.at):
        return
    matrix = some.param[:, :9].reshape(-1, 3, 3)
    w, h = some.size_hw[:, 1], some.size_hw[:, 0]
    reach = np.abs(matrix) @ np.stack([w, h, np.ones_like(w)], axis=-1)[..., None]
    far = (reach[:, 0, 0] >= COORDINATE_LIMIT) | (reach[:, 1, 0] >= COORDINATE_LIMIT)
    _refuse(far, some.code, some, f"warped coordinates must stay below {COORDINATE_LIMIT} px")
    affine = geometry.is_affine(matrix)
    if not affine.all():
        scale = [
            matrix[:, 2, 0] * x + matrix[:, 2, 1] * y + matrix[:, 2, 2]
            for x in (0, w)
            for y in (0, h)
        ]
        behind = np.min(scale, axis=0) <= 1e-3
        _refuse(
            behind, some.code, some, "a perspective must keep the whole output before the camera"
        )
        bent = ((some.code == Code.PIL_WARP) | (some.code == Code.TV_WARP)) & ~affine
        _refuse(bent, some.code, some, "PIL_WARP and TV_WARP must be affine")
    tensor = some.code == Code.TV_WARP
    if tensor.any():
        cubic = tensor & (some.interp == Interp.BICUBIC)
        _refuse(cubic, some.code, some, "TV_WARP is nearest or bilinear, as torchvision's tensors")
        _check_centred(some, tensor)


def _check_centred(some: _Some, tensor: np.ndarray) -> None:
    """Pixels follow a TV_WARP's translation about the centre, targets that about the corner."""
    p = some.param
    half_in, half_out = some.before_hw[:, ::-1] / 2.0, some.size_hw[:, ::-1] / 2.0
    linear = p[:, [0, 1, 3, 4]].reshape(-1, 2, 2)
    turned = (linear @ half_out[..., None])[..., 0]
    apart = np.abs(p[:, [9, 10]] - (p[:, [2, 5]] + turned - half_in)).max(-1)
    wide = 1.0 + half_in.max(-1) + np.abs(turned).max(-1) + np.abs(p[:, [2, 5]]).max(-1)
    _refuse(tensor & (apart > 1e-6 * wide), some.code, some, "a TV_WARP's translations disagree")
    odd = tensor & ~np.isin(p[:, 11], (0, 1))
    _refuse(odd, p[:, 11], some, "a TV_WARP's parameter 11 must be 0 or 1")


def _check_boxes(some: _Some) -> None:
    if not len(some.at):
        return
    resize, erase = some.code == Code.RESIZE, some.code == Code.ERASE
    x0, y0, x1, y1, value, units = some.param[:, :6].T
    left, right = np.minimum(x0, x1), np.maximum(x0, x1)
    top, bottom = np.minimum(y0, y1), np.maximum(y0, y1)
    outside = (left < 0) | (top < 0) | (right > some.before_hw[:, 1])
    outside |= bottom > some.before_hw[:, 0]
    _refuse(resize & outside, some.code, some, "a RESIZE box must lie inside the canvas")
    flat = (x0 == x1) | (y0 == y1)
    _refuse(resize & flat, some.code, some, "a RESIZE box must not be empty")
    _refuse(resize & (some.interp == Interp.NEAREST), some.code, some, "RESIZE is never nearest")
    if not erase.any():
        return
    turned = (x0 > x1) | (y0 > y1)
    _refuse(erase & (outside | turned), some.code, some, "an ERASE must lie inside the canvas")
    odd = ~np.isin(value, list(EraseValue)) | ~np.isin(units, list(EraseUnits))
    _refuse(erase & odd, some.code, some, "unknown ERASE value or units")


def _check_tone(name: str, step: Edit) -> None:
    first, second = step.param[..., 0], step.param[..., 1]
    odd = (first < _LOWEST[step.code]) | (first > _HIGHEST[step.code])
    for codes, low, high in _TONE_RANGES if odd.any() else ():
        bad = odd & np.isin(step.code, codes)
        labels = "/".join(c.name for c in codes)
        _refuse(bad, first, name, f"{labels} needs a parameter in {low} .. {high}")
    bad = (step.code == Code.SOLARIZE_ADD) & ((second < 0) | (second > 256))
    _refuse(bad, second, name, "SOLARIZE_ADD needs a threshold in 0 .. 256")
    blur = step.code == Code.BLUR
    if blur.any():
        bad = blur & ((second % 2 != 1) | (second < 1) | (second > 255))
        _refuse(bad, second, name, "BLUR needs an odd kernel size, 1 .. 255")
    channels = step.code == Code.CHANNELS
    if channels.any():
        shown = step.param[..., :3]
        bad = channels & (np.sort(shown, axis=2) != (0, 1, 2)).any(axis=2)
        _refuse(bad, shown, name, "CHANNELS needs a permutation of 0, 1, 2")


def _check_mix(name: str, step: Mix, in_hw: np.ndarray) -> None:
    if step.source.ndim != 2:
        raise PlanError(f"{name}: source must be [B, S], got shape {step.source.shape}.")
    _check_form(name, step, _MIX_FORM, step.source.shape)
    if step.canvas_hw.shape != (step.rows, 2) or step.fill.shape != (step.rows, 4):
        raise PlanError(f"{name}: canvas_hw must be [B, 2] and fill [B, 4].")
    if step.canvas_hw.dtype != np.int32 or step.fill.dtype != np.float32:
        found = f"{step.canvas_hw.dtype} and {step.fill.dtype}"
        raise PlanError(f"{name}: canvas_hw must be int32 and fill float32, got {found}.")
    _check_sides(f"{name}: canvas_hw", step.canvas_hw)
    _refuse(~np.isfinite(step.fill), step.fill, name, "fill must be finite")
    _refuse(step.mode > _MODES, step.mode, name, "unknown mode")
    used = step.mode != MixMode.SKIP
    _refuse(
        (step.source < 0) | (step.source >= len(in_hw)), step.source, name, "no such source row"
    )
    weight = step.weight
    _refuse(~((weight >= 0) & (weight <= 1)), weight, name, "weights must lie in 0 .. 1")
    x0, y0, x1, y1 = (step.rect_px[..., i] for i in range(4))
    _refuse(used & ((x0 > x1) | (y0 > y1)), step.mode, name, "a rectangle must not be inverted")
    h, w = step.canvas_hw[:, :1], step.canvas_hw[:, 1:]
    out = (x0 < 0) | (y0 < 0) | (x1 > w) | (y1 > h)
    _refuse(used & out, step.mode, name, "a rectangle must lie inside the canvas")
    _check_mask(name, step)
    _check_label(name, step)
    (dx, dy), rows_hw = (step.offset_px[..., i] for i in range(2)), in_hw[step.source]
    out = (x0 - dx < 0) | (y0 - dy < 0) | (x1 - dx > rows_hw[..., 1]) | (y1 - dy > rows_hw[..., 0])
    _refuse(
        used & out & (x1 > x0) & (y1 > y0),
        step.mode,
        name,
        "a rectangle must lie inside its source",
    )


def _check_mask(name: str, step: Mix) -> None:
    masked = step.masked
    if step.mask is None:
        _refuse(masked, step.mode, name, "MASK and UNMASK need a mask")
        return
    need = np.asarray(masked.any(axis=1))
    if not need.any():
        raise PlanError(f"{name}: a mask without MASK or UNMASK must be None. Use Mix.tidy().")
    shape = (step.rows, *step.canvas_hw[need].max(axis=0).tolist())
    if step.mask.dtype != np.uint16 or step.mask.shape != shape:
        found = f"{step.mask.dtype} {step.mask.shape}"
        raise PlanError(f"{name}: mask must be uint16 {shape}, got {found}. Use Mix.tidy().")
    _refuse(step.mask > MASK_ONE, step.mask, name, f"masks must lie in 0 .. {MASK_ONE}")
    faint = masked & (step.weight != 1)
    _refuse(faint, step.weight, name, "MASK and UNMASK need weight 1")
    size_hw = np.where(need[:, None], step.canvas_hw, 0)
    if (size_hw == shape[1:]).all():
        return
    in_y = np.arange(shape[1]) < size_hw[:, :1]
    in_x = np.arange(shape[2]) < size_hw[:, 1:]
    stray = (step.mask != 0) & ~(in_y[:, :, None] & in_x[:, None, :])
    _refuse(stray, step.mask, name, "a mask must be 0 outside the canvas, and where none is used")


def _check_label(name: str, step: Mix) -> None:
    if step.label is None:
        return
    if step.label.dtype != np.float32 or step.label.shape != step.source.shape:
        found = f"{step.label.dtype} {step.label.shape}"
        raise PlanError(f"{name}: label must be float32 {step.source.shape}, got {found}.")
    label = step.label.astype(np.float64)
    free = np.asarray((label == -1).all(axis=1))
    idle = (step.mode == MixMode.SKIP) & (label != 0)
    bad = (
        idle
        | ~((label >= 0) & (label <= 1))
        | (np.abs(label.sum(axis=1, keepdims=True) - 1) > 1e-6)
    )
    _refuse(
        bad & ~free[:, None],
        step.label,
        name,
        "a row's labels must sum to 1, with 0 for SKIP, or be -1, every one",
    )
