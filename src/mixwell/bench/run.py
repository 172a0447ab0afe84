"""From names of suites to a report, and from a report to files."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from mixwell.bench.gpu.device import describe_device, device_named
from mixwell.bench.machine import describe, version
from mixwell.bench.measure import Options, Say
from mixwell.bench.opponents import NAMES, opponent
from mixwell.bench.plot import plot
from mixwell.bench.report import markdown
from mixwell.bench.result import Report, save
from mixwell.bench.stacks import PACKAGES
from mixwell.bench.suites import SUITES, Context

DEFAULT = ("randaug", "crop", "cifar", "mix")
"""Suites that run when none is named."""

DEVICE_DEFAULT = ("gpu-randaug", "gpu-crop", "gpu-cifar")
"""The same with a GPU."""

EVERYBODY = (*NAMES, "torch")
"""All names that --opponents takes; "torch" takes part in the suite `mix` alone."""


def run(
    suites: Sequence[str] = (),
    options: Options | None = None,
    *,
    opponents: Sequence[str] = (),
    images: Path | None = None,
    say: Say = lambda _: None,
    done: Callable[[Report], object] = lambda _: None,
) -> Report:
    """Measure.

    Args:
        suites: names from `SUITES`; "all" for all of the device; empty for the usual ones.
        options: rounds and threads.
        opponents: names from `NAMES`, mixwell always among them; empty for all.
        images: a folder of photographs; None for scikit-learn's two.
        say: told what is being done, a line at a time.
        done: given the report so far after each suite.

    Raises:
        ValueError: a name is unknown, the device is not there, or a suite is not for it.
        DataError: the folder holds no images.
        ImportError: scikit-learn is needed and not installed.
    """
    options = options or Options()
    device = device_named(options.device)
    names = _chosen(suites, on_gpu=device.type != "cpu")
    _known("suite", names, SUITES)
    _known("opponent", opponents, EVERYBODY)
    wanted = ("mixwell", *opponents) if opponents else ()
    inputs = f"the photographs in {images.name}" if images else "scikit-learn's two photographs"
    machine = describe()
    if any(SUITES[name].gpu for name in names):
        machine["gpu"] = describe_device(device)
    report = Report(
        machine, {"suites": names, **asdict(options)}, f"{inputs} and parts of them", []
    )
    # Opponents' warnings say nothing about the figures; recorded, since DALI insists on its own.
    with (
        tempfile.TemporaryDirectory(prefix="mixwell-bench-") as scratch,
        warnings.catch_warnings(record=True),
    ):
        warnings.simplefilter("ignore")
        for name in names:
            suite = SUITES[name]
            context = Context(options, images, wanted, Path(scratch), say)
            report.cases += suite.run(suite, context)
            done(report)
    return report


def _chosen(suites: Sequence[str], *, on_gpu: bool) -> list[str]:
    """Names of suites; those of a GPU can be rehearsed on the CPU, not the other way round."""
    if "all" in suites:
        return [name for name, suite in SUITES.items() if suite.gpu == on_gpu]
    names = list(dict.fromkeys(suites)) or list(DEVICE_DEFAULT if on_gpu else DEFAULT)
    wrong = [name for name in names if on_gpu and name in SUITES and not SUITES[name].gpu]
    if wrong:
        raise ValueError(
            f"suite {wrong[0]!r} measures the CPU; leave out --device, or name one of "
            f"{', '.join(DEVICE_DEFAULT)}."
        )
    return names


def _known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}; there are {', '.join(known)}.")


def listing() -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
    """Suites as (name, what, opponents), opponents as (name, version or "")."""
    suites = [(s.name, s.what, ", ".join(s.opponents)) for s in SUITES.values()]
    found = [(name, version(opponent(name).package)) for name in NAMES]
    return suites, [*found, ("torch", version(PACKAGES["torch"]))]


def write(report: Report, folder: Path) -> list[Path]:
    """results.json, results.md and, where matplotlib is installed, plot.png.

    Returns:
        The files' paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data, text, picture = (folder / name for name in ("results.json", "results.md", "plot.png"))
    save(report, data)
    text.write_text(markdown(report))
    with suppress(ImportError):
        picture.write_bytes(plot(report))
        return [data, text, picture]
    return [data, text]
