"""RESIZE against Pillow, scalar loops and torchvision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from mixwell.plan.steps import Code
from mixwell.render import render
from mixwell.render.taps import resample_taps
from tests.data import shared_data
from tests.oracles import geometry as oracle
from tests.render.plans import BICUBIC, BILINEAR, NAMES, levels, plan, slot
from tests.render.samples import photos
from tests.tolerances import atol

PILLOW = {BILINEAR: Image.Resampling.BILINEAR, BICUBIC: Image.Resampling.BICUBIC}
BOTH = pytest.mark.parametrize("interp", [BILINEAR, BICUBIC], ids=["bilinear", "bicubic"])


def resized(images, box, out_hw, interp):
    one = slot(Code.RESIZE, box, out_hw, interp)
    return render(images, plan(tuple(images.shape[-2:]), *([one] for _ in range(len(images)))))


def pillow(image: torch.Tensor, box, out_hw, interp) -> torch.Tensor:
    """Pillow in two calls, across and then down: 13 chooses the order itself in one."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy()).crop(box)
    for size in ((out_hw[1], picture.height), (out_hw[1], out_hw[0])):
        picture = picture.resize(size, PILLOW[interp])
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


@BOTH
@pytest.mark.parametrize("out_hw", [(224, 224), (64, 96), (7, 5), (427, 640), (500, 700), (1, 1)])
@pytest.mark.parametrize("box", [(0, 0, 640, 427), (13, 5, 400, 366), (600, 400, 607, 403)])
def test_photos_are_pillows_bit_for_bit(box, out_hw, interp):
    image = photos()[1:]
    assert torch.equal(
        resized(image, box, out_hw, interp)[0], pillow(image[0], box, out_hw, interp)
    )


@BOTH
def test_odd_sizes_are_pillows_bit_for_bit(interp):
    rng = np.random.default_rng(1)
    for seed in range(60):
        h, w, oh, ow = rng.integers(1, 40, 4).tolist()
        image = levels((1, 3, h, w), seed)
        x0, y0 = int(rng.integers(0, w)), int(rng.integers(0, h))
        box = (x0, y0, int(rng.integers(x0 + 1, w + 1)), int(rng.integers(y0 + 1, h + 1)))
        got = resized(image, box, (oh, ow), interp)[0]
        assert torch.equal(got, pillow(image[0], box, (oh, ow), interp)), (h, w, box, oh, ow)


@BOTH
def test_one_call_of_pillow_is_the_same_unless_it_goes_down_first(interp):
    image = photos()[:1]
    picture = Image.fromarray(image[0].permute(1, 2, 0).numpy())
    want = torch.from_numpy(np.array(picture.resize((224, 224), PILLOW[interp]))).permute(2, 0, 1)
    assert torch.equal(resized(image, (0, 0, 640, 427), (224, 224), interp)[0], want)


