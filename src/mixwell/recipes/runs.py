"""A run's folder, read again: which recipe wrote it, its settings, its classes, its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mixwell import DataError
from mixwell.recipes.settings import Config, from_json

CONFIG, CHECKPOINT = "config.json", "checkpoint.pt"
RECIPE, CLASSES = "recipe", "classes"
"""Entries of `CONFIG` beside the settings."""
_TELLING = {"score_threshold": "detect", "tile": "segment"}
"""Settings that one recipe alone has, for runs that do not name theirs."""


def recipe_of(run: str | Path, known: tuple[str, ...]) -> str:
    """Which recipe wrote a run.

    Args:
        run: its folder, or the checkpoint in it.
        known: the recipes whose runs are taken.

    Raises:
        DataError: there is no run, or it is of another recipe.
    """
    values = _values(run, known)
    telling = (recipe for name, recipe in _TELLING.items() if name in values)
    found = values.get(RECIPE) or next(telling, "another recipe")
    if found not in known:
        raise DataError(
            f"The run must be one of {_commands(known)}, got one of {found} in {parts(run)[0]}. "
            "Give the folder of such a run."
        )
    return found


def read_run(run: str | Path, recipe: str, kind: type[Config]) -> tuple[Config, tuple[str, ...]]:
    """The settings and the class names of a run.

    Args:
        run: its folder, or the checkpoint in it.
        recipe: the one that must have written it.
        kind: the class of its settings.

    Raises:
        DataError: there is no run, it is of another recipe, or its file is damaged.
    """
    recipe_of(run, (recipe,))
    values, path = _values(run, (recipe,)), parts(run)[0]
    if not isinstance(values.get(CLASSES), list):
        raise DataError(
            f"A run's settings name its classes, got none in {path}. Add "
            f'"{CLASSES}": ["NAME", ...], in the order of the data set.'
        )
    try:
        return from_json(kind, values), tuple(map(str, values[CLASSES]))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"A run's settings must be as `mixwell train {recipe}` wrote them, got others in "
            f"{path}: {error} Restore the file."
        ) from None


def parts(run: str | Path) -> tuple[Path, Path]:
    """The files of a run's settings and of its checkpoint.

    Args:
        run: the folder, or the checkpoint in it.
    """
    path = Path(run)
    if path.is_file():
        return path.parent / CONFIG, path
    return path / CONFIG, path / CHECKPOINT


def _values(run: str | Path, known: tuple[str, ...]) -> dict[str, Any]:
    path = parts(run)[0]
    try:
        values = json.loads(path.read_text())
        if not isinstance(values, dict):
            raise TypeError
        return values
    except (OSError, TypeError, ValueError) as error:
        raise DataError(
            f"A run is a folder that {_commands(known)} wrote, or the checkpoint in it, got "
            f"{type(error).__name__} for {path}. Give the folder that it named at its end."
        ) from None


def _commands(recipes: tuple[str, ...]) -> str:
    return " or ".join(f"`mixwell train {recipe}`" for recipe in recipes)
