"""Two processes train as one: the same augmented images, and the same gradients.

The policy draws per image only, and takes partners from the data set. A mix with partners from the
batch looks at who else is in it, and two half batches hold other company than one whole: there,
equality is not promised.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

import mixwell as mw

torch.set_num_threads(1)

WORLD, COUNT, BATCH, EPOCHS = 2, 15, 4, 2
POLICY = mw.Policy(
    mw.RandomCrop((13, 9), padding=2),
    mw.HorizontalFlip(),
    mw.Rotate(15),
    mw.Brightness((0.5, 1.5)),
    mw.RandomErasing(),
    mw.OneOf(mw.MixUp(pairing="dataset"), mw.CutMix(pairing="dataset")),
)
SUMS = {"rtol": 0, "atol": 1e-12}
"""Gradients are float64; only the order in which images are added up differs between one process
and two."""

pytestmark = [
    pytest.mark.skipif(
        not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
        reason="no gloo: unproven here: that two processes train as one",
    ),
]


def images() -> tuple[torch.Tensor, torch.Tensor]:
    made = np.random.default_rng(4).integers(0, 256, (COUNT, 3, 17, 11), np.uint8)
    return torch.from_numpy(made), torch.arange(COUNT) % 3


def batches(rank: int, world_size: int, batch_size: int) -> DataLoader:
    data = list(zip(*images(), strict=True))
    return DataLoader(
        mw.keyed(data, POLICY),
        sampler=mw.KeyedSampler(
            data, epochs=EPOCHS, shuffle=True, rank=rank, world_size=world_size
        ),
        batch_size=batch_size,
        collate_fn=mw.Collate(
            POLICY, num_classes=3, smoothing=0.1, mean=(0.5,) * 3, std=(0.25,) * 3
        ),
    )


def small_model() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    return nn.Sequential(*layers).double()


def trained(model: nn.Module, loader: DataLoader) -> dict:
    """All batches of all epochs, and the gradients of the first batch of each."""
    out: dict = {"x": [], "y": [], "gradients": []}
    for _ in range(EPOCHS):
        for step, (x, y) in enumerate(loader):
            out["x"].append(x)
            out["y"].append(y)
            if step == 0:
                model.zero_grad()
                F.cross_entropy(model(x.double()), y.double()).backward()
                out["gradients"].append([p.grad.clone() for p in model.parameters()])
    return out


def work(rank: int, folder: str) -> None:
    """What each of the two processes does."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=WORLD
    )
    model = nn.parallel.DistributedDataParallel(small_model())
    torch.save(trained(model, batches(rank, WORLD, BATCH)), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.spawn(work, args=(str(folder),), nprocs=WORLD)
    return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(WORLD)]


@pytest.fixture(scope="module")
def alone() -> dict:
    return trained(small_model(), batches(0, 1, WORLD * BATCH))


def together(ranks: list[dict], name: str) -> list[torch.Tensor]:
    """The ranks' batches of each step, image by image in turn: the one-process order."""
    steps = zip(*(rank[name] for rank in ranks), strict=True)
    return [torch.stack(parts, dim=1).flatten(0, 1) for parts in steps]


@pytest.mark.parametrize("name", ["x", "y"])
def test_the_union_of_the_ranks_is_the_one_process_run(ranks, alone, name):
    found, wanted = together(ranks, name), alone[name]
    assert [len(a) for a in wanted] == [8, 7] * EPOCHS
    assert [len(a) for a in found] == [8, 8] * EPOCHS  # 15 images, filled up to 16
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a[: len(b)], b, rtol=0, atol=0)


def test_the_image_that_fills_up_is_a_copy_with_its_own_draws(ranks, alone):
    for epoch in range(EPOCHS):
        first = together(ranks, "x")[2 * epoch][0]
        filled = together(ranks, "x")[2 * epoch + 1][-1]
        assert torch.equal(first, alone["x"][2 * epoch][0]) and not torch.equal(first, filled)


def test_gradients_of_two_halves_are_those_of_the_whole(ranks, alone):
    for epoch in range(EPOCHS):
        for rank in ranks:
            for a, b in zip(rank["gradients"][epoch], alone["gradients"][epoch], strict=True):
                assert b.abs().max() > 1e-3  # else equality would say little
                torch.testing.assert_close(a, b, **SUMS)
