"""`mixwell doctor`: the diagnosis as tables."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from mixwell.cli import console


def doctor(*, compile: Annotated[bool, Parameter(negative="", show_default=False)] = False) -> int:
    """Say what is installed and which devices and backends work here.

    Args:
        compile: Compile the kernels of the numba backend now, for instance while an image is built.
    """
    from mixwell.doctor import compile_kernels, diagnose

    report = diagnose()
    out = console.standard()
    out.print(f"[bold]{report.python}[/bold]\n")
    _versions(out, report)
    _devices(out, report)
    _threads(out, report)
    if compile and report.ok:
        for kind, seconds in compile_kernels().items():
            out.print(f"kernels for {kind} images: ready after {seconds:.1f} s")
    for hint in report.hints:
        out.print(f"[dim]·[/dim] {hint}", markup=True, soft_wrap=True)
    for problem in report.problems:
        console.tell(problem)
    return 0 if report.ok else 1


def _versions(out: Console, report) -> None:
    shown = console.table("package", "version", "for", title="Packages")
    for v in report.versions:
        missing = "[red]missing[/red]" if v.required else "[dim]not installed[/dim]"
        shown.add_row(v.name, v.version or missing, f"[dim]{v.use}[/dim]")
    out.print(shown, "")


def _devices(out: Console, report) -> None:
    shown = console.table("device", "hardware", "auto backend", title="Devices")
    for d in report.devices:
        shown.add_row(d.name, d.what, d.backend)
    if report.devices:
        out.print(shown, "")
    shown = console.table("backend", "devices", "here", title="Render backends")
    for b in report.backends:
        here = "[green]works[/green]" if b.works else f"no: {b.reason}"
        shown.add_row(b.name, ", ".join(b.devices), here)
    if report.backends:
        out.print(shown, "")


def _threads(out: Console, report) -> None:
    shown = console.table("setting", "value", title="Threads and processes")
    for name, value in report.threads.items():
        shown.add_row(name, value)
    out.print(shown, "")
