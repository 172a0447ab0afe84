"""The command line, run in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from mixwell.cli import main


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line with words, as a shell would."""
    monkeypatch.delenv("MIXWELL_TRACEBACK", raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*words: object) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three image files of one size."""
    return [write_image(tmp_path / f"photo{i}.png", seed=i) for i in range(3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of two classes, four images each in train/ and val/."""
    root = tmp_path / "images"
    for split in ("train", "val"):
        for label, name in enumerate(("cats", "dogs")):
            (root / split / name).mkdir(parents=True)
            for i in range(4):
                write_image(root / split / name / f"{i}.png", seed=4 * label + i)
    return root


def write_image(path: Path, seed: int = 0, side: int = 24) -> Path:
    """A file of random pixels."""
    pixels = np.random.default_rng(seed).integers(1, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path
