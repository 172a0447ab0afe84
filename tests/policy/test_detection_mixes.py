"""Mixers for detectors on their definitions: Mosaic, CopyPaste, YOLOX's, MixUp of any sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mixwell._errors import PolicyError
from mixwell.plan import Edit, Mix, MixMode, Plan
from mixwell.plan.follow import Things
from mixwell.plan.outlines import Outlines
from mixwell.plan.steps import MASK_ONE, Code
from mixwell.policy import CopyPaste, CutMix, JitterMixUp, MixUp, Mosaic, Policy, Scheduled
from mixwell.policy.base import Op
from tests.policy.cases import keys

SIZES = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=2, max_size=6)
PLENTY = 300


def planned(op: Op, sizes, **more) -> Plan:
    sizes = np.array(sizes).reshape(-1, 2)
    return Policy(op).sample(sizes, keys=keys(len(sizes)), **more)


def one_mix(op: Op, sizes, **more) -> Mix:
    (step,) = planned(op, sizes, **more).steps
    assert isinstance(step, Mix)
    return step


def parts_of(plan: Plan) -> tuple[Mix, Edit, Mix]:
    expand, edit, gather = plan.steps
    assert isinstance(expand, Mix) and isinstance(edit, Edit) and isinstance(gather, Mix)
    return expand, edit, gather


def tiles_of(plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each output and tile: the image it shows [B, T], its resized size [B, T, 2], and how much
    of it the rectangle shows, from its own corner, [B, T, 4]."""
    expand, edit, gather = parts_of(plan)
    image = expand.source[gather.source, 0]
    window = gather.rect_px - np.tile(gather.offset_px, 2)
    return image, edit.size_hw[gather.source, 0], window


