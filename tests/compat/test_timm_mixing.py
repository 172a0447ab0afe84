"""The chances of timm's Mixup and RandomErasing, against draws recorded from the library itself.

As in `test_timm_draws`: 8,000 draws by default, 120,000 with `pytest -m slow tests/compat`. Up to
timm 1.0.28 CutMix had another rectangle; that version is not installed, and its oracle is a loop
from its arithmetic.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from mixwell.compat import timm
from mixwell.plan import Mix
from mixwell.plan.steps import WEIGHT_ONE, Edit
from mixwell.policy import RandomErasing, TimmMixup
from tests.compat import recorded_timm as theirs
from tests.compat.harness import joint, need_same_counts, need_same_spread
from tests.compat.test_timm_draws import cells_of, draws, steps

# --------------------------------------------------------------------------------------- mixing

MIXING = [
    {"mixup_alpha": 0.8, "cutmix_alpha": 1.0, "prob": 0.7, "switch_prob": 0.4},
    {"mixup_alpha": 0.2, "cutmix_alpha": 0.0},
    {"mixup_alpha": 0.0, "cutmix_alpha": 0.5, "prob": 0.9},
    {"mixup_alpha": 0.5, "cutmix_minmax": (0.2, 0.8), "switch_prob": 0.8},
]


@draws
@pytest.mark.parametrize("options", MIXING, ids=lambda o: "-".join(map(str, o.values())))
@pytest.mark.parametrize("mode", ["batch", "elem"])
def test_whether_which_and_how_much(options, mode, n):
    """`lam="image"` has the same draws as the batch, once for each image."""
    made = timm.mixup(**options, mode="elem").op
    (mix,) = steps(made, n, (2000, 2000))
    assert isinstance(mix, Mix)
    record = theirs.recorded_batches if mode == "batch" else theirs.recorded_images
    lam, cut = record(n, 9, num_classes=2, **options)
    # A lambda of 1, in a plan's units, leaves an image alone, and so does a box of no pixels.
    lam = np.where(cut, lam, np.rint(lam * WEIGHT_ONE) / WEIGHT_ONE)
    none = np.where(cut, (2000 * np.sqrt(1 - lam)).astype(int) == 0, lam == 1)
    none &= ~cut | ("cutmix_minmax" not in options)  # whose boxes have nothing to do with lambda
    his_state = np.where(none, 0, 1 + cut)
    own = mix.units()[:, 0] / WEIGHT_ONE
    pasted = mix.mode[:, 1] == 1
    box = mix.rect_px[:, 1].astype(np.int64)
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    state = np.where(pasted & (area > 0), 2, np.where((mix.mode[:, 1] == 2) & (own < 1), 1, 0))
    if len(np.unique(his_state)) > 1:
        need_same_counts(state, his_state, "whether and which")
    if (state == 1).any():
        need_same_spread(own[state == 1], lam[his_state == 1], "lambda of MixUp")


@draws
@pytest.mark.parametrize(("alpha", "hw"), [(1.0, (9, 14)), (0.3, (14, 9))])
@pytest.mark.parametrize("version", ["1.0.28", "1.0.31"])
def test_cutmix_boxes(alpha, hw, version, n):
    """On small images a box is one of few, so that every one of them is counted."""
    op = timm.mixup(0.0, alpha, mode="elem", version=version).op
    (mix,) = steps(op, n, hw)
    assert isinstance(mix, Mix) and isinstance(op, TimmMixup)
    his = (
        theirs.recorded_boxes(n, 10, hw, alpha)
        if version == "1.0.31"
        else np.array(list(_older_boxes(n, hw, alpha)))
    )
    need_same_boxes(mix.rect_px[:, 1], his)


def _older_boxes(n: int, hw: tuple[int, int], alpha: float):
    """CutMix up to timm 1.0.28: half the side, rounded down, to either side of a pixel."""
    rng = random.Random(12)
    for _ in range(n):
        side = math.sqrt(1 - rng.betavariate(alpha, alpha))
        box = []
        for length in (hw[1], hw[0]):
            half, centre = int(length * side) // 2, rng.randrange(length)
            box.append((max(centre - half, 0), min(centre + half, length)))
        yield box[0][0], box[1][0], box[0][1], box[1][1]


@draws
@pytest.mark.parametrize("hw", [(9, 14), (14, 9)])
@pytest.mark.parametrize("version", ["1.0.28", "1.0.31"])
def test_minmax_boxes(hw, version, n):
    minmax = (0.2, 0.8)
    op = timm.mixup(0.0, 0.0, minmax, mode="elem", version=version).op
    (mix,) = steps(op, n, hw)
    assert isinstance(mix, Mix)
    his = (
        theirs.recorded_minmax_boxes(n, 11, hw, minmax)
        if version == "1.0.31"
        else np.array(list(_older_minmax_boxes(n, hw, minmax)))
    )
    need_same_boxes(mix.rect_px[:, 1], his)


def _older_minmax_boxes(n: int, hw: tuple[int, int], minmax: tuple[float, float]):
    """Up to timm 1.0.28 the last place was left out, so that the far edges were never reached."""
    rng = random.Random(13)
    for _ in range(n):
        box = []
        for length in (hw[1], hw[0]):
            side = rng.randrange(int(length * minmax[0]), int(length * minmax[1]))
            start = rng.randrange(length - side)
            box.append((start, start + side))
        yield box[0][0], box[1][0], box[0][1], box[1][1]


def need_same_boxes(ours: np.ndarray, his: np.ndarray) -> None:
    """Boxes int64 [n, 4]; empty ones are all alike."""
    ours, his = (np.where(_empty(b)[:, None], 0, b).astype(np.int64) for b in (ours, his))
    if his.max() > 20:
        return _need_same_large_boxes(ours, his)
    need_same_counts(joint(*ours.T[[0, 2]]), joint(*his.T[[0, 2]]), "left and right")
    need_same_counts(joint(*ours.T[[1, 3]]), joint(*his.T[[1, 3]]), "top and bottom")
    need_same_counts(joint(*ours.T[:2]), joint(*his.T[:2]), "left and top")
    sides = [b[:, 2:] - b[:, :2] for b in (ours, his)]
    need_same_counts(joint(*sides[0].T), joint(*sides[1].T), "width and height")
    need_same_counts(*(s.prod(axis=1) for s in sides), "area")


def _need_same_large_boxes(ours: np.ndarray, his: np.ndarray) -> None:
    sides = [b[:, 2:] - b[:, :2] for b in (ours, his)]
    for i, name in enumerate(("left", "top", "right", "bottom")):
        need_same_spread(ours[:, i], his[:, i], name)
    for i, name in enumerate(("width", "height")):
        need_same_counts(sides[0][:, i], sides[1][:, i], name)
    need_same_spread(*(s.prod(axis=1) for s in sides), "area")
    need_same_spread(*(s[:, 1] / s[:, 0] for s in sides), "ratio")
    cells = [joint(cells_of(b[:, 0], his[:, 0]), cells_of(b[:, 1], his[:, 1])) for b in (ours, his)]
    need_same_counts(*cells, "left and top")


def _empty(box: np.ndarray) -> np.ndarray:
    return (box[:, 2] <= box[:, 0]) | (box[:, 3] <= box[:, 1])


@pytest.mark.parametrize("box", ["1.0.28", "1.0.29"])
@pytest.mark.parametrize("minmax", [None, (0.2, 0.8), (0.0, 0.1), (1.0, 1.0)])
def test_boxes_lie_inside_the_smallest_images(box, minmax):
    for hw in ((1, 1), (1, 9), (2, 3)):
        op = TimmMixup(0.0, 1.0, minmax, lam="image", box=box)
        (mix,) = steps(op, 50, hw)
        assert isinstance(mix, Mix)
        x0, y0, x1, y1 = mix.rect_px[:, 1].T
        assert (x0 >= 0).all() and (y0 >= 0).all() and (x0 <= x1).all() and (y0 <= y1).all()
        assert (x1 <= hw[1]).all() and (y1 <= hw[0]).all()


def test_both_draw_what_they_would_draw_alone():
    """Whether, which, lambda and box are answers to questions of their own."""
    op = timm.mixup(0.8, 1.0, mode="elem").op
    (mix,) = steps(op, 5000)
    (alone,) = steps(replace(op, mixup_alpha=0.0), 5000)
    assert isinstance(mix, Mix) and isinstance(alone, Mix)
    cut = mix.mode[:, 1] == 1
    assert (mix.rect_px[cut, 1] == alone.rect_px[cut, 1]).all() and 2000 < cut.sum() < 3000


# -------------------------------------------------------------------------------------- erasing


@draws
@pytest.mark.parametrize(
    ("hw", "most", "options"),
    [
        ((60, 40), 1, {"probability": 0.25, "mode": "pixel"}),
        ((9, 14), 1, {"min_area": 0.1, "max_area": 0.9, "max_aspect": 2.0}),
        ((9, 14), 3, {"min_area": 0.3, "max_area": 0.9, "max_count": 3}),
        ((13, 11), 2, {"probability": 0.6, "min_count": 2}),
    ],
)
def test_erased_rectangles(hw, most, options, n):
    op = timm.random_erasing(**options)
    assert isinstance(op, RandomErasing) == (most == 1)
    (edit,) = steps(op, n, hw)
    assert isinstance(edit, Edit)
    ours = edit.param[..., :4].astype(np.int64)
    his = theirs.recorded_erasing(n, 11, hw, most, **options)
    # timm writes rectangles one by one and leaves no gap where one does not fit.
    ours = np.stack([_packed(boxes) for boxes in ours])
    found = [(~_empty(b.reshape(-1, 4))).reshape(len(b), most).sum(axis=1) for b in (ours, his)]
    need_same_counts(*found, "how many")
    for k in range(most):
        some = [b[count > k, k] for b, count in zip((ours, his), found, strict=True)]
        need_same_boxes(*some)
    if most > 1:
        sizes = [
            joint(c, (b[..., 2:] - b[..., :2]).prod(axis=-1)[:, 0])
            for b, c in zip((ours, his), found, strict=True)
        ]
        need_same_counts(*sizes, "how many and how large")
        both = [b[c == 2] for b, c in zip((ours, his), found, strict=True)]
        need_same_counts(*(joint(*b[:, :, 0].T) for b in both), "left edges of two")


def _packed(boxes: np.ndarray) -> np.ndarray:
    there = ~_empty(boxes)
    out = np.zeros_like(boxes)
    out[: there.sum()] = boxes[there]
    return out
