"""A benchmark that anyone can run: suites of cases, done in turn by all libraries at hand.

    from mixwell import bench
    report = bench.run(["crop"], bench.Options(rounds=3))
    print(bench.markdown(report))

Every path is checked before it is timed; see `docs/benchmarks.md` for what is compared and how.
"""

from __future__ import annotations

from mixwell.bench.measure import Options
from mixwell.bench.opponents import NAMES
from mixwell.bench.plot import plot
from mixwell.bench.report import markdown
from mixwell.bench.result import CaseResult, Report, Row, Times, load, save
from mixwell.bench.run import DEFAULT, listing, run, write
from mixwell.bench.suites import SUITES

__all__ = [
    "DEFAULT",
    "NAMES",
    "SUITES",
    "CaseResult",
    "Options",
    "Report",
    "Row",
    "Times",
    "listing",
    "load",
    "markdown",
    "plot",
    "run",
    "save",
    "write",
]
