"""The linear probe that fine-tuning is measured against."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import probe
from mixwell.recipes.models import build_model


@pytest.fixture(autouse=True)
def _as_it_was():
    """The script sets PyTorch up for a whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_every_c_is_written_and_classes_apart_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 3)):
        for low, name in ((0, "dark"), (128, "light")):
            folder = tmp_path / "shades" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(low, low + 128, (24, 30, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    torch.manual_seed(0)
    torch.save(build_model("resnet20", 10).state_dict(), tmp_path / "known.pth")
    out = tmp_path / "probe.json"
    words = ["--data", tmp_path / "shades", "--model", "resnet20"]
    words += ["--weights", tmp_path / "known.pth", "--sizes", 16, 24, "--out", out]
    monkeypatch.setattr(sys, "argv", ["probe.py", *map(str, words)])
    monkeypatch.setattr(probe, "REPEATS", 1)
    probe.main()
    written = json.loads(out.read_text())
    settings = written["settings"]
    assert (settings["data"], settings["weights"]) == ("shades", "known.pth")
    assert str(tmp_path) not in out.read_text()
    rows = written["rows"]
    wanted = [(size, c) for size in (16, 24) for c in probe.STRENGTHS]
    assert [(row["size"], row["C"]) for row in rows] == wanted
    assert all(row["test"] == row["test_tta"] == row["folds"] == 1.0 for row in rows[:3])
    assert rows[0]["folds_loss"] < rows[4]["folds_loss"]
