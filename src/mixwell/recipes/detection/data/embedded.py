"""Handwritten digits pasted on photographs: exact boxes and masks, without a download.

The digits are scikit-learn's (8 x 8 px, enlarged), the photographs its two sample images, of which
random cuts are the backgrounds. Everything an image shows is a function of (seed, part, index), so
images are made when asked for and never stored. Training and test show different digits, on cuts of
the same photographs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mixwell import DataError
from mixwell.recipes.data.byname import load_dataset
from mixwell.recipes.detection.data.sets import Target

PARTS = ("train", "test")
CLASSES = tuple("0123456789")

_INK = 0.4
"""Share of full ink from which an enlarged pixel belongs to the digit."""
_TRIES = 4
"""Places tried for each digit before it is left out."""
_PER_IMAGE, _PER_DIGIT = 6, 5
_LEAST_PX = 8
"""Side of the smallest digit: that of the originals."""


class EmbeddedDigits:
    """Digits on photographs; see `DetectionSet`.

    A digit is drawn where its enlarged glyph has at least 0.4 of full ink, and nowhere else: its
    mask and its box are exact. Later digits hide earlier ones, whose mask and box are what is
    left; a place where an earlier digit would be hidden by more than `max_hidden` is not taken.
    Ink is dark on light ground and light on dark ground, in any hue.

    Args:
        images: how many images there are.
        part: "train" (1,442 digits) or "test" (355 others).
        seed: 0 .. 2**64 - 1; another set of images.
        size_hw: height and width of the images, px.
        objects: fewest and most digits drawn for an image, each count as likely; crowded images
            may show fewer.
        scales: smallest and largest side of a digit's 8 x 8 field, as a share of the image's
            shorter side; sizes in between are log-uniform. The ink itself is a little smaller.
        max_hidden: largest share of a digit that others may hide.

    Raises:
        DataError: an option outside its range.
        ImportError: scikit-learn is not installed.
    """

    classes = CLASSES
    category_ids = tuple(range(1, 11))
    kind = "embedded"

    def __init__(
        self,
        images: int = 2000,
        part: Literal["train", "test"] = "train",
        *,
        seed: int = 0,
        size_hw: tuple[int, int] = (256, 256),
        objects: tuple[int, int] = (0, 6),
        scales: tuple[float, float] = (0.15, 0.4),
        max_hidden: float = 0.6,
    ) -> None:
        _check(images, part, seed, size_hw, objects, scales, max_hidden)
        self.images, self.part, self.seed = images, part, seed
        self.size_hw, self.objects = (int(size_hw[0]), int(size_hw[1])), objects
        self.scales, self.max_hidden = scales, max_hidden
        self.skipped: dict[str, list[str]] = {}
        self.notes: dict[str, list[str]] = {}

    def __len__(self) -> int:
        """Number of images."""
        return self.images

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        """Make image ``index``: uint8 ``[3, H, W]``, and its target."""
        index = range(self.images)[index]
        ink, labels = _digits(self.part)
        draws = self._draws(index)
        canvas = self._background(draws[:_PER_IMAGE])
        fewest, most = self.objects
        count = fewest + int(draws[_PER_IMAGE - 1] * (most - fewest + 1))
        own = draws[_PER_IMAGE:].reshape(-1, _PER_DIGIT + 2 * _TRIES)[:count]
        scene = _Scene(canvas, self.max_hidden)
        low, high = (scale * min(self.size_hw) for scale in self.scales)
        for draw in own:
            digit = int(draw[0] * len(ink))
            side = max(round(float(low * (high / low) ** draw[1])), _LEAST_PX)
            scene.paste(ink[digit], int(labels[digit]) + 1, side, draw[2:])
        image = torch.from_numpy(canvas).permute(2, 0, 1).contiguous()
        return image, scene.target(index)

    def target(self, index: int) -> Target:
        """The target of image ``index``; the image is made for it."""
        return self[index][1]

    def __repr__(self) -> str:
        """``EmbeddedDigits(2000 train images 256x256 | 0..6 digits | seed 0)``."""
        (height, width), (fewest, most) = self.size_hw, self.objects
        text = f"{self.images} {self.part} images {height}x{width} | {fewest}..{most} digits"
        return f"EmbeddedDigits({text} | seed {self.seed})"

    def _draws(self, index: int) -> np.ndarray:
        """The image's random numbers, float64 in 0 .. 1; NumPy keeps raw Philox words the same."""
        most = self.objects[1]
        words = np.random.Philox(
            key=np.array([self.seed, index], np.uint64),
            counter=np.array([0, 0, 0, PARTS.index(self.part)], np.uint64),
        ).random_raw(_PER_IMAGE + most * (_PER_DIGIT + 2 * _TRIES))
        return (words >> np.uint64(11)) * 2.0**-53

    def _background(self, draws: np.ndarray) -> np.ndarray:
        """A cut of a photograph, maybe mirrored: 0.4 .. 1 of the largest there is room for."""
        photos = _photos()
        photo = photos[int(draws[0] * len(photos))]
        height, width = self.size_hw
        most = min(photo.width / width, photo.height / height)
        scale = most * (0.4 + 0.6 * draws[1])
        w, h = width * scale, height * scale
        x, y = draws[2] * (photo.width - w), draws[3] * (photo.height - h)
        cut = photo.resize((width, height), Image.Resampling.BILINEAR, box=(x, y, x + w, y + h))
        pixels = np.asarray(cut)
        return np.ascontiguousarray(pixels[:, ::-1]) if draws[4] < 0.5 else pixels.copy()


