"""The TPU reference's AutoAugment v0: its table, its levels, and its formulas as scalar loops.

TensorFlow is not installed. Table and levels are compared with timm's port of them; pixels with the
formulas of its source, written out below. Unproven: that TensorFlow computes these formulas to the
last bit, and reads ties between two pixels as they do.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from timm.data import auto_augment as aa

from mixwell._errors import PolicyError
from mixwell.compat import tf_tpu
from mixwell.policy.spaces import space
from tests.compat.harness import done, edit_of, photos
from tests.compat.parity import PARITY, TF_TPU, difference, within

GREY = 128
REACH = {"Rotate": 30.0, "ShearX": 0.3, "ShearY": 0.3, "TranslateX": 250.0, "TranslateY": 250.0}


def test_the_table_is_the_one_that_timm_took_over():
    made = aa.auto_augment_policy("v0")
    want = [[(op.name.removesuffix("Rel"), op.prob, op.magnitude) for op in sub] for sub in made]
    ours = tf_tpu.auto_augment().sub_policies
    levelled = {name for name, level in aa.LEVEL_TO_ARG.items() if level}
    assert len(ours) == len(want) == 25
    for sub, his in zip(ours, want, strict=True):
        for (name, p, magnitude), (his_name, his_p, his_magnitude) in zip(sub, his, strict=True):
            assert (name, p) == (his_name, his_p)
            assert name not in levelled or magnitude == his_magnitude


def test_the_levels_are_those_that_timm_took_over(monkeypatch):
    monkeypatch.setattr(aa, "_randomly_negate", lambda v: v)
    t, hw = np.arange(11) / 10, np.full((11, 2), (60, 40))
    for name, entry in space("tf-tpu").entries.items():
        level_fn = aa.LEVEL_TO_ARG[name]
        want = [level_fn(m, {"translate_const": 250})[0] if level_fn else 0 for m in range(11)]
        assert np.array_equal(entry.level(t, np.ones(11), hw), np.array(want, np.float64)), name
        assert (name, "tf_tpu", "formulas") in PARITY
    assert {name for name, _, _ in TF_TPU} == set(space("tf-tpu").names)


def test_it_fills_with_grey_and_reads_the_nearest():
    op = tf_tpu.auto_augment("v0")
    assert op.fill == (GREY, GREY, GREY) and op.interp == "nearest"
    with pytest.raises(PolicyError, match='only policy is "v0"'):
        tf_tpu.auto_augment("v1")


# -------------------------------------------------------------------------------- its formulas


def moved(image: np.ndarray, a: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """contrib.image.transform: coordinates count from centres, and round half away from zero.

    Returns:
        The image, and bool [H, W]: where two pixels are about equally near.
    """
    height, width = image.shape[:2]
    out, tie = np.full_like(image, GREY), np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            there = (a[0] * x + a[1] * y + a[2], a[3] * x + a[4] * y + a[5])
            i, j = (math.floor(abs(v) + 0.5) * (1 if v >= 0 else -1) for v in there)
            tie[y, x] = any(abs(v % 1 - 0.5) < 0.002 for v in there)
            if 0 <= i < width and 0 <= j < height:
                out[y, x] = image[j, i]
    return out, tie


def geometry(op: str, level: float, hw: tuple[int, int]) -> list[float]:
    height, width = hw
    if op == "Rotate":
        turn = math.radians(level)
        c, s, w, h = math.cos(turn), math.sin(turn), width - 1, height - 1
        return [c, -s, (w - (c * w - s * h)) / 2, s, c, (h - (s * w + c * h)) / 2]
    return {
        "ShearX": [1, level, 0, 0, 1, 0],
        "ShearY": [1, 0, 0, level, 1, 0],
        "TranslateX": [1, 0, level, 0, 1, 0],
        "TranslateY": [1, 0, 0, 0, 1, level],
    }[op]


@pytest.mark.parametrize("op", REACH)
def test_geometry(op):
    t, plain = np.array([0.0, 0.1, 0.3, 0.7, 1.0]), 0.0
    images = [photos()[name] for name in ("odd", "tiny", "pixel")]
    if op.startswith("Translate"):  # up to 250 px
        images.append(np.tile(photos()["odd"], (5, 3, 1))[:252, :252])
    for image in images:
        hw = image.shape[:2]
        got = done(image, edit_of("tf-tpu", op, t, hw, "nearest", (GREY,) * 3))
        levels = [sign * v * REACH[op] for v in t for sign in (1, -1)]
        both = [moved(image, geometry(op, v, hw)) for v in levels]
        want, tie = (np.stack([pair[i] for pair in both]) for i in (0, 1))
        assert np.array_equal(got[~tie], want[~tie])
        found = difference(got, want)
        assert within(found, (op, "tf_tpu", "formulas")), found
        plain += (~tie).mean() / len(images)
    assert plain > 0.9


def color(image: np.ndarray, factor: float) -> np.ndarray:
    """rgb_to_grayscale through floats 0 .. 1 and back, then a blend cut to whole levels."""
    weights = np.array([0.2989, 0.587, 0.114], np.float32)
    grey = (image.astype(np.float32) * np.float32(1 / 255)) @ weights
    grey = np.clip(grey * np.float32(255.5), 0, 255).astype(np.uint8).astype(np.float32)[..., None]
    return np.clip(grey + np.float32(factor) * (image - grey), 0, 255).astype(np.uint8)


def autocontrast(image: np.ndarray) -> np.ndarray:
    out = image.copy()
    for channel in range(3):
        values = image[..., channel].astype(np.float32)
        low, high = values.min(), values.max()
        if high > low:
            scale = np.float32(255.0) / (high - low)
            out[..., channel] = np.clip(values * scale + -low * scale, 0, 255).astype(np.uint8)
    return out


def equalize(image: np.ndarray) -> np.ndarray:
    out = image.copy()
    for channel in range(3):
        counts = np.bincount(image[..., channel].ravel(), minlength=256)
        step = (counts.sum() - counts[counts > 0][-1]) // 255
        if step:
            table = (np.cumsum(counts) + step // 2) // step
            table = np.clip(np.concatenate([[0], table[:-1]]), 0, 255)
            out[..., channel] = table[image[..., channel]]
    return out


def toned(op: str, image: np.ndarray, m: int) -> np.ndarray:
    level, wide = m / 10, image.astype(np.int64)
    if op == "SolarizeAdd":
        added = np.clip(wide + int(level * 110), 0, 255)
        return np.where(wide < 128, added, wide).astype(np.uint8)
    if op == "Posterize":
        shift = 8 - int(level * 4)
        return ((wide >> shift) << shift).astype(np.uint8)
    if op == "Solarize":
        return np.where(wide < int(level * 256), wide, 255 - wide).astype(np.uint8)
    if op == "Color":
        return color(image, level * 1.8 + 0.1)
    if op == "Invert":
        return 255 - image
    return equalize(image) if op == "Equalize" else autocontrast(image)


@pytest.mark.parametrize("op", [op for op in space("tf-tpu").names if op not in REACH])
def test_tones(op):
    t, largest = np.arange(11) / 10, 0.0
    for photo, image in photos().items():
        got = done(image, edit_of("tf-tpu", op, t, image.shape[:2], "nearest"))[::2]
        found = difference(got, np.stack([toned(op, image, m) for m in range(11)]))
        assert within(found, (op, "tf_tpu", "formulas")), (photo, found)
        largest = max(largest, found.most)
    assert largest == PARITY[op, "tf_tpu", "formulas"].most
