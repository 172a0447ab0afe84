"""Training a detector: one policy, one seed.

It promises what the classifiers' loop promises (`mixwell.recipes.loop`): equal seeds give equal
initial weights and an equal batch order whatever the policy, and a run that was stopped and resumed
ends in exactly the weights of one that was not. Boxes that augmentation drops are counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import mixwell as mw
from mixwell.recipes.detection.config import DetectConfig, is_square
from mixwell.recipes.detection.data import TrainVal
from mixwell.recipes.detection.evaluate import Found, Measured, average_precision, search
from mixwell.recipes.detection.feed import DetectionFeed
from mixwell.recipes.detection.models import Built, build_detector
from mixwell.recipes.detection.policies import needs_masks
from mixwell.recipes.fabric import chosen_device, launched
from mixwell.recipes.optim import build_optimizer, lr_factor, set_lr
from mixwell.recipes.result import array_digest, weights_digest
from mixwell.recipes.session import OnEpoch, OnStart, OnStep, Session
from mixwell.recipes.settings import as_json


@dataclass
class DetectResult:
    """What a run gave.

    Attributes:
        measured: on the validation images after the last epoch; None without a finished epoch.
        train_loss: mean over the last epoch's steps.
        terms: the terms of that loss.
        images_per_second: augmented and trained, over all epochs, without measuring.
        seconds: training and measuring.
        epochs: finished epochs.
        parameters: trainable numbers in the model.
        initial_digest: of the initial weights.
        order_digest: of the image indices of all finished epochs, in order.
        dropped: boxes that augmentation left out over all epochs, by reason.
        notes: what became of weights, and what else should be known.
        interrupted: stopped by Ctrl-C; everything above is of the finished epochs.
        history: one row for each epoch.
        model: the detector.
        found: what it finds on the validation images, by image_id; None where the last epoch was
            not one of this process.
    """

    measured: Measured | None
    train_loss: float | None
    terms: dict[str, float]
    images_per_second: float
    seconds: float
    epochs: int
    parameters: int
    initial_digest: str
    order_digest: str
    dropped: dict[str, int]
    notes: list[str]
    interrupted: bool
    history: list[dict[str, Any]] = field(repr=False)
    model: nn.Module = field(repr=False)
    found: dict[int, Found] | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Everything but the network and the history."""
        hidden = ("model", "history", "measured", "found")
        shown = {k: v for k, v in vars(self).items() if k not in hidden}
        return (self.measured.as_json() if self.measured else {}) | shown


def make_fabric(config: DetectConfig) -> Any:
    """Lightning Fabric for the config's one device.

    Raises:
        ImportError: lightning is not installed.
        DataError: cuda is asked for and there is none.
    """
    return launched(accelerator=chosen_device(config.device))


def train(
    config: DetectConfig,
    data: TrainVal,
    policy: mw.Policy,
    *,
    build: Callable[[], Built] | None = None,
    checkpoint: Path | None = None,
    save_every: float = 0.0,
    resume: bool = False,
    on_start: OnStart | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    fabric: Any = None,
) -> DetectResult:
    """Train a detector on augmented images and measure it on clean ones.

    Args:
        config: what to train, `resolved`.
        data: training and validation images.
        policy: augmentation of the training images.
        build: builds the detector; `config.model` when left out.
        checkpoint: file written after an epoch, never half.
        save_every: seconds from one checkpoint to the next, at least; the last epoch's is written.
        resume: continue from the checkpoint where there is one.
        on_start: called before the first step with the epochs that the checkpoint held and the
            steps of an epoch.
        on_epoch: called with each finished epoch's row of the history.
        on_step: called after each step.
        fabric: from `make_fabric`, to share it between runs.

    Raises:
        DataError: no box to learn from, masks that are needed and not there, an unknown model, or
            a checkpoint that is damaged or of another run.
        FloatingPointError: the loss is no longer a number.
        ImportError: lightning or torchmetrics is not installed.
    """
    fabric = fabric or make_fabric(config)
    gpus = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(config.seed)
        built = (build or (lambda: build_detector(config, len(data.classes))))()
        run = _Run(config, data, policy, built, fabric)
        if resume and checkpoint and checkpoint.exists():
            run.load(checkpoint)
        if on_start:
            on_start(len(run.history), run.feed.steps)
        interrupted = run.drive(
            checkpoint=checkpoint, save_every=save_every, on_epoch=on_epoch, on_step=on_step
        )
        return run.result(interrupted)


