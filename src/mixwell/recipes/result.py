"""What a training gave, and digests that prove two of them began alike."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn


@dataclass
class Result:
    """What a run gave.

    Attributes:
        test_accuracy: on the clean test images after the last epoch measured, 0 .. 1.
        train_accuracy: on the clean training images, 0 .. 1; None unless asked for.
        mixed_accuracy: on the augmented training images of the last epoch, each hit counted by the
            share of the class that was predicted.
        train_loss: mean over the last epoch.
        images_per_second: augmented and trained, over all epochs, without measuring.
        seconds: training and measuring.
        epochs: finished epochs.
        parameters: trainable numbers in the model.
        initial_digest: of the initial weights.
        order_digest: of the image indices of all finished epochs, in order; the first process's.
        interrupted: stopped by Ctrl-C; everything above is of the finished epochs.
        history: one row for each epoch.
        model: the network as measured (averaged weights, where asked for).
    """

    test_accuracy: float
    train_accuracy: float | None
    mixed_accuracy: float
    train_loss: float
    images_per_second: float
    seconds: float
    epochs: int
    parameters: int
    initial_digest: str
    order_digest: str
    interrupted: bool
    history: list[dict[str, Any]] = field(repr=False)
    model: nn.Module | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Everything but the network and the history; what was not measured is None."""
        shown = {k: v for k, v in vars(self).items() if k not in ("model", "history")}
        return {k: None if v != v else v for k, v in shown.items()}


def weights_digest(model: nn.Module) -> str:
    """Sixteen hexadecimal digits that stand for a model's weights, names and buffers."""
    parts = hashlib.blake2b(digest_size=8)
    for name, value in model.state_dict().items():
        parts.update(name.encode())
        parts.update(value.detach().cpu().contiguous().numpy().tobytes())
    return parts.hexdigest()


def array_digest(array: np.ndarray) -> str:
    """Sixteen hexadecimal digits that stand for an array's values."""
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=8).hexdigest()
