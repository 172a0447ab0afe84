"""Results as data: rows of raw times, their medians and spread, and ratios to mixwell."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

SCHEMA = 1

Status = Literal["timed", "missing", "refused", "failed", "absent"]
"""Timed; not installed; its output was wrong; it raised; it has nothing for this case."""

OURS = "mixwell"


@dataclass
class Times:
    """Raw times of one row under one condition.

    Attributes:
        threads: threads or worker processes; 0 where a device does the work.
        mixing: with or without mixing; None where a case has no such choice.
        values: one for each round, in the row's unit.
        settings: the configuration that was fastest here.
        mixer: whose mixing was added, "" for its own or none.
    """

    threads: int
    mixing: bool | None
    values: list[float]
    settings: str
    mixer: str = ""

    @property
    def median(self) -> float:
        """The middle one."""
        return float(np.median(self.values))

    @property
    def quartiles(self) -> tuple[float, float]:
        """25 % and 75 %."""
        low, high = np.quantile(self.values, (0.25, 0.75))
        return float(low), float(high)


@dataclass
class Row:
    """What one opponent did in one case.

    Attributes:
        opponent: its name.
        version: of its package.
        label: how its work differs, "" when it is like for like.
        status: see `Status`.
        reason: why it was not timed.
        times: by threads and mixing.
        extra: figures of the case's own, such as GB/s.
    """

    opponent: str
    version: str
    label: str = ""
    status: Status = "timed"
    reason: str = ""
    times: list[Times] = field(default_factory=list)
    extra: dict[str, float] = field(default_factory=dict)

    def at(self, threads: int, mixing: bool | None) -> Times | None:
        """The times under a condition."""
        return next((t for t in self.times if (t.threads, t.mixing) == (threads, mixing)), None)


@dataclass
class CaseResult:
    """A case and its rows.

    Attributes:
        suite: the suite's name.
        name: the case's name.
        unit: "ms/image", "ms/batch" or "s".
        batch: images in a batch.
        rows: ours first.
        facts: what was measured beside, such as the copy bandwidth.
    """

    suite: str
    name: str
    unit: str
    batch: int
    rows: list[Row]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def conditions(self) -> list[tuple[int, bool | None]]:
        """Threads and mixing that any row has times for."""
        found = {(t.threads, t.mixing) for row in self.rows for t in row.times}
        return sorted(found, key=lambda c: (c[0], bool(c[1])))

    def ratio(self, row: Row, threads: int, mixing: bool | None) -> float | None:
        """How many times longer a row takes than ours: the median over the rounds' ratios."""
        ours = next((r for r in self.rows if r.opponent == OURS and not r.label), None)
        mine = None if ours is None else ours.at(threads, mixing)
        theirs = row.at(threads, mixing)
        if mine is None or theirs is None or len(mine.values) != len(theirs.values):
            return None
        return float(np.median(np.divide(theirs.values, mine.values)))


@dataclass
class Report:
    """A whole run.

    Attributes:
        machine: see `mixwell.bench.machine.describe`.
        options: what was asked for.
        inputs: where the images came from, in words.
        cases: in the order in which they ran.
    """

    machine: dict[str, Any]
    options: dict[str, Any]
    inputs: str
    cases: list[CaseResult]

    def as_data(self) -> dict[str, Any]:
        """Plain dicts and lists, with medians, quartiles and ratios written out."""
        data = {"schema": SCHEMA, **asdict(self)}
        for case, shown in zip(self.cases, data["cases"], strict=True):
            for row, told in zip(case.rows, shown["rows"], strict=True):
                for times, out in zip(row.times, told["times"], strict=True):
                    out["median"], out["quartiles"] = times.median, list(times.quartiles)
                    out["ratio"] = case.ratio(row, times.threads, times.mixing)
        return data


def save(report: Report, path: Path) -> None:
    """Write JSON."""
    path.write_text(json.dumps(report.as_data(), indent=1) + "\n")


def load(path: Path) -> Report:
    """Read what `save` wrote.

    Raises:
        ValueError: the file has another schema.
    """
    data = json.loads(path.read_text())
    if data.get("schema") != SCHEMA:
        raise ValueError(f"{path} has schema {data.get('schema')}, this version reads {SCHEMA}.")
    cases = [
        CaseResult(**{**case, "rows": [_row(row) for row in case["rows"]]})
        for case in data["cases"]
    ]
    return Report(data["machine"], data["options"], data["inputs"], cases)


def _row(data: dict[str, Any]) -> Row:
    names = ("threads", "mixing", "values", "settings", "mixer")
    times = [Times(**{name: t[name] for name in names}) for t in data["times"]]
    return Row(**{**data, "times": times})
