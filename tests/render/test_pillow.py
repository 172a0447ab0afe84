"""Pillow's codes, and what native codes share with it: Pillow and timm are asked themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageFilter

from mixwell.plan import Code, Interp
from tests.data import shared_data
from tests.render.samples import SMALL, assert_same, photos, random_levels
from tests.render.test_library import one

RESAMPLE = {
    Interp.NEAREST: Image.Resampling.NEAREST,
    Interp.BILINEAR: Image.Resampling.BILINEAR,
    Interp.BICUBIC: Image.Resampling.BICUBIC,
}
SIZES = [(24, 31), (31, 24), (1, 1), (1, 7), (9, 1), (2, 3), (40, 17)]
FILLS = [(0, 0, 0, 0), (124, 116, 104, 77), (255, 3, 40, 255)]
AFFINE = Image.Transform.AFFINE


def timm_ops():
    reason = "unproven here: that timm's ops are the codes named here"
    return pytest.importorskip("timm.data.auto_augment", reason=reason)


def to_pil(row: torch.Tensor) -> Image.Image:
    pixels = row.permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[..., 0] if len(row) == 1 else pixels)


def through(images: torch.Tensor, fns) -> torch.Tensor:
    """Each row through its own function of a Pillow image."""
    rows = []
    for row, fn in zip(images, fns, strict=True):
        out = np.asarray(fn(to_pil(row)))
        rows.append(torch.from_numpy(out.reshape(*out.shape[:2], len(row)).copy()))
    return torch.stack(rows).permute(0, 3, 1, 2)


def color(fill, channels: int):
    return fill[0] if channels == 1 else tuple(fill[:channels])


def transformed(images, maps, interp, fill, out_hw=None) -> torch.Tensor:
    """Image.transform on each row, with its own map."""
    h, w = out_hw or images.shape[-2:]
    colour = color(fill, images.shape[1])
    fns = [
        lambda im, m=m: im.transform((w, h), AFFINE, m, RESAMPLE[interp], fillcolor=colour)
        for m in maps.tolist()
    ]
    return through(images, fns)


def as_params(maps: np.ndarray) -> np.ndarray:
    """[n, 9] from the six numbers that Pillow takes."""
    return np.concatenate([maps, np.broadcast_to([0.0, 0.0, 1.0], (len(maps), 3))], axis=1)


def maps(n: int, size_hw, seed: int) -> np.ndarray:
    """Random affine maps [n, 6]: wild ones, mild ones, pure scales, shears and shifts, ties."""
    rng = np.random.default_rng(seed)
    h, w = size_hw
    m = np.array([1.0, 0, 0, 0, 1, 0]) + rng.normal(size=(n, 6)) * [
        0.4,
        0.4,
        w / 4,
        0.4,
        0.4,
        h / 4,
    ]
    m[::4] += rng.normal(size=m[::4].shape)
    m[1::4, [1, 3]] = 0.0
    m[2::4] = np.array([1.0, 0, 0, 0, 1, 0])
    m[2::8, 1] = rng.choice([0.5, -0.25, 0.3, -0.0999], m[2::8, 1].shape)
    m[6::8, [2, 5]] = rng.choice([0.5, -1.0, 2.5, 0.3 * w], m[6::8, :2].shape)
    return m


# ------------------------------------------------------------------------------------- warps


@pytest.mark.parametrize("interp", list(Interp))
@pytest.mark.parametrize("size_hw", SIZES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_warps_equal_pillow(size_hw, interp, channels):
    for seed, fill in enumerate(FILLS):
        images, m = random_levels(16, channels, *size_hw, seed=seed), maps(16, size_hw, seed)
        found = one(Code.PIL_WARP, images, as_params(m), interp, fill)
        assert_same(found, transformed(images, m, interp, fill))


@pytest.mark.parametrize("interp", list(Interp))
@pytest.mark.parametrize("out_hw", [(1, 1), (5, 60), (33, 2)])
def test_another_size_equals_pillow(out_hw, interp):
    images, m = random_levels(12, 3, 17, 23), maps(12, (17, 23), seed=5)
    found = one(Code.PIL_WARP, images, as_params(m), interp, FILLS[1], out_hw)
    assert_same(found, transformed(images, m, interp, FILLS[1], out_hw))


@pytest.mark.parametrize("interp", list(Interp))
def test_photos_equal_pillow(interp):
    images = photos()
    turn = math.radians(27.0)
    c, s = math.cos(turn), math.sin(turn)
    m = np.array([(c, -s, 60.5, s, c, -90.25), (1, 0.27, 0, 0, 1, 0)])
    found = one(Code.PIL_WARP, images, as_params(m), interp, FILLS[1])
    assert_same(found, transformed(images, m, interp, FILLS[1]))


@pytest.mark.parametrize("interp", list(Interp))
@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"])
def test_other_photos_equal_pillow(name, interp):
    folder = shared_data("photos", "that warps equal Pillow's on these photographs")
    image = torch.from_numpy(np.array(Image.open(folder / name).convert("RGB")))
    images = image.permute(2, 0, 1)[None, :, :411, ::2].contiguous()
    m = np.array([(0.9, 0.2, -20.3, -0.13, 1.1, 17.7)])
    found = one(Code.PIL_WARP, images, as_params(m), interp, FILLS[1])
    assert_same(found, transformed(images, m, interp, FILLS[1]))


def test_nearest_beyond_fixed_point_equals_pillow():
    """Where a corner is 32768 px away or more, Pillow adds doubles up."""
    images = random_levels(3, 3, 13, 29)
    m = np.array(
        [
            (1200.1, 0.3, -33000.7, 0.01, 1.0, 0.2),
            (0.7, 3000.3, -34495.5, 0.3, 0.1, 1.3),
            (1.0, 0.25, -40000.0, 0.0, 1.0, 0.0),
        ]
    )
    found = one(Code.PIL_WARP, images, as_params(m), Interp.NEAREST, FILLS[1])
    assert_same(found, transformed(images, m, Interp.NEAREST, FILLS[1]))
    shown = (found != torch.tensor(FILLS[1][:3])[:, None, None]).flatten(1).any(1)
    assert shown.tolist() == [True, True, False]


def scalar_nearest(image: np.ndarray, a: list[float], fill: int) -> np.ndarray:
    """The written-out loop on one channel: sums of doubles, or 16 fraction bits."""
    h, w = image.shape
    out = np.full_like(image, fill)
    f = [math.floor(v * 65536 + 0.5) for v in a]
    f[2] = math.floor((a[2] + a[0] * 0.5 + a[1] * 0.5) * 65536 + 0.5)
    f[5] = math.floor((a[5] + a[3] * 0.5 + a[4] * 0.5) * 65536 + 0.5)
    yo = a[5] + a[4] * 0.5
    for y in range(h):
        xo = a[2] + a[0] * 0.5
        for x in range(w):
            if a[1] == 0 and a[3] == 0:
                sx, sy = (-1 if v < 0 else int(v) for v in (xo, yo))
            else:
                sx = (f[2] + f[0] * x + f[1] * y) >> 16
                sy = (f[5] + f[3] * x + f[4] * y) >> 16
            if 0 <= sx < w and 0 <= sy < h:
                out[y, x] = image[sy, sx]
            xo += a[0]
        yo += a[4]
    return out


def test_nearest_is_the_written_out_loop():
    images, m = random_levels(16, 1, 9, 13), maps(16, (9, 13), seed=2)
    out = one(Code.PIL_WARP, images, as_params(m), Interp.NEAREST, 77)
    for row in range(16):
        wanted = scalar_nearest(images[row, 0].numpy(), m[row].tolist(), 77)
        assert (out[row, 0].numpy() == wanted).all()


@pytest.mark.parametrize("interp", list(Interp))
@pytest.mark.parametrize("size_hw", [(24, 31), (16, 16), (1, 7)])
def test_rotate_is_a_warp(size_hw, interp, monkeypatch):
    """Whatever the angle: the matrix that rotate hands on gives what rotate returns."""
    image = to_pil(random_levels(1, 3, *size_hw)[0])
    seen = []
    plain = Image.Image.transform

    def noted(self, size, method, data, *args, **named):
        seen.append(list(data))
        return plain(self, size, method, data, *args, **named)

    monkeypatch.setattr(Image.Image, "transform", noted)
    for angle in (-135.0, -29.7, 0.0, 1e-3, 13.5, 45.0, 90.0, 180.0, 270.0, 359.0):
        wanted = image.rotate(angle, RESAMPLE[interp], fillcolor=FILLS[1][:3])
        if not seen:  # Pillow moved whole pixels
            h, w = size_hw
            data = {0: (1, 0, 0, 0, 1, 0), 90: (0, -1, w, 1, 0, 0), 180: (-1, 0, w, 0, -1, h)}
            seen.append(data.get(angle, (0, 1, 0, -1, 0, h)))
        params = as_params(np.array([seen.pop()], float))
        images = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
        found = one(Code.PIL_WARP, images, params, interp, FILLS[1])
        assert_same(found[0].permute(1, 2, 0), torch.from_numpy(np.array(wanted)))


def test_fills_are_cut_off_as_torchvision_hands_them_to_pillow():
    images, m = random_levels(1, 3, 5, 7), np.array([(1.0, 0.0, 3.0, 0.0, 1.0, 0.0)])
    found = one(Code.PIL_WARP, images, as_params(m), fill=(123.9, 116.2, 103.5, 0))
    assert_same(found, transformed(images, m, Interp.BILINEAR, (123, 116, 103)))


# ------------------------------------------------------------------------------------- tones

RADII = [0.0, 0.1, 0.3, 0.7, 1.0, 1.37, 2.0, 3.9, 9.5]


def tones(images, code, fn, values, **more):
    params = np.array([[v, *more.get("second", ())] for v in values])
    repeated = images[:1].repeat(len(values), 1, 1, 1)
    expected = through(repeated, [lambda im, v=v: fn(im, v) for v in values])
    assert_same(one(code, repeated, params), expected)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", SMALL)
def test_small_images_contrast_and_blur_as_in_pillow(name, channels):
    images = torch.cat([SMALL[name], SMALL[name][:, 1:2].flip(3)], dim=1)[:, :channels]
    factors = [0.0, 0.19, 0.5, 1.0, 1.81, 40.0]
    tones(images, Code.PIL_CONTRAST, lambda im, f: ImageEnhance.Contrast(im).enhance(f), factors)
    tones(images, Code.PIL_BLUR, lambda im, r: im.filter(ImageFilter.GaussianBlur(r)), RADII)


@pytest.mark.parametrize("row", [0, 1])
def test_photos_contrast_and_blur_as_in_pillow(row):
    images = photos()[row : row + 1, :, ::2, 1:]
    factors = [0.1, 0.73, 1.9]
    tones(images, Code.PIL_CONTRAST, lambda im, f: ImageEnhance.Contrast(im).enhance(f), factors)
    tones(images, Code.PIL_BLUR, lambda im, r: im.filter(ImageFilter.GaussianBlur(r)), [0.4, 1.9])


def test_contrast_differs_from_the_native_one_where_the_pivot_does():
    images = random_levels(60, 3, 5, 7)
    factor = np.full((60, 1), 0.0)
    ours, pillows = one(Code.CONTRAST, images, factor), one(Code.PIL_CONTRAST, images, factor)
    apart = (ours.int() - pillows.int()).abs()
    assert apart.max() == 1 and 0 < apart[:, 0, 0, 0].sum() < 60


@pytest.mark.parametrize(("add", "threshold"), [(0, 128), (110, 128), (55, 256), (255, 1), (9, 0)])
def test_solarize_add_by_hand(add, threshold):
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    out = one(Code.SOLARIZE_ADD, levels, [add, threshold])
    wanted = [min(255, v + add) if v < threshold else v for v in range(256)]
    assert out.flatten().tolist() == wanted


TIMM = {
    "solarize_add": (Code.SOLARIZE_ADD, [0, 11, 99, 110], (128,)),
    "contrast": (Code.PIL_CONTRAST, [0.1, 0.73, 1.9], ()),
    "gaussian_blur": (Code.PIL_BLUR, [0.1, 1.05, 2.0], ()),
    "brightness": (Code.BRIGHTNESS, [0.1, 0.73, 1.9], ()),
    "color": (Code.SATURATION, [0.1, 0.73, 1.9], ()),
    "sharpness": (Code.SHARPNESS, [0.1, 0.73, 1.9], ()),
    "posterize": (Code.POSTERIZE, [1, 2, 4, 7, 8], ()),
    "solarize": (Code.SOLARIZE, [0, 26, 128, 255, 256], ()),
    "auto_contrast": (Code.AUTOCONTRAST, [0], ()),
    "equalize": (Code.EQUALIZE, [0], ()),
    "invert": (Code.INVERT, [0], ()),
}


@pytest.mark.parametrize("op", TIMM)
@pytest.mark.parametrize("channels", [1, 3])
def test_tones_equal_timms(op, channels):
    """timm's ops of PIL images are these codes, bit for bit, on grey and colour."""
    code, values, second = TIMM[op]
    named = getattr(timm_ops(), op)
    fn = named if len(values) > 1 else lambda im, _: named(im)
    for images in (photos()[1:, :channels, 100:250, 31:190], SMALL["odd"][:, :channels]):
        tones(images, code, fn, values, second=second)


@pytest.mark.parametrize("interp", [Interp.BILINEAR, Interp.BICUBIC])
def test_warps_equal_timms(interp):
    timm = timm_ops()
    images = photos()[:, :, 100:163, 31:190]
    h, w = images.shape[-2:]
    named = {"fillcolor": (124, 116, 104), "resample": RESAMPLE[interp]}
    for fn, level, data in (
        (timm.shear_x, -0.27, (1, -0.27, 0, 0, 1, 0)),
        (timm.shear_y, 0.13, (1, 0, 0, 0.13, 1, 0)),
        (timm.translate_x_rel, 0.405, (1, 0, 0.405 * w, 0, 1, 0)),
        (timm.translate_y_rel, -0.1, (1, 0, 0, 0, 1, -0.1 * h)),
    ):
        found = one(Code.PIL_WARP, images, as_params(np.array([data] * 2)), interp, FILLS[1])
        wanted = through(images, [lambda im, fn=fn, v=level: fn(im, v, **named)] * 2)
        assert_same(found, wanted)
