"""YOLO's text files: one for each image, a line for each object, everything in fractions.

A line is `class cx cy w h`, or an outline `class x1 y1 x2 y2 x3 y3 ...`; classes count from 0. The
labels of `.../images/a/b.jpg` are `.../labels/a/b.txt`, or stand beside the image. An image without
a label file is one without objects, as in this format's tools; it is noted. Class names stand in
data.yaml, classes.txt or obj.names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mixwell import DataError
from mixwell.recipes.detection.data import small_yaml
from mixwell.recipes.detection.data.files import (
    image_files,
    is_image,
    shorten,
    text_of,
    upright_size,
)
from mixwell.recipes.detection.data.segments import Outlines
from mixwell.recipes.detection.data.sets import FileSet, Ledger, Thing, make_record

NO_LABELS = "no label file: taken as an image without objects"
LABELS_ONLY = "label file without image"
NAME_FILES = ("classes.txt", "obj.names")
SPLITS = ("train", "val", "test")
_SLACK = 0.01
"""Fractions may lie outside 0 .. 1 by this much: rounded ones do."""


class Layout(NamedTuple):
    """Where a YOLO data set keeps things.

    Attributes:
        root: its folder.
        classes: names, in order.
        splits: split -> folders and lists of images; {"": [root]} where there are none.
    """

    root: Path
    classes: tuple[str, ...]
    splits: dict[str, list[Path]]


def find_layout(path: str | Path) -> Layout | None:
    """How a folder, or a data.yaml, keeps YOLO data; None where it does not look like any.

    Raises:
        DataError: a data.yaml with names that cannot be read.
    """
    path = Path(path)
    if path.is_file():
        return _from_yaml(path) if path.suffix in (".yaml", ".yml") else None
    for file in sorted([*path.glob("*.yaml"), *path.glob("*.yml")]):
        layout = _from_yaml(file)
        if layout is not None:
            return layout
    for name in NAME_FILES:
        for folder in (path, path / "labels"):
            if (folder / name).is_file():
                lines = text_of(folder / name).splitlines()
                names = tuple(line.strip() for line in lines if line.strip())
                return Layout(path, names, _folder_splits(path))
    return None


def read_yolo(
    path: str | Path, split: str | None = None, *, classes: Sequence[str] | None = None
) -> FileSet:
    """A set in YOLO's format.

    Args:
        path: a data.yaml, or the folder that holds it, classes.txt or obj.names.
        split: "train", "val" or "test"; None reads all images there are.
        classes: names, where no file holds them.

    Raises:
        DataError: a file is missing or damaged, or a class number has no name.
    """
    layout = find_layout(path)
    if layout is None and classes is not None and Path(path).is_dir():
        layout = Layout(Path(path), tuple(classes), _folder_splits(Path(path)))
    if layout is None:
        raise DataError(
            f"A YOLO set needs its class names in data.yaml, {' or '.join(NAME_FILES)}, got none "
            f"in {path}. Add the file, or give classes=."
        )
    if split is not None and split not in layout.splits:
        raise DataError(
            f"The split {split!r} is not in {path}, which has {shorten(layout.splits)}. Name one "
            "of these, or read all (split=None)."
        )
    places = [p for name, p in layout.splits.items() if split in (None, name)]
    names = tuple(classes or layout.classes)
    ledger = Ledger()
    pictures = dict.fromkeys(picture for group in places for picture in _pictures(group))
    records = []
    for picture in pictures:
        size_hw = upright_size(picture)
        things = _things(picture, size_hw, names, ledger)
        records.append(make_record(picture, len(records), size_hw, things, ledger))
    _lone_labels(pictures, ledger)
    return FileSet("yolo", names, records, ledger)


def _from_yaml(path: Path) -> Layout | None:
    """The layout that a data.yaml describes; None where it has no names."""
    content = small_yaml.parse(text_of(path), path)
    names = content.get("names")
    if not names:
        return None
    if "kpt_shape" in content:
        raise DataError(
            f"YOLO labels are read as boxes and outlines, got keypoints (kpt_shape) in {path}. "
            "Convert the set to COCO's format."
        )
    classes = _names(names, path)
    root = path.parent
    splits = {}
    for split in SPLITS:
        value = content.get(split) or content.get("valid" if split == "val" else split)
        if value:
            entries = value if isinstance(value, list) else [value]
            splits[split] = [_found(root, content.get("path"), str(e), path) for e in entries]
    return Layout(root, classes, splits or _folder_splits(root))


def _names(names: small_yaml.Value, path: Path) -> tuple[str, ...]:
    if isinstance(names, str):
        return (names,)
    if isinstance(names, list):
        return tuple(names)
    wanted = [str(k) for k in range(len(names))]
    if set(names) != set(wanted):
        raise DataError(
            f"names need the numbers 0 .. {len(names) - 1}, got {shorten(names)} in {path}. "
            "Number them without gaps."
        )
    return tuple(names[number] for number in wanted)


def _found(root: Path, base: object, entry: str, path: Path) -> Path:
    """The folder or list that a split's entry means, read from where the data.yaml lies."""
    bases = [root / str(base), root] if base else [root]
    tails = [entry, entry.removeprefix("../")]  # exporters write the latter as the former
    for place in (base / tail for tail in tails for base in bases):
        if place.exists():
            return place
    raise DataError(
        f"Every split of a data.yaml must be there, got no {entry!r} for {path}. Correct the "
        "entry or its `path`; paths start at the file's own folder."
    )


