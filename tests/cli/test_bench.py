"""`mixwell bench`: what it lists, writes and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixwell import bench
from tests.bench.conftest import report_of
from tests.cli.conftest import Run


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Nothing is measured; what was asked for is kept."""
    asked: list[tuple] = []

    def run(suites, options, *, opponents, images, say, done):
        asked.append((suites, options, opponents, images))
        say("working")
        done(report_of())
        return report_of()

    monkeypatch.setattr(bench, "run", run)
    return asked


def test_list(run: Run) -> None:
    ran = run("bench", "--list")
    assert ran.code == 0 and ran.err == ""
    for name in (*bench.SUITES, *bench.NAMES):
        assert name in ran.out


def test_results_are_printed_and_written(run: Run, measured: list, tmp_path: Path) -> None:
    words = ("--suite", "crop,mix", "--opponents", "timm", "--quick", "--out", tmp_path / "b")
    ran = run("bench", *words)
    assert ran.code == 0 and "working" in ran.err
    assert "# mixwell bench" in ran.out and (tmp_path / "b" / "results.json").exists()
    ((suites, options, opponents, images),) = measured
    assert suites == ["crop", "mix"] and opponents == ["timm"] and images is None
    assert options == bench.Options(rounds=2, threads=2, quick=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--rounds", 0), "--rounds must be at least 1"),
        (("--threads", 0), "--threads must be at least 1"),
        (("--device", "tpu"), "--device must be cpu or cuda"),
        (("--suite", "fast"), "unknown suite 'fast'; there are"),
        (("--opponents", "me"), "unknown opponent 'me'; there are"),
        (("--suite", "crop", "--images", "absent"), "--images must be a folder"),
    ],
)
def test_bad_input_ends_in_one_line(
    run: Run, words: tuple, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("bench", *words)
    assert ran.code == 1 and message in ran.err
    assert ran.err.count("mixwell: ") == 1 and not (tmp_path / "runs").exists()
