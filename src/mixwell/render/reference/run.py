"""The reference renderer's frame: steps in order, slots in order, rows in groups.

Within a slot, rows with the same code, sizes and interpolation are done as one batch; rows with
NOTHING are not touched. uint8 stays uint8 between ops, uint16 is carried as int32, floats as
float32. Two things make a row *loose* (float32 in the kind's own units, neither rounded nor
clipped): a `Mix` after which nothing but erasing follows in that row, if the output is floating,
and an ERASE in normalised units, from its slot on. Tone ops and filters refuse loose rows.

A row's pixels depend on its own slots and sources alone, never on its neighbours in the batch: a
plan may be split in any way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import RenderError
from mixwell.plan.geometry import is_affine, is_lattice
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, Edit, EraseUnits, Interp, Mix
from mixwell.render.images import TOP, Batch
from mixwell.render.reference import library
from mixwell.render.reference.finish import Output, finish
from mixwell.render.reference.mixing import mix
from mixwell.render.reference.resize import resize
from mixwell.render.reference.rows import Numbers, Rows, rectangles, working
from mixwell.render.reference.warp import clip, warp


def run(batch: Batch, plan: Plan, output: Output) -> Tensor | list[Tensor]:
    """All of a plan: what comes out is finished, but neither stacked nor padded on request."""
    rows = working(batch.images, batch.kind)
    sizes = plan.in_hw
    for i, step in enumerate(plan.steps):
        if isinstance(step, Mix):
            rows = mix(rows, step, output.floating & _only_erasing(step, plan.steps[i + 1 :]))
        else:
            rows = run_edit(rows, step, sizes, output)
        sizes = step.out_hw(sizes)
    out = finish(rows, output)
    taken = batch.images if isinstance(batch.images, list) else [batch.images]
    given = {_storage(image) for image in taken}
    if isinstance(out, Tensor):
        return _apart(out, given)
    return [_apart(image, given) for image in out]


def run_edit(rows: Rows, edit: Edit, in_hw: np.ndarray, output: Output) -> Rows:
    """All slots of an edit.

    Args:
        rows: images of sizes `in_hw`.
        edit: what each row undergoes.
        in_hw: int32 [N, 2], px.
        output: where it is going; normalised erasing asks for its mean and std.
    """
    before = in_hw
    for slot in range(edit.slots):
        parts = [
            (group, _apply(rows, trait, group, edit, slot, output))
            for trait, group in _groups(rows, edit, slot, before).items()
        ]
        rows = rows.replaced(parts, rows.loose | _normalized(edit, slot))
        before = edit.size_hw[:, slot]
    return rows


class _Trait(NamedTuple):
    """What rows must share to be done together."""

    code: int
    interp: int
    affine: int
    normalized: int
    loose: int
    in_h: int
    in_w: int
    out_h: int
    out_w: int


def _groups(rows: Rows, edit: Edit, slot: int, before: np.ndarray) -> dict[_Trait, np.ndarray]:
    """Rows that can be done together, by what they share; rows at rest are left out."""
    busy = np.flatnonzero(edit.code[:, slot] != Code.NOTHING)
    code, interp = edit.code[busy, slot], edit.interp[busy, slot]
    matrix = edit.param[busy, slot, :9].reshape(-1, 3, 3)
    exact = (code == Code.WARP) & is_lattice(matrix)
    affine = is_affine(matrix) & np.isin(code, (Code.WARP, Code.CLIP))
    numbers = _normalized(edit, slot)[busy], rows.loose[busy]
    sizes = before[busy], edit.size_hw[busy, slot]
    interp = np.where(exact, Interp.NEAREST, interp)
    traits = np.column_stack([code, interp, affine, *numbers, *sizes]).astype(np.int64)
    found: dict[_Trait, list[int]] = {}
    for row, trait in zip(busy.tolist(), traits.tolist(), strict=True):
        found.setdefault(_Trait(*trait), []).append(row)
    return {trait: np.array(members) for trait, members in found.items()}


def _apply(
    rows: Rows, trait: _Trait, group: np.ndarray, edit: Edit, slot: int, output: Output
) -> Tensor:
    """One op on rows that share a trait."""
    numbers = Numbers(rows.kind, bool(trait.loose))
    images = rows.take(group, numbers)
    param, fill = edit.param[group, slot], edit.fill[group, slot]
    out_hw = trait.out_h, trait.out_w
    if trait.code == Code.WARP:
        return warp(numbers, images, param, out_hw, trait.interp, fill)
    if trait.code in (Code.PIL_WARP, Code.TV_WARP):
        code = Code(trait.code)
        return library.warp(code, numbers, images, param, out_hw, trait.interp, fill)
    if trait.code == Code.RESIZE:
        return resize(numbers, images, param, out_hw, trait.interp)
    if trait.code == Code.CLIP:
        return clip(numbers, images, param, fill)
    if trait.code == Code.ERASE:
        return _erase(numbers, images, group, edit, slot, output)
    if numbers.loose:
        raise RenderError(
            f"{Code(trait.code).name} cannot follow an erasing in normalised units, whose values "
            f"leave the image's range (row {group[0]}). Put the erasing last."
        )
    return _tone(Code(trait.code), images, group, edit, slot, rows.kind, output)


def _tone(
    code: Code, images: Tensor, group: np.ndarray, edit: Edit, slot: int, kind: str, output: Output
) -> Tensor:
    from mixwell.render.reference.tone import TONE_OPS

    return TONE_OPS[code](
        images,
        edit.param[group, slot],
        fill=edit.fill[group, slot],
        key=edit.key[group, slot],
        kind=kind,
        mean=output.mean,
        std=output.std,
    )


def _erase(
    numbers: Numbers, images: Tensor, group: np.ndarray, edit: Edit, slot: int, output: Output
) -> Tensor:
    """Erasing; for loose rows the values are painted on a blank image of their own kind first.

    So an ERASE in the image's units writes the same on loose rows as on others.
    """
    normalized = bool(_normalized(edit, slot)[group[0]])
    if normalized and (output.mean is None or not output.floating):
        raise RenderError(
            f"erasing in normalised units (row {group[0]}) needs mean, std and a floating dtype. "
            "Give mean= and std=, or erase in the image's own units."
        )
    if not normalized and not numbers.loose:
        return _tone(Code.ERASE, images, group, edit, slot, numbers.kind, output)
    kind = "float" if normalized else numbers.kind
    blank = torch.zeros(images.shape, dtype=Numbers(kind).dtype, device=images.device)
    painted = _tone(Code.ERASE, blank, group, edit, slot, kind, output).float()
    painted = painted * (TOP[numbers.kind] / TOP[kind])
    inside = rectangles(np.rint(edit.param[group, slot, :4]), images)
    return torch.where(inside, painted, images.float())


def _normalized(edit: Edit, slot: int) -> np.ndarray:
    """bool [N]: rows that this slot erases in normalised units."""
    units = edit.param[:, slot, 5] == EraseUnits.NORMALIZED
    return (edit.code[:, slot] == Code.ERASE) & units


def _only_erasing(step: Mix, later: tuple[Edit | Mix, ...]) -> np.ndarray:
    """bool [B]: outputs of a mix of which nothing in the later steps reads a pixel."""
    idle = np.ones(step.rows, bool)
    for after in later:
        if isinstance(after, Mix):
            return np.zeros(step.rows, bool)
        idle &= np.isin(after.code, (Code.NOTHING, Code.ERASE)).all(axis=1)
    return idle


def _storage(image: Tensor) -> int:
    return image.untyped_storage().data_ptr()


def _apart(out: Tensor, given: set[int]) -> Tensor:
    """A result that shares no memory with an input: a caller may change it in place."""
    return out.clone() if _storage(out) in given else out
