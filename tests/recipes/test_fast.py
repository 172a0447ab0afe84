"""What short trainings at high rates need: whitening, ghost norms, a rate for biases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import mixwell as mw
from mixwell.recipes.config import TrainConfig, resolved
from mixwell.recipes.data import ArraySet, DataError, TrainTest, load_dataset
from mixwell.recipes.loop import make_fabric, train
from mixwell.recipes.models import build_model, whiten
from mixwell.recipes.models.resnet9_fast import FastResNet9, GhostNorm
from mixwell.recipes.models.whitening import EPSILON, Whitening, whitening_filters
from mixwell.recipes.optim import build_optimizer, set_lr

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pictures(count: int = 6, height: int = 7, width: int = 9) -> np.ndarray:
    """Correlated neighbours and channels, so that there is something to whiten."""
    noise = np.random.default_rng(0).normal(size=(count, height, width, 1)).cumsum(1).cumsum(2)
    own = np.random.default_rng(1).normal(size=(count, height, width, 3))
    return np.clip(110 + 8 * noise + 12 * own, 0, 255).astype(np.uint8)


def patches_of(images: np.ndarray, size: int) -> np.ndarray:
    """[places, C * k * k] by loops, in the order of a convolution's filters."""
    found = []
    for image in (images / 255.0 - np.array(MEAN)) / np.array(STD):
        for y in range(image.shape[0] - size + 1):
            for x in range(image.shape[1] - size + 1):
                found.append(image[y : y + size, x : x + size].transpose(2, 0, 1).ravel())
    return np.array(found)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_patches_are_white_behind_the_filters(size: int) -> None:
    images = pictures()
    filters = whitening_filters(images, MEAN, STD, size)
    assert filters.shape == (3 * size**2, 3, size, size)
    flat = filters.reshape(len(filters), -1).double().numpy()
    given = patches_of(images, size)
    made = given @ flat.T
    moments = made.T @ made / len(made)
    variances = np.sort(np.linalg.eigvalsh(given.T @ given / len(given)))[::-1]
    assert np.allclose(moments, np.diag(variances / (variances + EPSILON)), atol=1e-4)
    assert np.all(np.take_along_axis(flat, np.abs(flat).argmax(1)[:, None], 1) > 0)


def test_the_layer_is_the_convolution_with_the_filters() -> None:
    images = pictures(2)
    network = whiten(nn.Sequential(nn.Conv2d(3, 4, 3, 1, 0, bias=False)), images, MEAN, STD)
    layer = network[0][0]  # type: ignore[index]
    assert isinstance(layer, Whitening) and not list(layer.parameters())
    x = torch.from_numpy((images / 255.0 - MEAN) / STD).permute(0, 3, 1, 2).float()
    flat = layer.filters.reshape(27, -1).double().numpy()
    expected = (patches_of(images, 3) @ flat.T).reshape(2, 5, 7, 27)
    assert np.allclose(layer(x).permute(0, 2, 3, 1).numpy(), expected, atol=1e-4)
    assert network(x).shape == (2, 4, 5, 7)


@pytest.mark.parametrize("name", ["resnet9", "resnet9-fast", "resnet20", "resnet18-cifar"])
def test_every_network_for_small_images_can_be_whitened(name: str) -> None:
    network = build_model(name, 10)
    plain = network(torch.zeros(2, 3, 16, 16)).shape
    before = {id(p) for p in network.parameters()}
    whiten(network, pictures(), MEAN, STD)
    assert network(torch.zeros(2, 3, 16, 16)).shape == plain
    assert len([p for p in network.parameters() if id(p) not in before]) == 1


def test_what_cannot_be_whitened_is_refused() -> None:
    for network in (nn.Linear(3, 3), nn.Conv2d(4, 8, 3), nn.Conv2d(3, 3, 3, groups=3)):
        with pytest.raises(DataError, match="plain first convolution over 3 channels"):
            whiten(nn.Sequential(network), pictures(), MEAN, STD)
    with pytest.raises(DataError, match="at least 3 x 3 px"):
        whitening_filters(pictures(2, 2, 5), MEAN, STD)


