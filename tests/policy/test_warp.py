"""Maps against the motion of single points that their documentation states."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from mixwell._errors import PolicyError
from mixwell._rng import Draws
from mixwell.plan import Code, Interp
from mixwell.policy import (
    Affine,
    EditOp,
    Perspective,
    Rotate,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
)
from mixwell.policy.base import Rows
from mixwell.policy.warp import _pulled
from tests.oracles import policy as oracle
from tests.policy.cases import edit, keys

CHANCE = 1e-6
SIZE = (24, 20)
POINTS = [(0.0, 0.0), (10.0, 12.0), (20.0, 0.0), (3.25, 17.5), (20.0, 24.0)]


def matrices(op: EditOp, n: int = 1, size_hw=SIZE) -> np.ndarray:
    step = edit(op, n, size_hw)
    assert (step.code == Code.WARP).all() and (step.size_hw[:, 0] == size_hw).all()
    return step.param[:, 0, :9]


def assert_moves(matrix, motion) -> None:
    """The output point where a content point has gone shows that point."""
    for point in POINTS:
        back = oracle.shown_from(matrix.tolist(), motion(point))
        assert back == pytest.approx(point, abs=1e-9)


@pytest.mark.parametrize("degrees", [0.0, 90.0, -30.0, 180.0, 7.5])
@pytest.mark.parametrize("size_hw", [SIZE, (17, 11)])
def test_rotate_turns_counter_clockwise_about_the_centre(degrees, size_hw):
    (m,) = matrices(Rotate((degrees, degrees)), size_hw=size_hw)
    assert_moves(m, lambda p: oracle.turned(p, size_hw, degrees))


def test_rotate_by_90_is_torchvisions():
    image = torch.arange(36.0).reshape(1, 6, 6)
    turned = tv.rotate(image, 90)[0]
    (m,) = matrices(Rotate((90.0, 90.0)), size_hw=(6, 6))
    for y, x in np.ndindex(6, 6):
        px, py = oracle.shown_from(m.tolist(), (x + 0.5, y + 0.5))
        assert turned[y, x] == image[0, math.floor(py), math.floor(px)]


@pytest.mark.parametrize("level", [0.3, -0.5])
def test_shears_slide_about_the_centre(level):
    assert_moves(matrices(ShearX((level, level)))[0], lambda p: oracle.sheared_x(p, SIZE, level))
    assert_moves(matrices(ShearY((level, level)))[0], lambda p: oracle.sheared_y(p, SIZE, level))


@pytest.mark.parametrize("share", [0.25, -0.1])
def test_translations_move_by_a_share_of_the_side(share):
    assert_moves(matrices(TranslateX((share, share)))[0], lambda p: (p[0] + share * 20, p[1]))
    assert_moves(matrices(TranslateY((share, share)))[0], lambda p: (p[0], p[1] + share * 24))


def test_affine_shears_zooms_turns_and_moves_in_this_order():
    op = Affine((20.0, 20.0), (0.0, 0.0), (1.5, 1.5), (0.2, 0.2))

    def motion(p):
        sheared = oracle.sheared_x(p, SIZE, 0.2)
        return oracle.turned(oracle.zoomed(sheared, SIZE, 1.5), SIZE, 20.0)

    assert_moves(matrices(op)[0], motion)


def test_affine_moves_last():
    """After the turn, the centre itself has moved by exactly the translation."""
    maps = matrices(Affine((40.0, 40.0), (0.25, 0.5)), 500)
    centres = np.array(
        [oracle.shown_from(np.linalg.inv(m.reshape(3, 3)).ravel(), (10, 12)) for m in maps]
    )
    moved = centres - [10, 12]
    for side, most in ((0, 0.25 * 20), (1, 0.5 * 24)):
        assert stats.kstest(moved[:, side], "uniform", (-most, 2 * most)).pvalue > CHANCE
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.25


def test_affine_zooms_log_uniformly():
    maps = matrices(Affine(scale=(0.5, 2.0)), 3000)
    log_zoom = -np.log(maps[:, 0])
    assert stats.kstest(log_zoom, "uniform", (-math.log(2), 2 * math.log(2))).pvalue > CHANCE


SYMMETRIC = {
    "Rotate": (lambda v: Rotate(v), 30.0, lambda m: np.rad2deg(np.arctan2(m[:, 3], m[:, 0]))),
    "ShearX": (lambda v: ShearX(v), 0.3, lambda m: m[:, 1]),
    "ShearY": (lambda v: ShearY(v), 0.3, lambda m: m[:, 3]),
    "TranslateX": (lambda v: TranslateX(v), 0.3, lambda m: -m[:, 2] / 20),
    "TranslateY": (lambda v: TranslateY(v), 0.3, lambda m: -m[:, 5] / 24),
    "Affine turn": (
        lambda v: Affine(v),
        30.0,
        lambda m: np.rad2deg(np.arctan2(m[:, 3], m[:, 0])),
    ),
    "Affine shear": (lambda v: Affine(shear=v), 0.3, lambda m: m[:, 1]),
}


@pytest.mark.parametrize(("make", "most", "level"), SYMMETRIC.values(), ids=SYMMETRIC)
def test_levels_are_uniform_over_their_range(make, most, level):
    both = level(matrices(make(most), 3000))
    assert stats.kstest(both, "uniform", (-most, 2 * most)).pvalue > CHANCE
    upper = level(matrices(make((most / 2, most)), 3000))
    assert stats.kstest(upper, "uniform", (most / 2, most / 2)).pvalue > CHANCE


@pytest.mark.parametrize(
    "make", [lambda: Rotate(30, p=0.5), lambda: ShearX(0.3, p=0.5), lambda: TranslateY(0.2, p=0.5)]
)
def test_whether_says_nothing_about_how_much(make):
    """augmax asked one random key both: every angle that was applied was negative."""
    step = edit(make(), 8000)
    happens = step.code[:, 0] == Code.WARP
    m = step.param[happens, 0, :9]
    level = m[:, 1] + m[:, 2] + m[:, 5]  # odd in the level for all three ops
    level = m[:, 1] if (m[:, 1] != 0).any() else level
    counts = [int((~happens).sum()), int((level < 0).sum()), int((level > 0).sum())]
    assert stats.chisquare(counts, [4000, 2000, 2000]).pvalue > CHANCE


def perspective_corners(op: Perspective, n: int) -> np.ndarray:
    """float64 [n, 4, 2]: where the image's corners go."""
    corners = [(0, 0), (20, 0), (20, 24), (0, 24)]
    inverse = np.linalg.inv(matrices(op, n).reshape(-1, 3, 3))
    return np.array([[oracle.shown_from(m.ravel().tolist(), c) for c in corners] for m in inverse])


