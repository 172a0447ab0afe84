"""timm's strings: what timm makes of each, and what it refuses."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from timm.data import auto_augment as aa
from timm.data.transforms_factory import create_transform

from mixwell import policy as ops
from mixwell._errors import PolicyError
from mixwell._rng import Keys
from mixwell.compat import timm
from mixwell.plan.steps import Edit, Interp
from mixwell.policy import AugMix, AutoAugment, Policy, RandAugment
from mixwell.policy.presets import parse_policy, preset, preset_names
from mixwell.policy.timm_text import is_timm
from tests.compat.recorded_timm import build

RAND = [
    "rand",
    "rand-m9-mstd0.5-inc1",
    "rand-m9-n3-mstd0.5-p0.5-inc1",
    "rand-inc1-p1-n1-m0",
    "rand-mstd101",
    "rand-m5-mstd100",
    "rand-mstd1-tweights",
    "rand-t3a",
    "rand-t3aw-n5-m6",
    "rand-m15",
    "rand-m15-mmax20",
    "rand-m9-mmax5",
    "rand-mmax0",
    "rand-p1.5",
    "rand-m3-m7-mstd1-mstd2-mmax12-mmax14",
    "rand-inc0",
    "rand-inc7",
    "rand-m9-",
    "rand-mstd1e400",
    "rand-n64",
]
OTHERS = ["original", "original-mstd0.5", "originalr", "v0", "v0r-mstd1", "3a", "original-mstd101"]
AUGMIX = [
    "augmix",
    "augmix-m5-w4-d2",
    "augmix-m3-w3-d1-b1-mstd0.5",
    "augmix-a0.5-b0",
    "augmix-d0",
    "augmix-m20",
    "augmix-mstd101",
    "augmix-mstd0",
    "augmix-m0",
]
IGNORED = [
    "rand-m9-inc",
    "rand-thuge-m9",
    "original-huge",
    "augmix-mstdinf",
    "rand-mstd-m9",
    "v0-m",
]
REFUSED = [
    "rand-w0",
    "rand-m9.5",
    "rand-n2.0",
    "rand-q3",
    "rand-9m",
    "rand-mstd0.5x",
    "rand-m-5",
    "rand-inc1.0",
    "original-m9",
    "v0-mstd0.5-n2",
    "3a-inc1",
    "augmix-n3",
    "augmix-wide3",
    "augmix-d1.5",
    "rand-tweights-n16",
    "rand-t3aw-n15",
]


@pytest.mark.parametrize("text", RAND)
def test_rand(text):
    his, ours = build(text), timm.auto_augment(text, img_mean=timm.RAW_FILL)
    assert isinstance(ours, RandAugment)
    assert ours.names == tuple(op.name for op in his.ops)
    assert ours.num_ops == his.num_layers
    weights = ours.weights or (1.0,) * len(ours.names)
    his_weights = his.choice_weights
    assert (his_weights is None) == (ours.weights is None) == ours.replace
    if his_weights is not None:
        assert np.allclose(np.array(weights) / sum(weights), his_weights, rtol=0, atol=1e-15)
    same_everywhere(his.ops)
    compare(his.ops[0], ours, ours.magnitude)
    assert ours.op_p == min(his.ops[0].prob, 1)


def same_everywhere(his: list[aa.AugmentOp]) -> None:
    first = his[0]
    for op in his[1:]:
        assert (op.prob, op.magnitude, op.hparams) == (first.prob, first.magnitude, first.hparams)


def compare(his: aa.AugmentOp, ours: RandAugment | AutoAugment, magnitude) -> None:
    """Magnitude, noise, limit, fill and interpolation of one op."""
    noise = ours.magnitude_std
    assert (float("inf") if noise == "uniform" else noise) == his.magnitude_std
    assert magnitude == his.magnitude
    assert (ours.magnitude_max or ours.num_magnitude_bins - 1) == (his.magnitude_max or 10)
    assert ours.fill == his.kwargs["fillcolor"]
    assert ours.interp == "random" and his.kwargs["resample"] == (2, 3)


@pytest.mark.parametrize("text", OTHERS)
def test_tables(text):
    his, ours = build(text), timm.auto_augment(text, img_mean=timm.RAW_FILL)
    assert isinstance(ours, AutoAugment)
    assert len(ours.sub_policies) == len(his.policy)
    for sub, ops_there in zip(ours.sub_policies, his.policy, strict=True):
        assert [(name, p) for name, p, _ in sub] == [(op.name, op.prob) for op in ops_there]
        for op in ops_there:
            compare(op, ours, op.magnitude)


@pytest.mark.parametrize("text", AUGMIX)
def test_augmix(text):
    his, ours = build(text), timm.auto_augment(text, img_mean=timm.RAW_FILL, translate_pct=0.45)
    assert isinstance(ours, AugMix)
    assert ours.names == tuple(op.name for op in his.ops)
    same_everywhere(his.ops)
    first = his.ops[0]
    noise = ours.magnitude_std
    assert (float("inf") if noise == "uniform" else noise) == first.magnitude_std
    assert (ours.severity, ours.mixture_width, ours.alpha) == (
        first.magnitude,
        his.width,
        his.alpha,
    )
    assert max(ours.chain_depth, 0) == max(his.depth, 0)
    assert (ours.fill, ours.interp, first.prob) == (first.kwargs["fillcolor"], "random", 1)


def test_nothing_to_do():
    assert timm.auto_augment("rand-n0") == ops.Identity()
    assert build("rand-n0")("image") == "image"


@pytest.mark.parametrize("text", IGNORED)
def test_what_timm_passes_over_is_said(text):
    build(text)
    with pytest.warns(UserWarning, match="timm ignores the section '"):
        loud = timm.auto_augment(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head, *sections = text.split("-")
        kept = [section for section in sections if section == "m9"]
        assert timm.auto_augment("-".join([head, *kept])) == loud


@pytest.mark.parametrize("text", REFUSED)
def test_what_timm_refuses(text):
    with pytest.raises((AssertionError, ValueError)):
        build(text)(_Anything())
    with pytest.raises(PolicyError, match=r"timm string|without replacement"):
        timm.auto_augment(text)


class _Anything:
    """An image that allows everything."""

    size, mode = (3, 3), "RGB"

    def __getattr__(self, name):
        return lambda *args, **kwargs: self


def test_messages_say_what_to_do():
    with pytest.raises(PolicyError, match=r"keys are mstd, mmax.*tweights is its nearest kin"):
        timm.auto_augment("rand-w0")
    with pytest.raises(PolicyError, match=r"'m9\.5' needs a whole number behind 'm'"):
        timm.auto_augment("rand-m9.5")
    with pytest.raises(PolicyError, match="begins with one of rand, augmix, original"):
        timm.auto_augment("randaugment")
    with pytest.raises(PolicyError, match="interpolation must be one of random, nearest"):
        timm.auto_augment("rand", interpolation="lanczos")


# ------------------------------------------------------------------------------------ the factory


@pytest.mark.parametrize("text", ["rand-m9-inc1", "v0", "augmix"])
@pytest.mark.parametrize("interpolation", ["random", "bilinear", "bicubic"])
def test_defaults_are_those_of_timms_factory(text, interpolation):
    made = create_transform(224, is_training=True, auto_augment=text, interpolation=interpolation)
    (his,) = [t for t in made.transforms if type(t).__module__ == aa.__name__]
    first = his.policy[0][0] if text == "v0" else his.ops[0]
    ours = timm.auto_augment(text, interpolation=interpolation)
    assert ours.fill == first.kwargs["fillcolor"]
    resample = first.kwargs["resample"]
    expected = "random" if isinstance(resample, tuple) else Interp(int(resample) - 1).name.lower()
    assert ours.interp == expected
    reach = first.hparams.get("translate_pct", 0.45)
    space = ops.auto.space(ours.space)
    level = space.entries["TranslateXRel"].level(np.ones(1), np.ones(1), np.full((1, 2), 100))
    assert level == 100 * reach


def test_fills_are_whole_levels():
    assert timm.auto_augment("v0", img_mean=[1.9, 2, 3]).fill == (1.0, 2.0, 3.0)
    assert timm.auto_augment("v0", img_mean=7).fill == 7.0


# --------------------------------------------------------------------------------- the other ops


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: timm.mixup(mode="half"), 'drops half of the images; use "elem"'),
        (lambda: timm.mixup(mode="row"), "mode must be one of batch, pair, elem"),
        (lambda: timm.mixup(label_smoothing=0.1), "smoothing= to Augment or Collate"),
        (lambda: timm.mixup(0.0), "must be on"),
        (lambda: timm.mixup(version="newest"), "version must be"),
        (lambda: timm.mixup(switch_prob=2), "switch_prob"),
        (lambda: timm.mixup(cutmix_minmax=(0.8, 0.2)), "cutmix_minmax"),
        (lambda: timm.mixup(cutmix_minmax=(0.1, 0.2, 0.3)), "cutmix_minmax"),
        (lambda: timm.mixup(-1.0, 1.0), "mixup_alpha"),
        (lambda: timm.random_erasing(mode="noise"), "mode must be one of const, rand, pixel"),
        (lambda: timm.random_erasing(num_splits=3), r"OnViews\(.*views=\(1, 2\), of=3\)"),
        (lambda: timm.random_erasing(min_count=3, max_count=2), "count"),
        (lambda: timm.random_erasing(min_area=0.5, max_area=0.1), "scale"),
        (lambda: ops.TimmMixup(box="1.0.30"), "box must be one of"),  # pyright: ignore
        (lambda: ops.TimmErasing((0, 1)), "count"),
        (lambda: RandAugment(magnitude=31), r"magnitude must lie in 0 \.\. 30"),
        (lambda: RandAugment(magnitude=1001, magnitude_max=40), r"magnitude .* 0 \.\. 1000"),
        (lambda: AugMix(0), r"severity must lie in 1 \.\. 10"),
        (lambda: AugMix(11), r"severity must lie in 1 \.\. 10"),
        (lambda: AugMix(-1, magnitude_std=1.0), r"severity must lie in 0 \.\. 1000"),
        (lambda: AugMix(magnitude_std=-1.0), "magnitude_std"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(PolicyError, match=message):
        make()


def test_versions_have_one_of_two_rectangles():
    found = {v: timm.mixup(0, 1, version=v).op.box for v in ("0.9.16", "1.0.28", "1.0.29", "1.1")}
    assert list(found.values()) == ["1.0.28", "1.0.28", "1.0.29", "1.0.29"]


def test_numbers_of_timms_erasing():
    from timm.data.random_erasing import RandomErasing

    his, ours = RandomErasing(device="cpu"), timm.random_erasing()
    assert (ours.p, ours.scale) == (his.probability, (his.min_area, his.max_area))
    assert np.allclose(np.log(ours.ratio), his.log_aspect_ratio, rtol=0, atol=1e-15)
    assert (ours.value, ours.units) == (0.0, "normalized")


# ------------------------------------------------------------------------------------- as policies

MADE = [
    *(timm.auto_augment(text) for text in (*RAND[:9], *OTHERS, *AUGMIX)),
    timm.auto_augment("rand-m9", translate_pct=0.3),
    timm.mixup(0.8, 1.0, mode="elem", prob=0.5, version="1.0.20"),
    timm.mixup(0.0, 0.0, [0.2, 0.8], mode="pair"),
    timm.random_erasing(0.25, mode="pixel", max_count=3),
]


@pytest.mark.parametrize("op", MADE, ids=repr)
def test_policies_print_and_are_read_back(op):
    policy = Policy(op)
    back = Policy.from_toml(policy.to_toml())
    assert back == policy == parse_policy(repr(policy))
    sizes, keys = np.full((4, 2), (24, 20)), Keys(np.arange(4))
    assert back.sample(sizes, keys=keys).digest() == policy.sample(sizes, keys=keys).digest()


def test_the_command_line_takes_timms_strings():
    for text in ("rand-m9-mstd0.5-inc1", "v0", "augmix-m5", "3a"):
        policy = parse_policy(text, 64)
        assert policy == Policy(*preset("standard", 64).ops, timm.auto_augment(text))
        plan = policy.sample(np.full((3, 2), 64), keys=Keys(np.arange(3)))
        assert any(isinstance(step, Edit) for step in plan.steps)
    assert not any(is_timm(name) for name in preset_names())
    with pytest.raises(PolicyError, match="No preset"):
        parse_policy("ran-m9")
