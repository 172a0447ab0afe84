"""`Builder`: collects records and launches while a plan is lowered."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mixwell.plan.steps import Code, Edit, EraseValue, Interp
from mixwell.render.tables import blur_weights
from mixwell.render.triton_gpu import records
from mixwell.render.triton_gpu.ops import Ops, op_records, ops_of
from mixwell.render.triton_gpu.records import Gather


@dataclass(frozen=True)
class Launch:
    """One launch of a kernel.

    Attributes:
        kernel: "taps", "tables", "blur", "passes" or "finish".
        first: number of its first record.
        count: how many of them.
        area: the most elements that a record has to do.
        reach: see `kernels.gather`.
        words: whether a "finish" writes packed pixels.
        loose: whether it sums in float32.
        writes: of "passes", how many records write; the others count.
    """

    kernel: str
    first: int
    count: int
    area: int
    reach: int = 0
    words: bool = False
    loose: bool = False
    writes: int = 0


@dataclass(frozen=True, eq=False)
class Shown:
    """Last passes of rows, not written yet.

    Attributes:
        passes: int64 [N, PASS].
        costly: bool [N].
        reach: see `kernels.gather`.
    """

    passes: np.ndarray
    costly: np.ndarray
    reach: int


@dataclass(frozen=True, eq=False)
class Lowered:
    """A plan for kernels; places and outputs stand in records as numbers, to become addresses.

    Attributes:
        arrays: records by name: passes, ops, axes, blurs, runs, steps, sources, erasings, outputs,
            todo, weights and masks (bytes).
        place_hw: int64 [P, 2], sizes of all places, input rows first.
        place_wide: bool [P], places of a blur's numbers.
        inputs: how many of the places are input rows.
        output_places: int64, for each output record the place it writes, or -1 - b for output b.
        launches: in order.
        histograms: their number.
        tables: their number.
        taps: numbers that taps take.
    """

    arrays: dict[str, np.ndarray]
    place_hw: np.ndarray
    place_wide: np.ndarray
    inputs: int
    output_places: np.ndarray
    launches: tuple[Launch, ...]
    histograms: int
    tables: int
    taps: int


_SHAPES: dict[str, tuple[int, type]] = {
    "passes": (records.PASS, np.int64),
    "ops": (records.OP, np.int64),
    "axes": (records.AXIS, np.int64),
    "blurs": (records.BLUR, np.int64),
    "runs": (records.RUN, np.int64),
    "steps": (2, np.float64),
    "sources": (records.SOURCE, np.int64),
    "erasings": (records.ERASING, np.int64),
    "outputs": (records.OUTPUT, np.int64),
    "todo": (records.TODO, np.int64),
    "weights": (1, np.int32),
    "masks": (1, np.uint8),
}


@dataclass
class Builder:
    """See `Lowered`. What has no order (taps, tables without statistics) is launched first."""

    channels: int
    in_hw: np.ndarray
    _parts: dict[str, list[np.ndarray]] = field(default_factory=lambda: {n: [] for n in _SHAPES})
    _counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SHAPES, 0))
    _launches: list[Launch] = field(default_factory=list)
    _early: list[np.ndarray] = field(default_factory=list)
    _output_places: list[np.ndarray] = field(default_factory=list)
    _histograms: int = 0
    _tables: int = 0
    _taps: int = 0

    def __post_init__(self) -> None:
        """Input rows are the first places."""
        self._hw = [np.asarray(self.in_hw, np.int64).reshape(-1, 2)]
        self._wide = [np.zeros(len(self.in_hw), bool)]
        self._places = len(self.in_hw)

    # Records

    def _add(self, name: str, rows: np.ndarray) -> int:
        """Append records; the number of the first."""
        first = self._counts[name]
        self._parts[name].append(rows)
        self._counts[name] += len(rows)
        return first

    def room(self, hw: np.ndarray, *, wide: bool = False) -> np.ndarray:
        """New places, int64 [n], for rows of these sizes, int64 [n, 2]."""
        first = self._places
        self._hw.append(hw)
        self._wide.append(np.full(len(hw), wide))
        self._places += len(hw)
        return np.arange(first, self._places)

    def sources(self, rows: np.ndarray) -> int:
        """Source records; the number of the first."""
        return self._add("sources", rows)

    def erasings(self, rows: np.ndarray, spans: np.ndarray) -> np.ndarray:
        """Erasing records; `spans`, which counts in them, counted in all."""
        return spans + self._add("erasings", rows)

    def outputs(self, rows: np.ndarray, places: np.ndarray) -> int:
        """Output records and where they go (see `Lowered.output_places`); the first's number."""
        self._output_places.append(places)
        return self._add("outputs", rows)

    def mask(self, mask: np.ndarray) -> int:
        """Masks uint16 [B, H, W]; where they begin, in bytes."""
        return self._add("masks", np.ascontiguousarray(mask).view(np.uint8).ravel())

    def finish(
        self,
        which: np.ndarray,
        hw: np.ndarray,
        reach: int,
        *,
        words: bool = False,
        loose: bool = False,
    ) -> None:
        """Launch some outputs; random erasings need more than `reach` 0."""
        drawn = any((part[:, 4] != EraseValue.CONSTANT).any() for part in self._parts["erasings"])
        reach = max(reach, int(drawn))
        todo = np.zeros((len(which), records.TODO), np.int64)
        todo[:, 0] = which
        first, area = self._add("todo", todo), _most_pixels(hw)
        self._launches.append(
            Launch("finish", first, len(which), area, reach, words=words, loose=loose)
        )

    def settled(self, shown: Shown, often: np.ndarray) -> tuple[np.ndarray, int]:
        """Numbers of the rows' last passes, and what kernels must do for them; those that are
        costly and shown often are written and read back."""
        passes = shown.passes.copy()
        some = np.flatnonzero(shown.costly & often)
        if len(some):
            done = passes[some]
            done[:, 7] = self.room(done[:, 8:10])
            self._launch_passes(done, shown.reach)
            passes[some] = _loads(done[:, 7], done[:, 8:10])
        reach = shown.reach if (passes[:, 11] > passes[:, 10]).any() else 0
        return self._add("passes", passes) + np.arange(len(passes)), reach

    def _launch_passes(self, passes: np.ndarray, reach: int) -> None:
        first, area = self._add("passes", passes), _most_pixels(passes[:, 8:10])
        writes = int((passes[:, 7] >= 0).sum())
        self._launches.append(Launch("passes", first, len(passes), area, reach, writes=writes))

    # Edits

    def edit(self, edit: Edit, rows: np.ndarray, hw: np.ndarray, stop: np.ndarray) -> Shown:
        """An edit of rows that lie at places.

        Args:
            edit: what they undergo.
            rows: int64 [N], places.
            hw: int64 [N, 2], their sizes.
            stop: int64 [N], the slot at which each row ends.
        """
        ops = ops_of(edit, hw, self.channels, stop)
        if not len(ops.row):
            return Shown(_loads(rows, hw), np.zeros(len(rows), bool), 0)
        chain = _Chain.of(ops, len(rows))
        tables = self._tables + np.arange(len(ops.spans))
        self._tables += len(tables)
        steps = self._add("steps", ops.steps)
        runs = np.column_stack([ops.spans + steps, np.full(len(tables), -1), tables])
        taps, (kernels, blurring) = self._resizes(edit, ops), self._kernels(edit, ops)
        first = self._add("ops", op_records(edit, ops, self.channels, tables, taps, kernels))

        # Where each pass reads: its row, or what the pass before it wrote.
        place = rows[ops.row]
        place[chain.written] = self.room(ops.before_hw[chain.written])
        written = place.copy()
        place[blurring] = self.room(ops.before_hw[blurring], wide=True)
        blurs = np.zeros((len(blurring), records.BLUR), np.int64)
        blurs[:, 0], blurs[:, 7] = written[blurring], place[blurring]
        blurs[:, 8:10], blurs[:, 10:12] = ops.before_hw[blurring], kernels
        counts = np.full(len(ops.row), -1)
        counts[ops.statistics] = self._histograms + np.arange(ops.statistics.sum())
        self._histograms += int(ops.statistics.sum())
        runs[ops.run[ops.statistics], 2] = counts[ops.statistics]
        counted = np.zeros(len(tables), bool)
        counted[ops.run[ops.statistics]] = True
        self._early.append(runs[~counted])

        def passes(begin: np.ndarray, past: np.ndarray, row: np.ndarray) -> np.ndarray:
            """Passes from some ops up to others; none where they are the same."""
            busy = begin < past
            at = np.minimum(begin, len(ops.row) - 1)
            made = np.zeros((len(begin), records.PASS), np.int64)
            made[:, 0], made[:, 7] = np.where(busy, place[at], rows[row]), -1
            made[:, 10], made[:, 11], made[:, 13] = begin + first, past + first, -1
            made[:, 12] = np.where(busy, ops.kind[at], Gather.LOAD)
            return made

        for depth in range(chain.depth + 1):
            self._launch_blurs(blurs[chain.number[blurring] == depth])
            at = np.flatnonzero(chain.barrier & (chain.number == depth + 1))
            if not len(at):
                continue
            made = passes(chain.before[at], at, ops.row[at])
            made[:, 7] = np.where(chain.written[at], written[at], -1)
            made[:, 8:10], made[:, 13] = ops.before_hw[at], counts[at]
            self._launch_passes(made, ops.reach)
            self._launch_tables(runs[ops.run[at[ops.statistics[at]]]])

        ends = chain.edges[1:]
        begin = np.where(chain.edges[:-1] < ends, chain.start[np.maximum(ends - 1, 0)], ends)
        final = passes(begin, ends, np.arange(len(rows)))
        final[:, 8:10] = np.where((stop > 0)[:, None], edit.size_hw[:, -1], hw)
        costly = np.append(0, np.cumsum(ops.costly))
        return Shown(final, costly[ends] > costly[begin], ops.reach)

    def _launch_tables(self, runs: np.ndarray) -> None:
        if len(runs):
            self._launches.append(Launch("tables", self._add("runs", runs), len(runs), 1))

    def _launch_blurs(self, blurs: np.ndarray) -> None:
        if len(blurs):
            first, area = self._add("blurs", blurs), _most_pixels(blurs[:, 8:10])
            self._launches.append(Launch("blur", first, len(blurs), area))

    def _resizes(self, edit: Edit, ops: Ops) -> np.ndarray:
        """Axes of all RESIZEs; int64 [Z, 4] for their records."""
        at = np.flatnonzero(ops.code == Code.RESIZE)
        row, slot = ops.row[at], ops.slot[at]
        box, size = edit.param[row, slot, :4], edit.size_hw[row, slot].astype(np.int64)
        cubic = edit.interp[row, slot] == Interp.BICUBIC
        across = records.axes(box[:, 0], box[:, 2], size[:, 1], cubic)
        down = records.axes(box[:, 1], box[:, 3], size[:, 0], cubic)
        both = np.stack([across, down], axis=1).reshape(-1, records.AXIS)
        room = both[:, 6] * (both[:, 8] + 1)
        both[:, 9] = self._taps + np.cumsum(room) - room
        self._taps += int(room.sum())
        self._add("axes", both)
        return both[:, [9, 8]].reshape(-1, 4)

    def _kernels(self, edit: Edit, ops: Ops) -> tuple[np.ndarray, np.ndarray]:
        """Weights of all BLURs: int64 [Y, 2] for their records, and which ops they are."""
        at = np.flatnonzero(ops.code == Code.BLUR)
        made = np.zeros((len(at), 2), np.int64)
        for i, (sigma, size) in enumerate(edit.param[ops.row[at], ops.slot[at], :2].tolist()):
            weights = blur_weights(sigma, int(size)).astype(np.int32)
            made[i] = self._add("weights", weights), len(weights)
        return made, at

    def done(self) -> Lowered:
        """Everything, early launches first."""
        early = []
        axes = self._counts["axes"]
        if axes:
            longest = max(int(part[:, 6].max(initial=0)) for part in self._parts["axes"])
            early.append(Launch("taps", 0, axes, longest))
        runs = np.concatenate(self._early) if self._early else np.zeros((0, records.RUN), np.int64)
        if len(runs):
            early.append(Launch("tables", self._add("runs", runs), len(runs), 1))
        arrays = {}
        for name, (width, kind) in _SHAPES.items():
            empty = np.zeros((0, width) if width > 1 else 0, kind)
            arrays[name] = np.concatenate([empty, *self._parts[name]])
        return Lowered(
            arrays=arrays,
            place_hw=np.concatenate(self._hw),
            place_wide=np.concatenate(self._wide),
            inputs=len(self.in_hw),
            output_places=np.concatenate(self._output_places),
            launches=(*early, *self._launches),
            histograms=self._histograms,
            tables=self._tables,
            taps=self._taps,
        )


