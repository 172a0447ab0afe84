"""torchvision's codes, and the native codes that equal its tensor path: torchvision is asked.

torchvision's last bits depend on the machine: its kernels round differently with and without fused
multiply-add, and in the last elements of a tensor that do not fill a vector. The codes do what it
does with AVX-512; there the tests ask for equality, elsewhere for the tolerances below.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv
from torchvision.transforms import v2
from torchvision.transforms.v2.functional._geometry import _get_inverse_affine_matrix

from mixwell._errors import PlanError
from mixwell.plan import Code, Interp
from tests.render.samples import SMALL, assert_same, photos, random_levels
from tests.render.test_library import one, warped
from tests.tolerances import atol

EXACT = torch.backends.cpu.get_cpu_capability() == "AVX512"
"""Whether tones are those that were written down; positions of warps differ even then (Zen 4)."""
WARPS = ("tv nearest", "tv bilinear")
SIZES = [(24, 31), (31, 24), (16, 16), (1, 1), (1, 7), (9, 1), (2, 3), (4, 15), (66, 1), (67, 1)]
KINDS = ["uint8", "float32"]
INTERPS = [Interp.NEAREST, Interp.BILINEAR]
FACTORS = [0.0, 0.1, 0.37, 0.73, 1.0, 1.27, 1.9, 3.7, 40.0]


def assert_agree(found: torch.Tensor, wanted: torch.Tensor, stage: str, dtype: str) -> None:
    """Equal; or within the tolerance of this stage, on other machines also of torchvision's own."""
    limit, exact = atol(stage, dtype, "torchvision"), EXACT and stage not in WARPS
    if exact and limit == 0:
        assert_same(found, wanted)
        return
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    off = (found.double() - wanted.double()).abs()
    if not exact:
        limit = max(limit, atol(stage, dtype, "torchvision on other machines"))
    if exact and dtype == "uint8":
        assert (off > 0).sum() < 32 * len(off)
    # Where positions lie halfway, a last bit decides which pixel is nearest.
    torn = 1e-3 * off.numel() + 4 if stage == "tv nearest" else 0
    assert (off > limit).sum() <= torn


def of_kind(images: torch.Tensor, dtype: str) -> torch.Tensor:
    return images if dtype == "uint8" else images / 255


def fill_for(fill, dtype: str):
    return fill if fill is None or dtype == "uint8" else [v / 255 for v in fill]


def params_of(m: list[float], *, filled: bool) -> np.ndarray:
    """[12] from torchvision's own six numbers about the centre, and the same about the corner."""
    params = np.zeros(12)
    params[[0, 1, 9, 3, 4, 10]] = m
    params[8], params[11] = 1.0, not filled
    return params


# ------------------------------------------------------------------------------------- warps


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("interp", INTERPS)
@pytest.mark.parametrize("fill", [None, [0.0] * 3, [123.675, 3.5, 255.0]], ids=str)
def test_affine_equals_torchvision(fill, interp, dtype):
    rng = np.random.default_rng(7)
    colour = fill_for(fill, dtype)
    for size_hw in SIZES:
        images = of_kind(random_levels(6, 3, *size_hw), dtype)
        params, wanted = [], []
        for row in range(6):
            angle, scale = float(rng.uniform(-180, 180)), float(rng.uniform(0.5, 2))
            shift = rng.choice([0.0, 1.0, -3.0, 2.5], 2).tolist()
            shear = rng.uniform(-40, 40, 2).tolist()
            if row == 5:
                angle, scale, shear = 0.0, 1.0, [0.0, 0.0]
            centre = None if row % 2 else [0.0, 0.0]
            middle = [0.0, 0.0] if row % 2 else [-s * 0.5 for s in size_hw[::-1]]
            m = _get_inverse_affine_matrix(middle, angle, shift, scale, shear)
            params.append(corrected(params_of(m, filled=fill is not None), size_hw))
            wanted.append(
                tv.affine(
                    images[row], angle, shift, scale, shear, interp.name.lower(), colour, centre
                )
            )
        found = one(Code.TV_WARP, images, np.stack(params), interp, padded(colour))
        assert_agree(found, torch.stack(wanted), f"tv {interp.name.lower()}", dtype)