@pytest.mark.parametrize("tiles", [4, 9])
class TestMosaic:
    @settings(max_examples=40)
    @given(SIZES, st.tuples(st.integers(9, 70), st.integers(9, 70)), st.integers(0, 99))
    def test_tiles_lie_in_cells_that_make_up_the_canvas(self, tiles, sizes, size, seed):
        op = Mosaic(size, tiles, (0.2, 0.8), (0.5, 2.0))
        plan = planned(op, sizes, seed=seed)
        gather = parts_of(plan)[2]
        image, small, window = tiles_of(plan)
        assert (gather.mode == MixMode.PASTE).all() and (gather.weight == 1).all()
        assert (plan.out_hw == size).all() and gather.source.shape == (len(sizes), tiles)
        assert (image[:, 0] == np.arange(len(sizes))).all()
        x0, y0, x1, y1 = np.moveaxis(gather.rect_px, -1, 0)
        assert (x0 >= 0).all() and (y0 >= 0).all() and (x1 >= x0).all() and (y1 >= y0).all()
        shown = (x1 > x0) & (y1 > y0)
        assert (window[shown][:, :2] >= 0).all()
        assert (window[shown][:, 2:] <= small[shown][:, ::-1]).all()
        for b in range(len(sizes)):  # no two tiles overlap
            canvas = np.zeros(size, int)
            for u0, v0, u1, v1 in gather.rect_px[b].tolist():
                canvas[v0:v1, u0:u1] += 1
            assert canvas.max() <= 1

    @settings(max_examples=30)
    @given(SIZES, st.integers(10, 60))
    def test_tiles_fit_an_even_share_and_keep_their_aspect(self, tiles, sizes, side):
        image, small, _ = tiles_of(planned(Mosaic(side, tiles), sizes))
        size = np.array(sizes)[image]
        fit = (side / tiles**0.5 / size).min(axis=-1, keepdims=True)
        assert np.abs(small - np.maximum(size * fit, 1)).max() <= 0.5 + 1e-9

    def test_partners_follow_each_other_once_where_there_are_enough(self, tiles):
        image = tiles_of(planned(Mosaic(40, tiles), [(20, 20)] * 11))[0]
        assert all(len(set(row)) == tiles for row in image.tolist())
        assert (np.bincount(image.ravel()) == tiles).all()

    def test_few_images_come_again(self, tiles):
        image = tiles_of(planned(Mosaic(40, tiles), [(20, 20)] * 2))[0]
        assert (np.bincount(image[0], minlength=2) >= tiles // 2).all()

    def test_from_the_data_set(self, tiles):
        op, n = Mosaic(40, tiles, pairing="dataset"), 3
        policy = Policy(op)
        assert policy.extra == tiles - 1
        partners = policy.partner_indices(keys(n), 100)
        sizes = np.full((n * tiles, 2), 20)
        plan = policy.sample(sizes, keys=keys(n), partners=partners)
        image = tiles_of(plan)[0]
        assert image.tolist() == [[i + n * t for t in range(tiles)] for i in range(n)]
        assert len(plan.inputs) == n * tiles

    def test_the_centre_is_uniform(self, tiles):
        """Seen where four tiles, or the middle one, meet; drawn for each image and axis."""
        gather = parts_of(planned(Mosaic((400, 200), tiles), [(100, 100)] * PLENTY))[2]
        for axis, length in ((0, 200), (1, 400)):
            if tiles == 4:  # the own tile is the left upper one and ends at the centre
                centre = gather.rect_px[:, 0, 2 + axis] / length
            else:  # tile 3 starts at the second line on the right, tile 7 below
                line = gather.rect_px[:, (3, 7)[axis], axis] / length
                centre = (line - 2 / 3) * 1.5 + 0.5
            assert stats.kstest(centre, "uniform", (0.25, 0.5)).pvalue > 1e-4

    def test_labels_are_the_areas_that_are_seen(self, tiles):
        plan = planned(Mosaic(40, tiles, scale=3.0), [(30, 20), (25, 25), (20, 31)])
        rows, shares = plan.sources()
        gather = parts_of(plan)[2]
        x0, y0, x1, y1 = np.moveaxis(gather.rect_px.astype(int), -1, 0)
        area = (x1 - x0) * (y1 - y0)
        for b, image in enumerate(tiles_of(plan)[0]):
            for i in range(3):
                want = area[b][image == i].sum() / area[b].sum()
                assert shares[b][rows[b] == i].sum() == pytest.approx(want)


def test_a_large_scale_leaves_no_fill():
    gather = parts_of(planned(Mosaic(60, scale=4.0), [(30, 30)] * 5))[2]
    x0, y0, x1, y1 = np.moveaxis(gather.rect_px.astype(int), -1, 0)
    assert ((x1 - x0) * (y1 - y0)).sum(axis=1).tolist() == [3600] * 5


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"size": 9, "tiles": 5},
        {"size": 9, "centre": (0.0, 1.0)},
        {"size": 9, "scale": 0.0},
        {"size": 9, "pairing": "roll"},
        {"size": 9, "interp": "nearest"},
    ],
)
def test_mosaics_out_of_range(options):
    with pytest.raises(PolicyError, match="Mosaic"):
        Mosaic(**options)


def test_one_image_alone_makes_no_mosaic():
    with pytest.raises(PolicyError, match="needs at least 2 images"):
        planned(Mosaic(20), [(20, 20)])


