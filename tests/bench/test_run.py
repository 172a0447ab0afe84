"""A whole run, small: mixwell and torchvision, from photographs to files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixwell import bench
from mixwell._errors import DataError
from mixwell.bench import images as inputs
from mixwell.bench import ops, suites
from mixwell.bench.base import Case
from mixwell.bench.machine import copy_gb_s, describe
from mixwell.bench.ops.table import OPS, RANDOM, Made
from tests.bench.conftest import smooth

QUICK = bench.Options(rounds=2, threads=1, quick=True)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller batches than even --quick has."""
    real = suites.Case

    def made(*args, **given) -> Case:
        case = real(*args, **given)
        return Case(**{**vars(case), "batch": 8, "images": case.images[:8]})

    monkeypatch.setattr(suites, "Case", made)


@pytest.mark.usefixtures("tiny")
def test_a_suite_from_photographs_to_files(photo_folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    report = bench.run(
        ["cifar"], QUICK, opponents=["torchvision"], images=photo_folder, say=said.append
    )
    (case,) = report.cases
    assert {row.opponent for row in case.rows} == {"mixwell", "torchvision"}
    assert [row.status for row in case.rows] == ["timed"] * len(case.rows), case.rows
    assert said and report.inputs.startswith("the photographs in photos")
    files = bench.write(report, tmp_path / "out")
    assert [f.name for f in files] == ["results.json", "results.md", "plot.png"]
    assert json.loads(files[0].read_text())["options"]["suites"] == ["cifar"]


def test_mixing_alone(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixwell.bench.stacks.copy_gb_s", lambda *_: 10.0)
    names = ["torchvision", "torch"]
    report = bench.run(["mix"], QUICK, opponents=names, images=photo_folder)
    assert [case.name for case in report.cases] == [
        "mixup float32",
        "mixup uint8",
        "cutmix float32",
        "cutmix uint8",
    ]
    for case in report.cases:
        assert [row.status for row in case.rows] == ["timed"] * 3, case.rows
        assert all(row.extra["share_of_copy_1"] > 0 for row in case.rows)


@pytest.mark.parametrize("op", OPS)
def test_each_op_is_the_same_op(op: str) -> None:
    """mixwell's and torchvision's pixels agree, so that their times can be compared."""
    images = [smooth(seed, 32, 32) for seed in range(3)]
    rows = ops._rows(op, images, ("mixwell", "torchvision"), bench.Options(rounds=1))
    assert [(row.status, row.label) for row in rows] == [("timed", "")] * 2, rows
    assert op in RANDOM or rows[0].times


def test_a_difference_is_said_of_what_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two forms the fastest is timed, and its pixels are spoken of, not the other's."""
    images = [smooth(seed, 32, 32) for seed in range(3)]
    right = 255 - np.stack(images)
    other = (right // 2).astype(np.uint8)

    def made(op: str, images: list[np.ndarray]) -> list[Made]:
        return [Made(lambda p=p: p, np.asarray, words) for p, words in
                ((right, "first"), (other, "second"))]  # fmt: skip

    for fast in ("first", "second"):
        monkeypatch.setattr("mixwell.bench.ops.of_mixwell.make", made)
        monkeypatch.setattr(ops, "_seconds", lambda m, fast=fast: 1.0 + (m.settings != fast))
        (row,) = ops._rows("invert", images, ("mixwell",), bench.Options(rounds=1))
        assert row.times[0].settings == fast and bool(row.label) == (fast == "second")


def test_photographs_are_all_different(photo_folder: Path) -> None:
    made = inputs.photos(7, photo_folder, (20, 15))
    assert {image.shape for image in made} == {(15, 20, 3)}
    assert len({image.tobytes() for image in made}) == 7
    again = inputs.photos(7, photo_folder, (20, 15))
    assert all(np.array_equal(a, b) for a, b in zip(made, again, strict=True))


def test_jpeg_folders(photo_folder: Path, tmp_path: Path) -> None:
    Image.new("L", (30, 30)).save(photo_folder / "grey.jpg")  # not in three channels: left out
    linked = inputs.jpeg_folder(tmp_path / "a", 8, photo_folder, classes=4)
    files = sorted(linked.rglob("*.jpg"))
    assert len(files) == 8 and all(f.is_symlink() for f in files)
    assert len(list(linked.iterdir())) == 4
    large = inputs.jpeg_folder(tmp_path / "b", 2, photo_folder, large=True)
    with Image.open(next(large.rglob("*.jpg"))) as image:
        assert image.size == inputs.LARGE_WH


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image files"):
        inputs.files_in(tmp_path)
    with pytest.raises(DataError, match="must be a folder"):
        inputs.files_in(tmp_path / "absent")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown suite 'fast'; there are randaug"):
        bench.run(["fast"], QUICK)
    with pytest.raises(ValueError, match="unknown opponent 'me'"):
        bench.run(["crop"], QUICK, opponents=["me"])


def test_the_machine_is_described() -> None:
    machine = describe()
    assert machine["cores"] >= 1 and "torch" in machine["versions"] and machine["date"]
    assert copy_gb_s(1, megabytes=1, tries=1) > 0