def test_perspective_pulls_every_corner_inwards_uniformly():
    most = 0.45
    pull = perspective_corners(Perspective(most, p=1.0), 1500) - [
        (0, 0),
        (20, 0),
        (20, 24),
        (0, 24),
    ]
    inward = pull * [(1, 1), (-1, 1), (-1, -1), (1, -1)] / [20, 24]
    for corner, axis in np.ndindex(4, 2):
        assert stats.kstest(inward[:, corner, axis], "uniform", (0, most / 2)).pvalue > CHANCE
    between = np.corrcoef(inward.reshape(-1, 8).T) - np.eye(8)
    assert np.abs(between).max() < 0.15


def test_perspective_is_of_torchvisions_strength():
    torch.manual_seed(0)
    theirs = np.array(
        [
            v2.RandomPerspective(0.5).make_params([torch.zeros(3, 200, 200)])["coefficients"]
            for _ in range(600)
        ]
    )
    inverse = np.linalg.inv(np.concatenate([theirs, np.ones((600, 1))], 1).reshape(-1, 3, 3))
    centre = np.array([oracle.shown_from(m.ravel().tolist(), (100, 100)) for m in inverse]) / 200
    ours = np.linalg.inv(matrices(Perspective(p=1.0), 600, (200, 200)).reshape(-1, 3, 3))
    mine = np.array([oracle.shown_from(m.ravel().tolist(), (100, 100)) for m in ours]) / 200
    for axis in (0, 1):
        assert stats.ks_2samp(centre[:, axis], mine[:, axis]).pvalue > CHANCE


@pytest.mark.parametrize("distortion", [0.5, 0.6, 0.8, 0.95])
def test_no_draw_shows_the_horizon(distortion):
    """At 0.8, one draw in five would have been refused by the plan's check."""
    maps = matrices(Perspective(distortion, p=1.0), 4000)
    corners = np.array([(0, 0, 1), (20, 0, 1), (20, 24, 1), (0, 24, 1)])
    assert (maps[:, 6:] @ corners.T).min() > 0.005


def test_at_the_reduced_distortion_no_corner_can_pass_the_horizon():
    """Depths are ratios of linear functions of each pull, so the extremes are at the ends."""
    rows = Rows(np.full((256, 2), SIZE), Draws(keys(256), 0))
    ends = np.array(list(itertools.product([0.0, 0.45 / 2], repeat=8)))
    assert _pulled(rows, ends)[1].min() > 0.01


def test_perspective_without_distortion_moves_nothing():
    (m,) = matrices(Perspective(0.0, p=1.0))
    assert m == pytest.approx(np.eye(3).ravel(), abs=1e-12)


def test_interpolation_and_fill_reach_the_plan():
    for kind in (Rotate(9), ShearX(0.2), ShearY(0.2), TranslateX(0.1), TranslateY(0.1), Affine(9)):
        op = type(kind)(
            kind.degrees if isinstance(kind, Rotate | Affine) else 0.1,
            interp="bicubic",
            fill=(1, 2, 3),
        )
        step = edit(op)
        assert step.interp[0, 0] == Interp.BICUBIC
        assert step.fill[0, 0, :3].tolist() == [1, 2, 3]
        assert edit(type(kind)(0.1)).interp[0, 0] == Interp.BILINEAR


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Rotate((30, -30)), "Rotate: degrees must be ordered within -360.0 .. 360.0"),
        (lambda: Rotate(400), "Rotate: degrees must be ordered within"),
        (lambda: ShearX(11), "ShearX: level must be ordered within"),
        (lambda: ShearY((0, 11)), "ShearY: level must be ordered within"),
        (lambda: TranslateX(1.5), "TranslateX: fraction must be ordered within -1.0 .. 1.0"),
        (lambda: TranslateY("far"), "TranslateY: fraction must be a number or (low, high)"),
        (lambda: Affine(scale=(0.0, 1.0)), "Affine: scale must be ordered within"),
        (lambda: Affine(translate=(0.1,)), "Affine: translate must be two shares in 0 .. 1"),
        (lambda: Affine(translate=0.1), "Affine: translate must be two shares in 0 .. 1"),
        (lambda: Affine(translate=(0.1, 2)), "Affine: translate must be two shares in 0 .. 1"),
        (lambda: Affine(shear=99), "Affine: shear must be ordered within"),
        (lambda: Perspective(1.0), "Perspective: distortion must lie in 0 .. 0.95, got 1.0"),
    ],
)  # fmt: skip
def test_fields_out_of_range_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)
