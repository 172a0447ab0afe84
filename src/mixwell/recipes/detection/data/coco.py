"""COCO's JSON: boxes, crowds, outlines or runs, keypoints.

Category numbers may have gaps; sorted, they become labels 1 .. K, and `category_ids` leads back.

References:
    T.-Y. Lin et al. Microsoft COCO: Common Objects in Context. 2014, arXiv 1405.0312.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from mixwell import DataError
from mixwell.recipes.detection.data.files import shorten, text_of, upright_size
from mixwell.recipes.detection.data.segments import Outlines, Runs, Segment
from mixwell.recipes.detection.data.sets import (
    EMPTY,
    MISSING,
    FileSet,
    Ledger,
    Record,
    Thing,
    make_record,
)

UNKNOWN_IMAGE = "annotation of an image that is not listed"
_LISTS = ("images", "annotations", "categories")
_TRIED = 20


def read_coco(
    annotations: str | Path,
    images: str | Path | None = None,
    *,
    keep_empty: bool = True,
    masks: bool = True,
) -> FileSet:
    """A set in COCO's format.

    Args:
        annotations: the JSON file with images, annotations and categories.
        images: the folder that its file names start from; looked for near the file where None.
        keep_empty: whether images without annotations stay, as images without objects.
        masks: whether outlines and runs are decoded to masks, where every object has them.

    Raises:
        DataError: a file is missing or damaged, or the images are not found.
    """
    path = Path(annotations)
    content = load_json(path)
    categories = _categories(content["categories"], path)
    folder = Path(images) if images is not None else _image_folder(path, content["images"])
    ledger = Ledger()
    things = _things(content, categories, path, ledger)
    records = []
    for entry in content["images"]:
        record = _record(entry, folder, things, path, ledger, keep_empty)
        if record is not None:
            records.append(record)
    names = [categories[number][1] for number in categories]
    return FileSet("coco", names, records, ledger, category_ids=list(categories), masks=masks)


def load_json(path: Path) -> dict[str, Any]:
    """The content of a COCO file, its three lists checked.

    Raises:
        DataError: the file is missing, no JSON, or lacks one of the lists.
    """
    try:
        content = json.loads(text_of(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(
            f"A COCO file must be JSON, got {type(error).__name__} for {path}: {error}. Fetch it "
            "again or repair it."
        ) from None
    missing = [k for k in _LISTS if not isinstance(content, dict) or not _is_list(content.get(k))]
    if missing:
        raise DataError(
            f"A COCO file needs the lists {', '.join(_LISTS)}, got none for {', '.join(missing)} "
            f"in {path}. Give the ground truth (instances_*.json), not results or captions."
        )
    return content


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _categories(entries: list[dict[str, Any]], path: Path) -> dict[int, tuple[int, str]]:
    """Category number -> (label, name), by number."""
    named = {
        _whole(_get(e, "id", path), "category id", path): _get(e, "name", path) for e in entries
    }
    if len(named) != len(entries) or len(set(map(str, named.values()))) != len(entries):
        raise DataError(
            f"Categories need numbers and names of their own, got {len(entries)} categories with "
            f"{len(named)} numbers in {path}. Merge those that are the same."
        )
    return {number: (k, str(named[number])) for k, number in enumerate(sorted(named), 1)}


def _image_folder(path: Path, entries: list[dict[str, Any]]) -> Path:
    """Where the images named by a COCO file are: the nearest usual place that holds one of them."""
    home, above = path.parent, path.parent.parent
    split = path.stem.removeprefix("instances_")
    places = [home, home / "images", home / split, home / "images" / split]
    places += [above / split, above / "images" / split, above / "images", above]
    names = [str(entry.get("file_name", "")) for entry in entries[:_TRIED]]
    for place in dict.fromkeys(places):
        if any(name and (place / name).is_file() for name in names):
            return place
    raise DataError(
        f"The images of {path} were looked for in {shorten(dict.fromkeys(places), 8)}, got none of "
        f"{shorten(names, 3)}. Give their folder: read_coco(..., images=folder)."
    )


def _record(
    entry: dict[str, Any],
    folder: Path,
    things: dict[int, list[Thing]],
    path: Path,
    ledger: Ledger,
    keep_empty: bool,
) -> Record | None:
    number = _whole(_get(entry, "id", path), "image id", path)
    name = str(_get(entry, "file_name", path))
    image = folder / name
    if not image.is_file():
        ledger.skip(MISSING, name)
        return None
    found = things.get(number, [])
    if not found and not keep_empty:
        ledger.skip(EMPTY, name)
        return None
    height, width = entry.get("height"), entry.get("width")
    if height and width:
        size_hw = _whole(height, "height", path), _whole(width, "width", path)
    else:
        size_hw = upright_size(image)
    return make_record(image, number, size_hw, found, ledger)


def _things(
    content: dict[str, Any], categories: dict[int, tuple[int, str]], path: Path, ledger: Ledger
) -> dict[int, list[Thing]]:
    """The objects of each image, in the file's order."""
    listed = {entry.get("id") for entry in content["images"]}
    if len(listed) != len(content["images"]):
        raise DataError(
            f"Images need numbers of their own, got {len(listed)} for {len(content['images'])} in "
            f"{path}. Number them anew, their annotations too."
        )
    things = defaultdict(list)
    for entry in content["annotations"]:
        name = f"annotation {entry.get('id')}"
        image = _get(entry, "image_id", path)
        if image not in listed:
            ledger.skip(UNKNOWN_IMAGE, name)
            continue
        category = _get(entry, "category_id", path)
        if category not in categories:
            raise DataError(
                f"A category_id must be one of the file's {len(categories)} categories, got "
                f"{category!r} for {name} in {path}. Add the category or remove the annotation."
            )
        things[image].append(_thing(entry, categories[category][0], name, path))
    return things


