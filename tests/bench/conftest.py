"""Small inputs and small opponents for the benchmark's own tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mixwell.bench.base import MEAN, STD, Batch, Batches, Case, Way
from mixwell.bench.result import CaseResult, Report, Row, Times

BATCH = 8


def smooth(seed: int, height: int = 40, width: int = 48) -> np.ndarray:
    """A picture with dark and bright places, unlike any other."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    noise[0, 0], noise[-1, -1] = 3, 250
    return np.array(Image.fromarray(noise).resize((width, height), Image.Resampling.NEAREST))


@pytest.fixture
def images() -> list[np.ndarray]:
    return [smooth(seed) for seed in range(BATCH)]


@pytest.fixture
def case(images: list[np.ndarray]) -> Case:
    return Case("crop", "crop", "batch", BATCH, 32, "resized", False, ("mixup", "cutmix"), images)


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        Image.fromarray(smooth(seed, 64, 80)).save(folder / f"{seed}.jpg", quality=95)
    return folder


def normalised(images: list[np.ndarray], side: int = 32) -> torch.Tensor:
    """What an honest opponent makes: the upper left corner."""
    x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)[:, :, :side, :side].float() / 255
    return (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def way_of(make: Callable[[bool], Batch], **more) -> Way:
    """A way that makes one batch again and again."""

    @contextmanager
    def opened(threads: int, mixing: bool) -> Iterator[Batches]:
        yield lambda n: (make(mixing) for _ in range(n))

    return Way("made up", opened, **more)


class Fake:
    """An opponent with given ways, under the name of a package that is installed."""

    package = "torch"

    def __init__(self, name: str, *ways: Way) -> None:
        self.name, self.given = name, list(ways)

    def ways(self, case: Case) -> list[Way]:
        return self.given


def report_of(*cases: CaseResult) -> Report:
    machine = {
        "cpu": "a processor",
        "cores": 2,
        "system": "Linux x86_64",
        "versions": {"torch": "2"},
        "python": "3.11",
        "date": "2026-01-01",
        "commit": "abc",
        "load": 0.0,
    }
    return Report(machine, {"rounds": 3, "threads": 2, "quick": False}, "two photographs", [*cases])


@pytest.fixture
def result() -> CaseResult:
    def times(*values: float) -> list[Times]:
        plain = Times(1, False, list(values), "a loop")
        return [plain, Times(2, True, [v / 2 for v in values], "two workers", "torch in place")]

    rows = [
        Row("mixwell", "1", times=times(1.0, 2.0, 1.0)),
        Row("other", "2", times=times(3.0, 6.0, 3.5)),
        Row("other", "2", "one draw per batch", times=times(0.5, 0.5, 0.5)),
        Row("absent", "", status="missing", reason="not installed: pip install 'mixwell[bench]'"),
        Row("wrong", "3", status="refused", reason="images are not normalised"),
    ]
    return CaseResult("crop", "crop", "ms/image", 8, rows, {"bound_ms": 0.25})