class _Scene:
    """A canvas on which digits are pasted, and which digit each pixel shows."""

    def __init__(self, canvas: np.ndarray, max_hidden: float) -> None:
        self.canvas, self.max_hidden = canvas, max_hidden
        self.owner: np.ndarray = np.zeros(canvas.shape[:2], np.uint8)
        """0 where no digit shows, else its number from 1."""
        self.labels: list[int] = []
        self.whole: list[int] = []
        """Pixels of each digit, hidden or not."""

    def paste(self, ink: np.ndarray, label: int, side: int, draws: np.ndarray) -> None:
        """Draw a digit at the first of several places where it hides no other too much."""
        glyph, mask = _enlarged(ink, side)
        height, width = self.owner.shape
        h, w = mask.shape
        if h > height or w > width:
            return
        for u, v in draws[3:].reshape(_TRIES, 2):
            y, x = int(v * (height - h + 1)), int(u * (width - w + 1))
            window = slice(y, y + h), slice(x, x + w)
            if self._hides_too_much(window, mask):
                continue
            self._draw(window, glyph, mask, draws[:3])
            self.labels.append(label)
            self.whole.append(int(mask.sum()))
            self.owner[window][mask] = len(self.labels)
            return

    def _hides_too_much(self, window: tuple[slice, slice], mask: np.ndarray) -> bool:
        below = self.owner[window][mask]
        if not below.any():
            return False
        lost = np.bincount(below, minlength=len(self.labels) + 1)[1:]
        shown = np.bincount(self.owner.reshape(-1), minlength=len(self.labels) + 1)[1:]
        least = (1 - self.max_hidden) * np.array(self.whole)
        return bool(((shown - lost < least) & (lost > 0)).any())

    def _draw(
        self, window: tuple[slice, slice], glyph: np.ndarray, mask: np.ndarray, color: np.ndarray
    ) -> None:
        """Ink is at least 57 levels from the mean ground; thin ink lets some of it through."""
        ground = self.canvas[window]
        below = ground[mask].astype(np.float32)
        dark = below.mean() > 127
        ink = color * 70 if dark else 255 - color * 70
        cover = np.minimum(glyph[mask] * 1.5, 1)[:, None]
        ground[mask] = np.rint(below + cover * (ink.astype(np.float32) - below)).astype(np.uint8)

    def target(self, image_id: int) -> Target:
        """Boxes around what shows, and all else that is known."""
        count = len(self.labels)
        numbers = np.arange(1, count + 1, dtype=np.uint8)
        masks = (self.owner == numbers[:, None, None]).view(np.uint8)
        boxes = np.zeros((count, 4), np.float32)
        for k, mask in enumerate(masks):
            columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
            boxes[k] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        return {
            "boxes": torch.from_numpy(boxes),
            "labels": torch.tensor(self.labels, dtype=torch.int64),
            "image_id": image_id,
            "iscrowd": torch.zeros(count, dtype=torch.int64),
            "area": torch.from_numpy(masks.sum(axis=(1, 2), dtype=np.int64)).float(),
            "masks": torch.from_numpy(masks),
        }


def _enlarged(ink: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A digit enlarged to a side, cut to its ink: cover 0 .. 1 (float32), and where it counts."""
    large = Image.fromarray(ink).resize((side, side), Image.Resampling.BICUBIC)
    cover = np.asarray(large, np.float32) / 255
    mask = cover >= _INK
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return cover[window], mask[window]


@lru_cache(maxsize=2)
def _digits(part: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [N, 8, 8] with the most ink of each at 255, and int64 [N]."""
    data = load_dataset("digits")
    chosen = data.train if part == "train" else data.test
    ink = np.stack([image[0].numpy() for image, _ in chosen]).astype(np.float32)  # type: ignore[attr-defined]
    full = ink.max(axis=(1, 2), keepdims=True)
    return np.rint(ink * (255 / full)).astype(np.uint8), np.asarray(chosen.labels)


@lru_cache(maxsize=1)
def _photos() -> tuple[Image.Image, ...]:
    from sklearn.datasets import load_sample_images

    return tuple(Image.fromarray(np.asarray(image)) for image in load_sample_images().images)


def _check(
    images: int,
    part: str,
    seed: int,
    size_hw: tuple[int, int],
    objects: tuple[int, int],
    scales: tuple[float, float],
    max_hidden: float,
) -> None:
    rules = {
        f"images of at least 1, got {images}": images >= 1,
        f"part 'train' or 'test', got {part!r}": part in PARTS,
        f"seed in 0 .. 2**64 - 1, got {seed}": 0 <= seed < 2**64,
        f"size_hw of at least {_LEAST_PX} px, got {size_hw}": min(size_hw) >= _LEAST_PX,
        f"objects as (fewest, most) in 0 .. 255, got {objects}": 0
        <= objects[0]
        <= objects[1]
        <= 255,
        f"scales as (smallest, largest) in 0 .. 1, got {scales}": 0 < scales[0] <= scales[1] <= 1,
        f"max_hidden from 0 to below 1, got {max_hidden}": 0 <= max_hidden < 1,
    }
    broken = next((rule for rule, kept in rules.items() if not kept), None)
    if broken:
        raise DataError(f"EmbeddedDigits needs {broken}.")
