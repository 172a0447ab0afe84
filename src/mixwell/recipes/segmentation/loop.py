"""Training a segmentation network: one policy, one seed.

It promises what the classifiers' loop promises (`mixwell.recipes.loop`): equal seeds give equal
initial weights and an equal batch order whatever the policy, and a run that was stopped and resumed
ends in exactly the weights of one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import mixwell as mw
from mixwell.recipes.fabric import launched
from mixwell.recipes.feed import LoaderFeed
from mixwell.recipes.optim import build_optimizer, lr_factor, set_lr
from mixwell.recipes.result import array_digest, weights_digest
from mixwell.recipes.segmentation.config import SegmentConfig
from mixwell.recipes.segmentation.data import Parts, SegmentationSet
from mixwell.recipes.segmentation.measure import Confusion, Measured
from mixwell.recipes.segmentation.models import Built, build_segmenter
from mixwell.recipes.segmentation.tiles import predict_tiled
from mixwell.recipes.session import OnEpoch, OnStart, OnStep, Session
from mixwell.recipes.settings import as_json
from mixwell.targets import LayeredMasks, pixel_accuracy, pixel_cross_entropy


@dataclass
class SegmentResult:
    """What a run gave.

    Attributes:
        measured: on the validation images after the last epoch; None without a finished epoch.
        train_loss: mean over the last epoch.
        mixed_accuracy: label mass on the predicted classes of the last epoch's augmented images.
        images_per_second: augmented and trained, over all epochs, without measuring.
        seconds: training and measuring.
        epochs: finished epochs.
        parameters: trainable numbers in the model.
        initial_digest: of the initial weights.
        order_digest: of the image indices of all finished epochs, in order.
        skipped: files left out of training, by reason.
        interrupted: stopped by Ctrl-C; everything above is of the finished epochs.
        history: one row for each epoch.
        built: the network, and how its images are normalised.
    """

    measured: Measured | None
    train_loss: float | None
    mixed_accuracy: float | None
    images_per_second: float
    seconds: float
    epochs: int
    parameters: int
    initial_digest: str
    order_digest: str
    skipped: dict[str, int]
    interrupted: bool
    history: list[dict[str, Any]] = field(repr=False)
    built: Built = field(repr=False)

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.built.model

    def as_json(self) -> dict[str, Any]:
        """Everything but the network and the history."""
        shown = {k: v for k, v in vars(self).items() if k not in ("built", "history", "measured")}
        return (self.measured.as_json() if self.measured else {}) | shown


def make_fabric(config: SegmentConfig) -> Any:
    """Lightning Fabric for one device.

    Raises:
        ImportError: lightning is not installed.
    """
    return launched(config.precision)


def train(
    config: SegmentConfig,
    data: Parts,
    policy: mw.Policy,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    on_start: OnStart | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    fabric: Any = None,
) -> SegmentResult:
    """Train a network on augmented images and measure it on clean ones.

    Args:
        config: what to train, `resolved`.
        data: training and validation images.
        policy: augmentation of the training images; ends in one size.
        checkpoint: file written after an epoch, never half.
        resume: continue from the checkpoint where there is one.
        on_start: called before the first step with the epochs that the checkpoint held and the
            steps of an epoch.
        on_epoch: called with each finished epoch's row of the history.
        on_step: called after each step.
        fabric: from `make_fabric`, to share it between runs.

    Raises:
        DataError: an unknown model, weights of another network, or a checkpoint that is damaged or
            of another run.
        FloatingPointError: the loss is no longer a number.
        ImportError: lightning is not installed.
    """
    fabric = fabric or make_fabric(config)
    gpus = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(config.seed)
        built = build_segmenter(
            config.model, len(data.classes), weights=config.weights, stride=config.stride
        )
        run = _Run(config, data, policy, built, fabric)
        if resume and checkpoint and checkpoint.exists():
            run.load(checkpoint)
        if on_start:
            on_start(len(run.history), run.feed.steps)
        interrupted = run.drive(checkpoint=checkpoint, on_epoch=on_epoch, on_step=on_step)
        return run.result(interrupted)


class PlainCollate:
    """A `mixwell.Collate` whose class maps come in layers only where a batch needs them.

    Args:
        collate: with masks="layers".
    """

    def __init__(self, collate: mw.Collate) -> None:
        self.collate, self.augment = collate, collate.augment

    def __call__(self, samples: list[Any]) -> tuple[Tensor, Tensor | LayeredMasks]:
        """Images and their class maps."""
        images, masks = self.collate(samples)
        whole = bool((masks.shares[:, 0] == 1).all() and not masks.shares[:, 1:].any())
        return images, masks.classes[:, 0] if whole else masks


class _Run(Session):
    """Everything that lives as long as one training."""

    def __init__(
        self, config: SegmentConfig, data: Parts, policy: mw.Policy, built: Built, fabric: Any
    ) -> None:
        super().__init__(fabric, config.epochs or 0, _identity(config, policy))
        self.config, self.data, self.built = config, data, built
        self.initial_digest = weights_digest(built.model)
        scale = config.head_lr or 1.0
        optimizer = build_optimizer(
            built.model,
            config.optimizer,
            lr=config.lr or 1e-3,
            momentum=config.momentum,
            weight_decay=config.weight_decay or 0.0,
            lr_scale=lambda name: 1.0 if built.is_backbone(name) else scale,
        )
        self.model, self.optimizer = fabric.setup(built.model, optimizer)
        self.network, self.lr = built.model, config.lr or 1e-3
        sampler = mw.KeyedSampler(
            len(data.train), epochs=config.epochs or 1, shuffle=True, seed=config.seed
        )
        collate = mw.Collate(
            policy, masks="layers", mean=built.mean, std=built.std, seed=config.seed
        )
        plain: Any = PlainCollate(collate)
        train: Any = data.train
        batch_size = min(config.batch_size, len(data.train))
        self.feed = LoaderFeed(train, plain, sampler, batch_size, config.num_workers, fabric.device)

    def epoch(self, on_step: OnStep) -> None:
        """Train for one epoch, measure, and add a row to the history."""
        number, start = self.seed_epoch(self.config.seed), time.perf_counter()
        self.model.train()
        if self.config.freeze_norms or self.built.folded:
            self.built.hold_norms()
        sums, seen = torch.zeros(2, device=self.fabric.device), 0
        batches: Iterator[Any] = self.feed.epoch(number)
        for step, (images, masks) in enumerate(batches):
            loss, hits = self._step(images, masks, number * self.feed.steps + step)
            sums += torch.stack([loss, hits]) * len(images)
            seen += len(images)
            on_step()
        loss, mixed = (sums / seen).tolist()
        seconds = time.perf_counter() - start
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"Training needs a finite loss, got {loss} in epoch {number + 1}. "
                f"Lower lr ({self.config.lr})."
            )
        found = self.measure() if self._due(number + 1) else None
        row = {
            "epoch": number + 1,
            "lr": self.lr,
            "train_loss": loss,
            "mixed_accuracy": mixed,
            "test_accuracy": found.pixel_accuracy if found else None,
            "mean_iou": found.mean_iou if found else None,
            "images_per_second": seen / seconds,
            "train_seconds": seconds,
            "seconds": time.perf_counter() - start,
            "order": array_digest(self.feed.order(number)),
            "measured": found.as_json() if found else None,
        }
        self.history.append(row)

    def _due(self, epoch: int) -> bool:
        """Whether the validation images are measured after this epoch, counted from 1."""
        return epoch == self.config.epochs or epoch % (self.config.measure_every or 1) == 0

    def _step(self, images: Tensor, masks: Any, step: int) -> tuple[Tensor, Tensor]:
        progress = step / (self.feed.steps * (self.config.epochs or 1))
        self.lr = (self.config.lr or 1e-3) * lr_factor(self.config.schedule, progress)
        set_lr(self.optimizer, self.lr)
        logits = self.model(images).float()
        loss = pixel_cross_entropy(logits, masks, smoothing=self.config.smoothing)
        self.fabric.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach(), pixel_accuracy(logits.detach(), masks)

    def measure(self) -> Measured:
        """The figures of the validation images."""
        self.network.eval()
        confusion = Confusion(self.data.classes)
        for _, truth, predicted in predictions(
            self.built, self.data.val, self.config, self.fabric.device
        ):
            confusion.add(predicted.cpu()[None], truth[None])
        return confusion.measured()

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds beside the history and the identity."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "initial_digest": self.initial_digest,
        }

    def result(self, interrupted: bool) -> SegmentResult:
        """What the finished epochs gave."""
        done, last = self.history, self.history[-1] if self.history else {}
        found = [row["measured"] for row in done if row["measured"] is not None]
        seconds = sum(row["train_seconds"] for row in done)
        images = sum(row["images_per_second"] * row["train_seconds"] for row in done)
        order = "".join(row["order"] for row in done)
        return SegmentResult(
            measured=Measured(**found[-1]) if found else None,
            train_loss=last.get("train_loss"),
            mixed_accuracy=last.get("mixed_accuracy"),
            images_per_second=images / seconds if done else 0.0,
            seconds=sum(row["seconds"] for row in done),
            epochs=len(done),
            parameters=sum(p.numel() for p in self.network.parameters() if p.requires_grad),
            initial_digest=self.initial_digest,
            order_digest=array_digest(np.frombuffer(order.encode(), np.uint8)),
            skipped={why: len(names) for why, names in self.data.train.skipped.items()},
            interrupted=interrupted,
            history=done,
            built=self.built,
        )


Shown = tuple[Tensor, Tensor, Tensor]


def predictions(
    built: Built,
    data: SegmentationSet,
    config: SegmentConfig,
    device: torch.device | str = "cpu",
) -> Iterator[Shown]:
    """Every image of a set as the network saw it, its truth, and what the network says.

    Args:
        built: the network, in evaluation mode, and its normalisation.
        data: the set.
        config: has `resize` and `tile`.
        device: of the network.

    Yields:
        uint8 [3, H, W], uint8 [H, W] and int64 [H, W], after resizing, on the CPU but the last.
    """
    policy = mw.Policy(mw.Resize(config.resize)) if config.resize else mw.Policy()
    augment = mw.Augment(policy, masks="semantic")
    for index in range(len(data)):
        image, truth = data[index]
        pixels, masks = augment(image[None], truth[None], keys=mw.Keys(np.array([index])))
        logits = predict_tiled(built.model, built.normalised(pixels.to(device)), tile=config.tile)
        yield pixels[0], masks[0], logits[0].argmax(0)


# What may change between the parts of a resumed run without changing what is learnt.
_FREE = ("num_workers", "threads", "pictures", "out", "resume", "overwrite", "quiet")


def _identity(config: SegmentConfig, policy: mw.Policy) -> dict[str, Any]:
    """The settings that a checkpoint must share with the run that resumes it."""
    values = as_json(config).items()
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in values if k not in _FREE}
    return plain | {"policy": repr(policy)}
