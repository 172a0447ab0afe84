"""Spaces by name: which ops an automatic policy draws from, and what their strengths mean."""

from __future__ import annotations

import difflib

from mixwell._errors import PolicyError
from mixwell.policy.spaces import augmix, native, pba, timm, torchvision, tpu
from mixwell.policy.spaces.base import Entry, Look, Space
from mixwell.policy.spaces.levels import as_text, levels

__all__ = ["SPACES", "Entry", "Look", "Space", "show", "space"]

SPACES: dict[str, Space] = {
    s.name: s for s in (*native.ALL, augmix.AUGMIX, pba.PBA, *torchvision.ALL, *timm.ALL, tpu.TPU)
}


def space(name: str) -> Space:
    """A space by name.

    Raises:
        PolicyError: no such space.
    """
    counted = torchvision.with_bins(str(name)) or timm.with_reach(str(name))
    if counted is not None:
        return counted
    if name not in SPACES:
        close = difflib.get_close_matches(str(name), SPACES, n=2)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise PolicyError(f"No space is called {name!r}; there are {', '.join(SPACES)}.{hint}")
    return SPACES[name]


def show(
    name: str,
    magnitude: float | None = None,
    bins: int | None = None,
    size_hw: tuple[int, int] = (224, 224),
) -> str:
    """What strengths mean in a space: a line for each op, at low, middle and high strength.

    Args:
        name: the space's.
        magnitude: one more column for this magnitude, in bins.
        bins: number of bins that magnitudes count in; None = as is usual in the space.
        size_hw: height and width of the image, px; some translations go by it.

    Raises:
        PolicyError: no such space, or a number that cannot be meant.
    """
    return as_text(levels(space(name), magnitude, bins, size_hw))
