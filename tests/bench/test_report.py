"""Results as data, tables and a plot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mixwell import bench
from mixwell.bench.report import number
from mixwell.bench.result import CaseResult, Row, Times
from tests.bench.conftest import report_of

ROW = {"opponent", "version", "label", "status", "reason", "times", "extra"}
TIMES = {"threads", "mixing", "values", "settings", "mixer", "median", "quartiles", "ratio"}


def test_data_has_its_schema_and_comes_back(result: CaseResult, tmp_path: Path) -> None:
    report = report_of(result)
    path = tmp_path / "results.json"
    bench.save(report, path)
    data = json.loads(path.read_text())
    assert set(data) == {"schema", "machine", "options", "inputs", "cases"}
    for row in data["cases"][0]["rows"]:
        assert set(row) == ROW
        assert all(set(times) == TIMES for times in row["times"])
    assert bench.load(path) == report


def test_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"schema": 0}')
    with pytest.raises(ValueError, match="schema 0"):
        bench.load(path)


def test_ratios_are_medians_over_rounds(result: CaseResult) -> None:
    assert result.ratio(result.rows[1], 1, False) == 3.0  # of 3, 3 and 3.5
    assert result.ratio(result.rows[3], 1, False) is None


def test_the_table_says_everything(result: CaseResult) -> None:
    text = bench.markdown(report_of(result))
    for words in (
        "a processor, 2 cores",
        "| mixwell 1 | 1.00 (1.00–1.50) |",
        "**3.00×**",
        "other 2 (one draw per batch)",
        "not installed: pip install 'mixwell[bench]'",
        "refused: images are not normalised",
        "two workers [2 threads, mixed]",
        "torch in place (2 threads)",
        "50% of the bound",
    ):
        assert words in text, words
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1


def test_ops_and_startup_have_tables_of_their_own() -> None:
    def timed(name: str, value: float, label: str = "") -> Row:
        return Row(name, "1", label, times=[Times(1, None, [value], "as is")])

    ops = [
        CaseResult("ops224", op, "ms/image", 4, [timed("mixwell", 1.0), timed("other", 2.0)])
        for op in ("shear", "invert")
    ]
    steps = [timed("mixwell", 0.5, "import, cold"), timed("other", 2.0, "import, cold")]
    text = bench.markdown(report_of(*ops, CaseResult("startup", "startup", "s", 4, steps)))
    assert "| shear | 1.00 | 2.00 **2.00×** |" in text
    assert "| other 1 | 2.00 |" in text


def test_the_plot_is_a_picture(result: CaseResult) -> None:
    assert bench.plot(report_of(result)).startswith(b"\x89PNG")
    assert bench.plot(report_of()).startswith(b"\x89PNG")


def test_numbers_have_three_digits() -> None:
    values = (0.01234, 0.1234, 1.234, 12.34, 123.4)
    assert [number(v) for v in values] == ["0.0123", "0.123", "1.23", "12.3", "123"]
