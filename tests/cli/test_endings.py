"""What the commands' exit codes and lines say of runs that failed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import mixwell.cli.compare
from tests.cli.conftest import Run
from tests.cli.test_main import assert_one_line

TINY = ("--epochs", 1, "--threads", 1, "--train-fraction", 0.05)


@pytest.mark.parametrize(
    ("failed", "rows", "code"), [([], [1], 0), (["mixup, seed 0: nan"], [1], 1), ([], [], 1)]
)
def test_compare_fails_where_runs_failed(
    run: Run, failed: list[str], rows: list[int], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = SimpleNamespace(
        interrupted=False, failed=failed, rows=rows, planned=2, out=Path("runs/x")
    )
    monkeypatch.setattr(mixwell.cli.compare, "run", lambda config: ended)
    ran = run("compare", "--quiet")
    assert ran.code == code
    if failed:
        assert_one_line(ran.err, "1 of 2 runs failed; first mixup, seed 0: nan")


def test_a_diverged_training_ends_in_one_line(run: Run, tmp_path: Path) -> None:
    wild = ("--lr", 1000, "--schedule", "constant", "--weight-decay", 9, "--epochs", 20)
    out = ("--out", tmp_path / "run", "--quiet")
    ran = run("train", "classify", "--threads", 1, "--train-fraction", 0.05, *wild, *out)
    assert ran.code == 1
    assert_one_line(ran.err, "finite loss")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_ends_in_one_line(run: Run, seed: int, tmp_path: Path) -> None:
    ran = run("train", "classify", f"--seed={seed}", "--out", tmp_path / "run")
    assert ran.code == 1
    assert_one_line(ran.err, "seed must lie in 0 .. 4294967295")


def test_a_finished_run_stays(run: Run, tmp_path: Path) -> None:
    words = ("train", "classify", *TINY, "--quiet", "--out", tmp_path / "run")
    assert run(*words).code == 0
    ran = run(*words)
    assert ran.code == 1
    assert_one_line(ran.err, "--overwrite")
    assert run(*words, "--overwrite").code == 0
