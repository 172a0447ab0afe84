"""Outputs of several mixes as one mix, masks and labels included."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mixwell.plan.steps import Mix


def merged(parts: list[tuple[Mix, np.ndarray, np.ndarray]], rows: int) -> Mix:
    """A mix of so many outputs from parts of mixes.

    Args:
        parts: (mix, its outputs that are taken, their places in the result); all equally wide.
        rows: number of outputs, each with its place in one part.
    """
    mixes = [mix for mix, _, _ in parts]
    sides = [m.mask.shape[1:] for m in mixes if m.mask is not None]
    blank: dict[str, np.ndarray | None] = {
        "mask": np.zeros((rows, *np.max(sides, axis=0)), np.uint16) if sides else None,
        "label": None,
    }
    if any(m.label is not None for m in mixes):
        blank["label"] = np.full((rows, mixes[0].source.shape[1]), -1, np.float32)
    for f in fields(mixes[0]):
        if f.name not in blank:
            like = getattr(mixes[0], f.name)
            blank[f.name] = np.empty((rows, *like.shape[1:]), like.dtype)
        for mix, taken, places in parts:
            array, out = getattr(mix, f.name), blank[f.name]
            if array is None or out is None:
                continue
            if f.name == "mask":
                out[places, : array.shape[1], : array.shape[2]] = array[taken]
            else:
                out[places] = array[taken]
    return type(mixes[0])(**blank).tidy()  # type: ignore[arg-type]
