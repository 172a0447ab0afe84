"""A Loader that renders arrays where they lie yields the same batches."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch.utils.data import Subset, TensorDataset

import mixwell as mw
from mixwell._errors import RenderError
from mixwell.loading.output import stream_behind
from mixwell.loading.sources import Arrays
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


@pytest.mark.parametrize("planes", [True, False], ids=["planes", "channels last"])
def test_images_are_gathered_where_they_lie(planes, monkeypatch):
    """Rows on a device need their numbers there."""
    images = torch.empty(20, 3, 8, 8, device="meta")
    images = images if planes else images.contiguous(memory_format=torch.channels_last)
    devices = []

    def gather(self, dim, index):
        devices.append(index.device)
        return plain(self, dim, index)

    plain = torch.Tensor.index_select
    monkeypatch.setattr(torch.Tensor, "index_select", gather)
    assert Arrays(images, None).images_of(np.array([3, 1])).shape == (2, 3, 8, 8)
    assert devices == [images.device]


def test_a_stream_of_its_own_waits_for_the_images(monkeypatch):
    said = []

    class Stream:
        def __init__(self, device):
            said.append(f"made on {device}")

        def wait_stream(self, other):
            said.append(f"waits for {other}")

    class Images:
        device = "cuda:1"

        def record_stream(self, stream):
            said.append("known")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"the one of {device}")
    stream_behind(cast(Any, Images()))
    assert said == ["made on cuda:1", "waits for the one of cuda:1", "known"]


GPU = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU: unproven that batches made there are the same"
)


@pytest.mark.gpu
@GPU
@pytest.mark.parametrize("resident", [None, False])
def test_batches_of_a_gpu_are_the_same(resident):
    want = batches(DATA["arrays"])
    got = batches(DATA["arrays"], device="cuda", resident=resident)
    assert all(x.is_cuda and y.is_cuda for x, y in got)
    same(want, got)


@pytest.mark.gpu
@GPU
@pytest.mark.parametrize("images", [PLANES, PLANES.float() / 255], ids=["bytes", "floats"])
@pytest.mark.parametrize("resident", [None, False])
def test_images_that_are_just_being_made_on_a_gpu(images, resident):
    """The stream that makes them is waited for, and batches stay there without being asked to."""
    want = batches((images, LABELS), backend="reference")
    far = torch.zeros_like(images, device="cuda")
    torch.cuda._sleep(200_000_000)
    far.copy_(images.pin_memory(), non_blocking=True)
    got = batches((far, LABELS), resident=resident)
    assert all(x.is_cuda and y.is_cuda for x, y in got)
    same(want, got)


@pytest.mark.gpu
@GPU
def test_batches_of_the_cpu_from_images_on_a_gpu():
    got = batches((PLANES.cuda(), LABELS), device="cpu")
    assert all(x.is_cpu for x, _ in got)
    same(batches(DATA["arrays"]), got)
