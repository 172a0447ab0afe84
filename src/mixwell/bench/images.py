"""The inputs: photographs at hand, or scikit-learn's two, cut so that no two images are alike."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mixwell._errors import DataError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
SIZE_WH = (500, 375)
LARGE_WH = (1920, 1440)
QUALITY = 90


def files_in(folder: Path) -> list[Path]:
    """Image files of a folder and what it holds, in a fixed order.

    Raises:
        DataError: there are none.
    """
    if not folder.is_dir():
        raise DataError(f"--images must be a folder of image files, got {folder}.")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(f"{folder} holds no image files ({', '.join(sorted(SUFFIXES))}).")
    return found


def sample_photos() -> list[Image.Image]:
    """The two photographs that come with scikit-learn.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_sample_images
    except ImportError:
        raise ImportError(
            "The benchmark takes scikit-learn's sample photographs, and scikit-learn is not "
            "installed. Run `pip install 'mixwell[bench]'`, or pass a folder with --images."
        ) from None
    return [Image.fromarray(np.asarray(a)) for a in load_sample_images().images]


def photos(count: int, folder: Path | None, size_wh: tuple[int, int] = SIZE_WH) -> list[np.ndarray]:
    """uint8 [H, W, 3]: `count` images of one size, no two the same."""
    return [np.array(image) for image in pictures(count, folder, size_wh)]


def pictures(
    count: int, folder: Path | None, size_wh: tuple[int, int] = SIZE_WH
) -> Iterator[Image.Image]:
    """`count` PIL images of one size: whole photographs first, then parts of them."""
    sources: Sequence[Path | Image.Image]
    sources = sample_photos() if folder is None else files_in(folder)
    numbers = np.random.default_rng(0)
    for k in range(count):
        source = sources[k % len(sources)]
        image = source if isinstance(source, Image.Image) else Image.open(source).convert("RGB")
        if k >= len(sources):
            image = part_of(image, numbers)
        yield ImageOps.fit(image, size_wh, Image.Resampling.BICUBIC)


def part_of(image: Image.Image, numbers: np.random.Generator) -> Image.Image:
    """Half to all of a photograph, perhaps mirrored."""
    width, height = image.size
    w, h = (int(v * numbers.uniform(0.5, 1.0)) for v in (width, height))
    left, top = int(numbers.integers(width - w + 1)), int(numbers.integers(height - h + 1))
    made = image.crop((left, top, left + w, top + h))
    return ImageOps.mirror(made) if numbers.random() < 0.5 else made


def jpeg_folder(
    target: Path, count: int, folder: Path | None, *, large: bool = False, classes: int = 8
) -> Path:
    """Class folders with `count` JPEG entries, made or linked.

    JPEG files of `folder` are linked as they are, and again when they are too few; without a
    folder, or where `large` wants more pixels than the files have, files are written.
    """
    given = [] if folder is None or large else jpegs_in(folder)
    fresh = iter(()) if given else pictures(count, folder, LARGE_WH if large else SIZE_WH)
    for k in range(count):
        home = target / f"class_{k % classes}"
        home.mkdir(parents=True, exist_ok=True)
        path = home / f"{k:05d}.jpg"
        if given:
            path.symlink_to(given[k % len(given)].resolve())
        else:
            path.write_bytes(encoded(next(fresh)))
    return target


def jpegs_in(folder: Path) -> list[Path]:
    """JPEG files in three channels."""
    found = [p for p in files_in(folder) if p.suffix.lower() in (".jpg", ".jpeg")]
    return [p for p in found if _mode(p) == "RGB"]


def encoded(image: Image.Image) -> bytes:
    """A JPEG file's bytes."""
    data = io.BytesIO()
    image.save(data, "JPEG", quality=QUALITY)
    return data.getvalue()


def _mode(path: Path) -> str:
    with Image.open(path) as image:
        return image.mode
