"""Policies by name, by file and by code."""

from __future__ import annotations

import pytest

from mixwell._errors import PolicyError
from mixwell.policy import HorizontalFlip, Policy, RandomCrop, RandomResizedCrop, Resize
from mixwell.policy.presets import parse_policy, preset, preset_names, preset_summary
from tests.policy.cases import sample

NAMES = preset_names("basics")


def test_the_presets_are_these():
    assert NAMES == (
        "none",
        "standard",
        "randaugment",
        "trivialaugment",
        "cutout",
        "mixup",
        "cutmix",
        "mixup+cutmix",
        "finetune",
    )


@pytest.mark.parametrize("size", [28, 32, (48, 32), 224, (160, 200)])
@pytest.mark.parametrize("name", NAMES)
def test_a_preset_makes_batches_of_one_size(name, size):
    height, width = size if isinstance(size, tuple) else (size, size)
    policy = preset(name, size)
    given = (height, width) if max(height, width) <= 96 else (300, 400)
    for n in (0, 1, 5):  # the last batch of an epoch may hold one image
        assert (sample(policy, n, given).out_hw == [height, width]).all()
    assert policy == Policy.from_toml(policy.to_toml()) == parse_policy(repr(policy))
    assert policy.moves_after_mix is False
    assert preset_summary(name)


@pytest.mark.parametrize("name", NAMES)
def test_digits_are_not_mirrored(name):
    assert not any(isinstance(op, HorizontalFlip) for op in preset(name, 28, flip=False).ops)
    flips = [isinstance(op, HorizontalFlip) for op in preset(name, 28).ops]
    assert any(flips) == (name != "none")


def test_the_base_depends_on_the_size():
    assert preset("standard", 32).ops == (RandomCrop((32, 32), padding=4), HorizontalFlip())
    assert preset("standard", 224).ops == (RandomResizedCrop((224, 224)), HorizontalFlip())
    assert preset("none", 32) == Policy()
    assert preset("none", 224) == Policy(Resize((224, 224)))


@pytest.mark.parametrize("name", NAMES)
def test_without_a_size_it_is_32_px(name):
    assert preset(name) == parse_policy(name) == preset(name, 32)


def test_none_resizes_large_images_and_nothing_else():
    assert [preset("none", size) for size in (96, (20, 96))] == [Policy(), Policy()]
    assert preset("none", (20, 97)) == Policy(Resize((20, 97)))


@pytest.mark.parametrize("name", NAMES)
def test_text_may_name_a_preset(name):
    assert parse_policy(name, 40) == preset(name, 40)
    assert parse_policy(name, 40, flip=False) == preset(name, 40, flip=False)


def test_text_may_name_a_file(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text(preset("mixup").to_toml())
    assert parse_policy(str(path)) == preset("mixup")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mixupp", "No preset is called 'mixupp'; there are none, standard, randaugment"),
        ("mixupp", "Did you mean mixup"),
        ("rand-augment", "Did you mean randaugment or trivialaugment?"),
        ("Standard", "Did you mean standard?"),
        ("", "No preset is called ''"),
        ("__import__('os')", "No op is called '__import__'"),
        ("Policy(MixUpp())", "No op is called 'MixUpp'. Did you mean MixUp"),
        ("no_such_file.toml", "Policy file 'no_such_file.toml' cannot be read"),
    ],
)
def test_what_is_unknown_is_refused(text, message):
    with pytest.raises(PolicyError) as error:
        parse_policy(text)
    assert message in str(error.value)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "image.toml"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(PolicyError, match="cannot be read"):
        parse_policy(str(path))
