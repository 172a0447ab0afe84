"""`mixwell train detect` and `mixwell predict`: options become configs, failures become lines."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import mixwell.cli.train
from mixwell.recipes.detection.config import DetectConfig
from mixwell.recipes.detection.evaluate import Measured
from tests.cli.conftest import Run
from tests.cli.test_main import assert_one_line

FOUND = Measured(0.25, 0.5, None, None, 0.25, None, 0.3, {"cat": 0.25, "dog": None}, 8, 9)
RESULT = {
    "measured": FOUND,
    "dropped": {"outside": 3},
    "epochs": 2,
    "parameters": 1234567,
    "images_per_second": 5.25,
    "seconds": 61.0,
    "interrupted": False,
}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list:
    """Configs that the recipe is called with; it does nothing."""
    configs: list = []

    def stand_in(config):
        configs.append(config)
        return SimpleNamespace(**RESULT)

    monkeypatch.setattr(mixwell.cli.train, "run_detect", stand_in)
    return configs


def test_no_options_mean_the_defaults(run: Run, called: list) -> None:
    ran = run("train", "detect")
    assert ran.code == 0 and called == [DetectConfig()]
    words = " ".join(ran.out.split())
    for text in ("mAP 25.0%", "mAP50 50.0%", "cat 25.0%", "dog –", "3 outside", "1,234,567"):
        assert text in words


def test_options_become_the_config(run: Run, called: list) -> None:
    words = "--model retinanet:resnet18 --mixing-loss sources --no-freeze-norm --epochs 3 --quiet"
    assert run("train", "detect", *words.split()).out == ""
    (config,) = called
    assert config == DetectConfig(
        model="retinanet:resnet18",
        mixing_loss="sources",
        freeze_norm=False,
        epochs=3,
        quiet=True,
    )


def test_every_field_is_an_option_with_help(run: Run) -> None:
    shown = " ".join(run("train", "detect", "--help").out.replace("│", " ").split())
    for field in dataclasses.fields(DetectConfig):
        assert f"--{field.name.replace('_', '-')}" in shown
    assert "halves" not in shown and "what weights of mixed boxes do to the loss" in shown


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--image-size", 8), "image_size must lie in 32 .. 4096"),
        (("--model", "tiny-sdd"), "tiny-ssd"),
        (("--data", "nowhere"), "nowhere"),
        (("--policy", "cutmix"), "detect-cutmix"),
        (("--epochs", 2, "--mixing-off", 3), "mixing_off"),
    ],
)
def test_bad_input_is_one_line(run: Run, tmp_path: Path, words: tuple, text: str) -> None:
    small = ("--images", 4, "--out", tmp_path / "run", "--quiet", "--num-workers", 0)
    ran = run("train", "detect", *small, *words)
    assert ran.code == 1
    assert_one_line(ran.err, text)
    assert not (tmp_path / "run").exists()


def test_train_then_predict(run: Run, tmp_path: Path, photos: list[Path]) -> None:
    words = "--images 4 --image-size 64 --epochs 1 --batch-size 2 --threads 1 --num-workers 0"
    folder = tmp_path / "run"
    ran = run("train", "detect", *words.split(), "--device", "cpu", "--out", folder)
    assert ran.code == 0 and "mAP" in ran.out and f"run: {folder}" in " ".join(ran.err.split())
    out = tmp_path / "found"
    ran = run("predict", folder, *photos, "-o", out, "--score-threshold", 0, "--device", "cpu")
    assert ran.code == 0 and "wrote 3 pictures" in ran.out
    assert len(json.loads((out / "predictions.json").read_text())["images"]) == 3
    assert len(list(out.glob("*.png"))) == 3
    ran = run("predict", folder, *photos, "-o", out)
    assert ran.code == 1
    assert_one_line(ran.err, "--overwrite")
    (tmp_path / "damaged.png").write_bytes(b"no image")
    ran = run("predict", folder, photos[0], tmp_path / "damaged.png", "-o", out, "--overwrite")
    assert ran.code == 1 and "skipped" in ran.err and "damaged.png" in ran.err
