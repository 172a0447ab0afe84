"""torchvision's own pixels, levels and labels against ours: every op, bin and sign."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from mixwell import policy as ops
from mixwell._errors import PolicyError
from mixwell._rng import Keys
from mixwell.compat import torchvision as tv
from mixwell.plan import Mix, Plan
from mixwell.plan.steps import Code, Edit
from mixwell.policy import Policy
from mixwell.policy.spaces import space
from mixwell.policy.spaces.torchvision import linspace32
from mixwell.render import render
from tests.compat.harness import (
    done,
    edit_of,
    events,
    photos,
    planned,
    to_array,
    to_pil,
    to_tensor,
)
from tests.compat.parity import EXACT, PARITY, TORCHVISION, difference, key, within
from tests.data import shared_data

SPACES = {
    "torchvision-{}": (v2.RandAugment, 31),
    "torchvision-{}-auto": (v2.AutoAugment, 10),
    "torchvision-{}-wide": (v2.TrivialAugmentWide, 31),
}
CASES = [
    (name.format(backend), backend, cls, bins)
    for name, (cls, bins) in SPACES.items()
    for backend in ("pil", "tensor")
] + [("torchvision-augmix", "tensor", v2.AugMix, 10)]
every_space = pytest.mark.parametrize(("name", "backend", "cls", "bins"), CASES)

FUSED = float(torch.linspace(0.0, 32.0, 31)[15]) < 16
needs_fused = pytest.mark.skipif(
    not FUSED,
    reason="torch.linspace has no fused multiply-add on this machine: unproven here: that levels "
    "are torchvision's to the last bit",
)


def magnitude(table: dict, op: str, i: int, bins: int, hw: tuple[int, int]) -> float:
    """What torchvision draws for an op at a bin; 0 where the op has no magnitude."""
    found = table[op][0](bins, *hw)
    return 0.0 if found is None else float(found[i])


@cache
def dispatcher(interpolation: str, fill) -> v2.RandAugment:
    return v2.RandAugment(interpolation=interpolation, fill=fill)


def theirs(image, op: str, level: float, interpolation: str, fill=None):
    made = dispatcher(interpolation, fill)
    return made._apply_image_or_video_transform(
        image, op, level, interpolation=interpolation, fill=made._fill
    )


def both_signs(table: dict, op: str, bins: int, hw: tuple[int, int]) -> list[float]:
    """Magnitudes bin by bin, each with + and then with -, where the op has signs."""
    signed = table[op][1]
    values = [magnitude(table, op, i, bins, hw) for i in range(bins)]
    return [s * v for v in values for s in ((1, -1) if signed else (1, 1))]


# -------------------------------------------------------------------------------------- levels


@every_space
def test_the_same_ops_in_the_same_order(name, backend, cls, bins):
    assert space(name).names == tuple(cls._AUGMENTATION_SPACE)
    for op, (_, signed) in cls._AUGMENTATION_SPACE.items():
        assert space(name).entries[op].signed == signed, op
        assert (op, "torchvision", backend) in PARITY, f"{op} has no row in tests/compat/parity.py"


def test_augmix_draws_from_the_smaller_table_too():
    assert tv.AugMix(all_ops=False).names == tuple(v2.AugMix._PARTIAL_AUGMENTATION_SPACE)


@needs_fused
@every_space
@pytest.mark.parametrize("hw", [(224, 224), (1, 1), (331, 97), (96, 662), (27, 54)])
def test_levels_to_the_last_bit(name, backend, cls, bins, hw):
    t = np.arange(bins) / (bins - 1)
    size = np.full((bins, 2), hw, np.int32)
    for op, entry in space(name).entries.items():
        want = np.array([magnitude(cls._AUGMENTATION_SPACE, op, i, bins, hw) for i in range(bins)])
        for sign in (1.0, -1.0) if entry.signed else (1.0,):
            signed = want * sign
            if entry.unit == "px":
                signed = np.trunc(signed)
            elif entry.unit == "factor":
                signed = 1.0 + signed
            elif entry.unit == "level":
                signed = 255.0 * signed
                if backend == "tensor":
                    signed = signed.astype(np.float32).astype(np.float64)
            got = entry.level(t, np.full(bins, sign), size)
            assert np.array_equal(got, signed), (op, sign, got - signed)


@needs_fused
@pytest.mark.parametrize("bins", [2, 3, 4, 9, 10, 11, 15, 16, 20, 31, 32, 101])
def test_other_numbers_of_bins(bins):
    t = np.arange(bins) / (bins - 1)
    for end in (0.3, 30.0, 0.99, 135.0, 32.0, 150.0 / 331.0 * 224):
        want = torch.linspace(0.0, end, bins).double().numpy()
        assert np.array_equal(linspace32(0.0, end, t, bins), want)
    for name, cls in (
        (f"torchvision-pil/{bins}", v2.RandAugment),
        (f"torchvision-tensor-wide/{bins}", v2.TrivialAugmentWide),
    ):
        for op in ("Posterize", "TranslateX"):
            table, hw = cls._AUGMENTATION_SPACE, (50, 331)
            want = np.array([magnitude(table, op, i, bins, hw) for i in range(bins)])
            got = space(name).entries[op].level(t, np.ones(bins), np.full((bins, 2), hw))
            assert np.array_equal(got, np.trunc(want)), (op, name)


def test_fifteen_px_where_sixteen_are_meant():
    """linspace(0, 32, 31)[15] is 15.999999 there, and int() cuts."""
    op = tv.TrivialAugmentWide()
    level = space(op.space).entries["TranslateX"].level
    assert level(np.array([15 / 30]), np.ones(1), np.array([[64, 64]])) == 15.0


# -------------------------------------------------------------------------------------- pixels

READING = {"pil": ("nearest", "bilinear", "bicubic"), "tensor": ("nearest", "bilinear")}
GEOMETRY = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")


@needs_fused
@every_space
def test_every_op_bin_and_sign(name, backend, cls, bins):
    to = to_pil if backend == "pil" else to_tensor
    table = cls._AUGMENTATION_SPACE
    t = np.arange(bins) / (bins - 1)
    for op in table:
        for interp in READING[backend] if op in GEOMETRY else ("nearest",):
            for photo, image in photos().items():
                hw = image.shape[:2]
                levels = both_signs(table, op, bins, hw)
                want = {v: to_array(theirs(to(image), op, v, interp)) for v in set(levels)}
                got = done(image, edit_of(name, op, t, hw, interp))
                found = difference(got, np.stack([want[v] for v in levels]))
                what = f"{op}, {interp}, {photo}: {found}"
                assert within(found, key(op, "torchvision", backend, interp)), what


@needs_fused
@pytest.mark.parametrize("name", ["torchvision-pil-wide", "torchvision-tensor-wide"])
def test_small_images_of_random_levels(name):
    """Where borders and the ends of arrays are much of the image."""
    rng, table = np.random.default_rng(0), v2.TrivialAugmentWide._AUGMENTATION_SPACE
    backend = name.split("-")[1]
    to = to_pil if backend == "pil" else to_tensor
    t, found = np.arange(0, 31, 6) / 30, dict[tuple, list]()
    for _ in range(12):
        image = rng.integers(0, 256, (*rng.integers(1, 14, 2), 3), np.uint8)
        hw = image.shape[:2]
        for op in table:
            levels = both_signs(table, op, 31, hw)
            levels = [v for i in range(0, 31, 6) for v in levels[2 * i : 2 * i + 2]]
            for interp in ("nearest", "bilinear") if op in GEOMETRY else ("nearest",):
                want = np.stack([to_array(theirs(to(image), op, v, interp)) for v in levels])
                got = done(image, edit_of(name, op, t, hw, interp))
                row = found.setdefault(key(op, "torchvision", backend, interp), [[], []])
                row[0].append(got.ravel())
                row[1].append(want.ravel())
    for row, (ours, want) in found.items():
        apart = difference(np.concatenate(ours), np.concatenate(want))
        assert within(apart, row), (row, apart)


@needs_fused
def test_float_tensors_too():
    image = photos()["upright"]
    x, hw, t = to_tensor(image).float() / 255, image.shape[:2], np.arange(10) / 9
    table = v2.AutoAugment._AUGMENTATION_SPACE
    for op in table:
        levels = both_signs(table, op, 10, hw)
        for interp in READING["tensor"] if op in GEOMETRY else ("nearest",):
            edit = edit_of("torchvision-tensor-auto", op, t, hw, interp)
            got = render([x] * len(levels), Plan(np.full((len(levels), 2), hw), (edit,)))
            want = torch.stack([theirs(x, op, v, interp) for v in levels])
            found = difference(torch.stack(got).numpy(), want.numpy(), top=1.0)
            what = "floats" if interp == "nearest" else "bilinear floats"
            assert within(found, key(op, "torchvision", "tensor", what)), (op, interp, found)
            assert op in ("AutoContrast",) or not torch.equal(want[-1], x)


@needs_fused
@pytest.mark.parametrize("backend", ["pil", "tensor"])
@pytest.mark.parametrize("photo", ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"])
def test_every_op_on_whole_photographs(photo, backend):
    folder = shared_data("photos", "that ops are torchvision's on four more photographs")
    image = np.asarray(Image.open(folder / photo).convert("RGB"))[::2, ::2].copy()
    to = to_pil if backend == "pil" else to_tensor
    table, picked = v2.TrivialAugmentWide._AUGMENTATION_SPACE, np.array([7, 30])
    for op in table:
        levels = both_signs(table, op, 31, image.shape[:2])
        levels = [v for i in picked for v in levels[2 * i : 2 * i + 2]]
        want = np.stack([to_array(theirs(to(image), op, v, "bilinear")) for v in levels])
        name = f"torchvision-{backend}-wide"
        got = done(image, edit_of(name, op, picked / 30, image.shape[:2], "bilinear"))
        found = difference(got, want)
        assert within(found, key(op, "torchvision", backend, "bilinear")), (op, found)


@needs_fused
@pytest.mark.parametrize("backend", ["pil", "tensor"])
@pytest.mark.parametrize("fill", [0, 128.7, (200, 30.0, 99)])
def test_what_shows_outside(backend, fill):
    to = to_pil if backend == "pil" else to_tensor
    table, bins = v2.TrivialAugmentWide._AUGMENTATION_SPACE, 31
    t = np.arange(0, bins, 5) / (bins - 1)
    for interp in READING[backend]:
        op_fill = tv.TrivialAugmentWide(interpolation=interp, fill=fill, backend=backend).fill
        for op in GEOMETRY:
            image = photos()["odd"]
            levels = both_signs(table, op, bins, image.shape[:2])
            levels = [v for i in range(0, bins, 5) for v in levels[2 * i : 2 * i + 2]]
            want = np.stack([to_array(theirs(to(image), op, v, interp, fill)) for v in levels])
            name = f"torchvision-{backend}-wide"
            got = done(image, edit_of(name, op, t, image.shape[:2], interp, op_fill))
            found = difference(got, want)
            assert within(found, key(op, "torchvision", backend, interp)), (op, interp, found)


@needs_fused
@pytest.mark.parametrize("backend", ["pil", "tensor"])
def test_ops_in_a_row_stay_apart(backend):
    """Three warps, a tone op, and fusing asked for: torchvision reads pixels four times."""
    to = to_pil if backend == "pil" else to_tensor
    name, image = f"torchvision-{backend}", photos()["odd"]
    chain, t = ("ShearX", "Rotate", "Sharpness", "TranslateY"), np.array([9, 20]) / 30
    for interp in ("nearest", "bilinear"):
        edits = [edit_of(name, op, t, image.shape[:2], interp) for op in chain]
        want = []
        for i, sign in ((9, 1), (9, -1), (20, 1), (20, -1)):
            out = to(image)
            for op in chain:
                level = magnitude(v2.RandAugment._AUGMENTATION_SPACE, op, i, 31, image.shape[:2])
                out = theirs(out, op, sign * level, interp)
            want.append(to_array(out))
        for fused in (False, True):
            found = difference(done(image, *edits, fused=fused), np.stack(want))
            row = ("ops in a row", "torchvision", backend)
            assert within(found, row), (interp, fused, found)


# -------------------------------------------------------------------------------------- AugMix


@needs_fused
def test_augmix_as_a_whole():
    """Our plan's ops done by torchvision, and summed and cut off as torchvision does it."""
    image, n = photos()["odd"], 30
    hw = image.shape[:2]
    plan = Policy(tv.AugMix()).sample(np.full((n, 2), hw), keys=Keys(np.arange(n)), seed=2)
    got = np.stack(render([image] * n, plan))
    edit, gather = plan.steps[1], plan.steps[2]
    assert isinstance(edit, Edit) and isinstance(gather, Mix)
    table = v2.AugMix._AUGMENTATION_SPACE
    named = {  # event -> (op, magnitude)
        int(e): (op, v)
        for op in table
        for e, v in zip(
            events(edit_of("torchvision-augmix", op, np.arange(10) / 9, hw, "bilinear"))[:, 0],
            both_signs(table, op, 10, hw),
            strict=True,
        )
    }
    want, weights = [], (gather.units() / 65536).astype(np.float32)
    for row in range(n):
        mixed = torch.zeros(3, *hw)
        for weight, source in zip(weights[row], gather.source[row], strict=True):
            part = to_tensor(image)
            for e in events(edit)[source]:
                part = theirs(part, *named.get(int(e), ("Identity", 0.0)), "bilinear")
            mixed += float(weight) * part
        want.append(to_array(mixed.to(torch.uint8)))
    found = difference(got, np.stack(want))
    assert within(found, ("AugMix", "torchvision", "tensor")), found
    assert found.most > 0, "the table's row is laxer than need be"


