"""torchvision's MixUp, CutMix and RandomErasing against ours: pixels and labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from mixwell.compat import torchvision as tv
from mixwell.plan import Mix, Plan
from mixwell.plan.steps import Edit
from mixwell.render import render
from mixwell.targets import dense_labels
from tests.compat.harness import photos, planned, to_tensor
from tests.compat.parity import difference, within


def batch(n: int, hw: tuple[int, int]) -> torch.Tensor:
    picture = photos()["square"][: hw[0], : hw[1]]
    return torch.stack([to_tensor(np.roll(picture, 7 * i, axis=1)) for i in range(n)])


def test_mixup_pixels_and_labels():
    images, classes = batch(5, (33, 41)).float() / 255, torch.arange(5) % 3
    largest = 0.0
    for seed in range(20):
        plan = planned(tv.MixUp(0.4), 5, (33, 41), seed)
        (mix,) = plan.steps
        assert isinstance(mix, Mix)
        # The lambda that torchvision would have drawn is anywhere within half a unit of ours.
        lam = float(mix.weight[0, 0]) + np.linspace(-0.5, 0.5, 20)[seed] / 65536
        mixup = v2.MixUp(num_classes=3)
        params = {"lam": lam, "labels": classes, "batch_size": 5}
        found = difference(
            render(images, plan).numpy(), mixup.transform(images, params).numpy(), top=1.0
        )
        assert within(found, ("MixUp", "torchvision", "tensor")), found
        labels = dense_labels(classes, plan, num_classes=3)
        want = mixup._mixup_label(classes, lam=lam)
        assert (labels - want).abs().max() <= 0.5 / 65536 + 1e-7
        largest = max(largest, found.most)
    assert largest > 0, "the table's row is laxer than need be"


@pytest.mark.parametrize("hw", [(33, 41), (2, 5), (1, 1)])
@pytest.mark.parametrize("floating", [False, True])
def test_cutmix_pixels_and_labels(hw, floating):
    images, classes = batch(5, hw), torch.arange(5) % 3
    images = images.float() / 255 if floating else images
    for seed in range(20):
        plan = planned(tv.CutMix(), 5, hw, seed)
        (mix,) = plan.steps
        assert isinstance(mix, Mix)
        x1, y1, x2, y2 = box = tuple(mix.rect_px[0, 1].tolist())
        lam = float(1.0 - (x2 - x1) * (y2 - y1) / (hw[0] * hw[1]))
        cutmix = v2.CutMix(num_classes=3)
        params = {"box": box, "lam_adjusted": lam, "labels": classes, "batch_size": 5}
        assert torch.equal(render(images, plan), cutmix.transform(images, params))
        labels = dense_labels(classes, plan, num_classes=3)
        assert (labels - cutmix._mixup_label(classes, lam=lam)).abs().max() <= 1e-6


@pytest.mark.parametrize("make", [tv.MixUp, tv.CutMix])
@pytest.mark.parametrize("n", [0, 1])
def test_an_image_alone_stays_as_it_is(make, n):
    images = batch(1, (8, 9))[:n]
    assert torch.equal(render(images, planned(make(), n, (8, 9))), images)


# ------------------------------------------------------------------------------------- erasing


@pytest.mark.parametrize("value", [0.0, 0.5, (0.1, -0.2, 1.5)])
def test_erasing_writes_the_same(value):
    images, mean, std = batch(6, (33, 41)), (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    plan = planned(tv.RandomErasing(p=1.0, value=value), 6, (33, 41))
    (edit,) = plan.steps
    assert isinstance(edit, Edit)
    got = render(images, plan, mean=mean, std=std)
    clean = render(images, Plan(plan.in_hw), mean=mean, std=std)
    transform = v2.RandomErasing(p=1.0, value=value)
    for row in range(6):
        x0, y0, x1, y1 = (int(v) for v in edit.param[row, 0, :4])
        v = torch.tensor(transform.value)[:, None, None]
        params = {"i": y0, "j": x0, "h": y1 - y0, "w": x1 - x0, "v": v}
        want = transform.transform(clean[row].clone(), params)
        found = difference(got[row].numpy(), want.numpy(), top=1.0 / std[0])
        assert within(found, ("RandomErasing", "torchvision", "tensor")), found
        assert x1 > x0 and y1 > y0 and not torch.equal(want, clean[row])


def test_random_erasing_is_standard_normal():
    plan = planned(
        tv.RandomErasing(p=1.0, scale=(0.5, 0.5), ratio=(1, 1), value="random"), 9, (64, 64)
    )
    (edit,) = plan.steps
    assert isinstance(edit, Edit)
    got = render(batch(9, (64, 64)), plan, mean=(0.5,) * 3, std=(0.5,) * 3)
    inside = []
    for row in range(9):
        x0, y0, x1, y1 = (int(v) for v in edit.param[row, 0, :4])
        inside.append(got[row, :, y0:y1, x0:x1].flatten())
    values = torch.cat(inside).numpy()
    assert len(values) > 40_000 and stats.kstest(values, "norm").pvalue > 1e-6
