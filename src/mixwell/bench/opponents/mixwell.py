"""mixwell itself: policy, plan and pixels in one call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch

import mixwell as mw
from mixwell.bench.base import MEAN, STD, Batch, Batches, Case, Way
from mixwell.bench.pools import torch_threads

name = package = "mixwell"
MANY = 1_000_000
"""Epochs; nothing here is scheduled."""


COPIES = 32
"""Batches in an epoch of images in memory."""


def policy(case: Case, mixing: bool, interp: str = "nearest") -> mw.Policy:
    """The case's policy in mixwell's words; `interp`: of RandAugment's geometric ops."""
    ops: list = []
    if case.crop == "resized":
        ops.append(mw.RandomResizedCrop(case.side))
    elif case.crop == "padded":
        ops.append(mw.RandomCrop(case.side, padding=4))
    elif case.crop == "cut":
        ops.append(mw.RandomCrop(case.side))
    ops.append(mw.HorizontalFlip())
    if case.randaug:
        ops.append(mw.RandAugment(num_ops=2, magnitude=9, interp=interp))
    if case.cutout:
        share = (case.cutout_share, case.cutout_share)
        ops.append(mw.RandomErasing(share, (1.0, 1.0), p=1.0))
    if mixing and case.mixers:
        known = {"mixup": mw.MixUp(), "cutmix": mw.CutMix()}
        chosen = [known[kind] for kind in case.mixers]
        ops.append(chosen[0] if len(chosen) == 1 else mw.OneOf(*chosen))
    return mw.Policy(*ops)


def ways(case: Case) -> list[Way]:
    """`Augment` on decoded images; `Loader` on folders, with full and with scaled decoding."""
    if case.kind == "folder":
        words = "mixwell.Loader, threads in one process, decode={!r}"
        full, scaled = _loader(case, "full"), _loader(case, "scaled")
        return [
            Way(words.format("full"), full, "", "own", mixes=True),
            Way(words.format("scaled"), scaled, "scaled decoding", "own", mixes=True),
        ]
    words = "mixwell.Augment, draws for each image, mixing too; {} warps"
    made = [Way(words.format("nearest"), _augment(case, "nearest"), mixes=True)]
    if case.randaug:
        words = words.format("bilinear")
        made.append(Way(words, _augment(case, "bilinear"), "bilinear warps", mixes=True))
    if case.crop == "padded":
        words = "mixwell.Loader on arrays in memory, threads in one process; nearest warps"
        made.append(Way(words, _in_memory(case), "", "own", mixes=True))
    return made


def _augment(case: Case, interp: str):
    @contextmanager
    def opened(threads: int, mixing: bool) -> Iterator[Batches]:
        augment = mw.Augment(
            policy(case, mixing, interp), num_classes=case.classes, mean=MEAN, std=STD, seed=0
        )
        labels = torch.arange(case.batch)
        # Views, not copies: mixwell returns channels last for arrays, and first for tensors.
        images: Any = [torch.from_numpy(image).permute(2, 0, 1) for image in case.images]
        if case.crop == "padded":
            images = torch.from_numpy(np.stack(case.images)).permute(0, 3, 1, 2)

        def batches(n: int) -> Iterator[Batch]:
            for _ in range(n):
                with torch_threads(threads):
                    made = Batch(*augment(images, labels))
                yield made

        yield batches

    return opened


def _in_memory(case: Case):
    @contextmanager
    def opened(threads: int, mixing: bool) -> Iterator[Batches]:
        images = np.concatenate([np.stack(case.images)] * COPIES)
        labels = np.tile(np.arange(case.batch), COPIES)

        def batches(n: int) -> Iterator[Batch]:
            """A loader for each call, so that no batch is made before or after it."""
            for start in range(0, n, COPIES):
                rows = min(COPIES, n - start) * case.batch
                with torch_threads(threads):
                    yield from (
                        Batch(x, y)
                        for x, y in mw.Loader(
                            (images[:rows], labels[:rows]),
                            policy(case, mixing),
                            batch_size=case.batch,
                            num_threads=threads,
                            num_classes=case.classes,
                            mean=MEAN,
                            std=STD,
                        )
                    )

        yield batches

    return opened


def _loader(case: Case, decode: Literal["full", "scaled"]):
    @contextmanager
    def opened(threads: int, mixing: bool) -> Iterator[Batches]:
        from torchvision.datasets import ImageFolder

        loader = mw.Loader(
            ImageFolder(str(case.folder)),
            policy(case, mixing),
            batch_size=case.batch,
            num_threads=threads,
            epochs=MANY,
            shuffle=True,
            decode=decode,
            num_classes=case.classes,
            mean=MEAN,
            std=STD,
        )

        def batches(n: int) -> Iterator[Batch]:
            with torch_threads(threads):
                for x, y in loader:
                    yield Batch(x, y)

        yield batches

    return opened
