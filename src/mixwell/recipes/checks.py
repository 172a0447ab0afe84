"""What is looked at before the first step, so that bad input costs a second and not an epoch."""

from __future__ import annotations

from typing import Any

from torch.utils.data import Subset

import mixwell as mw
from mixwell.recipes.config import TrainConfig, sensible_model
from mixwell.recipes.data import ArraySet, DataError, TrainTest
from mixwell.recipes.tuning import Tuning


def check_data(data: TrainTest) -> None:
    """Make sure that there is something to tell apart.

    Raises:
        DataError: one class only, or no images.
    """
    if len(data.classes) < 2:
        raise DataError(
            f"Classification needs at least 2 classes, got {len(data.classes)} in {data.name}. "
            "Add images of another class."
        )
    for part, images in (("training", data.train), ("test", data.test)):
        if not len(images):
            raise DataError(f"{data.name} needs {part} images, got none. Add some.")


def check_size(data: TrainTest, policy: mw.Policy) -> None:
    """Make sure that training batches can be made.

    Raises:
        PolicyError: the policy may give several sizes.
    """
    known = isinstance(data.train, ArraySet) and policy.out_size == "uniform"
    if not known and not isinstance(policy.out_size, tuple):
        raise mw.PolicyError(
            f"Training needs images of one size, got {policy!r}, which may give several. "
            "Add Resize((H, W)) at its end."
        )


def check_whiten(config: TrainConfig, data: TrainTest, *, scratch: bool) -> None:
    """Make sure that a whitening layer can be made, where it is asked for.

    Raises:
        DataError: the images are not in memory, or the network is not a model by name.
    """
    if config.whiten and not isinstance(data.train, ArraySet):
        raise DataError(
            f"whiten needs images in memory, got {data.train!r}. Leave out whiten (--whiten)."
        )
    if config.whiten and not scratch:
        raise DataError(
            "whiten replaces the first convolution of a model trained from scratch, got a network "
            "that brings its own. Leave out whiten (--whiten)."
        )


def first_image(images: Any) -> Any:
    """The set cut to its first image."""
    if isinstance(images, ArraySet):
        return ArraySet(images.images[:1], images.labels[:1], images.classes)
    return Subset(images, [0])


def check_logits(logits: Any, classes: int) -> None:
    """Make sure that there is one logit for each class.

    Raises:
        DataError: there are more or fewer.
    """
    shape = tuple(getattr(logits, "shape", ()))
    if len(shape) != 2 or shape[1] != classes:
        found = shape[1] if len(shape) == 2 else f"{type(logits).__name__} {list(shape)}"
        raise DataError(
            f"The model needs one logit for each of {classes} classes, got {found}. Build it "
            f"with num_classes={classes}."
        )


def check_tuning(tuning: Tuning, processes: int) -> None:
    """Make sure that processes that share gradients agree on whose, throughout.

    Raises:
        DataError: several processes, and layers that are frozen in a part of the training.
    """
    if processes > 1 and not tuning.constant:
        raise DataError(
            f"On {processes} processes the same layers must learn in every epoch, got a schedule. "
            "Use --unfreeze all, head or last2 without epochs, or --devices 1."
        )


def unfit(
    config: TrainConfig, network: Any, size: tuple[int, int], in_memory: bool, error: Exception
) -> DataError:
    """The network failed on an image: which, on what size, and what to do."""
    name = type(network).__name__ if config.model is None else config.model
    why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    cure = f"Choose another model, such as {sensible_model(config.data)}"
    larger = "" if in_memory else ", or a larger image_size (--image-size)"
    return DataError(
        f"The model {name} must take images of {size[0]} x {size[1]} px, got an error on the "
        f"first one: {why}. {cure}{larger}."
    )