@BOTH
def test_real_photos_are_pillows_bit_for_bit(interp):
    folder = shared_data("photos", "that photos of many sizes resize as in Pillow")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    for path in files[:4]:
        with Image.open(path) as picture:
            image = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
        h, w = image.shape[1:]
        box = (w // 7, h // 5, w - w // 9, h - h // 8)
        got = resized(image[None], box, (160, 192), interp)[0]
        assert torch.equal(got, pillow(image, box, (160, 192), interp)), path.name


@BOTH
@pytest.mark.parametrize("box", [(0, 0, 11, 17), (1.25, 2.5, 9.75, 14.125), (10.6, 0.2, 3.3, 16.9)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_box_is_the_documented_arithmetic(box, dtype, interp):
    image = levels((1, 1, 17, 11), dtype=dtype)
    got = resized(image, box, (9, 13), interp)[0, 0].int().tolist()
    top = np.iinfo(dtype).max
    assert got == oracle.resize(image[0, 0].tolist(), box, (9, 13), NAMES[interp], top)


@BOTH
def test_floats_are_near_real_arithmetic(interp):
    image = levels((1, 1, 17, 11), dtype=np.float32)
    box = (1.25, 2.5, 9.75, 14.125)
    got = resized(image, box, (9, 13), interp)[0, 0].double().numpy()
    across, down = (
        np.array([[dict(t).get(i, 0.0) for i in range(n)] for t in taps])
        for n, taps in (
            (11, oracle.axis_taps(1.25, 9.75, 13, NAMES[interp])),
            (17, oracle.axis_taps(2.5, 14.125, 9, NAMES[interp])),
        )
    )
    want = (down @ image[0, 0].double().numpy() @ across.T).clip(0, 1)
    assert np.abs(got - want).max() <= atol("resize", "float32", "real arithmetic")


@BOTH
def test_torchvisions_tensors_are_near(interp):
    image = photos()[:1]
    mode = tv.InterpolationMode.BILINEAR if interp == BILINEAR else tv.InterpolationMode.BICUBIC
    want = tv.resize(image, [100, 150], mode, antialias=True).int()
    got = resized(image, (0, 0, 640, 427), (100, 150), interp).int()
    assert (got - want).abs().max() <= atol("resize", "uint8", "torchvision tensors")


@BOTH
def test_turned_boxes_mirror(interp):
    image = levels((1, 3, 17, 11))
    plain = resized(image, (1, 2, 9.5, 16), (8, 6), interp)
    assert torch.equal(resized(image, (9.5, 2, 1, 16), (8, 6), interp), plain.flip(3))
    assert torch.equal(resized(image, (1, 16, 9.5, 2), (8, 6), interp), plain.flip(2))
    assert torch.equal(resized(image, (9.5, 16, 1, 2), (8, 6), interp), plain.flip(2, 3))


@BOTH
def test_the_whole_canvas_at_its_own_size_is_untouched(interp):
    for dtype in (np.uint8, np.uint16, np.float32):
        image = levels((2, 3, 17, 11), dtype=dtype)
        assert torch.equal(resized(image, (0, 0, 11, 17), (17, 11), interp), image)


@BOTH
def test_nothing_outside_the_box_leaks_in(interp):
    image = torch.full((1, 1, 17, 11), 255, dtype=torch.uint8)
    image[:, :, 3:9, 2:8] = 10
    assert (resized(image, (2, 3, 8, 9), (3, 20), interp) == 10).all()
    assert (resized(image, (2.4, 3.3, 7.9, 8.1), (20, 3), interp) == 10).all()


@BOTH
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_constant_image_stays_constant(dtype, interp):
    value = 0.7 if dtype == np.float32 else np.iinfo(dtype).max
    image = torch.from_numpy(np.full((1, 2, 17, 11), value, dtype))
    limit = atol("constant resize", np.dtype(dtype).name, "itself")
    for box, out_hw in (((0, 0, 11, 17), (5, 40)), ((3.3, 1, 9.1, 16.5), (16, 3))):
        out = resized(image, box, out_hw, interp)
        assert (out.double() - image[0, 0, 0, 0].double()).abs().max() <= limit


@BOTH
def test_rows_with_boxes_of_their_own_equal_one_by_one(interp):
    images = levels((3, 3, 17, 11))
    boxes = [(0, 0, 11, 17), (9, 3, 2, 8.5), (5, 16, 6, 1)]
    rows = [[slot(Code.RESIZE, box, (8, 6), interp)] for box in boxes]
    together = render(images, plan((17, 11), *rows))
    for i, box in enumerate(boxes):
        assert torch.equal(together[i], resized(images[i : i + 1], box, (8, 6), interp)[0])


def test_taps_are_shared_and_cannot_be_changed():
    first, weights, whole = resample_taps(0.0, 20.0, 7, BICUBIC)
    assert first.dtype == np.int32 and whole.dtype == np.int32 and weights.dtype == np.float64
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-15)
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 2.0
