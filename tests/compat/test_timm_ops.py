"""timm's own pixels, levels and labels against ours: every op, magnitude and sign."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from timm.data import auto_augment as aa
from timm.data import mixup as timm_mixup
from timm.data import random_erasing as timm_erasing

from mixwell import policy as ops
from mixwell._errors import PolicyError
from mixwell._rng import Keys
from mixwell.compat import timm
from mixwell.plan import Mix, Plan
from mixwell.plan.steps import WEIGHT_ONE, Code, Edit, Interp
from mixwell.policy import Policy
from mixwell.policy.spaces import space
from mixwell.render import render
from mixwell.targets import dense_labels
from tests.compat.harness import done, edit_of, events, photos, to_array, to_pil, to_tensor
from tests.compat.parity import PARITY, TIMM, difference, within

SIGNED = ("Rotate", "Shear", "Translate")
GEOMETRY = tuple(name for name in aa.NAME_TO_OP if name.startswith(SIGNED))
READING = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
FILL = (124, 116, 104)
every_op = pytest.mark.parametrize("op", aa.NAME_TO_OP)


@pytest.fixture
def signed(monkeypatch):
    """Sets the sign that timm draws next."""
    sign = [1.0]
    monkeypatch.setattr(aa, "_randomly_negate", lambda v: -v if sign[0] < 0 else v)

    def choose(value: float) -> None:
        sign[0] = value

    return choose


def theirs(op: str, magnitude: float, interp: str = "bicubic", **hparams) -> aa.AugmentOp:
    given = {"translate_const": 250, "img_mean": FILL, "interpolation": READING[interp], **hparams}
    return aa.AugmentOp(op, prob=1.0, magnitude=magnitude, hparams=given)


# -------------------------------------------------------------------------------------- levels


def test_every_op_that_timm_knows():
    assert space("timm-all").names == tuple(aa.NAME_TO_OP) == tuple(aa.LEVEL_TO_ARG)
    for op in aa.NAME_TO_OP:
        assert (op, "timm", "pil") in PARITY, f"{op} has no row in tests/compat/parity.py"
    mixers = {op for op, _, backend in TIMM if backend != "pil"} | {"AugMix", "AugMix, b1"}
    assert {op for op, _, _ in TIMM} == set(aa.NAME_TO_OP) | mixers


def test_what_each_policy_draws_from():
    assert space("timm").names == tuple(aa._RAND_INCREASING_TRANSFORMS)
    assert space("timm-nonincreasing").names == tuple(aa._RAND_TRANSFORMS)
    assert space("timm-augmix").names == tuple(aa._AUGMIX_TRANSFORMS)


@pytest.mark.parametrize("name", ["original", "originalr", "v0", "v0r", "3a"])
def test_tables(name):
    made = aa.auto_augment_policy(name)
    want = [[(op.name, op.prob, float(op.magnitude)) for op in sub] for sub in made]
    table = timm.auto_augment(name).sub_policies
    levelled = {op for op, level in aa.LEVEL_TO_ARG.items() if level is not None}
    assert len(table) == len(want)
    for ours, his in zip(table, want, strict=True):
        assert [part[:2] for part in ours] == [part[:2] for part in his]
        for (op, _, magnitude), (_, _, wanted) in zip(ours, his, strict=True):
            assert op not in levelled or magnitude == wanted, (ours, his)


@pytest.mark.parametrize("hw", [(224, 224), (1, 1), (97, 331), (54, 27)])
@pytest.mark.parametrize("pct", [0.45, 0.3])
def test_levels_to_the_last_bit(hw, pct, signed):
    magnitudes = [*range(11), 0.37, 8.125, 9.999, 12.5, 15, 20, 30]  # above 10 with mmax
    t, size = np.array(magnitudes) / 10, np.full((len(magnitudes), 2), hw, np.int32)
    found = space("timm-all" if pct == 0.45 else "timm-all/pct0.3")
    for op, level_fn in aa.LEVEL_TO_ARG.items():
        for sign in (1.0, -1.0):
            signed(sign)
            given = {"translate_const": 250, "translate_pct": pct}
            want = [level_fn(m, given)[0] if level_fn else 0.0 for m in magnitudes]
            if op.endswith("Rel"):
                want = [pct_of * (hw[1] if "X" in op else hw[0]) for pct_of in want]
            if op.startswith("Posterize"):
                want = np.clip(want, 0, 8)  # timm's masks do the same
            got = found.entries[op].level(t, np.full(len(t), sign), size)
            assert np.array_equal(got, np.asarray(want, np.float64)), (op, sign)


def test_signs_are_drawn_where_timm_draws_them(monkeypatch):
    drawn = []
    monkeypatch.setattr(aa, "_randomly_negate", lambda v: (drawn.append(v), v)[1])
    for op, level_fn in aa.LEVEL_TO_ARG.items():
        drawn.clear()
        if level_fn:
            level_fn(5, {"translate_const": 250})
        assert space("timm-all").entries[op].signed == bool(drawn), op


def test_other_reaches():
    assert space("timm/pct0.3-nonincreasing").names == space("timm-nonincreasing").names
    for bad in ("timm/pct", "timm/0.3", "timm-all/pct0.3-nonincreasing", "timm-huge/pct1"):
        with pytest.raises(PolicyError, match="No space"):
            space(bad)


# -------------------------------------------------------------------------------------- pixels


@pytest.fixture
def posterize_to_nothing(monkeypatch):
    """Pillow 13 refuses 0 bits, and so timm fails there; before, and here, the image is black."""
    original, refused = aa.ImageOps.posterize, []

    def posterize(image, bits):
        if bits >= 1:
            return original(image, bits)
        refused.append(bits)
        return image.point([i & ~(2 ** (8 - bits) - 1) for i in range(256)] * 3)

    monkeypatch.setattr(aa.ImageOps, "posterize", posterize)
    return refused


@every_op
def test_every_magnitude_and_sign(op, signed, monkeypatch, posterize_to_nothing):
    t, changed = np.arange(11) / 10, False
    for interp in READING if op in GEOMETRY else ("bicubic",):
        for photo, image in photos().items():
            edit = edit_of("timm-all", op, t, image.shape[:2], interp, FILL)
            got, want = done(image, edit), []
            for row in range(22):
                signed(1.0 if row % 2 == 0 else -1.0)
                if op == "GaussianBlurRand":
                    radius = _DrawnRadius(float(edit.param[row, 0, 0]))
                    monkeypatch.setattr(aa.random, "uniform", radius)
                want.append(to_array(theirs(op, row // 2, interp)(to_pil(image))))
            found = difference(got, np.stack(want))
            assert within(found, (op, "timm", "pil")), f"{op}, {interp}, {photo}: {found}"
            changed |= bool((np.stack(want) != image).any())
    assert changed
    assert bool(posterize_to_nothing) == (op in ("Posterize", "PosterizeIncreasing"))


class _DrawnRadius:
    """Our radius as timm's draw; it must be one that timm could draw."""

    def __init__(self, radius: float) -> None:
        self.radius = radius

    def __call__(self, low: float, high: float) -> float:
        assert min(low, high) <= self.radius <= max(low, high)
        return self.radius


