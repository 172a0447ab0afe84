"""A report as Markdown: a table for each case, or one for each suite of single ops."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from mixwell.bench.result import OURS, CaseResult, Report, Row, Times


def markdown(report: Report) -> str:
    """The whole report."""
    parts = [_head(report)]
    for suite, cases in groupby(report.cases, lambda case: case.suite):
        found = list(cases)
        parts.append(f"## {suite}\n")
        if suite.startswith("ops"):
            parts.append(_ops(found))
        else:
            parts += [_startup(c) if suite == "startup" else _case(c) for c in found]
    return "\n".join(parts).rstrip() + "\n"


def _head(report: Report) -> str:
    machine, options = report.machine, report.options
    versions = ", ".join(f"{name} {v}" for name, v in machine["versions"].items())
    gpu = _gpu(machine.get("gpu"))
    quick = " **Quick run: small batches, not to be quoted.**" if options["quick"] else ""
    return (
        f"# mixwell bench\n\n{machine['cpu']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}; {machine['date']}, commit {machine['commit'] or 'unknown'}; "
        f"load before: {machine['load']}.\n\n{gpu}{versions}.\n\nImages: {report.inputs}. "
        f"{options['rounds']} rounds, all in turn; medians, quartiles in brackets. "
        f"× is how many times longer than mixwell: the median of the rounds' ratios.{quick}\n"
    )


def _gpu(about: dict[str, Any] | None) -> str:
    """The device's line, "" where none was measured."""
    if about is None:
        return ""
    more = [f"{name} {value}" for name, value in about.items() if name != "name" and value]
    return f"Device: {about['name']}; {', '.join(more)}.\n\n"


def _case(case: CaseResult) -> str:
    conditions = case.conditions
    heads = ["", *(_condition(*c) for c in conditions), *_extra_heads(case)]
    lines = [_line(heads), _line(["---", *["---:"] * (len(heads) - 1)])]
    lines += [_line([_who(row), *_cells(case, row), *_extras(case, row)]) for row in case.rows]
    title = "" if case.name == case.suite else f"### {case.name}\n\n"
    unit = f"{case.unit}, batch of {case.batch}"
    said = "\n".join([*_settings(case), *_mixers(case), *_facts(case)])
    return f"{title}{unit}:\n\n" + "\n".join(lines) + f"\n\n{said}\n"


def _condition(threads: int, mixing: bool | None) -> str:
    width = "1 thread" if threads == 1 else f"{threads} threads" if threads else "on the device"
    return width if mixing is None else f"{width}, {'mixed' if mixing else 'no mixing'}"


def _cells(case: CaseResult, row: Row) -> list[str]:
    if row.status != "timed":
        return [f"{_status(row)}", *[""] * (len(case.conditions) - 1)]
    return [_cell(case, row, *condition) for condition in case.conditions]


def _cell(case: CaseResult, row: Row, threads: int, mixing: bool | None) -> str:
    times = row.at(threads, mixing)
    if times is None:
        return "–"
    low, high = times.quartiles
    ratio = case.ratio(row, threads, mixing)
    shown = "" if ratio is None or row.opponent == OURS else f" **{times_longer(ratio)}×**"
    return f"{number(times.median)} ({number(low)}–{number(high)}){shown}"


def number(value: float) -> str:
    """Three significant digits."""
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{4 if value < 0.1 else digits}f}"


def times_longer(ratio: float) -> str:
    """Two decimals, one above 10."""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"


def _who(row: Row) -> str:
    name = f"{row.opponent} {row.version}".strip()
    return f"{name} ({row.label})" if row.label else name


def _status(row: Row) -> str:
    return row.reason if row.status in ("missing", "absent") else f"{row.status}: {row.reason}"


def _extra_heads(case: CaseResult) -> list[str]:
    names = dict.fromkeys(name for row in case.rows for name in row.extra)
    return [_extra_words(name) for name in names]


_DEVICE_WORDS = {
    "sampling_us": "sampling, µs",
    "upload_us": "lowering and upload, µs",
    "kernels_us": "kernels, µs",
    "graph_us": "kernels as a graph, µs",
    "share_of_floor": "share of the copy floor",
    "share_of_floor_kernels": "the same, kernels alone",
}


def _extra_words(name: str) -> str:
    words, _, threads = name.rpartition("_")
    if not threads.isdigit():
        return _DEVICE_WORDS.get(name, name)
    said = {"gb_s": "GB/s", "share_of_copy": "share of copy"}.get(words, words)
    return f"{said}, {threads} thr."


