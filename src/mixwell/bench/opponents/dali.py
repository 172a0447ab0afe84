"""NVIDIA DALI on the CPU: file reader, decoder and augmentations in one pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mixwell.bench.base import MEAN, STD, Batch, Batches, Case, Way, library

name, package = "dali", "nvidia-dali-cuda130"
DEPTH = 2


def ways(case: Case) -> list[Way]:
    """JPEG folders only."""
    if case.kind != "folder":
        return []
    label = "its own RandAugment magnitudes" if case.randaug else ""
    words = "CPU pipeline, fused decode and crop, depth 2"
    return [Way(words, _opened(case), label, "own")]


def _opened(case: Case) -> Any:
    @contextmanager
    def opened(threads: int, mixing: bool) -> Iterator[Batches]:
        pipe = pipeline(case, threads)

        def batches(n: int) -> Iterator[Batch]:
            # Scheduled by hand, so that no work is ahead when a round begins or left at its end.
            for _ in range(min(DEPTH, n)):
                pipe.schedule_run()
            for k in range(n):
                x, y = pipe.share_outputs()
                made = Batch(_tensor(x), _tensor(y).flatten().long())
                pipe.release_outputs()
                if k + DEPTH < n:
                    pipe.schedule_run()
                yield made

        yield batches

    return opened


def _tensor(outputs: Any) -> torch.Tensor:
    return torch.from_numpy(outputs.as_array().copy())


def pipeline(case: Case, threads: int) -> Any:
    """The case's policy as a DALI pipeline."""
    dali = library("nvidia.dali")
    fn, types = library("nvidia.dali.fn"), library("nvidia.dali.types")
    rand_augment = library("nvidia.dali.auto_aug.rand_augment")

    @dali.pipeline_def(enable_conditionals=True)
    def define() -> Any:
        data, labels = fn.readers.file(file_root=str(case.folder), random_shuffle=True)
        images = fn.decoders.image_random_crop(
            data, random_area=(0.08, 1.0), random_aspect_ratio=(3 / 4, 4 / 3)
        )
        images = fn.resize(images, size=(case.side, case.side))
        flip = fn.random.coin_flip(probability=0.5)
        if case.randaug:
            images = fn.flip(images, horizontal=flip)
            images = rand_augment.rand_augment(images, n=2, m=9, fill_value=0)
            flip = 0
        pixels = fn.crop_mirror_normalize(
            images,
            mirror=flip,
            dtype=types.FLOAT,
            output_layout="CHW",
            mean=[255 * v for v in MEAN],
            std=[255 * v for v in STD],
        )
        return pixels, labels

    made: Any = define
    pipe = made(
        batch_size=case.batch,
        num_threads=threads,
        device_id=None,
        prefetch_queue_depth=DEPTH,
        seed=0,
    )
    pipe.build()
    return pipe
