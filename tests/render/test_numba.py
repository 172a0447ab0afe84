"""The Numba backend gives the reference's bytes."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixwell._errors import BackendError
from mixwell.plan.plan import Plan
from mixwell.plan.steps import MixMode
from mixwell.render import render
from tests.render.plans import edit, mix, plan
from tests.render.random_plans import OPS, images_of, random_plan, slots

pytest.importorskip("numba", reason="no Numba: unproven that the fast backend agrees")

MEAN, STD = (0.485, 0.456, 0.406, 0.5), (0.229, 0.224, 0.225, 0.25)
OUTPUTS = (
    {},
    {"dtype": torch.float32},
    {"dtype": torch.float16},
    {"dtype": torch.bfloat16},
    {"dtype": torch.float64},
    {"mean": True},
    {"mean": True, "dtype": torch.float16},
    {"mean": True, "memory_format": torch.channels_last},
    {"mean": True, "memory_format": torch.channels_last, "dtype": torch.bfloat16},
    {"memory_format": torch.channels_last},
)


def options(output: dict, channels: int) -> dict:
    if "mean" not in output:
        return output
    return {**output, "mean": MEAN[:channels], "std": STD[:channels]}


def both(images, drawn, **more) -> tuple[list, list]:
    return tuple(
        list(render(images, drawn, backend=name, stack=False, **more))
        for name in ("reference", "numba")
    )


def forms(arrays: list[np.ndarray], form: str) -> list:
    """The same images as NumPy arrays, as planar tensors, or as views of arrays."""
    if form == "numpy":
        return arrays
    views = [torch.from_numpy(a).permute(2, 0, 1) for a in arrays]
    return views if form == "view" else [v.contiguous() for v in views]


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.integers(0, 2**40),
    st.sampled_from([1, 3, 4]),
    st.sampled_from(["numpy", "view", "planar"]),
    st.sampled_from(OUTPUTS),
)
def test_random_plans(seed, channels, form, output):
    rng = Random(seed)
    normalized = "mean" in output and rng.random() < 0.5
    drawn = random_plan(rng, normalized=normalized)
    images = forms(images_of(rng, drawn, channels), form)
    chosen = options(output, channels)
    if form == "numpy":
        chosen = {k: v for k, v in chosen.items() if k != "memory_format"}
        if chosen.get("dtype") == torch.bfloat16:
            return
    try:
        got = list(render(images, drawn, backend="numba", stack=False, **chosen))
    except BackendError as error:  # said in docs: what the fast backend leaves to the reference
        assert "normalised units" in str(error)
        return
    want = list(render(images, drawn, backend="reference", stack=False, **chosen))
    for one, other in zip(want, got, strict=True):
        if form != "numpy":
            if min(one.shape) > 1:  # else strides mean nothing
                assert one.stride() == other.stride()
            one, other = one.double().numpy(), other.double().numpy()
        np.testing.assert_array_equal(other, one)


@pytest.mark.parametrize("second", OPS, ids=lambda c: c.name)
@pytest.mark.parametrize("first", OPS, ids=lambda c: c.name)
def test_every_pair_of_ops(first, second):
    rng = Random(f"{first}{second}")
    for channels in (1, 3, 4):
        rows, sizes = [], [(19, 23), (8, 31), (3, 3)]
        for hw in sizes:
            rows.append(slots(rng, hw, [first, second])[0])
        drawn = plan_of(sizes, rows)
        images = forms(images_of(rng, drawn, channels), "view")
        for one, other in zip(*both(images, drawn), strict=True):
            assert torch.equal(one, other)


def plan_of(sizes, rows) -> Plan:
    return Plan(np.array(sizes), (edit(sizes, rows),))


def test_four_channels_and_two():
    images = torch.zeros(1, 2, 5, 5, dtype=torch.uint8)
    with pytest.raises(BackendError, match=r"1, 3 or 4 channels, got 2\. Use backend"):
        render(images, plan((5, 5), []), backend="numba")
    assert torch.equal(render(images, plan((5, 5), [])), images)


def test_a_batch_is_not_shared_with_its_input():
    images = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    out = render(images, plan((8, 8), [], [], []), backend="numba")
    assert torch.equal(out, images) and out.data_ptr() != images.data_ptr()
    out.zero_()
    assert images.any()


@pytest.mark.parametrize("floating", [False, True])
def test_rows_may_be_larger_than_the_canvas(floating):
    """Corners of larger images, added with weights: their lines do not follow one another."""
    images = forms(images_of(Random(3), plan_of([(9, 14), (8, 11)], [[], []]), 3), "view")
    rect = (0, 0, 7, 6)
    added = [(0, MixMode.ADD, 0.25, rect, (0, 0)), (1, MixMode.ADD, 0.75, rect, (0, 0))]
    drawn = Plan(np.array([(9, 14), (8, 11)]), (mix((6, 7), added),))
    more = {"mean": MEAN[:3], "std": STD[:3]} if floating else {}
    (want,), (got,) = both(images, drawn, **more)
    assert torch.equal(got, want)


def test_halves_round_to_even():
    dark, light = (torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16) for _ in range(2))
    light = (light.int() + 1).clamp(max=255).to(torch.uint8)
    whole = (0, 0, 16, 16)
    added = [(0, MixMode.ADD, 0.5, whole, (0, 0)), (1, MixMode.ADD, 0.5, whole, (0, 0))]
    drawn = Plan(np.array([(16, 16), (16, 16)]), (mix((16, 16), added),))
    (got,) = render([dark, light], drawn, backend="numba", stack=False)
    want = [min(2 * ((v + 1) // 2), 255) for v in range(256)]  # v + 1/2, to the even one
    assert got.flatten().tolist() == want
