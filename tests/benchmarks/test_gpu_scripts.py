"""The scripts that want a GPU, on generated images: they run, stop, go on and sum up.

No figure of theirs is looked at; on a GPU nothing has been proven.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import cifar, runs, table200
from benchmarks.gpu.summary import markdown, write_summary

ROOT = Path(__file__).parents[2]
PAIR = "resnet20-15-plain,resnet20-15-cutmix"


@pytest.fixture(autouse=True)
def _as_it_was():
    """The scripts set PyTorch up for a whole process."""
    threads, fast = torch.get_num_threads(), torch.backends.cudnn.benchmark
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = fast


def run(script, out: Path, *words: str) -> int:
    return runs.main(script.EXPERIMENTS, script.__name__, "", [*words, "--tiny", "--out", str(out)])


def lines(out: Path) -> list[dict]:
    return [json.loads(text) for text in (out / runs.LINES).read_text().splitlines()]


def test_killed_and_started_again_nothing_is_done_twice(tmp_path: Path, capsys) -> None:
    words = ["--tiny", "--out", str(tmp_path), "--only", PAIR, "--runs", "2"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.gpu.cifar", *words]
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL) as process:
        path = tmp_path / runs.LINES
        while process.poll() is None and not (path.exists() and path.read_text().count("\n")):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    before = path.read_text()
    with path.open("a") as file:
        file.write('{"experiment": "resn')  # what a kill in the middle of a line leaves
    assert run(cifar, tmp_path, "--only", PAIR, "--runs", "2") == 0
    assert "the last line is cut off" in capsys.readouterr().err
    assert path.read_text().startswith(before)
    found = [(line["experiment"], line["seed"]) for line in lines(tmp_path)]
    assert found == [(name, seed) for seed in (0, 1) for name in PAIR.split(",")]
    assert not list((tmp_path / "checkpoints").iterdir())
    summary = (tmp_path / runs.SUMMARY).read_text()
    assert "Generated images" in summary and "| resnet20-15-cutmix |" in summary
    assert "python -m benchmarks.gpu.cifar --tiny" in summary


def test_a_run_goes_on_in_the_middle_and_ends_alike(tmp_path: Path, monkeypatch) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(cifar, whole, "--only", "fast-10", "--runs", "1") == 0
    with monkeypatch.context() as patch:
        patch.setattr(runs, "_say", _stop)
        assert run(cifar, parts, "--only", "fast-10", "--runs", "1") == runs.INTERRUPTED
    assert not (parts / runs.LINES).exists()
    assert [p.name for p in (parts / "checkpoints").iterdir()] == ["fast-10-seed0.pt"]
    assert run(cifar, parts, "--only", "fast-10", "--runs", "1") == 0
    (one,), (other,) = lines(whole), lines(parts)
    assert (one["resumed_at_epoch"], other["resumed_at_epoch"]) == (0, 1)
    for name in ("test_accuracy", "train_loss", "epochs", "parameters", "settings"):
        assert one[name] == other[name], name
    assert one["settings"]["whiten"] and one["settings"]["ema"] and one["settings"]["tta"]
    assert one["device"]["name"] and one["machine"]["commit"] is not None and one["command"]


def _stop(row: dict) -> None:
    raise KeyboardInterrupt


def test_the_table_is_made_of_the_mixers(tmp_path: Path) -> None:
    only = "cifar100-resizemix,cifar10-fmix"
    assert run(table200, tmp_path, "--only", only, "--runs", "1") == 0
    policies = [line["settings"]["policy"] for line in lines(tmp_path)]
    assert "FMix" in policies[0] and "ResizeMix" in policies[1]
    assert "OpenMixup 79.56 %" in (tmp_path / runs.SUMMARY).read_text()


def test_other_settings_need_another_folder(tmp_path: Path) -> None:
    small = "resnet20-15-plain"
    assert run(cifar, tmp_path, "--only", small, "--runs", "1") == 0
    changed = [
        replace(e, config=replace(e.config, lr=0.123)) if e.name == small else e
        for e in cifar.EXPERIMENTS
    ]
    words = ["--only", small, "--tiny", "--out", str(tmp_path)]
    with pytest.raises(SystemExit, match=r"lr=0.3, now it is 0.123. Give another --out"):
        runs.main(changed, "m", "", words)


def test_without_a_gpu_it_says_so(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ["--out", str(tmp_path / "x")]
    assert runs.main(cifar.EXPERIMENTS, "m", "", words) == 1
    assert "need a CUDA device" in capsys.readouterr().err and not (tmp_path / "x").exists()
    assert runs.main(cifar.EXPERIMENTS, "m", "", [*words, "--list"]) == 0
    assert "fast-10: cifar10, resnet9-fast" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="unknown experiment 'fst'"):
        runs.main(cifar.EXPERIMENTS, "m", "", [*words, "--only", "fst"])


def test_all_that_was_asked_for_is_there() -> None:
    counts = {e.name: (e.config.epochs, e.runs) for e in cifar.EXPERIMENTS}
    assert counts["fast-10"] == (10, 10) and counts["fast-15"] == (15, 10)
    assert all(counts[f"resnet20-15-{p}"] == (15, 5) for p in ("plain", "cutmix"))
    assert all(counts[f"resnet18-10-{p}"] == (10, 5) for p in ("plain", "cutmix"))
    assert all(counts[f"resnet18-30-{p}"] == (30, 3) for p in ("plain", "mixup", "cutmix"))
    names = {e.name for e in table200.EXPERIMENTS}
    mixers = ("plain", "mixup", "cutmix", "resizemix", "fmix")
    assert names == {f"{data}-{m}" for data in ("cifar10", "cifar100") for m in mixers}
    assert {e.config.epochs for e in table200.EXPERIMENTS} == {200}


def line(name: str, accuracy: float, **more) -> dict:
    about = {"name": "a GPU", "driver": "1"}
    return {
        "experiment": name,
        "beside": "paper 90 %",
        "test_accuracy": accuracy,
        "epochs": 10,
        "seconds": 5.0,
        "images_per_second": 12345.6,
        "device": about,
        "machine": {"cpu": "a processor", "commit": "abc"},
        "command": "python -m x",
        "resumed_at_epoch": 0,
        "settings": {"tiny": False},
        **more,
    }


def test_sums_are_means_and_spreads(tmp_path: Path) -> None:
    given = [line("a", 0.94), line("b", 0.5), line("a", 0.95, seconds=7.0, resumed_at_epoch=3)]
    text = markdown(given)
    assert "| a | 94.50 ± 0.71 | 2 | 94.00 | 10 | 6.0 | 12,346 | paper 90 % |" in text
    assert "| b | 50.00 | 1 | 50.00 | 10 | 5.0 | 12,346 | paper 90 % |" in text
    assert "a GPU (driver 1); a processor; commit abc." in text
    assert "1 runs were stopped and resumed" in text and "Generated" not in text
    path = tmp_path / "runs.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in given))
    assert write_summary(path, tmp_path / "s.md") == text == (tmp_path / "s.md").read_text()
    assert markdown([]) == "No runs yet.\n"
