"""How per-image code of others becomes batches: in a loop, in threads, or in worker processes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from mixwell.bench.base import MEAN, STD, Batch, Batches, Case, Pool, Way

Edit = Callable[[Any], torch.Tensor]
"""One image -> [3, H, W], uint8 or normalised float32."""

POOLS: tuple[Pool, ...] = ("inline", "threads", "processes")
PREFETCH = 2


class Edited(Dataset):
    """Images and labels of a case, edited one by one; more indices than images start again."""

    def __init__(self, images: Sequence[Any], labels: Sequence[int], edit: Edit) -> None:
        """Keep what a worker needs."""
        self.images, self.labels, self.edit = images, labels, edit

    def __len__(self) -> int:
        """How many different images there are."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        """One edited image and its label."""
        at = index % len(self.images)
        return self.edit(self.images[at]), self.labels[at]


class Counted:
    """A sampler of 0, 1, 2 … whose length is set before each pass."""

    def __init__(self) -> None:
        """Nothing to draw yet."""
        self.count = 0

    def __iter__(self) -> Iterator[int]:
        """All numbers in order."""
        return iter(range(self.count))

    def __len__(self) -> int:
        """How many there are."""
        return self.count


def per_image_ways(
    case: Case,
    edit: Edit,
    settings: str,
    *,
    label: str = "",
    setup: Callable[[], None] | None = None,
    images: Sequence[Any] | None = None,
    labels: Sequence[int] | None = None,
) -> list[Way]:
    """The three pools over one per-image function.

    Args:
        case: gives batch size, images and labels.
        edit: one image -> tensor.
        settings: what the function does, in words.
        label: see `Way.label`.
        setup: done once in each worker process and once in this one.
        images: the case's own when None.
        labels: of them.
    """
    given = case.images if images is None else images
    data = Edited(given, range(len(given)) if labels is None else labels, edit)
    how = {
        "inline": "a loop in one thread",
        "threads": "thread pool",
        "processes": "DataLoader, persistent worker processes",
    }
    opens = {
        "inline": lambda threads, mixing: _inline(case, data, 1, setup),
        "threads": lambda threads, mixing: _inline(case, data, threads, setup),
        "processes": lambda threads, mixing: _loader(case, data, threads, setup),
    }
    return [Way(f"{settings}; {how[p]}", opens[p], label, p) for p in POOLS]


@contextmanager
def _inline(
    case: Case, data: Edited, threads: int, setup: Callable[[], None] | None
) -> Iterator[Batches]:
    if setup is not None:
        setup()
    with ThreadPoolExecutor(threads) as pool:

        def rows(indices: range) -> list[tuple[torch.Tensor, int]]:
            return [data[i] for i in indices]

        def batches(n: int) -> Iterator[Batch]:
            for k in range(n):
                start = k * case.batch
                parts = [range(start + t, start + case.batch, threads) for t in range(threads)]
                with torch_threads(1):
                    done = [rows(parts[0])] if threads == 1 else list(pool.map(rows, parts))
                mixed = list(itertools.chain.from_iterable(done))
                yield finished(
                    torch.stack([x for x, _ in mixed]), torch.tensor([y for _, y in mixed])
                )

        yield batches


@contextmanager
def _loader(
    case: Case, data: Edited, threads: int, setup: Callable[[], None] | None
) -> Iterator[Batches]:
    sampler = Counted()
    loader = DataLoader(
        data,
        batch_size=case.batch,
        sampler=sampler,  # type: ignore[arg-type]
        num_workers=threads,
        persistent_workers=True,
        prefetch_factor=PREFETCH,
        worker_init_fn=None if setup is None else _Setup(setup),
    )

    def batches(n: int) -> Iterator[Batch]:
        sampler.count = n * case.batch
        for x, y in loader:
            yield finished(x, y)

    try:
        yield batches
    finally:
        workers = loader._iterator
        if workers is not None:
            workers._shutdown_workers()  # type: ignore[attr-defined]


class _Setup:
    """A worker's set-up, which DataLoader hands the worker's number."""

    def __init__(self, setup: Callable[[], None]) -> None:
        self.setup = setup

    def __call__(self, _: int) -> None:
        self.setup()


_SCALE = torch.tensor(STD).mul(255).view(1, 3, 1, 1)
_SHIFT = torch.tensor(MEAN).mul(255).view(1, 3, 1, 1)


def finished(x: torch.Tensor, y: torch.Tensor) -> Batch:
    """Normalise a uint8 batch, as timm's loaders do; a float batch is normalised already."""
    if x.dtype == torch.uint8:
        x = x.float().sub_(_SHIFT).div_(_SCALE)
    return Batch(x, y)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Give torch so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def chw(array: np.ndarray) -> torch.Tensor:
    """[H, W, 3] -> contiguous [3, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


def whole_batch_way(
    case: Case,
    make: Callable[[int], Callable[[], Batch]],
    settings: str,
    *,
    label: str = "",
    per_image: bool = True,
) -> Way:
    """A way that takes a batch at once; torch has all threads."""

    @contextmanager
    def opened(threads: int, mixing: bool) -> Iterator[Batches]:
        one = make(threads)

        def batches(n: int) -> Iterator[Batch]:
            for _ in range(n):
                with torch_threads(threads):
                    made = one()
                yield made

        yield batches

    return Way(settings, opened, label, per_image=per_image)