class TestJitterMixUp:
    @settings(max_examples=60)
    @given(SIZES, st.integers(0, 99))
    def test_the_partner_is_laid_over_the_own_canvas(self, sizes, seed):
        plan = planned(JitterMixUp((0.5, 1.5), own=0.25), sizes, seed=seed)
        image, small, window = tiles_of(plan)
        gather = parts_of(plan)[2]
        hw = np.array(sizes)
        assert (plan.out_hw == hw).all()
        assert (image[:, 0] == np.arange(len(hw))).all() and (image[:, 1] != image[:, 0]).all()
        assert gather.weight.tolist() == [[0.25, 0.75]] * len(hw)
        assert (gather.mode == MixMode.ADD).all()
        size = hw[image[:, 1]]
        fit = (hw / size).min(axis=1, keepdims=True)
        low, high = (np.maximum(np.rint(size * fit * f), 1) for f in (0.5, 1.5))
        assert (small[:, 1] >= low - 1).all() and (small[:, 1] <= high + 1).all()
        assert (gather.rect_px[:, 1, :2] >= 0).all()
        assert (gather.rect_px[:, 1, 2:] <= hw[:, ::-1]).all()
        assert (window[:, 1, :2] >= 0).all() and (window[:, 1, 2:] <= small[:, 1, ::-1]).all()
        larger = small[:, 1] >= hw  # along these axes it covers the canvas
        seen = (gather.rect_px[:, 1, 2:] - gather.rect_px[:, 1, :2])[:, ::-1]
        assert (seen == np.where(larger, hw, small[:, 1])).all()

    def test_scale_flip_and_place(self):
        plan = planned(JitterMixUp(), [(200, 200)] * PLENTY)
        _, edit, gather = parts_of(plan)
        _, small, _ = tiles_of(plan)
        assert stats.kstest(small[:, 1, 0] / 200, "uniform", (0.5, 1.0)).pvalue > 1e-4
        box = edit.param[gather.source[:, 1], 0]
        mirrored = box[:, 0] > box[:, 2]
        assert stats.binomtest(int(mirrored.sum()), PLENTY).pvalue > 1e-3
        room = 200 - small[:, 1, ::-1]
        free = np.abs(room) > 20
        part = (gather.offset_px[:, 1] - np.minimum(room, 0))[free] / np.abs(room)[free]
        assert stats.kstest(part, "uniform", (0, 1)).pvalue > 1e-4

    def test_nothing_is_mirrored_if_nothing_shall_be(self):
        _, edit, _ = parts_of(planned(JitterMixUp(flip=0.0), [(20, 30)] * 9))
        assert (edit.param[:, 0, 0] <= edit.param[:, 0, 2]).all()


class TestMixUp:
    @settings(max_examples=40)
    @given(SIZES)
    def test_any_sizes_share_the_larger_canvas(self, sizes):
        mix, hw = one_mix(MixUp(1.5, sizes="any"), sizes), np.array(sizes)
        other = mix.source[:, 1]
        assert (mix.canvas_hw == np.maximum(hw, hw[other])).all()
        assert (mix.rect_px[:, 0] == np.concatenate([0 * hw, hw[:, ::-1]], axis=1)).all()
        assert (mix.rect_px[:, 1, 2:] == hw[other][:, ::-1]).all()
        assert not mix.offset_px.any() and not mix.fill.any()
        assert (mix.weight.sum(axis=1) == 1).all()

    @pytest.mark.parametrize(("alpha", "beta"), [(1.5, 1.5), (5.0, 0.5), (0.4, 2.0)])
    def test_lambda_is_beta(self, alpha, beta):
        lam = one_mix(MixUp(alpha, beta=beta), [(8, 8)] * 1000).weight[:, 0]
        assert stats.kstest(lam, stats.beta(alpha, beta).cdf).pvalue > 1e-4

    @pytest.mark.parametrize("fixed", [0.0, 0.3, 0.5, 1.0])
    def test_lambda_may_be_fixed(self, fixed):
        weight = one_mix(MixUp(fixed=fixed), [(8, 8)] * 5).weight
        assert weight[:, 0] == pytest.approx(fixed, abs=2**-17)
        assert (weight.sum(axis=1) == 1).all()

    @pytest.mark.parametrize(
        "options", [{"beta": 0.0}, {"fixed": 1.5}, {"fixed": -0.1}, {"sizes": "some"}]
    )
    def test_options_out_of_range(self, options):
        with pytest.raises(PolicyError, match="MixUp"):
            MixUp(**options)

    def test_it_ends_before_the_last_epochs(self):
        op = Scheduled(MixUp(sizes="any"), stop=7, by="epoch")
        for epoch, mixes in ((0, True), (6, True), (7, False), (8, False)):
            sizes = np.array([(8, 9), (7, 5)])
            plan = Policy(op).sample(sizes, keys=keys(2, epoch=epoch, epochs=9))
            assert bool((plan.steps[0].mode[:, 1] != MixMode.SKIP).any()) == mixes  # type: ignore


@settings(max_examples=40)
@given(SIZES)
def test_cutmix_of_any_sizes_shows_what_the_partner_has(sizes):
    mix, hw = one_mix(CutMix(sizes="any"), sizes), np.array(sizes)
    other = hw[mix.source[:, 1]][:, ::-1]
    assert (mix.canvas_hw == hw).all()
    assert (mix.rect_px[:, 1] >= 0).all()
    assert (mix.rect_px[:, 1, 2:] <= np.minimum(other, hw[:, ::-1])).all()
    assert (mix.rect_px[:, 1, :2] <= mix.rect_px[:, 1, 2:]).all()


