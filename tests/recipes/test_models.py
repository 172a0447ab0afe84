"""Networks by name: sizes, shapes, the shortcuts, and the published CIFAR checkpoints."""

from __future__ import annotations

import builtins
import sys

import pytest
import torch
from torch import nn

import mixwell as mw
from mixwell.recipes.data import load_dataset
from mixwell.recipes.feed import plain_batches
from mixwell.recipes.models import CifarResNet, ShortcutPad, build_model, model_names
from tests.data import shared_data

# 1512.03385, table 6, gives 0.27M, 0.46M, 0.66M, 0.85M and 1.7M.
PARAMETERS = {
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    # + 16*32 + 2*32 and 32*64 + 2*64 of the two projections
    "resnet20-proj": 269_722 + 2_752,
    "resnet56-proj": 853_018 + 2_752,
    "resnet18-cifar": 11_173_962,
    "resnet9": 6_573_120,
    "digits-net": 26_266,
}


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count(name: str):
    assert count(build_model(name, 10)) == PARAMETERS[name]


@pytest.mark.parametrize("in_channels", [1, 3, 4])
@pytest.mark.parametrize("name", model_names())
def test_every_builtin_gives_logits_in_both_modes(name: str, in_channels: int):
    model = build_model(name, 7, in_channels)
    images = torch.zeros(2, in_channels, 32, 32)
    assert model.training
    assert model(images).shape == (2, 7)
    assert model.eval()(images).shape == (2, 7)


@pytest.mark.parametrize("side", [8, 11, 16, 28, 32])
@pytest.mark.parametrize("name", ["digits-net", "resnet9", "resnet20", "resnet20-proj"])
def test_small_and_odd_sizes(name: str, side: int):
    assert build_model(name, 10)(torch.zeros(2, 3, side, side)).shape == (2, 10)


def shortcut_oracle(x: torch.Tensor, planes: int, stride: int) -> torch.Tensor:
    """Shortcut A by loops over every output value."""
    batch, in_planes, height, width = x.shape
    before = (planes - in_planes) // 2
    rows, cols = range(0, height, stride), range(0, width, stride)
    out = torch.zeros(batch, planes, len(rows), len(cols))
    for b in range(batch):
        for c in range(in_planes):
            for i, row in enumerate(rows):
                for j, col in enumerate(cols):
                    out[b, before + c, i, j] = x[b, c, row, col]
    return out


@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
def test_shortcut_pad_equals_its_oracle(size: tuple[int, int]):
    x = torch.arange(2 * 4 * size[0] * size[1]).reshape(2, 4, *size).float() + 1
    module = ShortcutPad(4, 8, 2)
    assert torch.equal(module(x), shortcut_oracle(x, 8, 2))
    assert count(module) == 0


@pytest.mark.parametrize("planes", [3, 5, 2])
def test_shortcut_pad_refuses_uneven_channels(planes: int):
    with pytest.raises(ValueError, match=f"4 -> {planes}"):
        ShortcutPad(4, planes, 2)


def test_a_block_with_dead_branch_is_its_shortcut():
    """With the last batch norm's scale at 0, the block must be ReLU(shortcut)."""
    block = CifarResNet(20).layer2[0].eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 16, 8, 8)
    assert torch.equal(block(x), shortcut_oracle(x, 32, 2))


def test_projection_stands_only_where_the_shape_changes():
    model = build_model("resnet20-proj", 10)
    names = {name for name, _ in model.named_parameters() if "shortcut" in name}
    assert {name.split(".shortcut")[0] for name in names} == {"layer2.0", "layer3.0"}


@pytest.mark.parametrize("depth", [2, 18, 21])
def test_depth_must_be_6n_plus_2(depth: int):
    with pytest.raises(ValueError, match=f"6n \\+ 2, got {depth}"):
        CifarResNet(depth)


def test_unknown_shortcut():
    with pytest.raises(ValueError, match="'pad' or 'proj', got 'none'"):
        CifarResNet(20, shortcut="none")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["digits-net", "resnet20", "resnet20-proj", "resnet9"])
def test_every_parameter_gets_a_gradient(name: str):
    torch.manual_seed(0)
    model = build_model(name, 10)
    model(torch.randn(4, 3, 16, 16)).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


# --- torchvision and timm ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", "torchvision:resnet18", "googlenet", "regnet_y_400mf"]
)
@pytest.mark.parametrize("in_channels", [3, 1])
def test_torchvision_by_name(name: str, in_channels: int):
    model = build_model(name, 5, in_channels)
    assert model(torch.zeros(2, in_channels, 64, 64)).shape == (2, 5)