def test_ghost_norm_is_batch_norm_of_each_group() -> None:
    torch.manual_seed(0)
    x = torch.randn(10, 3, 4, 5) * 3 + 1
    norm = GhostNorm(3, images=4)  # 10 images: two groups of five
    nn.init.normal_(norm.bias)
    made = norm(x).detach()
    for part, out in ((x[:5], made[:5]), (x[5:], made[5:])):
        mean, var = part.mean((0, 2, 3)), part.var((0, 2, 3), unbiased=False)
        expected = (part - mean.view(3, 1, 1)) / (var + 1e-5).sqrt().view(3, 1, 1)
        assert torch.allclose(out, expected + norm.bias.view(3, 1, 1), atol=1e-5)
    assert [name for name, _ in norm.named_parameters()] == ["bias"]


def test_ghost_norm_forgets_a_tenth_of_its_statistics_a_batch() -> None:
    norm = GhostNorm(1, images=2)
    norm(torch.full((8, 1, 2, 2), 5.0))  # four groups, all with mean 5
    assert norm.running_mean.item() == pytest.approx(0.1 * 5.0)
    norm.eval()
    out = norm(torch.full((1, 1, 2, 2), 0.5))
    assert torch.allclose(out, torch.zeros(1, 1, 2, 2), atol=1e-6)


def test_one_image_and_few_are_one_group() -> None:
    norm = GhostNorm(2)
    assert norm(torch.randn(1, 2, 4, 4)).shape == (1, 2, 4, 4)
    assert norm(torch.randn(33, 2, 4, 4)).shape == (33, 2, 4, 4)


def test_widths() -> None:
    wide, plain = (sum(p.numel() for p in FastResNet9(10, 3, w).parameters()) for w in (1.5, 1.0))
    # resnet9 without the scales of its norms
    scales = 64 + 128 * 3 + 256 + 512 * 3
    assert plain == sum(p.numel() for p in build_model("resnet9", 10).parameters()) - scales
    assert 2.2 < wide / plain < 2.26


def test_biases_learn_at_their_own_rate() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = build_optimizer(network, "sgd", lr=0.1, bias_lr=64.0)
    set_lr(optimizer, 0.5)
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    for p in network.parameters():
        assert rates[id(p)] == (0.5 if p.ndim > 1 else 32.0)
    with pytest.raises(ValueError, match="bias_lr must lie in"):
        TrainConfig(bias_lr=-1.0)


def test_a_whitened_training() -> None:
    data = small()
    config = resolved(
        TrainConfig(
            model="resnet9-fast", whiten=True, epochs=1, batch_size=16, bias_lr=2.0, ema=0.9,
            tta=True, lr=0.1, devices=1, measure_every=1,
        )
    )  # fmt: skip
    fabric = make_fabric(config)
    result = train(config, data, mw.Policy(mw.HorizontalFlip()), fabric=fabric)
    layer = next(m for m in result.model.modules() if isinstance(m, Whitening))  # type: ignore[union-attr]
    train_set = data.train
    assert isinstance(train_set, ArraySet)
    expected = whitening_filters(train_set.images, data.mean, data.std)
    assert torch.allclose(layer.filters, expected, atol=1e-6)
    with pytest.raises(DataError, match="trained from scratch"):
        train(config, data, mw.Policy(), network=lambda: nn.Flatten(), fabric=fabric)


def small() -> TrainTest:
    whole = load_dataset("digits")
    parts = []
    for part in (whole.train, whole.test):
        assert isinstance(part, ArraySet)
        parts.append(ArraySet(part.images[:32], part.labels[:32], part.classes))
    return TrainTest(parts[0], parts[1], "digits", whole.mean, whole.std)