def corrected(params: np.ndarray, in_hw, out_hw=None) -> np.ndarray:
    """The translation about the corner, which targets follow, from that about the centre."""
    (h, w), (oh, ow) = in_hw, out_hw or in_hw
    params[2] = params[9] + w / 2 - params[0] * ow / 2 - params[1] * oh / 2
    params[5] = params[10] + h / 2 - params[3] * ow / 2 - params[4] * oh / 2
    return params


def padded(fill) -> list[float] | float:
    return 0.0 if fill is None else [*fill, 0.0][:4]


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("interp", INTERPS)
def test_rotate_of_photos_equals_torchvision(interp, dtype):
    images, fill = of_kind(photos(), dtype), fill_for([124.0, 116.0, 104.0], dtype)
    m = [_get_inverse_affine_matrix([0.0, 0.0], -a, [0.0] * 2, 1.0, [0.0] * 2) for a in (9, -31.4)]
    params = np.stack([corrected(params_of(v, filled=True), (427, 640)) for v in m])
    found = one(Code.TV_WARP, images, params, interp, padded(fill))
    named = {"interpolation": interp.name.lower(), "fill": fill}
    wanted = [tv.rotate(images[row], a, **named) for row, a in enumerate((9.0, -31.4))]
    assert_agree(found, torch.stack(wanted), f"tv {interp.name.lower()}", dtype)


@pytest.mark.parametrize("interp", INTERPS)
def test_expanding_rotate_equals_torchvision(interp):
    image = random_levels(1, 3, 21, 34)
    wanted = tv.rotate(image, 33.0, interpolation=interp.name.lower(), expand=True, fill=[7.0] * 3)
    m = _get_inverse_affine_matrix([0.0, 0.0], -33.0, [0.0] * 2, 1.0, [0.0] * 2)
    out_hw = tuple(wanted.shape[-2:])
    params = corrected(params_of(m, filled=True), (21, 34), out_hw)
    found = one(Code.TV_WARP, image, params[None], interp, 7.0, out_hw)
    assert_agree(found, wanted, f"tv {interp.name.lower()}", "uint8")


@pytest.mark.parametrize("interp", INTERPS)
@pytest.mark.parametrize(("size_hw", "angle"), [((5, 8), 180), ((6, 6), 90), ((7, 7), 270)])
def test_turns_that_move_whole_pixels_need_no_special_path_on_uint8(size_hw, angle, interp):
    image = random_levels(1, 3, *size_hw)
    m = _get_inverse_affine_matrix([0.0, 0.0], -float(angle), [0.0] * 2, 1.0, [0.0] * 2)
    params = corrected(params_of(m, filled=True), size_hw)
    found = one(Code.TV_WARP, image, params[None], interp, 9.0)
    assert_same(found, tv.rotate(image, angle, interpolation=interp.name.lower(), fill=[9.0] * 3))


def test_a_black_fill_and_no_fill_differ_in_the_border_alone():
    images = random_levels(1, 3, 20, 20)
    turned = warped(np.array([(0.9, -0.3, 3.1, 0.3, 0.9, -2.7)]), (20, 20))
    filled = one(Code.TV_WARP, images, turned, Interp.BILINEAR)
    turned[:, 11] = 1
    empty = one(Code.TV_WARP, images, turned, Interp.BILINEAR)
    apart = (filled != empty).any(1)
    assert 0 < apart.sum() < 80
    assert (filled.int() <= empty.int()).all()


def test_bicubic_is_refused():
    turned = warped(np.array([(0.9, -0.3, 3.1, 0.3, 0.9, -2.7)]), (20, 20))
    with pytest.raises(PlanError, match="TV_WARP is nearest or bilinear"):
        one(Code.TV_WARP, random_levels(1, 3, 20, 20), turned, Interp.BICUBIC)


