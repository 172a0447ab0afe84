"""Offsets there and back."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixwell import TargetError
from mixwell.anchors import decode, encode
from tests.anchors.cases import boxes, random_boxes, tensor
from tests.oracles import anchors as oracle

VARIANCES = st.sampled_from([(0.1, 0.2), (1.0, 1.0), (0.05, 0.3)])


def test_the_formula_by_hand():
    anchor, box = torch.tensor([[0.0, 0.0, 2.0, 4.0]]), torch.tensor([[1.0, 1.0, 5.0, 2.0]])
    found = encode(anchor, box).tolist()[0]
    assert found == pytest.approx(
        [10 * 1.0, 10 * -0.125, 5 * math.log(2), 5 * math.log(0.25)], 1e-4
    )


@given(boxes(least=1, room=0.01), st.data(), VARIANCES)
def test_offsets_equal_the_oracle(places, data, variances):
    truth = data.draw(boxes(least=len(places), most=len(places)))
    found = encode(tensor(places), tensor(truth), variances=variances)
    pairs = zip(places, truth, strict=True)
    expected = [oracle.encode(a, b, variances) for a, b in pairs]
    torch.testing.assert_close(found, tensor(expected), rtol=1e-12, atol=1e-12)
    back = decode(tensor(places), found, variances=variances)
    pairs = zip(places, found.tolist(), strict=True)
    expected = [oracle.decode(a, o, variances) for a, o in pairs]
    torch.testing.assert_close(back, tensor(expected), rtol=1e-12, atol=1e-12)


@given(boxes(least=1, room=0.01), st.data(), VARIANCES)
def test_decoding_undoes_encoding(places, data, variances):
    """Up to the 1e-6 of an anchor that the logarithm is given: half of it on either side."""
    truth = tensor(data.draw(boxes(least=len(places), most=len(places))))
    anchor = tensor(places)
    back = decode(anchor, encode(anchor, truth, variances=variances), variances=variances)
    extent = (anchor[:, 2:] - anchor[:, :2]).repeat(1, 2)
    assert bool(((back - truth).abs() <= 0.5000001e-6 * extent + 1e-12).all())


@given(boxes(least=1, room=0.01), st.data())
def test_encoding_undoes_decoding(places, data):
    number = st.floats(-20, 20)
    rows = st.lists(number, min_size=4, max_size=4)
    offsets = tensor(data.draw(st.lists(rows, min_size=len(places), max_size=len(places))))
    back = encode(tensor(places), decode(tensor(places), offsets))
    # exp(-20 / 5) = 0.018, so 1e-6 is up to 6e-5 of the ratio and 3e-4 of an offset
    torch.testing.assert_close(back, offsets, rtol=0, atol=3e-4)


def test_batches_and_shared_anchors():
    places, truth = random_boxes((5,), seed=1), random_boxes((3, 5), seed=2)
    found = encode(places, truth)
    assert torch.equal(found, torch.stack([encode(places, one) for one in truth]))
    assert torch.equal(decode(places, found), torch.stack([decode(places, one) for one in found]))
    assert (
        encode(places[:0], truth[:, :0]).shape
        == decode(places[:0], found[:, :0]).shape
        == (3, 0, 4)
    )


def test_a_box_without_width_stays_finite():
    point = torch.tensor([[0.5, 0.5, 0.5, 0.5]])
    found = encode(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), point)
    assert found.tolist()[0][2:] == pytest.approx([5 * math.log(1e-6)] * 2)


def test_a_wild_prediction_stays_finite():
    wild = torch.tensor([[0.0, 0.0, 1e4, -1e4]])
    box = decode(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), wild)
    assert bool(box.isfinite().all())
    assert (box[0, 2] - box[0, 0]).item() == pytest.approx(1e6, rel=1e-4)


def test_offsets_have_gradients():
    places, truth = random_boxes((3,), seed=3), random_boxes((2, 3), seed=4).requires_grad_()
    assert torch.autograd.gradcheck(lambda b: encode(places, b), (truth,))
    assert torch.autograd.gradcheck(lambda o: decode(places, o), (truth,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_on_in_float32(dtype):
    places, truth = random_boxes((5,), seed=5).to(dtype), random_boxes((5,), seed=6).to(dtype)
    found = encode(places, truth)
    assert found.dtype == torch.float32 and torch.equal(
        found, encode(places.float(), truth.float())
    )
    back = decode(places, found.to(dtype))
    assert torch.equal(back, decode(places.float(), found.to(dtype).float()))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: encode(torch.zeros(3, 4), torch.zeros(2, 4)), "one for each anchor"),
        (lambda: decode(torch.zeros(3, 4), torch.zeros(1, 12)), "four numbers each"),
        (lambda: encode(torch.ones(1, 4), torch.ones(1, 4), variances=(0.1, 0)), "above 0"),
        (lambda: decode(torch.ones(1, 4), torch.ones(1, 4), variances=(1, 1, 1)), "two numbers"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(TargetError, match=words):
        call()
