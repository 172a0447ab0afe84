"""The CSV files of a competition: which label an id has, and what a submission looks like."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mixwell import DataError

_SHOWN = 5


@dataclass(frozen=True)
class Labels:
    """The labels of a competition's training images.

    Attributes:
        of: label by id, in the file's order.
        id_column: heading of the ids.
        label_column: heading of the labels.
    """

    of: dict[str, str]
    id_column: str
    label_column: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The different labels, sorted as text."""
        return tuple(sorted(set(self.of.values())))


@dataclass(frozen=True)
class Sample:
    """A sample submission.

    Attributes:
        path: the file.
        ids: in the file's order.
        columns: all headings, the ids' first.
        first: the values of the first row behind its id.
    """

    path: Path
    ids: list[str]
    columns: tuple[str, ...]
    first: tuple[str, ...]


def read_labels(
    path: Path, id_column: str | None = None, label_column: str | None = None
) -> Labels:
    """Read the labels.

    Args:
        path: a CSV file with a heading.
        id_column: heading of the ids; the first column when left out.
        label_column: heading of the labels; the other column when left out and there are two.

    Raises:
        DataError: the file is no such table, an id comes twice, or an id or a label is empty.
    """
    rows = read_rows(path)
    columns = next(rows)[1]
    id_at = _column(path, columns, id_column, "id_column (--id-column)", 0)
    others = [i for i in range(len(columns)) if i != id_at]
    if not others or (label_column is None and len(others) > 1):
        raise DataError(
            f"Labels need a column of ids and one of labels, got {_listed(columns)} in {path}. "
            "Name the one with the labels: label_column (--label-column)."
        )
    label_at = _column(path, columns, label_column, "label_column (--label-column)", others[0])
    if label_at == id_at:
        raise DataError(
            f"Labels need one column of ids and another of labels, got {columns[id_at]!r} for both "
            f"in {path}; ids stand in the first column unless another is named. Name it: id_column "
            f"(--id-column), one of {_listed([columns[i] for i in others])}."
        )
    of: dict[str, str] = {}
    for line, row in rows:
        key, label = row[id_at], row[label_at]
        if not key or not label:
            raise DataError(
                f"{path} needs an id and a label in each row, got {key!r} and {label!r} in line "
                f"{line}. Fill it in or remove the row."
            )
        if key in of:
            raise _twice(path, key, line)
        of[key] = label
    if not of:
        raise DataError(f"{path} needs at least one label, got none. Check the file.")
    return Labels(of, columns[id_at], columns[label_at])


def read_sample(path: Path, id_column: str | None = None) -> Sample:
    """Read a sample submission.

    Args:
        path: a CSV file with a heading; its first column holds the ids.
        id_column: the ids' heading, where it must be a certain one.

    Raises:
        DataError: the file is no such table, or an id comes twice.
    """
    rows = read_rows(path)
    columns = tuple(next(rows)[1])
    if id_column is not None and columns[0] != id_column:
        raise DataError(
            f"{path} needs the ids in its first column, {id_column!r}, got {_listed(columns)}."
        )
    if len(columns) < 2:
        raise DataError(f"{path} needs a column besides its ids, got {_listed(columns)}.")
    ids: dict[str, None] = {}
    first: tuple[str, ...] = ()
    for line, row in rows:
        if not row[0]:
            raise DataError(f"{path} needs an id in each row, got none in line {line}.")
        if row[0] in ids:
            raise _twice(path, row[0], line)
        ids[row[0]] = None
        first = first or tuple(row[1:])
    if not ids:
        raise DataError(f"{path} needs at least one row, got none. Check the file.")
    return Sample(path, list(ids), columns, first)


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The heading and the rows of a CSV file with their line numbers; empty lines are left out.

    Values are stripped of the space around them.

    Args:
        path: UTF-8, with or without a byte order mark; commas between values.

    Raises:
        DataError: no such file, not UTF-8, no heading, a heading twice, or a row of another length.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            columns: list[str] = []
            for row in reader:
                values = [value.strip() for value in row]
                if not any(values):
                    continue
                if not columns:
                    columns = _heading(path, values)
                elif len(values) != len(columns):
                    raise DataError(
                        f"{path} needs {len(columns)} values in each row ({_listed(columns)}), "
                        f"got {len(values)} in line {reader.line_num}. Mend the row."
                    )
                yield reader.line_num, values
            if not columns:
                raise DataError(f"{path} needs a line of headings, got an empty file.")
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as CSV in UTF-8: {error}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Check the path.") from None


def _heading(path: Path, values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise DataError(f"{path} needs each heading once, got {_listed(values)}. Rename one.")
    return values


def _column(path: Path, columns: list[str], name: str | None, option: str, default: int) -> int:
    if name is None:
        return default
    if name not in columns:
        raise DataError(
            f"{option} must be a heading of {path}, got {name!r} instead of one of "
            f"{_listed(columns)}."
        )
    return columns.index(name)


def _twice(path: Path, key: str, line: int) -> DataError:
    return DataError(f"{path} needs each id once, got {key!r} again in line {line}. Remove it.")


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return few(names, 8)


def few(names: list[str] | tuple[str, ...], most: int = _SHOWN) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
