"""FCN: the transposed convolution is what it claims to be, backbones are taken apart rightly."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mixwell import DataError
from mixwell.recipes.models import build_model
from mixwell.recipes.segmentation.config import SegmentConfig
from mixwell.recipes.segmentation.fcn import FCN, bilinear_kernel, trunk_of
from mixwell.recipes.segmentation.models import LIBRARY, build_segmenter
from mixwell.recipes.segmentation.segment import load_segmenter
from mixwell.recipes.settings import as_json
from tests.data import shared_data
from tests.oracles import segmentation as oracle

IMAGE = [[0.0, 1.0], [2.0, 3.0]]


@pytest.mark.parametrize(
    ("stride", "padding", "wanted"),
    [
        (1, 0, [[0, 0, 1], [0, 4, 6], [4, 12, 9]]),
        (2, 0, [[0, 0, 0, 1], [0, 0, 2, 3], [0, 2, 0, 3], [4, 6, 6, 9]]),
        (1, 1, [[4]]),
    ],
)
def test_transposed_convolution_of_the_known_answers(stride: int, padding: int, wanted) -> None:
    image = torch.tensor(IMAGE)
    found = F.conv_transpose2d(image[None, None], image[None, None], None, stride, padding)
    assert found[0, 0].tolist() == wanted
    assert oracle.scattered(np.array(IMAGE), np.array(IMAGE), stride, padding).tolist() == wanted


@pytest.mark.parametrize("stride", [2, 4, 8, 16])
def test_upsampling_begins_as_bilinear_interpolation(stride: int) -> None:
    draw = np.random.default_rng(stride)
    image = draw.normal(size=(2, 4, 3)).astype(np.float32)
    kernel = bilinear_kernel(2, stride)
    assert kernel.shape == (2, 2, 2 * stride, 2 * stride)
    found = F.conv_transpose2d(
        torch.from_numpy(image)[None], kernel, stride=stride, padding=stride // 2
    )[0].numpy()
    assert found.shape == (2, 4 * stride, 3 * stride)
    for channel in range(2):
        wanted = oracle.bilinear(image[channel], stride)
        np.testing.assert_allclose(found[channel], wanted, atol=1e-5)
    inside = slice(stride, -stride)
    theirs = F.interpolate(torch.from_numpy(image)[None], scale_factor=stride, mode="bilinear")
    np.testing.assert_allclose(found[:, inside, inside], theirs[0, :, inside, inside], atol=1e-5)


def test_a_network_begins_with_it_and_with_xaviers_head() -> None:
    torch.manual_seed(0)
    network = FCN(nn.Conv2d(3, 50, 4, 4), 50, 4, 30)
    assert torch.equal(network.upsample.weight, bilinear_kernel(30, 4))
    bound = (6 / (50 + 30)) ** 0.5
    assert network.head.weight.abs().max() <= bound
    assert float(network.head.weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.1)
    assert network.head.bias is not None and not network.head.bias.any()


@pytest.mark.parametrize("size", [(32, 64), (33, 50), (1, 7), (31, 96)])
def test_images_of_any_size_get_logits_of_their_size(size: tuple[int, int]) -> None:
    network = build_segmenter("fcn:resnet18", 5).model.eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 3, *size)).shape == (2, 5, *size)


@pytest.mark.parametrize(
    ("name", "stride", "channels", "own"),
    [
        ("resnet18", None, 512, 32),
        ("resnet18", 16, 256, 16),
        ("resnet18", 8, 128, 8),
        ("mobilenet_v2-tf", None, 1280, 32),
        ("mobilenet_v2-tf", 16, 576, 16),
        ("vgg11", None, 512, 32),
        ("regnet_y_400mf", None, 440, 32),
        ("shufflenet_v2_x0_5", None, 1024, 32),
    ],
)
def test_backbones_end_where_their_classifier_pools(name, stride, channels, own) -> None:
    network = build_model(name, 2)
    trunk, found_channels, found = trunk_of(network, name, stride)
    assert (found_channels, found) == (channels, own)
    trunk.eval()
    with torch.no_grad():
        maps = trunk(torch.zeros(1, 3, 64, 96))
    assert maps.shape == (1, channels, 64 // own, 96 // own)


def test_the_map_is_the_one_that_is_classified() -> None:
    torch.manual_seed(1)
    network = build_model("resnet18", 7).eval()
    trunk, _, _ = trunk_of(network, "resnet18")
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        pooled = trunk.eval()(images).mean((2, 3))
        torch.testing.assert_close(network.fc(pooled), network(images))  # type: ignore[operator]


def test_backbones_that_give_no_map_are_refused() -> None:
    with pytest.raises(DataError, match=r"strides .*32, got 6"):
        trunk_of(build_model("torchvision:resnet18", 2), "resnet18", 6)
    with pytest.raises(DataError, match="got an error from vit_b_32"):
        build_segmenter("fcn:vit_b_32", 3)
    with pytest.raises(DataError, match=r"fcn:BACKBONE .* got 'unet'"):
        build_segmenter("unet", 3)
    with pytest.raises(DataError, match="stride is for fcn:BACKBONE"):
        build_segmenter(LIBRARY[0], 3, stride=16)


def test_torchvisions_models_give_logits() -> None:
    for name in ("lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"):
        built = build_segmenter(name, 4)
        with torch.no_grad():
            assert built.model.eval()(torch.zeros(1, 3, 64, 48)).shape == (1, 4, 64, 48)
        names = [n for n, _ in built.model.named_parameters()]
        assert any(built.is_backbone(n) for n in names) and not all(map(built.is_backbone, names))


def test_a_classifiers_weights_become_a_backbones(tmp_path) -> None:
    classifier = build_model("torchvision:mobilenet_v3_large", 9)
    torch.save(classifier.state_dict(), tmp_path / "w.pth")
    built = build_segmenter("lraspp_mobilenet_v3_large", 3, weights=str(tmp_path / "w.pth"))
    assert built.loaded
    first = built.model.network.backbone["0"][0].weight  # type: ignore[index,union-attr]
    assert torch.equal(first, classifier.features[0][0].weight)  # type: ignore[index,union-attr]
    with pytest.raises(DataError, match="needs weights of its backbone"):
        build_segmenter("fcn_resnet50", 3, weights=str(tmp_path / "w.pth"))


def test_a_run_that_began_with_weights_is_read_as_it_was_trained(tmp_path) -> None:
    """torchvision's GoogLeNet converts its input where weights are loaded, and only there."""
    torch.save(build_model("googlenet", 4).state_dict(), tmp_path / "w.pth")
    config = SegmentConfig(model="fcn:googlenet", weights=str(tmp_path / "w.pth"))
    trained = build_segmenter(config.model, 3, weights=config.weights).model.eval()
    torch.save({"model": trained.state_dict()}, tmp_path / "checkpoint.pt")
    about = {"recipe": "segment", "classes": ["a", "b", "c"]}
    (tmp_path / "config.json").write_text(json.dumps(as_json(config) | about))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        wanted, found = trained(images), load_segmenter(tmp_path)[0].model(images)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=0)


def test_loaded_norms_can_be_held() -> None:
    file = shared_data("weights", "that Keras' MobileNetV2 is a backbone")
    path = str(file / "mobilenet_v2_imagenet_int8.npz")
    built = build_segmenter("fcn:mobilenet_v2-tf", 3, weights=path, stride=16)
    assert built.folded and built.loaded and built.mean == built.std == (0.5, 0.5, 0.5)
    built.model.train()
    built.hold_norms()
    before = {k: v.clone() for k, v in built.model.named_buffers()}
    built.model(torch.randn(2, 3, 32, 32))
    assert all(torch.equal(v, before[k]) for k, v in built.model.named_buffers())