@dataclass(frozen=True, eq=False)
class _Chain:
    """How ops fall into passes; a barrier is an op for which something must be done first.

    Attributes:
        edges: int64 [N + 1], where rows begin in the list of ops.
        barrier: bool [M].
        written: bool [M], barriers in front of which pixels are written; passes begin here.
        number: int64 [M], barriers in the row up to here.
        start: int64 [M], the op that begins the pass of each op.
        before: int64 [M], the op that begins the pass that ends in front of each op.
        depth: the most barriers in a row.
    """

    edges: np.ndarray
    barrier: np.ndarray
    written: np.ndarray
    number: np.ndarray
    start: np.ndarray
    before: np.ndarray
    depth: int

    @classmethod
    def of(cls, ops: Ops, rows: int) -> _Chain:
        """Chains of some ops."""
        every = np.arange(len(ops.row))
        edges = np.cumsum(np.append(0, np.bincount(ops.row, minlength=rows)))
        begins = np.zeros(len(every), bool)
        begins[edges[:-1][edges[:-1] < edges[1:]]] = True
        moves = (ops.kind != Gather.LOAD) & ~begins
        # A statistic counts without writing if nothing costly lies between it and the last op that
        # had to read what was written.
        costs = np.cumsum(ops.costly) - ops.costly
        since = np.maximum.accumulate(np.where(begins | moves, every, 0))
        written = moves | (ops.statistics & (costs > costs[since]))
        barrier = moves | ops.statistics
        so_far = np.cumsum(barrier)
        number = so_far - (so_far - barrier)[edges[ops.row]]
        start = np.maximum.accumulate(np.where(begins | written, every, 0))
        before = np.where(begins, every, start[np.maximum(every - 1, 0)])
        return cls(edges, barrier, written, number, start, before, int(number.max(initial=0)))


def _loads(places: np.ndarray, hw: np.ndarray) -> np.ndarray:
    """Passes that only read places."""
    made = np.zeros((len(places), records.PASS), np.int64)
    made[:, 0], made[:, 7], made[:, 13] = places, -1, -1
    made[:, 8:10] = hw
    return made


def _most_pixels(hw: np.ndarray) -> int:
    return int(hw.astype(np.int64).prod(axis=1).max(initial=1))
