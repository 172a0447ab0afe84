"""`Outlines`: where things are in the rows of a plan, as convex polygons that steps move and cut.

A box enters as its four corners. Each canvas that it passes cuts it; its xyxy is taken once, at the
end. So a box that leaves the image and comes back has lost what was cut off, as its pixels have,
and a turned box is not enclosed again and again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields, replace

import numpy as np

from mixwell.plan import polygons


@dataclass(frozen=True, eq=False)
class Outlines:
    """M polygons on N rows.

    Attributes:
        row: int64 [M], the row of the plan's present step that a polygon is on.
        origin: int64 [M], which of the first polygons it comes from.
        points: float64 [M, V, 2], what is visible: cut by every canvas, px.
        whole: float64 [M, F, 2], the same movements without cutting.
        weight: float64 [M], 0 .. 1, what mixing left of it.
        upright: bool [M], polygons that are rectangles along the axes.
        slanted: bool [M], what began as a polygon: its corners say where it is, not its extent.
        mirrored: bool [M], an odd number of flips so far.
        marks: float64 [M, K, 2], points that move along: keypoints.
        seen: bool [M, K], marks that no canvas cut off and nothing covers; on an edge they count
            as inside, so that a mirror loses none.
        parent: int64 [M], its place among the outlines before the last mix; -1: no mix so far.
        via: int64 [M], as which source the last mix has drawn it; -1: no mix so far.
        lost: what was dropped so far, by reason.
    """

    row: np.ndarray
    origin: np.ndarray
    points: np.ndarray
    whole: np.ndarray
    weight: np.ndarray
    upright: np.ndarray
    slanted: np.ndarray
    mirrored: np.ndarray
    marks: np.ndarray
    seen: np.ndarray
    parent: np.ndarray
    via: np.ndarray
    lost: Counter[str] = field(default_factory=Counter)

    @classmethod
    def start(
        cls,
        row: np.ndarray,
        points: np.ndarray,
        in_hw: np.ndarray,
        *,
        marks: np.ndarray | None = None,
        seen: np.ndarray | None = None,
    ) -> Outlines:
        """Polygons on a plan's input rows, cut by their images.

        Args:
            row: int64 [M].
            points: float64 [M, V, 2], or boxes [M, 4] as xyxy, px.
            in_hw: int [N, 2], sizes of the rows, px.
            marks: float64 [M, K, 2]; None: there are none.
            seen: bool [M, K]; None: all are.
        """
        row = np.asarray(row, np.int64)
        points = np.asarray(points, np.float64)
        upright = np.full(len(row), points.ndim == 2)
        points = polygons.of_boxes(points) if points.ndim == 2 else points
        marks = np.zeros((len(row), 0, 2)) if marks is None else np.asarray(marks, np.float64)
        made = cls(
            row=row,
            origin=np.arange(len(row)),
            points=points,
            whole=points,
            weight=np.ones(len(row)),
            upright=upright,
            slanted=~upright,
            mirrored=np.zeros(len(row), bool),
            marks=marks,
            seen=np.ones(marks.shape[:2], bool) if seen is None else np.asarray(seen, bool),
            parent=np.full(len(row), -1),
            via=np.full(len(row), -1),
        )
        return made.on_canvas(np.asarray(in_hw).reshape(-1, 2)[row])

    def __len__(self) -> int:
        """Number of polygons, M."""
        return len(self.row)

    def take(self, some: np.ndarray, why: str = "") -> Outlines:
        """Some of the polygons (indices, or bool [M]); what is left out is counted under `why`."""
        index = np.flatnonzero(some) if some.dtype == bool else some
        lost = self.lost + Counter({why: len(self) - len(index)}) if why else self.lost
        if some.dtype == bool and len(index) == len(self):
            return self
        arrays = [f.name for f in fields(self) if f.name != "lost"]
        return Outlines(**{name: getattr(self, name)[index] for name in arrays}, lost=lost)

    def on_rows(self, rows: np.ndarray) -> Outlines:
        """Those on some rows (int64 [n], perhaps repeated), which are then 0 .. n - 1."""
        order = np.argsort(self.row, kind="stable")
        start = np.searchsorted(self.row[order], rows, "left")
        count = np.searchsorted(self.row[order], rows, "right") - start
        new = np.repeat(np.arange(len(rows)), count)
        place = np.arange(len(new)) - np.repeat(np.cumsum(count) - count, count)
        return replace(self.take(order[np.repeat(start, count) + place]), row=new)

    def on_canvas(self, size_hw: np.ndarray) -> Outlines:
        """Cut by canvases, int [M, 2], one for each polygon."""
        size = size_hw.astype(np.float64)
        box = np.concatenate([np.zeros_like(size), size[:, ::-1]], axis=1)
        points = polygons.within(self.points, box, self.upright)
        inside = ((self.marks >= 0) & (self.marks <= box[:, None, 2:])).all(axis=-1)
        return replace(self, points=points, seen=self.seen & inside)

    def moved(self, m: np.ndarray) -> Outlines:
        """Through matrices float64 [M, 3, 3], from where they are to where they go."""
        points = polygons.before_horizon(self.points, m)
        affine = (m[:, 2] == (0.0, 0.0, 1.0)).all(axis=1)
        along = (m[:, 0, 1] == 0) & (m[:, 1, 0] == 0)
        across = (m[:, 0, 0] == 0) & (m[:, 1, 1] == 0)
        return replace(
            self,
            points=polygons.mapped(points, m),
            whole=polygons.mapped(self.whole, m),
            upright=self.upright & affine & (along | across),
            mirrored=self.mirrored ^ (np.linalg.det(m) < 0),
            marks=polygons.mapped(self.marks, m),
            seen=self.seen & self._before(m),
        )

    def _before(self, m: np.ndarray) -> np.ndarray:
        """bool [M, K]: marks that a perspective shows."""
        x, y = self.marks[..., 0], self.marks[..., 1]
        w = m[:, None, 2, 0] * x + m[:, None, 2, 1] * y + m[:, None, 2, 2]
        return w >= polygons.HORIZON

    def clipped(self, m: np.ndarray, size_hw: np.ndarray) -> Outlines:
        """Cut by canvases float64 [M, 2] that are seen through matrices [M, 3, 3]."""
        points = polygons.within_canvas(self.points, m, size_hw)
        there = polygons.mapped(self.marks, m)
        inside = ((there >= 0) & (there <= size_hw[:, None, ::-1])).all(axis=-1)
        still = (points.shape == self.points.shape) and np.array_equal(points, self.points)
        upright = self.upright if still else self.upright & ~_changed(self.points, points)
        return replace(self, points=points, upright=upright, seen=self.seen & inside)

    def put(self, rows: np.ndarray, part: Outlines) -> Outlines:
        """These polygons with others in some places (indices)."""
        if len(rows) == len(self):
            return replace(part, lost=self.lost)
        vertices = max(self.points.shape[1], part.points.shape[1])
        out = {}
        for name in ("row", "points", "whole", "upright", "mirrored", "marks", "seen", "weight"):
            old, new = getattr(self, name), getattr(part, name)
            if name == "points":
                old, new = polygons.padded(old, vertices), polygons.padded(new, vertices)
            out[name] = old.copy()
            out[name][rows] = new
        return replace(self, **out)

    def xyxy(self) -> np.ndarray:
        """float64 [M, 4]: the boxes that enclose what is visible, px."""
        return polygons.extents(self.points)

    def visibility(self) -> np.ndarray:
        """float64 [M]: visible area / area of the uncut polygon; 0 where there is none."""
        whole = polygons.areas(self.whole)
        return polygons.areas(self.points) / np.where(whole > 0, whole, np.inf)


def _changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """bool [M]: polygons that differ."""
    most = max(before.shape[1], after.shape[1])
    return (polygons.padded(before, most) != polygons.padded(after, most)).any(axis=(1, 2))
