"""What a policy does to a detection data set: a contact sheet with boxes, weights and sources."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mixwell._errors import DataError
from mixwell._rng import Keys

if TYPE_CHECKING:
    from mixwell.policy import Policy


@dataclass(frozen=True)
class BoxPreview:
    """What `preview_boxes` wrote and found.

    Attributes:
        sheet: the contact sheet's file.
        boxes_in: boxes of the images that were read.
        boxes_out: boxes drawn.
        lost: what was dropped, by reason.
    """

    sheet: Path
    boxes_in: int
    boxes_out: int
    lost: dict[str, int]


def preview_boxes(
    policy_text: str,
    data: str | Path,
    out: str | Path,
    *,
    images: int = 4,
    copies: int = 3,
    seed: int = 0,
    epoch: int = 0,
) -> BoxPreview:
    """Draw the first images of a detection set, then what a policy makes of them.

    A row of the sheet is an image as it is, and its copies. Colours say the class; captions the
    weight where it is not 1, and the source where there are several.

    Args:
        policy_text: a ready-made policy's name, those of detectors included, made for the shorter
            side of the images; a TOML file, or code such as "Policy(Mosaic(320))".
        data: "embedded", or a folder or file that `load_detection` recognises.
        out: the sheet's file; the suffix decides the format.
        images: how many images are read; they are each other's partners.
        copies: outputs for each image.
        seed: as for `Policy.sample`.
        epoch: for schedules, and for other draws.

    Raises:
        PolicyError: the policy is malformed or does not fit the images.
        DataError: the data set cannot be read, or is empty.
    """
    from mixwell.augment import Augment
    from mixwell.recipes.detection.data import load_detection
    from mixwell.viz import box_sheet

    found = load_detection(data).train
    some = [found[i] for i in range(min(images, len(found)))]
    if not some:
        raise DataError(f"A preview needs images, got none in {data}.")
    pixels, targets = [x for x, _ in some], [_drawable(t) for _, t in some]
    masks: Any = "instance" if all("masks" in t for t in targets) else None
    policy = _policy(policy_text, pixels, flip=str(data) != "embedded")
    augment = Augment(policy, boxes="xyxy", masks=masks, seed=seed)
    rows = [[(x, t)] for x, t in zip(pixels, targets, strict=True)]
    for copy in range(copies):
        index = np.arange(len(some))
        keys = Keys(index, copy=np.full(len(some), copy), epoch=epoch, step=copy)
        made, after = augment(pixels, targets, keys=keys)
        for row, x, t in zip(rows, made, after, strict=False):
            row.append((x, t))
    drawn = [sample for row in rows for sample in row]
    sheet = box_sheet(drawn, found.classes, columns=1 + copies)
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    outputs = [t for row in rows for _, t in row[1:]]
    return BoxPreview(
        path,
        sum(len(t["boxes"]) for t in targets),
        sum(len(t["boxes"]) for t in outputs),
        dict(augment.lost),
    )


def _policy(text: str, images: list[Any], *, flip: bool) -> Policy:
    """A policy of any kind; those of detectors as `mixwell train detect` makes them."""
    from mixwell.policy.presets import parse_policy
    from mixwell.recipes.detection.policies import detection_names, detection_policy

    if text not in detection_names():
        return parse_policy(text)
    side = int(np.median([min(image.shape[-2:]) for image in images]))
    return detection_policy(text, side, square=False, flip=flip)


def _drawable(target: dict[str, Any]) -> dict[str, Any]:
    """The entries that a picture shows."""
    names = ("boxes", "labels", "masks", "iscrowd", "difficult", "image_id")
    return {name: target[name] for name in names if name in target}
