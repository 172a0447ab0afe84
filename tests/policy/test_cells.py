"""GridMix, PatchMix and ResizeMix: which cells and boxes come from whom, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from mixwell._errors import PolicyError
from mixwell._rng import Draws
from mixwell.plan import Edit, Mix, MixMode, Plan
from mixwell.policy import GridMix, PatchMix, ResizeMix
from mixwell.render import render
from tests.oracles import masks as oracle
from tests.policy.cases import keys, mix, sample

CHANCE = 1e-6
SIZES = [(24, 20), (17, 11), (23, 27), (3, 2), (1, 1)]
CELLS = pytest.mark.parametrize("op", [GridMix(), PatchMix(), PatchMix(5, True)], ids=repr)


def numbered(n: int, height: int, width: int) -> torch.Tensor:
    """float32 [n, 3, H, W]: each pixel says which image it is of, and its own y and x."""
    images = torch.zeros(n, 3, height, width)
    images[:, 0] = (torch.arange(n) / 1000)[:, None, None]
    images[:, 1] = (torch.arange(height) / 1000)[:, None]
    images[:, 2] = torch.arange(width) / 1000
    return images


def seen(op, n: int, size_hw, **more) -> tuple[Plan, np.ndarray, np.ndarray, np.ndarray]:
    """The plan, and int64 [n, H, W] each: whose pixel it is, and from which line and column."""
    plan = sample(op, n, size_hw, **more)
    out = torch.round(render(numbered(n, *size_hw), plan) * 1000).long().numpy()
    return plan, out[:, 0], out[:, 1], out[:, 2]


@CELLS
@pytest.mark.parametrize("size_hw", SIZES)
def test_labels_count_the_pixels(op, size_hw):
    plan, who, *_ = seen(op, 9, size_hw)
    rows, shares = plan.sources()
    for b in range(9):
        for i in range(9):
            share = shares[b][rows[b] == i].sum()
            assert share == pytest.approx((who[b] == i).mean(), abs=1e-12)


@pytest.mark.parametrize("grid", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("size_hw", SIZES)
def test_whole_cells_come_from_one_image(grid, size_hw):
    plan, who, y, x = seen(GridMix(grid), 9, size_hw)
    own, partner = plan.steps[0].source[:, 0], plan.steps[0].source[:, 1]
    assert (y == np.arange(size_hw[0])[:, None]).all() and (x == np.arange(size_hw[1])).all()
    lam = Draws(keys(9), 1).child(0).beta("lam", 1.0, 1.0)
    for b in range(9):
        cells: dict[tuple[int, int], set[int]] = {}
        for v, u in np.ndindex(*size_hw):
            cell = oracle.cell_of(v, grid, size_hw[0]), oracle.cell_of(u, grid, size_hw[1])
            cells.setdefault(cell, set()).add(int(who[b, v, u]))
        assert all(len(images) == 1 for images in cells.values())
        from_partner = sum(images == {partner[b]} for images in cells.values())
        if min(size_hw) >= grid and own[b] != partner[b]:
            assert from_partner == round(float(lam[b, 1]) * grid**2)


def test_gridmixs_share_is_lambda_in_steps():
    share = sample(GridMix(8), 4000, (16, 16)).sources()[1][:, 0]
    lam = Draws(keys(4000), 1).child(0).beta("lam", 1.0, 1.0)[:, 0]
    assert np.abs(share - lam).max() <= 0.5 / 64
    assert stats.kstest(lam, "uniform").pvalue > CHANCE


def test_every_cell_is_as_likely_as_any_other():
    for op in (GridMix(), PatchMix(4)):
        pasted = mix(op, 3000, (16, 16)).mode[:, 1:] == MixMode.PASTE
        chances = [stats.binomtest(int(v), 3000, 0.5).pvalue for v in pasted.sum(axis=0)]
        assert len(chances) == 16 and min(chances) > CHANCE


def test_patchmixs_cells_are_independent_given_lambda():
    """GridMix fixes how many; in PatchMix their number varies about (1 - lambda) n²."""
    op = PatchMix(4, alpha=1000.0)  # lambda is one half, nearly
    count = (mix(op, 3000, (16, 16)).mode[:, 1:] == MixMode.PASTE).sum(axis=1)
    assert count.var() == pytest.approx(4.0, rel=0.2)
    fixed = (mix(GridMix(4, 1000.0), 3000, (16, 16)).mode[:, 1:] == MixMode.PASTE).sum(axis=1)
    assert fixed.var() < 0.5


def test_patchmixs_grid_is_drawn():
    step = mix(PatchMix((1, 4)), 600, (24, 24))
    widths = np.where(
        step.mode[:, 1:] == MixMode.PASTE, np.ptp(step.rect_px[:, 1:, ::2], axis=2), 0
    )
    drawn = [widths[b].max() for b in range(600) if widths[b].any()]
    assert set(drawn) == {24, 12, 8, 6}
    assert len(mix(PatchMix(3), 5).source[0]) == 10


@pytest.mark.parametrize("size_hw", SIZES)
def test_shuffled_cells_show_other_cells_none_twice(size_hw):
    op = PatchMix(4, True)
    plan, who, y, x = seen(op, 12, size_hw)
    step = plan.steps[0]
    moved = 0
    for b in range(12):
        starts = []
        for s in np.flatnonzero(step.mode[b, 1:] == MixMode.PASTE) + 1:
            x0, y0, x1, y1 = step.rect_px[b, s].tolist()
            if x0 == x1 or y0 == y1:
                continue
            dx, dy = step.offset_px[b, s].tolist()
            assert (who[b, y0:y1, x0:x1] == step.source[b, 1]).all()
            assert (y[b, y0:y1, x0:x1] == np.arange(y0 - dy, y1 - dy)[:, None]).all()
            assert (x[b, y0:y1, x0:x1] == np.arange(x0 - dx, x1 - dx)).all()
            starts.append((x0 - dx, y0 - dy))
            moved += (dx, dy) != (0, 0)
        if min(size_hw) >= 16:
            assert len(set(starts)) == len(starts)
            edges = [{k * side // 4 for k in range(4)} for side in (size_hw[1], size_hw[0])]
            slack = [{e - 1 for e in axis} for axis in edges]  # cells may be a pixel larger
            assert all(u in edges[0] | slack[0] and v in edges[1] | slack[1] for u, v in starts)
    assert moved > 20 or min(size_hw) < 16


@CELLS
def test_patterns_are_shared_as_lambda_is(op):
    options = {"lam": "pair", "pairing": "flip"}
    grids = {"grid": 4} if isinstance(op, GridMix) else {"grid": op.grid, "shuffle": op.shuffle}
    step = mix(type(op)(**grids, **options), 6)
    assert np.array_equal(step.rect_px, step.rect_px[::-1])
    assert np.array_equal(step.offset_px, step.offset_px[::-1])
    step = mix(type(op)(**grids, lam="batch"), 6)
    assert (step.rect_px == step.rect_px[:1]).all() and (step.mode == step.mode[:1]).all()
    base = mix(op, 6)
    assert np.array_equal(mix(op, 6, step=4).rect_px, base.rect_px)
    assert np.array_equal(mix(op, 2, start=4).rect_px, base.rect_px[4:])


# --------------------------------------------------------------------------------- ResizeMix


def parts(op: ResizeMix, n: int, size_hw, **more) -> tuple[Mix, Edit, Mix]:
    expand, edit, gather = sample(op, n, size_hw, **more).steps
    assert isinstance(expand, Mix) and isinstance(edit, Edit) and isinstance(gather, Mix)
    return expand, edit, gather


@pytest.mark.parametrize("size_hw", [*SIZES, (200, 120)])
def test_the_partner_is_shrunk_whole_and_pasted_inside(size_hw):
    expand, edit, gather = parts(ResizeMix(), 40, size_hw)
    height, width = size_hw
    tau = 0.1 + 0.7 * Draws(keys(40), 1).child(0).uniform("tau")
    assert expand.source[:40, 0].tolist() == list(range(40))
    assert sorted(expand.source[40:, 0].tolist()) == list(range(40))
    assert (expand.source[40:, 0] != np.arange(40)).all()
    assert (edit.param[40:, 0, :4] == (0, 0, width, height)).all()
    for b, t in enumerate(tau):
        small = max(round(height * t), 1), max(round(width * t), 1)
        assert tuple(edit.size_hw[40 + b, 0]) == small
        x0, y0, x1, y1 = gather.rect_px[b, 1].tolist()
        assert (y1 - y0, x1 - x0) == small and x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height
        assert gather.offset_px[b, 1].tolist() == [x0, y0]


def test_resizemixs_labels_are_areas():
    plan = sample(ResizeMix(), 30, (50, 40))
    rows, shares = plan.sources()
    rect = plan.steps[2].rect_px[:, 1]
    area = (rect[:, 2] - rect[:, 0]) * (rect[:, 3] - rect[:, 1]) / 2000
    for b in range(30):
        assert shares[b][rows[b] == b].sum() == pytest.approx(1 - area[b], abs=1e-15)


def test_resizemixs_pixels():
    """Constant images: what is pasted is constant, and the rest is untouched."""
    images = torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(10, 3, 30, 20) * 20
    plan = sample(ResizeMix(), 10, (30, 20))
    out = render(images.contiguous(), plan)
    for b in range(10):
        x0, y0, x1, y1 = plan.steps[2].rect_px[b, 1].tolist()
        partner = int(plan.steps[0].source[plan.steps[2].source[b, 1], 0])
        want = images[b].clone()
        want[:, y0:y1, x0:x1] = 20 * partner
        assert torch.equal(out[b], want)


def test_resizemix_shrinks_as_resize_does():
    from mixwell.policy import Policy, Resize

    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 40, 40), np.uint8))
    plan = sample(ResizeMix(0.5, pairing="roll"), 2, (40, 40))
    small = render(images, Policy(Resize((20, 20))).sample([(40, 40)] * 2, keys=keys(2)))
    x0, y0, x1, y1 = plan.steps[2].rect_px[0, 1].tolist()
    assert torch.equal(render(images, plan)[0][:, y0:y1, x0:x1], small[1])


def test_tau_and_place_spread_over_their_ranges():
    _, _, gather = parts(ResizeMix((0.1, 0.1)), 4000, (50, 50))
    for axis in (0, 1):
        start = np.bincount(gather.rect_px[:, 1, axis], minlength=46)
        assert len(start) == 46 and stats.chisquare(start).pvalue > CHANCE
    tau = Draws(keys(4000), 1).child(0).uniform("tau")
    assert stats.kstest(tau, "uniform").pvalue > CHANCE


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: GridMix(0), "GridMix: grid must be a whole number in 1 .. 8, got 0"),
        (lambda: GridMix(2.5), "GridMix: grid must be a whole number in 1 .. 8, got 2.5"),
        (
            lambda: PatchMix((4, 2)),
            "PatchMix: grid must be a whole number in 1 .. 8, or (low, high)",
        ),
        (
            lambda: PatchMix((2, 9)),
            "PatchMix: grid must be a whole number in 1 .. 8, or (low, high)",
        ),
        (lambda: ResizeMix((0.0, 0.5)), "ResizeMix: scope must be ordered within 0.01 .. 1"),
        (lambda: ResizeMix(share=-1), "ResizeMix: share must lie in 0 .. 1, or be None, got -1"),
        (lambda: ResizeMix(interp="nearest"), "ResizeMix: interp must be one of bilinear, bicubic"),
    ],
)
def test_fields_out_of_range_are_refused(make, rule):
    with pytest.raises(PolicyError) as error:
        make()
    assert rule in str(error.value)


@pytest.mark.parametrize("op", [GridMix(), PatchMix(), ResizeMix()], ids=repr)
def test_one_image_alone_is_refused(op):
    with pytest.raises(PolicyError, match="needs at least 2 images in the batch, got 1"):
        sample(op, 1)
    assert len(sample(op, 7)) == 7