def _thing(entry: dict[str, Any], label: int, name: str, path: Path) -> Thing:
    x, y, width, height = _numbers(_get(entry, "bbox", path), 4, f"bbox of {name}", path)
    area = entry.get("area")
    keypoints = entry.get("keypoints")
    if keypoints is not None:
        flat = _numbers(keypoints, None, f"keypoints of {name}", path, groups=3)
        keypoints = np.array(flat, np.float32).reshape(-1, 3)
    return Thing(
        label=label,
        box=(x, y, x + width, y + height),
        name=name,
        crowd=bool(entry.get("iscrowd", 0)),
        area=None if area is None else _numbers([area], 1, f"area of {name}", path)[0],
        segment=_segment(entry.get("segmentation"), f"segmentation of {name}", path),
        keypoints=keypoints,
    )


def _segment(value: object, name: str, path: Path) -> Segment | None:
    if not value:
        return None
    if isinstance(value, dict):
        counts = value.get("counts")
        height, width = _numbers(value.get("size"), 2, f"size of {name}", path)
        if not isinstance(counts, str):
            counts = [int(c) for c in _numbers(counts, None, f"counts of {name}", path)]
        return Runs(counts, (int(height), int(width)))
    parts = value if isinstance(value, list) else []
    outlines = []
    for part in parts:
        flat = _numbers(part, None, name, path, groups=2)
        if len(flat) < 6:
            raise DataError(
                f"An outline needs at least 3 points, got {len(flat) // 2} in the {name} in "
                f"{path}. Correct or remove it."
            )
        outlines.append(np.array(flat).reshape(-1, 2))
    if not outlines:
        raise DataError(
            f"A segmentation is a list of outlines or a dict of runs, got {type(value).__name__} "
            f"for the {name} in {path}. Correct or remove it."
        )
    return Outlines(tuple(outlines))


def _numbers(
    value: object, count: int | None, name: str, path: Path, groups: int = 1
) -> list[float]:
    """A list of finite numbers, `count` of them, or a multiple of `groups`."""
    good = isinstance(value, list) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value
    )
    if not good or (len(value) != count if count is not None else len(value) % groups):  # type: ignore[arg-type]
        wanted = f"{count} numbers" if count is not None else f"numbers in groups of {groups}"
        raise DataError(
            f"The {name} must be {wanted}, got {str(value)[:60]} in {path}. Correct or remove it."
        )
    return list(value)  # type: ignore[arg-type]


def _get(entry: dict[str, Any], key: str, path: Path) -> Any:
    if key not in entry:
        raise DataError(
            f"An entry of a COCO file needs {key}, got only {shorten(entry)} in {path}. Complete "
            f"the entry {str(entry)[:80]}."
        )
    return entry[key]


def _whole(value: object, name: str, path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise DataError(
            f"An {name} must be a whole number, got {value!r} in {path}. Number the entries."
        )
    return int(value)
