"""Predict images that have no labels, batch by batch: none is kept.

What grows with the number of images is their list of paths; 300,000 of them take about as much
memory as one batch of photographs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import mixwell as mw
from mixwell import DataError
from mixwell.recipes.data.decode import decode_rgb
from mixwell.recipes.feed import plain_batches

_DAMAGED_SIDE = 32


class UnlabelledImages:
    """Image files whose "label" says whether they could be decoded: 0 yes, 1 no.

    A damaged file gives a black image, so that one of 300,000 does not end the work.

    Args:
        paths: N files.
    """

    classes = ("readable", "damaged")

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    @property
    def labels(self) -> np.ndarray:
        """Int64 ``[N]`` of zeros: nothing is known before a file is read."""
        return np.zeros(len(self.paths), np.int64)

    def __len__(self) -> int:
        """Number of files."""
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Decode file ``index``: uint8 ``[3, H, W]``, and 0; or black, and 1."""
        try:
            pixels = decode_rgb(Path(self.paths[index]))
        except DataError:
            return torch.zeros(3, _DAMAGED_SIDE, _DAMAGED_SIDE, dtype=torch.uint8), 1
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), 0


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A network and how its images are made.

    Args:
        network: to logits, in evaluation mode.
        policy: without randomness, to one size.
        mean: of each channel, for pixels scaled to 0 .. 1.
        std: of each channel, same unit.
        tta: average the logits of an image and its mirror image.
        batch_size: images at once.
        num_workers: processes that decode; 0 does it in this one.
        device: where the network is.
    """

    network: nn.Module
    policy: mw.Policy
    mean: tuple[float, ...]
    std: tuple[float, ...]
    tta: bool = False
    batch_size: int = 256
    num_workers: int = 2
    device: torch.device

    def batches(self, paths: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Probabilities of image after image, in the order of the paths.

        Args:
            paths: the files.

        Yields:
            float64 ``[B, classes]`` that sum to 1, and bool ``[B]``: whether a file was damaged.
        """
        options = {
            "mean": self.mean,
            "std": self.std,
            "num_classes": len(UnlabelledImages.classes),
            "memory_format": torch.channels_last,
        }
        batches = plain_batches(
            UnlabelledImages(paths),
            self.policy,
            options,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            device=self.device,
        )
        for pixels, damaged in batches:
            yield self._shares(pixels).cpu().numpy(), damaged.bool().cpu().numpy()

    @torch.inference_mode()
    def _shares(self, pixels: Tensor) -> Tensor:
        logits = self.network(pixels).double()
        if self.tta:
            logits = (logits + self.network(pixels.flip(-1)).double()) / 2
        return logits.softmax(1)
