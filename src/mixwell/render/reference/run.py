"""The reference renderer's frame: steps in order, slots in order, rows in groups.

Within a slot, rows with the same code, sizes and interpolation are done as one batch; rows with
NOTHING are not touched. uint8 stays uint8 between ops, uint16 is carried as int32, floats as
float32. Two things make rows *loose* (float32 in the kind's own units, neither rounded nor
clipped): a `Mix` after which nothing but erasing follows, if the output is floating, and an ERASE
in normalised units, from its slot on, for the whole batch. Tone ops and filters refuse loose rows.
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
from mixwell.render.reference.finish import Output, finish
from mixwell.render.reference.mixing import mix
from mixwell.render.reference.resize import resize
from mixwell.render.reference.rows import Rows, index, working
from mixwell.render.reference.warp import clip, warp


def run(batch: Batch, plan: Plan, output: Output) -> Tensor | list[Tensor]:
    """All of a plan: what comes out is finished, but neither stacked nor padded on request."""
    rows = working(batch.images, batch.kind)
    sizes = plan.in_hw
    for i, step in enumerate(plan.steps):
        if isinstance(step, Mix):
            rows = mix(rows, step, loose=output.floating and _only_erasing(plan.steps[i + 1 :]))
        else:
            rows = run_edit(rows, step, sizes, output)
        sizes = step.out_hw(sizes)
    out = finish(rows, output)
    if isinstance(out, Tensor) and isinstance(batch.images, Tensor):
        # A caller may change the result in place; the input must not follow.
        return out.clone() if out.data_ptr() == batch.images.data_ptr() else out
    return out


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
            for trait, group in _groups(edit, slot, before).items()
        ]
        if _normalized(edit, slot).any():
            rows = rows.loosened()
            parts = [(group, part.to(torch.float32)) for group, part in parts]
        rows = rows.replaced(parts)
        before = edit.size_hw[:, slot]
    return rows


class _Trait(NamedTuple):
    """What rows must share to be done together."""

    code: int
    interp: int
    affine: int
    normalized: int
    in_h: int
    in_w: int
    out_h: int
    out_w: int


def _groups(edit: Edit, slot: int, before: np.ndarray) -> dict[_Trait, np.ndarray]:
    """Rows that can be done together, by what they share; rows at rest are left out."""
    busy = np.flatnonzero(edit.code[:, slot] != Code.NOTHING)
    code, interp = edit.code[busy, slot], edit.interp[busy, slot]
    matrix = edit.param[busy, slot, :9].reshape(-1, 3, 3)
    exact = (code == Code.WARP) & is_lattice(matrix)
    affine = is_affine(matrix) & np.isin(code, (Code.WARP, Code.CLIP))
    normalized = _normalized(edit, slot)[busy]
    sizes = before[busy], edit.size_hw[busy, slot]
    interp = np.where(exact, Interp.NEAREST, interp)
    traits = np.column_stack([code, interp, affine, normalized, *sizes]).astype(np.int64)
    found: dict[_Trait, list[int]] = {}
    for row, trait in zip(busy.tolist(), traits.tolist(), strict=True):
        found.setdefault(_Trait(*trait), []).append(row)
    return {trait: np.array(members) for trait, members in found.items()}


def _apply(
    rows: Rows, trait: _Trait, group: np.ndarray, edit: Edit, slot: int, output: Output
) -> Tensor:
    """One op on rows that share a trait."""
    images = rows.take(group)
    param, fill = edit.param[group, slot], edit.fill[group, slot]
    out_hw = trait.out_h, trait.out_w
    if trait.code == Code.WARP:
        return warp(rows, images, param, out_hw, trait.interp, fill)
    if trait.code == Code.RESIZE:
        return resize(rows, images, param, out_hw, trait.interp)
    if trait.code == Code.CLIP:
        return clip(rows, images, param, fill)
    if trait.code == Code.ERASE:
        return _erase(rows, images, group, edit, slot, output)
    if rows.loose:
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
    rows: Rows, images: Tensor, group: np.ndarray, edit: Edit, slot: int, output: Output
) -> Tensor:
    """Erasing; on loose rows the values are painted on a blank image of their own kind first.

    So what an ERASE in the image's units writes does not depend on other rows' being loose.
    """
    normalized = bool(_normalized(edit, slot)[group[0]])
    if normalized and (output.mean is None or not output.floating):
        raise RenderError(
            f"erasing in normalised units (row {group[0]}) needs mean, std and a floating dtype. "
            "Give mean= and std=, or erase in the image's own units."
        )
    if not normalized and not rows.loose:
        return _tone(Code.ERASE, images, group, edit, slot, rows.kind, output)
    kind = "float" if normalized else rows.kind
    dtype = {"uint8": torch.uint8, "uint16": torch.int32, "float": torch.float32}[kind]
    blank = torch.zeros(images.shape, dtype=dtype, device=images.device)
    painted = _tone(Code.ERASE, blank, group, edit, slot, kind, output).float()
    painted = painted * (TOP[rows.kind] / TOP[kind])
    x0, y0, x1, y1 = index(np.rint(edit.param[group, slot, :4]), images).T[:, :, None]
    x, y = (torch.arange(size, device=images.device) for size in images.shape[:1:-1])
    in_x, in_y = (x >= x0) & (x < x1), (y >= y0) & (y < y1)
    inside = (in_y[:, :, None] & in_x[:, None, :])[:, None]
    return torch.where(inside, painted, images.float())


def _normalized(edit: Edit, slot: int) -> np.ndarray:
    """bool [N]: rows that this slot erases in normalised units."""
    units = edit.param[:, slot, 5] == EraseUnits.NORMALIZED
    return (edit.code[:, slot] == Code.ERASE) & units


def _only_erasing(steps: tuple[Edit | Mix, ...]) -> bool:
    """Nothing in these steps reads a pixel."""
    return all(
        isinstance(s, Edit) and bool(np.isin(s.code, (Code.NOTHING, Code.ERASE)).all())
        for s in steps
    )
