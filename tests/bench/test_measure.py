"""Rounds: who is timed, under which label, and what becomes of those that cannot be."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from mixwell.bench import measure as home
from mixwell.bench.base import Batch, Case
from mixwell.bench.images import jpeg_folder
from mixwell.bench.measure import Options, measure
from mixwell.bench.opponents import opponent
from tests.bench.conftest import BATCH, Fake, normalised, smooth, way_of

QUICK = Options(rounds=3, threads=2, quick=True)


def silent(_: str) -> None:
    """Nobody listens."""


def honest(case: Case):
    x, y = normalised(list(case.images)), torch.arange(BATCH)
    return lambda mixing: Batch(x.clone(), y)


def test_wrong_opponents_are_refused_and_honest_ones_timed(case: Case) -> None:
    good = honest(case)
    opponents = [
        Fake("good", way_of(good)),
        Fake("raw", way_of(lambda m: Batch(good(m).x.sigmoid(), good(m).y))),
        Fake("labels", way_of(lambda m: Batch(good(m).x, good(m).y * 0))),
        Fake("mixes", way_of(lambda m: Batch(good(m).x, good(m).y), mixes=True)),
        Fake("breaks", way_of(lambda m: 1 / 0)),
        Fake("idle"),
    ]
    rows = {row.opponent: row for row in measure(case, opponents, QUICK, silent)}
    assert {name: row.status for name, row in rows.items()} == {
        "good": "timed",
        "raw": "refused",
        "labels": "refused",
        "mixes": "refused",
        "breaks": "failed",
        "idle": "absent",
    }
    assert "ZeroDivisionError" in rows["breaks"].reason
    times = {(t.threads, t.mixing): t for t in rows["good"].times}
    assert set(times) == {(1, False), (1, True), (2, False), (2, True)}
    assert all(len(t.values) == 3 and min(t.values) > 0 for t in times.values())
    assert times[1, True].mixer and not times[1, False].mixer


def test_labels_of_folders_are_counted(photo_folder, tmp_path) -> None:
    """A path that reads the right files under wrong names is no loader."""
    home = jpeg_folder(tmp_path / "set", 2 * BATCH, photo_folder, classes=4)
    folder = Case("jpeg", "jpeg", "folder", BATCH, 32, folder=home, classes=4, epoch=2)
    x = normalised([smooth(seed) for seed in range(BATCH)])
    labels = {
        "good": torch.arange(BATCH) % 4,
        "soft": torch.eye(4)[torch.arange(BATCH) % 4],
        "one": torch.zeros(BATCH, dtype=torch.int64),
        "unknown": torch.arange(BATCH),
    }
    opponents = [
        Fake(name, way_of(lambda m, y=y: Batch(x.clone(), y))) for name, y in labels.items()
    ]
    rows = measure(folder, opponents, Options(rounds=1, threads=1, quick=True), silent)
    assert [row.status for row in rows] == ["timed", "timed", "refused", "refused"]
    assert rows[2].reason == "classes of [4, 4, 4, 4] files came [16, 0, 0, 0] times"


def test_missing_opponents_are_told(case: Case) -> None:
    fake = Fake("gone")
    fake.package = "surely-absent"
    (row,) = measure(case, [fake], QUICK, silent)
    assert row.status == "missing" and "mixwell[bench]" in row.reason


def test_labels_are_apart_and_among_equals_the_fastest_counts(case: Case) -> None:
    good, slow = honest(case), Counter()

    def waits(mixing: bool) -> Batch:
        slow["calls"] += 1
        torch.randn(400, 400) @ torch.randn(400, 400)
        return good(mixing)

    fast = way_of(good)
    lazy = way_of(waits)
    apart = way_of(good, label="one draw per batch")
    rows = measure(case, [Fake("a", lazy, fast, apart)], QUICK, silent)
    assert [row.label for row in rows] == ["", "one draw per batch"]
    assert slow["calls"] < 20  # checked and auditioned, never in the rounds


def test_turns_rotate(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def noted(self: home.Runner) -> float:
        order.append(self.entry.row.opponent)
        return 1.0

    monkeypatch.setattr(home.Runner, "round", noted)
    good = honest(case)
    opponents = [Fake(name, way_of(good)) for name in "abc"]
    entries = list(home.entries_of(case, opponents))
    home._measure(case, entries, 1, False, QUICK)
    assert "".join(order[-9:]) == "acb" + "bca" + "cba"  # every other round backwards
    assert entries[0].row.times[0].values == [1e3 / BATCH] * 3


@pytest.mark.parametrize("crop", ["resized", "padded"])
def test_torchvision_and_mixwell_pass_the_check(images, crop) -> None:
    """Real opponents, threads included; worker processes are left to the benchmark itself."""
    case = Case("x", "x", "batch", BATCH, 32, crop, False, ("cutmix",), images)
    case = Case(**{**vars(case), "images": [image[:32, :32].copy() for image in images]})
    for name in ("mixwell", "torchvision"):
        for way in opponent(name).ways(case):
            home._check_way(way, case) if way.pool != "processes" else None
