"""From a name or a folder to a training and a validation set."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mixwell import DataError
from mixwell.recipes.detection.data import coco, voc, yolo
from mixwell.recipes.detection.data.embedded import EmbeddedDigits
from mixwell.recipes.detection.data.files import shorten
from mixwell.recipes.detection.data.sets import DetectionSet, FileSet

_SPLIT_NAMES = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_LOOKED_FOR = (
    "COCO: *.json with images, annotations and categories, here, in annotations/ or in "
    "train/ and val/",
    "VOC: *.xml in Annotations/ or annotations/ or beside the images, here or in train/ and val/",
    "YOLO: data.yaml with names, classes.txt or obj.names",
)


@dataclass(frozen=True, eq=False)
class TrainVal:
    """A training set, its validation set, and a test set where the files have one.

    Args:
        train: what to learn from.
        val: what to measure on; same classes.
        name: the data set's name.
        test: what to measure on once, at the end; None where there is none.
        note: one line about how the parts came about, "" where the files say it themselves.

    Raises:
        DataError: the parts have different classes.
    """

    train: DetectionSet
    val: DetectionSet
    name: str
    test: DetectionSet | None = None
    note: str = ""

    def __post_init__(self) -> None:
        """Compare the classes."""
        for part in (self.val, self.test):
            if part is not None and part.classes != self.train.classes:
                differing = set(part.classes) ^ set(self.train.classes)
                raise DataError(
                    f"All parts of {self.name} need the same classes in the same order, got a "
                    f"difference in {shorten(sorted(differing)) if differing else 'their order'}. "
                    "Give all files the same list of classes."
                )

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names without the background: label k is ``classes[k - 1]``."""
        return self.train.classes


def load_detection(
    name_or_path: str | Path, *, val_fraction: float = 0.2, seed: int = 0, **options: Any
) -> TrainVal:
    """Load a detection data set, whatever its format.

    ``"embedded"`` is `EmbeddedDigits`: digits on photographs, made on the fly. A path is recognised
    by what is there: COCO's JSON, Pascal VOC's XML, or YOLO's text files. Sets without a
    validation part lose some of their images to one.

    Args:
        name_or_path: ``"embedded"``, a folder, a COCO JSON file or a data.yaml.
        val_fraction: share of the images that become the validation part where the files have
            none. Whether an image does depends on its name and the seed. Not for ``"embedded"``.
        seed: for this split; and of the images of ``"embedded"``.
        **options: for the reader: see `EmbeddedDigits` (and ``val_images``), `read_coco`,
            `read_voc`, `read_yolo`.

    Raises:
        DataError: nothing is recognised, a file is missing or damaged, an option is unknown, or
            there are too few images to split.
    """
    if str(name_or_path) == "embedded":
        return load_embedded(seed=seed, **options)
    path = Path(name_or_path)
    if not path.exists():
        raise DataError(
            f"load_detection takes 'embedded' or a path that exists, got {str(name_or_path)!r}. "
            "Check the path."
        )
    for find in (_coco_parts, _voc_parts, _yolo_parts):
        parts = find(path, options)
        if parts:
            name = path.name if path.is_dir() else path.parent.name
            return _together(parts, name, val_fraction, seed)
    raise DataError(
        f"load_detection recognises no data set in {path}, got {shorten(_inside(path))}. It looked "
        f"for {'; '.join(_LOOKED_FOR)}. Give the folder that holds these, or call read_coco, "
        "read_voc or read_yolo."
    )


def load_embedded(
    images: int = 2000, val_images: int = 400, *, seed: int = 0, **options: Any
) -> TrainVal:
    """Digits on photographs, the digits of validation not in training; see `EmbeddedDigits`.

    Args:
        images: of the training set.
        val_images: of the validation set.
        seed: another set of images.
        **options: see `EmbeddedDigits`.
    """
    train = EmbeddedDigits(images, "train", seed=seed, **options)
    val = EmbeddedDigits(val_images, "test", seed=seed, **options)
    return TrainVal(train, val, "embedded")


