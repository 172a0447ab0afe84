"""What a submission looks like, when it is refused, and what it scores."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mixwell import DataError
from mixwell.recipes.kaggle.submission import (
    Form,
    check_submission,
    form_of,
    score,
    write_submission,
)
from mixwell.recipes.kaggle.tables import read_labels, read_sample
from tests.recipes.kaggle.made import CLASSES, read, table

LABEL = Form("label", ("id", "label"), CLASSES)
SHARES = Form("probabilities", ("id", "cat", "ant", "bee"), CLASSES)  # not in label order
ONE = Form("positive", ("id", "p"), CLASSES, "bee")
ROWS = [np.array([0.7, 0.1, 0.2]), np.array([0.25, 0.5, 0.25])]


def test_the_sample_says_what_is_asked_for(tmp_path: Path) -> None:
    def asked(*rows: tuple, **options: str) -> Form:
        return form_of(read_sample(table(tmp_path / "s.csv", rows)), CLASSES, **options)

    assert asked(("id", "label"), (1, "cat")) == LABEL
    assert asked(("id", "cat", "ant", "bee"), (1, 0, 0, 1)) == SHARES
    assert asked(("id", "p"), (1, 0.5), positive="bee") == ONE
    with pytest.raises(DataError, match="positive"):
        asked(("id", "p"), (1, 0.5), positive="wolf")
    with pytest.raises(DataError, match="columns of no class: wolf"):
        asked(("id", "ant", "bee", "cat", "wolf"), (1, 0, 0, 0, 0))


def test_columns_are_those_of_the_sample_whatever_the_order_of_classes(tmp_path: Path) -> None:
    path = tmp_path / "a" / "s.csv"
    assert write_submission(path, SHARES, ["x", "y"], ROWS) == 2
    assert read(path) == [
        ["id", "cat", "ant", "bee"],
        ["x", "0.200000", "0.700000", "0.100000"],
        ["y", "0.250000", "0.250000", "0.500000"],
    ]
    write_submission(path, LABEL, ["x", "y"], ROWS)
    assert read(path)[1:] == [["x", "ant"], ["y", "bee"]]
    write_submission(path, ONE, ["x", "y"], ROWS)
    assert read(path)[1:] == [["x", "0.100000"], ["y", "0.500000"]]


def test_a_submission_that_fails_half_way_has_no_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        write_submission(tmp_path / "s.csv", LABEL, ["x", "y", "z"], ROWS)
    assert not (tmp_path / "s.csv").exists()


SAMPLE = [("id", "label"), ("a", "ant"), ("b", "ant"), ("c", "ant")]
GOOD = [("id", "label"), ("c", "bee"), ("a", "ant"), ("b", "cat")]


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return table(tmp_path / "sample.csv", SAMPLE)


def test_any_order_of_rows_is_right(tmp_path: Path, sample: Path) -> None:
    assert check_submission(table(tmp_path / "s.csv", GOOD), sample, LABEL) == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (GOOD[:3], r"3 ids of .* once, got 1 missing \(b\)"),
        ([*GOOD, ("d", "ant")], r"1 not asked for \(d\)"),
        ([*GOOD, ("a", "ant")], r"1 given twice \(a\)"),
        ([*GOOD[:3], ("d", "ant"), ("a", "cat")], r"1 missing \(b\), 1 not asked .* 1 given twice"),
        ([("id", "class"), *GOOD[1:]], "columns of .*, id, label, got id, class"),
        ([("label", "id"), *GOOD[1:]], "columns of"),
        ([("id", "label", "x"), *((*r, 1) for r in GOOD[1:])], "columns of"),
        ([("id",), ("a",), ("b",), ("c",)], "columns of"),
        ([*GOOD[:3], ("b", "wolf")], "one of the 3 classes in each row, got 'wolf' in line 4"),
        ([*GOOD[:3], ("b",)], "2 values in each row"),
    ],
)
def test_wrong_submissions_are_refused(
    tmp_path: Path, sample: Path, rows: list[tuple], message: str
) -> None:
    path = table(tmp_path / "s.csv", rows)
    with pytest.raises(DataError, match=message):
        check_submission(path, sample, LABEL)


@pytest.mark.parametrize("value", ["nan", "-0.1", "1.5", "much", "inf", ""])
def test_probabilities_are_numbers_in_range(tmp_path: Path, value: str) -> None:
    rows = [("id", "cat", "ant", "bee"), ("a", 0.2, 0.3, 0.5)]
    sample = table(tmp_path / "sample.csv", rows)
    path = table(tmp_path / "s.csv", [rows[0], ("a", 0.2, value, 0.5)])
    with pytest.raises(DataError, match=r"probabilities in 0 \.\. 1"):
        check_submission(path, sample, SHARES)


def test_scores_are_by_id(tmp_path: Path) -> None:
    answers = {"a": "ant", "b": "bee", "c": "bee"}
    found = score(table(tmp_path / "s.csv", GOOD), answers, LABEL)
    assert (found.rows, found.accuracy, found.log_loss) == (3, 2 / 3, None)
    path = tmp_path / "p.csv"
    write_submission(path, SHARES, ["y", "x"], ROWS[::-1])
    found = score(path, {"x": "bee", "y": "bee"}, SHARES)
    assert found.accuracy == 0.5
    assert found.log_loss == pytest.approx(-(math.log(0.1) + math.log(0.5)) / 2)
    write_submission(path, ONE, ["y", "x"], ROWS[::-1])
    found = score(path, {"x": "cat", "y": "bee"}, ONE)
    assert found.accuracy is None
    assert found.log_loss == pytest.approx(-(math.log(0.9) + math.log(0.5)) / 2)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"a": "ant", "b": "bee"}, "an answer for each id once, got 'c'"),
        ({"a": "ant", "b": "bee", "c": "ant", "d": "ant"}, "got none for d"),
        ({"a": "ant", "b": "bee", "c": "wolf"}, "Answers must be classes"),
    ],
)
def test_answers_must_belong(tmp_path: Path, answers: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        score(table(tmp_path / "s.csv", GOOD), answers, LABEL)


def test_tables_as_spreadsheets_write_them(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes('\ufeffid,label\r\n\r\n 001 ,"a, b"\r\n,\r\n2,c\r\n'.encode())
    labels = read_labels(path)
    assert labels.of == {"001": "a, b", "2": "c"} and labels.id_column == "id"


def test_columns_by_name(tmp_path: Path) -> None:
    path = table(tmp_path / "l.csv", [("n", "breed", "file"), (1, "pug", "x.png")])
    assert read_labels(path, "file", "breed").of == {"x.png": "pug"}
    with pytest.raises(DataError, match=r"id_column \(--id-column\).*'name'"):
        read_labels(path, "name", "breed")
    with pytest.raises(DataError, match="cannot be read"):
        read_labels(tmp_path / "absent.csv")


@pytest.mark.parametrize("ids", [None, "breed"])
def test_labels_in_the_column_of_ids_ask_for_another(tmp_path: Path, ids: str | None) -> None:
    path = table(tmp_path / "l.csv", [("breed", "file"), ("pug", "x.png"), ("pug", "y.png")])
    with pytest.raises(DataError, match=r"got 'breed' for both .*\(--id-column\), one of file"):
        read_labels(path, ids, "breed")
    assert read_labels(path, "file", "breed").of == {"x.png": "pug", "y.png": "pug"}


@pytest.mark.parametrize("label", [None, "id", "breed"])
def test_a_table_of_ids_alone_has_no_labels(tmp_path: Path, label: str | None) -> None:
    path = table(tmp_path / "l.csv", [("id",), (1,)])
    with pytest.raises(DataError, match="a column of ids and one of labels, got id"):
        read_labels(path, None, label)
