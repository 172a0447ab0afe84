"""`mixwell train classify` and `mixwell compare`: options become configs, failures become lines."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import mixwell.cli.compare
import mixwell.cli.train
from mixwell import PolicyError
from mixwell.cli.lists import parse_grid, parse_seeds, split_commas
from mixwell.cli.options import GROUPS
from mixwell.recipes.classify import ClassifyConfig
from mixwell.recipes.compare import CompareConfig
from mixwell.recipes.finetune import FinetuneConfig
from tests.cli.conftest import Run
from tests.cli.test_main import assert_one_line

QUICK = ("--epochs", 1, "--threads", 1, "--train-fraction", 0.1)


class Recorder:
    """Stands for a recipe and keeps the config it was called with."""

    def __init__(self, result: object = None, error: BaseException | None = None) -> None:
        self.config, self.result, self.error = None, result, error

    def __call__(self, config: object) -> object:
        self.config = config
        if self.error is not None:
            raise self.error
        return self.result


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder(SimpleNamespace(interrupted=False, failed=[], rows=[1]))
    monkeypatch.setattr(mixwell.cli.compare, "run", recorder)
    return recorder


def test_no_options_mean_the_defaults(run: Run, compared: Recorder) -> None:
    assert run("compare").code == 0
    assert compared.config == CompareConfig()


def test_lists_and_grid(run: Run, compared: Recorder) -> None:
    words = "--policies none mixup,cutmix --seeds 0,1 5 --grid num_ops=1,2 magnitude=5,9 --lr 0.1"
    assert run("compare", *words.split()).code == 0
    config = compared.config
    assert isinstance(config, CompareConfig)
    assert config.policies == ("none", "mixup", "cutmix") and config.seeds == (0, 1, 5)
    assert config.grid == {"num_ops": [1, 2], "magnitude": [5, 9]} and config.lr == 0.1


def test_a_folder_given_as_data_is_recognised(run: Run, compared: Recorder, folder: Path) -> None:
    run("compare", "--data", folder, "--no-channels-last", "--tta")
    config = compared.config
    assert isinstance(config, CompareConfig)
    assert (config.data, config.data_dir) == ("folder", folder)
    assert config.tta and not config.channels_last


def test_a_folder_without_splits_is_said_to_be_split(
    run: Run, compared: Recorder, folder: Path
) -> None:
    unsplit = folder / "train"
    assert "every fifth image" in run("compare", "--data", unsplit).out
    assert run("compare", "--data", unsplit, "--quiet").out == ""
    assert run("compare", "--data", folder).out == ""


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ClassifyConfig, ("train", "classify")),
        (FinetuneConfig, ("train", "finetune")),
        (CompareConfig, ("compare",)),
    ],
)
def test_every_field_is_an_option_with_help(run: Run, config: type, words: tuple[str, ...]) -> None:
    shown = " ".join(run(*words, "--help").out.replace("│", " ").split())
    for field in dataclasses.fields(config):
        option = "--" + field.name.replace("_", "-")
        assert f"{option} " in shown, option
    own = {field.name for field in dataclasses.fields(config)}
    assert all(title in shown for title, names in GROUPS.items() if own & set(names))


def test_split_keeps_code_together() -> None:
    code = "Policy(Cutout(8), OneOf(MixUp(), CutMix()))"
    assert split_commas([f"none,{code}", "x.toml"]) == ["none", code, "x.toml"]
    assert split_commas(["Policy(MixUp(lam='a,b)'))", " , "]) == ["Policy(MixUp(lam='a,b)'))"]


def test_grid_reads_numbers_and_words() -> None:
    assert parse_grid(["a=1,2.5", "b=roll,flip", "c=(1,2),(3,4)"]) == {
        "a": [1, 2.5],
        "b": ["roll", "flip"],
        "c": [(1, 2), (3, 4)],
    }
    assert parse_grid([]) is None


@pytest.mark.parametrize("text", ["num_ops", "num_ops=", "=1", "1x=2"])
def test_a_grid_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match="num_ops=1,2,3"):
        parse_grid([text])


def test_seeds_are_whole_numbers() -> None:
    assert parse_seeds(["0,1", "2"]) == (0, 1, 2)
    for text in ("a", "-1", "1.5", "²"):
        with pytest.raises(PolicyError, match="whole numbers"):
            parse_seeds([text])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "--policies", "none", "mixop"], "Did you mean mixup?"),
        (["compare", "--policies", "none", "none"], "policies must name each once"),
        (["compare", "--seeds", "x"], "whole numbers"),
        (["compare", "--grid", "num_ops"], "num_ops=1,2,3"),
        (["compare", "--policies", "none", "--grid", "num_ops=1,2"], "grid over num_ops"),
        (["compare", "--baseline", "cutout"], "baseline must be one of"),
        (["train", "classify", "--policy", "standrd"], "Did you mean standard?"),
        (["train", "classify", "--epochs", "0"], "epochs must lie in"),
        (["train", "classify", "--model", "resnet19"], "resnet"),
        (["train", "classify", "--data", "{tmp}/absent"], "must be an existing folder"),
        (["train", "classify", "--data", "cifar10"], "(--download)"),
        (["train", "classify", "--data", "folder"], "(--data-dir)"),
        (["train", "classify", "--data", "{one_class}", "--download"], "(--download)"),
        (["train", "classify", "--data", "{tmp}/absent", "--download"], "--data cifar10"),
        (["train", "classify", "--data", "{one_class}"], "at least 2 class subfolders"),
        (["train", "classify", "--out", "{file}/run"], "{file}"),
    ],
)
def test_bad_input_ends_in_one_line(
    run: Run, tmp_path: Path, folder: Path, words: list[str], message: str
) -> None:
    one_class = tmp_path / "one"
    for split in ("train", "val"):
        (one_class / split / "cats").mkdir(parents=True)
    file = tmp_path / "file"
    file.touch()
    places = {"tmp": tmp_path, "one_class": one_class, "file": file}
    ran = run(*(word.format(**places) for word in words), *quick_out(words, tmp_path))
    assert ran.code == 1
    assert_one_line(ran.err, message.format(**places))


def quick_out(words: list[str], tmp_path: Path) -> tuple[object, ...]:
    return () if "--out" in words else ("--out", tmp_path / "run")


def test_a_corrupt_image_is_named(run: Run, folder: Path, tmp_path: Path) -> None:
    bad = folder / "train" / "cats" / "1.png"
    bad.write_bytes(b"no image")
    small = ("--image-size", 24, "--model", "resnet20", "--batch-size", 4, "--num-workers", 0)
    ran = run(
        "train", "classify", "--data", folder, *small, "--epochs", 1, "--out", tmp_path / "run"
    )
    assert ran.code == 1
    assert_one_line(ran.err, str(bad))


def test_a_run_of_other_classes_cannot_be_resumed(run: Run, folder: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "run")
    assert run("train", "classify", *QUICK, *out).code == 0
    small = ("--image-size", 24, "--model", "digits-net", "--num-workers", 0)
    ran = run("train", "classify", "--data", folder, "--resume", "--epochs", 1, *small, *out)
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1


def test_training_tells_its_result(run: Run, tmp_path: Path) -> None:
    ran = run("train", "classify", *QUICK, "--policy", "mixup", "--out", tmp_path / "run")
    assert ran.code == 0 and "test accuracy" in ran.out
    saved = json.loads((tmp_path / "run" / "result.json").read_text())
    assert saved["epochs"] == 1 and f"{saved['test_accuracy']:.2%}" in ran.out


def test_quiet_says_nothing(run: Run, tmp_path: Path) -> None:
    ran = run("train", "classify", *QUICK, "--quiet", "--out", tmp_path / "run")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_comparison_writes_its_report(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "cmp"
    ran = run("compare", *QUICK, "--policies", "none,cutout", "--seeds", 0, "--out", out)
    assert ran.code == 0
    assert (out / "report.html").is_file() and "cutout" in (out / "results.csv").read_text()


@pytest.mark.parametrize("words", [("train", "classify"), ("compare",)])
def test_ctrl_c_keeps_what_is_finished(
    run: Run, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = getattr(mixwell.cli, words[0])
    monkeypatch.setattr(home, "run", Recorder(error=KeyboardInterrupt()))
    ran = run(*words, "--out", "runs/mine")
    assert ran.code == 130
    assert_one_line(ran.err, "kept what is finished in runs/mine")


@pytest.mark.parametrize("words", [("train", "classify"), ("compare",)])
def test_a_recipe_that_ended_early_in_good_order(
    run: Run, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = Recorder(SimpleNamespace(interrupted=True, out=Path("runs/mine")))
    monkeypatch.setattr(getattr(mixwell.cli, words[0]), "run", ended)
    ran = run(*words, "--out", "runs/mine", "--quiet")
    assert ran.code == 130
    assert_one_line(ran.err, "kept what is finished in runs/mine")
