"""A space: the named ops that an automatic policy draws from, and what a strength means for each.

"Magnitude 9" means different things in different libraries. Here a policy knows strengths t alone,
0 .. 1 for each image, and the space turns a strength into a physical level (degrees, px, factors)
and the level into a plan step. So one `RandAugment` serves all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mixwell.plan.steps import GEOMETRIC, PARAMS, Code, Edit, Interp
from mixwell.policy.base import Rows
from mixwell.policy.fields import Fill, fill_levels

LevelOf = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(t float64 [n], sign float64 [n] of -1 and 1, size_hw int32 [n, 2]) -> level float64 [n]."""

Drawn = tuple[Code | np.ndarray, np.ndarray]
"""A code, one for all rows or uint8 [n], and its first m parameters, float64 [n, m]."""

Build = Callable[[Rows, np.ndarray], Drawn]
"""(rows, level float64 [n]) -> codes and parameters of a slot; interpolation and fill follow."""

_MOVES = np.isin(np.arange(256), GEOMETRIC)


@dataclass(frozen=True)
class Fixed:
    """Builds slots of one code whose parameters are the level, or none: `Build`.

    Attributes:
        code: the code.
        params: 0 or 1.
    """

    code: Code
    params: int

    def __call__(self, rows: Rows, level: np.ndarray) -> Drawn:
        """The code, and the level as its parameter."""
        return self.code, level[:, None][:, : self.params]


@dataclass(frozen=True)
class Entry:
    """One op of a space.

    Attributes:
        level: what a strength means; unsigned ops do not look at the sign.
        drawn: code and parameters for a level.
        signed: whether the level takes its sign at random.
        unit: of the level, for tables that people read: "degrees", "px", "factor", "bits", ...
        random: whether `drawn` draws numbers of its own from the rows.
    """

    level: LevelOf
    drawn: Build
    signed: bool = False
    unit: str = ""
    random: bool = False

    def build(self, rows: Rows, level: np.ndarray) -> Edit:
        """An edit of one slot for levels float64 [n], still without interpolation and fill."""
        edit = Edit.nothing(rows.size_hw)
        code, param = self.drawn(rows, level)
        edit.code[:, 0], edit.param[:, 0, : param.shape[1]] = code, param
        return edit


