"""Inner layers' outputs: the right values, no more work than needed, and clear refusals."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import vgg16, vgg19

from mixwell import DataError
from mixwell.recipes.stylize import KNOWN, Features
from tests.recipes.stylize.cases import picture, small_features, small_network


def test_values_are_those_of_the_layers_themselves():
    """Also where an in-place activation follows, which would clip a convolution's output."""
    network = small_network()
    first, second = network[0], network[3]
    image = torch.randn(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    a = F.conv2d(image, first.weight, first.bias, padding=1)
    b = F.conv2d(F.max_pool2d(F.relu(a), 2), second.weight, second.bias, padding=1)
    found = Features(network, ("3", "0"))(image)
    assert list(found) == ["3", "0"]
    assert a.min() < 0 and b.min() < 0
    assert torch.equal(found["0"], a) and torch.equal(found["3"], b)


def test_the_network_is_frozen_and_the_image_is_not():
    features = small_features()
    image = features.normalized(picture(0)).requires_grad_()
    features(image)["3"].sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in features.parameters())
    assert not features.network.training


def test_norms_use_what_they_have_stored():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Identity())
    image = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(Features(network, ("0",))(image)["0"], image / (1 + 1e-5) ** 0.5)


def test_pixels_there_and_back():
    features = small_features()
    pixels = picture(0)
    image = features.normalized(pixels)
    assert float(features.normalized(torch.zeros(1, 3, 1, 1))[0, 0]) == pytest.approx(
        -0.485 / 0.229
    )
    torch.testing.assert_close(features.pixels(image), pixels)
    wild = features.normalized(pixels * 4 - 1.5)
    features.clamp_(wild)
    torch.testing.assert_close(features.pixels(wild), (pixels * 4 - 1.5).clamp(0, 1))


class WritesOver(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.conv(x).mul_(2))


class Skips(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


@pytest.mark.parametrize(
    ("network", "layers", "message"),
    [
        (small_network(), (), "at least one layer"),
        (small_network(), ("7",), "no layer '7'"),
        (small_network(), ("",), "no layer ''"),
        (vgg := nn.Sequential(nn.Conv2d(3, 4, 1)), ("conv", "0"), "no layer 'conv'"),
    ],
)
def test_layers_must_exist(network, layers, message):
    with pytest.raises(ValueError, match=message):
        Features(network, layers)


@pytest.mark.parametrize(
    ("network", "layers", "message"),
    [
        (WritesOver(), ("conv", "last"), "writes into the output of its layer conv"),
        (Skips(), ("used", "idle"), "never ran its layer idle"),
        (nn.Sequential(nn.Flatten(), nn.Identity()), ("0",), r"got \[1, 48\] from 0"),
    ],
)
def test_layers_must_give_maps_that_stay(network, layers, message):
    with pytest.raises(ValueError, match=message):
        Features(network, layers)(torch.zeros(1, 3, 4, 4))


def test_a_close_name_is_offered():
    network = nn.Sequential()
    network.add_module("features", nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()))
    with pytest.raises(ValueError, match="Close names: features"):
        Features(network, ("feature.0",))


def test_a_picture_that_is_too_small_is_refused_in_words():
    features = small_features()
    features.check_size(2, 2)
    with pytest.raises(DataError, match=r"got 5 x 1 px: .*Use a larger size"):
        features.check_size(1, 5)


@pytest.mark.parametrize(("name", "build"), [("vgg19", vgg19), ("vgg16", vgg16)])
def test_layers_of_vgg_are_those_of_the_paper(name, build):
    """Style: the first convolution of each block; content: the last of block 4."""
    with torch.device("meta"):
        layers = build().features
    blocks: list[list[int]] = [[]]
    for i, layer in enumerate(layers):
        if isinstance(layer, nn.MaxPool2d):
            blocks.append([])
        elif isinstance(layer, nn.Conv2d):
            blocks[-1].append(i)
    taps = KNOWN[name].taps
    assert taps.style == tuple(f"features.{block[0]}" for block in blocks[:5])
    assert taps.content == (f"features.{blocks[3][-1]}",)
