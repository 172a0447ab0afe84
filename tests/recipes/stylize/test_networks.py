"""Networks by name: weights from files, by name, or drawn; memory that is given back."""

from __future__ import annotations

from urllib.error import URLError

import pytest
import torch
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from mixwell import DataError
from mixwell.recipes.models import build_model
from mixwell.recipes.stylize import build_features
from tests.data import shared_data

LAYERS = {"content": ("layer2",), "style": ("conv1", "layer1")}


def values(seed: int) -> torch.Tensor:
    features, _ = build_features("resnet20", "random", **LAYERS, seed=seed)
    return features(torch.ones(1, 3, 8, 8))["layer2"]


def test_random_weights_follow_the_seed_and_leave_the_callers_alone():
    before = torch.get_rng_state()
    assert torch.equal(values(0), values(0))
    assert not torch.equal(values(0), values(1))
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_from_a_file(tmp_path):
    torch.manual_seed(5)
    model = build_model("resnet20", 10).eval()  # another number of classes: not looked at
    torch.save(model.state_dict(), tmp_path / "w.pth")
    features, taps = build_features("resnet20", str(tmp_path / "w.pth"), **LAYERS)
    image = torch.randn(1, 3, 8, 8)
    assert torch.equal(features(image)["conv1"], model.conv1(image))  # type: ignore[operator]
    assert taps.content == ("layer2",) and taps.style == ("conv1", "layer1")


def test_what_lies_behind_the_last_layer_is_gone():
    features, _ = build_features("resnet20", "random", **LAYERS)
    names = {name.split(".")[1] for name, _ in features.named_parameters()}
    assert names == {"conv1", "bn1", "layer1", "layer2"}


def test_weights_of_another_network_are_refused(tmp_path):
    state = build_model("resnet20", 10).state_dict()
    state["layer1.0.conv1.weight"] = torch.zeros(16, 16, 1, 1)
    del state["conv1.weight"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"got 2 missing or of another shape in .*conv1.weight"):
        build_features("resnet20", str(tmp_path / "w.pth"), **LAYERS)


def test_weights_that_cannot_be_fetched_say_what_to_do(monkeypatch):
    def fails(self, **options):
        raise URLError("no route")

    monkeypatch.setattr(MobileNet_V2_Weights, "get_state_dict", fails)
    with pytest.raises(DataError, match=r"copy mobilenet_v2-\w+\.pth .* --weights random"):
        build_features("mobilenet_v2", "imagenet")


def test_weights_by_name(monkeypatch):
    torch.manual_seed(3)
    model = mobilenet_v2()
    asked = []

    def given(self, **options):
        asked.append(self.name)
        return model.state_dict()

    monkeypatch.setattr(MobileNet_V2_Weights, "get_state_dict", given)
    features, _ = build_features("mobilenet_v2", "imagenet")
    features2, _ = build_features("mobilenet_v2", "IMAGENET1K_V1")
    assert asked == ["IMAGENET1K_V2", "IMAGENET1K_V1"]
    image = torch.randn(1, 3, 16, 16)
    found = features(image)
    assert torch.equal(found["features.0.0"], model.features[0][0](image))
    assert torch.equal(found["features.6"], features2(image)["features.6"])


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("vgg19", "IMAGENET1K_V9", "one of IMAGENET1K_V1 for vgg19"),
        ("resnet20", "imagenet", "torchvision has no weights for 'resnet20'"),
        ("vgg91", "random", "known"),
        ("resnet18", "random", "Give --content-layers and --style-layers"),
    ],
)
def test_unknown_names(name, weights, message):
    layers = {} if name == "resnet18" else LAYERS
    with pytest.raises(ValueError, match=message):
        build_features(name, weights, **layers)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(DataError, match="existing file"):
        build_features("vgg19", str(tmp_path / "absent.pth"))


def test_mobilenet_of_keras_gets_its_own_padding_and_normalisation():
    file = shared_data("weights", "that 8-bit weights serve") / "mobilenet_v2_imagenet_int8.npz"
    features, _ = build_features("mobilenet_v2-tf", str(file))
    assert features.mean.flatten().tolist() == features.std.flatten().tolist() == [0.5] * 3
    assert features(torch.zeros(1, 3, 9, 13))["features.6"].shape == (1, 32, 2, 2)