@dataclass(frozen=True)
class Space:
    """Named ops with their levels.

    Attributes:
        name: by which a policy refers to it.
        summary: whose it is and what is special about it.
        entries: the ops in the library's order.
        bins: how many magnitudes people count in this space, for tables that they read. What
            counts in a policy is its own number of bins.
        beyond: whether strengths above 1 have levels too.
    """

    name: str
    summary: str
    entries: dict[str, Entry]
    bins: int = 31
    beyond: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the ops, in order."""
        return tuple(self.entries)

    def slot(
        self, rows: Rows, names: tuple[str, ...], which: np.ndarray, t: np.ndarray, look: Look
    ) -> Edit:
        """One slot in which every row has its own op.

        Args:
            rows: the rows; "sign" and "interp" are drawn from them.
            names: ops to choose from.
            which: int64 [N], each row's place in `names`; -1 = nothing happens.
            t: float64 [N], strengths 0 .. 1.
            look: interpolation and fill of geometric ops.
        """
        return self.slots([rows], names, [which], [t], look)

    def slots(
        self,
        parts: Sequence[Rows],
        names: tuple[str, ...],
        which: Sequence[np.ndarray],
        t: Sequence[np.ndarray],
        look: Look,
    ) -> Edit:
        """Slots in order, in each of which every row has its own op; see `slot`.

        Ops of a space keep sizes, so all slots are made at once, op by op.

        Args:
            parts: for each slot the same rows, with draws of its own.
            names: ops to choose from.
            which: for each slot int64 [N].
            t: for each slot float64 [N].
            look: interpolation and fill of geometric ops.
        """
        edit, n = Edit.nothing(parts[0].size_hw, len(parts)), len(parts[0])
        chosen, entries = np.concatenate(which), [self.entries[name] for name in names]
        order, edges = _grouped(chosen, len(names))
        strength = np.concatenate(t)[order]
        sign = np.concatenate([part.draws.sign("sign") for part in parts])[order]
        size_hw = parts[0].size_hw[order % max(n, 1)]
        codes = [e.drawn.code if isinstance(e.drawn, Fixed) else 0 for e in entries]
        code = np.array(codes, np.uint8)[chosen[order]]
        param = np.zeros((len(order), PARAMS))
        for start, stop in _alike(entries):
            entry, some = entries[start], slice(edges[start], edges[stop])
            if some.start == some.stop or getattr(entry.drawn, "params", 1) == 0:
                continue
            level = entry.level(strength[some], sign[some], size_hw[some])
            if isinstance(entry.drawn, Fixed):
                param[some, 0] = level
                continue
            if entry.random:
                _draw_slot_by_slot(entry, parts, order[some], level, code[some], param[some])
                continue
            rows = Rows(size_hw[some], parts[0].draws)
            code[some], found = entry.drawn(rows, level)
            param[some, : found.shape[1]] = found
        slot, row = np.divmod(order, max(n, 1))
        edit.code[row, slot], edit.param[row, slot] = code, param
        look.apply(parts, edit)
        return edit


def _alike(entries: Sequence[Entry]) -> Iterator[tuple[int, int]]:
    """Runs of entries that differ in nothing but their code: first, and the one behind the last."""
    start = 0
    for stop in range(1, len(entries) + 1):
        if stop < len(entries):
            a, b = entries[start], entries[stop]
            fixed = isinstance(a.drawn, Fixed) and isinstance(b.drawn, Fixed)
            if fixed and a.level is b.level:
                continue
        yield start, stop
        start = stop


def _grouped(which: np.ndarray, count: int) -> tuple[np.ndarray, list[int]]:
    """Places in order of their op, without those of -1, and where each op's places begin."""
    order = np.argsort(which.astype(np.int16), kind="stable")
    edges = np.cumsum(np.bincount(which + 1, minlength=count + 1))
    return order[edges[0] :], (edges - edges[0]).tolist()


def _draw_slot_by_slot(
    entry: Entry,
    parts: Sequence[Rows],
    places: np.ndarray,
    level: np.ndarray,
    code: np.ndarray,
    param: np.ndarray,
) -> None:
    """Fill in an op that draws numbers: each slot's rows have their own."""
    n = len(parts[0])
    for k, part in enumerate(parts):
        mine = np.flatnonzero(places // n == k)
        code[mine], found = entry.drawn(part.take(places[mine] - k * n), level[mine])
        param[mine, : found.shape[1]] = found


@dataclass(frozen=True)
class Look:
    """How geometric ops read between pixels and what they show outside the image.

    Attributes:
        interp: an interpolation, or "random": bilinear or bicubic, drawn for each op.
        fill: level(s), in the image's units.
    """

    interp: str
    fill: Fill

    def apply(self, rows: Rows | Sequence[Rows], edit: Edit) -> None:
        """Set both where an edit moves pixels, and the fill where it erases.

        Args:
            rows: the rows, with draws for each slot of the edit.
            edit: changed in place.
        """
        parts = [rows] if isinstance(rows, Rows) else rows
        moving, levels = _MOVES[edit.code], fill_levels(self.fill)
        if levels.any():
            edit.fill[moving | (edit.code == Code.ERASE)] = levels
        else:
            unfilled = edit.code == Code.TV_WARP
            edit.param[unfilled, 11] = 1.0  # torchvision's fill=None
        if self.interp == "random":
            cubic = np.stack([part.draws.bernoulli("interp", 0.5) for part in parts], axis=1)
            chosen = np.where(cubic, Interp.BICUBIC, Interp.BILINEAR).astype(np.uint8)
            edit.interp[moving] = chosen[moving]
        else:
            edit.interp[moving] = Interp[self.interp.upper()]