def _folder_splits(root: Path) -> dict[str, list[Path]]:
    """Splits by folder name: images/train or train/images or train."""
    splits = {}
    for split in SPLITS:
        for name in (split, "valid") if split == "val" else (split,):
            places = (root / "images" / name, root / name / "images", root / name)
            place = next((p for p in places if p.is_dir()), None)
            if place is not None and split not in splits:
                splits[split] = [place]
    images = root / "images"
    return splits or {"": [images if images.is_dir() else root]}


def _pictures(places: list[Path]) -> list[Path]:
    out = []
    for place in places:
        if place.is_dir():
            out += image_files(place, deep=True)
            continue
        for line in filter(None, map(str.strip, text_of(place).splitlines())):
            picture = place.parent / line
            if not is_image(picture):
                raise DataError(
                    f"Every line of {place} must name an image, got {line!r}. Correct the line; "
                    "paths start at the list's own folder."
                )
            out.append(picture)
    return out


def _label_file(picture: Path) -> Path:
    """Where an image's labels are, or would be."""
    parts = picture.parts
    if "images" in parts[:-1]:
        last = len(parts) - 2 - parts[:-1][::-1].index("images")
        swapped = Path(*parts[:last], "labels", *parts[last + 1 :]).with_suffix(".txt")
        if swapped.is_file():
            return swapped
    beside = picture.parent / "labels" / f"{picture.stem}.txt"
    return beside if beside.is_file() else picture.with_suffix(".txt")


def _lone_labels(pictures: dict[Path, None], ledger: Ledger) -> None:
    """Skip the label files of these folders that belong to no image."""
    used = {_label_file(picture) for picture in pictures}
    for folder in sorted({path.parent for path in used if path.is_file()}):
        stray = {p for p in folder.glob("*.txt") if p.name not in NAME_FILES} - used
        for path in sorted(stray):
            if not any(is_image(p) for p in _image_candidates(path, pictures)):
                ledger.skip(LABELS_ONLY, path.name)


def _image_candidates(label: Path, pictures: dict[Path, None]) -> list[Path]:
    """Where an image of another split could be."""
    suffixes = {picture.suffix for picture in pictures}
    folder = Path(*("images" if part == "labels" else part for part in label.parent.parts))
    return [home / f"{label.stem}{s}" for home in (folder, label.parent) for s in suffixes]


def _things(
    picture: Path, size_hw: tuple[int, int], classes: Sequence[str], ledger: Ledger
) -> list[Thing]:
    path = _label_file(picture)
    if not path.is_file():
        ledger.note(NO_LABELS, picture.name)
        return []
    things = []
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if line.strip():
            things.append(_thing(line.split(), size_hw, classes, f"{path}, line {number}"))
    return things


def _thing(words: list[str], size_hw: tuple[int, int], classes: Sequence[str], name: str) -> Thing:
    try:
        index, values = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        index, values = -1, [math.nan]
    count = len(values)
    if not all(map(math.isfinite, values)) or (count != 4 and (count < 6 or count % 2)):
        raise DataError(
            "A YOLO line is `class cx cy w h` or `class x1 y1 x2 y2 x3 y3 ...`, got "
            f"{' '.join(words)[:60]!r} in {name}. Correct or remove it."
        )
    if not 0 <= index < len(classes):
        raise DataError(
            f"A class must be 0 .. {len(classes) - 1} (there are {len(classes)} names), got "
            f"{index} in {name}. Add the name or correct the line."
        )
    if min(values) < -_SLACK or max(values) > 1 + _SLACK:
        raise DataError(
            f"YOLO's numbers are fractions of the image, 0 .. 1, got {min(values):g} .. "
            f"{max(values):g} in {name}. Divide px by the image's width and height."
        )
    height, width = size_hw
    if count == 4:
        cx, cy, w, h = values
        box = (cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width
        return Thing(index + 1, (*box, (cy + h / 2) * height), name)
    points = np.array(values).reshape(-1, 2) * (width, height)
    x0, y0, x1, y1 = (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
    return Thing(index + 1, (x0, y0, x1, y1), name, segment=Outlines((points,)))
