"""What every profile code promises; their pixels are in test_pillow and test_torchvision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixwell._errors import RenderError
from mixwell.plan import Code, Edit, Interp, Plan
from mixwell.plan.steps import WARPS
from mixwell.render import render
from tests.render.samples import assert_same, random_levels

PROFILE = [c for c in Code if c >= Code.PIL_CONTRAST or c in WARPS[1:]]
TONES = [c for c in PROFILE if c not in WARPS]
FLOATS = [c for c in PROFILE if c.name.startswith("TV_")]
BYTES = [c for c in PROFILE if c not in FLOATS]


def one(code: Code, images: torch.Tensor, params, interp=Interp.BILINEAR, fill=0.0, out_hw=None):
    """Images [n, C, H, W] after a plan of a single slot; params [n, k], or [k] for all rows."""
    size_hw = np.tile(np.array(images.shape[-2:], np.int32), (len(images), 1))
    edit = Edit.nothing(size_hw)
    edit.code[:, 0], edit.interp[:, 0] = code, interp
    params = np.asarray(params, np.float64)
    edit.param[:, 0, : params.shape[-1]] = params
    edit.fill[:, 0] = fill
    if out_hw is not None:
        edit.size_hw[:, 0] = out_hw
    return render(images, Plan(size_hw, (edit,)), stack=True)


def warped(m: np.ndarray, in_hw, out_hw=None, *, filled: bool = True) -> np.ndarray:
    """Parameters [n, 12] of warps from [n, 6]: with the translation about the centre."""
    (h, w), (oh, ow) = in_hw, out_hw or in_hw
    params = np.zeros((len(m), 12))
    params[:, :6], params[:, 8], params[:, 11] = m, 1.0, not filled
    params[:, 9] = m[:, 0] * ow / 2 + m[:, 1] * oh / 2 + m[:, 2] - w / 2
    params[:, 10] = m[:, 3] * ow / 2 + m[:, 4] * oh / 2 + m[:, 5] - h / 2
    return params


def some(code: Code, n: int, size_hw=(7, 11)) -> np.ndarray:
    """Different parameters for each row."""
    if code in WARPS:
        rng = np.random.default_rng(3)
        m = np.array([1.0, 0, 0, 0, 1, 0]) + rng.normal(size=(n, 6)) * [0.3, 0.3, 3, 0.3, 0.3, 3]
        return warped(m, size_hw)
    return np.stack([np.linspace(0.3, 1.7, n), np.linspace(100, 200, n)], axis=1)


def images_for(code: Code, channels: int = 3) -> torch.Tensor:
    images = random_levels(3, channels, 7, 11)
    return images / 255 if code in FLOATS else images


@pytest.mark.parametrize("interp", [Interp.NEAREST, Interp.BILINEAR])
@pytest.mark.parametrize("code", PROFILE)
def test_rows_have_their_own_parameters_and_stay_as_they_were(code, interp):
    images, params = images_for(code), some(code, 3)
    fill = np.array([[9], [90], [200]]).repeat(4, 1) / (255 if code in FLOATS else 1)
    before = images.clone()
    together = one(code, images, params, interp, fill)
    assert_same(images, before)
    for i in range(3):
        alone = one(code, images[i : i + 1], params[i], interp, fill[i])
        assert_same(together[i : i + 1], alone)


@pytest.mark.parametrize("code", PROFILE)
def test_memory_layout_does_not_matter(code):
    images, params = images_for(code), some(code, 3)
    expected = one(code, images, params)
    strided = images.repeat_interleave(2, dim=3)[..., ::2]
    for same in (images.contiguous(memory_format=torch.channels_last), strided):
        assert_same(one(code, same, params), expected)


@pytest.mark.parametrize("code", PROFILE)
def test_no_rows(code):
    out = one(code, images_for(code)[:0], some(code, 0))
    assert out.shape == (0, 3, 7, 11)


@pytest.mark.parametrize("code", [c for c in TONES if c != Code.PIL_BLUR])
def test_tones_leave_alpha(code):
    images, params = images_for(code, channels=4), some(code, 3)
    out = one(code, images, params)
    assert_same(out[:, 3], images[:, 3])
    assert_same(out[:, :3], one(code, images[:, :3], params))


@pytest.mark.parametrize("code", TONES)
def test_tones_refuse_other_channel_counts(code):
    with pytest.raises(RenderError, match=f"{code.name} needs 1, 3 or 4 channels .* got 5"):
        one(code, images_for(code, channels=5), some(code, 3))


@pytest.mark.parametrize("interp", [Interp.NEAREST, Interp.BILINEAR])
@pytest.mark.parametrize("code", WARPS[1:])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_warps_take_channels_one_by_one(code, channels, interp):
    images, params = images_for(code, channels), some(code, 3)
    out = one(code, images, params, interp)
    for i in range(channels):
        assert_same(out[:, i : i + 1], one(code, images[:, i : i + 1], params, interp))


@pytest.mark.parametrize("code", BYTES)
def test_codes_of_pillow_refuse_floats(code):
    cure = r'on uint8 alone; got floats\. Pass uint8 images, or .*backend="tensor"'
    with pytest.raises(RenderError, match=cure):
        one(code, random_levels(3, 3, 7, 11) / 255, some(code, 3))


@pytest.mark.parametrize("code", PROFILE)
def test_sixteen_bits_are_refused(code):
    images = torch.zeros(3, 3, 7, 11, dtype=torch.uint16)
    with pytest.raises(RenderError, match=f"{code.name} cannot take uint16; convert to uint8"):
        one(code, images, some(code, 3))


@pytest.mark.parametrize("code", PROFILE)
def test_nothing_follows_an_erasing_in_normalised_units(code):
    size_hw = np.full((1, 2), 6, np.int32)
    edit = Edit.nothing(size_hw, 2)
    edit.code[0] = Code.ERASE, code
    edit.param[0, 0, :6] = 1, 1, 4, 4, 2, 1
    edit.param[0, 1] = warped(np.array([[1.0, 0, 0, 0, 1, 0]]), (6, 6))[0]
    with pytest.raises(RenderError, match=f"{code.name} cannot follow an erasing in normalised"):
        render(random_levels(1, 3, 6, 6), Plan(size_hw, (edit,)), mean=[0.5] * 3, std=[0.5] * 3)


@pytest.mark.parametrize("code", WARPS[1:])
def test_fills_must_be_levels_of_the_image(code):
    with pytest.raises(RenderError, match=r"fills of uint8 images must lie in 0 \.\. 255, got 300"):
        one(code, random_levels(3, 3, 7, 11), some(code, 3), fill=300.0)


def test_warps_of_profiles_are_never_fused():
    size_hw = np.array([(8, 9)], np.int32)
    slots = []
    for code in (Code.PIL_WARP, Code.PIL_WARP, Code.TV_WARP, Code.WARP, Code.TV_WARP):
        edit = Edit.nothing(size_hw)
        edit.code[:, 0] = code
        edit.param[:, 0] = warped(np.array([[1, 0.25, 0, 0, 1, 0]]), (8, 9))
        slots.append(edit)
    plan = Plan(size_hw, (Edit.chain(slots),))
    assert plan.fused().steps[0].code.tolist() == plan.steps[0].code.tolist()


WAYS = [
    *((code, interp) for code in WARPS[1:] for interp in (Interp.NEAREST, Interp.BILINEAR)),
    (Code.PIL_WARP, Interp.BICUBIC),
    *((code, Interp.NEAREST) for code in TONES),
]


@pytest.mark.gpu
@pytest.mark.parametrize(("code", "interp"), WAYS)
def test_gpu_gives_the_same_bytes(code, interp):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device: unproven here: that profiles agree on CPU and GPU")
    kinds = [random_levels(4, 3, 65, 67)]
    if code in FLOATS:
        kinds.append(kinds[0] / 255)
    for images in kinds:
        params = some(code, 4, (65, 67))
        on_gpu = one(code, images.cuda(), params, interp).cpu()
        assert_same(on_gpu, one(code, images, params, interp))
