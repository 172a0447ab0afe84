"""How runs begin and end: bad input is said at once, and nothing finished is lost."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import nn

import mixwell as mw
from mixwell.recipes import compare as module
from mixwell.recipes import report
from mixwell.recipes.classify import ClassifyConfig, classify
from mixwell.recipes.compare import CompareConfig, compare
from mixwell.recipes.config import TrainConfig, resolved, subset
from mixwell.recipes.data import load_dataset
from mixwell.recipes.feed import LoaderFeed, ignore_interrupt
from mixwell.recipes.loop import make_fabric, train
from mixwell.recipes.place import clear, place
from mixwell.recipes.progress import Shown, waiting

QUICK = {
    "epochs": 1,
    "batch_size": 16,
    "train_fraction": 0.03,
    "devices": 1,
    "threads": 1,
    "quiet": True,
}


def single(out: Path | None, **changes) -> ClassifyConfig:
    return ClassifyConfig(out=out, **(QUICK | changes))


def several(out: Path | None, **changes) -> CompareConfig:
    return CompareConfig(out=out, **(QUICK | {"policies": ("none",), "seeds": (0,)} | changes))


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


# ---- progress ----------------------------------------------------------------------------------


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def test_the_bar_moves_with_each_step():
    shown = Shown(2, 2, console=terminal())
    task = shown.bar.tasks[0]
    seen = []
    shown.begin("a")
    shown.start(1, 4)  # one epoch was in the checkpoint
    for _ in range(4):
        shown.on_step()
        seen.append((task.completed, task.description))
    shown.step({})
    steps = [(1.25, "a  step 1/4"), (1.5, "a  step 2/4"), (1.75, "a  step 3/4")]
    assert seen == [*steps, (2.0, "a  measuring")]
    shown.begin("b")
    assert (task.completed, task.description) == (2, "b")
    shown.skip()
    assert (task.completed, task.total) == (4, 4)


def test_a_failed_run_does_not_hold_the_bar_back():
    shown = Shown(3, 2, console=terminal())
    shown.begin("a")
    shown.start(0, 2)
    shown.on_step()
    shown.begin("b")
    assert shown.bar.tasks[0].completed == 3


def test_waiting_speaks_in_a_terminal_only(monkeypatch):
    loud, quiet, plain = terminal(), terminal(), Console(file=io.StringIO())
    with waiting("loading x", console=loud), waiting("loading x", console=quiet, quiet=True):
        pass
    with waiting("loading x", console=plain):
        pass
    assert "loading x" in loud.file.getvalue()
    assert quiet.file.getvalue() == plain.file.getvalue() == ""
    monkeypatch.setenv("LOCAL_RANK", "1")
    other = terminal()
    with waiting("loading x", console=other):
        pass
    assert other.file.getvalue() == ""


@pytest.mark.parametrize("recipe", [classify, compare])
def test_recipes_tell_each_step(recipe, tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(Shown, "on_step", lambda self: steps.append(1))
    recipe((single if recipe is classify else several)(tmp_path / "run"))
    assert len(steps) == 3  # 53 images in batches of 16


# ---- Ctrl-C ------------------------------------------------------------------------------------


def test_workers_leave_ctrl_c_to_the_main_process():
    before = signal.getsignal(signal.SIGINT)
    try:
        ignore_interrupt(0)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_worker_outlives_ctrl_c(tmp_path):
    for i in range(16):
        (tmp_path / "train" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / "train" / "ab"[i % 2] / f"{i}.png")
    (tmp_path / "val").symlink_to(tmp_path / "train")
    images = load_dataset("folder", tmp_path).train
    sampler = mw.KeyedSampler(16, epochs=1, shuffle=True, seed=0)
    collate = mw.Collate(mw.Policy(mw.Resize((8, 8))), num_classes=2)
    feed = LoaderFeed(images, collate, sampler, 2, 1, torch.device("cpu"))
    batches = feed.epoch(0)
    next(batches)
    (worker,) = feed.loader._iterator._workers  # type: ignore[union-attr]
    os.kill(worker.pid, signal.SIGINT)
    assert len(list(batches)) == 7
    assert worker.is_alive()


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_ctrl_c_of_a_terminal_keeps_the_history(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("cats", "dogs"):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for i in range(4):
                pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / split / name / f"{i}.png")
    words = f"train classify --data {tmp_path / 'images'} --image-size 16 --model digits-net"
    words += f" --epochs 9999 --batch-size 4 --num-workers 2 --threads 1 --out {tmp_path / 'run'}"
    words += " --devices 1 --measure-every 9999"  # no new workers while the signal comes
    call = "import sys; from mixwell.cli import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", call, *words.split()],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # a process group of its own, as in a terminal
        text=True,
    ) as process:
        assert process.stderr is not None
        said = []
        try:
            for line in process.stderr:
                said.append(line)
                if line.startswith("epoch"):
                    break
            time.sleep(0.05)
            os.killpg(process.pid, signal.SIGINT)
            said += process.stderr.readlines()
            code = process.wait(timeout=60)
        finally:
            process.kill()
    assert code == 130, "".join(said)
    assert "Traceback" not in "".join(said)
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) >= 2


# ---- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vgg11", "inception_v3", "timm:vit_tiny_patch16_224"])
def test_a_model_that_cannot_take_the_images_is_named(name, tmp_path):
    if name.startswith("timm"):
        pytest.importorskip("timm")
    with pytest.raises(mw.DataError, match=r"must take images of 8 x 8 px.*digits-net") as caught:
        classify(single(tmp_path / "run", model=name))
    assert name in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


class _Odd(nn.Module):
    def __init__(self, result):
        super().__init__()
        self.result, self.weight = result, nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.result


@pytest.mark.parametrize(
    ("result", "found"),
    [(torch.zeros(1, 12), "12"), (torch.zeros(10), r"Tensor \[10\]"), ((1, 2), r"tuple \[\]")],
)
def test_any_output_but_one_logit_per_class_is_refused(result, found):
    config = resolved(TrainConfig(epochs=1, devices=1))
    data = subset(load_dataset("digits"), 0.03)
    with pytest.raises(mw.DataError, match=f"one logit for each of 10 classes, got {found}"):
        train(config, data, mw.Policy(), network=lambda: _Odd(result), fabric=make_fabric(config))


@pytest.mark.parametrize("damage", ["half", "words", "empty", "other"])
def test_a_damaged_checkpoint_is_said_to_be(damage, tmp_path):
    classify(single(tmp_path))
    path = tmp_path / "checkpoint.pt"
    if damage == "other":
        torch.save({"model": {}}, path)
    else:
        whole = path.read_bytes()
        path.write_bytes({"half": whole[: len(whole) // 2], "words": b"hello"}.get(damage, b""))
    before = files(tmp_path)
    with pytest.raises(mw.DataError, match=r"checkpoint\.pt is damaged .*delete it or leave out"):
        classify(single(tmp_path, resume=True))
    assert files(tmp_path) == before


def test_a_damaged_cell_is_said_to_be(tmp_path):
    compare(several(tmp_path))
    (cell,) = (tmp_path / "cells").glob("*.json")
    cell.write_text('{"settings": ')
    with pytest.raises(mw.DataError, match="is damaged; delete it"):
        compare(several(tmp_path, resume=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_have_bounds(seed):
    with pytest.raises(ValueError, match=rf"seed must lie in 0 \.\. 4294967295.*got {seed}"):
        ClassifyConfig(seed=seed)
    with pytest.raises(ValueError, match=f"got {seed}"):
        CompareConfig(seeds=(0, seed))


def test_the_largest_seed_trains(tmp_path):
    assert classify(single(tmp_path / "run", seed=2**32 - 1)).epochs == 1


# ---- nothing finished is lost ------------------------------------------------------------------


@pytest.mark.parametrize(("recipe", "made"), [(classify, single), (compare, several)])
def test_a_finished_run_is_overwritten_on_request_only(recipe, made, tmp_path):
    recipe(made(tmp_path))
    before = files(tmp_path)
    with pytest.raises(mw.DataError, match=r"--resume, name another --out, .* --overwrite"):
        recipe(made(tmp_path))
    assert files(tmp_path) == before
    recipe(made(tmp_path, lr=0.05, overwrite=True))
    assert json.loads((tmp_path / "config.json").read_text())["lr"] == 0.05


@pytest.mark.parametrize(("recipe", "made"), [(classify, single), (compare, several)])
def test_a_refused_resume_changes_nothing(recipe, made, tmp_path):
    recipe(made(tmp_path))
    before = files(tmp_path)
    with pytest.raises(mw.DataError, match="own settings only"):
        recipe(made(tmp_path, lr=0.05, resume=True))
    assert files(tmp_path) == before
    recipe(made(tmp_path, resume=True))
    assert json.loads((tmp_path / "config.json").read_text())["resume"] is True


@pytest.mark.parametrize(("recipe", "made"), [(classify, single), (compare, several)])
def test_the_same_command_twice_makes_two_folders(recipe, made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        recipe(made(None, quiet=False))
    first, second = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert second == f"{first}-2"
    assert str(Path("runs") / second) in capsys.readouterr().err


def test_names_tell_runs_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for changes in ({}, {"epochs": 2}, {"lr": 0.05}, {"optimizer": "adamw"}, {"seed": 1}):
        classify(single(None, **changes))
    names = [path.name for path in (tmp_path / "runs").iterdir()]
    assert "digits-digits-net-standard-sgd-lr0.1-epochs1-seed0" in names
    assert len(names) == 5


def test_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs, marks = Path("runs"), ("a.txt", "in/*.txt")

    def find(resume=False, overwrite=False):
        return place(None, "x", marks, resume=resume, overwrite=overwrite)

    def finish(name, file="a.txt"):
        (runs / name / file).parent.mkdir(parents=True, exist_ok=True)
        (runs / name / file).touch()

    assert find() == find(resume=True) == find(overwrite=True) == runs / "x"
    finish("x", "config.json")
    assert find() == runs / "x"
    finish("x")
    assert (find(), find(resume=True), find(overwrite=True)) == (
        runs / "x-2",
        runs / "x",
        runs / "x",
    )
    finish("x-2", "in/b.txt")
    finish("x-y")
    assert (find(), find(resume=True)) == (runs / "x-3", runs / "x-2")
    with pytest.raises(mw.DataError, match="got both"):
        find(resume=True, overwrite=True)
    clear(runs / "x-2", marks)
    assert find() == runs / "x-2"


def test_stopped_within_the_first_epoch_leaves_the_folder_free(tmp_path, monkeypatch):
    def stops(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Shown, "on_step", stops)
        assert classify(single(tmp_path)).interrupted
        assert compare(several(tmp_path / "compare")).interrupted
    assert classify(single(tmp_path)).epochs == 1
    assert len(compare(several(tmp_path / "compare")).rows) == 1


# ---- defaults ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpu", "native", "expected"),
    [(False, False, "32-true"), (True, False, "32-true"), (True, True, "bf16-mixed")],
)
def test_precision_follows_the_device(gpu, native, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: native or gpu if including_emulation else native,
    )
    assert resolved(TrainConfig()).precision == expected
    assert resolved(TrainConfig(precision="16-mixed")).precision == "16-mixed"


def test_config_json_says_the_resolved_values(tmp_path):
    classify(single(tmp_path, optimizer="adamw"))
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["schedule"] == "cosine"
    assert saved["precision"] == resolved(TrainConfig()).precision != "auto"


@pytest.mark.parametrize(
    ("optimizer", "schedule"), [("sgd", "onecycle"), ("adam", "cosine"), ("adamw", "cosine")]
)
def test_schedule_follows_the_optimizer(optimizer, schedule):
    assert resolved(TrainConfig(optimizer=optimizer)).schedule == schedule
    assert resolved(TrainConfig(optimizer=optimizer, schedule="step")).schedule == "step"


# ---- a grid's baseline -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policies", "baseline", "expected", "count"),
    [
        (("randaugment",), None, "randaugment", 3),
        (("randaugment", "none"), None, "none", 3),
        (("standard", "none", "randaugment"), None, "standard", 4),
        (("none", "randaugment"), "randaugment", "randaugment", 4),
        (("randaugment", "none"), "randaugment num_ops=1", "randaugment num_ops=1", 3),
    ],
)
def test_no_grid_point_is_the_baseline_unasked(policies, baseline, expected, count, tmp_path):
    config = several(tmp_path, policies=policies, grid={"num_ops": [1, 3]}, baseline=baseline)
    found, _, name = module._candidates(resolved(config), load_dataset("digits"))
    assert (name, len(found), sum(c.of_grid for c in found)) == (expected, count, 2)


def test_a_grids_report_says_that_its_best_is_optimistic(tmp_path):
    plain = compare(several(tmp_path))
    assert not any("optimistic" in note for note in report.notes(plain))
    points = [replace(c, of_grid=True) for c in plain.candidates * 3]
    (note,) = (n for n in report.notes(replace(plain, candidates=points)) if "optimistic" in n)
    assert note.startswith("A grid of 3 points") and "test images" in note
