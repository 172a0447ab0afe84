"""`preview_boxes`: a sheet of a detection set, and what became of its boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixwell._errors import DataError, PolicyError
from mixwell.preview_boxes import _policy, preview_boxes
from mixwell.recipes.detection.policies import GREY


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


@pytest.mark.parametrize("name", ["detect-lsj", "detect-ssd", "detect-copypaste"])
def test_ready_made_policies_paint_grey_beside_images(tmp_path: Path, name: str) -> None:
    """A level of 0.5 would be black on bytes."""
    out = tmp_path / "boxes.png"
    preview_boxes(name, "embedded", out, copies=6)
    with Image.open(out) as image:
        grey = (np.asarray(image.convert("RGB")) == GREY).all(axis=2)
    assert grey.mean() > 0.01


def test_the_digits_of_a_preview_are_not_mirrored(tmp_path: Path) -> None:
    assert "HorizontalFlip" not in repr(_policy("detect-plain", [np.zeros((3, 8, 9))], flip=False))
    plain = preview_boxes("detect-plain", "embedded", tmp_path / "a.png", copies=2)
    assert plain.boxes_out == 2 * plain.boxes_in