@pytest.mark.parametrize("op", [MixUp, CutMix])
def test_pairs_of_any_sizes_share_a_lambda(op):
    mix = one_mix(
        op(sizes="any", lam="pair", pairing="flip"), [(30, 40), (50, 60), (60, 50), (40, 30)]
    )
    assert mix.source[:, 1].tolist() == [3, 2, 1, 0]
    if op is MixUp:
        assert np.array_equal(mix.weight, mix.weight[::-1])
    with pytest.raises(PolicyError, match='set sizes="any"'):
        one_mix(op(lam="pair", pairing="flip"), [(30, 40), (50, 60)])


class TestCopyPaste:
    SIZES = np.array([(9, 12), (14, 8), (10, 10)])

    def things(self, empty: bool = False) -> Things:
        """Two things an image, a column each; image i's stand in columns i and i + 3."""
        row = np.repeat(np.arange(3), 2)[: 0 if empty else 6]
        column = row + np.array([0, 3] * 3)[: len(row)]
        boxes = np.stack([column, 0 * column, column + 1, self.SIZES[row, 0]], axis=1)
        stencils = []
        for r, c in zip(row, column, strict=True):
            stencils.append(np.zeros(self.SIZES[r], np.uint8))
            stencils[-1][:, c] = 1
        return Things(Outlines.start(row, boxes, self.SIZES), stencils)

    def planned(self, op: CopyPaste, things: Things, seed: int = 0) -> Mix:
        return one_mix(op, self.SIZES, things=lambda steps: things, seed=seed)

    def test_all_things_of_the_partner_are_shown_along_their_masks(self):
        mix = self.planned(CopyPaste(1.0, pairing="roll"), self.things())
        assert mix.source[:, 1].tolist() == [2, 0, 1] and mix.mask is not None
        assert (mix.mode == (MixMode.UNMASK, MixMode.MASK)).all()
        for b, partner in enumerate([2, 0, 1]):
            height, width = np.minimum(self.SIZES[b], self.SIZES[partner])
            want = np.zeros(mix.mask.shape[1:], int)
            for column in (partner, partner + 3):
                want[:height, column : min(column + 1, width)] = MASK_ONE
            assert np.array_equal(mix.mask[b], want)
            assert (mix.rect_px[b, 1, 2:] <= mix.rect_px[b, 0, 2:]).all()
        assert (mix.canvas_hw == self.SIZES).all()

    def test_each_thing_is_chosen_by_chance(self):
        shown = []
        for seed in range(150):
            mix = self.planned(CopyPaste(0.3, pairing="roll"), self.things(), seed)
            mask = np.zeros((3, 1, 12)) if mix.mask is None else mix.mask
            for b, partner in enumerate([2, 0, 1]):
                shown += [mask[b, 0, partner] > 0, mask[b, 0, partner + 3] > 0]
        assert stats.binomtest(int(np.sum(shown)), len(shown), 0.3).pvalue > 1e-3

    def test_images_with_nothing_to_paste_stay(self):
        for things, op in (
            (self.things(empty=True), CopyPaste()),
            (self.things(), CopyPaste(0.0)),
        ):
            mix = self.planned(op, things)
            assert mix.mask is None
            assert (mix.mode == (MixMode.ADD, MixMode.SKIP)).all() and (mix.weight[:, 0] == 1).all()

    def test_it_needs_masks(self):
        with pytest.raises(PolicyError, match="CopyPaste cuts things out along their masks"):
            planned(CopyPaste(), self.SIZES)
        with pytest.raises(PolicyError, match='masks="instance"'):
            bare = Things(self.things().outlines)
            one_mix(CopyPaste(), self.SIZES, things=lambda steps: bare)


def test_a_resize_is_what_makes_a_tile():
    _, edit, _ = parts_of(planned(Mosaic(40), [(20, 30)] * 4))
    assert (edit.code == Code.RESIZE).all()
    assert (edit.param[:, 0, :4] == (0, 0, 30, 20)).all()
