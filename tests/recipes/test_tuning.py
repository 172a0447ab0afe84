"""Stages, rates and schedules: what learns when, seen on the weights themselves."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mixwell import DataError
from mixwell.recipes.checks import check_tuning
from mixwell.recipes.models import build_model
from mixwell.recipes.models.pretrained import Start, head_of, without_memory
from mixwell.recipes.optim import build_optimizer, set_lr
from mixwell.recipes.stages import stage_of, stages_of
from mixwell.recipes.tuning import (
    Tuning,
    TuningConfig,
    make_tuning,
    parse_unfreeze,
    resolved_tuning,
)


def loaded(model: str = "resnet20", **changes) -> Start:
    """A start that says it loaded everything but the head."""
    return replace(Start(model, 2, "w.pth", head_of(model), state={}), **changes)


def tuned(start: Start | None = None, **settings) -> Tuning:
    given = {"epochs": 10, "unfreeze": "all"} | settings
    return make_tuning(start or loaded(), resolved_tuning(TuningConfig(**given)))


# ---- stages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "firsts"),
    [
        ("torchvision:resnet18", ["conv1", "layer1.0", "layer2.0", "layer3.0", "layer4.0"]),
        ("torchvision:mobilenet_v2", [f"features.{i}" for i in ("0.0", "2", "4", "7", "14")]),
        ("mobilenet_v2-tf", [f"features.{i}" for i in ("0.0", "2", "4", "7", "14")]),
        ("resnet20", ["conv1", "layer2.0", "layer3.0"]),
        ("timm:efficientnet_b0", ["conv_stem", *(f"blocks.{i}.0" for i in (1, 2, 3, 5))]),
    ],
)
def test_a_stage_begins_where_the_image_shrinks(model: str, firsts: list[str]) -> None:
    network = without_memory(lambda: build_model(model, 2))
    assert [stage[0] for stage in stages_of(network, head_of(model))] == firsts


def test_a_transformer_has_four_stages_of_about_equally_many_blocks() -> None:
    network = without_memory(lambda: build_model("timm:vit_tiny_patch16_224", 2))
    stages = stages_of(network, head_of("timm:vit_tiny_patch16_224"))
    counts = [sum(part.startswith("blocks.") for part in stage) for stage in stages]
    sizes = [len(stage) for stage in stages]  # of 14 parts: also what makes patches, and a norm
    assert len(stages) == 4 and sum(counts) == 12 and max(sizes) - min(sizes) <= 1
    assert stage_of("pos_embed", stages) == 0


@pytest.mark.parametrize("model", ["resnet20", "torchvision:resnet18", "torchvision:vgg11"])
def test_every_parameter_is_of_one_stage_or_of_the_head(model: str) -> None:
    network = without_memory(lambda: build_model(model, 2))
    head = head_of(model)
    stages = stages_of(network, head)
    flat = [part for stage in stages for part in stage]
    assert len(set(flat)) == len(flat)
    assert all(stages) and not {part for part in flat if part.startswith(head)}
    order = [
        stage_of(name, stages)
        for name, _ in network.named_parameters()
        if not name.startswith(head)
    ]
    assert order == sorted(order) and set(order) == set(range(len(stages)))


def test_degenerate_networks_have_stages_too() -> None:
    assert stages_of(nn.Sequential(nn.Linear(2, 2)), ("0",)) == ()
    assert stages_of(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), ("1",)) == (("0",),)


# ---- the head ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "head"),
    [
        ("torchvision:resnet18", ("fc",)),
        ("torchvision:squeezenet1_1", ("classifier.1",)),
        ("torchvision:vgg11", ("classifier.6",)),
        ("torchvision:regnet_x_400mf", ("fc",)),
        ("timm:deit_tiny_distilled_patch16_224", ("head", "head_dist")),
        ("digits-net", ("linear",)),
    ],
)
def test_the_head_is_what_depends_on_the_classes(model: str, head: tuple[str, ...]) -> None:
    before = torch.random.get_rng_state()
    assert head_of(model) == head
    assert torch.equal(before, torch.random.get_rng_state())


# ---- rates -------------------------------------------------------------------------------------


def test_rates_are_those_asked_for() -> None:
    tuning = tuned(head_lr=10.0, stage_decay=0.5)
    network = build_model("resnet20", 2)
    optimizer = build_optimizer(network, lr=0.1, lr_scale=tuning.lr_scale)
    set_lr(optimizer, 0.02)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    names = dict(network.named_parameters())
    wanted = {
        "linear.weight": 0.2,
        "linear.bias": 0.2,
        "layer3.0.conv1.weight": 0.02,
        "layer2.2.bn1.bias": 0.01,
        "conv1.weight": 0.005,
        "layer1.0.conv2.weight": 0.005,
    }
    assert len(rates) == len(names)
    for name, rate in wanted.items():
        assert math.isclose(rates[id(names[name])], rate), name


def test_one_group_for_each_rate_with_and_without_decay() -> None:
    network = build_model("resnet20", 2)
    optimizer = build_optimizer(network, lr=0.1, lr_scale=tuned().lr_scale, weight_decay=0.3)
    decays = {
        (group["lr_scale"], group["weight_decay"]): {p.ndim > 1 for p in group["params"]}
        for group in optimizer.param_groups
    }
    assert decays == {(10, 0.3): {True}, (10, 0): {False}, (1, 0.3): {True}, (1, 0): {False}}


def test_from_scratch_everything_learns_at_the_rate_of_new_layers() -> None:
    tuning = tuned(Start("resnet20", 2), head_lr=7.0, stage_decay=0.5, unfreeze="head")
    network = build_model("resnet20", 2)
    assert {tuning.lr_scale(name) for name, _ in network.named_parameters()} == {7.0}
    tuning.begin(network, 0)
    assert all(p.requires_grad for p in network.parameters())
    assert tuning.constant and not tuning.frozen_norms


def test_the_default_rate_of_new_layers_is_the_usual_one() -> None:
    assert resolved_tuning(TuningConfig(optimizer="adamw", head_lr=5.0)).lr == 2e-4
    config = resolved_tuning(TuningConfig(data="folder"))
    assert config.lr and math.isclose(config.lr * config.head_lr, 0.02)
    assert (config.epochs, config.unfreeze) == (10, "head@0 all@2")
    assert resolved_tuning(TuningConfig(lr=0.3)).lr == 0.3
    assert resolved_tuning(TuningConfig(epochs=4)).unfreeze == "all"


# ---- schedules ---------------------------------------------------------------------------------


def learning(network: nn.Module, tuning: Tuning, epoch: int) -> set[str]:
    """Top-level parts of which a step changes weights or statistics."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    tuning.begin(network, epoch)
    optimizer = build_optimizer(network, lr=0.1, weight_decay=0.1, momentum=0.9)
    network(torch.randn(4, 3, 16, 16)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    after = network.state_dict()
    return {n.split(".")[0] for n, v in before.items() if not torch.equal(v, after[n])}


ALL = {"conv1", "bn1", "layer1", "layer2", "layer3", "linear"}


@pytest.mark.parametrize("norms", ["frozen", "train"])
def test_what_is_frozen_does_not_change(norms) -> None:
    tuning = tuned(unfreeze="head@0 last1@2 last2@3 all@5", norms=norms)
    network = build_model("resnet20", 2)
    found = [learning(network, tuning, epoch) for epoch in (0, 1, 2, 3, 4, 5, 9)]
    head, last1, last2 = {"linear"}, {"linear", "layer3"}, {"linear", "layer3", "layer2"}
    assert found == [head, head, last1, last2, last2, ALL, ALL]


@pytest.mark.parametrize(("norms", "keep"), [("auto", True), ("frozen", True), ("train", False)])
def test_norms_keep_their_statistics_unless_told(norms, keep: bool) -> None:
    tuning, network = tuned(norms=norms), build_model("resnet20", 2)
    before = {k: v.clone() for k, v in network.named_buffers()}
    weight = network.bn1.weight.clone()  # type: ignore[union-attr, operator]
    learning(network, tuning, 0)
    kept = all(torch.equal(v, before[k]) for k, v in network.named_buffers())
    assert kept == keep
    assert not torch.equal(weight, network.bn1.weight)  # type: ignore[arg-type]


@given(st.lists(st.sampled_from(["head", "last1", "last3", "all"]), min_size=1, max_size=4))
def test_a_schedule_reads_as_it_is_written(parts: list[str]) -> None:
    text = " ".join(f"{part}@{2 * i}" for i, part in enumerate(parts))
    found = parse_unfreeze(text, 2 * len(parts))
    assert [epoch for epoch, _ in found] == [2 * i for i in range(len(parts))]
    sizes = {"head": 0, "last1": 1, "last3": 3}
    assert all(
        n == sizes.get(part, n) and n >= 0 for (_, n), part in zip(found, parts, strict=True)
    )
    assert parse_unfreeze(text.replace(" ", ", ")) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("heads", "words such as head@0, last2@3 or all@5, got 'heads'"),
        ("last0", "got 'last0'"),
        ("head@x", "got 'head@x'"),
        ("", "got ''"),
        ("head@1", "begin at epoch 0"),
        ("head@0 all@0", "begin at epoch 0 and go on in order"),
        ("head@0 all@9", "happen within 5 epochs"),
    ],
)
def test_a_schedule_that_means_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TuningConfig(unfreeze=text, epochs=5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head_lr": 0.0}, "head_lr must lie in"),
        ({"stage_decay": 1.5}, "stage_decay must lie in"),
        ({"norms": "melt"}, "norms must be auto, frozen or train"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TuningConfig(**settings)


def test_what_does_not_fit_the_network_is_refused() -> None:
    with pytest.raises(DataError, match="has 3 stages, got last4"):
        tuned(unfreeze="last4")
    with pytest.raises(DataError, match="were folded away and hold no statistics"):
        tuned(loaded(folded=True), norms="train")
    with pytest.raises(DataError, match="from scratch needs batch norms that learn"):
        tuned(Start("resnet20", 2), norms="frozen")


def test_processes_must_agree_on_what_learns() -> None:
    check_tuning(tuned(unfreeze="last2"), 2)
    check_tuning(tuned(unfreeze="head@0 all@1"), 1)
    with pytest.raises(DataError, match="the same layers must learn in every epoch"):
        check_tuning(tuned(unfreeze="head@0 all@1"), 2)


def test_the_summary_says_what_happens() -> None:
    said = tuned(unfreeze="head@0 last2@1 all@2", stage_decay=0.1).summary()
    assert "new: linear at 10 x lr; loaded: 3 stages at 0.01 x lr to lr" in said
    assert "head from epoch 0, last2 from epoch 1, all from epoch 2" in said
    assert said.endswith("batch norms keep their statistics")
    assert "every layer learns at 10 x lr" in tuned(Start("resnet20", 2)).summary()
