"""What is timed is looked at first: pixels and labels of each path, before any clock runs.

A path that makes less than its case asks for is refused, with the reason in the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mixwell.bench.base import MEAN, STD, Batch, Case

LEAST_FILLED = 0.15
"""Share of images with black that came in at a corner. RandAugment(2, 9) has 5 geometric ops of 14,
so 59 % of images have one; half of the shifts and a few shears leave the corners as they were."""

LEAST_MIXED = 0.6
"""Share of rows with two classes after mixing. A weight from Beta(1, 1) is seldom 0 or 1."""

ENOUGH_TO_TELL = 64
LEAST_ALIKE = 0.25
"""Of `likeness`: labels that belong to other images of 128 reach this in 1 of 300 batches."""

MOST_AMISS = 0.1
"""Of a folder's labels: readers that shuffle in a buffer may reach into the next epoch."""

MOST_DIFFERENT = 3.0
"""Levels of 255, mean over a picture: more is another operation, and is said so."""


class Refused(Exception):
    """A path does not do what its case asks for."""


def check_plain(batch: Batch, case: Case, *, per_image: bool = True) -> None:
    """A batch without mixing: form, range, labels, and traces of what should have been done.

    Args:
        batch: what was made.
        case: what was asked for.
        per_image: whether images have draws of their own; one batch shows no chances otherwise.

    Raises:
        Refused: saying what is wrong.
    """
    x = _check_pixels(batch.x, case, per_image=per_image)
    y = torch.as_tensor(batch.y)
    numbers = y.argmax(1) if y.ndim == 2 else y
    if len(numbers) != case.batch:
        raise Refused(f"{case.batch} labels expected, got {len(numbers)}")
    if case.kind == "batch" and sorted(numbers.tolist()) != list(range(case.batch)):
        raise Refused("the labels are not those of the images")
    if case.kind == "batch":
        _check_who(x, numbers, case)
    if case.randaug and per_image:
        share = float(filled_corners(x).float().mean())
        if share < LEAST_FILLED:
            raise Refused(f"only {share:.0%} of the images show a geometric op of RandAugment")


def check_folder(labels: Sequence[Any], case: Case) -> None:
    """Labels of all batches of a folder, unmixed: each class as often as it has files.

    Raises:
        Refused: saying what is wrong.
    """
    assert case.folder is not None
    homes = sorted(home for home in case.folder.iterdir() if home.is_dir())
    files = np.array([len(list(home.iterdir())) for home in homes])
    found = [torch.as_tensor(y) for y in labels]
    numbers = torch.cat([y.argmax(1) if y.ndim == 2 else y for y in found]).numpy()
    counts = np.bincount(numbers, minlength=len(files))
    amiss = np.abs(counts[: len(files)] - files).sum() + counts[len(files) :].sum()
    if amiss > MOST_AMISS * files.sum():
        raise Refused(f"classes of {files.tolist()} files came {counts.tolist()} times")


def check_mixed(batch: Batch, case: Case) -> None:
    """A mixed batch: form, range, and labels that are shares of the batch's classes.

    Raises:
        Refused: saying what is wrong.
    """
    _check_pixels(batch.x, case)
    check_shares(batch.y, case)


def check_shares(y: Any, case: Case) -> None:
    """Soft labels: rows sum to 1 and mostly hold two classes.

    Raises:
        Refused: saying what is wrong.
    """
    if not isinstance(y, torch.Tensor) or y.shape != (case.batch, case.classes):
        raise Refused(
            f"labels must be [{case.batch}, {case.classes}], got {tuple(np.shape(y))} "
            f"of {type(y).__name__}"
        )
    worst = float((y.sum(1) - 1).abs().max())
    if worst > 1e-3 or float(y.min()) < 0:
        raise Refused(f"label rows must be shares that sum to 1, off by {worst:.3f}")
    if case.kind != "folder":
        mixed = float(((y > 0).sum(1) > 1).float().mean())
        if mixed < LEAST_MIXED:
            raise Refused(f"only {mixed:.0%} of the label rows are mixed")


