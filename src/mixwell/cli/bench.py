"""`mixwell bench`: how fast augmentation is here, beside the other libraries that are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mixwell.cli import console

_Switch = Parameter(negative="", show_default=False)


def bench(
    *,
    suite: Annotated[str | None, Parameter(name=["--suite", "-s"])] = None,
    opponents: str | None = None,
    rounds: int | None = None,
    threads: int = 2,
    images: Path | None = None,
    out: Path = Path("runs/bench"),
    quick: Annotated[bool, _Switch] = False,
    device: str = "cpu",
    list_: Annotated[bool, Parameter(name="--list", negative="", show_default=False)] = False,
) -> int:
    """Measure augmentation beside the other libraries that are installed.

    Every path's pixels and labels are checked before it is timed; all take turns, in one run.
    Writes results.json, results.md and plot.png. For the others: pip install 'mixwell[bench]'.

    Args:
        suite: Names with commas between them, or all; see --list. When not given,
            randaug,crop,cifar,mix; with --device cuda gpu-randaug,gpu-crop,gpu-cifar.
        opponents: Names with commas between them; all that are installed when not given.
        rounds: How often each is timed; 7, or 2 with --quick.
        threads: Threads or worker processes of the wider condition; one thread is measured too.
        images: A folder of photographs; scikit-learn's two sample photographs when not given.
        out: Where the results are written.
        quick: Small batches and few rounds: to see it work, not to quote.
        device: cpu, or cuda for the suites whose batches lie on a GPU. On cpu those run too, as a
            rehearsal: their figures say nothing of a GPU.
        list_: Say what can be measured here, and stop.
    """
    if rounds is not None and rounds < 1:
        raise ValueError(f"--rounds must be at least 1, got {rounds}.")
    if threads < 1:
        raise ValueError(f"--threads must be at least 1, got {threads}.")
    from mixwell import bench as home

    if list_:
        return _list(home)
    options = home.Options(rounds or (2 if quick else 7), threads, quick, device)
    with console.keeping(out):
        report = home.run(
            _words(suite or ""),
            options,
            opponents=_words(opponents or ""),
            images=images,
            say=_say,
            done=lambda so_far: home.write(so_far, out) and None,
        )
    shown = console.standard()
    shown.print(home.markdown(report), markup=False, soft_wrap=True)
    for path in home.write(report, out):
        shown.print(f"wrote {path}", markup=False, soft_wrap=True)
    return 0


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _say(line: str) -> None:
    """What is being done, beside the results: on standard error."""
    import sys

    print(f"  {line}", file=sys.stderr, flush=True)


def _list(home) -> int:
    suites, opponents = home.listing()
    out = console.standard()
    shown = console.table("suite", "what", "opponents", title="Suites")
    for row in suites:
        shown.add_row(*row)
    out.print(shown, "")
    shown = console.table("opponent", "version", title="Opponents")
    for name, version in opponents:
        shown.add_row(name, version or "not installed: pip install 'mixwell\\[bench]'")
    out.print(shown)
    return 0
