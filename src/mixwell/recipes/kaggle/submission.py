"""What a submission looks like, and whether one is right.

A file is checked against the sample submission as it lies on the disk: every id of the sample
once, none else, the same columns, and values that can mean something.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mixwell import DataError
from mixwell.recipes.kaggle.tables import Sample, few, read_rows, read_sample

Kind = Literal["label", "probabilities", "positive"]
_LEAST = 1e-15
"""Probabilities are clipped to this in the log loss, as in scikit-learn."""


@dataclass(frozen=True)
class Form:
    """The columns of a submission and what stands in them.

    Args:
        kind: "label" (one column with a class), "probabilities" (one column for each class) or
            "positive" (one column with the probability of one class).
        columns: all headings, the ids' first.
        classes: in label order.
        positive: the class whose probability is asked for, or "".
    """

    kind: Kind
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    positive: str = ""

    def values(self, shares: np.ndarray) -> list[str]:
        """A row without its id, from the probability of each class."""
        if self.kind == "label":
            return [self.classes[int(shares.argmax())]]
        if self.kind == "positive":
            return [f"{shares[self.classes.index(self.positive)]:.6f}"]
        of = dict(zip(self.classes, shares, strict=True))
        return [f"{of[name]:.6f}" for name in self.columns[1:]]


def form_of(sample: Sample, classes: tuple[str, ...], positive: str | None = None) -> Form:
    """What a competition asks for.

    Args:
        sample: its sample submission.
        classes: those of the labels.
        positive: the class whose probability is asked for, where it is one.

    Raises:
        DataError: the columns are neither a label's nor those of the classes.
    """
    columns = sample.columns
    if positive is not None:
        if positive not in classes or len(columns) != 2:
            raise DataError(
                f"positive (--positive) needs a class and a sample with one column beside the ids, "
                f"got {positive!r} of {few(classes)}, and {few(columns)}."
            )
        return Form("positive", columns, classes, positive)
    if len(columns) == 2:
        if sample.first[0] not in classes:
            raise DataError(
                f"{sample.path} needs a class in its second column, got {sample.first[0]!r} "
                f"instead of one of {few(classes)}. Where a probability is asked for, say of which "
                "class: positive (--positive)."
            )
        return Form("label", columns, classes)
    missing, extra = sorted({*classes} - {*columns[1:]}), sorted({*columns[1:]} - {*classes})
    if missing or extra:
        raise DataError(
            f"{sample.path} needs a column for each of the {len(classes)} classes, got none for "
            f"{few(missing) or 'none'}, and columns of no class: {few(extra) or 'none'}. Check "
            "that labels and sample belong together."
        )
    return Form("probabilities", columns, classes)


def write_submission(
    path: Path, form: Form, ids: Iterable[str], shares: Iterable[np.ndarray]
) -> int:
    """Write a submission, row by row; the file gets its name when it is whole.

    Args:
        path: the CSV file.
        form: what it looks like.
        ids: of the rows, in order.
        shares: float [classes] for each of them: the probabilities of the classes.

    Returns:
        The number of rows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    count = 0
    with fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(form.columns)
        for key, row in zip(ids, shares, strict=True):
            writer.writerow([key, *form.values(row)])
            count += 1
    fresh.replace(path)
    return count


def check_submission(path: Path, sample: Path, form: Form | None = None) -> int:
    """Make sure that a submission will be accepted.

    Args:
        path: the submission.
        sample: the sample submission.
        form: what is asked for; values are checked too where it is known.

    Returns:
        The number of rows.

    Raises:
        DataError: other columns, ids missing, unknown or twice, or values that mean nothing.
    """
    asked = read_sample(sample)
    rows = read_rows(path)
    columns = tuple(next(rows)[1])
    if columns != asked.columns:
        raise DataError(
            f"A submission needs the columns of {sample}, {few(asked.columns)}, got "
            f"{few(columns)} in {path}."
        )
    missing = dict.fromkeys(asked.ids)
    known, unknown, twice = frozenset(asked.ids), [], []
    for line, row in rows:
        key = row[0]
        if key not in known:
            unknown.append(key)
        elif key not in missing:
            twice.append(key)
        else:
            del missing[key]
        if form is not None:
            _check_values(path, line, row, form)
    wrong = {"missing": list(missing), "not asked for": unknown, "given twice": twice}
    found = [f"{len(keys):,} {what} ({few(keys)})" for what, keys in wrong.items() if keys]
    if found:
        raise DataError(
            f"A submission needs each of the {len(known):,} ids of {sample} once, got "
            f"{', '.join(found)} in {path}."
        )
    return len(known)


def _check_values(path: Path, line: int, row: list[str], form: Form) -> None:
    if form.kind == "label":
        if row[1] not in form.classes:
            raise DataError(
                f"{path} needs one of the {len(form.classes)} classes in each row, got {row[1]!r} "
                f"in line {line}."
            )
        return
    for value in row[1:]:
        number = _number(value)
        if not 0 <= number <= 1:
            raise DataError(f"{path} needs probabilities in 0 .. 1, got {value!r} in line {line}.")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


@dataclass(frozen=True)
class Score:
    """How well a submission does.

    Attributes:
        rows: compared.
        accuracy: share of rows whose (most probable) class is right; None for a single probability.
        log_loss: mean of -log of the true class's probability; None for labels.
    """

    rows: int
    accuracy: float | None
    log_loss: float | None


def score(path: Path, answers: dict[str, str], form: Form) -> Score:
    """Compare a submission with the true labels, by id.

    Args:
        path: the submission.
        answers: label by id.
        form: what the submission looks like.

    Raises:
        DataError: the ids are not those of the answers, or an answer is of no class.
    """
    strange = sorted({*answers.values()} - {*form.classes})
    if strange:
        raise DataError(f"Answers must be classes of the labels, got {few(strange)}.")
    hits, loss, left = 0, 0.0, dict(answers)
    for key, values in _rows(path):
        truth = left.pop(key, None)
        if truth is None:
            raise DataError(f"Scoring needs an answer for each id once, got {key!r} in {path}.")
        if form.kind == "label":
            hits += values[0] == truth
            continue
        named = dict(zip(form.columns[1:], map(float, values), strict=True))
        if form.kind == "positive":
            p = float(values[0]) if truth == form.positive else 1 - float(values[0])
        else:
            hits += max(named, key=named.__getitem__) == truth
            p = named[truth] / max(sum(named.values()), _LEAST)
        loss -= math.log(min(max(p, _LEAST), 1 - _LEAST))
    if left:
        raise DataError(f"Scoring needs a row for each answer, got none for {few(list(left))}.")
    rows = len(answers)
    return Score(
        rows,
        None if form.kind == "positive" else hits / rows,
        None if form.kind == "label" else loss / rows,
    )


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    rows = read_rows(path)
    next(rows)
    for _, row in rows:
        yield row[0], row[1:]