def test_inception_gives_logits_in_training_mode():
    model = build_model("inception_v3", 5)
    assert model(torch.zeros(2, 3, 96, 96)).shape == (2, 5)


def test_new_stem_is_drawn_as_wide_as_the_old_one():
    torch.manual_seed(0)
    old, new = build_model("resnet18", 5), build_model("resnet18", 5, in_channels=4)
    assert new.conv1.weight.shape == (64, 4, 7, 7)
    wide = [float(model.conv1.weight.detach().std()) for model in (new, old)]
    assert wide[0] == pytest.approx(wide[1], rel=0.05)
    assert new.conv1.bias is None


def test_new_stem_keeps_a_bias():
    assert build_model("squeezenet1_1", 5, in_channels=1).features[0].bias is not None


def test_torchvision_names_are_buildable_names():
    names = model_names("torchvision")
    assert "torchvision:resnet18" in names and names == sorted(names)
    assert not any("maskrcnn" in name or "raft" in name for name in names)


@pytest.mark.parametrize("in_channels", [3, 1])
def test_timm_by_name(in_channels: int):
    pytest.importorskip("timm")
    model = build_model("timm:resnet10t", 5, in_channels)
    assert model(torch.zeros(2, in_channels, 64, 64)).shape == (2, 5)


def test_timm_names():
    pytest.importorskip("timm")
    assert "timm:resnet50" in model_names("timm")


def test_missing_timm_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match="pip install timm"):
        build_model("timm:resnet50", 10)


def test_builtins_import_neither_torchvision_nor_timm(monkeypatch: pytest.MonkeyPatch):
    real_import = builtins.__import__

    def guarded(name: str, *args, **kwargs):
        assert name.split(".")[0] not in ("torchvision", "timm"), name
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", guarded)
    for name in ("resnet20", "resnet9", "digits-net"):
        build_model(name, 10)
    with pytest.raises(AssertionError, match="torchvision"):  # the guard can fail
        build_model("resnet18-cifar", 10)


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("resnet19", "resnet18"),
        ("resnet20_proj", "resnet20-proj"),
        ("torchvision:mobilnet_v2", "mobilenet_v2"),
        ("timm:resnt50", "resnet50"),
    ],
)
def test_unknown_name_lists_close_ones(name: str, close: str):
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    with pytest.raises(ValueError, match=f"Close names: .*{close}"):
        build_model(name, 10)


def test_name_like_nothing():
    with pytest.raises(ValueError, match="model_names"):
        build_model("?!", 10)


def test_unknown_source():
    with pytest.raises(ValueError, match="got 'keras'"):
        model_names("keras")


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "10"])
@pytest.mark.parametrize("what", ["num_classes", "in_channels"])
def test_counts_are_checked(what: str, bad: object):
    counts = {"num_classes": 10, "in_channels": 3, what: bad}
    with pytest.raises(ValueError, match=f"needs {what} to be a whole number"):
        build_model("resnet20", **counts)  # type: ignore[arg-type]


# --- published weights ---------------------------------------------------------------------------

PUBLISHED = {
    "resnet20": ("resnet20-12fca82f.th", 91.73),
    "resnet56": ("resnet56-4bfd9763.th", 93.39),
}


def published(name: str) -> nn.Module:
    folder = shared_data("weights", "that the published CIFAR ResNet checkpoints load")
    path = folder / PUBLISHED[name][0]
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    model = build_model(name, 10)
    model.load_state_dict({k.removeprefix("module."): v for k, v in state.items()}, strict=True)
    return model.eval()


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_load_strictly(name: str):
    with torch.no_grad():
        assert published(name)(torch.zeros(1, 3, 32, 32)).isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_accuracy(name: str):
    """The whole CIFAR-10 test set, as the training loop measures it: proves network, channel
    order, scale, labels and evaluation at once."""
    model = published(name)
    test = load_dataset("cifar10", shared_data("cifar10", "the published accuracy")).test
    options = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "num_classes": 10}
    batches = plain_batches(
        test, mw.Policy(), options, batch_size=500, num_workers=0, device=torch.device("cpu")
    )
    with torch.inference_mode():
        hits = sum(int((model(images).argmax(1) == target).sum()) for images, target in batches)
    assert 100 * hits / len(test) == pytest.approx(PUBLISHED[name][1], abs=0.005)
