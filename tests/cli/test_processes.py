"""Several processes write one run and say everything once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mixwell
import mixwell.cli.train
from mixwell.recipes.progress import first_process
from tests.cli.conftest import Run
from tests.cli.test_recipes import QUICK

FAST = {"epochs": 1, "threads": 1, "train_fraction": 0.1, "devices": 1, "quiet": True}
SCRIPT = "import sys\nfrom mixwell.cli import main\nsys.exit(main())\n"


def test_two_processes_write_one_run_and_tell_it_once(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text(SCRIPT)  # Fabric starts the second by this file
    home = str(Path(mixwell.__file__).parents[1])
    words = "train classify --devices 2 --epochs 1 --threads 1 --train-fraction 0.1".split()
    done = subprocess.run(
        [sys.executable, "start.py", *words],
        cwd=tmp_path,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": home},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    names = {path.name for path in run.iterdir()}
    assert names == {"config.json", "history.csv", "result.json", "checkpoint.pt"}
    assert done.stdout.count("test accuracy") == 1
    assert done.stderr.count("epoch 1/1") == done.stderr.count(f"run: runs/{run.name}") == 1


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "SLURM_PROCID"])
def test_only_the_first_process_tells(
    run: Run, name: str, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = mixwell.cli.train.run(mixwell.cli.train.ClassifyConfig(**FAST, out=tmp_path / "run"))
    monkeypatch.setattr(mixwell.cli.train, "run", lambda config: result)
    words = ("train", "classify", *QUICK, "--data", folder / "train")
    said = run(*words)
    assert "test accuracy" in said.out and "every fifth image" in said.out
    monkeypatch.setenv(name, "0")
    assert first_process() and run(*words).out == said.out
    monkeypatch.setenv(name, "1")
    assert not first_process() and run(*words).out == ""