# ------------------------------------------------------------------------------------ arguments


def test_torchvisions_enums_and_numbers_are_understood():
    mode = v2.InterpolationMode
    assert tv.RandAugment(interpolation=mode.BILINEAR) == tv.RandAugment(interpolation="bilinear")
    assert tv.RandAugment(interpolation=3).interp == "bicubic"
    assert tv.RandAugment(interpolation=mode.NEAREST_EXACT).interp == "nearest"
    assert tv.AutoAugment(v2.AutoAugmentPolicy.SVHN) == tv.AutoAugment("svhn")
    assert tv.RandAugment(num_ops=0) == ops.Identity()
    assert tv.AugMix(chain_depth=0) == tv.AugMix(chain_depth=-7) == tv.AugMix()
    assert tv.RandAugment(fill=[1.9, 2, 3]).fill == (1.0, 2.0, 3.0)
    assert tv.RandAugment(fill=1.9, backend="tensor").fill == 1.9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tv.RandAugment(interpolation="bicubic", backend="tensor"), "nearest, bilinear"),
        (lambda: tv.AugMix(interpolation="lanczos"), "nearest, bilinear"),
        (lambda: tv.RandAugment(interpolation=v2.InterpolationMode.BOX), "bicubic, got"),
        (lambda: tv.RandAugment(backend="numpy"), '"pil" or "tensor", got'),
        (lambda: tv.RandAugment(fill={int: 3}), "fill must be None"),
        (lambda: tv.AutoAugment("coco"), "imagenet.*got 'coco'"),
        (lambda: tv.RandomErasing(value="random", units="input"), "standard normal"),
        (lambda: tv.RandomErasing(units="px"), "units"),
        (lambda: tv.RandAugment(num_magnitude_bins=1), "at least 2|num_magnitude_bins|No space"),
    ],
)
def test_what_torchvision_would_not_do_is_refused(make, message):
    with pytest.raises(PolicyError, match=message):
        make()