DRAWN = ("GaussianBlurRand",)
"""Its radius is drawn, and its level ends at 10; see the test of levels."""


@pytest.mark.parametrize("op", [op for op in aa.NAME_TO_OP if op not in DRAWN])
def test_magnitudes_beyond_ten(op, signed, posterize_to_nothing):
    image, magnitudes, want = photos()["odd"], (12, 20, 30), []
    edit = edit_of("timm-all", op, np.array(magnitudes) / 10, image.shape[:2], "bilinear", FILL)
    for row in range(6):
        signed(1.0 if row % 2 == 0 else -1.0)
        made = theirs(op, magnitudes[row // 2], "bilinear", magnitude_max=30)
        want.append(to_array(made(to_pil(image))))
    assert difference(done(image, edit), np.stack(want)).most == 0


def test_rotations_by_quarter_turns(signed):
    """Pillow moves whole pixels there."""
    for hw in ((20, 20), (20, 31), (1, 7)):
        image = photos()["square"][: hw[0], : hw[1]]
        for magnitude in (30, 60, 90, 120):
            edit = edit_of("timm-all", "Rotate", np.array([magnitude]) / 10, hw, "bicubic", FILL)
            for row, sign in ((0, 1.0), (1, -1.0)):
                signed(sign)
                want = theirs("Rotate", magnitude, magnitude_max=120)(to_pil(image))
                assert np.array_equal(done(image, edit)[row], to_array(want)), (hw, magnitude)


def planned(op: ops.Op, n: int, hw: tuple[int, int], seed: int = 1) -> Plan:
    return Policy(op).sample(np.full((n, 2), hw), keys=Keys(np.arange(n)), seed=seed)


@pytest.mark.parametrize("fused", [False, True])
def test_a_policy_as_a_whole(fused, signed):
    """Our plan's ops done by timm, one after the other; fusing asked for does nothing."""
    image, n, done_any = photos()["odd"], 25, 0
    hw = image.shape[:2]
    plan = planned(timm.auto_augment("rand-m9-n4-p0.8-inc1"), n, hw)
    got = render([image] * n, plan.fused() if fused else plan)
    (edit,) = plan.steps
    assert isinstance(edit, Edit)
    named = {}
    for op in space("timm").names:
        pair = events(edit_of("timm", op, np.array([0.9]), hw, "bicubic"))[:, 0].tolist()
        named |= {pair[1]: (op, -1.0), pair[0]: (op, 1.0)}
    for row in range(n):
        part = to_pil(image)
        for slot, e in enumerate(events(edit)[row].tolist()):
            if edit.code[row, slot] != Code.NOTHING:
                op, sign = named[e]
                signed(sign)
                interp = Interp(edit.interp[row, slot]).name.lower()
                part = theirs(op, 9, interp if op in GEOMETRY else "bicubic")(part)
                done_any += 1
        assert np.array_equal(got[row], to_array(part)), row
    assert done_any > 50


def test_profiles_never_use_fusible_warps():
    for op in GEOMETRY:
        codes = edit_of("timm-all", op, np.arange(11) / 10, (40, 40), "bilinear").code
        assert set(codes.ravel().tolist()) <= {Code.PIL_WARP, Code.NOTHING}, op


# -------------------------------------------------------------------------------------- AugMix


@pytest.mark.parametrize(("text", "row"), [("augmix", "AugMix"), ("augmix-b1", "AugMix, b1")])
def test_augmix_as_a_whole(text, row):
    """Our chains, weighed and blended by timm's own AugMix."""
    image, n = photos()["odd"], 40
    plan = planned(timm.auto_augment(text), n, image.shape[:2])
    expand, edit, gather = plan.steps
    assert isinstance(gather, Mix) and isinstance(edit, Edit)
    copies = render([image] * n, Plan(plan.in_hw, (expand, edit)))
    got, want = np.stack(render([image] * n, plan)), []
    for units, source in zip(gather.units(), gather.source, strict=True):
        chains = iter([to_pil(copies[i]) for i in source[1:]])
        made = aa.AugMixAugment([lambda _, c=chains: next(c)], depth=1, blended=text != "augmix")
        weights = (units[1:] / max(units[1:].sum(), 1)).astype(np.float32)
        apply = made._apply_blended if made.blended else made._apply_basic
        want.append(to_array(apply(to_pil(copies[source[0]]), weights, 1 - units[0] / WEIGHT_ONE)))
    found = difference(got, np.stack(want))
    assert within(found, (row, "timm", "pil")), found
    assert found.most == PARITY[row, "timm", "pil"].most, "the table's row is laxer than need be"


# --------------------------------------------------------------------------------------- mixing


def batch(n: int, hw: tuple[int, int]) -> torch.Tensor:
    picture = photos()["square"][: hw[0], : hw[1]]
    return torch.stack([to_tensor(np.roll(picture, 7 * i, axis=1)) for i in range(n)])


class Mixing:
    """timm's Mixup, told to draw what one of our plans holds."""

    def __init__(self, monkeypatch, mix: Mix, mode: str, correct_lam: bool, apart: float) -> None:
        self.n, self.mix, self.mode = mix.rows, mix, mode
        self.own, self.cut = mix.units()[:, 0] / WEIGHT_ONE, mix.mode[:, 1] == 1
        if mix.label is not None:
            said = mix.label[:, 0] >= 0
            self.own = np.where(said, mix.label[:, 0], self.own)
        self.own[self.cut & (mix.label is None)] = 0.25  # corrected, so that it does not matter
        self.own = np.clip(self.own + np.where(self.cut, 0.0, apart / WEIGHT_ONE), 0, 1)
        self.boxes = iter([mix.rect_px[i, 1] for i in range(self.n) if self.cut[i]])
        monkeypatch.setattr(timm_mixup, "rand_bbox", self._box)
        monkeypatch.setattr(timm_mixup.Mixup, "_params_per_batch", self._one)
        monkeypatch.setattr(timm_mixup.Mixup, "_params_per_elem", self._each)
        self.options = {"mode": mode, "correct_lam": correct_lam, "num_classes": 3}

    def _one(self):
        return float(self.own[0]), bool(self.cut[0])

    def _each(self, count):
        lam = self.own[:count].astype(np.float32)
        nothing = self.mix.mode[:count, 1] == 0
        return np.where(nothing, np.float32(1), lam), self.cut[:count]

    def _box(self, shape, lam, **_):
        x0, y0, x1, y1 = next(self.boxes).tolist()
        return y0, y1, x0, x1


@pytest.mark.parametrize("mode", ["batch", "pair", "elem"])
@pytest.mark.parametrize("correct_lam", [True, False])
@pytest.mark.parametrize("floating", [False, True])
def test_mixing_pixels_and_labels(mode, correct_lam, floating, monkeypatch):
    n, hw, classes = 6, (33, 41), torch.arange(6) % 3
    images = batch(n, hw)
    seen, largest, kind = set(), 0.0, "tensor" if floating else "uint8"
    for seed in range(12):
        made = timm.mixup(0.8, 1.0, mode=mode, prob=0.8, correct_lam=correct_lam)
        plan = planned(made, n, hw, seed)
        (mix,) = plan.steps
        assert isinstance(mix, Mix)
        # The lambda that timm would have drawn is anywhere within half a unit of ours; on whole
        # levels a lambda of whole units gives the very same bytes.
        apart = np.linspace(-0.5, 0.5, 12)[seed] if floating else 0.0
        told = Mixing(monkeypatch, mix, mode, correct_lam, apart)
        if floating:
            given = images.float() / 255
            got = render(given, plan).numpy()
            x, y = timm_mixup.Mixup(label_smoothing=0.1, **told.options)(given.clone(), classes)
            found = difference(got, x.numpy(), top=1.0)
        else:
            got = render(images, plan).numpy()
            pairs = [(image.clone(), int(c)) for image, c in zip(images, classes, strict=True)]
            collate = timm_mixup.FastCollateMixup(label_smoothing=0.1, **told.options)
            x, y = collate(pairs)
            found = difference(got, x.numpy())
        for op, used in (("CutMix", told.cut), ("MixUp", (mix.mode[:, 1] == 2))):
            if used.any():
                seen.add(op)
        rows = [("CutMix", "timm", kind)] if told.cut.all() else [("MixUp", "timm", kind)]
        assert all(within(found, row) for row in rows), (rows, found)
        labels = dense_labels(classes, plan, num_classes=3, smoothing=0.1)
        assert (labels - y).abs().max() <= 1e-6 + 0.5 / WEIGHT_ONE * floating
        largest = max(largest, found.most)
    assert (largest > 0.0005) == floating, "the table's row is laxer than need be"
    assert seen == {"CutMix", "MixUp"}


@pytest.mark.parametrize("n", [0, 1])
def test_an_image_alone_stays_as_it_is(n):
    images = batch(1, (8, 9))[:n]
    assert torch.equal(render(images, planned(timm.mixup(), n, (8, 9))), images)


@pytest.mark.parametrize("mode", ["batch", "pair", "elem"])
def test_who_shares_what(mode):
    made = timm.mixup(1.0, 1.0, mode=mode, prob=0.7)
    for n, hw in ((7, (30, 21)), (6, (1, 1)), (2, (5, 5))):
        plans = [planned(made, n, hw, seed).steps[0] for seed in range(40)]
        for mix in plans:
            assert isinstance(mix, Mix)
            used, flipped = mix.mode[:, 1] != 0, np.arange(n)[::-1]
            assert (mix.source[used, 1] == flipped[used]).all()
            drawn = np.column_stack([mix.mode, mix.units(), mix.rect_px[:, 1]])
            if mode == "batch":
                assert (drawn == drawn[0]).all()
            if mode == "pair":
                assert (drawn == drawn[::-1]).all()
    if mode != "batch":
        big = planned(made, 40, (30, 21)).steps[0]
        assert isinstance(big, Mix)
        assert set(np.unique(big.mode[:20, 1])) == {0, 1, 2}


# --------------------------------------------------------------------------------------- erasing


@pytest.mark.parametrize("count", [(1, 1), (2, 4)])
def test_erasing_writes_the_mean(count, monkeypatch):
    """Our rectangles, written by timm into what is normalised."""
    images, mean, std = batch(6, (33, 41)), (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    made = timm.random_erasing(1.0, min_count=count[0], max_count=count[1])
    plan = planned(made, 6, (33, 41))
    (edit,) = plan.steps
    assert isinstance(edit, Edit)
    got = render(images, plan, mean=mean, std=std)
    want = render(images, Plan(plan.in_hw), mean=mean, std=std)
    erased = 0
    for row in range(6):
        for x0, y0, x1, y1 in edit.param[row, :, :4].astype(int).tolist():
            pixels = timm_erasing._get_pixels(False, False, (3, y1 - y0, x1 - x0), device="cpu")
            want[row, :, y0:y1, x0:x1] = pixels
            erased += x1 > x0
    found = difference(got.numpy(), want.numpy(), top=1.0 / std[0])
    assert within(found, ("RandomErasing", "timm", "tensor")), found
    assert erased >= 6 * count[0]


@pytest.mark.parametrize("mode", ["rand", "pixel"])
def test_erased_values_are_standard_normal(mode):
    made = timm.random_erasing(1.0, 0.2, 0.25, mode=mode, min_count=1, max_count=2)
    n = 600 if mode == "rand" else 12
    plan = planned(made, n, (32, 32))
    (edit,) = plan.steps
    assert isinstance(edit, Edit)
    got = render(batch(n, (32, 32)), plan, mean=(0.5,) * 3, std=(0.5,) * 3)
    values = []
    for row in range(n):
        x0, y0, x1, y1 = (int(v) for v in edit.param[row, 0, :4])
        if edit.code[row, 1] != Code.NOTHING:
            continue  # the second rectangle may lie over the first
        inside = got[row, :, y0:y1, x0:x1].reshape(3, -1)
        assert (inside == inside[:, :1]).all() == (mode == "rand")
        values.append(inside[:, 0] if mode == "rand" else inside.flatten())
    found = torch.cat(values).numpy()
    assert len(found) > 700 and stats.kstest(found, "norm").pvalue > 1e-6
