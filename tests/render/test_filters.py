"""The reference's sharpness and blur: against Pillow, torchvision and scalar loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv
from PIL import Image, ImageEnhance

from mixwell.plan.steps import Code
from mixwell.render import tables
from mixwell.render.reference.filters import mirrored
from tests.oracles import tone as oracle
from tests.render.samples import SMALL, apply, assert_same, distance, photos, random_levels
from tests.tolerances import atol

FACTORS = [-1.5, 0.0, 0.1, 0.37, 0.5, 0.9, 1.0, 1.3, 1.9, 3.7]
BLURS = [(0.1, 3), (0.5, 5), (1.0, 3), (1.5, 7), (2.0, 5), (5.0, 23), (10.0, 31)]


def pillow_sharpness(images, factor):
    rows = [Image.fromarray(row) for row in images.permute(0, 2, 3, 1).numpy()]
    sharp = [np.asarray(ImageEnhance.Sharpness(row).enhance(factor)) for row in rows]
    return torch.from_numpy(np.stack(sharp)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("factor", FACTORS)
def test_sharpness_equals_pillow_on_photos(factor):
    assert_same(apply(Code.SHARPNESS, photos(), factor), pillow_sharpness(photos(), factor))


@pytest.mark.parametrize("name", [n for n in SMALL if min(SMALL[n].shape[2:]) >= 3])
def test_sharpness_equals_pillow_on_small_images(name):
    assert_same(apply(Code.SHARPNESS, SMALL[name], 2.2), pillow_sharpness(SMALL[name], 2.2))


def test_sharpness_leaves_alpha_as_pillow_does():
    images = torch.cat([photos(), photos()[:, :1].flip(2)], dim=1)
    assert_same(apply(Code.SHARPNESS, images, 1.7), pillow_sharpness(images, 1.7))


@pytest.mark.parametrize("name", [n for n in SMALL if min(SMALL[n].shape[2:]) < 3])
def test_sharpness_leaves_images_without_inner_pixels(name):
    assert_same(apply(Code.SHARPNESS, SMALL[name], 2.2), SMALL[name])


@pytest.mark.parametrize("factor", [-1.5, 0.0, 0.4, 1.0, 1.9])
@pytest.mark.parametrize("name", SMALL)
def test_sharpness_equals_the_scalar_loops(name, factor):
    image = SMALL[name][:, :, :12, :12]
    expected = torch.tensor([oracle.sharpness(image[0].tolist(), factor)], dtype=torch.uint8)
    assert_same(apply(Code.SHARPNESS, image, factor), expected)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("factor", FACTORS[1:])
def test_sharpness_distance_to_torchvision(factor, dtype):
    images = photos() if dtype == "uint8" else photos() / 255
    off = distance(apply(Code.SHARPNESS, images, factor), tv.adjust_sharpness(images, factor))
    assert off <= atol("sharpness", dtype, "torchvision")


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("sigma", "size"), BLURS[:4])
def test_blur_equals_the_scalar_loops(sigma, size, name):
    image = SMALL[name][:, :, :9, :9]
    expected = torch.tensor([oracle.blur(image[0].tolist(), sigma, size)], dtype=torch.uint8)
    assert_same(apply(Code.BLUR, image, sigma, size), expected)


@pytest.mark.parametrize(("sigma", "size"), BLURS)
def test_blur_is_near_real_arithmetic(sigma, size):
    image = random_levels(1, 1, 6, 7) // 128 * 255
    exact = torch.tensor([oracle.blur_exactly(image[0].tolist(), sigma, size)]).double()
    levels = apply(Code.BLUR, image, sigma, size).double()
    assert distance(levels, exact) <= atol("blur", "uint8", "real arithmetic")
    in_floats = apply(Code.BLUR, image / 255, sigma, size).double()
    assert distance(in_floats, exact / 255) <= atol("blur", "float32", "real arithmetic")


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(("sigma", "size"), [*BLURS, (1000.0, 63)])
def test_blur_distance_to_torchvision(sigma, size, dtype):
    extremes = random_levels(2, 3, 64, 80) // 128 * 255
    images = torch.cat([photos()[..., 100:164, 100:180], extremes])
    images = images if dtype == "uint8" else images / 255
    theirs = tv.gaussian_blur(images, [size, size], [sigma, sigma])
    assert distance(apply(Code.BLUR, images, sigma, size), theirs) <= atol(
        "blur", dtype, "torchvision"
    )


@pytest.mark.parametrize(("sigma", "size"), [*BLURS, (1e-3, 3), (1000.0, 255), (3.0, 1)])
def test_blur_weights_sum_to_one_and_are_symmetrical(sigma, size):
    weights = tables.blur_weights(sigma, size)
    assert weights.sum() == 1 << 14 and weights.min() >= 0
    np.testing.assert_array_equal(weights, weights[::-1])
    if size <= 31:
        assert weights.tolist() == oracle.blur_weights(sigma, size)


@pytest.mark.parametrize("level", [0, 1, 77, 254, 255])
def test_blur_keeps_constant_images(level):
    image = torch.full((2, 3, 6, 4), level, dtype=torch.uint8)
    param = np.array([(2.0, 9), (0.4, 3)])
    assert_same(apply(Code.BLUR, image, param=np.pad(param, [(0, 0), (0, 10)])), image)


def test_blur_of_an_impulse_is_the_kernel():
    image = torch.zeros(1, 1, 1, 41, dtype=torch.float32)
    image[..., 20] = 1
    out = apply(Code.BLUR, image, 2.0, 9)[0, 0, 0]
    torch.testing.assert_close(out[16:25].double(), torch.tensor(tables.blur_kernel(2.0, 9)))
    assert not out[:16].any() and not out[25:].any()


def test_blur_spreads_alpha():
    images = random_levels(1, 4, 8, 8)
    assert_same(apply(Code.BLUR, images, 1.0, 5)[:, 3:], apply(Code.BLUR, images[:, 3:], 1.0, 5))


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_mirrored_walks_back_and_forth(length):
    index = torch.arange(-20, 21)
    assert mirrored(index, length).tolist() == [oracle.reflect(i, length) for i in range(-20, 21)]
