"""`preview_boxes`: a sheet of a detection set, and what became of its boxes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mixwell._errors import DataError, PolicyError
from mixwell.preview_boxes import preview_boxes


def test_nothing_is_lost_in_a_mirror(tmp_path: Path) -> None:
    out = tmp_path / "sheets" / "boxes.png"
    found = preview_boxes("Policy(HorizontalFlip())", "embedded", out, images=2, copies=2)
    assert found.sheet == out and found.boxes_in > 0
    assert found.boxes_out == 2 * found.boxes_in and not found.lost
    with Image.open(out) as image:
        assert image.width > image.height > 100  # two rows of three pictures


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        preview_boxes("Policy(Nothing())", "embedded", tmp_path / "a.png")
    with pytest.raises(DataError):
        preview_boxes("Policy()", tmp_path, tmp_path / "a.png")
