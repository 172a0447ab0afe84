"""The Numba backend gives the reference's numbers on float images: no bit of them differs.

Equality is exact but where a sum over a whole image decides: the pivot of contrast is a sum in
float64 in another order, rounded to float32, so about one image in 10^8 may see its neighbour. All
else does the reference's operations in the reference's order. 2 ulp are what docs allow.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixwell._errors import BackendError, RenderError
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, EraseUnits, EraseValue, MixMode
from mixwell.render import render
from tests.render.plans import TILT, edit, flip_x, levels, mix, plan, slot
from tests.render.random_plans import OPS, random_plan, slots

pytest.importorskip("numba", reason="no Numba: unproven that the fast backend agrees")

MEAN, STD = (0.485, 0.456, 0.406, 0.5), (0.229, 0.224, 0.225, 0.25)
OUTPUTS = (
    {},
    {"dtype": torch.float16},
    {"dtype": torch.bfloat16},
    {"dtype": torch.float64},
    {"dtype": torch.uint8},
    {"mean": True},
    {"mean": True, "dtype": torch.float16},
    {"mean": True, "dtype": torch.float64},
    {"mean": True, "memory_format": torch.channels_last},
    {"mean": True, "memory_format": torch.channels_last, "dtype": torch.bfloat16},
    {"memory_format": torch.channels_last},
    {"memory_format": torch.channels_last, "dtype": torch.uint8},
)
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
ALLOWED_ULP = 2


def options(output: dict, channels: int) -> dict:
    if "mean" not in output:
        return output
    return {**output, "mean": MEAN[:channels], "std": STD[:channels]}


def in_parts(drawn: Plan) -> Plan:
    """A plan for bytes as one for floats: fills are parts of one."""
    steps = [replace(step, fill=step.fill / np.float32(255)) for step in drawn.steps]
    return Plan(drawn.in_hw, tuple(steps))


def images_of(rng: Random, drawn: Plan, channels: int) -> list[np.ndarray]:
    """float32 [H, W, C] for each row: noise, one number, a ramp, or black, white and two greys."""
    made = []
    numbers = np.random.default_rng(rng.getrandbits(32))
    for height, width in drawn.in_hw.tolist():
        kind = rng.randrange(4)
        image = numbers.random((height, width, channels))
        if kind == 1:
            image[:] = rng.random()
        elif kind == 2:
            image = (np.arange(image.size) * 3 % 200 + 20).reshape(image.shape) / 255
        elif kind == 3:
            image = numbers.integers(0, 4, image.shape) / 3
        made.append(image.astype(np.float32))
    return made


def forms(arrays: list[np.ndarray], form: str, dtype: torch.dtype = torch.float32) -> list:
    """The same images as NumPy arrays, as planar tensors, as views of arrays, or in a frame."""
    views = [torch.from_numpy(a).permute(2, 0, 1).to(dtype) for a in arrays]
    if form == "numpy":
        return [v.permute(1, 2, 0).numpy() for v in views]
    if form == "framed":
        return [torch.nn.functional.pad(v, (1, 2, 3, 1))[:, 3:-1, 1:-2] for v in views]
    return views if form == "view" else [v.contiguous() for v in views]


def wide(image) -> np.ndarray:
    """A copy in float64."""
    return np.array(image.double().numpy() if torch.is_tensor(image) else image, np.float64)


def ulps(one, other) -> int:
    """The largest distance in units of float32's last place."""
    ordered = []
    for image in (one, other):
        bits = wide(image).astype(np.float32).view(np.int32).astype(np.int64)
        ordered.append(np.where(bits < 0, -(bits & 0x7FFFFFFF), bits))
    return int(np.abs(ordered[0] - ordered[1]).max(initial=0))


