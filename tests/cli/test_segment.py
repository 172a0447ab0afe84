"""`mixwell train segment` and `mixwell predict`: options become a config, failures become lines."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

import mixwell.cli.segment
from mixwell import DataError
from mixwell.recipes.segmentation.config import SegmentConfig
from tests.cli.conftest import Run
from tests.cli.test_main import assert_one_line
from tests.cli.test_recipes import Recorder
from tests.recipes.segmentation.files import pairs


def test_every_field_is_an_option_with_help(run: Run) -> None:
    shown = " ".join(run("train", "segment", "--help").out.replace("│", " ").split())
    for field in dataclasses.fields(SegmentConfig):
        assert f"--{field.name.replace('_', '-')}" in shown, field.name


def test_options_become_the_config(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recorder = Recorder(error=DataError("stop here."))
    monkeypatch.setattr(mixwell.cli.segment, "run", recorder)
    words = "--resize 144 192 --crop 128 160 --model fcn:resnet18 --stride 16 --small drop"
    made = run("train", "segment", "--data", tmp_path, *words.split())
    assert made.code == 1
    wanted = SegmentConfig(
        data=str(tmp_path),
        resize=(144, 192),
        crop=(128, 160),
        model="fcn:resnet18",
        stride=16,
        small="drop",
    )
    assert recorder.config == wanted


def test_a_folder_that_is_not_there(run: Run, tmp_path: Path) -> None:
    made = run("train", "segment", "--data", tmp_path / "none", "--out", tmp_path / "run")
    assert made.code == 1
    assert_one_line(made.err, "embedded or a folder")


def test_train_then_predict(run: Run, tmp_path: Path, photos: list[Path]) -> None:
    data, folder, out = tmp_path / "set", tmp_path / "run", tmp_path / "found"
    pairs(data / "images", data / "masks", 5)
    words = "--model fcn:mobilenet_v3_small --crop 64 64 --tile 64 64 --epochs 1 --batch-size 4"
    made = run(
        *("train", "segment", "--data", data, "--out", folder, *words.split()),
        *("--num-workers", 0, "--threads", 1, "--pictures", 0, "--precision", "32-true"),
    )
    assert made.code == 0, made.err
    made = run("predict", folder, *photos, "-o", out, "--device", "cpu")
    assert made.code == 0 and "wrote 3 masks" in made.out and "wrote 3 pictures" in made.out
    assert "3 masks: " in made.out and "% " in made.out
    assert len(json.loads((out / "predictions.json").read_text())["images"]) == 3
    assert len(list((out / "masks").iterdir())) == len(list((out / "pictures").iterdir())) == 3
    made = run("predict", folder, *photos, "-o", out)
    assert made.code == 1
    assert_one_line(made.err, "--overwrite")
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no image")
    made = run("predict", folder, photos[0], damaged, "-o", out, "--overwrite", "--no-pictures")
    assert made.code == 1 and f"skipped {damaged}" in made.err and "files skipped: 1" in made.err
    made = run("predict", folder, photos[0], "-o", out, "--score-threshold", 0.5)
    assert made.code == 1
    assert_one_line(made.err, "is for detectors")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "got FileNotFoundError for"),
        ('{"model": "resnet20"}', "got one of another recipe in"),
        ('{"recipe": "classify"}', "got one of classify in"),
    ],
)
def test_predict_takes_runs_of_two_recipes(
    run: Run, tmp_path: Path, photos: list[Path], content: str | None, text: str
) -> None:
    if content:
        (tmp_path / "config.json").write_text(content)
    made = run("predict", tmp_path, *photos, "-o", tmp_path / "found")
    assert made.code == 1
    assert_one_line(made.err, text)
    assert "`mixwell train detect` or `mixwell train segment`" in made.err