MADE = [
    tv.AutoAugment(),
    tv.AutoAugment("svhn", "bilinear", (1, 2, 3), backend="tensor"),
    tv.RandAugment(3, 5, 11),
    tv.RandAugment(interpolation="bilinear", fill=0, backend="tensor"),
    tv.TrivialAugmentWide(16, backend="tensor"),
    tv.AugMix(5, all_ops=False),
    tv.MixUp(0.2),
    tv.CutMix(),
    tv.RandomErasing(value="random"),
    tv.RandomErasing(0.25, [0.1, 0.2], (0.5, 2), [1, 2, 3], units="input"),
]


@pytest.mark.parametrize("op", MADE, ids=repr)
def test_policies_print_and_are_read_back(op):
    policy = Policy(op)
    back = Policy.from_toml(policy.to_toml())
    assert back == policy and repr(back) == repr(policy)
    assert planned(back.ops[0], 4, (24, 20)).digest() == planned(op, 4, (24, 20)).digest()


def test_profiles_never_use_fusible_warps_but_for_quarter_turns():
    for name, backend, _, bins in CASES:
        t = np.arange(bins) / (bins - 1)
        for op in GEOMETRY:
            codes = edit_of(name, op, t, (40, 40), "nearest").code[:, 0]
            own = Code.PIL_WARP if backend == "pil" else Code.TV_WARP
            others = set(codes.tolist()) - {own}
            allowed = {Code.NOTHING, Code.WARP} if op == "Rotate" else set()
            assert others <= allowed, (name, op)


def test_every_declared_row_is_of_an_op_that_exists():
    known = {op for _, _, cls, _ in CASES for op in cls._AUGMENTATION_SPACE}
    mixers = {"AugMix", "MixUp", "CutMix", "RandomErasing"}
    assert {op.split(",")[0] for op, _, _ in TORCHVISION} == known | mixers
    assert all(bound == EXACT or bound.reason for bound in PARITY.values())
