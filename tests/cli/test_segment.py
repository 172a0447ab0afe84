"""`mixwell train segment`: options become a config, failures become lines."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import mixwell.cli.segment
from mixwell import DataError
from mixwell.recipes.segmentation.config import SegmentConfig
from tests.cli.conftest import Run
from tests.cli.test_main import assert_one_line
from tests.cli.test_recipes import Recorder


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
