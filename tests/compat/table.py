"""Print the table of parity as Markdown: `python -m tests.compat.table`."""

from __future__ import annotations

from tests.compat.parity import PARITY, Bound


def cell(bound: Bound | None, notes: list[str]) -> str:
    """ "exact", the difference with the number of its note, or a dash."""
    if bound is None:
        return "-"
    if not bound.reason:
        return "exact"
    if bound.reason not in notes:
        notes.append(bound.reason)
    return f"within {bound.most:g} [{notes.index(bound.reason) + 1}]"


def markdown() -> str:
    """Ops down, libraries across; reasons below."""
    columns = list(dict.fromkeys((library, backend) for _, library, backend in PARITY))
    ops = list(dict.fromkeys(op for op, _, _ in PARITY))
    notes: list[str] = []
    lines = ["| op | " + " | ".join(f"{a}, {b}" for a, b in columns) + " |"]
    lines.append("| --- |" + " --- |" * len(columns))
    for op in ops:
        cells = [cell(PARITY.get((op, *column)), notes) for column in columns]
        lines.append(f"| {op} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Differences are in levels of 8 bits, at most; a dash: the library has no such op.",
    ]
    lines += [f"{i}. {note}." for i, note in enumerate(notes, 1)]
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
