"""Targets that lie on another device: the same results there, few looks at them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import mixwell as mw
from mixwell.render.images import batch_of
from tests.far import FAR, far_device, fetched, sent

COUNT, HW = 4, (24, 32)
KEYS = mw.Keys(np.arange(COUNT))
POLICY = mw.Policy(mw.RandomCrop(20, padding=3), mw.HorizontalFlip(), mw.CutMix())


def targets(things: int = 3) -> list[dict[str, Any]]:
    """Boxes, and all that can go with them, for each image."""
    numbers = np.random.default_rng(2)
    made = []
    for image in range(COUNT):
        left = numbers.integers(0, [16, 10], (things, 2))
        boxes = torch.from_numpy(np.hstack([left, left + numbers.integers(6, 13, (things, 2))]))
        masks = torch.zeros(things, *HW, dtype=torch.uint8)
        for mask, (x0, y0, x1, y1) in zip(masks, boxes.tolist(), strict=True):
            mask[y0:y1, x0:x1] = 1
        made.append(
            {
                "boxes": boxes.float(),
                "labels": torch.arange(things) + image,
                "masks": masks,
                "area": masks.sum(dim=(1, 2)).float(),
                "keypoints": boxes.float().reshape(things, 2, 2),
                "image_id": torch.tensor(image),
            }
        )
    return made


def without(names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{k: v for k, v in target.items() if k not in names} for target in targets()]


def augmented(labels: Any, policy: mw.Policy = POLICY, **form: Any) -> Any:
    images = torch.zeros(COUNT, 3, *HW, dtype=torch.uint8)
    return mw.Augment(policy, **form)(images, labels, keys=KEYS)[1]


def check_same(found: Any, wanted: Any) -> None:
    """Equal, and far away."""
    assert type(found) is type(wanted) or isinstance(found, torch.Tensor)
    if isinstance(wanted, torch.Tensor):
        assert found.device.type == FAR
        assert torch.equal(found.cpu(), wanted) and found.dtype == wanted.dtype
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for name in wanted:
            check_same(found[name], wanted[name])
    else:
        for one, other in zip(found, wanted, strict=True):
            check_same(one, other)


SCENES = {
    "boxes": (("masks", "keypoints"), {"boxes": "xyxy"}),
    "boxes and keypoints": (("masks",), {"boxes": "xyxy", "keypoints": True}),
    "boxes and masks": (("keypoints",), {"boxes": "xyxy", "masks": "instance"}),
    "tight boxes": (
        ("keypoints",),
        {"boxes": mw.Boxes("xyxy", tight=True), "masks": "instance"},
    ),
    "masks alone": (("keypoints", "boxes"), {"masks": "instance"}),
    "keypoints alone": (("masks", "boxes", "area"), {"keypoints": True}),
}


@pytest.mark.parametrize(("out", "form"), SCENES.values(), ids=SCENES)
def test_things(out, form):
    given = without(out)
    wanted = augmented(given, **form)
    with far_device():
        check_same(augmented(sent(given), **form), wanted)


@pytest.mark.parametrize("kind", ["semantic", "layers"])
@pytest.mark.parametrize("whole", [True, False], ids=["one tensor", "a list"])
def test_class_maps(kind, whole):
    maps = torch.arange(COUNT * HW[0] * HW[1]).reshape(COUNT, *HW) % 7
    given: Any = maps if whole else list(maps)
    wanted = augmented(given, masks=kind)
    with far_device() as device:
        given = sent(given)
        device.waits = 0
        found = augmented(given, masks=kind)
        assert device.waits == (1 if whole else COUNT)
        for name in ("classes", "shares") if kind == "layers" else ():
            check_same(getattr(found, name), getattr(wanted, name))
        if kind == "semantic":
            check_same(found, wanted)


@pytest.mark.parametrize("policy", [POLICY, mw.Policy(mw.CutMix(pairing="same_class"))])
def test_labels_in_a_list(policy):
    """They are looked at only where a pairing heeds classes."""
    labels = [torch.tensor(label) for label in (2, 0, 2, 0)]
    form: dict[str, Any] = {"num_classes": 3}
    wanted = augmented(labels, policy, **form)
    with far_device() as device:
        found = augmented(sent(labels), policy, **form)
        assert device.waits == (policy is not POLICY)
        check_same(found, wanted)


@pytest.mark.parametrize("out", [("keypoints",), ("keypoints", "masks")])
def test_more_things_bring_no_more_looks(out):
    """A look waits for the device, so there is one for an entry of an image, not for a thing."""
    form = {"boxes": "xyxy", **({} if "masks" in out else {"masks": "instance"})}
    waits = []
    for things in (3, 9):
        given = [{k: v for k, v in t.items() if k not in out} for t in targets(things)]
        with far_device() as device:
            given = sent(given)
            augmented(given, mw.Policy(mw.HorizontalFlip()), **form)
            waits.append(device.waits)
    assert waits[0] == waits[1] > 0


@pytest.mark.parametrize("form", ["a tensor", "a list"])
def test_the_range_of_floats_is_one_look(form):
    images = torch.rand(COUNT, 3, *HW)
    with far_device() as device:
        given = images.to(FAR)
        sizes = np.tile(np.array(HW), (COUNT, 1))
        batch_of(given if form == "a tensor" else list(given), sizes)
        assert device.waits == 1
        with pytest.raises(mw.RenderError, match=r"got 0 \.\. 3"):
            batch_of([given[0] * 0, given[1] * 0 + 3 * torch.eye(32)[:24].to(FAR)], sizes[:2])


def test_far_tensors_are_far():
    """What this file rests on: they have no arrays, and come back as they went."""
    with far_device() as device:
        given = sent(targets()[0])
        with pytest.raises((RuntimeError, TypeError)):
            given["boxes"].numpy()
        assert device.waits == 0 and not given["boxes"].is_cpu
        assert torch.equal(fetched(given)["boxes"], targets()[0]["boxes"])
        assert device.waits == len(given)
