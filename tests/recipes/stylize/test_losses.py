"""Losses against scalar loops, and what must hold whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixwell.recipes.stylize import (
    Goal,
    Weights,
    content_loss,
    gram,
    style_loss,
    total_variation,
)
from tests.oracles import style as oracle
from tests.recipes.stylize.cases import TAPS, picture, small_features

shapes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))


def maps(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(1, *shape)))


@given(shapes)
def test_gram_is_the_loops(shape):
    features = maps(shape)
    np.testing.assert_allclose(gram(features)[0], oracle.gram(features[0].numpy()), atol=1e-12)


@given(shapes)
def test_total_variation_is_the_loops(shape):
    image = maps(shape)
    expected = oracle.total_variation(image[0].numpy())
    assert float(total_variation(image)) == pytest.approx(expected, abs=1e-12)


@given(shapes)
def test_content_and_style_loss_are_the_loops(shape):
    a, b = maps(shape), maps(shape, seed=1)
    x, y = a[0].numpy(), b[0].numpy()
    assert float(content_loss(a, b)) == pytest.approx(oracle.mean_square(x, y))
    expected = oracle.mean_square(oracle.gram(x), oracle.gram(y))
    assert float(style_loss(a, gram(b))) == pytest.approx(expected)


def test_a_gram_does_not_ask_where_or_how_often():
    features = maps((3, 4, 6))
    shuffled = features.reshape(1, 3, 24)[:, :, torch.randperm(24)].reshape(1, 3, 4, 6)
    twice = torch.cat([features, features], dim=3)
    torch.testing.assert_close(gram(shuffled), gram(features))
    torch.testing.assert_close(gram(twice), gram(features))


def test_each_image_of_a_batch_has_its_own_gram():
    both = torch.cat([maps((3, 4, 5)), maps((3, 4, 5), seed=1)])
    torch.testing.assert_close(gram(both)[1:], gram(both[1:]))


def test_total_variation_by_hand():
    image = torch.tensor([[[[0.0, 1.0, 3.0], [5.0, 5.0, 5.0]]]])
    # down: 5, 4, 2; right: 1, 2, 0, 0
    assert float(total_variation(image)) == pytest.approx((11 / 3 + 3 / 4) / 2)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1)])
def test_a_side_of_one_pixel_has_no_steps(size):
    assert float(total_variation(torch.ones(1, 3, *size))) == 0.0


def test_losses_are_weighted_and_vanish_at_the_goal():
    features, content = small_features(), picture(0)
    image = features.normalized(content)
    found = features(image)
    goal = Goal({"3": found["3"]}, {k: gram(found[k]) for k in TAPS.style})
    at_goal = goal.losses(found, image, Weights())
    assert float(at_goal["content"]) == float(at_goal["style"]) == 0.0
    assert float(at_goal["tv"]) == pytest.approx(10 * float(total_variation(image)))

    other = features.normalized(picture(1))
    once = goal.losses(features(other), other, Weights(1, 1, 1))
    more = goal.losses(features(other), other, Weights(2, 3, 0))
    assert float(more["content"]) == pytest.approx(2 * float(once["content"]))
    assert float(more["style"]) == pytest.approx(3 * float(once["style"]))
    assert float(more["tv"]) == 0.0


def test_style_counts_every_layer():
    features = small_features()
    image, wanted = features.normalized(picture(0)), features(features.normalized(picture(1)))
    grams = {k: gram(v) for k, v in wanted.items()}
    found = features(image)
    parts = [float(Goal({}, {k: grams[k]}).losses(found, image, Weights())["style"]) for k in grams]
    whole = float(Goal({}, grams).losses(found, image, Weights())["style"])
    assert min(parts) > 0 and whole == pytest.approx(sum(parts))


def test_gradients_are_those_of_finite_differences():
    features = small_features().double()
    wanted = features(features.normalized(picture(1).double()))
    goal = Goal({"3": wanted["3"]}, {k: gram(v) for k, v in wanted.items()})

    def total(image: torch.Tensor) -> torch.Tensor:
        parts = goal.losses(features(image), image, Weights(1, 10, 0.1))
        return torch.stack(list(parts.values())).sum()

    image = features.normalized(picture(0).double())[:, :, :4, :6].clone().requires_grad_()
    wanted = features(torch.zeros_like(image).detach())
    goal = Goal({"3": wanted["3"]}, {k: gram(v) for k, v in wanted.items()})
    assert torch.autograd.gradcheck(total, (image,), atol=1e-6)