def compare(images, drawn: Plan, **more) -> None:
    """Both backends agree: numbers, dtypes, sizes and layout; and leave the images alone."""
    before = [wide(image) for image in images]
    want, got = (
        list(render(images, drawn, backend=name, stack=False, **more))
        for name in ("reference", "numba")
    )
    for one, other in zip(want, got, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        if torch.is_tensor(one) and min(one.shape) > 1:  # else strides mean nothing
            assert one.stride() == other.stride()
        assert ulps(one, other) <= ALLOWED_ULP
    for image, kept in zip(images, before, strict=True):
        np.testing.assert_array_equal(wide(image), kept)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.integers(0, 2**40),
    st.sampled_from([1, 3, 4]),
    st.sampled_from(["numpy", "view", "planar", "framed"]),
    st.sampled_from(OUTPUTS),
    st.sampled_from(DTYPES),
)
def test_random_plans(seed, channels, form, output, dtype):
    rng = Random(seed)
    normalized = "mean" in output and rng.random() < 0.5
    drawn = in_parts(random_plan(rng, normalized=normalized))
    chosen = options(output, channels)
    if form == "numpy":
        chosen = {k: v for k, v in chosen.items() if k != "memory_format"}
        if torch.bfloat16 in (chosen.get("dtype"), dtype):
            return
    images = forms(images_of(rng, drawn, channels), form, dtype)
    try:
        compare(images, drawn, **chosen)
    except BackendError as error:  # said in docs: what the fast backend leaves to the reference
        assert "normalised units" in str(error)


@pytest.mark.parametrize("second", OPS, ids=lambda c: c.name)
@pytest.mark.parametrize("first", OPS, ids=lambda c: c.name)
def test_every_pair_of_ops(first, second):
    rng = Random(f"{first}{second}")
    sizes = [(19, 23), (8, 31), (3, 3)]
    for channels, form in ((1, "planar"), (3, "planar"), (3, "view"), (4, "framed")):
        rows = [slots(rng, hw, [first, second])[0] for hw in sizes]
        drawn = in_parts(Plan(np.array(sizes), (edit(sizes, rows),)))
        compare(forms(images_of(rng, drawn, channels), form), drawn)


LARGE = [
    *(slot(Code.WARP, (0.8, 0.3, 3, -0.2, 1.1, 9, 0, 0, 1), interp=i, fill=0.3) for i in range(3)),
    *(slot(Code.WARP, (*TILT[:6], 1e-4, -2e-4, 1), interp=i, fill=0.3) for i in range(3)),
    slot(Code.WARP, (-1, 0, 301, 0, 1, 0, 0, 0, 1)),
    slot(Code.RESIZE, (7.5, 3, 280.25, 198), (64, 91), interp=1),
    slot(Code.RESIZE, (280, 198, 100, 90.5), (203, 301), interp=2),
    slot(Code.CONTRAST, [1.8]),
    slot(Code.HUE, [0.3]),
    slot(Code.CHANNELS, (2, 0, 1)),
    slot(Code.SHARPNESS, [2.5]),
    slot(Code.AUTOCONTRAST),
    slot(Code.EQUALIZE),
    slot(Code.BLUR, (4.0, 23)),
    slot(Code.NOISE, [0.3], key=(1, 2, 3, 4)),
    *(slot(Code.ERASE, (5, 7, 290, 180, v, EraseUnits.INPUT), fill=0.2) for v in EraseValue),
]


@pytest.mark.parametrize("op", LARGE, ids=lambda op: Code(op["code"]).name)
def test_larger_images(op):
    """Lines longer than vectors and blocks; values next to one another that are hardly apart."""
    images = [levels((3, 203, 301), seed=7, dtype=np.float32) ** p for p in (1, 8, 0.1)]
    compare(images, plan((203, 301), [op], [op], [op]))