def _extras(case: CaseResult, row: Row) -> list[str]:
    names = dict.fromkeys(name for other in case.rows for name in other.extra)
    return [_extra(name, row.extra[name]) if name in row.extra else "" for name in names]


def _extra(name: str, value: float) -> str:
    return f"{value:.0%}" if name.startswith("share") else f"{value:.1f}"


def _settings(case: CaseResult) -> list[str]:
    """What each row ran, once where all conditions ran the same."""
    lines = []
    for row in case.rows:
        kinds: dict[str, list[Times]] = {}
        for times in row.times:
            kinds.setdefault(times.settings, []).append(times)
        for words, seen in kinds.items():
            where = "; ".join(_condition(t.threads, t.mixing) for t in seen)
            lines.append(f"- {_who(row)}: {words}" + (f" [{where}]" if len(kinds) > 1 else ""))
    return lines


def _mixers(case: CaseResult) -> list[str]:
    """Whose mixing was given to those that have none."""
    found = {t.threads: t.mixer for row in case.rows for t in row.times if t.mixer}
    if not found:
        return []
    words = ", ".join(f"{mixer} ({_condition(n, None)})" for n, mixer in sorted(found.items()))
    return [
        f"- mixing, for all that have none of their own the fastest: {words}; one draw per batch"
    ]


def _facts(case: CaseResult) -> list[str]:
    if not case.facts:
        return []
    bound = case.facts.get("bound_ms")
    lines = ["- measured beside: " + ", ".join(f"{k} {_fact(v)}" for k, v in case.facts.items())]
    ours = next((row for row in case.rows if row.opponent == OURS and row.times), None)
    if bound is not None and ours is not None:
        widest = max(ours.times, key=lambda t: (t.threads, bool(t.mixing)))
        lines.append(f"- mixwell reaches {bound / widest.median:.0%} of the bound")
    return lines


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{k} {_fact(v)}" for k, v in value.items()) + ")"
    return number(value) if isinstance(value, float) else str(value)


def _ops(cases: list[CaseResult]) -> str:
    """One line for each op, one column for each opponent."""
    names = list(dict.fromkeys(row.opponent for case in cases for row in case.rows))
    lines = [_line(["op", *names]), _line(["---", *["---:"] * len(names)])]
    for case in cases:
        rows = {row.opponent: row for row in case.rows}
        lines.append(_line([_op_name(case), *(_op_cell(case, rows.get(n)) for n in names)]))
    head = f"ms/image, batch of {cases[0].batch}, one thread, uint8 in and out:\n\n"
    settings = dict.fromkeys(
        f"- {row.opponent} {row.version}: {t.settings}"
        for case in cases
        for row in case.rows
        for t in row.times
    )
    return head + "\n".join(lines) + "\n\n" + "\n".join(settings) + "\n"


def _startup(case: CaseResult) -> str:
    """One line for each opponent, one column for each step."""
    labels = list(dict.fromkeys(row.label for row in case.rows if row.times))
    names = list(dict.fromkeys(row.opponent for row in case.rows))
    lines = [_line(["", *labels]), _line(["---", *["---:"] * len(labels)])]
    for name in names:
        rows = {row.label: row for row in case.rows if row.opponent == name}
        first = next(iter(rows.values()))
        cells = [number(rows[k].times[0].median) if k in rows else "" for k in labels]
        if first.status != "timed":
            cells = [_status(first), *[""] * (len(labels) - 1)]
        lines.append(_line([f"{name} {first.version}".strip(), *cells]))
    words = f"{case.unit}, in fresh processes, one thread, batch of {case.batch}"
    return f"{words}; cold: no compiled code kept from before:\n\n" + "\n".join(lines) + "\n"


def _op_name(case: CaseResult) -> str:
    setting = case.facts.get("setting", "")
    return f"{case.name} ({setting})" if setting else case.name


def _op_cell(case: CaseResult, row: Row | None) -> str:
    if row is None or row.status != "timed":
        return "" if row is None else _status(row)
    ratio = case.ratio(row, 1, None)
    shown = "" if ratio is None or row.opponent == OURS else f" **{times_longer(ratio)}×**"
    note = f" ({row.label})" if row.label else ""
    return number(row.times[0].median) + shown + note


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