class _Run(Session):
    """Everything that lives as long as one training."""

    def __init__(
        self, config: DetectConfig, data: TrainVal, policy: mw.Policy, built: Built, fabric: Any
    ) -> None:
        super().__init__(fabric, config.epochs or 0, _identity(config, policy))
        self.config, self.data = config, data
        self.notes = [*built.notes, *_notes(data)]
        self.initial_digest = weights_digest(built.model)
        optimizer = build_optimizer(
            built.model,
            config.optimizer or "sgd",
            lr=config.lr or 0.01,
            momentum=config.momentum,
            weight_decay=config.weight_decay or 0.0,
        )
        self.model, self.optimizer = fabric.setup(built.model, optimizer)
        self.network = built.model
        self.found: dict[int, Found] | None = None
        self.feed = DetectionFeed(
            data.train,
            policy,
            masks=built.needs_masks or needs_masks(policy),
            sampler=mw.KeyedSampler(
                len(data.train), epochs=config.epochs or 1, shuffle=True, seed=config.seed
            ),
            batch_size=min(config.batch_size or 1, len(data.train)),
            num_workers=config.num_workers,
            device=fabric.device,
            seed=config.seed,
        )

    def epoch(self, on_step: OnStep) -> None:
        """Train for one epoch, measure, and add a row to the history."""
        number, start = self.seed_epoch(self.config.seed), time.perf_counter()
        self.model.train()
        sums: dict[str, Tensor] = {}
        seen = 0
        for step, (images, targets) in enumerate(self.feed.epoch(number)):
            terms = self._step(images, targets, number * self.feed.steps + step)
            sums = {name: value + sums.get(name, 0.0) for name, value in terms.items()}
            seen += len(images)
            on_step()
        means = {name: float(total) / self.feed.steps for name, total in sums.items()}
        seconds = time.perf_counter() - start
        loss = sum(means.values())
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"Training needs a finite loss, got {loss} in epoch {number + 1}. "
                f"Lower lr ({self.config.lr})."
            )
        found = self.measure() if self._due(number + 1) else None
        row = {
            "epoch": number + 1,
            "lr": self.optimizer.param_groups[0]["lr"],
            "train_loss": loss,
            "map": found.map if found else None,
            "map_50": found.map_50 if found else None,
            "images_per_second": seen / seconds,
            "train_seconds": seconds,
            "seconds": time.perf_counter() - start,
            "dropped": sum(self.feed.dropped.values()),
            "order": array_digest(self.feed.order(number)),
            "terms": means,
            "dropped_by_reason": dict(sorted(self.feed.dropped.items())),
            "measured": found.as_json() if found else None,
        }
        self.history.append(row)

    def _due(self, epoch: int) -> bool:
        """Whether the validation images are measured after this epoch, counted from 1."""
        return epoch == self.config.epochs or epoch % (self.config.measure_every or 1) == 0

    def _step(self, images: Any, targets: Any, step: int) -> dict[str, Tensor]:
        progress = step / (self.feed.steps * (self.config.epochs or 1))
        set_lr(self.optimizer, (self.config.lr or 0.01) * lr_factor(self.config.schedule, progress))
        terms = self.model(images, targets)
        loss = torch.stack(list(terms.values())).sum()
        self.fabric.backward(loss)
        if self.config.clip_norm:
            self.fabric.clip_gradients(
                self.model, self.optimizer, max_norm=self.config.clip_norm, error_if_nonfinite=False
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {name: value.detach() for name, value in terms.items()}

    def measure(self) -> Measured:
        """Average precision on the validation images; keeps what was found."""
        found, targets = search_val(self.config, self.network, self.data, self.fabric.device)
        ids = [target["image_id"] for target in targets]
        self.found = dict(zip(ids, found, strict=True))
        return average_precision(found, targets, self.data.classes)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds beside the history and the identity."""
        state = {"model": self.model, "optimizer": self.optimizer}
        return state | {"initial_digest": self.initial_digest}

    def result(self, interrupted: bool) -> DetectResult:
        """What the finished epochs gave."""
        done, last = self.history, self.history[-1] if self.history else {}
        order = "".join(row["order"] for row in done)
        found = [row["measured"] for row in done if row["measured"] is not None]
        seconds = sum(row["train_seconds"] for row in done)
        images = sum(row["images_per_second"] * row["train_seconds"] for row in done)
        dropped: Counter[str] = Counter()
        for row in done:
            dropped.update(row["dropped_by_reason"])
        return DetectResult(
            measured=Measured(**found[-1]) if found else None,
            train_loss=last.get("train_loss"),
            terms=last.get("terms", {}),
            images_per_second=images / seconds if done else 0.0,
            seconds=sum(row["seconds"] for row in done),
            epochs=len(done),
            parameters=sum(p.numel() for p in self.network.parameters() if p.requires_grad),
            initial_digest=self.initial_digest,
            order_digest=array_digest(np.frombuffer(order.encode(), np.uint8)),
            dropped=dict(dropped),
            notes=self.notes,
            interrupted=interrupted,
            history=done,
            model=self.network,
            found=self.found,
        )


def search_val(
    config: DetectConfig, model: nn.Module, data: TrainVal, device: Any
) -> tuple[list[Found], list[dict[str, Any]]]:
    """What a detector finds on the validation images, and what there was to find."""
    side = config.image_size if is_square(config.model) else None
    size = config.batch_size or 8
    return search(model, data.val, side=side, batch_size=size, device=device)


# What may change between the parts of a resumed run without changing what is learnt.
_FREE = (
    *("num_workers", "threads", "device", "score_threshold", "measure_every"),
    *("quiet", "out", "resume", "overwrite"),
)


def _identity(config: DetectConfig, policy: mw.Policy) -> dict[str, Any]:
    """The settings that a checkpoint must share with the run that resumes it."""
    chosen = {k: v for k, v in as_json(config).items() if k not in _FREE}
    return chosen | {"policy": repr(policy)}


def _notes(data: TrainVal) -> list[str]:
    """What a reader of the result must know of the data.

    Raises:
        DataError: there is no box to learn from.
    """
    notes = [data.note] if data.note else []
    for part, name in ((data.train, "training"), (data.val, "validation")):
        for reason, names in {**part.skipped, **part.notes}.items():
            notes.append(f"{name}: {len(names)} x {reason}")
    records = getattr(data.train, "records", None)
    if records is not None:
        things = [thing for record in records for thing in record.things]
        crowds = sum(thing.crowd for thing in things)
        if crowds == len(things):
            raise mw.DataError(
                f"Training needs objects, got {len(things)} ({crowds} crowds) in {data.name}. "
                "Check the annotations."
            )
        if crowds:
            notes.append(f"training: {crowds} crowds are not trained on")
    return notes
