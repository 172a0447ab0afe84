"""Small data sets on disk, drawn for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def class_map(index: int, size_hw: tuple[int, int] = (24, 32), classes: int = 3) -> np.ndarray:
    """uint8 [H, W]: vertical stripes that move with the index."""
    columns = (np.arange(size_hw[1]) // 5 + index) % classes
    return np.broadcast_to(columns, size_hw).astype(np.uint8)


def painting(classes: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3]: a colour for each class."""
    colors = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [200, 200, 30]], np.uint8)
    return colors[np.where(classes == 255, 3, classes % 4)]


def save(path: Path, pixels: np.ndarray, palette: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette is not None:
        image = image.convert("L")
        image.putpalette(palette.reshape(-1).tolist())
    image.save(path)


def pairs(
    images: Path, masks: Path, count: int, *, start: int = 0, ending: str = "", **how
) -> None:
    """Numbered images and their masks."""
    for index in range(start, start + count):
        classes = class_map(index, **how)
        save(images / f"{index:03}.png", painting(classes))
        save(masks / f"{index:03}{ending}.png", classes)
