"""Who takes part, by name; a library is imported when its opponent first works."""

from __future__ import annotations

import importlib
from typing import cast

from mixwell.bench.base import Opponent

NAMES = ("mixwell", "torchvision", "timm", "albumentations", "kornia", "dali")


def opponent(name: str) -> Opponent:
    """The module of an opponent: it has `name`, `package` and `ways`."""
    return cast(Opponent, importlib.import_module(f"mixwell.bench.opponents.{name}"))
