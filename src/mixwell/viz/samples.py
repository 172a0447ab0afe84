"""What a policy makes of some images: the plans, and the pictures rendered from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from mixwell._errors import RenderError
from mixwell._rng import Keys
from mixwell.plan.steps import Code, Edit, EraseUnits
from mixwell.viz.layout import as_pil

if TYPE_CHECKING:
    from mixwell.plan import Plan
    from mixwell.policy import Policy

_EPOCHS = 100
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Samples:
    """A policy's work on N images, done several times over.

    Attributes:
        inputs: N images, uint8 [H, W, 3].
        plans: one for each copy, as sampled (not fused).
        outputs: for each copy its B images, uint8 [H, W, 3].
    """

    inputs: list[np.ndarray]
    plans: list[Plan]
    outputs: list[list[np.ndarray]]


def draw_samples(
    policy: Policy,
    images: Sequence[object],
    *,
    copies: int = 4,
    seed: int = 0,
    epoch: int = 0,
    size: int | None = None,
) -> Samples:
    """Sample and render a policy `copies` times on the same images.

    Partners from the data set are others of the images; every image is its own class. Schedules
    see a training of 100 epochs; by progress, the copies stand at even steps from its beginning to
    its end.

    Args:
        policy: what may be done.
        images: anything `as_pil` takes; they are treated as RGB.
        copies: how often each image is drawn anew.
        seed: as for `Policy.sample`.
        epoch: as in `Keys`.
        size: px; images are first scaled to cover a square of this side and cut to it around the
            centre. None leaves them as they are.

    Raises:
        RenderError: there are no images, or `copies` or `size` is not positive.
        PolicyError: the policy cannot work on these images (mixing different sizes, say).
    """
    check_counts(images, copies, size)
    inputs = [np.asarray(_squared(as_pil(image), size)) for image in images]
    sizes_hw = np.array([image.shape[:2] for image in inputs], np.int32)
    index = np.arange(len(inputs))
    plans, outputs = [], []
    for copy in range(copies):
        keys = Keys(
            index=index,
            copy=np.full_like(index, copy),
            epoch=epoch,
            step=copy,
            progress=copy / max(copies - 1, 1),
            epochs=max(_EPOCHS, epoch + 1),
        )
        partners = policy.partner_indices(keys, len(inputs), seed=seed)
        read = np.concatenate([index, partners.T.reshape(-1)])
        plan = policy.sample(sizes_hw[read], keys=keys, seed=seed, labels=index, partners=partners)
        plans.append(plan)
        outputs.append(rendered([inputs[i] for i in read], plan))
    return Samples(inputs, plans, outputs)


def rendered(inputs: list[np.ndarray], plan: Plan) -> list[np.ndarray]:
    """The outputs of a plan as uint8 [H, W, 3].

    What is erased in normalised units is drawn with ImageNet's mean and standard deviation, and
    the picture brought back from these.
    """
    from mixwell.render import render

    if not _erases_normalized(plan):
        return [np.asarray(image) for image in render(inputs, plan.fused())]
    outputs = render(inputs, plan.fused(), mean=_MEAN, std=_STD)
    mean, std = np.array(_MEAN, np.float32), np.array(_STD, np.float32)
    levels = [np.asarray(image) * std + mean for image in outputs]
    return [np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8) for image in levels]


def _erases_normalized(plan: Plan) -> bool:
    edits = [step for step in plan.steps if isinstance(step, Edit)]
    return any(
        ((e.code == Code.ERASE) & (e.param[..., 5] == EraseUnits.NORMALIZED)).any() for e in edits
    )


def check_counts(images: Sequence[object], copies: int, size: int | None) -> None:
    """Raise RenderError where there is nothing to draw."""
    if not len(images):
        raise RenderError("A preview needs at least one image, got none.")
    for name, value in (("copies", copies), ("size", size)):
        if value is not None and value < 1:
            raise RenderError(f"A preview needs {name} of at least 1, got {value}.")


def _squared(image: Image.Image, size: int | None) -> Image.Image:
    if size is None or image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
