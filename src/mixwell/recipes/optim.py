"""Optimizers, learning-rate schedules and weight averaging.

A schedule is a function of progress alone, so a resumed run needs no scheduler state to continue
exactly where it stopped.

References:
    Smith, Topin, "Super-Convergence", 2017, arXiv:1708.07120 (one-cycle).
    Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2017, arXiv:1711.05101 (AdamW).
    Polyak, Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("onecycle", "cosine", "step", "constant")
DEFAULT_LR = {"adam": 1e-3, "adamw": 1e-3}
DEFAULT_SCHEDULE = {"sgd": "onecycle", "adam": "cosine", "adamw": "cosine"}
DEFAULT_DECAY = {"sgd": 5e-4, "adam": 0.0, "adamw": 0.05}


def build_optimizer(
    model: nn.Module,
    name: str = "sgd",
    *,
    lr: float,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    bias_lr: float = 1.0,
    decay_all: bool = False,
    lr_scale: Callable[[str], float] | None = None,
) -> Optimizer:
    """An optimizer over the model's trainable parameters.

    Args:
        model: what to train.
        name: ``"sgd"`` (Nesterov where momentum > 0), ``"adam"`` or ``"adamw"``.
        lr: the peak learning rate, > 0.
        momentum: of SGD; the first beta of Adam and AdamW.
        weight_decay: >= 0.
        bias_lr: learning rate of norms and biases (all one-dimensional parameters), in units of
            what they would have else.
        decay_all: decay norms and biases (all one-dimensional parameters) too.
        lr_scale: from a parameter's name to its learning rate in units of `lr`; 1 when left out.
            Each group of parameters carries its own as ``"lr_scale"``, which `set_lr` obeys.

    Raises:
        ValueError: unknown name.
    """
    groups = _groups(model, weight_decay, decay_all, lr_scale or _same, bias_lr)
    if name == "sgd":
        return SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)
    if name == "adam":
        return Adam(groups, lr=lr, betas=(momentum, 0.999))
    if name == "adamw":
        return AdamW(groups, lr=lr, betas=(momentum, 0.999))
    raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {name!r}.")


def _same(name: str) -> float:
    return 1.0


def _groups(
    model: nn.Module,
    weight_decay: float,
    decay_all: bool,
    lr_scale: Callable[[str], float],
    bias_lr: float,
) -> list[dict]:
    """One group for each rate, and decay or none; slow ones last, decayed ones first."""
    found: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            scale = lr_scale(name) * (1.0 if p.ndim > 1 else bias_lr)
            found.setdefault((scale, decay_all or p.ndim > 1), []).append(p)
    return [
        {"params": params, "weight_decay": weight_decay * decayed, "lr_scale": scale}
        for (scale, decayed), params in sorted(found.items(), key=lambda i: i[0], reverse=True)
    ]


def lr_factor(schedule: str, progress: float) -> float:
    """Learning rate as a share of its peak.

    ==========  ==================================================================================
    onecycle    a tenth to the peak over the first quarter, then straight down to zero
    cosine      up from zero over the first twentieth, then half a cosine down to zero
    step        the peak, a tenth of it from one half, a hundredth from three quarters
    constant    the peak
    ==========  ==================================================================================

    Args:
        schedule: one of the names above.
        progress: share of all training steps done, 0 .. 1.

    Raises:
        ValueError: unknown schedule.
    """
    if schedule == "onecycle":
        return 0.1 + 3.6 * progress if progress < 0.25 else (1 - progress) / 0.75
    if schedule == "cosine":
        if progress < 0.05:
            return progress / 0.05
        return 0.5 + 0.5 * math.cos(math.pi * (progress - 0.05) / 0.95)
    if schedule == "step":
        return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01
    if schedule == "constant":
        return 1.0
    raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}.")


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Give every parameter group the learning rate, times the group's own scale."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


class AveragedWeights(nn.Module):
    """An exponential moving average of a model's weights and of its norms' statistics.

    After n updates the decay is min(decay, (1 + n) / (10 + n)), so that a short run is not held
    back by its random start.

    Args:
        model: the model to follow; copied.
        decay: share of the average kept at each update, 0 .. 1; 0.999 spans about 1000 steps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.module = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay = decay
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.updates: Tensor
        self._done = 0  # mirrors `updates`: reading a buffer on a GPU would wait for it

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move a step towards the model's present weights."""
        weight = 1 - min(self.decay, (1 + self._done) / (10 + self._done))
        self._done += 1
        self.updates += 1
        old, new = self.module.state_dict(), model.state_dict()
        for name, average in old.items():
            if average.is_floating_point():
                average.lerp_(new[name].to(average.dtype), weight)
            else:
                average.copy_(new[name])

    def load_state_dict(self, state_dict, *args, **kwargs):  # type: ignore[override]
        """Restore the average and how many updates it has seen."""
        loaded = super().load_state_dict(state_dict, *args, **kwargs)
        self._done = int(self.updates)
        return loaded

    def forward(self, x: Tensor) -> Tensor:
        """The averaged model's logits."""
        return self.module(x)
