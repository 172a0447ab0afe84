"""The suites for a GPU, rehearsed on the CPU with small batches; no GPU is asked for here.

What stays unproven without one: the events' clock, CUDA graphs, and DALI's pipeline.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mixwell import bench
from mixwell.bench import mixers
from mixwell.bench.base import Batch, Case, Way
from mixwell.bench.gpu import measure as home
from mixwell.bench.gpu import others, ours, suites
from mixwell.bench.gpu.clock import WallClock, clock_for
from mixwell.bench.gpu.device import copy_ms, describe_device, device_named
from mixwell.bench.gpu.given import Given, device_way, normaliser
from mixwell.bench.gpu.measure import OnDevice, measure
from mixwell.bench.gpu.ours import mixwell_ways, parts
from mixwell.bench.result import Row, Times
from mixwell.render.images import Picked
from tests.bench.conftest import BATCH, normalised, smooth

CPU = torch.device("cpu")
KORNIA = importlib.util.find_spec("kornia") is not None
QUICK = bench.Options(rounds=2, threads=1, quick=True)


def silent(_: str) -> None:
    """Nobody listens."""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {
        name: replace(shape, batch=64, given=shape.given // 8, side=shape.side // 8)
        for name, shape in suites.SHAPES.items()
    }
    cifar = replace(suites.SHAPES["gpu-cifar"], batch=64, resident=2)
    monkeypatch.setattr(suites, "SHAPES", small | {"gpu-cifar": cifar})


@pytest.mark.usefixtures("tiny")
def test_every_suite_from_photographs_to_files(photo_folder: Path, tmp_path: Path) -> None:
    names = ["gpu-randaug", "gpu-crop", "gpu-cifar"]
    report = bench.run(names, QUICK, images=photo_folder)
    assert [case.name for case in report.cases] == names
    for case in report.cases:
        assert case.unit == "ms/batch" and "rehearsal" in case.facts
        by = {(row.opponent, row.label): row for row in case.rows}
        assert by["dali", ""].status in ("absent", "missing")  # it has no rehearsal
        there = {"mixwell", "torchvision"} | ({"kornia"} if KORNIA else set())
        timed = [row for row in case.rows if row.opponent in there]
        assert [row.status for row in timed] == ["timed"] * len(timed), case.rows
        assert {r.opponent for r in timed} == there
        assert KORNIA or by["kornia", ""].status == "missing"
        assert ("torchvision", "one draw per batch") in by
        assert ("mixwell", "reference backend") in by
        for row in timed:
            assert {(t.threads, t.mixing) for t in row.times} == {(0, False), (0, True)}
        assert {"sampling_us", "kernels_us"} <= set(by["mixwell", ""].extra)
    crop = report.cases[1]
    assert crop.facts["floor_ms"] > 0
    assert all("share_of_floor" in row.extra for row in crop.rows if row.times)
    files = bench.write(report, tmp_path / "out")
    text = files[1].read_text()
    assert "Device: no GPU: a rehearsal on the CPU" in text and "on the device, mixed" in text
    assert "share of the copy floor" in text and "thr." not in text
    data = json.loads(files[0].read_text())
    assert data["machine"]["gpu"]["torch"] == torch.__version__
    assert bench.load(files[0]) == report


def makers() -> list:
    """What makes the ways of the libraries that are installed; kornia is in the extra `bench`."""
    return [make for name, make in suites.OPPONENTS.items() if name != "kornia" or KORNIA]


def cases(**more) -> Case:
    images = [smooth(seed, 32, 32) for seed in range(BATCH)]
    made = Case("x", "x", "batch", BATCH, 32, "padded", False, ("cutmix",), images, classes=10)
    return replace(made, **more)


def opponent(make, **more) -> OnDevice:
    return OnDevice(
        "other", "torch", CPU, lambda case, device: [device_way(make(case), "w", **more)]
    )


def test_wrong_opponents_are_refused_and_broken_ones_told() -> None:
    def honest(case: Case, x=lambda x: x, y=lambda y: y):
        images, labels = normalised(list(case.images)), torch.arange(BATCH) % case.classes
        return lambda mixing: lambda: Batch(x(images.clone()), y(labels))

    found = {}
    for name, make in {
        "good": honest,
        "raw": lambda case: honest(case, x=torch.sigmoid),
        "labels": lambda case: honest(case, y=lambda y: y * 0),
        "breaks": lambda case: honest(case, x=lambda x: 1 / 0),
    }.items():
        (row,) = measure(cases(), [opponent(make)], CPU, WallClock(), QUICK, silent)
        found[name] = row.status
    assert found == {"good": "timed", "raw": "refused", "labels": "refused", "breaks": "failed"}


def test_mixing_is_given_to_those_without_and_named() -> None:
    def plain(case: Case):
        x, y = normalised(list(case.images)), torch.arange(BATCH) % case.classes
        return lambda mixing: lambda: Batch(x.clone(), y)

    (row,) = measure(cases(), [opponent(plain)], CPU, WallClock(), QUICK, silent)
    assert [t.mixer != "" for t in row.times] == [False, True]


class Steps:
    """A clock that counts: one millisecond for each batch that was made."""

    name = "steps"

    def __init__(self) -> None:
        self.made = 0

    def ms(self, work) -> float:
        before = self.made
        work()
        return float(self.made - before)


def test_a_round_is_divided_by_its_batches() -> None:
    clock = Steps()

    def one() -> Batch:
        clock.made += 1
        return Batch(None, None)

    way = Way("w", lambda threads, mixing: None)  # type: ignore[arg-type,return-value]
    batches = lambda count: (one() for _ in range(count))  # noqa: E731
    runner = home.Runner(Row("a", "1"), way, batches, None, clock)
    home._warm_up(runner, bench.Options(quick=False))
    assert runner.count == home.MOST_BATCHES  # 1 ms a batch, as many as make a round
    assert runner.round() == 1.0


def test_batches_of_a_resident_set_hold_each_label_once() -> None:
    case = cases(resident=3, classes=BATCH)
    given = Given(case, CPU)
    assert len(given.images) == 3 * BATCH
    for _ in range(3):
        images, labels = given.draw()
        assert sorted(labels.tolist()) == list(range(BATCH))
        picked, numbers = given.pick()
        assert isinstance(picked, Picked)
        assert sorted(numbers.tolist()) == list(range(BATCH))
        images, labels = torch.cat([images, picked.gathered()]), torch.cat([labels, numbers])
        for image, label in zip(images, labels.tolist(), strict=True):
            assert np.array_equal(image.permute(1, 2, 0).numpy(), case.images[label])


def test_inputs_are_not_changed_by_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[Given, torch.Tensor]] = []

    class Kept(Given):
        def __init__(self, case: Case, device: torch.device) -> None:
            super().__init__(case, device)
            kept.append((self, self.images.clone()))

    monkeypatch.setattr(others, "Given", Kept)
    monkeypatch.setattr(ours, "Given", Kept)
    case, ways = cases(cutout=8), 0
    for make in makers():
        for way in make(case, CPU):
            ways += 1
            with way.open(0, True) as batches:
                (batch,) = batches(1)
            assert batch.x.shape == (BATCH, 3, 32, 32)
    assert len(kept) == ways == (6 if KORNIA else 5)
    assert all(torch.equal(given.images, before) for given, before in kept)


def test_cutouts_hide_the_same_area_for_all() -> None:
    white = [np.full((32, 32, 3), 255, np.uint8)] * BATCH
    case = cases(cutout=8, crop="", images=white, mixers=())
    black = normaliser(CPU)(torch.zeros(1, 3, 1, 1, dtype=torch.uint8))
    for make in makers():
        for way in make(case, CPU):
            with way.open(0, False) as batches:
                (batch,) = batches(1)
            hidden = ((batch.x.float() - black).abs() < 5e-3).all(1).sum((1, 2))
            assert hidden.tolist() == [64] * BATCH, way.settings


def test_parts_are_apart() -> None:
    found = parts(cases(), CPU, WallClock(), tries=2)
    assert found.sampling > 0 and found.kernels > 0 and not found.replayed
    assert "graph_us" not in found.as_extra()


def test_the_floor_counts_what_must_move() -> None:
    case = cases(side=10)
    assert suites.least_bytes(case, 4) == BATCH * 3 * 100 * 5
    assert copy_ms(1000, CPU, WallClock(), tries=1) > 0
    rows = [
        Row("mixwell", "1", times=[Times(0, True, [2.0], "w")], extra={"graph_us": 1000.0}),
        Row("mixwell", "1", "float16, channels last", times=[Times(0, True, [2.0], "w")]),
    ]
    facts = suites._add_floor(case, rows, CPU, _Always(0.5))
    assert rows[0].extra["share_of_floor"] == 0.25
    assert rows[0].extra["share_of_floor_kernels"] == 0.5
    assert facts["copy_gb_s"] == suites.least_bytes(case, 4) / 0.5 / 1e6


class _Always:
    """A clock that always says the same."""

    name = "always"

    def __init__(self, ms: float) -> None:
        self.given = ms

    def ms(self, work) -> float:
        return self.given


def test_the_fastest_mixer_is_chosen_by_the_clock_given() -> None:
    counted: list[object] = []

    def clock(work) -> float:
        counted.append(work())
        return float(len(counted))  # the first mixer tried is the fastest

    turns = mixers.fastest(("cutmix",), (4, 3, 8, 8), 10, 1, clock=clock)
    assert turns.name == next(iter(mixers.makers()))


def test_devices_are_named_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_named("cpu") == CPU and isinstance(clock_for(CPU), WallClock)
    assert "rehearsal" in describe_device(CPU)["name"]
    with pytest.raises(ValueError, match="must be cpu or cuda, got 'tpu'"):
        device_named("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="needs a CUDA device"):
        device_named("cuda")


def test_suites_of_the_other_device_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    home = sys.modules["mixwell.bench.run"]  # the package has a function of that name
    monkeypatch.setattr(home, "device_named", lambda name: torch.device(name))
    with pytest.raises(ValueError, match="'crop' measures the CPU"):
        bench.run(["crop"], bench.Options(device="cuda"))
    from mixwell.bench.run import DEFAULT, DEVICE_DEFAULT, _chosen

    assert _chosen([], on_gpu=True) == list(DEVICE_DEFAULT) == _chosen(["all"], on_gpu=True)
    assert _chosen([], on_gpu=False) == list(DEFAULT)
    assert not set(DEVICE_DEFAULT) & set(_chosen(["all"], on_gpu=False))


TRITON = """
import torch
from mixwell.bench.gpu.clock import WallClock
from mixwell.bench.gpu.kernels import kernels_of
from mixwell.bench.gpu.ours import augment_for, main_backend, parts
from mixwell.bench.gpu.given import Given
from mixwell.bench.base import MEAN, STD
import mixwell as mw
from tests.bench.test_gpu import CPU, cases

