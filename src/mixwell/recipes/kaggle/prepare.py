"""From what a competition publishes to one folder with an index.

Nothing is copied unless asked: the index says for each id which file it has, its label and its
part. The split keeps the shares of the classes. An image's rank in its class is a function of
(seed, id) alone, so neither the order of the rows nor other classes move one from training to
validation; further images of its class move few.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mixwell import DataError
from mixwell.recipes.kaggle.archives import unpack
from mixwell.recipes.kaggle.competition import (
    ABOUT,
    COLUMNS,
    INDEX,
    SAMPLE,
    VERSION,
    Competition,
    Row,
    read_competition,
)
from mixwell.recipes.kaggle.config import PrepareConfig
from mixwell.recipes.kaggle.copies import copy_images
from mixwell.recipes.kaggle.files import image_files, image_size, matched, own_ids
from mixwell.recipes.kaggle.source import IMAGES, Source, find_source
from mixwell.recipes.kaggle.split import stratified
from mixwell.recipes.kaggle.submission import Form, form_of
from mixwell.recipes.kaggle.tables import Labels, few, read_labels, read_sample
from mixwell.recipes.place import place
from mixwell.recipes.progress import waiting


@dataclass(frozen=True)
class Prepared:
    """A prepared competition and what was left out of it.

    Attributes:
        competition: what `read_competition` gives.
        left_out: count by reason; nothing is left out without being here.
    """

    competition: Competition
    left_out: dict[str, int]


MARKS = (ABOUT, INDEX)
MADE = ("files", "images")
"""Folders made by a preparation."""


def prepare(source: Path, config: PrepareConfig) -> Prepared:
    """Read a competition's files and write its folder.

    Args:
        source: a folder, or the archive of one, with labels, images and a sample submission.
        config: where these are if not found by name, and how to divide.

    Raises:
        DataError: a file is missing, damaged or refused; ids, labels and images do not belong
            together; or the folder holds a competition and `overwrite` is not set.
        ImportError: a 7z file, and py7zr is not installed.
    """
    name = f"{source.name.split('.')[0] or 'competition'}-prepared"
    out = place(config.out, name, MARKS, resume=False, overwrite=config.overwrite)
    _make_room(out, source)
    try:
        return _prepared(source, config, out)
    except BaseException:
        _remove(out)
        raise


def _prepared(source: Path, config: PrepareConfig, out: Path) -> Prepared:
    left_out: Counter[str] = Counter()
    with waiting(f"opening {source}", quiet=config.quiet):
        home = find_source(_opened(source, out, "source", config, left_out), config)
    labels = read_labels(home.labels, config.id_column, config.label_column)
    if len(labels.classes) < 2:
        raise DataError(f"Labels need at least 2 classes, got {few(labels.classes)}.")
    form = _form(home, labels, config)
    with waiting("unpacking and matching images", quiet=config.quiet):
        labelled = _labelled(home, labels, out, config, left_out)
        asked = _asked(home, out, config, left_out)
    with waiting("reading the headers of the images", quiet=config.quiet):
        labelled, size = _sound(labelled, labels, out, config, left_out)
        if config.check:
            broken = [key for key, file in asked.items() if image_size(out / file) is None]
            left_out["damaged test images, which submit will name"] += len(broken)
    rows = _divided(labelled, labels, config, left_out)
    rows += [Row(key, file, "", "test") for key, file in asked.items()]
    if config.copies:
        with waiting("copying images", quiet=config.quiet):
            copy_images(rows, out)
    found = {reason: count for reason, count in left_out.items() if count}
    _write(out, rows, form, size, config, source, home, found)
    return Prepared(read_competition(out), found)


def _make_room(out: Path, source: Path) -> None:
    """Remove what an earlier preparation made, and only that."""
    if out.resolve() == source.resolve():
        raise DataError(
            f"Preparing needs a folder of its own, got {out}, the source. Name another."
        )
    out.mkdir(parents=True, exist_ok=True)
    ours = any((out / mark).exists() for mark in MARKS)
    for name in MADE:
        if not ours and (out / name).exists():
            raise DataError(
                f"Preparing needs a folder of its own, got {out}, which holds {name}/ already. "
                "Name another --out, or remove that folder."
            )
    _remove(out)


def _remove(out: Path) -> None:
    for name in MADE:
        shutil.rmtree(out / name, ignore_errors=True)
    for mark in (*MARKS, SAMPLE):
        (out / mark).unlink(missing_ok=True)


def _opened(
    given: Path, out: Path, name: str, config: PrepareConfig, left_out: Counter[str]
) -> Path:
    """A folder as it is; an archive unpacked below the output folder."""
    if given.is_dir():
        return given
    if not given.is_file():
        raise DataError(f"There is no file or folder {given}. Check the path.")
    folder = out / "files" / name
    suffixes = IMAGES if name != "source" else Source.SUFFIXES
    done = unpack(given, folder, suffixes=suffixes, limits=config.limits)
    for reason, count in done.skipped.items():
        left_out[f"{reason}, in {given.name}"] += count
    return folder


def _form(home: Source, labels: Labels, config: PrepareConfig) -> Form:
    if home.sample is None:
        columns = (labels.id_column, labels.label_column)
        if config.positive is not None:
            raise DataError("positive (--positive) needs a sample submission, got none (--sample).")
        return Form("label", columns, labels.classes)
    return form_of(read_sample(home.sample), labels.classes, config.positive)


def _labelled(
    home: Source, labels: Labels, out: Path, config: PrepareConfig, left_out: Counter[str]
) -> dict[str, str]:
    """The file of each labelled id."""
    folder = _opened(home.train, out, "train", config, left_out)
    files, others = image_files(folder)
    left_out["other files among the training images"] += others
    found, missing = matched(labels.of, files, "training")
    if missing and not config.allow_missing:
        raise DataError(
            f"Every label needs an image, got none for {len(missing):,} of {len(labels.of):,} "
            f"({few(missing)}) in {home.train}. Add the images, or count them with "
            "allow_missing=True (--allow-missing)."
        )
    left_out["labels without an image"] += len(missing)
    left_out["training images without a label"] += len(files) - len(found)
    return {key: _written(folder, file, out) for key, file in found.items()}


def _asked(
    home: Source, out: Path, config: PrepareConfig, left_out: Counter[str]
) -> dict[str, str]:
    """The file of each id to predict, in the sample's order, where there is one."""
    same = home.test == home.train and not home.test.is_dir()
    folder = out / "files" / "train" if same else _opened(home.test, out, "test", config, left_out)
    files, others = image_files(folder)
    left_out["other files among the test images"] += others
    if home.sample is None:
        found = own_ids(files)
    else:
        ids = read_sample(home.sample).ids
        found, missing = matched(ids, files, "test")
        if missing:
            raise DataError(
                f"Every id of {home.sample} needs an image, got none for {len(missing):,} of "
                f"{len(ids):,} ({few(missing)}) in {home.test}. Add the images."
            )
        left_out["test images that the sample does not ask for"] += len(files) - len(found)
    if not found:
        raise DataError(f"A competition needs test images, got none in {home.test}.")
    return {key: _written(folder, file, out) for key, file in found.items()}


