"""A training loop in plain JAX, fed by `Loader` with NumPy batches.

python examples/jax_loop.py
python examples/jax_loop.py --data cifar10 --data-dir DIR --epochs 15
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import mixwell as mw
from mixwell.recipes.data import load_dataset

Params = dict[str, jax.Array]


def initial(key: jax.Array, classes: int, width: int = 32) -> Params:
    """Two convolutions and a linear layer, after He."""
    a, b, c = jax.random.split(key, 3)
    he = jax.nn.initializers.he_normal()
    return {
        "conv1": he(a, (3, 3, 3, width)),
        "conv2": he(b, (3, 3, width, 2 * width)),
        "linear": he(c, (2 * width, classes)),
    }


def logits(params: Params, images: jax.Array) -> jax.Array:
    """[B, H, W, 3] to [B, classes]."""
    layout = ("NHWC", "HWIO", "NHWC")
    x = jax.nn.relu(
        lax.conv_general_dilated(images, params["conv1"], (1, 1), "SAME", dimension_numbers=layout)
    )
    x = jax.nn.relu(
        lax.conv_general_dilated(x, params["conv2"], (2, 2), "SAME", dimension_numbers=layout)
    )
    return x.mean(axis=(1, 2)) @ params["linear"]


def loss(params: Params, images: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross entropy with soft labels [B, classes]."""
    return -(labels * jax.nn.log_softmax(logits(params, images))).sum(axis=1).mean()


@partial(jax.jit, donate_argnums=(0, 1))
def step(
    params: Params, velocity: Params, images: jax.Array, labels: jax.Array, lr: float
) -> tuple[Params, Params, jax.Array]:
    """One step of SGD with momentum."""
    value, gradient = jax.value_and_grad(loss)(params, images, labels)
    velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradient)
    return jax.tree.map(lambda p, v: p - lr * v, params, velocity), velocity, value


def main(words: list[str] | None = None) -> dict[str, Any]:
    """Train, and measure on the test images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits", help="digits, cifar10 or cifar100")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--limit", type=int, help="training images used; all when left out")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    data = load_dataset(options.data, options.data_dir)
    rows = np.linspace(0, len(data.train) - 1, options.limit or len(data.train)).astype(int)
    given = {"mean": data.mean, "std": data.std}
    loader = mw.Loader(
        (data.train.images[rows], data.train.labels[rows]),
        mw.Policy(mw.RandomCrop(data.train.images.shape[1], padding=1), mw.CutMix(p=0.5)),
        batch_size=options.batch_size,
        epochs=options.epochs,
        shuffle=True,
        drop_last=True,
        seed=options.seed,
        output="numpy",
        num_classes=len(data.train.classes),
        **given,
    )
    params = initial(jax.random.key(options.seed), len(data.train.classes))
    velocity = jax.tree.map(jnp.zeros_like, params)
    history = []
    for _ in range(options.epochs):
        losses = []
        for images, labels in loader:
            params, velocity, value = step(params, velocity, images, labels, options.lr)
            losses.append(value)
        history.append(float(np.mean(losses)))
    images = mw.Augment(mw.Policy(), **given)(data.test.images)
    right = np.asarray(logits(params, images)).argmax(1) == data.test.labels
    return {
        "train_loss": [round(value, 4) for value in history],
        "test_accuracy": round(float(right.mean()), 4),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
