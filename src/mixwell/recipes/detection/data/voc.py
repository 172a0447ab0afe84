"""Pascal VOC's XML files: one for each image.

VOC counts pixels from 1 and names the first and the last pixel inside, so xmin .. xmax is
[xmin - 1, xmax) in the continuous frame. Tools that count from 0 and name the edges (among them
many exporters) need `one_based=False`. A box whose corners coincide as written is a click and not
an object; it is left out either way.

References:
    M. Everingham et al. The Pascal Visual Object Classes (VOC) Challenge. IJCV 88, 2010; the
    development kit's description of bounding boxes.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mixwell import DataError
from mixwell.recipes.detection.data.files import image_files, shorten, text_of, upright_size
from mixwell.recipes.detection.data.sets import (
    MISSING,
    NO_AREA,
    UNANNOTATED,
    FileSet,
    Ledger,
    Thing,
    make_record,
)

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class _Object(NamedTuple):
    name: str
    corners: tuple[float, ...]
    difficult: bool


class _Note(NamedTuple):
    """What one XML file says."""

    path: Path
    filename: str
    size_hw: tuple[int, int] | None
    objects: tuple[_Object, ...]


class Layout(NamedTuple):
    """Where a VOC data set keeps things.

    Attributes:
        images: folder of images.
        annotations: folder of XML files; may be the same.
        splits: folder of `<split>.txt`, or None.
    """

    images: Path
    annotations: Path
    splits: Path | None


def find_layout(root: str | Path) -> Layout | None:
    """How a folder keeps VOC data: as the VOC archives do, in two folders, or in one."""
    root = Path(root)
    splits = root / "ImageSets" / "Main"
    for pictures, notes in (("JPEGImages", "Annotations"), ("images", "annotations"), ("", "")):
        layout = Layout(root / pictures, root / notes, splits if splits.is_dir() else None)
        if layout.images.is_dir() and any(_xml_files(layout.annotations)):
            return layout
    return None


def read_voc(
    root: str | Path,
    split: str | None = None,
    *,
    classes: Sequence[str] | None = None,
    one_based: bool = True,
) -> FileSet:
    """A set in Pascal VOC's format.

    Args:
        root: a folder with JPEGImages and Annotations, with images and annotations, or with images
            and XML files side by side.
        split: reads the images that `ImageSets/Main/<split>.txt` names, in its order; None reads
            all, by name.
        classes: class names in label order; by default the names found in all the folder's XML
            files, sorted, so that splits agree.
        one_based: whether pixels are counted from 1 with the last one inside, as VOC does.

    Raises:
        DataError: a file is missing or damaged, or an object's class is not in `classes`.
    """
    layout = find_layout(root)
    if layout is None:
        raise DataError(
            f"A VOC set needs XML files in Annotations/, annotations/ or beside the images, got "
            f"none in {root}. Check the path: it is the folder that holds these."
        )
    ledger = Ledger()
    notes = {path.stem: _read(path) for path in _xml_files(layout.annotations)}
    pictures = {path.stem: path for path in image_files(layout.images)}
    if classes is None:
        classes = sorted({thing.name for note in notes.values() for thing in note.objects})
    labels = {name: k for k, name in enumerate(classes, 1)}
    records = []
    for stem in _chosen(layout, split, notes, pictures):
        note = notes.get(stem)
        if note is None:
            ledger.skip(UNANNOTATED, pictures[stem].name if stem in pictures else stem)
            continue
        picture = pictures.get(stem) or pictures.get(Path(note.filename).stem)
        if picture is None:
            ledger.skip(MISSING, f"{note.filename or stem} (of {note.path.name})")
            continue
        things = _things(note, labels, one_based, ledger)
        size_hw = note.size_hw or upright_size(picture)
        records.append(make_record(picture, len(records), size_hw, things, ledger))
    return FileSet("voc", classes, records, ledger)


def voc_classes(roots: Iterable[str | Path]) -> tuple[str, ...]:
    """The class names found in the XML files of several folders, sorted."""
    layouts = [layout for root in roots if (layout := find_layout(root))]
    notes = [_read(path) for layout in layouts for path in _xml_files(layout.annotations)]
    return tuple(sorted({thing.name for note in notes for thing in note.objects}))


def _xml_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.xml") if not p.name.startswith("."))


def _chosen(
    layout: Layout, split: str | None, notes: dict[str, _Note], pictures: dict[str, Path]
) -> list[str]:
    """The names of the images to read, without suffix."""
    if split is None:
        by_note = {Path(n.filename).stem for stem, n in notes.items() if stem not in pictures}
        return sorted(set(notes) | (set(pictures) - by_note))
    folder = layout.splits
    if folder is None or not (folder / f"{split}.txt").is_file():
        there = sorted(path.stem for path in folder.glob("*.txt")) if folder else []
        raise DataError(
            f"The split {split!r} needs ImageSets/Main/{split}.txt, got {shorten(there)} in "
            f"{folder or layout.annotations.parent}. Name one of these, or read all (split=None)."
        )
    lines = text_of(folder / f"{split}.txt").splitlines()
    names = [line.split()[0] for line in lines if line.strip()]
    unknown = [name for name in names if name not in notes and name not in pictures]
    if unknown:
        raise DataError(
            f"Every name in {folder / split}.txt needs an XML file, got none for "
            f"{shorten(unknown, 3)}. Complete {layout.annotations}, or remove the lines."
        )
    return names


def _things(note: _Note, labels: dict[str, int], one_based: bool, ledger: Ledger) -> list[Thing]:
    things = []
    for thing in note.objects:
        if thing.name not in labels:
            raise DataError(
                f"An object's class must be one of {shorten(labels)}, got {thing.name!r} in "
                f"{note.path}. Add it to classes."
            )
        x0, y0, x1, y1 = thing.corners
        name = f"{note.path.name}: {thing.name} ({x0:g}, {y0:g}, {x1:g}, {y1:g})"
        if x1 <= x0 or y1 <= y0:
            ledger.skip(NO_AREA, name)
            continue
        first = 1 if one_based else 0
        box = (x0 - first, y0 - first, x1, y1)
        things.append(Thing(labels[thing.name], box, name, difficult=thing.difficult))
    return things


class _NoDoctype(ET.TreeBuilder):
    """Refuses document types, and with them entities that grow without bound."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called where a DOCTYPE begins, before its entities are read."""
        raise DataError(f"document type {name!r}")


