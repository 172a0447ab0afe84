"""What the settings of every training share: fields, checks, and the way to JSON and back.

A recipe's config adds its own fields. It says a shared one again only where its default, or what it
means, is another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from mixwell.recipes.optim import OPTIMIZERS, SCHEDULES

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

OptimizerName = Literal["sgd", "adam", "adamw"]
ScheduleName = Literal["onecycle", "cosine", "step", "constant"]
Config = TypeVar("Config", bound="DataclassInstance")

LARGEST_SEED = 2**32 - 1  # times a million, and an epoch, stays within PyTorch's 64 bits


@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """How a network learns, whatever it learns.

    Args:
        epochs: passes over the training images; by data set when left out.
        batch_size: images in a step.
        optimizer: sgd (Nesterov), adam or adamw.
        schedule: cosine (with a warm-up), onecycle, step or constant; of the learning rate, per
            step.
        lr: peak learning rate; by optimizer when left out.
        momentum: of SGD, or Adam's first beta.
        weight_decay: by optimizer when left out.
        measure_every: epochs from one measurement of the validation images to the next; a fifth of
            them when left out; the last epoch is always measured.
        num_workers: processes that read and augment images; 0 does it in this one.
        threads: CPU threads of PyTorch; its own choice when left out.
    """

    epochs: int | None = None
    batch_size: int | None = None
    optimizer: OptimizerName | None = None
    schedule: ScheduleName | None = None
    lr: float | None = None
    momentum: float = 0.9
    weight_decay: float | None = None
    measure_every: int | None = None
    num_workers: int = 2
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: a number is out of range, or a word is none of those above.
        """
        check_ranges(self, _RANGES)
        check_words(self, {"optimizer": OPTIMIZERS, "schedule": SCHEDULES})


@dataclass(frozen=True, kw_only=True)
class RunConfig(LearningConfig):
    """Settings of one run that is written to a folder.

    Args:
        seed: of initial weights, batch order and augmentation, 0 .. 2**32 - 1.
        out: the run's folder; named after the settings under ``runs`` when left out, with a number
            where there is one of that name.
        resume: continue the run that is in the folder.
        overwrite: give up the run that is in the folder.
        quiet: show nothing.
    """

    seed: int = 0
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: as `LearningConfig`, or the seed is out of range.
        """
        super().__post_init__()
        check_seed(self.seed)


_RANGES = (
    ("epochs", 1, 100_000),
    ("batch_size", 1, 1_000_000),
    ("lr", 1e-12, 1e3),
    ("momentum", 0.0, 1.0),
    ("weight_decay", 0.0, 10.0),
    ("measure_every", 1, 100_000),
    ("num_workers", 0, 1024),
    ("threads", 1, 4096),
)


def check_ranges(config: object, ranges: Sequence[tuple[str, float, float]]) -> None:
    """Refuse numbers out of range; None is left alone, and of a tuple each is looked at.

    Args:
        config: has the fields.
        ranges: name, least and largest value of each.

    Raises:
        ValueError: a number is out of range.
    """
    for name, low, high in ranges:
        value = getattr(config, name)
        each = value if isinstance(value, tuple) else (value,)
        if value is not None and not all(low <= one <= high for one in each):
            raise ValueError(f"{name} must lie in {low} .. {high}, got {value}.")


def check_words(config: object, words: Mapping[str, Sequence[str]]) -> None:
    """Refuse words that are not known; a field's default always is.

    Args:
        config: a dataclass with the fields.
        words: for each field those that are known.

    Raises:
        ValueError: a word is none of them.
    """
    for name, known in words.items():
        value = getattr(config, name)
        if value not in known and value != getattr(type(config), name):
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")


def check_seed(seed: int) -> None:
    """Refuse a seed that not every generator takes.

    Raises:
        ValueError: it is out of range.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed must lie in 0 .. {LARGEST_SEED} (2**32 - 1), got {seed}.")


def completed(config: Config, sensible: Mapping[str, Any]) -> Config:
    """The same config with `sensible` values where it has None."""
    missing = {name: value for name, value in sensible.items() if getattr(config, name) is None}
    return replace(config, **missing)


def as_json(config: DataclassInstance) -> dict[str, Any]:
    """The fields as values that JSON can hold."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}


def from_json(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """The config that `as_json` wrote, without its folder.

    Args:
        kind: its class.
        values: as JSON gives them; entries that are no fields are left out.

    Raises:
        ValueError, TypeError: a value cannot mean anything.
    """
    names = {field.name for field in fields(kind)} - {"out"}
    kept = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in names}
    return kind(**kept)
