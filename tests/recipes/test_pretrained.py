"""Networks that begin with trained weights: what is loaded, what is new, what is refused."""

from __future__ import annotations

import math
import urllib.error
from pathlib import Path

import pytest
import torch
from torch import nn

from mixwell import DataError
from mixwell.recipes.models import build_model
from mixwell.recipes.models.named import input_stats
from mixwell.recipes.models.pretrained import load_start
from tests.data import shared_data


@pytest.fixture
def resnet20(tmp_path: Path) -> Path:
    path = tmp_path / "resnet20.pth"
    torch.save(build_model("resnet20", 10).state_dict(), path)
    return path


def test_all_but_the_head_is_loaded(resnet20: Path) -> None:
    file = torch.load(resnet20, weights_only=True)
    start = load_start("resnet20", 3, resnet20)
    found = start.network().state_dict()
    same = {name for name in found if name in file and torch.equal(found[name], file[name])}
    assert found.keys() - same == {"linear.weight", "linear.bias"}
    assert found["linear.weight"].shape == (3, 64) and not found["linear.bias"].any()
    assert start.head == ("linear",) and not start.scratch


def test_the_head_is_drawn_by_xavier_from_the_seed(resnet20: Path) -> None:
    start = load_start("resnet20", 3, resnet20)
    heads = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        heads.append(start.network().state_dict()["linear.weight"])
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    bound = math.sqrt(6 / (64 + 3))
    largest = max(float(head.abs().max()) for head in heads)
    assert 0.9 * bound < largest <= bound


def test_a_new_head_even_for_the_same_number_of_classes(resnet20: Path) -> None:
    file = torch.load(resnet20, weights_only=True)
    found = load_start("resnet20", 10, resnet20).network().state_dict()
    assert not torch.equal(found["linear.weight"], file["linear.weight"])


def test_none_is_the_network_as_it_is_built() -> None:
    start = load_start("resnet20", 3, "none")
    torch.manual_seed(5)
    found = start.network().state_dict()
    torch.manual_seed(5)
    wanted = build_model("resnet20", 3).state_dict()
    assert start.scratch and all(torch.equal(found[k], wanted[k]) for k in wanted)


def test_a_file_without_its_head_will_do(resnet20: Path) -> None:
    file = torch.load(resnet20, weights_only=True)
    bare = {k: v for k, v in file.items() if not k.startswith("linear.")}
    torch.save(bare, resnet20)
    assert load_start("resnet20", 3, resnet20).head == ("linear",)


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        ("resnet32", {}, "got .* of .* parameters missing in"),
        ("resnet20", {"more": torch.ones(1)}, r"1 of \d+ parameters unknown in .* \(more\)"),
        ("resnet20", {"conv1.weight": torch.ones(2)}, r"of another size in .* \(conv1.weight\)"),
        ("torchvision:resnet18", None, "names have nothing in common: name another --model"),
    ],
)
def test_weights_of_another_network_are_refused(
    resnet20: Path, model: str, change: dict | None, message: str
) -> None:
    file = torch.load(resnet20, weights_only=True)
    renamed = {f"odd.{k}": v for k, v in file.items()} if change is None else file | change
    torch.save(renamed, resnet20)
    with pytest.raises(DataError, match=message):
        load_start(model, 3, resnet20)


def test_eight_bit_weights_need_the_padding_they_were_trained_with(tmp_path: Path) -> None:
    (tmp_path / "w.npz").touch()
    with pytest.raises(DataError, match=r"need TensorFlow's padding.* Use --model mobilenet_v2-tf"):
        load_start("mobilenet_v2", 2, tmp_path / "w.npz")


def test_the_published_eight_bit_weights_are_loaded() -> None:
    file = shared_data("weights", "that 8-bit weights begin a fine-tuning")
    start = load_start("mobilenet_v2-tf", 2, file / "mobilenet_v2_imagenet_int8.npz")
    assert start.folded and (start.mean, start.std) == ((0.5,) * 3, (0.5,) * 3)
    network = start.network()
    assert isinstance(network.classifier[1], nn.Linear)  # type: ignore[index]
    assert network.classifier[1].out_features == 2  # type: ignore[index]


