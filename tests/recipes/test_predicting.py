"""Images that `mixwell predict` reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mixwell.recipes.data.decode import decode_rgb
from mixwell.recipes.predicting import readable


def test_a_damaged_exif_block_is_nothing_to_speak_of(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (6, 4)).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0")
    with pytest.warns(UserWarning, match="Corrupt EXIF data"):
        decode_rgb(path)
    skipped: dict[str, str] = {}
    assert [tuple(image.shape) for _, image in readable([path], skipped)] == [(3, 4, 6)]
    assert skipped == {} and not recwarn.list
