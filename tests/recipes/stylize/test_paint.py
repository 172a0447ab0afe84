"""Painting: losses fall, pixels stay pixels, and a goal that can be reached is reached."""

from __future__ import annotations

import pytest
import torch

from mixwell.recipes.stylize import Goal, StylizeOptions, goal_of, gram, measure, paint
from mixwell.recipes.stylize.paint import lr_at
from tests.recipes.stylize.cases import TAPS, identity_features, picture, small_features

OPTIMIZERS = {
    "adam": StylizeOptions(steps=60, lr=0.05, tv_weight=0.1),
    "lbfgs": StylizeOptions(steps=20, optimizer="lbfgs", tv_weight=0.1),
}


@pytest.mark.parametrize("options", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_losses_fall_and_pixels_stay_pixels(options):
    features = small_features()
    content = picture(0).contiguous(memory_format=torch.channels_last)  # as files are read
    goal = goal_of(features, TAPS, content, picture(1, 20, 9))
    before = content.clone()
    rows, seen = [], []

    def on_step(row, pixels):
        rows.append(row)
        seen.append((float(pixels.min()), float(pixels.max())))

    made = paint(content, features, goal, options, on_step)
    assert torch.equal(content, before)
    assert made.shape == content.shape and made.min() >= 0 and made.max() <= 1
    assert all(low > -1e-6 and high < 1 + 1e-6 for low, high in seen)
    assert [row["step"] for row in rows] == list(range(1, options.steps + 1))
    first, last = measure(content, features, goal, options), measure(made, features, goal, options)
    for name, value in first.items():  # the first row is of the picture it began with
        assert rows[0][name] == pytest.approx(value, abs=1e-9)
    assert last["total"] < 0.5 * first["total"] and last["style"] < 0.3 * first["style"]
    assert last["total"] == pytest.approx(last["content"] + last["style"] + last["tv"])


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_content_alone_brings_the_content_back(optimizer):
    features, content = identity_features(), picture(0)
    options = StylizeOptions(
        steps=150,
        lr=0.1 if optimizer == "adam" else None,
        optimizer=optimizer,
        style_weight=0,
        tv_weight=0,
    )
    goal = Goal({"0": features.normalized(content)}, {})
    made = paint(picture(1), features, goal, options)
    torch.testing.assert_close(made, content, atol=0.01, rtol=0)


def test_style_alone_brings_the_gram_matrix():
    features = identity_features()
    wanted = gram(features.normalized(picture(1, 8, 30)))
    options = StylizeOptions(steps=30, optimizer="lbfgs", content_weight=0, tv_weight=0)
    made = paint(picture(0), features, Goal({}, {"0": wanted}), options)
    torch.testing.assert_close(gram(features.normalized(made)), wanted, atol=0.01, rtol=0)


def test_total_variation_alone_makes_it_flat():
    features = identity_features()
    options = StylizeOptions(steps=200, lr=0.05, decay=0.6, content_weight=0, style_weight=0)
    made = paint(picture(0), features, Goal({}, {}), options)
    spread = (made.amax(dim=(2, 3)) - made.amin(dim=(2, 3))).max()
    before = (picture(0).amax(dim=(2, 3)) - picture(0).amin(dim=(2, 3))).max()
    assert spread < 0.3 * before


@pytest.mark.parametrize("options", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_the_same_again_is_the_same(options):
    features = small_features()
    goal = goal_of(features, TAPS, picture(0), picture(1))
    once, again = (paint(picture(0), features, goal, options) for _ in range(2))
    assert torch.equal(once, again)


def test_the_learning_rate_falls_in_ten_steps():
    options = StylizeOptions(steps=500)  # 0.3, and 0.8 of it after each 50 steps
    found = [lr_at(options, step) for step in (0, 49, 50, 99, 100, 499)]
    assert found == pytest.approx([0.3, 0.3, 0.24, 0.24, 0.192, 0.3 * 0.8**9])
    lbfgs = StylizeOptions(steps=500, optimizer="lbfgs")
    assert lr_at(lbfgs, 499) == 1.0


def test_a_loss_that_is_no_number_ends_it():
    features = small_features()
    goal = goal_of(features, TAPS, picture(0), picture(1))
    with torch.no_grad():
        next(features.parameters()).fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="got nan in step 1"):
        paint(picture(0), features, goal, StylizeOptions(steps=2))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("scales", 0),
        ("size", -1),
        ("style_weight", -1.0),
        ("decay", 0.0),
        ("seed", -1),
        ("style_scale", 0.0),
    ],
)
def test_numbers_out_of_range(field, value):
    with pytest.raises(ValueError, match=f"{field} must lie in"):
        StylizeOptions(**{field: value})


@pytest.mark.parametrize(("field", "value"), [("optimizer", "sgd"), ("start", "style")])
def test_unknown_choices(field, value):
    with pytest.raises(ValueError, match=f"{field} is .* or .*, got '{value}'"):
        StylizeOptions(**{field: value})


def test_something_must_count():
    with pytest.raises(ValueError, match="At least one loss"):
        StylizeOptions(content_weight=0, style_weight=0, tv_weight=0)