# ------------------------------------------------------------------------------------- tones

TONES = {
    Code.TV_BRIGHTNESS: tv.adjust_brightness,
    Code.TV_CONTRAST: tv.adjust_contrast,
    Code.TV_SATURATION: tv.adjust_saturation,
    Code.TV_SHARPNESS: tv.adjust_sharpness,
    Code.TV_AUTOCONTRAST: lambda images, _: tv.autocontrast(images),
}


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("code", TONES)
def test_tones_of_photos_equal_torchvision(code, dtype):
    images = of_kind(photos(), dtype)
    factors = FACTORS[1:-1:2] if code != Code.TV_AUTOCONTRAST else [1.0]
    for factor in factors:
        wanted = TONES[code](images, factor)
        assert_agree(one(code, images, [factor]), wanted, code.name.lower(), dtype)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("code", TONES)
def test_tones_of_small_images_equal_torchvision(code, name, channels, dtype):
    image = of_kind(SMALL[name][:, :channels], dtype)
    factors = FACTORS[:-1] if dtype == "float32" else FACTORS
    found = one(code, image.repeat(len(factors), 1, 1, 1), np.array(factors)[:, None])
    wanted = torch.cat([TONES[code](image, factor) for factor in factors])
    assert_agree(found, wanted, code.name.lower(), dtype)


@pytest.mark.parametrize("factor", FACTORS)
def test_brightness_is_the_native_one(factor):
    for images in (photos(), random_levels(3, 1, 33, 31)):
        assert_same(one(Code.BRIGHTNESS, images, [factor]), tv.adjust_brightness(images, factor))


NATIVE = {
    Code.POSTERIZE: (tv.posterize, list(range(9))),
    Code.INVERT: (lambda images, _: tv.invert(images), [0]),
    Code.EQUALIZE: (lambda images, _: tv.equalize(images), [0]),
    Code.HUE: (tv.adjust_hue, [-0.5, -0.01, 0.0, 0.13, 0.5]),
}


@pytest.mark.parametrize("code", NATIVE)
def test_native_codes_equal_torchvision_on_uint8(code):
    """What needs no code of its own."""
    fn, values = NATIVE[code]
    for images in (photos()[:, :, ::2, 1:], *SMALL.values()):
        for value in values:
            assert_same(one(code, images, [value]), fn(images, value))


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shown", list(permutations(range(3))))
def test_channels_are_those_of_photometric_distortion(shown, dtype):
    op = v2.RandomPhotometricDistort()
    drawn = dict.fromkeys(op.make_params([photos()]))
    drawn["channel_permutation"] = torch.tensor(shown)
    for images in (photos()[:, :, ::2, 1:], *SMALL.values()):
        images = of_kind(images, dtype)
        assert_same(one(Code.CHANNELS, images, shown), op.transform(images, drawn))


@pytest.mark.parametrize("bins", [10, 31])
def test_solarize_is_the_native_one_with_a_float32_threshold(bins):
    """Tensors are compared in float32: at 51.0000008 the level 51 counts as above."""
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    apart = 0
    for magnitude in torch.linspace(1.0, 0.0, bins).tolist():
        wanted = tv.solarize(levels, 255.0 * magnitude)
        assert_same(one(Code.SOLARIZE, levels, [np.float32(255.0 * magnitude)]), wanted)
        apart += not torch.equal(one(Code.SOLARIZE, levels, [255.0 * magnitude]), wanted)
    assert apart > 0


def test_other_native_codes_differ_from_torchvision():
    """Why these have codes."""
    images = photos()
    for native, code in (
        (Code.CONTRAST, Code.TV_CONTRAST),
        (Code.SATURATION, Code.TV_SATURATION),
        (Code.AUTOCONTRAST, Code.TV_AUTOCONTRAST),
        (Code.SHARPNESS, Code.TV_SHARPNESS),
    ):
        apart = [(one(native, images, [f]) != TONES[code](images, f)).sum() for f in (0.4, 1.6)]
        assert sum(apart) > 0
