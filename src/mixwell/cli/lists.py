"""Lists on the command line: `--policies a b` or `a,b`, and `--grid num_ops=1,2 magnitude=9`."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from mixwell._errors import PolicyError


def split_commas(texts: Sequence[str]) -> list[str]:
    """The parts of all texts, cut at commas that stand outside brackets and quotes.

    So `mixup,cutmix` is two policies and `Policy(Cutout(8), MixUp())` is one.
    """
    parts: list[str] = []
    for text in texts:
        depth, quote, start = 0, "", 0
        for i, letter in enumerate(text):
            if quote:
                quote = "" if letter == quote else quote
            elif letter in "'\"":
                quote = letter
            elif letter in "([{":
                depth += 1
            elif letter in ")]}":
                depth -= 1
            elif letter == "," and depth == 0:
                parts.append(text[start:i])
                start = i + 1
        parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def parse_seeds(texts: Sequence[str]) -> tuple[int, ...]:
    """Seeds from `0 1 2` or `0,1,2`.

    Raises:
        PolicyError: one is no whole number of at least 0.
    """
    parts = split_commas(texts)
    for part in parts:
        if not (part.isascii() and part.isdigit()):
            raise PolicyError(f"--seeds takes whole numbers such as 0 1 2, got {part!r}.")
    return tuple(int(part) for part in parts)


def parse_grid(texts: Sequence[str]) -> dict[str, list] | None:
    """A grid from `num_ops=1,2,3 magnitude=5,9,14`; None when there is none.

    Values are Python literals where they can be read so, else words.

    Raises:
        PolicyError: a part has no name or no value, or a name comes twice.
    """
    grid: dict[str, list] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        found = [_literal(value) for value in split_commas([values])]
        if not (name.isidentifier() and equals and found):
            raise PolicyError(f"--grid takes parts such as num_ops=1,2,3, got {text!r}.")
        if name in grid:
            raise PolicyError(f"--grid names each field once, got {name} twice.")
        grid[name] = found
    return grid or None


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