def test_auxiliary_heads_are_left_out_and_the_input_is_converted(tmp_path: Path) -> None:
    from torchvision.models import googlenet

    with_aux = googlenet(weights=None, init_weights=False, aux_logits=True, num_classes=4)
    torch.save(with_aux.state_dict(), tmp_path / "w.pth")
    network = load_start("googlenet", 2, tmp_path / "w.pth").network()
    assert network.transform_input is True
    assert load_start("googlenet", 2, "none").network().transform_input is False
    found = network.state_dict()
    assert torch.equal(found["conv1.conv.weight"], with_aux.conv1.conv.weight)


# ---- names -------------------------------------------------------------------------------------


def test_normalisation_is_that_of_the_weights() -> None:
    assert input_stats("torchvision:resnet18") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert input_stats("timm:vit_tiny_patch16_224") == ((0.5,) * 3, (0.5,) * 3)
    assert input_stats("resnet20") is None


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No network, and a cache of torch's in an empty folder; returns where its files go."""

    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


@pytest.mark.parametrize("model", ["squeezenet1_1", "torchvision:squeezenet1_1"])
def test_without_internet_the_message_says_how_to_bring_a_file(model: str, offline: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_start(model, 2, "DEFAULT")
    said = str(caught.value)
    assert "no route to host" in said and "give --weights weights.pth" in said
    assert "torchvision.models.squeezenet1_1(weights='IMAGENET1K_V1').state_dict()" in said
    assert "\n" not in said


def test_the_code_in_that_message_makes_a_file_that_loads(
    offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline.mkdir(parents=True)
    import torchvision

    url = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url
    trained = build_model("squeezenet1_1", 1000).state_dict()
    with pytest.raises(DataError) as caught:
        load_start("squeezenet1_1", 2, "IMAGENET1K_V1")
    torch.save(trained, offline / url.rpartition("/")[2])  # the machine with internet
    monkeypatch.chdir(tmp_path)
    exec(str(caught.value).split('"')[1], {})
    by_file = load_start("squeezenet1_1", 2, "weights.pth").network().state_dict()
    by_name = load_start("squeezenet1_1", 2, "DEFAULT").network().state_dict()
    names = [name for name in trained if not name.startswith("classifier.1")]
    assert all(torch.equal(by_file[k], trained[k]) for k in names)
    assert all(torch.equal(by_name[k], trained[k]) for k in names)


def test_timm_without_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    def create_model(name: str, **options: object) -> None:
        raise FileNotFoundError("nothing in the local cache")

    head = load_start("timm:resnet10t", 2, "none")  # before the library is cut off
    monkeypatch.setattr("mixwell.recipes.models.pretrained.head_of", lambda model: ("fc",))
    monkeypatch.setattr(timm, "create_model", create_model)
    with pytest.raises(DataError, match=r"timm\.create_model\('resnet10t', pretrained=True\)"):
        load_start("timm:resnet10t", 2, "DEFAULT")
    with pytest.raises(DataError, match=r"create_model\('resnet10t\.c3_in1k', pretrained=True\)"):
        load_start("timm:resnet10t", 2, "c3_in1k")
    assert head.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("model", "weights", "message"),
    [
        ("squeezenet1_1", "V9", "has the weights IMAGENET1K_V1, DEFAULT, got 'V9'"),
        ("timm:resnet10t", "V9", "has the weights DEFAULT, c3_in1k, got 'V9'"),
        ("resnet20", "DEFAULT", r"Weights of resnet20 have no names.* Give a file"),
    ],
)
def test_unknown_names_are_refused(model: str, weights: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_start(model, 2, weights)


def test_a_path_that_is_not_there_is_no_name() -> None:
    with pytest.raises(DataError, match=r"existing file, got weights/r18\.pth"):
        load_start("resnet20", 2, "weights/r18.pth")
