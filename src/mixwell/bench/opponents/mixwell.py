"""mixwell itself: policy, plan and pixels in one call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

import mixwell as mw
from mixwell.bench.base import MEAN, STD, Batch, Batches, Case, Way
from mixwell.bench.pools import torch_threads

name = package = "mixwell"
MANY = 1_000_000
"""Epochs; nothing here is scheduled."""


def policy(case: Case, mixing: bool) -> mw.Policy:
    """The case's policy in mixwell's words."""
    ops: list = []
    if case.crop == "resized":
        ops.append(mw.RandomResizedCrop(case.side))
    elif case.crop == "padded":
        ops.append(mw.RandomCrop(case.side, padding=4))
    ops.append(mw.HorizontalFlip())
    if case.randaug:
        ops.append(mw.RandAugment(num_ops=2, magnitude=9))
    if mixing and case.mixers:
        known = {"mixup": mw.MixUp(), "cutmix": mw.CutMix()}
        chosen = [known[kind] for kind in case.mixers]
        ops.append(chosen[0] if len(chosen) == 1 else mw.OneOf(*chosen))
    return mw.Policy(*ops)


def ways(case: Case) -> list[Way]:
    """`Augment` on decoded images; `Loader` on folders, with full and with scaled decoding."""
    if case.kind == "folder":
        words = "mixwell.Loader, threads in one process, decode={!r}"
        return [
            Way(words.format(decode), _loader(case, decode), label, "own", mixes=True)
            for decode, label in (("full", ""), ("scaled", "scaled decoding"))
        ]
    words = "mixwell.Augment, draws for each image, mixing too; bilinear warps"
    return [Way(words, _augment(case), mixes=True)]


def _augment(case: Case):
    @contextmanager
    def opened(threads: int, mixing: bool) -> Iterator[Batches]:
        augment = mw.Augment(
            policy(case, mixing), num_classes=case.classes, mean=MEAN, std=STD, seed=0
        )
        labels = torch.arange(case.batch)
        # Views, not copies: mixwell returns channels last for arrays, and first for tensors.
        images = [torch.from_numpy(image).permute(2, 0, 1) for image in case.images]

        def batches(n: int) -> Iterator[Batch]:
            for _ in range(n):
                with torch_threads(threads):
                    made = Batch(*augment(images, labels))
                yield made

        yield batches

    return opened


def _loader(case: Case, decode: str):
    @contextmanager
    def opened(threads: int, mixing: bool) -> Iterator[Batches]:
        from torchvision.datasets import ImageFolder

        make = getattr(mw, "Loader", None)
        if make is None:
            raise NotImplementedError("mixwell.Loader is not built yet")
        loader = make(
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
