"""CutMix against nothing in Keras 3: ResNet-20 from identical initial weights, by `model.fit`.

    KERAS_BACKEND=torch python examples/keras_cutmix.py
    KERAS_BACKEND=jax python examples/keras_cutmix.py --data cifar10 --data-dir DIR --epochs 15

The settings are those of Keras' own CutMix example (`mixwell policies show keras-cutmix`): Adam
with its defaults, batches of 32, L2 of 1e-4 on kernels, levels / 255. Batches are NumPy arrays,
channels last, whatever the back end: from `Loader`, or from `Augment` behind a `PyDataset`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

import mixwell as mw
from mixwell.recipes.data import load_dataset

POLICIES = {"none": mw.Policy(), "cutmix": mw.Policy(mw.CutMix(alpha=0.25))}
LEVELS = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}  # levels / 255 alone


def resnet(shape: tuple[int, ...], classes: int, depth: int = 20) -> keras.Model:
    """The CIFAR ResNet of depth 6n + 2, with projection shortcuts."""
    image = x = keras.Input(shape)
    x = unit(x, 16)
    for stage, filters in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            stride = 2 if stage and not block else 1
            y = unit(unit(x, filters, stride=stride), filters, relu=False)
            if stride > 1:
                x = conv(filters, 1, stride)(x)
            x = keras.layers.ReLU()(keras.layers.Add()([x, y]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    logits = keras.layers.Dense(classes, kernel_initializer="he_normal")(x)
    return keras.Model(image, logits)


def unit(x: Any, filters: int, *, stride: int = 1, relu: bool = True) -> Any:
    """Convolution, batch norm and, mostly, ReLU."""
    x = keras.layers.BatchNormalization()(conv(filters, 3, stride)(x))
    return keras.layers.ReLU()(x) if relu else x


def conv(filters: int, side: int, stride: int) -> keras.layers.Layer:
    """A convolution as the example has them."""
    return keras.layers.Conv2D(
        filters,
        side,
        strides=stride,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(1e-4),
    )


class Batches(keras.utils.PyDataset):
    """Images in memory, augmented batch by batch: `fit` may ask in any order, from any worker."""

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        augment: mw.Augment,
        sampler: mw.KeyedSampler,
        batch_size: int,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.images, self.labels, self.augment = images, labels, augment
        self.sampler, self.batch_size = sampler, batch_size
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Keras calls this between epochs; the keys of the next one."""
        self.keys = list(self.sampler.batches(self.batch_size, drop_last=True))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        keys = self.keys[index]
        return self.augment(self.images[keys.index], self.labels[keys.index], keys=keys)


def endless(loader: mw.Loader) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What `fit` takes: each pass through a Loader is its next epoch."""
    while True:
        yield from loader


def feed(options: argparse.Namespace, policy: mw.Policy, train: Any, seed: int) -> tuple[Any, int]:
    """What `fit` reads, and batches in an epoch; both ways give the same batches, bit for bit."""
    images, labels, size = train.images, train.labels, options.batch_size
    given = {"num_classes": len(train.classes), **LEVELS}
    order = {"epochs": options.epochs, "shuffle": True, "seed": seed}
    if options.feed == "augment":
        sampler = mw.KeyedSampler(len(images), **order)
        augment = mw.Augment(policy, seed=seed, **given)
        data = Batches(images, labels, augment, sampler, size)
        return data, len(data)
    loader = mw.Loader(
        (images, labels), policy, batch_size=size, drop_last=True, output="numpy", **order, **given
    )
    return endless(loader), len(loader)


def digest(*arrays: np.ndarray) -> str:
    """Eight hexadecimal digits that stand for arrays."""
    parts = hashlib.blake2b(digest_size=4)
    for array in arrays:
        parts.update(np.ascontiguousarray(array).tobytes())
    return parts.hexdigest()


def main(words: list[str] | None = None) -> dict[str, Any]:
    """Train both policies for each seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits", help="digits, cifar10 or cifar100")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--limit", type=int, help="training images used; all when left out")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--feed", choices=["loader", "augment"], default="loader")
    options = parser.parse_args(words)
    data = load_dataset(options.data, options.data_dir)
    train = data.train
    if options.limit:
        kept = np.linspace(0, len(train.labels) - 1, options.limit).astype(int)
        train = type(train)(train.images[kept], train.labels[kept], train.classes)
    test = data.test.images.astype(np.float32) / 255, data.test.labels
    runs = []
    for seed in options.seeds:
        keras.utils.set_random_seed(seed)
        model = resnet(train.images.shape[1:], len(train.classes), options.depth)
        initial = model.get_weights()
        for name, policy in POLICIES.items():
            runs.append(run(options, model, initial, name, policy, train, test, seed))
            print(json.dumps(runs[-1]), flush=True)
    return {"backend": keras.backend.backend(), "feed": options.feed, "runs": runs}


def run(
    options: argparse.Namespace,
    model: keras.Model,
    initial: list[np.ndarray],
    name: str,
    policy: mw.Policy,
    train: Any,
    test: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> dict[str, Any]:
    """One training from the initial weights, measured on the test images as they are."""
    model.set_weights(initial)
    model.compile(
        optimizer=keras.optimizers.Adam(),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),  # soft labels
    )
    started = time.perf_counter()
    began = digest(*model.get_weights())
    batches, steps = feed(options, policy, train, seed)
    fitted = model.fit(batches, steps_per_epoch=steps, epochs=options.epochs, verbose=0)
    logits = model.predict(test[0], batch_size=256, verbose=0)
    first, _ = feed(options, policy, train, seed)
    return {
        "policy": name,
        "seed": seed,
        "initial_weights": began,
        "first_batch": digest(*(first[0] if options.feed == "augment" else next(first))),
        "train_loss": [round(float(value), 4) for value in fitted.history["loss"]],
        "test_accuracy": round(float((logits.argmax(1) == test[1]).mean()), 4),
        "seconds": round(time.perf_counter() - started, 1),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
