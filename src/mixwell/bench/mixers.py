"""Mixing for opponents that have none: torchvision's, timm's, and plain lines of torch.

Whichever is fastest on a case's batch is given to every opponent without mixing of its own, and
named beside the figures. All three draw once for a whole batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import util

import numpy as np
import torch

from mixwell.bench.base import Batch, library

Mixer = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""(float32 [B, 3, H, W], int [B]) -> the same batch mixed, float [B, K]; may work in place."""

Clock = Callable[[Callable[[], object]], float]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def mixup_in_place(x: torch.Tensor, y: torch.Tensor, classes: int) -> tuple:
    """One weight for the batch, the reversed batch as partners."""
    lam = float(np.random.default_rng().beta(1.0, 1.0))
    x.lerp_(x.flip(0), 1 - lam)
    return x, _labels(y, y.flip(0), lam, classes)


def cutmix_in_place(x: torch.Tensor, y: torch.Tensor, classes: int) -> tuple:
    """One box for the batch, the reversed batch as partners."""
    numbers = np.random.default_rng()
    height, width = x.shape[-2:]
    side = np.sqrt(1 - numbers.beta(1.0, 1.0))
    cy, cx = numbers.integers(height), numbers.integers(width)
    half_h, half_w = int(height * side / 2), int(width * side / 2)
    top, bottom = max(cy - half_h, 0), min(cy + half_h, height)
    left, right = max(cx - half_w, 0), min(cx + half_w, width)
    box = x[:, :, top:bottom, left:right]
    box.copy_(box.flip(0))
    lam = 1 - (bottom - top) * (right - left) / (height * width)
    return x, _labels(y, y.flip(0), lam, classes)


def _labels(y: torch.Tensor, other: torch.Tensor, lam: float, classes: int) -> torch.Tensor:
    made = torch.zeros(len(y), classes, device=y.device)
    made.scatter_(1, y[:, None], lam)
    return made.scatter_add_(1, other[:, None], torch.full((len(y), 1), 1 - lam, device=y.device))


def torchvision_mixer(kind: str, classes: int) -> Mixer:
    """v2.MixUp or v2.CutMix."""
    from torchvision.transforms import v2

    return {"mixup": v2.MixUp, "cutmix": v2.CutMix}[kind](num_classes=classes)


def timm_mixer(kind: str, classes: int, mode: str = "batch") -> Mixer:
    """timm's Mixup with one of its two ways of mixing."""
    chosen = {"mixup_alpha": 1.0} if kind == "mixup" else {"mixup_alpha": 0.0, "cutmix_alpha": 1.0}
    return library("timm.data").Mixup(**chosen, label_smoothing=0.0, num_classes=classes, mode=mode)


def plain_mixer(kind: str, classes: int) -> Mixer:
    """Lines of torch, in place."""
    chosen = {"mixup": mixup_in_place, "cutmix": cutmix_in_place}[kind]
    return lambda x, y: chosen(x, y, classes)


def makers() -> dict[str, Callable[[str, int], Mixer]]:
    """All mixers that are installed."""
    found = {"torch in place": plain_mixer, "torchvision v2": torchvision_mixer}
    if util.find_spec("timm") is not None:
        found["timm Mixup"] = timm_mixer
    return found


class Turns:
    """A mixer that changes from batch to batch, with what it is called."""

    def __init__(self, name: str, mixers: list[Mixer]) -> None:
        """Mixers take turns."""
        self.name, self.mixers, self.turn = name, mixers, 0

    def __call__(self, batch: Batch) -> Batch:
        """Mix a batch, perhaps in place."""
        mixer = self.mixers[self.turn % len(self.mixers)]
        self.turn += 1
        return Batch(*mixer(batch.x, batch.y))


def fastest(
    kinds: tuple[str, ...],
    shape: tuple[int, ...],
    classes: int,
    tries: int = 3,
    *,
    device: torch.device | str = "cpu",
    clock: Clock = _seconds,
) -> Turns:
    """Time all mixers on a batch of this shape, with torch's threads as they are set.

    Args:
        kinds: what they must do.
        shape: of the batch.
        classes: how many labels there are.
        tries: how often each is timed.
        device: where the batch lies.
        clock: times work there, in any unit.

    Returns:
        The one with the smallest sum of medians over the kinds.
    """
    labels = torch.arange(shape[0], device=device) % classes
    batch = torch.randn(shape, device=device)
    sums = {}
    for name, make in makers().items():
        mixing = [make(kind, classes) for kind in kinds]
        sums[name] = sum(_median(mixer, batch, labels, tries, clock) for mixer in mixing)
    best = min(sums, key=lambda name: sums[name])
    return Turns(best, [makers()[best](kind, classes) for kind in kinds])


def _median(mixer: Mixer, x: torch.Tensor, y: torch.Tensor, tries: int, clock: Clock) -> float:
    return float(np.median([clock(lambda: mixer(x, y)) for _ in range(tries + 1)][1:]))
