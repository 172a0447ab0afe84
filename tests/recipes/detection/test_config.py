"""What is filled in, what is refused, and that settings survive JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mixwell import DataError
from mixwell.recipes.detection.config import (
    DetectConfig,
    is_square,
    resolved,
)
from mixwell.recipes.settings import as_json, from_json


def test_what_is_left_out_depends_on_model_and_data():
    tiny = resolved(DetectConfig())
    assert (tiny.image_size, tiny.images, tiny.epochs, tiny.batch_size) == (128, 1000, 12, 16)
    assert (tiny.optimizer, tiny.lr, tiny.freeze_norm) == ("adam", 2e-3, False)
    lite = resolved(DetectConfig(data="x", model="ssdlite320_mobilenet_v2", backbone_weights="w"))
    assert (lite.image_size, lite.optimizer, lite.freeze_norm) == (320, "adamw", True)
    large = resolved(DetectConfig(data="x", model="fcos_resnet50_fpn"))
    assert (large.image_size, large.optimizer, large.lr) == (800, "sgd", 0.01)
    fixed = resolved(DetectConfig(model="ssd300_vgg16"))
    assert fixed.image_size == 300
    assert resolved(DetectConfig(epochs=40)).mixing_off == 4


def test_what_is_said_stays():
    said = DetectConfig(optimizer="sgd", lr=0.3, epochs=7, mixing_off=0, freeze_norm=True)
    found = resolved(said)
    for name in ("optimizer", "lr", "epochs", "mixing_off", "freeze_norm"):
        assert getattr(found, name) == getattr(said, name)
    assert resolved(found) == found


def test_settings_survive_json():
    config = resolved(DetectConfig(out=Path("runs/x"), trainable_layers=2))
    read = from_json(DetectConfig, json.loads(json.dumps(as_json(config) | {"classes": ["a"]})))
    assert read == replace(config, out=None)


@pytest.mark.parametrize(
    "model", ["tiny-ssd", "ssd300_vgg16", "ssd:resnet18", "ssdlite320_mobilenet_v2"]
)
def test_ssds_see_squares(model):
    assert is_square(model) and not is_square("retinanet:resnet18")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"optimizer": "lion"}, "optimizer must be one of sgd, adam, adamw"),
        ({"mixing_loss": None}, "mixing_loss must be one of box, sources, global"),
        ({"score_threshold": 1.5}, r"score_threshold must lie in 0.0 .. 1.0"),
        ({"epochs": 2, "mixing_off": 3}, r"mixing_off must lie in 0 .. epochs \(2\)"),
        ({"seed": -1}, "seed must lie in"),
    ],
)
def test_values_that_mean_nothing_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        DetectConfig(**options)


def test_a_model_of_one_size_takes_no_other():
    with pytest.raises(DataError, match="300 px by itself"):
        resolved(DetectConfig(model="ssd300_vgg16", image_size=320))
