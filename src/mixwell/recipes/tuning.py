"""Which layers learn when, and how fast: what makes a training a fine-tuning.

* The new head learns at `head_lr` times the rate of what is loaded. A network that loads nothing is
  new all over and learns at that rate throughout, so that both can share one comparison.
* Stages (see `stages`) learn the slower the nearer they are to the image, by `stage_decay`.
* Layers are frozen and unfrozen by the epoch.
* Batch norms with loaded statistics keep them: a few images of another task estimate them badly.

References:
    Jeremy Howard, Sebastian Ruder. Universal Language Model Fine-tuning for Text Classification.
    2018. arXiv:1801.06146 (rates by depth, gradual unfreezing).
    Ananya Kumar et al. Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution. 2022. arXiv:2202.10054 (the head first, then everything).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mixwell.recipes.config import TrainConfig, resolved
from mixwell.recipes.data import DataError
from mixwell.recipes.models import build_model
from mixwell.recipes.models.pretrained import Start, without_memory
from mixwell.recipes.stages import Stages, stage_of, stages_of

Norms = Literal["auto", "frozen", "train"]
EPOCHS = 10
_ALL = 1_000_000  # more stages than any network has


@dataclass(frozen=True, kw_only=True)
class TuningConfig(TrainConfig):
    """Settings of fine-tuning; `TrainConfig` has the others.

    The learning rate `lr` is that of loaded layers: left out, it is what training from scratch uses
    divided by `head_lr`, so that new layers learn at the usual rate. With AdamW that is 1e-4; of
    MobileNetV2 on 171 photographs 3e-4 was too much (docs/recipes/finetune.md).

    Args:
        head_lr: learning rate of new layers, in units of that of loaded ones.
        stage_decay: learning rate of a stage, in units of that of the stage after it, 0 .. 1; 1
            is one rate for all loaded layers.
        unfreeze: what learns from which epoch (from 0) on, such as "head@0 last2@2 all@4": head,
            lastN (the head and the last N stages) or all. When left out the head alone for a fifth
            of the epochs, then all.
        norms: frozen (batch norms keep their loaded statistics), train, or auto: frozen where
            weights are loaded.
    """

    head_lr: float = 10.0
    stage_decay: float = 1.0
    unfreeze: str | None = None
    norms: Norms = "auto"

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: a number is out of range, or `unfreeze` cannot be read.
        """
        super().__post_init__()
        for name, low, high in (("head_lr", 1e-3, 1e4), ("stage_decay", 0.0, 1.0)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie in {low} .. {high}, got {getattr(self, name)}.")
        if self.norms not in ("auto", "frozen", "train"):
            raise ValueError(f"norms must be auto, frozen or train, got {self.norms!r}.")
        if self.unfreeze is not None:
            parse_unfreeze(self.unfreeze, self.epochs)


Config = TypeVar("Config", bound=TuningConfig)


def resolved_tuning(config: Config) -> Config:
    """The same config with defaults filled in: fewer epochs, and rates for loaded layers."""
    config = replace(config, epochs=config.epochs or EPOCHS)
    given = config.lr
    config = resolved(config)
    lr = given if given is not None else (config.lr or 0.1) / config.head_lr
    head_first = (config.epochs or EPOCHS) // 5
    unfreeze = config.unfreeze or ("head@0 " + f"all@{head_first}" if head_first else "all")
    return replace(config, lr=lr, unfreeze=unfreeze)


def parse_unfreeze(text: str, epochs: int | None = None) -> tuple[tuple[int, int], ...]:
    """A schedule as (first epoch, stages that learn beside the head).

    Args:
        text: ``PART@EPOCH`` with spaces or commas between; ``PART`` alone begins at epoch 0.
        epochs: of the training, where known.

    Raises:
        ValueError: a word cannot be read, nothing is said of epoch 0, epochs do not rise, or one of
            them never comes.
    """
    found = []
    for word in re.split(r"[\s,]+", text.strip()):
        match = re.fullmatch(r"(?:(head)|last([1-9]\d*)|(all))(?:@(\d+))?", word)
        if match is None:
            raise ValueError(
                f"unfreeze needs words such as head@0, last2@3 or all@5, got {word!r}. Say what "
                "learns, and from which epoch on."
            )
        count = 0 if match[1] else int(match[2]) if match[2] else _ALL
        found.append((int(match[4] or 0), count))
    starts = [epoch for epoch, _ in found]
    if starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
        raise ValueError(
            f"unfreeze must begin at epoch 0 and go on in order, got {text!r}. Write for instance "
            "head@0 all@2."
        )
    if epochs is not None and starts[-1] >= epochs:
        raise ValueError(
            f"unfreeze must happen within {epochs} epochs, counted from 0, got {text!r}. Train "
            "longer or unfreeze earlier."
        )
    return tuple(found)


@dataclass(frozen=True)
class Tuning:
    """A schedule for one network; the training loop asks it.

    Args:
        stages: of the network, without its new layers.
        head: names of the new layers.
        scratch: nothing was loaded: all layers are new, none is frozen.
        head_lr: rate of new layers.
        stage_decay: rate of a stage by that of the next.
        schedule: of `parse_unfreeze`.
        frozen_norms: batch norms keep their statistics.
    """

    stages: Stages
    head: tuple[str, ...]
    scratch: bool
    head_lr: float
    stage_decay: float
    schedule: tuple[tuple[int, int], ...]
    frozen_norms: bool

    @property
    def constant(self) -> bool:
        """Whether the same layers learn in every epoch."""
        return self.scratch or len(self.schedule) == 1

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must share with the run that resumes it."""
        return {
            "head_lr": self.head_lr,
            "stage_decay": self.stage_decay,
            "unfreeze": [list(pair) for pair in self.schedule],
            "frozen_norms": self.frozen_norms,
            "scratch": self.scratch,
        }

    def summary(self) -> str:
        """One line for people."""
        if self.scratch:
            return f"from scratch: every layer learns at {self.head_lr:g} x lr"
        parts = [f"new: {', '.join(self.head)} at {self.head_lr:g} x lr"]
        slowest = self.stage_decay ** (len(self.stages) - 1)
        rates = "lr" if slowest == 1 else f"{slowest:.2g} x lr to lr"
        parts.append(f"loaded: {len(self.stages)} stages at {rates}")
        parts.append(f"learning: {_words(self.schedule)}")
        parts.append(f"batch norms {'keep' if self.frozen_norms else 'learn'} their statistics")
        return "; ".join(parts)

    def lr_scale(self, name: str) -> float:
        """The rate of a parameter in units of the loaded layers' rate."""
        if self.is_new(name):
            return self.head_lr
        return self.stage_decay ** (len(self.stages) - 1 - stage_of(name, self.stages))

    def is_new(self, name: str) -> bool:
        """Whether a parameter or module was not loaded."""
        return self.scratch or any(name == h or name.startswith(f"{h}.") for h in self.head)

    def learns(self, name: str, epoch: int) -> bool:
        """Whether a parameter learns in an epoch, counted from 0."""
        if self.is_new(name):
            return True
        count = next(count for start, count in reversed(self.schedule) if start <= epoch)
        return stage_of(name, self.stages) >= len(self.stages) - count

    def begin(self, network: nn.Module, epoch: int) -> None:
        """Prepare a network in training mode for an epoch.

        Args:
            network: which parameters learn is set on it; norms that keep their statistics are put
                into evaluation mode.
            epoch: counted from 0.
        """
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(self.learns(name, epoch))
        for name, norm in _norms(network):
            if self.frozen_norms or not self.learns(name, epoch):
                norm.eval()


def _words(schedule: tuple[tuple[int, int], ...]) -> str:
    names = {0: "head", _ALL: "all"}
    return ", ".join(f"{names.get(n, f'last{n}')} from epoch {epoch}" for epoch, n in schedule)


def _norms(network: nn.Module) -> Iterator[tuple[str, _BatchNorm]]:
    return ((n, m) for n, m in network.named_modules() if isinstance(m, _BatchNorm))


def make_tuning(start: Start, config: TuningConfig) -> Tuning:
    """The schedule of a network that begins at `start`.

    Args:
        start: the initial weights.
        config: of `resolved_tuning`.

    Raises:
        DataError: more stages are to be unfrozen than there are, or batch norms that hold no
            statistics are to be trained.
    """
    frozen = config.norms == "frozen" or (config.norms == "auto" and not start.scratch)
    if start.folded and not frozen:
        raise DataError(
            f"The batch norms in {start.weights} were folded away and hold no statistics, so they "
            "cannot be trained: the first step would lose the features. Leave out norms=train "
            "(--norms)."
        )
    if start.scratch and frozen:
        raise DataError(
            "Training from scratch needs batch norms that learn their statistics, got norms=frozen "
            "(--norms) and no weights. Leave it out."
        )
    network = without_memory(lambda: build_model(start.model, start.num_classes))
    stages = stages_of(network, start.head)
    schedule = parse_unfreeze(config.unfreeze or "all", config.epochs)
    most = max([count for _, count in schedule if count < _ALL], default=0)
    if most > len(stages):
        raise DataError(
            f"{start.model} has {len(stages)} stages, got last{most} to be unfrozen (--unfreeze). "
            "Name fewer, or all."
        )
    return Tuning(
        stages=stages,
        head=start.head,
        scratch=start.scratch,
        head_lr=config.head_lr,
        stage_decay=config.stage_decay,
        schedule=schedule,
        frozen_norms=frozen,
    )