def test_plain_mixes_read_the_images_where_they_lie():
    images = levels((7, 3, 40, 56), dtype=np.float32)
    full, part = (0, 0, 56, 40), (10, 5, 31, 29)
    outputs = [
        [(0, MixMode.ADD, 0.3, full, (0, 0)), (5, MixMode.ADD, 0.7, full, (0, 0))],
        [(1, MixMode.ADD, 1.0, full, (0, 0)), (4, MixMode.PASTE, 1.0, part, (0, 0))],
        [(2, MixMode.PASTE, 1.0, full, (0, 0)), (3, MixMode.ADD, 0.9, full, (0, 0))],
        [(3, MixMode.ADD, 1.0, (0, 0, 56, 17), (0, 0)), (1, MixMode.PASTE, 1.0, full, (0, 0))],
        [(4, MixMode.PASTE, 1.0, (0, 9, 56, 40), (0, 9)), (0, MixMode.ADD, 0.5, part, (7, 2))],
        [(5, MixMode.ADD, 0.4, full, (0, 0))],
        [(0, MixMode.ADD, 1.0, full, (0, 0))],
    ]
    for colour in (0.0, 0.6):
        drawn = Plan(np.full((7, 2), (40, 56)), (mix((40, 56), *outputs, fill=colour),))
        for stack in (images, images.to(memory_format=torch.channels_last)):
            for output in OUTPUTS:
                compare(list(stack), drawn, **options(output, 3))
                want, got = (
                    render(stack, drawn, backend=name, **options(output, 3))
                    for name in ("reference", "numba")
                )
                assert torch.equal(got, want)


def test_into_a_given_tensor():
    images = levels((3, 3, 20, 30), dtype=np.float32)
    drawn = plan((20, 30), [slot(Code.INVERT)], [], [slot(Code.WARP, flip_x(30))])
    want = render(images, drawn, backend="reference")
    for dtype in (torch.float32, torch.float64):
        room = torch.full((5, 3, 20, 30), -1.0, dtype=dtype)
        out = room[1:4]
        assert render(images, drawn, backend="numba", out=out) is out
        assert torch.equal(out, want.to(dtype))
        assert (room[[0, 4]] == -1).all()


def test_a_batch_is_not_shared_with_its_input():
    images = levels((3, 3, 8, 8), dtype=np.float32)
    kept = images.clone()
    shown = [[(n, MixMode.ADD, 1.0, (0, 0, 8, 8), (0, 0))] for n in (2, 0, 0)]
    mixed = Plan(np.full((3, 2), 8), (mix((8, 8), *shown), edit(np.full((3, 2), 8), [[], [], []])))
    for drawn, want in ((plan((8, 8), [], [], []), kept), (mixed, kept[[2, 0, 0]])):
        out = render(images, drawn, backend="numba")
        assert torch.equal(out, want)
        out.zero_()
        assert torch.equal(images, kept)


@pytest.mark.parametrize("bad", [-0.01, 1.5, float("nan")])
def test_numbers_outside_are_refused(bad):
    images = levels((2, 3, 4, 4), dtype=np.float32)
    images[1, 2, 3, 3] = bad
    with pytest.raises(RenderError, match=r"float images must lie in 0 \.\. 1"):
        render(images, plan((4, 4), [], []), backend="numba")


def test_what_the_reference_refuses_is_refused():
    images = levels((1, 3, 4, 4), dtype=np.float32)
    erasing = slot(Code.ERASE, (0, 0, 2, 2, EraseValue.CONSTANT, EraseUnits.NORMALIZED), fill=9.0)
    with pytest.raises(RenderError, match="needs mean, std and a floating dtype"):
        render(images, plan((4, 4), [erasing]), backend="numba")
    with pytest.raises(RenderError, match=r"fills of float images must lie in 0 \.\. 1"):
        render(images, plan((4, 4), [slot(Code.CLIP, (1, 0, 1, 0, 1, 0, 0, 0, 1, 4, 4), fill=9)]))
    behind = plan((4, 4), [erasing, slot(Code.INVERT)])
    with pytest.raises(BackendError, match="an op follows an erasing in normalised units"):
        render(images, behind, backend="numba", mean=MEAN[:3], std=STD[:3])
    with pytest.raises(BackendError, match="uint8 and float images"):
        render((images * 9).to(torch.uint16), plan((4, 4), []), backend="numba")
