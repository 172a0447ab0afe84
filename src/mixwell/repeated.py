"""Repeated augmentation: every image several times in an epoch, each time augmented anew.

The copies of an image carry copy numbers 0 .. repeats - 1, counted over all ranks, so each has
draws of its own. They stand side by side in the global order: one process finds them in one batch,
several processes share them out.

    sampler = RepeatedAugmentation(dataset, epochs=300, repeats=3, rank=rank, world_size=n)

`MixUp(pairing="distinct")` never mixes two copies of one image.
"""

from __future__ import annotations

import math
from typing import Any, Literal, final, get_args

import numpy as np
import torch
from torch.utils.data import Sampler

from mixwell.keyed import EpochSampler, epoch_order, even_order, even_share, length_of

Layout = Literal["adjacent", "torchvision", "timm"]
_BLOCK = 256
"""torchvision and timm keep whole blocks of this many samples."""


@final
class RepeatedAugmentation(EpochSampler):
    """Yields keys in which every sample of the shuffled epoch occurs `repeats` times.

    Layouts, for N samples on R processes:

    * "adjacent": the whole epoch, a a a b b b ..., N * repeats keys shared out to the ranks in
      turns; filled up by its own beginning, or cut, to a multiple of R.
    * "torchvision": the indices of its references' `RASampler`: the same order from torch's
      generator, seeded with seed + epoch, of which each rank keeps floor(N // 256 * 256 / R)
      entries. So an epoch is about N keys of N / repeats distinct samples.
    * "timm": the indices of its `RepeatAugSampler`: likewise, seeded with the epoch alone; below
      256 samples each rank keeps ceil(N / R). Since timm 1.0.31; earlier versions gave none.

    Args:
        source: a data set or its length.
        epochs: epochs of the whole training, for the progress that schedules read.
        repeats: how often each sample occurs, at least 1. A whole number; layout "timm" also takes
            fractions, as timm does.
        layout: see above.
        shuffle: a new order each epoch; otherwise 0, 1, 2, ...
        seed: of the order; 0 in layout "timm", which has none.
        rank: of this process; it takes every world_size-th entry of the global order.
        world_size: number of processes.
        drop_last: cut the order to a multiple of world_size instead of filling up; layout
            "adjacent" only.

    Raises:
        PolicyError: a sampler as source, numbers out of range, options that the layout does not
            have, or a data set of which layout "torchvision" would keep nothing.

    References:
        Hoffer et al., "Augment your batch: better training with larger batches", 2019,
        arXiv 1901.09335. Berman et al., "MultiGrain: a unified image embedding for classes and
        instances", 2019, arXiv 1902.05509.
    """

    def __init__(
        self,
        source: Any,
        *,
        epochs: int,
        repeats: float = 3,
        layout: Layout = "adjacent",
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        """Check and remember."""
        super().__init__(epochs=epochs, rank=rank, world_size=world_size)
        if isinstance(source, Sampler):
            raise self._wrong(
                f"it orders the samples itself, got a {type(source).__name__}. Pass the data set "
                "or its length."
            )
        self._length = length_of(source)
        self.repeats, self.layout, self.shuffle = repeats, layout, shuffle
        self.seed, self.drop_last = seed, drop_last
        self._check()

    def _check(self) -> None:
        if self.layout not in get_args(Layout):
            raise self._wrong(f"layout must be one of {get_args(Layout)}, got {self.layout!r}.")
        if not 1 <= self.repeats < 2**16:
            raise self._wrong(f"repeats must lie in 1 .. 65535, got {self.repeats}.")
        if self.layout != "timm" and self.repeats != int(self.repeats):
            raise self._wrong(
                f'repeats must be a whole number, got {self.repeats}. Only layout="timm" takes '
                "fractions."
            )
        if self.layout != "adjacent" and self.drop_last:
            raise self._wrong(
                f'layout="{self.layout}" has an arithmetic of its own for ragged ends; leave '
                "drop_last off."
            )
        if self.layout == "timm" and self.seed != 0:
            raise self._wrong(
                f'layout="timm" orders by the epoch alone, got seed {self.seed}. Leave it 0 or '
                'use layout="torchvision".'
            )
        if self.layout == "torchvision" and self.per_rank() == 0:
            raise self._wrong(
                f'layout="torchvision" keeps whole blocks of {_BLOCK} samples shared by all ranks, '
                f"so {self._length} samples on {self.world_size} ranks give an empty epoch. Use "
                'layout="adjacent".'
            )

    def per_rank(self) -> int:
        """Keys of a whole epoch on each rank."""
        n, ranks = self._length, self.world_size
        if self.layout == "adjacent":
            return even_share(n * int(self.repeats), ranks, self.drop_last)
        if self.layout == "timm" and n < _BLOCK:
            return -(-n // ranks)
        return n // _BLOCK * _BLOCK // ranks

    def whole(self, epoch: int) -> np.ndarray:
        """int64 [L * world_size]: indices of an epoch in the global order."""
        if self.layout == "adjacent":
            order = epoch_order(self._length, epoch, self.seed if self.shuffle else None)
            return even_order(np.repeat(order, int(self.repeats)), self.world_size, self.drop_last)
        place = np.arange(math.ceil(self._length * self.repeats))
        repeated = self._torch_order(epoch)[(place // self.repeats).astype(np.int64)]
        return np.resize(repeated, self.per_rank() * self.world_size)

    def _torch_order(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self._length)
        generator = torch.Generator().manual_seed(self.seed + epoch)
        return torch.randperm(self._length, generator=generator).numpy()
