"""The little of YAML that data.yaml files use, read without running or guessing anything.

Top-level keys with a scalar, a list or a flat map (in either spelling); comments; quotes. Block
texts (`|`, `>`) and deeper levels are passed over. Every scalar stays text, so a class named `no`
keeps its name. Anchors, aliases and tags are refused.
"""

from __future__ import annotations

import re
from pathlib import Path

from mixwell import DataError

Value = str | list[str] | dict[str, str]

_KEY = re.compile(
    r"(?P<key>\"[^\"]*\"|'[^']*'|[^\s#\[\]{},&*!|>%@`\"'-][^:#]*?|-?\d+)\s*:(?:\s+|$)"
)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "/": "/"}


def parse(text: str, path: Path) -> dict[str, Value]:
    """The top-level keys of a small YAML file.

    Args:
        text: the content.
        path: the file, for messages.

    Raises:
        DataError: something that this subset does not have; the message says the line.
    """
    lines = [_Line(number, raw, path) for number, raw in enumerate(text.splitlines(), 1)]
    lines = [line for line in lines if line.text and line.text not in ("---", "...")]
    out: dict[str, Value] = {}
    place = 0
    while place < len(lines):
        line = lines[place]
        found = _KEY.match(line.text)
        if line.indent or not found:
            raise line.wrong("a line at the left margin is `key: value`")
        key = line.scalar(found["key"])
        rest = line.text[found.end() :]
        place += 1
        if rest[:1] in ("[", "{"):
            while not _closed(rest) and place < len(lines):
                rest += " " + lines[place].text
                place += 1
            out[key] = _flow(rest, line)
        elif rest and rest[0] not in "|>":
            out[key] = line.scalar(rest)
        else:
            block = place
            while place < len(lines) and (lines[place].indent or lines[place].is_item):
                place += 1
            out[key] = "" if rest else _block(lines[block:place])
    return out


class _Line:
    """A line without its comment."""

    def __init__(self, number: int, raw: str, path: Path) -> None:
        self.number, self.path = number, path
        self.text = _without_comment(raw).strip()
        self.indent = len(raw) - len(raw.lstrip())
        self.is_item = self.text == "-" or self.text.startswith("- ")

    def wrong(self, rule: str) -> DataError:
        return DataError(
            f"In {self.path}, line {self.number}, {rule}, got {self.text[:60]!r}. Write it so; "
            "only plain keys, lists and maps are read."
        )

    def scalar(self, text: str) -> str:
        text = text.strip()
        if text[:1] in ("'", '"'):
            if len(text) < 2 or text[-1] != text[0]:
                raise self.wrong("a quote must be closed")
            inner = text[1:-1]
            if text[0] == "'":
                return inner.replace("''", "'")
            return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), inner)
        if text[:1] in tuple("&*!"):
            raise self.wrong("anchors, aliases and tags are not read")
        return text


def _without_comment(raw: str) -> str:
    quote = ""
    for i, letter in enumerate(raw):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and (i == 0 or raw[i - 1] in " [{,:\t"):
            quote = letter
        elif letter == "#" and (i == 0 or raw[i - 1] in " \t"):
            return raw[:i]
    return raw


def _block(lines: list[_Line]) -> Value:
    """A list or a flat map below a key; what is deeper is passed over."""
    if not lines:
        return ""
    level = [line for line in lines if line.indent == lines[0].indent]
    if lines[0].is_item:
        bad = next((line for line in lines if not line.is_item), None)
        if bad:
            raise bad.wrong("a list has one `- item` in each line")
        return [line.scalar(line.text[1:]) for line in level]
    out = {}
    for line in level:
        found = _KEY.match(line.text)
        if not found:
            raise line.wrong("a map has one `key: value` in each line")
        out[line.scalar(found["key"])] = line.scalar(line.text[found.end() :])
    return out


def _closed(text: str) -> bool:
    return _pieces(text)[1]


def _pieces(text: str) -> tuple[list[str], bool]:
    """The parts between the commas of a bracket, and whether it is closed."""
    close = {"[": "]", "{": "}"}[text[0]]
    parts, quote = [""], ""
    for i, letter in enumerate(text[1:], 1):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and not parts[-1].strip():
            quote = letter
        elif letter in "'\"" and parts[-1].rstrip().endswith(":"):
            quote = letter
        elif letter == close:
            rest = text[i + 1 :].strip()
            return parts, not rest
        elif letter == ",":
            parts.append("")
            continue
        parts[-1] += letter
    return parts, False


def _flow(text: str, line: _Line) -> Value:
    """`[a, b]` or `{0: a, 1: b}`."""
    parts, closed = _pieces(text)
    if not closed:
        raise line.wrong("a bracket must be closed, with nothing behind it and none inside")
    parts = [part for part in map(str.strip, parts) if part]
    if text[0] == "[":
        return [line.scalar(part) for part in parts]
    out = {}
    for part in parts:
        found = _KEY.match(part)
        if not found:
            raise line.wrong("a map has `key: value` between commas")
        out[line.scalar(found["key"])] = line.scalar(part[found.end() :])
    return out
