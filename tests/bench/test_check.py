"""The check before the clock: right work passes, every kind of less work is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixwell.bench.base import Batch, Case
from mixwell.bench.check import (
    ENOUGH_TO_TELL,
    Refused,
    check_mixed,
    check_plain,
    compare,
    filled_corners,
)
from tests.bench.conftest import BATCH, normalised, smooth

NUMBERS = torch.arange(BATCH)


def soft(first: float = 0.7, rows: int = BATCH) -> torch.Tensor:
    """Each row's own class and its neighbour's."""
    made = torch.zeros(BATCH, 1000)
    made[NUMBERS, NUMBERS] = 1.0
    for i in range(rows):
        made[i, i], made[i, (i + 1) % BATCH] = first, 1 - first
    return made


def test_right_batches_pass(case: Case) -> None:
    x = normalised(list(case.images))
    check_plain(Batch(x, NUMBERS), case)
    check_plain(Batch(x, torch.eye(BATCH, 1000)), case)
    check_mixed(Batch(x, soft()), case)


def flat(x: torch.Tensor) -> torch.Tensor:
    return x[:1].expand_as(x).contiguous()


WRONG_PIXELS = {
    "not normalised": (lambda x: x.sigmoid(), "not normalised"),
    "still 0 .. 255": (lambda x: x * 255, "range"),
    "half": (lambda x: x.half(), "float32"),
    "an array": (lambda x: x.numpy(), "float32"),
    "channels last": (lambda x: x.permute(0, 2, 3, 1), "float32"),
    "another size": (lambda x: x[..., :30], "float32"),
    "too few": (lambda x: x[:-1], "float32"),
    "not finite": (lambda x: x.log(), "finite"),
    "one image for all": (flat, "copies"),
}


@pytest.mark.parametrize(("spoil", "words"), WRONG_PIXELS.values(), ids=WRONG_PIXELS)
def test_wrong_pixels_are_refused(case: Case, spoil, words: str) -> None:
    x = spoil(normalised(list(case.images)))
    with pytest.raises(Refused, match=words):
        check_plain(Batch(x, NUMBERS), case)


WRONG_LABELS = {
    "sums": (soft() * 0.9, "sum to 1"),
    "negative": (soft(1.2), "shares"),
    "not mixed": (soft(rows=2), "mixed"),
    "numbers": (NUMBERS, "must be"),
    "an array": (np.ones((BATCH, 1000)), "must be"),
}


@pytest.mark.parametrize(("y", "words"), WRONG_LABELS.values(), ids=WRONG_LABELS)
def test_wrong_mixed_labels_are_refused(case: Case, y, words: str) -> None:
    with pytest.raises(Refused, match=words):
        check_mixed(Batch(normalised(list(case.images)), y), case)


@pytest.mark.parametrize("y", [NUMBERS * 0, NUMBERS[:-1]], ids=["all alike", "too few"])
def test_wrong_plain_labels_are_refused(case: Case, y: torch.Tensor) -> None:
    with pytest.raises(Refused, match="labels"):
        check_plain(Batch(normalised(list(case.images)), y), case)


def test_labels_of_other_images_are_refused() -> None:
    images = [smooth(seed) for seed in range(ENOUGH_TO_TELL)]
    count = len(images)
    case = Case("crop", "crop", "batch", count, 32, "resized", False, (), images)
    x = normalised(images)
    check_plain(Batch(x, torch.arange(count)), case)
    with pytest.raises(Refused, match="likeness"):
        check_plain(Batch(x, torch.arange(count).roll(1)), case)


def test_missing_randaugment_is_seen(images: list[np.ndarray]) -> None:
    case = Case("randaug", "randaug", "batch", BATCH, 32, "resized", True, (), images)
    x = normalised([np.maximum(image, 8) for image in images])
    with pytest.raises(Refused, match="RandAugment"):
        check_plain(Batch(x, NUMBERS), case)
    check_plain(Batch(x, NUMBERS), case, per_image=False)


def test_a_draw_for_all_may_darken_a_whole_batch(images: list[np.ndarray]) -> None:
    case = Case("crop", "crop", "batch", BATCH, 32, "resized", False, (), images)
    x = normalised([image // 8 for image in images])
    with pytest.raises(Refused, match="not normalised"):
        check_plain(Batch(x, NUMBERS), case)
    check_plain(Batch(x, NUMBERS), case, per_image=False)


def test_black_corners_are_counted(images: list[np.ndarray]) -> None:
    light = [np.maximum(image, 8) for image in images]
    light[2][:4, :4] = 0
    assert filled_corners(normalised(light)).tolist() == [i == 2 for i in range(BATCH)]


def test_ops_are_compared() -> None:
    source = np.full((2, 4, 4, 3), 100, np.uint8)
    assert compare(source + 20, source + 20, source) == ""
    assert compare(source + 21, source + 20, source) == ""
    assert compare(source + 40, source + 20, source) == "pixels differ by 20 levels"
    for made, words in (
        (source, "unchanged"),
        (source[:, :3], "expected"),
        (source.astype(np.float32), "expected"),
    ):
        with pytest.raises(Refused, match=words):
            compare(made, source + 20, source)
