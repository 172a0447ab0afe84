"""Detectors by name: what they learn from, what is held, which weights they take."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2

from mixwell import DataError
from mixwell.recipes.detection.backbones import Ladder, Pyramid, backbone
from mixwell.recipes.detection.config import DetectConfig, resolved
from mixwell.recipes.detection.mobilenet import Maps, halving
from mixwell.recipes.detection.models import TORCHVISION, build_detector
from mixwell.recipes.detection.tiny import TinyDetector
from mixwell.recipes.detection.weights import load_matching
from mixwell.recipes.models.norms import freeze_norms
from tests.data import shared_data

SIDE = 64


def config(model, image_size=SIDE, **options):
    return resolved(DetectConfig(model=model, image_size=image_size, **options))


def built(model, **options):
    torch.manual_seed(0)
    return build_detector(config(model, **options), 3)


def batch(side=SIDE):
    g = torch.Generator().manual_seed(1)
    masks = torch.zeros(2, side, side, dtype=torch.uint8)
    masks[0, 6:40, 4:30], masks[1, 30:60, 20:62] = 1, 1
    boxes = torch.tensor([[4.0, 6, 30, 40], [20, 30, 62, 60]])
    first = {"boxes": boxes, "labels": torch.tensor([1, 3]), "masks": masks}
    second = {"boxes": boxes[1:], "labels": torch.tensor([2]), "masks": masks[1:]}
    empty = {k: v[:0] for k, v in first.items()}
    return torch.rand(3, 3, side, side, generator=g), [first, second, empty]


def loss_of(model, images, targets):
    torch.manual_seed(5)  # two-stage detectors sample proposals
    return torch.stack(list(model(images, [dict(t) for t in targets]).values())).sum()


FAST = (
    "tiny-ssd",
    "ssdlite320_mobilenet_v2",
    "ssd:mobilenet_v3_small",
    "ssdlite:mobilenet_v3_small",
    "retinanet:mobilenet_v3_small",
    "fcos:mobilenet_v3_small",
)
SLOW = ("fasterrcnn:resnet18", "maskrcnn:mobilenet_v3_small", *TORCHVISION)
OF_ONE_SIZE = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}
"""px to which these bring all images by themselves."""


@pytest.mark.parametrize("name", [*FAST, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
def test_a_step_along_the_gradient_lowers_the_loss_and_predictions_are_boxes(name):
    model = built(name, image_size=OF_ONE_SIZE.get(name, SIDE)).model.train()
    images, targets = batch()
    before = loss_of(model, images, targets)
    before.backward()
    before = before.detach()
    learning = [p for p in model.parameters() if p.grad is not None]
    slope = sum(float((p.grad**2).sum()) for p in learning)
    after, gone = before, 0.0
    for share in (0.01, 0.001, 0.0001):  # of the loss that the step would take if it were linear
        size = share * float(before) / slope
        with torch.no_grad():
            for p in learning:
                p -= (size - gone) * p.grad
        gone, after = size, loss_of(model, images, targets).detach()
        if after < before:
            break
    assert after < before
    with torch.no_grad():
        all_found = model.eval()(list(images))
    for image, found in zip(images, all_found, strict=True):
        boxes, labels = found["boxes"], found["labels"]
        assert len(boxes) == len(labels) == len(found["scores"])
        if len(boxes):
            assert float(boxes.min()) >= 0 and float(boxes.max()) <= max(image.shape[-2:])
            assert int(labels.min()) >= 1 and int(labels.max()) <= 3


# ------------------------------------------------------------------ weights of boxes in TinySSD


def tiny(mode="box"):
    torch.manual_seed(0)
    return TinyDetector(3, mode).train()


def gradient(mode, target):
    """The gradient of a batch of one image, as one vector."""
    model = tiny(mode)
    images, _ = batch()
    loss_of(model, images[:1], [target]).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_half_a_weight_is_half_a_boxs_pull():
    _, (first, *_) = batch()
    weighted = [gradient("box", first | {"weights": torch.tensor([1.0, w])}) for w in (0, 0.5, 1)]
    torch.testing.assert_close(weighted[1], (weighted[0] + weighted[2]) / 2)
    assert not torch.allclose(weighted[0], weighted[2])
    torch.testing.assert_close(weighted[2], gradient("box", first))


def test_global_multiplies_all_terms_of_the_image():
    _, (first, *_) = batch()
    found = gradient("global", first | {"weights": torch.tensor([0.5, 0.1])})
    torch.testing.assert_close(found, 0.3 * gradient("box", first))


def test_sources_add_up_the_losses_against_each_sources_boxes():
    _, (first, *_) = batch()
    mixed = first | {
        "source": torch.tensor([7, 9]),
        "sources": torch.tensor([7, 9]),
        "shares": torch.tensor([0.25, 0.75]),
    }
    each = [{k: v[i : i + 1] for k, v in first.items()} for i in range(2)]
    expected = 0.25 * gradient("box", each[0]) + 0.75 * gradient("box", each[1])
    torch.testing.assert_close(gradient("sources", mixed), expected, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------ backbones


def test_maps_are_mobilenets_own():
    torch.manual_seed(0)
    network = mobilenet_v2().eval()
    x = torch.rand(1, 3, SIDE, SIDE)
    expanded = []
    hook = network.features[14].conv[0].register_forward_hook(lambda *a: expanded.append(a[2]))
    whole = network.features(x)
    hook.remove()
    maps = list(Maps(network).eval()(x).values())
    torch.testing.assert_close(maps[0], expanded[0])
    torch.testing.assert_close(maps[1], whole)
    sizes = [tuple(m.shape[1:]) for m in maps]
    assert sizes == [(576, 4, 4), (1280, 2, 2), (512, 1, 1), (256, 1, 1), (256, 1, 1), (128, 1, 1)]


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet18", [64, 128, 256, 512]),
        ("mobilenet_v2", [24, 32, 96, 1280]),
        ("shufflenet_v2_x0_5", [24, 48, 96, 1024]),
        ("mnasnet0_5", [16, 24, 48, 1280]),
        ("convnext_tiny", [96, 192, 384, 768]),
    ],
)
def test_a_network_is_cut_where_its_maps_shrink(name, channels):
    body, loaded = backbone(name)
    assert loaded is None
    assert (body.strides, body.channels) == ([4, 8, 16, 32], channels)
    shapes = [tuple(m.shape[1:]) for m in body.eval()(torch.zeros(1, 3, 96, 64)).values()]
    assert shapes == [(c, 96 // s, 64 // s) for s, c in zip([4, 8, 16, 32], channels, strict=True)]


def test_cutting_a_network_changes_nothing_it_computes():
    from torchvision.models import resnet18

    torch.manual_seed(0)
    network = resnet18().eval()
    torch.manual_seed(0)
    body, _ = backbone("resnet18")
    x = torch.rand(1, 3, SIDE, SIDE)
    maps = list(body.eval()(x).values())
    pooled = network.avgpool(maps[-1]).flatten(1)
    torch.testing.assert_close(network.fc(pooled), network(x))


def test_timms_networks_serve_too():
    body, _ = backbone("timm:resnet10t", least=8)
    assert body.strides == [8, 16, 32]
    assert len(Pyramid(body, "p6p7").eval()(torch.zeros(1, 3, 64, 64))) == 5


@pytest.mark.parametrize("name", ["swin_t"])
def test_a_network_that_is_no_chain_is_refused(name):
    with pytest.raises(DataError, match="chain of blocks"):
        backbone(name)


@pytest.mark.parametrize("layers", [0, 2, 99])
def test_only_the_last_layers_learn(layers):
    body, _ = backbone("mobilenet_v3_small", least=4, trainable_layers=layers)
    last = [any(p.requires_grad for p in stage.parameters()) for stage in body.stages]
    assert last == [k >= len(last) - layers for k in range(len(last))]
    maps = Maps(mobilenet_v2(), min(layers, 5))
    held = [not any(p.requires_grad for p in s.parameters()) for s in (*maps.low, maps.high)]
    assert held == [k < 5 - layers for k in range(5)]
    assert all(p.requires_grad for p in maps.extra.parameters())


def test_a_ladder_goes_on_halving():
    body, _ = backbone("mobilenet_v3_small", least=16)
    maps = Ladder(body, halving).eval()(torch.zeros(1, 3, 256, 256))
    assert [m.shape[-1] for m in maps.values()] == [16, 8, 4, 2, 1, 1]


def test_held_norms_keep_statistics_and_scale_in_training():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm2d(4)))
    names = list(plain.state_dict())
    assert freeze_norms(plain) == 2
    before = {k: v.clone() for k, v in plain.state_dict().items()}
    x = torch.rand(2, 3, 5, 5)
    out = plain.train()(x)
    assert torch.equal(out, plain.eval()(x))
    out.sum().backward()
    assert list(plain.state_dict()) == names
    assert all(torch.equal(v, before[k]) for k, v in plain.state_dict().items())
    assert [p.grad is None for p in plain.parameters()] == [False, False, True, True, True, True]


def test_torchvisions_frozen_norms_become_the_same_ones():
    from torchvision.ops.misc import FrozenBatchNorm2d

    frozen = FrozenBatchNorm2d(3)
    frozen.running_mean.copy_(torch.tensor([1.0, 2, 3]))
    frozen.weight.fill_(2.0)
    model = nn.Sequential(frozen)
    x = torch.rand(2, 3, 4, 4)
    expected = model(x)
    assert freeze_norms(model) == 1
    torch.testing.assert_close(model.train()(x), expected)
    model.load_state_dict(nn.Sequential(nn.BatchNorm2d(3)).state_dict())


# ------------------------------------------------------------------ weights


def test_weights_of_a_backbone_are_loaded_and_its_norms_held(tmp_path):
    torch.manual_seed(3)
    network = mobilenet_v2()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    path = str(tmp_path / "weights.pth")
    model, notes, _ = built("ssdlite320_mobilenet_v2", backbone_weights=path)
    x = torch.rand(2, 3, SIDE, SIDE)
    expected = network.eval().features(x)
    torch.testing.assert_close(model.train().backbone(x)["1"], expected)  # held in training too
    assert notes[0].startswith("backbone weights: 314 tensors loaded")
    assert notes[1] == "52 batch norms of the backbone are held"
    assert model.backbone.extra[0][0][1].training
    other = built("retinanet:mobilenet_v2", backbone_weights=path)
    torch.testing.assert_close(other.model.train().backbone.body(x)["2"], expected)


def test_weights_of_a_detector_for_other_classes_leave_its_heads(tmp_path):
    torch.manual_seed(3)
    trained = TinyDetector(7)
    torch.save({"model": trained.state_dict()}, tmp_path / "checkpoint.pt")
    model, notes, _ = built("tiny-ssd", weights=str(tmp_path / "checkpoint.pt"), freeze_norm=False)
    for name, value in model.state_dict().items():
        same = torch.equal(value, trained.state_dict()[name])
        assert same != name.startswith("network.classes"), name
    assert "10 stay as initialised" in notes[0] and "10 of the file unused" in notes[0]


def test_weights_of_another_network_are_refused():
    with pytest.raises(DataError, match=r"must fit Linear.*weight, bias.*got a\.b"):
        load_matching(nn.Linear(2, 2), {"a.b": torch.zeros(2, 2)}, "Weights")


def test_keras_weights_come_with_their_padding_and_held_norms():
    path = str(
        shared_data("weights", "that 8-bit MobileNetV2 weights serve a detector")
        / "mobilenet_v2_imagenet_int8.npz"
    )
    options = {"backbone_weights": path, "backbone_style": "tensorflow"}
    model, notes, _ = built("ssdlite320_mobilenet_v2", **options)
    assert notes[0].startswith("backbone weights: 314 tensors loaded")
    assert model.transform.image_mean == [0.5, 0.5, 0.5] == model.transform.image_std
    with pytest.raises(DataError, match="need freeze_norm"):
        built("ssdlite320_mobilenet_v2", freeze_norm=False, **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": "retinanet_resnet51_fpn"}, "retinanet_resnet50_fpn"),
        ({"model": "yolo:resnet18"}, "KIND:BACKBONE"),
        ({"model": "tiny-ssd", "backbone_style": "tensorflow"}, "backbone_style tensorflow"),
        ({"model": "tiny-ssd", "backbone_weights": "x.pth"}, "no backbone of its own"),
        ({"model": "ssdlite320_mobilenet_v2", "weights": "missing.pth"}, "missing.pth"),
        ({"model": "fcos_resnet50_fpn", "trainable_layers": 2}, "trainable_layers"),
        ({"model": "ssdlite:resnet18", "batch_size": 1}, "batch_size 2"),
        ({"model": "ssd300_vgg16"}, "300 px by itself"),
    ],
)
def test_what_cannot_be_built_is_refused(options, text):
    with pytest.raises(DataError, match=text):
        build_detector(config(**options), 2)