def split_by_name(names: Sequence[str], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Divide images in two by a hash of their names, so that order and neighbours do not matter.

    Args:
        names: of the images.
        fraction: share of the second part, between 0 and 1; both parts get at least one image.
        seed: another division.

    Returns:
        The indices of both parts, ascending.

    Raises:
        DataError: a fraction outside 0 .. 1, or fewer than two images.
    """
    if not 0 < fraction < 1 or len(names) < 2:
        raise DataError(
            f"Splitting needs a val_fraction between 0 and 1 and at least 2 images, got {fraction} "
            f"and {len(names)}."
        )
    rank = [hashlib.sha256(f"{seed}/{name}".encode()).digest() for name in names]
    order = sorted(range(len(names)), key=lambda i: rank[i])
    count = min(max(round(len(names) * fraction), 1), len(names) - 1)
    return sorted(order[count:]), sorted(order[:count])


Parts = dict[str, Callable[[], FileSet]]
"""Split ("train", "val", "test", or "" for all) -> its reader."""


def _together(parts: Parts, name: str, val_fraction: float, seed: int) -> TrainVal:
    read = {split: reader() for split, reader in parts.items()}
    test = read.get("test")
    if "train" in read and "val" in read:
        note = _shared_images(read["train"], read["val"], name)
        return TrainVal(read["train"], read["val"], name, test, note)
    whole = read.get("train") or read.get("") or next(iter(read.values()))
    images = [record.path.name for record in whole.records]
    train, val = split_by_name(images, val_fraction, seed)
    note = (
        f"{name} has no validation part: {len(val)} of {len(images)} images, chosen by name and "
        f"seed {seed}, became it."
    )
    test = None if whole is test else test
    return TrainVal(whole.only(train), whole.only(val), name, test, note)


def _shared_images(train: FileSet, val: FileSet, name: str) -> str:
    """A note where validation shows images of training."""
    both = {r.path.resolve() for r in train.records} & {r.path.resolve() for r in val.records}
    return f"{name} has {len(both)} images in training and in validation." if both else ""


def _coco_parts(path: Path, options: dict[str, Any]) -> Parts | None:
    files = {"": [path]} if path.is_file() and path.suffix == ".json" else _coco_files(path)
    if not files:
        return None
    _accepted(coco.read_coco, options)
    parts = {}
    for split, found in files.items():
        best = [file for file in found if file.stem.startswith("instances")] or found
        if len(best) > 1:
            raise DataError(
                f"A set needs one COCO file for each part, got {shorten(best)}. Give the path of "
                "one file, or use read_coco."
            )
        parts[split] = partial(coco.read_coco, best[0], **options)
    if "train" in parts:
        parts.pop("", None)
    return parts


def _coco_files(root: Path) -> dict[str, list[Path]]:
    """Split -> the COCO files of a folder."""
    found: dict[str, list[Path]] = {}
    loose = sorted([*root.glob("*.json"), *root.glob("annotations/*.json")])
    within = {s: sorted(folder.glob("*.json")) for s, folder in _split_folders(root).items()}
    named = [(_split_in(file.stem), file) for file in loose]
    named += [(split, file) for split, files in within.items() for file in files]
    for split, file in named:
        content = file.read_bytes()
        if all(f'"{key}"'.encode() in content for key in ("images", "annotations", "categories")):
            found.setdefault(split, []).append(file)
    return found


def _split_in(stem: str) -> str:
    """The split that a file's name says: `instances_val2017` -> "val"."""
    words = re.split(r"[^a-z]+", stem.lower())
    return next((s for s, names in _SPLIT_NAMES.items() if any(n in words for n in names)), "")


def _voc_parts(path: Path, options: dict[str, Any]) -> Parts | None:
    if not path.is_dir():
        return None
    years = sorted(p for p in path.glob("VOC20*") if p.is_dir())
    root = years[0] if len(years) == 1 else path
    layout = voc.find_layout(root)
    if layout is not None:
        _accepted(voc.read_voc, options)
        lists = layout.splits
        there = {split for split in _SPLIT_NAMES if lists and (lists / f"{split}.txt").is_file()}
        if "train" in there:
            return {
                s: partial(voc.read_voc, root, s, **options) for s in _SPLIT_NAMES if s in there
            }
        whole = "trainval" if lists and (lists / "trainval.txt").is_file() else None
        return {"": partial(voc.read_voc, root, whole, **options)}
    folders = {s: f for s, f in _split_folders(path).items() if voc.find_layout(f)}
    if not folders:
        return None
    _accepted(voc.read_voc, options)
    options = {"classes": voc.voc_classes(folders.values())} | options
    return {split: partial(voc.read_voc, f, **options) for split, f in folders.items()}


def _yolo_parts(path: Path, options: dict[str, Any]) -> Parts | None:
    layout = yolo.find_layout(path)
    if layout is None:
        return None
    _accepted(yolo.read_yolo, options)
    return {s: partial(yolo.read_yolo, path, s, **options) for s in layout.splits}


def _accepted(reader: Callable[..., Any], options: dict[str, Any]) -> None:
    """Refuse options that the recognised format's reader does not have."""
    kinds = inspect.signature(reader).parameters.values()
    known = [p.name for p in kinds if p.kind is p.KEYWORD_ONLY or p.name == "images"]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise DataError(
            f"{reader.__name__} has the options {', '.join(known)}, got {', '.join(unknown)}. "
            "Leave them out, or check how the folder was recognised."
        )


def _inside(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir()) if path.is_dir() else [path.name]


def _split_folders(root: Path) -> dict[str, Path]:
    """Folders named after splits."""
    found = {}
    for split, names in _SPLIT_NAMES.items():
        there = [root / name for name in names if (root / name).is_dir()]
        if there:
            found[split] = there[0]
    return found
