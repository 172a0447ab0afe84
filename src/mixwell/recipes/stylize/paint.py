"""Gradient descent on a picture's pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import LBFGS, Adam, Optimizer

from mixwell.recipes.optim import set_lr
from mixwell.recipes.stylize.config import StylizeOptions
from mixwell.recipes.stylize.features import Features
from mixwell.recipes.stylize.losses import Goal, Weights, gram
from mixwell.recipes.stylize.networks import Taps

Row = dict[str, float]
OnStep = Callable[[Row, Tensor], None]


def goal_of(features: Features, taps: Taps, content: Tensor, style: Tensor) -> Goal:
    """What the two pictures ask for.

    Args:
        features: gives feature maps.
        taps: which of them are for what.
        content: pixels in 0 .. 1, float [1, 3, H, W].
        style: the same, of any size.
    """
    with torch.no_grad():
        wanted = features(features.normalized(content))
        kept = {name: wanted[name] for name in taps.content}
        del wanted
        maps = features(features.normalized(style))
        return Goal(kept, {name: gram(maps[name]) for name in taps.style})


def paint(
    start: Tensor,
    features: Features,
    goal: Goal,
    options: StylizeOptions,
    on_step: OnStep | None = None,
) -> Tensor:
    """Change a picture step by step until its losses are small.

    Pixels are brought back into 0 .. 1 after every step. Adam's learning rate falls by a factor
    after each tenth of the steps.

    Args:
        start: pixels in 0 .. 1, float [1, 3, H, W]; left as it is.
        features: gives feature maps.
        goal: what is wanted.
        options: steps, optimizer, rates and weights.
        on_step: called after each step with its row (step, lr and the losses before the step) and
            the pixels after it.

    Returns:
        Pixels in 0 .. 1.

    Raises:
        FloatingPointError: the loss is no longer a number.
    """
    # L-BFGS takes no other layout of the gradient, which follows the image's.
    image = features.normalized(start).detach().clone(memory_format=torch.contiguous_format)
    image.requires_grad_()
    weights = weights_of(options)
    optimizer = _optimizer(image, options)
    first: Row = {}

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        parts = goal.losses(features(image), image, weights)
        total = torch.stack(list(parts.values())).sum()
        total.backward()
        if not first:  # L-BFGS may ask again within a step
            first.update(as_row(parts))
        return total.detach()

    for step in range(options.steps):
        lr = lr_at(options, step)
        set_lr(optimizer, lr)
        first.clear()
        optimizer.step(evaluate)  # type: ignore[arg-type]
        _check_finite(first["total"], step, lr)
        with torch.no_grad():
            features.clamp_(image)
            if on_step:
                on_step({"step": step + 1, "lr": lr, **first}, features.pixels(image))
    return features.pixels(image.detach()).clamp(0, 1)


def measure(pixels: Tensor, features: Features, goal: Goal, options: StylizeOptions) -> Row:
    """The weighted losses of a picture, as in `paint`'s rows.

    Args:
        pixels: in 0 .. 1, float [1, 3, H, W].
        features: gives feature maps.
        goal: what is wanted.
        options: the weights.
    """
    with torch.no_grad():
        image = features.normalized(pixels)
        return as_row(goal.losses(features(image), image, weights_of(options)))


def weights_of(options: StylizeOptions) -> Weights:
    """What the losses count."""
    return Weights(options.content_weight, options.style_weight, options.tv_weight)


def as_row(parts: dict[str, Tensor]) -> Row:
    """The losses as numbers, with their total."""
    values: dict[str, Any] = {name: float(part.detach()) for name, part in parts.items()}
    return {**values, "total": sum(values.values())}


def lr_at(options: StylizeOptions, step: int) -> float:
    """The learning rate of a step, counted from 0: it falls with Adam, L-BFGS keeps it."""
    if options.optimizer == "lbfgs":
        return options.peak_lr
    return options.peak_lr * options.decay ** (step * 10 // options.steps)


def _optimizer(image: Tensor, options: StylizeOptions) -> Optimizer:
    if options.optimizer == "adam":
        return Adam([image], lr=options.peak_lr)
    return LBFGS(
        [image],
        lr=options.peak_lr,
        max_iter=1,
        max_eval=26,  # of which the line search gets all but one
        history_size=10,
        line_search_fn="strong_wolfe",
        tolerance_grad=0.0,
        tolerance_change=0.0,
    )


def _check_finite(total: float, step: int, lr: float) -> None:
    if total - total != 0:
        raise FloatingPointError(
            f"The loss must stay a number, got {total} in step {step + 1}. Lower lr (now {lr:g}) "
            "or the weights."
        )
