"""`SceneForm`: which targets for detection and segmentation an `Augment` makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.plan import polygons
from mixwell.plan.follow import Follow, Things, follow
from mixwell.plan.outlines import Outlines
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Edit, Mix
from mixwell.targets.scenes.classes import (
    Layered,
    class_maps,
    heaviest,
    layered,
    nothing,
    semantic,
    together,
)
from mixwell.targets.scenes.masks import follow_instances
from mixwell.targets.scenes.options import Boxes, BoxFormat, Keypoints, MaskKind
from mixwell.targets.scenes.read import Reader, Scene, mask_boxes
from mixwell.targets.scenes.rings import Rings, follow_rings, ring_area, ring_boxes
from mixwell.targets.scenes.tally import Tally
from mixwell.targets.scenes.write import Writer, as_like, owners, stacked

MIXING = ("weights", "source", "sources", "shares")
PLACES = {
    "boxes": 'boxes="xyxy"',
    "masks": 'masks="instance"',
    "polygons": 'masks="polygons"',
    "keypoints": "keypoints=True",
}
"""Entries that would be wrong if they stayed as they are, and how each is declared."""
MADE = (*PLACES, *MIXING, "area")
"""Entries that follow rules of their own."""

Shapes = list[Tensor] | list[Rings]
"""Of each thing its mask, uint8 [H, W], or its polygons."""


@dataclass(frozen=True)
class SceneForm:
    """Targets of each image are a dict, as torchvision's detectors take them.

    Attributes:
        boxes: how "boxes" are written; None: there are none.
        masks: see `MaskKind`; None: there are none.
        keypoints: how "keypoints" are written; None: there are none.
        ignore_index: of class maps, where no image is.
        mixes: the training policy mixes, so targets say weights and sources.
        tally: counts what is left out.

    Raises:
        TargetError: another kind of masks, or boxes that shall fit masks without masks.
    """

    boxes: Boxes | None = None
    masks: MaskKind | None = None
    keypoints: Keypoints | None = None
    ignore_index: int = 255
    mixes: bool = False
    tally: Tally = field(default_factory=Tally, compare=False)

    def __post_init__(self) -> None:
        """Check what is declared."""
        if self.masks not in (None, *get_args(MaskKind)):
            kinds = ", ".join(f'"{kind}"' for kind in get_args(MaskKind))
            raise TargetError(f"masks must be one of {kinds}, got {self.masks!r}.")
        if self.boxes is not None and self.boxes.tight and not self.shaped:
            raise TargetError(
                "Boxes(tight=True) fits boxes to instance masks or polygons, got masks="
                f'{self.masks!r}. Declare masks="instance", or leave tight out.'
            )
        if self.boxes is not None and self.boxes.tight and self.boxes.oriented:
            raise TargetError(
                f"Boxes(tight=True) makes upright boxes, got the format {self.boxes.format!r}. "
                'Declare "xyxy", "xywh" or "cxcywh", or leave tight out.'
            )

    @property
    def lost(self) -> Counter[str]:
        """What was left out so far, here and in a DataLoader's workers, by reason (`REASONS`)."""
        return self.tally.counts()

    @property
    def shaped(self) -> bool:
        """Whether things have a shape: instance masks or polygons."""
        return self.masks in ("instance", "polygons")

    @property
    def things(self) -> bool:
        """Whether there is anything with a place: boxes, instances or keypoints."""
        return self.boxes is not None or self.keypoints is not None or self.shaped

    @property
    def maps(self) -> bool:
        """Whether there are class maps."""
        return self.masks in ("semantic", "layers")

    @property
    def reader(self) -> Reader:
        """What reads targets of this form."""
        return Reader(self.boxes, self.masks, self.keypoints)

    def things_of(self, targets: Any, size_hw: np.ndarray) -> Follow | None:
        """Tells a policy where things are behind its steps; None if there are none in this form."""
        if not (self.things or self.maps):
            return None
        scene = self.reader.read(targets, size_hw) if self.things else None
        maps = class_maps(targets, size_hw, self.ignore_index) if self.maps else None

        def behind(steps: Sequence[Edit | Mix]) -> Things:
            classes = None if maps is None else heaviest(maps, steps, self.ignore_index)
            if scene is None:
                empty = Outlines.start(np.zeros(0), np.zeros((0, 4)), size_hw)
                return Things(empty, None, classes, placed=False)
            items, shapes = self._followed(scene, steps)
            stencils = [mask.numpy() for mask in shapes if isinstance(mask, Tensor)]
            return Things(items, stencils if self.masks == "instance" else None, classes)

        return behind

    def make(self, targets: Any, plan: Plan, *, training: bool = True) -> Any:
        """Targets of a plan's outputs.

        Args:
            targets: of the plan's N input rows, a dict each; class maps, if there is nothing else.
            plan: what the images undergo.
            training: whether mixing is on, so that weights are said.

        Raises:
            TargetError: targets that do not fit the form or the plan.
        """
        if not self.things:
            return self._classes(targets, plan, training)
        scene = self.reader.read(targets, plan.in_hw)
        self.tally.add(scene.lost)
        items, shapes = self._kept(scene, plan)
        writer = Writer(scene, items, plan)
        mixed = plan.sources() if self.mixes and training else None
        made = [self._written(writer, b, shapes, mixed) for b in range(len(plan))]
        if self.maps:
            for target, found in zip(made, self._maps(targets, plan, training), strict=True):
                target |= _entries(found)
        return made

    def stacked(self, made: Any) -> Any:
        """Class maps of images that are one tensor as one tensor too."""
        plain = self.maps and isinstance(made, list)
        return together(made) if plain and not any(isinstance(m, Mapping) for m in made) else made

    def _kept(self, scene: Scene, plan: Plan) -> tuple[Outlines, Shapes]:
        """What is left at the end, by output, and its shapes."""
        items, shapes = self._followed(scene, plan.steps)
        items = replace(items, parent=np.arange(len(items)))
        if self.shaped:
            shown = [bool(one.any()) if isinstance(one, Tensor) else bool(one) for one in shapes]
            items = items.take(np.array(shown, bool), "empty mask")
        if self.boxes is not None:
            items = _visible(items, self.boxes)
            if self.boxes.tight and len(items):
                items = _tightened(items, [shapes[i] for i in items.parent.tolist()])
            items = _large(items, self.boxes)
        self.tally.add(items.lost)
        kept: Any = [shapes[i] for i in items.parent.tolist()] if self.shaped else []
        return items, kept

    def _followed(self, scene: Scene, steps: Sequence[Edit | Mix]) -> tuple[Outlines, Shapes]:
        """Things behind some steps, and their shapes if they have any."""
        least = 0.0 if self.boxes is None else self.boxes.min_visibility
        items = scene.outlines()
        if self.masks == "instance":
            return follow_instances(items, _instances(scene), steps, least)
        if self.masks == "polygons":
            return follow_rings(items, scene.rings, steps, scene.size_hw, least)
        items = items.take(polygons.areas(items.points) > 0, "outside")
        return follow(items, steps, min_visibility=least), []

    def _written(self, writer: Writer, b: int, shapes: Shapes, mixed: Any) -> dict[str, Any]:
        """The target of one output."""
        scene, some = writer.scene, writer.some(b)
        if not scene.targets:
            return {}
        own = scene.targets[writer.owner[b]]
        made: dict[str, Any] = {}
        for name, value in own.items():
            if name in MADE and self._makes(name, mixed is not None):
                continue
            made[name] = self._carried(writer, b, name, value)
        hw = tuple(writer.out_hw[b].tolist())
        if self.boxes is not None:
            made["boxes"] = writer.boxes(b, self.boxes, own["boxes"])
        if self.masks == "instance":
            masks: Any = [shapes[i] for i in some.tolist()]
            made["masks"] = stacked(masks, own["masks"], hw)
        if self.masks == "polygons":
            normalized = self.boxes is not None and self.boxes.normalized
            made["polygons"] = writer.polygons(b, cast("list[Rings]", shapes), normalized)
        if self.keypoints is not None:
            made["keypoints"] = writer.keypoints(b, self.keypoints, own["keypoints"])
        if "area" in own and self._makes("area", False):
            made["area"] = self._area(writer, b, shapes, own["area"])
        if mixed is not None:
            made |= self._mixing(writer, b, own, mixed)
        return {name: made[name] for name in [*own, *made] if name in made}

    def _makes(self, name: str, mixed: bool) -> bool:
        """Whether an entry with rules of its own is declared; those of mixing are made if `mixed`.

        Raises:
            TargetError: an entry that would have to follow the image is not declared.
        """
        declared = {
            "boxes": self.boxes is not None,
            "masks": self.masks == "instance" or self.maps,
            "polygons": self.masks == "polygons",
            "keypoints": self.keypoints is not None,
            "area": self.boxes is not None or self.shaped,
        }
        if name in PLACES and not declared[name]:
            raise TargetError(
                f'A target holds "{name}", which must follow its image. Declare them, '
                f"Augment(policy, {PLACES[name]}), or leave them out of the samples."
            )
        return declared.get(name, mixed)

    def _carried(self, writer: Writer, b: int, name: str, value: Any) -> Any:
        """An entry that travels along: with its boxes, or with its image."""
        boxes = self.boxes or Boxes()
        single = not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0
        if single or boxes.is_per_image(name) or isinstance(value, str):
            return value
        if not boxes.is_per_box(name):
            raise TargetError(
                f'Does "{name}" hold a value for each box, or one for the image? Declare it: '
                f'Boxes(per_box=("{name}",)) or Boxes(per_image=("{name}",)).'
            )
        return writer.field(b, name)

    def _area(self, writer: Writer, b: int, shapes: Shapes, like: Any) -> Any:
        """Areas in px: of what is left of the shapes, or scaled as the boxes' visible areas."""
        if not self.shaped:
            return writer.area(b, like)
        some = [shapes[i] for i in writer.some(b).tolist()]
        found = [float(s.sum()) if isinstance(s, Tensor) else ring_area(s) for s in some]
        return as_like(np.array(found, float), like, (0, 0))

    def _mixing(self, writer: Writer, b: int, own: Mapping, mixed: Any) -> dict[str, Any]:
        """Weights and sources of one output."""
        some, items = writer.some(b), writer.items
        weight = items.weight[some]
        if "weights" in own:
            before = writer.field(b, "weights")
            weight = weight * np.asarray(torch.as_tensor(before).cpu(), np.float64)
        rows, shares = mixed
        there = shares[b] > 0
        found = {
            "weights": weight.astype(np.float32),
            "source": writer.scene.row[items.origin[some]],
            "sources": rows[b][there].astype(np.int64),
            "shares": shares[b][there].astype(np.float32),
        }
        like = next((own[n] for n in ("boxes", "masks", "keypoints") if n in own), None)
        if isinstance(like, Tensor):
            return {name: torch.from_numpy(v).to(like.device) for name, v in found.items()}
        return found

    def _classes(self, targets: Any, plan: Plan, training: bool) -> Any:
        """Class maps, which stand in place of a dict or in it."""
        found = self._maps(targets, plan, training)
        if not isinstance(targets, list | tuple):  # one tensor or array of all
            layers = self.masks == "layers" and training
            return together(found) if len(found) else nothing(targets[:0], layers=layers)
        if targets and isinstance(targets[0], Mapping):
            own = [targets[b] for b in owners(plan).tolist()]
            for name in {name for target in own for name in target} & {"boxes", "keypoints"}:
                self._makes(name, False)
            return [{**t, **_entries(one)} for t, one in zip(own, found, strict=True)]
        return together(found) if self.masks == "layers" and training else found

    def _maps(self, targets: Any, plan: Plan, training: bool) -> list[Any]:
        """A class map of each output; its layers, where they are declared and may be several."""
        made = layered if self.masks == "layers" and training else semantic
        return list(made(targets, plan, self.ignore_index))