case = cases(batch=2, images=cases().images[:2], side=8, cutout=4, resident=2)
assert main_backend(CPU) == "triton"
augment = augment_for(case, True, "triton")
images, labels = Given(case, CPU).pick()
plan = augment.prepare(images, labels).plan
options = dict(mean=MEAN, std=STD, dtype=None, memory_format=None)
made = kernels_of(images, plan, **options)
made.launch()
assert torch.equal(made.out, mw.render(images, plan, backend="triton", mean=MEAN, std=STD))
assert made.count >= 1
found = parts(case, CPU, WallClock(), tries=1)
assert found.upload > 0 and found.count == made.count
print("same pixels")
"""


@pytest.mark.skipif(not __import__("importlib").util.find_spec("triton"), reason="no triton")
def test_kernels_alone_make_the_same_pixels() -> None:
    """The look inside the Triton backend, interpreted on the CPU."""
    done = subprocess.run(
        [sys.executable, "-c", TRITON],
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and "same pixels" in done.stdout, done.stderr[-2000:]


@pytest.mark.gpu
@pytest.mark.usefixtures("tiny")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu(photo_folder: Path) -> None:
    options = replace(QUICK, device="cuda")
    for case in bench.run([], options, images=photo_folder).cases:
        assert case.facts["clock"] == "CUDA events"
        ours = [row for row in case.rows if row.opponent == "mixwell"]
        assert [row.status for row in ours] == ["timed"] * len(ours), ours


def test_ways_have_the_labels_that_the_tables_need() -> None:
    labels = [way.label for way in mixwell_ways(cases(), CPU)]
    assert labels == ["", "float16, channels last", "reference backend"]
