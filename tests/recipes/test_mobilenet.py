"""MobileNetV2: TensorFlow's padding, four strides, and the published accuracy."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from mixwell import DataError
from mixwell.recipes.models.mobilenet import (
    CHANNELS,
    MEAN,
    STD,
    STRIDES,
    PadBehind,
    Style,
    load,
    mobilenet_v2,
    mobilenet_v2_features,
)
from mixwell.recipes.models.norms import pause_norms
from mixwell.recipes.models.weights import norm_is_folded
from tests.data import shared_data

WEIGHTS = "mobilenet_v2_imagenet_int8.npz"


def weights_file(unproven: str) -> Path:
    return shared_data("weights", unproven) / WEIGHTS


def same_padding(size: int, kernel: int = 3, stride: int = 2) -> tuple[int, int]:
    """TensorFlow's SAME, as its guide states it."""
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 8), (8, 8), (9, 9)])
def test_padding_is_that_of_tensorflow(size: tuple[int, int]) -> None:
    conv = PadBehind(2, 3, 3, 2, bias=False)
    images = torch.randn(1, 2, *size)
    (top, bottom), (left, right) = same_padding(size[0]), same_padding(size[1])
    padded = F.pad(images, (left, right, top, bottom))
    wanted = F.conv2d(padded, conv.weight, stride=2)
    torch.testing.assert_close(conv(images), wanted, rtol=0, atol=0)


def test_five_convolutions_are_padded_behind_and_names_are_torchvisions() -> None:
    ours, theirs = mobilenet_v2(7), mobilenet_v2(7, style="torchvision")
    assert sum(isinstance(module, PadBehind) for module in ours.modules()) == 5
    assert not any(isinstance(module, PadBehind) for module in theirs.modules())
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert all(m.padding != (1, 1) for m in ours.modules() if isinstance(m, PadBehind))


@pytest.mark.parametrize("style", ["tensorflow", "torchvision"])
@pytest.mark.parametrize("size", [(32, 64), (33, 50), (1, 2)])
def test_maps_have_the_strides_and_channels_they_claim(style, size: tuple[int, int]) -> None:
    network = mobilenet_v2_features(style=style).eval()
    maps = network(torch.zeros(1, 3, *size))
    wanted = [
        (1, channels, -(-size[0] // stride), -(-size[1] // stride))
        for channels, stride in zip(CHANNELS, STRIDES, strict=True)
    ]
    assert [tuple(found.shape) for found in maps] == wanted
    assert (network.channels, network.strides) == (CHANNELS, STRIDES)


def test_the_last_map_is_what_the_classifier_pools() -> None:
    whole = mobilenet_v2(5).eval()
    features = mobilenet_v2_features().eval()
    features.features.load_state_dict(whole.features.state_dict())  # type: ignore[union-attr]
    images = torch.randn(2, 3, 40, 40)
    pooled = features(images)[-1].mean((2, 3))
    torch.testing.assert_close(whole.classifier(pooled), whole(images))  # type: ignore[operator]


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save(nn.Linear(2, 2).state_dict(), file)
    with pytest.raises(DataError, match=r"needs weights of MobileNetV2 1\.0"):
        mobilenet_v2_features(file)


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ValueError, match="style is tensorflow or torchvision, got 'keras'"):
        mobilenet_v2_features(style="keras")  # type: ignore[arg-type]


def test_a_file_gives_classifier_and_backbone_alike(tmp_path: Path) -> None:
    whole = mobilenet_v2(3, style="torchvision").eval()
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    features = mobilenet_v2_features(tmp_path / "w.pth", "torchvision").eval()
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(features(images)[-1], whole.features(images))  # type: ignore[operator]


def test_paused_norms_keep_their_statistics_and_let_the_rest_train() -> None:
    network = mobilenet_v2_features().train()
    pause_norms(network)
    before = {k: v.clone() for k, v in network.named_buffers()}
    network(torch.randn(2, 3, 32, 32))
    assert all(torch.equal(v, before[k]) for k, v in network.named_buffers())
    assert network.features[0].training


def test_eight_bit_weights_say_that_their_norms_are_folded() -> None:
    network = mobilenet_v2_features(weights_file("that the 8-bit MobileNetV2 is read"))
    assert norm_is_folded(network.state_dict())
    network.train()
    network(torch.randn(2, 3, 32, 32))
    assert not norm_is_folded(network.state_dict())


def prepared(path: Path) -> torch.Tensor:
    """Shorter side 256, centre crop 224, by Pillow alone."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    scale = 256 / min(image.size)
    wide, high = round(image.width * scale), round(image.height * scale)
    image = image.resize((wide, high), Image.Resampling.BILINEAR)
    left, top = (wide - 224) // 2, (high - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
    return torch.from_numpy((pixels - np.array(MEAN, np.float32)) / np.array(STD, np.float32))


def top1(network: nn.Module, rows: list[dict[str, str]], folder: Path) -> float:
    network.eval()
    hits = 0
    with torch.inference_mode():
        for row in rows:
            image = prepared(folder / row["file"]).permute(2, 0, 1)[None]
            hits += int(network(image).argmax()) == int(row["class_index"])
    return hits / len(rows)


def imagenet_rows() -> tuple[list[dict[str, str]], Path]:
    folder = shared_data("imagenet_sample", "MobileNetV2's accuracy on ImageNet's photographs")
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file)), folder / "images"


def loaded(style: Style, file: Path) -> nn.Module:
    network = mobilenet_v2(style=style)
    load(network, file)
    return network


@pytest.mark.slow
def test_top1_on_the_imagenet_sample_is_the_published_one_and_needs_the_padding() -> None:
    file = weights_file("MobileNetV2's accuracy")
    rows, folder = imagenet_rows()
    assert top1(loaded("tensorflow", file), rows, folder) == pytest.approx(0.905, abs=0.005)
    assert top1(loaded("torchvision", file), rows, folder) < 0.86


def test_most_photographs_are_recognised() -> None:
    file = weights_file("that the weights fit the network")
    rows, folder = imagenet_rows()
    assert top1(loaded("tensorflow", file), rows[::25], folder) >= 0.7