def _written(folder: Path, file: str, out: Path) -> str:
    """How the index names a file: relative where it lies below the output folder."""
    if folder.is_relative_to(out):
        return (PurePosixPath(folder.relative_to(out).as_posix()) / file).as_posix()
    return str(Path(os.path.abspath(folder)) / file)  # noqa: PTH100 - keeps links as they are


def _sound(
    labelled: dict[str, str],
    labels: Labels,
    out: Path,
    config: PrepareConfig,
    left_out: Counter[str],
) -> tuple[dict[str, str], tuple[int, int] | None]:
    """The labelled images that can be read, and their size where they share one."""
    if not config.check:
        return labelled, None
    sizes = {key: image_size(out / file) for key, file in labelled.items()}
    good = {key: file for key, file in labelled.items() if sizes[key] is not None}
    left_out["damaged training images"] += len(labelled) - len(good)
    lost = sorted({*labels.classes} - {labels.of[key] for key in good})
    if lost:
        raise DataError(f"Every class needs a readable image, got none for {few(lost)}.")
    distinct = {sizes[key] for key in good}
    return good, distinct.pop() if len(distinct) == 1 else None


def _divided(
    labelled: dict[str, str], labels: Labels, config: PrepareConfig, left_out: Counter[str]
) -> list[Row]:
    """Rows of training and validation, in the order of the labels."""
    held = stratified({key: labels.of[key] for key in labelled}, config.valid, config.seed)
    tested = {labels.of[key] for key in held}
    alone = len({labels.of[key] for key in labelled} - tested)
    left_out["classes of one image, in training alone"] += alone
    if not held:
        raise DataError(
            "Validation needs a class with at least 2 images, got none. Add images, or labels."
        )
    parts = {True: "valid", False: "train"}
    return [Row(key, file, labels.of[key], parts[key in held]) for key, file in labelled.items()]


def _write(
    out: Path,
    rows: list[Row],
    form: Form,
    size: tuple[int, int] | None,
    config: PrepareConfig,
    source: Path,
    home: Source,
    left_out: dict[str, int],
) -> None:
    """The index, the sample and what is known of both."""
    if home.sample is not None:
        shutil.copyfile(home.sample, out / SAMPLE)
    with (out / INDEX).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    counts = Counter(row.part for row in rows)
    settings: dict[str, Any] = {"source": source} | dataclasses.asdict(config)
    about = {
        "version": VERSION,
        "form": dataclasses.asdict(form),
        "size_hw": size,
        "counts": {part: counts[part] for part in ("train", "valid", "test")},
        "left_out": left_out,
        "settings": {k: str(v) if isinstance(v, Path) else v for k, v in settings.items()},
    }
    (out / ABOUT).write_text(json.dumps(about, indent=2) + "\n")