def _entries(found: Any) -> dict[str, Any]:
    """What a target says of its class map."""
    if isinstance(found, Layered):
        return {"masks": found.classes, "mask_shares": found.shares}
    return {"masks": found}


def _instances(scene: Scene) -> list[Tensor]:
    """uint8 [H, W] of each thing: 1 where it is."""
    masks = []
    near: dict[int, Tensor] = {}  # by image, so that a GPU is waited for once for each
    for row, place in zip(scene.row.tolist(), scene.place.tolist(), strict=True):
        if row not in near:
            near[row] = _near(scene.targets[row]["masks"])
        mask = near[row][place]
        size = tuple(scene.size_hw[row].tolist())
        if tuple(mask.shape) != size:
            raise TargetError(
                f"Image {row}: masks must have the image's size {size}, got {tuple(mask.shape)}."
            )
        masks.append((mask != 0).to(torch.uint8))
    return masks


def _near(masks: Any) -> Tensor:
    """Masks of an image as a plain tensor on the CPU."""
    if isinstance(masks, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(masks))
    return masks.detach().cpu().as_subclass(Tensor)


def scene_form(
    boxes: BoxFormat | Boxes | None,
    masks: MaskKind | None,
    keypoints: Keypoints | bool | None,
    ignore_index: Any,
    *,
    mixes: bool,
    num_classes: Any,
) -> SceneForm | None:
    """The form that `Augment`'s arguments declare; None for classification.

    Raises:
        TargetError: classification and places are declared together.
    """
    if boxes is None and masks is None and keypoints in (None, False):
        return None
    if num_classes is not None:
        raise TargetError(
            "boxes, masks and keypoints stand in dicts whose labels are not mixed, so num_classes "
            f"has no meaning beside them, got {num_classes}. Leave it out."
        )
    return SceneForm(
        Boxes(boxes) if isinstance(boxes, str) else boxes,
        masks,
        Keypoints() if keypoints is True else keypoints or None,
        255 if ignore_index is None else ignore_index,
        mixes,
    )


def _visible(items: Outlines, boxes: Boxes) -> Outlines:
    """What is visible enough; the rest is counted."""
    items = items.take(polygons.areas(items.points) > 0, "outside")
    return items.take(items.visibility() >= boxes.min_visibility - 1e-9, "min_visibility")


def _large(items: Outlines, boxes: Boxes) -> Outlines:
    """What is large enough; the rest is counted."""
    items = items.take(polygons.areas(items.points) >= boxes.min_area, "min_area")
    size = items.xyxy()
    side = (size[:, 2:] - size[:, :2]).min(axis=1, initial=np.inf)
    return items.take(side >= boxes.min_side - 1e-9, "min_side")


def _tightened(items: Outlines, shapes: list[Any]) -> Outlines:
    """Boxes as the rectangles around what is left of masks or polygons."""
    if isinstance(shapes[0], Tensor):
        boxes = np.concatenate([mask_boxes(mask[None]) for mask in shapes])
    else:
        boxes = ring_boxes(shapes)
    points = polygons.padded(polygons.of_boxes(boxes), items.points.shape[1])
    return replace(items, points=points, upright=np.ones(len(items), bool))
