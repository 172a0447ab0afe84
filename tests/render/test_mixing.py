"""Mix against exact fractions, and the pixels against what the labels are told."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixwell.plan.plan import Plan
from mixwell.plan.steps import Mix, MixMode
from mixwell.render import render
from tests.oracles import mixing as oracle
from tests.plan.strategies import masked, weight_of
from tests.render.plans import levels, mix

SKIP, PASTE, ADD, MASK, UNMASK = MixMode
TOP = {"uint8": 255, "uint16": 65535}


def entries(step: Mix, b: int) -> list[tuple]:
    return [
        (
            int(step.source[b, s]),
            int(step.mode[b, s]),
            weight_of(step, b, s),
            tuple(step.rect_px[b, s].tolist()),
            tuple(step.offset_px[b, s].tolist()),
        )
        for s in range(step.source.shape[1])
    ]


def check(images, step: Mix) -> None:
    """Rounded and loose results of one channel are the exact ones, rounded once."""
    in_hw = [i.shape[-2:] for i in images]
    plan = Plan(np.array(in_hw), (step,))
    rounded = render(images, plan, stack=False)
    loose = render(images, plan, dtype=torch.float32, stack=False)
    kind = str(images[0].dtype).removeprefix("torch.")
    top = TOP.get(kind, 1)
    for b in range(step.rows):
        source = [i[0].numpy() for i in images]
        fill = step.fill[b, 0].item()
        start = Fraction(fill) if top == 1 else round(Fraction(fill))
        want, _ = oracle.mix(source, entries(step, b), step.canvas_hw[b].tolist(), start)
        held = [[min(max(v, Fraction(0)), Fraction(top)) for v in line] for line in want]
        exact = np.array([[float(v) for v in line] for line in held])
        if top == 1:
            np.testing.assert_allclose(rounded[b][0].numpy(), exact, rtol=0, atol=3e-7)
        else:
            whole = np.array([[round(v) for v in line] for line in held])
            assert (rounded[b][0].numpy() == whole).all()
            assert (loose[b][0].numpy() == exact.astype(np.float32) / np.float32(top)).all()


@st.composite
def rectangle(draw, height: int, width: int) -> tuple[int, int, int, int]:
    xs = sorted(draw(st.lists(st.integers(0, width), min_size=2, max_size=2)))
    ys = sorted(draw(st.lists(st.integers(0, height), min_size=2, max_size=2)))
    return xs[0], ys[0], xs[1], ys[1]


WEIGHT = st.floats(0, 1, width=32)


def with_masks(draw, step: Mix) -> Mix:
    """Weights of masked sources become 1, and their rows get masks."""
    step.weight[step.masked] = 1.0
    return masked(step, draw(st.integers(0, 9999))).tidy()


@st.composite
def alike(draw) -> Mix:
    """Outputs of one size, nothing moved."""
    outputs = [
        [
            (
                draw(st.integers(0, 2)),
                draw(st.sampled_from(MixMode)),
                draw(WEIGHT),
                draw(st.one_of(rectangle(5, 7), st.just((0, 0, 7, 5)))),
                (0, 0),
            )
            for _ in range(3)
        ]
        for _ in range(2)
    ]
    return with_masks(draw, mix((5, 7), *outputs, fill=draw(st.sampled_from([0, 9, 128.5]))))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(step=alike())
def test_any_mix_of_one_size_is_exact(dtype, step):
    if dtype == "float32":
        step = replace(step, fill=step.fill / 255)
    check(levels((3, 1, 5, 7), dtype=np.dtype(dtype)), step)


@st.composite
def ragged(draw) -> Mix:
    """Sources of three sizes, moved on canvases of two sizes."""
    sizes, canvases = [(5, 7), (3, 3), (8, 2)], [(6, 6), (9, 4)]
    outputs = []
    for height, width in canvases:
        made = []
        for _ in range(2):
            source = draw(st.integers(0, 2))
            x0, y0, x1, y1 = draw(rectangle(*sizes[source]))
            x1, y1 = min(x1, x0 + width), min(y1, y0 + height)
            dx = draw(st.integers(-x0, width - x1))
            dy = draw(st.integers(-y0, height - y1))
            rect = (x0 + dx, y0 + dy, x1 + dx, y1 + dy)
            mode = draw(st.sampled_from(MixMode))
            made.append((source, mode, draw(WEIGHT), rect, (dx, dy)))
        outputs.append(made)
    return with_masks(draw, mix(canvases, *outputs, fill=draw(st.sampled_from([0, 200]))))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(step=ragged())
def test_any_mix_of_many_sizes_is_exact(dtype, step):
    if dtype == "float32":
        step = replace(step, fill=step.fill / 255)
    images = [
        levels((1, *size), seed, np.dtype(dtype))
        for seed, size in enumerate([(5, 7), (3, 3), (8, 2)])
    ]
    check(images, step)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(step=alike())
def test_the_mean_pixel_is_the_label(step):
    """Image i is 1 in channel i, so the mean of channel i is the coefficient of source i."""
    step = replace(step, fill=np.zeros_like(step.fill))
    painted = torch.zeros(3, 3, 5, 7, dtype=torch.uint8)
    for i in range(3):
        painted[i, i] = 85  # three ADDs reach 255: sums beyond the range are cut, unknown to shares
    plan = Plan(np.full((3, 2), (5, 7)), (step,))
    mean = render(painted, plan, dtype=torch.float32).double().mean((2, 3)).numpy() * 3
    rows, shares = plan.sources()
    for b in range(2):
        label = np.zeros(3)
        np.add.at(label, rows[b], shares[b])
        np.testing.assert_allclose(label * mean[b].sum(), mean[b], atol=1e-6)


def test_mixup_and_cutmix_as_they_are_meant():
    images = levels((2, 3, 4, 4))
    step = mix(
        (4, 4),
        [(0, ADD, 0.25, (0, 0, 4, 4), (0, 0)), (1, ADD, 0.75, (0, 0, 4, 4), (0, 0))],
        [(1, ADD, 1.0, (0, 0, 4, 4), (0, 0)), (0, PASTE, 1.0, (1, 0, 3, 2), (0, 0))],
    )
    out = render(images, Plan(np.full((2, 2), 4), (step,)))
    blend = images[0].double() * 0.25 + images[1].double() * 0.75
    assert torch.equal(out[0], blend.round().to(torch.uint8))  # torch.round is half to even
    want = images[1].clone()
    want[:, 0:2, 1:3] = images[0][:, 0:2, 1:3]
    assert torch.equal(out[1], want)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_masks_on_any_layout_and_number_of_channels(dtype):
    """Every channel is mixed by the same mask; strides do not matter."""
    step = masked(
        mix(
            (4, 6),
            *[
                [(i, MASK, 1.0, (0, 0, 6, 4), (0, 0)), (1 - i, UNMASK, 1.0, (0, 0, 6, 4), (0, 0))]
                for i in (0, 1)
            ],
        ),
        seed=1,
    )
    assert step.mask is not None
    images = levels((2, 5, 4, 6), dtype=np.uint8 if dtype == torch.uint8 else np.float32)
    plan = Plan(np.full((2, 2), (4, 6)), (step,))
    m = torch.from_numpy(step.mask.astype(np.float64))[:, None] / 32768
    want = images.double() * m + images.flip(0).double() * (1 - m)
    for given_images in (images, images.to(memory_format=torch.channels_last), images.unbind()):
        out = render(given_images, plan, stack=True)
        if dtype == torch.uint8:
            assert torch.equal(out, want.round().to(torch.uint8))  # torch.round is half to even
        else:
            torch.testing.assert_close(out.double(), want, rtol=0, atol=2e-7)


def test_many_small_rectangles_are_as_few():
    """More than a few sources are drawn one by one; SKIPs added to a mix change nothing."""
    images = levels((4, 3, 8, 8))
    corners = [(0, 0), (4, 0), (0, 4), (4, 4)]
    tiles = [(i, PASTE, 1.0, (x, y, x + 4, y + 4), (0, 0)) for i, (x, y) in enumerate(corners)]
    step = mix((8, 8), tiles, [(1, ADD, 0.3, (0, 0, 8, 8), (0, 0)), *tiles[1:]])
    few, many = (render(images, Plan(np.full((4, 2), 8), (s,))) for s in (step, step.padded(40)))
    assert torch.equal(few, many)


def test_halves_round_to_even():
    images = torch.tensor([1, 2, 3, 4], dtype=torch.uint8).reshape(4, 1, 1, 1)
    pairs = [(0, 1), (1, 2), (2, 3)]
    outputs = [[(i, ADD, 0.5, (0, 0, 1, 1), (0, 0)) for i in pair] for pair in pairs]
    out = render(images, Plan(np.ones((4, 2), int), (mix((1, 1), *outputs),)))
    assert out.flatten().tolist() == [2, 2, 4]


def test_mosaic_from_four_rows_to_one():
    images = levels((4, 3, 4, 6))
    corners = [(0, 0), (6, 0), (0, 4), (6, 4)]
    tiles = [(i, PASTE, 1.0, (x, y, x + 6, y + 4), (x, y)) for i, (x, y) in enumerate(corners)]
    out = render(images, Plan(np.full((4, 2), (4, 6)), (mix((8, 12), tiles),)))
    above, below = torch.cat([*images[:2]], 2), torch.cat([*images[2:]], 2)
    assert torch.equal(out[0], torch.cat([above, below], 1))


def test_a_mix_without_outputs_gives_none():
    images = levels((2, 3, 4, 4))
    step = mix((4, 4))
    assert step.rows == 0
    assert render(images, Plan(np.full((2, 2), 4), (step,))).shape == (0, 3, 4, 4)


def test_many_sources_do_not_overflow():
    images = torch.full((1, 1, 2, 2), 255, dtype=torch.uint8)
    many = [(0, ADD, 1.0, (0, 0, 2, 2), (0, 0))] * 300
    assert (render(images, Plan([[2, 2]], (mix((2, 2), many),))) == 255).all()


@pytest.mark.parametrize("backend", ["reference", "numba"])
@pytest.mark.parametrize(("mode", "level"), [(ADD, 140), (PASTE, 100)])
def test_a_whole_row_is_added_to_the_fill(backend, mode, level):
    images = torch.full((1, 3, 2, 5), 100, dtype=torch.uint8)
    step = mix((2, 5), [(0, mode, 1.0, (0, 0, 5, 2), (0, 0))], fill=40)
    assert (render(images, Plan([[2, 5]], (step,)), backend=backend) == level).all()
