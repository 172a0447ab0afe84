"""Ready-made policies of detectors: any batch, no mixing at the end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mixwell as mw
from mixwell.recipes.detection.data import EmbeddedDigits
from mixwell.recipes.detection.policies import detection_names, detection_policy, needs_masks

DATA = EmbeddedDigits(4, size_hw=(64, 72), objects=(2, 4))
EPOCHS, OFF = 6, 2
MIXING = ("detect-mixup", "detect-cutmix", "detect-mosaic", "detect-yolox", "detect-copypaste")


def sources_of(name: str, epoch: int, count: int, square: bool = True) -> list[int]:
    """How many images each output shows, over several seeds."""
    policy = detection_policy(name, 64, square=square, mixing_off=OFF)
    names = ("boxes", "labels", "masks") if needs_masks(policy) else ("boxes", "labels")
    samples = [DATA[i] for i in range(count)]
    keys = mw.Keys(np.arange(count), epoch=epoch, epochs=EPOCHS, progress=epoch / EPOCHS)
    found = []
    for seed in range(4):
        kind = "instance" if needs_masks(policy) else None
        augment = mw.Augment(policy, boxes="xyxy", masks=kind, dtype=torch.float32, seed=seed)
        targets = [{name: target[name] for name in names} for _, target in samples]
        images, made = augment([image for image, _ in samples], targets, keys=keys)
        assert len(images) == len(made) == count
        assert not square or images.shape == (count, 3, 64, 64)
        found += [len(set(target.get("sources", torch.zeros(1)).tolist())) for target in made]
    return found


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("name", detection_names())
def test_an_image_alone_is_not_mixed(name: str, square: bool) -> None:
    assert set(sources_of(name, 0, 1, square)) == {1}


@pytest.mark.parametrize("name", detection_names())
def test_mixing_stops_before_the_last_epochs(name: str) -> None:
    most = [max(sources_of(name, epoch, 4)) for epoch in (0, EPOCHS - OFF - 1, EPOCHS - OFF)]
    assert [count > 1 for count in most] == [name in MIXING, name in MIXING, False]
