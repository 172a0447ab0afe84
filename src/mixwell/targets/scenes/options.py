"""What boxes and keypoints look like in samples, and which of them are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from mixwell._errors import TargetError
from mixwell.plan.follow import MIN_VISIBILITY

BoxFormat = Literal["xyxy", "xywh", "cxcywh", "xyxyxyxy", "cxcywhr", "xywhr"]
"""
| format     | a box                                                                        |
| ---------- | ---------------------------------------------------------------------------- |
| "xyxy"     | left, top, right, bottom                                                     |
| "xywh"     | left, top, width, height                                                     |
| "cxcywh"   | centre x, centre y, width, height                                            |
| "xyxyxyxy" | four corners of an oriented box, in order around it                          |
| "cxcywhr"  | centre, width, height, counter-clockwise angle in degrees                    |
| "xywhr"    | the corner that is left top before turning, width, height, angle             |
"""

MaskKind = Literal["instance", "polygons", "semantic", "layers"]
"""
| kind       | a target's                                                                     |
| ---------- | ------------------------------------------------------------------------------ |
| "instance" | "masks", [n, H, W], not 0 where a thing is                                     |
| "polygons" | "polygons", for each thing a list of rings [V, 2] or [x0, y0, x1, y1, ...], px |
| "semantic" | "masks", class numbers [H, W]; or that alone, without a dict                   |
| "layers"   | the same, and outputs may be blends, see `LayeredMasks`                        |
"""

PER_BOX = (
    *("labels", "label", "category_id", "iscrowd", "ignore", "difficult", "truncated", "occluded"),
    *("area", "areas", "id", "ids", "box_ids", "instance_ids", "track_id", "track_ids", "scores"),
    *("attributes", "weights", "source"),
)
"""Entries of a target that are known to hold one value for each box."""

PER_IMAGE = (
    *("image_id", "file_name", "filename", "path", "size", "orig_size", "height", "width"),
    *("sources", "shares", "caption", "dataset"),
)
"""Entries of a target that are known to speak of the whole image."""


@dataclass(frozen=True)
class Boxes:
    """How boxes are written, and which are kept: `Augment(policy, boxes=Boxes("xyxy"))`.

    Args:
        format: see `BoxFormat`.
        normalized: coordinates, those of polygons too, are parts of the image's width and height,
            0 .. 1.
        min_visibility: 0 .. 1: a box is dropped if less than this part of its area is visible,
            after a mix or at the end. 0 keeps whatever has any area.
        min_area: px, of the visible box at the end.
        min_side: px, of the visible box's shorter side at the end.
        tight: with instance masks or polygons, boxes are the rectangles around what is left of them
            at the end.
        invalid: what to do with boxes that are inverted, without area or not finite: "raise", or
            "drop" them, counted.
        per_box: further entries of a target that hold one value for each box.
        per_image: further entries that speak of the whole image.

    Raises:
        TargetError: an option out of its range.
    """

    format: BoxFormat = "xyxy"
    normalized: bool = False
    min_visibility: float = MIN_VISIBILITY
    min_area: float = 0.0
    min_side: float = 1.0
    tight: bool = False
    invalid: Literal["raise", "drop"] = "raise"
    per_box: tuple[str, ...] = ()
    per_image: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the options."""
        if self.format not in get_args(BoxFormat):
            raise TargetError(
                f"boxes must be one of {', '.join(get_args(BoxFormat))}, got {self.format!r}."
            )
        if not 0.0 <= self.min_visibility <= 1.0:
            raise TargetError(f"min_visibility must lie in 0 .. 1, got {self.min_visibility}.")
        for name in ("min_area", "min_side"):
            if not getattr(self, name) >= 0.0:
                raise TargetError(f"{name} must be at least 0 px, got {getattr(self, name)}.")
        if self.invalid not in ("raise", "drop"):
            raise TargetError(f'invalid must be "raise" or "drop", got {self.invalid!r}.')

    @property
    def oriented(self) -> bool:
        """Whether boxes are turned rectangles."""
        return self.format in ("xyxyxyxy", "cxcywhr", "xywhr")

    def is_per_box(self, name: str) -> bool:
        """Whether an entry is known to hold one value for each box."""
        return name in self.per_box or (name in PER_BOX and name not in self.per_image)

    def is_per_image(self, name: str) -> bool:
        """Whether an entry is known to speak of the whole image."""
        return name in self.per_image or (name in PER_IMAGE and name not in self.per_box)


@dataclass(frozen=True)
class Keypoints:
    """How keypoints are written: `Augment(policy, keypoints=Keypoints(flip_pairs=[(1, 2)]))`.

    A target's "keypoints" are [n, K, 2] (x, y) or [n, K, 3] (x, y, visibility: 0 not labelled, 1
    hidden, 2 visible, as COCO), n things of K points each. A point that leaves the image, or that
    another image covers, gets visibility 0; without that column it stays where it falls.

    Args:
        flip_pairs: places that change their meaning in a mirror, such as left and right eye.
        normalized: coordinates are parts of the image's width and height, 0 .. 1.

    Raises:
        TargetError: pairs that are none, or a place in two of them.
    """

    flip_pairs: tuple[tuple[int, int], ...] = ()
    normalized: bool = False

    def __post_init__(self) -> None:
        """Check the pairs."""
        pairs = tuple(tuple(int(i) for i in pair) for pair in self.flip_pairs)
        places = [place for pair in pairs for place in pair]
        if any(len(pair) != 2 for pair in pairs) or len(set(places)) != len(places):
            raise TargetError(
                "flip_pairs must be pairs of different places, each place in one pair at most, got "
                f"{self.flip_pairs!r}."
            )
        if any(place < 0 for place in places):
            raise TargetError(f"flip_pairs count places from 0, got {self.flip_pairs!r}.")
        object.__setattr__(self, "flip_pairs", pairs)

    def swapped(self, count: int) -> list[int]:
        """For each of `count` places, the one that takes it in a mirror."""
        order = list(range(count))
        for a, b in self.flip_pairs:
            if max(a, b) >= count:
                raise TargetError(f"flip_pairs name place {max(a, b)}, got {count} keypoints.")
            order[a], order[b] = b, a
        return order
