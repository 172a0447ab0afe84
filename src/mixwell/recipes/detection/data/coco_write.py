"""Writing COCO's JSON: results to be judged, and ground truth from any detection set."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mixwell import DataError
from mixwell.recipes.detection.data.segments import runs_of_mask, text_of_runs
from mixwell.recipes.detection.data.sets import DetectionSet, FileSet


def write_results(
    path: str | Path, predictions: Mapping[int, Mapping[str, Any]], data: DetectionSet
) -> int:
    """Write predictions as COCO results: one entry for each box.

    Nothing is rounded.

    Args:
        path: the JSON file to write.
        predictions: image_id -> dict of boxes ([n, 4], xyxy px), scores ([n]) and labels ([n],
            from 1), as torchvision's detectors return it.
        data: the set, for its category numbers.

    Returns:
        How many boxes were written.

    Raises:
        DataError: a label that the set does not have, or numbers of boxes, scores and labels that
            differ.
    """
    entries = []
    for image_id, found in predictions.items():
        boxes, scores, labels = (_array(found[key]) for key in ("boxes", "scores", "labels"))
        if not len(boxes) == len(scores) == len(labels):
            raise DataError(
                f"Predictions need one score and one label for each box, got {len(boxes)} boxes, "
                f"{len(scores)} scores and {len(labels)} labels for image {image_id}."
            )
        for box, score, label in zip(_xywh(boxes), scores, labels, strict=True):
            category = _category(int(label), data)
            entry = {"image_id": int(image_id), "category_id": category, "bbox": box}
            entries.append(entry | {"score": float(score)})
    _dump(Path(path), entries)
    return len(entries)


def write_coco(path: str | Path, data: DetectionSet, images: str | Path | None = None) -> int:
    """Write a set's ground truth in COCO's format.

    Masks are written as compressed runs; `difficult` has no place in the format and is left out.

    Args:
        path: the JSON file to write.
        data: any detection set.
        images: a folder to write the images to as PNG, named by image_id. Without it only the JSON
            is written, and names the files that the set reads, from their common folder on.

    Returns:
        How many annotations were written.
    """
    entries: list[dict[str, Any]] = []
    listed = []
    folder = Path(images) if images is not None else None
    names = _file_names(data) if folder is None and isinstance(data, FileSet) else None
    for index in range(len(data)):
        if names is not None and isinstance(data, FileSet):
            target, (height, width) = data.target(index), data.records[index].size_hw
            name = names[index]
        else:
            target, (height, width), name = _made(data, index, folder)
        number = target["image_id"]
        listed.append({"id": number, "file_name": name, "height": height, "width": width})
        for box in _annotations(target, data):
            entries.append({"id": len(entries) + 1, "image_id": number} | box)
    pairs = zip(data.category_ids, data.classes, strict=True)
    categories: list[dict[str, Any]] = [{"id": number, "name": name} for number, name in pairs]
    points = max((len(e.get("keypoints", ())) // 3 for e in entries), default=0)
    if points:
        for category in categories:
            category["keypoints"] = [f"point {k}" for k in range(points)]
    _dump(Path(path), {"images": listed, "annotations": entries, "categories": categories})
    return len(entries)


def _file_names(data: FileSet) -> list[str]:
    """The set's files, from their common folder on."""
    common = Path(os.path.commonpath([record.path.parent for record in data.records]))
    return [record.path.relative_to(common).as_posix() for record in data.records]


def _made(
    data: DetectionSet, index: int, folder: Path | None
) -> tuple[dict[str, Any], tuple[int, int], str]:
    """An image's target, size and file name; the image is written where there is a folder."""
    image, target = data[index]
    height, width = image.shape[1:]
    name = f"{target['image_id']:06d}.png"
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        Image.fromarray(pixels).save(folder / name)
    return target, (height, width), name


def _annotations(target: dict[str, Any], data: DetectionSet) -> list[dict[str, Any]]:
    """What COCO's annotations say of each object, without their numbers."""
    out = []
    for k, box in enumerate(_xywh(_array(target["boxes"]))):
        entry: dict[str, Any] = {
            "category_id": _category(int(target["labels"][k]), data),
            "bbox": box,
            "area": float(target["area"][k]),
            "iscrowd": int(target["iscrowd"][k]),
        }
        if "masks" in target:
            mask = _array(target["masks"][k])
            text = text_of_runs(runs_of_mask(mask))
            entry["segmentation"] = {"counts": text, "size": list(mask.shape)}
        if "keypoints" in target:
            points = _array(target["keypoints"][k])
            entry["keypoints"] = points.astype(np.float64).reshape(-1).tolist()
            entry["num_keypoints"] = int((points[:, 2] > 0).sum())
        out.append(entry)
    return out


def _xywh(boxes: np.ndarray) -> list[list[float]]:
    wide = boxes.astype(np.float64).reshape(-1, 4)
    return np.concatenate([wide[:, :2], wide[:, 2:] - wide[:, :2]], axis=1).tolist()


def _category(label: int, data: DetectionSet) -> int:
    if not 1 <= label <= len(data.category_ids):
        raise DataError(
            f"Labels of this set are 1 .. {len(data.category_ids)} (0 is the background), got "
            f"{label}. Give the set that the model was trained for."
        )
    return data.category_ids[label - 1]


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def _dump(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
