"""A Loader that renders arrays where they lie yields the same batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import Subset, TensorDataset

import mixwell as mw
from mixwell._errors import RenderError
from mixwell.plan import Plan
from mixwell.render.images import Picked

POLICY = mw.Policy(mw.RandomCrop(8, padding=2), mw.HorizontalFlip(), mw.CutMix(pairing="dataset"))
NUMBERS = np.random.default_rng(0)
IMAGES = NUMBERS.integers(0, 256, (20, 8, 8, 3), np.uint8)
LABELS = np.arange(20) % 4
PLANES = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).contiguous()
DATA = {
    "arrays": (IMAGES, LABELS),
    "tensors": TensorDataset(PLANES, torch.from_numpy(LABELS)),
    "a part": Subset(TensorDataset(PLANES, torch.from_numpy(LABELS)), [3, 1, 4, 1, 5, 9, 2, 6]),
    "floats": (PLANES.float() / 255, LABELS),
}


def batches(data, **more) -> list:
    chosen = {"num_classes": 4, "batch_size": 5, "shuffle": True, "num_threads": 2, **more}
    with mw.Loader(data, POLICY, mean=(0.5,) * 3, std=(0.2,) * 3, **chosen) as loader:
        return list(loader)


def same(one: list, other: list) -> None:
    for (x, y), (u, v) in zip(one, other, strict=True):
        assert torch.equal(x.cpu(), u.cpu()) and torch.equal(y.cpu(), v.cpu())


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_batches_are_the_same(data, backend):
    same(batches(data, backend=backend), batches(data, backend=backend, resident=True))


def test_it_needs_arrays():
    for data, more in (([("a.png", 0)], {}), (DATA["arrays"], {"output": "numpy"})):
        with pytest.raises(mw.PolicyError, match=r"resident=True needs a data set of arrays"):
            mw.Loader(data, mw.Policy(mw.HorizontalFlip()), batch_size=2, resident=True, **more)


def test_picked_rows_are_rendered_like_gathered_ones():
    rows = np.array([4, 0, 4])
    plan = Plan(np.array([(8, 8)] * 3))
    assert torch.equal(mw.render(Picked(PLANES, rows), plan), PLANES[rows])
    with pytest.raises(RenderError, match="the plan reads 3 images, got 2"):
        mw.render(Picked(PLANES, rows[:2]), plan)


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU: unproven that batches made there are the same"
)
@pytest.mark.parametrize("resident", [None, False])
def test_batches_of_a_gpu_are_the_same(resident):
    want = batches(DATA["arrays"])
    got = batches(DATA["arrays"], device="cuda", resident=resident)
    assert all(x.is_cuda and y.is_cuda for x, y in got)
    same(want, got)
