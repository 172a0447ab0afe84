"""`mixwell train finetune`: options become a config, failures become lines."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import mixwell.cli.compare
import mixwell.cli.train
from mixwell.recipes.compare import CompareConfig
from mixwell.recipes.finetune import FinetuneConfig
from mixwell.recipes.models import build_model
from tests.cli.conftest import Run
from tests.cli.test_main import assert_one_line
from tests.cli.test_recipes import Recorder

SMALL = ("--model", "resnet20", "--image-size", 16, "--batch-size", 4, "--epochs", 2)
PLAIN = ("--threads", 1, "--num-workers", 0, "--devices", 1)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "known.pth"
    torch.save(build_model("resnet20", 10).state_dict(), path)
    return path


@pytest.fixture
def tuned(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder(SimpleNamespace(interrupted=False))
    monkeypatch.setattr(mixwell.cli.train, "run_finetune", recorder)
    return recorder


def test_no_options_mean_the_defaults(run: Run, tuned: Recorder) -> None:
    assert run("train", "finetune", "--quiet").code == 0
    assert tuned.config == FinetuneConfig(quiet=True)


def test_options_of_fine_tuning(run: Run, tuned: Recorder, folder: Path) -> None:
    words = "--model timm:resnet10t --weights c3_in1k --head-lr 20 --stage-decay 0.7 --norms train"
    schedule = ("--unfreeze", "head@0 last2@1 all@3", "--quiet")
    assert run("train", "finetune", "--data", folder, *words.split(), *schedule).code == 0
    config = tuned.config
    assert isinstance(config, FinetuneConfig)
    assert (config.data, config.data_dir, config.model) == ("folder", folder, "timm:resnet10t")
    assert (config.weights, config.head_lr, config.stage_decay) == ("c3_in1k", 20.0, 0.7)
    assert (config.unfreeze, config.norms) == ("head@0 last2@1 all@3", "train")


def test_a_folder_is_fine_tuned(run: Run, folder: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("--data", folder, "--weights", weights, "--unfreeze", "head@0 all@1", "--out", out)
    ran = run("train", "finetune", *words, *SMALL, *PLAIN)
    assert ran.code == 0 and "test accuracy" in ran.out
    assert "new: linear at 10 x lr; loaded: 3 stages at lr" in ran.out + ran.err
    saved = json.loads((out / "config.json").read_text())
    assert saved["weights"] == str(weights) and (out / "checkpoint.pt").is_file()


def test_a_run_names_itself_after_its_weights(
    run: Run, folder: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--data", folder, "--weights", weights, "--unfreeze", "head", "--quiet")
    assert run("train", "finetune", *words, *SMALL, *PLAIN).code == 0
    (made,) = (tmp_path / "runs").iterdir()
    assert made.name.startswith("folder-resnet20-from-known-finetune-adamw-lr0.0001-epochs2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--weights", "none.pth"), "needs? an existing file, got none.pth|existing file"),
        (("--weights", "DEFAULT"), "Weights of resnet20 have no names"),
        (("--unfreeze", "tail"), "unfreeze needs words such as head@0"),
        (("--unfreeze", "head@0 all@7"), "must happen within 2 epochs"),
        (("--weights", "none", "--norms", "frozen"), "from scratch needs batch norms that learn"),
        (("--head-lr", "0"), "head_lr must lie in"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    run: Run, folder: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "run"
    ran = run("train", "finetune", "--data", folder, *words, *SMALL, *PLAIN, "--out", out)
    assert ran.code == 1 and not out.exists()
    assert_one_line(ran.err, message.split("|")[-1])


def test_compare_takes_initial_weights(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(SimpleNamespace(interrupted=False, failed=[], rows=[1]))
    monkeypatch.setattr(mixwell.cli.compare, "run", recorder)
    assert run("compare", "--weights", "none", "keras=w.npz,DEFAULT", "--head-lr", 5).code == 0
    config = recorder.config
    assert isinstance(config, CompareConfig)
    assert config.weights == ("none", "keras=w.npz", "DEFAULT") and config.head_lr == 5.0


def test_pretrained_against_scratch_in_one_comparison(
    run: Run, folder: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "cmp"
    words = ("--data", folder, "--weights", "none", f"known={weights}", "--seeds", 0, "--out", out)
    ran = run("compare", *words, *SMALL, *PLAIN)
    assert ran.code == 0
    assert "finetune, scratch" in ran.err and "finetune, known" in ran.err
    assert (out / "report.html").is_file()


def test_ctrl_c_keeps_what_is_finished(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixwell.cli.train, "run_finetune", Recorder(error=KeyboardInterrupt()))
    ran = run("train", "finetune", "--out", "runs/mine")
    assert ran.code == 130
    assert_one_line(ran.err, "kept what is finished in runs/mine")
