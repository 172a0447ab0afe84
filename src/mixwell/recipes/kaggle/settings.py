"""What a search tries: plain values, and what is sensible for the images."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mixwell.recipes.config import LARGEST_OF_ONE_SIZE, TrainConfig, resolved
from mixwell.recipes.kaggle.competition import Competition
from mixwell.recipes.settings import check_seed

_SEARCHED = (
    "policy",
    "lr",
    "epochs",
    "batch_size",
    "optimizer",
    "schedule",
    "weight_decay",
    "momentum",
    "model",
    "loss",
    "smoothing",
    "ema",
    "image_size",
    "tta",
)


@dataclass(frozen=True, kw_only=True)
class SearchConfig(TrainConfig):
    """What is tried; `TrainConfig` has the other settings, shared by all runs.

    Args:
        policy: a preset's name, a TOML file's path, or code; standard unless the grid has some.
        grid: values to try, such as ``{"lr": [0.1, 0.3], "policy": ["standard", "cutmix"]}``, in
            all combinations. When left out: a third of the usual learning rate and all of it, with
            standard and with cutmix; only one of the two where the other is given.
        seeds: runs of each combination, which is judged by their mean; 0 .. 2**32 - 1.
        search_epochs: epochs of a run of the search; as many as in the last training when left out.
        out: the folder; when left out runs/kaggle, or with a number where that holds another.
        resume: keep the finished runs that are in the folder.
        overwrite: give up what is in the folder.
        quiet: show nothing.
    """

    policy: str | None = None
    grid: dict[str, list[Any]] | None = None
    seeds: tuple[int, ...] = (0,)
    search_epochs: int | None = None
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: a number is out of range, or a field or value of the grid is unknown.
        """
        super().__post_init__()
        if self.whiten:
            raise ValueError("whiten must be off in a search: submit builds networks by name.")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must name at least one, each once, got {self.seeds}.")
        for seed in self.seeds:
            check_seed(seed)
        if self.search_epochs is not None and self.search_epochs < 1:
            raise ValueError(f"search_epochs must be at least 1, got {self.search_epochs}.")
        for name, values in (self.grid or {}).items():
            _check_values(name, values)


def _check_values(name: str, values: Sequence[Any]) -> None:
    if name not in _SEARCHED:
        raise ValueError(f"The grid can try {', '.join(_SEARCHED)}, got {name!r}.")
    kind = str if name == "policy" else get_type_hints(TrainConfig)[name]
    kinds = (kind,) if get_origin(kind) is Literal else get_args(kind) or (kind,)
    for value in values:
        if not any(_is_of(value, k) for k in kinds):
            raise ValueError(f"The grid's {name} does not take {value!r}.")
        if name != "policy":
            TrainConfig(**{name: value})
    if not values or len(set(values)) < len(values):
        raise ValueError(f"The grid's {name} needs values, each once, got {list(values)}.")


def _is_of(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def filled(competition: Competition, config: SearchConfig) -> SearchConfig:
    """The settings with a grid, and with the kind of images that decides what else is sensible."""
    size = competition.size_hw
    small = competition.in_memory and size is not None and max(size) <= LARGEST_OF_ONE_SIZE
    config = replace(config, data="small" if small else "folder", train_accuracy=False)
    grid = config.grid
    if grid is None:
        usual = resolved(config).lr or 0.1
        grid = {} if config.lr is not None else {"lr": [round(usual / 3, 6), usual]}
        grid |= {} if config.policy is not None else {"policy": ["standard", "cutmix"]}
    return replace(config, grid=grid)


def combinations(grid: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """All combinations of a grid's values; one without values for an empty grid."""
    return [dict(zip(grid, chosen, strict=True)) for chosen in itertools.product(*grid.values())]


def combined(config: SearchConfig, values: dict[str, Any]) -> SearchConfig:
    """The settings with a combination's values, and what depends on them filled in."""
    return resolved(replace(config, **values))