def _read(path: Path) -> _Note:
    """One XML file."""
    try:
        root = ET.parse(path, ET.XMLParser(target=_NoDoctype())).getroot()
    except DataError as refused:
        raise DataError(
            f"An annotation must be plain XML without a DOCTYPE, got {refused} in {path}. Remove "
            "that line."
        ) from None
    except (ET.ParseError, OSError, LookupError, ValueError) as error:
        raise DataError(
            f"An annotation must be XML, got {type(error).__name__} for {path}: {error}. Repair or "
            "remove the file."
        ) from None
    if root.tag != "annotation":
        raise DataError(
            f"An annotation's outermost element must be <annotation>, got <{root.tag}> in {path}. "
            "Remove the file if it is something else."
        )
    objects = tuple(_object(element, path) for element in root.findall("object"))
    return _Note(path, (root.findtext("filename") or "").strip(), _size(root), objects)


def _object(element: ET.Element, path: Path) -> _Object:
    name = (element.findtext("name") or "").strip()
    box = element.find("bndbox")
    if not name or box is None:
        missing = "name" if not name else "bndbox"
        raise DataError(
            f"Every <object> needs a name and a bndbox, got no {missing} in {path}. Complete or "
            "remove the object."
        )
    corners = tuple(_number(box.findtext(corner), corner, path) for corner in _CORNERS)
    return _Object(name, corners, (element.findtext("difficult") or "0").strip() == "1")


def _number(text: str | None, name: str, path: Path) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"<{name}> must be a number, got {text!r} in {path}. Correct it.")
    return value


def _size(root: ET.Element) -> tuple[int, int] | None:
    """Height and width; None where the file does not say, or says 0."""
    texts = [root.findtext(f"size/{name}") or "" for name in ("height", "width")]
    values = [int(text) if text.strip().isdecimal() else 0 for text in texts]
    return (values[0], values[1]) if all(values) else None
