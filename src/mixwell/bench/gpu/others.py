"""torchvision v2, kornia and DALI on a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mixwell.bench.base import MEAN, STD, Batch, Case, Way, library
from mixwell.bench.gpu.given import Given, device_way, normaliser

SHARED = "one draw per batch"


def torchvision_ways(case: Case, device: torch.device) -> list[Way]:
    """v2 on uint8 tensors of the device: image by image, and the batch at once, labelled."""
    edit, words = _v2(case), "v2 on uint8 {} on the device" + ", nearest warps" * case.randaug

    def each(mixing: bool) -> Callable[[], Batch]:
        given, normalise = Given(case, device), normaliser(device)

        def make() -> Batch:
            images, labels = given.draw()
            return Batch(normalise(torch.stack([edit(image) for image in images])), labels)

        return make

    def whole(mixing: bool) -> Callable[[], Batch]:
        given, normalise = Given(case, device), normaliser(device)

        def make() -> Batch:
            images, labels = given.draw()
            return Batch(normalise(edit(images)), labels)

        return make

    return [
        device_way(each, words.format("images, one by one,")),
        device_way(whole, words.format("batches"), label=SHARED, per_image=False),
    ]


def _v2(case: Case) -> Callable[[Tensor], Tensor]:
    """uint8 in and out."""
    from torchvision.transforms import v2

    ops: list = []
    if case.crop == "resized":
        ops.append(v2.RandomResizedCrop(case.side, antialias=True))
    elif case.crop:
        ops.append(v2.RandomCrop(case.side, padding=4 if case.crop == "padded" else None))
    ops.append(v2.RandomHorizontalFlip())
    if case.randaug:
        ops.append(v2.RandAugment(2, 9))
    if case.cutout:
        share = (case.cutout_share, case.cutout_share)
        ops.append(v2.RandomErasing(p=1.0, scale=share, ratio=(1.0, 1.0)))
    return v2.Compose(ops)


def kornia_ways(case: Case, device: torch.device) -> list[Way]:
    """Float batches; draws for each image, but one set of RandAugment's ops for all."""

    def made(mixing: bool) -> Callable[[], Batch]:
        given, edit = Given(case, device), _kornia(case).to(device)

        def make() -> Batch:
            images, labels = given.draw()
            with torch.no_grad():
                return Batch(edit(images.float().div_(255)).contiguous(), labels)

        return make

    label = "one RandAugment draw per batch, its own magnitudes" if case.randaug else ""
    words = "float32 batch on the device"
    return [device_way(made, words, label=label, per_image=not case.randaug)]


def _kornia(case: Case) -> Any:
    K = library("kornia.augmentation")
    ops: list = []
    size = (case.side, case.side)
    if case.crop == "resized":
        ops.append(K.RandomResizedCrop(size))
    elif case.crop:
        ops.append(K.RandomCrop(size, padding=4 if case.crop == "padded" else None))
    ops.append(K.RandomHorizontalFlip(p=0.5))
    if case.randaug:
        ops.append(library("kornia.augmentation.auto").RandAugment(n=2, m=9))
    if case.cutout:
        share = (case.cutout_share, case.cutout_share)
        ops.append(K.RandomErasing(share, (1.0, 1.0), p=1.0))
    ops.append(K.Normalize(torch.tensor(MEAN), torch.tensor(STD)))
    return torch.nn.Sequential(*ops)


def dali_ways(case: Case, device: torch.device) -> list[Way]:
    """A GPU pipeline over images of the device; it has no CPU rehearsal, and no cutout here."""
    if device.type != "cuda" or case.cutout:
        return []
    label = "its own RandAugment magnitudes" if case.randaug else ""
    words = "GPU pipeline, external source on the device, depth 2"
    return [device_way(lambda mixing: _dali(case, device), words, label=label)]


def _dali(case: Case, device: torch.device) -> Callable[[], Batch]:
    given = Given(case, device)
    last = given.images.permute(0, 2, 3, 1).contiguous()  # DALI's decoders give HWC too
    pipe = _pipeline(case, device, lambda: last)

    def make() -> Batch:
        (made,) = pipe.run()
        # DALI takes its memory back with the next run: a copy belongs to the batch.
        return Batch(torch.from_dlpack(made.as_tensor()).clone(), given.labels)

    return make


def _pipeline(case: Case, device: torch.device, source: Callable[[], Tensor]) -> Any:
    dali = library("nvidia.dali")
    fn, types = library("nvidia.dali.fn"), library("nvidia.dali.types")
    rand_augment = library("nvidia.dali.auto_aug.rand_augment")
    size = (case.side, case.side)

    @dali.pipeline_def(enable_conditionals=True)
    def define() -> Any:
        images = fn.external_source(source=source, device="gpu", batch=True, layout="HWC")
        if case.crop == "resized":
            images = fn.random_resized_crop(images, size=size)
        flip = fn.random.coin_flip(probability=0.5)
        if case.randaug:
            images = fn.flip(images, horizontal=flip)
            images = rand_augment.rand_augment(images, n=2, m=9, fill_value=0)
            flip = 0
        where: dict[str, Any] = {}
        if case.crop == "cut":
            where = {name: fn.random.uniform(range=(0.0, 1.0)) for name in _PLACES}
        return fn.crop_mirror_normalize(
            images,
            crop=size,
            mirror=flip,
            dtype=types.FLOAT,
            output_layout="CHW",
            mean=[255 * v for v in MEAN],
            std=[255 * v for v in STD],
            **where,
        )

    made: Any = define
    pipe = made(
        batch_size=case.batch,
        num_threads=4,
        device_id=device.index or 0,
        prefetch_queue_depth=2,
        seed=0,
    )
    pipe.build()
    return pipe


_PLACES = ("crop_pos_x", "crop_pos_y")