def _check_pixels(x: Any, case: Case, *, per_image: bool = True) -> torch.Tensor:
    shape = (case.batch, 3, case.side, case.side)
    if not isinstance(x, torch.Tensor) or tuple(x.shape) != shape or x.dtype != torch.float32:
        got = f"{getattr(x, 'dtype', type(x).__name__)} {tuple(np.shape(x))}"
        raise Refused(f"images must be float32 {shape}, got {got}")
    if not bool(torch.isfinite(x).all()):
        raise Refused("images are not finite")
    low = (0 - torch.tensor(MEAN)) / torch.tensor(STD)
    high = (1 - torch.tensor(MEAN)) / torch.tensor(STD)
    least, most, mean = x.amin((0, 2, 3)), x.amax((0, 2, 3)), x.mean((0, 2, 3))
    if bool((least < low - 0.02).any()) or bool((most > high + 0.02).any()):
        raise Refused("images leave the range that normalisation gives")
    # One draw of RandAugment for all can leave a whole batch black or white.
    if per_image and (bool((least > -0.5).any()) or float(mean.abs().max()) > 1.6):
        raise Refused("images are not normalised")
    return x


def _check_who(x: torch.Tensor, numbers: torch.Tensor, case: Case) -> None:
    """Every image is its own: no two alike, as an opponent that repeats one image would make."""
    small = torch.nn.functional.adaptive_avg_pool2d(x, 8).flatten(1)
    apart = torch.cdist(small, small) + torch.eye(len(x)) * 1e9
    copies = int((apart.min(1).values < 1e-4).sum())
    if copies > len(numbers) // 10:
        raise Refused(f"{copies} of {len(numbers)} images are copies of another")
    if len(x) >= ENOUGH_TO_TELL and not case.randaug:  # whose inversions hide the colours
        alike = likeness(x, [case.images[i] for i in numbers.tolist()])
        if alike < LEAST_ALIKE:
            raise Refused(f"the labels are not those of the images (likeness {alike:.2f})")


def likeness(x: torch.Tensor, sources: Sequence[np.ndarray]) -> float:
    """Correlation of mean colours, outputs with the images that their labels name."""
    made = x.mean((2, 3)).double().numpy()
    given = np.stack([source.mean((0, 1)) for source in sources])
    a, b = made - made.mean(0), given - given.mean(0)
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def filled_corners(x: torch.Tensor) -> torch.Tensor:
    """bool [B]: whether one of the four corners is exactly black, 2 x 2 px of it."""
    black = (0 - torch.tensor(MEAN)) / torch.tensor(STD)
    dark = ((x - black.view(1, 3, 1, 1)).abs() < 1e-3).all(1)
    ends = (slice(0, 2), slice(-2, None))
    corners = [dark[:, rows, columns].flatten(1).all(1) for rows in ends for columns in ends]
    return torch.stack(corners).any(0)


def compare(made: np.ndarray, expected: np.ndarray, source: np.ndarray) -> str:
    """What to say of an op's pixels beside its figure, "" where they are as expected.

    Args:
        made: uint8 [N, H, W, 3].
        expected: what the reference makes.
        source: the inputs.

    Raises:
        Refused: another size or dtype, or nothing was done.
    """
    if made.shape != expected.shape or made.dtype != np.uint8:
        raise Refused(f"uint8 {expected.shape} expected, got {made.dtype} {made.shape}")
    if made.shape == source.shape and np.array_equal(made, source):
        if not np.array_equal(expected, source):
            raise Refused("the pixels are unchanged")
    off = float(np.abs(made.astype(np.int16) - expected).mean())
    return "" if off <= MOST_DIFFERENT else f"pixels differ by {off:.0f} levels"
