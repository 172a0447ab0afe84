"""`mixwell kaggle`: a competition from export to a scored submission, and how it fails."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from mixwell.recipes.kaggle.config import PrepareConfig
from mixwell.recipes.kaggle.export import ExportConfig
from mixwell.recipes.kaggle.settings import SearchConfig
from mixwell.recipes.kaggle.submit import SubmitConfig
from tests.cli.conftest import Run
from tests.cli.test_main import assert_one_line
from tests.recipes.kaggle.made import competition, read

TRAIN = ("--model", "digits-net", "--epochs", 8, "--search-epochs", 1, "--threads", 1)


@pytest.mark.parametrize("pack", ["zip", "7z"])
def test_there_and_back(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: str
) -> None:
    if pack == "7z":
        pytest.importorskip("py7zr")
    monkeypatch.chdir(tmp_path)
    part = ("--train-fraction", 0.4, "--test-fraction", 0.3)
    ran = run("kaggle", "export", "digits", "--pack", pack, *part)
    assert ran.code == 0, ran.err
    source = Path("runs/digits-competition")
    assert (source / f"train.{pack}").is_file() and not (source / "train").exists()
    ran = run("kaggle", "prepare", source)
    assert ran.code == 0 and "520" in ran.out and "a class for each id" in ran.out
    prepared = "runs/digits-competition-prepared"
    ran = run("kaggle", "train", prepared, *TRAIN, "--grid", "policy=none", "lr=0.02,0.1")
    assert ran.code == 0 and ran.out.count("**chosen**") == 1
    ran = run("kaggle", "submit", "runs/kaggle", "--num-workers", 0, "--out", "s.csv")
    assert ran.code == 0 and re.search(r"checked against the sample\s+yes", ran.out)
    words = ("--sample", source / "sampleSubmission.csv", "--answers", source / "answers.csv")
    ran = run("kaggle", "check", "s.csv", *words)
    found = re.search(r"accuracy\s+([\d.]+)%", ran.out)
    truth, ours = (dict(read(p)[1:]) for p in (source / "answers.csv", Path("s.csv")))
    right = sum(truth[key] == label for key, label in ours.items()) / len(truth)
    assert ran.code == 0 and found and float(found[1]) == pytest.approx(100 * right, abs=0.005)
    assert right > 0.5  # chance: 0.1


def test_quiet_says_nothing(run: Run, tmp_path: Path) -> None:
    source = competition(tmp_path / "comp")
    ran = run("kaggle", "prepare", source, "--out", tmp_path / "out", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.mark.parametrize(
    ("command", "config"),
    [
        ("prepare", PrepareConfig),
        ("train", SearchConfig),
        ("submit", SubmitConfig),
        ("export", ExportConfig),
    ],
)
def test_every_field_is_an_option_with_help(run: Run, command: str, config: type) -> None:
    shown = " ".join(run("kaggle", command, "--help").out.replace("│", " ").split())
    left_out = {"data", "data_dir", "download", "train_fraction", "train_accuracy", "measure_every"}
    left_out.add("whiten")
    for field in dataclasses.fields(config):
        if config is SearchConfig and field.name in left_out:
            continue
        name = field.name.replace("_", "-")
        option = f"--no-{name}" if field.default is True else f"--{name}"
        assert option in shown, option


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prepare", "{tmp}/absent"], "There is no file or folder"),
        (["prepare", "{tmp}/comp", "--labels", "{tmp}/absent.csv"], "cannot be read"),
        (["prepare", "{tmp}/comp", "--valid", "2"], "valid must lie in"),
        (["prepare", "{tmp}/comp", "--id-column", "name"], "(--id-column)"),
        (["prepare", "{tmp}/comp", "--train", "{tmp}/x.7z"], "cannot be unpacked"),
        (["train", "{tmp}/comp"], "Run `mixwell kaggle prepare` first"),
        (["train", "{tmp}/comp", "--grid", "num_ops=1"], "The grid can try"),
        (["submit", "{tmp}/comp"], "`mixwell kaggle train`"),
        (["check", "{tmp}/comp/trainLabels.csv", "--sample", "{tmp}/comp/sampleSubmission.csv"],
         "12 not asked for"),
        (["export", "cifar11"], "Did you mean cifar10"),
        (["export", "digits", "--test-fraction", "0"], "test_fraction must lie"),
    ],
)  # fmt: skip
def test_bad_input_ends_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    competition(tmp_path / "comp")
    (tmp_path / "x.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(50))
    ran = run("kaggle", *(word.format(tmp=tmp_path) for word in words))
    assert ran.code == 1
    assert_one_line(ran.err, message)


def test_ctrl_c_keeps_what_is_finished(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mixwell.recipes.kaggle import search

    def stops(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "train", stops)
    source = competition(tmp_path / "comp")
    run("kaggle", "prepare", source, "--out", tmp_path / "p")
    ran = run("kaggle", "train", tmp_path / "p", "--out", tmp_path / "mine", "--quiet")
    assert ran.code == 130
    assert_one_line(ran.err, f"kept what is finished in {tmp_path / 'mine'}")
