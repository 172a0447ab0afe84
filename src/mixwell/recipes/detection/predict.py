"""A trained detector on images: annotated pictures, and COCO's JSON of what it found.

The JSON is a whole COCO file (images, annotations with a "score", categories), so that it can be
read as a data set again; its annotations are also COCO's results format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import mixwell as mw
from mixwell.recipes.detection.config import DetectConfig, is_square, resolved
from mixwell.recipes.detection.detect import certain, read_run
from mixwell.recipes.detection.evaluate import Found, predictions
from mixwell.recipes.detection.models import build_detector
from mixwell.recipes.fabric import chosen_device
from mixwell.recipes.models.weights import read_weights
from mixwell.recipes.predicting import MARK, check_free, from_home, image_paths, readable
from mixwell.recipes.runs import parts
from mixwell.viz import draw_boxes

BATCH = 8
"""Images looked at together."""


@dataclass(frozen=True)
class Predicted:
    """What `predict` wrote.

    Attributes:
        json: COCO's file; its file names start from the images' common folder.
        pictures: the annotated images, in order; empty where none were asked for.
        boxes: how many boxes are in the file.
        by_class: how many of each class.
        skipped: files that could not be read, and why.
    """

    json: Path
    pictures: tuple[Path, ...]
    boxes: int
    by_class: dict[str, int]
    skipped: dict[str, str]


def predict(
    run: str | Path,
    images: Sequence[str | Path],
    out: str | Path = "predictions",
    *,
    score_threshold: float | None = None,
    pictures: bool = True,
    device: str = "auto",
    overwrite: bool = False,
) -> Predicted:
    """Find objects on images with a detector that `detect` trained.

    Args:
        run: the folder of the run, or the checkpoint in it.
        images: image files, and folders of such, which are searched to any depth.
        out: folder to write to.
        score_threshold: least score of a box that is written, 0 .. 1; the run's own when None.
        pictures: whether annotated images are written.
        device: auto (cuda where there is one), cpu or cuda.
        overwrite: whether a folder that holds predictions is written over.

    Raises:
        DataError: no run, no images, damaged weights, or a folder that holds predictions.
    """
    config, classes = read_run(run)
    least = config.score_threshold if score_threshold is None else score_threshold
    if not 0 <= least <= 1:
        raise mw.DataError(f"score_threshold must lie in 0 .. 1, got {least}.")
    files, out = image_paths(images), Path(out)
    check_free(out, overwrite=overwrite)
    device = chosen_device(device)
    model = load_detector(run).to(device)
    side = config.image_size if is_square(config.model) else None
    out.mkdir(parents=True, exist_ok=True)
    names = from_home(files)
    entries: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
    drawn, skipped = [], {}
    each = readable(files, skipped)
    while batch := list(islice(each, BATCH)):
        found = predictions(model, [image for _, image in batch], side=side, device=device)
        for (path, image), own in zip(batch, found, strict=True):
            own = certain(own, least)
            number = len(entries["images"]) + 1
            entries["images"].append(_image_entry(number, names[path], image))
            entries["annotations"] += _box_entries(own, number, len(entries["annotations"]))
            if pictures:
                place = out / f"{number:06d}_{path.stem}.png"
                draw_boxes(image, own, classes).save(place)
                drawn.append(place)
    labels = [entry["category_id"] for entry in entries["annotations"]]
    named = [{"id": k, "name": name} for k, name in enumerate(classes, 1)]
    (out / MARK).write_text(json.dumps(entries | {"categories": named}), encoding="utf-8")
    return Predicted(
        out / MARK,
        tuple(drawn),
        len(labels),
        {name: labels.count(k) for k, name in enumerate(classes, 1)},
        skipped,
    )


def load_detector(run: str | Path) -> nn.Module:
    """The detector of a run as its checkpoint has it, in evaluation.

    Args:
        run: the folder of the run, or the checkpoint in it.

    Raises:
        DataError: there is no run, or its checkpoint is missing, damaged or of another model.
    """
    config, classes = read_run(run)
    model = _bare(config, len(classes))
    path = parts(run)[1]
    state = read_weights(path)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        why = str(error).strip().splitlines()[-1].strip()
        raise mw.DataError(
            f"The checkpoint {path} must be of the model {config.model} that config.json names, "
            f"got: {why[:200]} Restore the files that belong together."
        ) from None
    return model.eval()


def _bare(config: DetectConfig, classes: int) -> nn.Module:
    """The model without the weights it started from: the checkpoint has all of them."""
    bare = replace(resolved(config), weights="none", backbone_weights="none", trainable_layers=None)
    with torch.random.fork_rng(devices=[]):
        return build_detector(bare, classes).model


def _image_entry(number: int, path: Path, image: Tensor) -> dict[str, Any]:
    height, width = image.shape[-2:]
    return {"id": number, "file_name": path.as_posix(), "height": height, "width": width}


def _box_entries(found: Found, image_id: int, before: int) -> list[dict[str, Any]]:
    """COCO's annotations of what was found on an image."""
    entries = []
    rows = zip(*(found[name].tolist() for name in ("boxes", "labels", "scores")), strict=True)
    for (x0, y0, x1, y1), label, score in rows:
        box = [x0, y0, x1 - x0, y1 - y0]
        entry = {"id": before + len(entries) + 1, "image_id": image_id, "category_id": label}
        entries.append(entry | {"bbox": box, "area": box[2] * box[3], "iscrowd": 0, "score": score})
    return entries
