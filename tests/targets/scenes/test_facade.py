"""Boxes through Augment, Collate, DataLoader and Loader: one plan, one result."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import mixwell as mw

POLICY = mw.Policy(
    mw.RandomIoUCrop(p=0.5),
    mw.Resize((24, 32)),
    mw.HorizontalFlip(),
    mw.OneOf(mw.MixUp(), mw.CutMix(), mw.Identity()),
)
MOSAIC = mw.Policy(mw.HorizontalFlip(), mw.Mosaic(40, pairing="dataset"))


class Shapes(Dataset):
    """Rectangles on noise, with targets; every third image has none."""

    def __init__(self, count: int = 12) -> None:
        rng = np.random.default_rng(0)
        self.images, self.targets = [], []
        for i in range(count):
            size = rng.integers(20, 40, 2)
            self.images.append(torch.from_numpy(rng.integers(0, 255, (3, *size)).astype(np.uint8)))
            n = i % 3
            corner = rng.uniform(0, 10, (n, 2))
            boxes = np.concatenate([corner, corner + rng.uniform(4, 10, (n, 2))], axis=1)
            self.targets.append(
                {
                    "boxes": torch.from_numpy(boxes).float().reshape(-1, 4),
                    "labels": torch.full((n,), i),
                    "image_id": i,
                }
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int):
        return self.images[index], self.targets[index]


def same(a: list[dict], b: list[dict]) -> bool:
    """Whether targets are equal, entry by entry."""
    if [list(t) for t in a] != [list(t) for t in b]:
        return False
    pairs = [(x[name], y[name]) for x, y in zip(a, b, strict=True) for name in x]
    return all(torch.equal(torch.as_tensor(x), torch.as_tensor(y)) for x, y in pairs)


def loaded(policy: mw.Policy, batch: int = 4, **options):
    """Images and targets of an epoch, by DataLoader."""
    data = Shapes()
    loader = DataLoader(
        mw.keyed(data, policy=policy),
        sampler=mw.KeyedSampler(data, epochs=1),
        batch_size=batch,
        collate_fn=mw.Collate(policy, boxes="xyxy", **options),
    )
    batches = list(loader)
    return [x for images, _ in batches for x in images], [t for _, ts in batches for t in ts]


def test_a_data_loaders_batches_are_augments():
    data, augment = Shapes(), mw.Augment(POLICY, boxes="xyxy")
    images, targets = loaded(POLICY)
    keys = mw.Keys(np.arange(4))
    x, y = augment(data.images[:4], data.targets[:4], keys=keys)
    assert torch.equal(torch.stack(images[:4]), x) and same(targets[:4], y)
    assert [t["image_id"] for t in targets] == list(range(12))
    assert all("weights" in t and len(t["weights"]) == len(t["boxes"]) for t in targets)


def test_partners_from_the_data_set_do_not_depend_on_the_batch():
    one = loaded(MOSAIC, 4)
    other = loaded(MOSAIC, 3)
    assert all(torch.equal(a, b) for a, b in zip(one[0], other[0], strict=True))
    for a, b in zip(one[1], other[1], strict=True):
        assert torch.equal(a["boxes"], b["boxes"]) and torch.equal(a["labels"], b["labels"])
        assert torch.equal(a["weights"], b["weights"])
        assert set((a["labels"]).tolist()) <= set(range(12))


@pytest.mark.parametrize("policy", [POLICY, MOSAIC], ids=["POLICY", "MOSAIC"])
def test_the_loader_gives_what_a_data_loader_gives(policy):
    images, targets = loaded(policy)
    with mw.Loader(Shapes(), policy, batch_size=4, num_threads=2, boxes="xyxy") as loader:
        batches = list(loader)
    assert torch.equal(torch.cat([x for x, _ in batches]), torch.stack(images))
    assert same([t for _, ts in batches for t in ts], targets)


def test_one_image_alone():
    data = Shapes()
    policy = mw.Policy(mw.HorizontalFlip(p=1.0), mw.Resize((20, 20)))
    image, target = mw.Augment(policy, boxes="xyxy").one(data[2])
    assert tuple(image.shape) == (3, 20, 20) and len(target["boxes"]) == 2
    assert target["labels"].tolist() == [2, 2] and "weights" not in target


def test_evaluation_moves_boxes_too():
    data = Shapes()
    augment = mw.Augment(POLICY, boxes="xyxy", eval_policy=mw.Policy(mw.Resize((50, 60)))).eval()
    (image,), (target,) = augment([data.images[1]], [data.targets[1]])
    height, width = data.images[1].shape[1:]
    scale = torch.tensor([60 / width, 50 / height] * 2)
    assert torch.allclose(target["boxes"], data.targets[1]["boxes"] * scale, atol=1e-5)
    assert "weights" not in target and tuple(image.shape[1:]) == (50, 60)


def test_fusing_changes_no_target():
    """Fused plans and plain ones move things alike, mixes in between."""
    data = Shapes(6)
    policy = mw.Policy(
        mw.Rotate(30),
        mw.ShearX(0.2),
        mw.Resize((30, 30)),
        mw.CutMix(),
        mw.Rotate(20),
        mw.TranslateX(0.2),
    )
    keys = mw.Keys(np.arange(6))
    made = []
    for fuse in (True, False):
        augment = mw.Augment(policy, boxes="xyxy", fuse=fuse)
        made.append(augment(data.images, data.targets, keys=keys)[1])
    for a, b in zip(*made, strict=True):
        assert torch.equal(a["labels"], b["labels"])
        assert torch.allclose(a["boxes"], b["boxes"], atol=1e-3)
        assert torch.allclose(a["weights"], b["weights"], atol=1e-5)


def test_what_an_epoch_loses_is_counted():
    data = Shapes()
    collate = mw.Collate(
        mw.Policy(mw.RandomCrop(12)), boxes=mw.Boxes("xyxy", min_visibility=0.5, min_side=3)
    )
    sampler = mw.KeyedSampler(data, epochs=1)
    loader = DataLoader(mw.keyed(data), sampler=sampler, batch_size=4, collate_fn=collate)
    left = sum(len(t["boxes"]) for _, targets in loader for t in targets)
    lost = collate.lost
    assert left + sum(lost.values()) == sum(len(t["boxes"]) for t in data.targets)
    assert set(lost) <= {"outside", "min_visibility", "min_side"} and sum(lost.values()) > 0
