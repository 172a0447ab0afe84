"""The training loop: one policy, one seed, over Fabric.

What it promises:

* Equal seeds give equal initial weights and an equal batch order, whatever the policy; `Result`
  carries digests of both.
* A run that was stopped and resumed ends in exactly the weights of one that was not (on the CPU,
  same thread count): augmentation is keyed by (seed, epoch, image), the learning rate is a
  function of the step, and each epoch seeds PyTorch's generator anew for dropout.
* The caller's random state is left as it was.

Accuracy on mixed training images is reported as *mixed accuracy*; it is not a training accuracy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import mixwell as mw
from mixwell.recipes.checks import (
    check_data,
    check_logits,
    check_size,
    check_tuning,
    check_whiten,
    first_image,
    unfit,
)
from mixwell.recipes.config import TrainConfig
from mixwell.recipes.data import ArraySet, TrainTest
from mixwell.recipes.fabric import launched
from mixwell.recipes.feed import Feed, LoaderFeed, MemoryFeed, plain_batches
from mixwell.recipes.models import build_model, whiten
from mixwell.recipes.optim import AveragedWeights, build_optimizer, lr_factor, set_lr
from mixwell.recipes.result import Result, array_digest, weights_digest
from mixwell.recipes.session import OnEpoch, OnStart, OnStep, Session
from mixwell.recipes.settings import as_json
from mixwell.recipes.tuning import Tuning
from mixwell.targets import bce, mixed_accuracy, soft_cross_entropy

LOSSES = {"ce": soft_cross_entropy, "bce": bce}


def make_fabric(config: TrainConfig) -> Any:
    """Lightning Fabric for the config's devices and precision, launched.

    Raises:
        ImportError: lightning is not installed.
    """
    return launched(config.precision, devices=config.devices, num_nodes=config.num_nodes)


def train(
    config: TrainConfig,
    data: TrainTest,
    policy: mw.Policy,
    *,
    eval_policy: mw.Policy | None = None,
    seed: int = 0,
    network: Callable[[], nn.Module] | None = None,
    tuning: Tuning | None = None,
    checkpoint: Path | None = None,
    save_every: float = 0.0,
    resume: bool = False,
    on_start: OnStart | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    fabric: Any = None,
) -> Result:
    """Train a network on augmented images and measure it on clean ones.

    Args:
        config: what to train, `resolved`.
        data: training and test images.
        policy: augmentation of the training images; must give one size.
        eval_policy: for the images measured on; as they are when left out.
        seed: of initial weights, batch order and augmentation.
        network: builds the network; `config.model` when left out.
        tuning: which layers learn when, and how fast; all alike when left out.
        checkpoint: file written after an epoch, never half.
        save_every: seconds from one checkpoint to the next, at least; the last epoch's is written.
        resume: continue from the checkpoint where there is one.
        on_start: called before the first step, when nothing can be refused any more, with the
            epochs that the checkpoint held and the steps of an epoch.
        on_epoch: called with each finished epoch's row of the history.
        on_step: called after each step.
        fabric: from `make_fabric`, to share it between runs.

    Raises:
        PolicyError: the policy does not give one size.
        DataError: one class only, more classes than logits, a model that cannot take the images,
            a checkpoint that is damaged or of another run, or several processes and a tuning that
            changes which layers learn.
        FloatingPointError: the loss is no longer a number.
        ImportError: lightning is not installed.
    """
    check_data(data)
    check_size(data, policy)
    check_whiten(config, data, scratch=network is None)
    fabric = fabric or make_fabric(config)
    gpus = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        build = network or (lambda: _built(config, data))
        clean = eval_policy or mw.Policy()
        run = _Run(config, data, policy, clean, seed, build(), fabric, tuning)
        if resume and checkpoint and checkpoint.exists():
            run.load(checkpoint)
        run.check_model()
        if on_start:
            on_start(len(run.history), run.feed.steps)
        interrupted = run.drive(
            checkpoint=checkpoint, save_every=save_every, on_epoch=on_epoch, on_step=on_step
        )
        return run.result(interrupted)


def _built(config: TrainConfig, data: TrainTest) -> nn.Module:
    """The config's model, whitened where it says so."""
    network = build_model(config.model or "", len(data.classes))
    if config.whiten:
        assert isinstance(data.train, ArraySet)  # `check_whiten`
        whiten(network, data.train.images, data.mean, data.std)
    return network


class _Run(Session):
    """Everything that lives as long as one training."""

    def __init__(
        self,
        config: TrainConfig,
        data: TrainTest,
        policy: mw.Policy,
        eval_policy: mw.Policy,
        seed: int,
        network: nn.Module,
        fabric: Any,
        tuning: Tuning | None = None,
    ) -> None:
        identity = _identity(config, policy, seed) | (tuning.identity if tuning else {})
        super().__init__(fabric, config.epochs or 0, identity)
        self.config, self.data, self.seed, self.tuning = config, data, seed, tuning
        self.eval_policy = eval_policy
        self.initial_digest = weights_digest(network)
        self.layout = torch.channels_last if config.channels_last else torch.contiguous_format
        network = network.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.options = {
            "mean": data.mean,
            "std": data.std,
            "num_classes": len(data.classes),
            "memory_format": self.layout,
        }
        self.feed = self._make_feed(policy)
        optimizer = build_optimizer(
            network,
            config.optimizer,
            lr=config.lr or 0.1,
            momentum=config.momentum,
            weight_decay=config.weight_decay or 0.0,
            bias_lr=config.bias_lr,
            decay_all=config.decay_all,
            lr_scale=tuning.lr_scale if tuning else None,
        )
        if tuning:
            check_tuning(tuning, fabric.world_size)
            tuning.begin(network, 0)  # before processes agree on whose gradients they share
        self.model, self.optimizer = fabric.setup(network, optimizer)
        self.network = network
        self.average = AveragedWeights(network, config.ema) if config.ema else None
        self.lr = config.lr or 0.1

    def _make_feed(self, policy: mw.Policy) -> Feed:
        config, train, fabric = self.config, self.data.train, self.fabric
        batch_size = max(1, min(config.batch_size or 1, len(train)) // fabric.world_size)
        sampler = mw.KeyedSampler(
            len(train),
            epochs=config.epochs or 1,
            shuffle=True,
            seed=self.seed,
            rank=fabric.global_rank,
            world_size=fabric.world_size,
        )
        options = self.options | {"smoothing": config.smoothing, "seed": self.seed}
        if isinstance(train, ArraySet):
            augment = mw.Augment(policy, **options)
            return MemoryFeed(train, augment, sampler, batch_size, fabric.device)
        collate = mw.Collate(policy, **options)
        return LoaderFeed(train, collate, sampler, batch_size, config.num_workers, fabric.device)

    def epoch(self, on_step: OnStep) -> None:
        """Train for one epoch, measure, and add a row to the history."""
        number, start = self.seed_epoch(self.seed), time.perf_counter()
        self.model.train()
        if self.tuning:
            self.tuning.begin(self.network, number)
        sums, seen = torch.zeros(2, device=self.fabric.device), 0
        for step, (images, labels) in enumerate(self.feed.epoch(number)):
            loss, hits = self._step(images, labels, number * self.feed.steps + step)
            sums += torch.stack([loss * len(images), hits * len(images)])
            seen += len(images)
            on_step()
        loss, mixed = self._mean(sums, seen)
        seconds = time.perf_counter() - start  # _mean has waited for the device
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"Training needs a finite loss, got {loss} in epoch {number + 1}. "
                f"Lower lr ({self.config.lr})."
            )
        row = {
            "epoch": number + 1,
            "lr": self.lr,
            "train_loss": loss,
            "mixed_accuracy": mixed,
            "test_accuracy": self.measure(self.data.test) if self._due(number + 1) else None,
            "images_per_second": seen * self.fabric.world_size / seconds,
            "train_seconds": seconds,
            "seconds": time.perf_counter() - start,
            "order": array_digest(self.feed.order(number)),
        }
        self.history.append(row)

    def _due(self, epoch: int) -> bool:
        """Whether the test images are measured after this epoch, counted from 1."""
        return epoch == self.config.epochs or epoch % (self.config.measure_every or 1) == 0

    def _step(self, images: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        progress = step / (self.feed.steps * (self.config.epochs or 1))
        factor = lr_factor(self.config.schedule or "onecycle", progress)
        self.lr = (self.config.lr or 0.1) * factor
        set_lr(self.optimizer, self.lr)
        logits = self.model(images)
        loss = LOSSES[self.config.loss](logits.float(), labels)
        self.fabric.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update(self.network)
        return loss.detach(), mixed_accuracy(logits.detach().float(), labels)

    def _mean(self, sums: Tensor, seen: int) -> list[float]:
        total = torch.cat([sums, sums.new_tensor([seen])])
        total = self.fabric.all_reduce(total, reduce_op="sum")
        return (total[:2] / total[2]).tolist()

    @torch.no_grad()
    def measure(self, images: Any) -> float:
        """Clean accuracy, 0 .. 1."""
        network = self.average if self.average is not None else self.network
        network.eval()
        self._share_statistics(network)
        hits = torch.zeros((), device=self.fabric.device)
        batches = self._plain(
            images,
            batch_size=max(256, self.config.batch_size or 0),
            num_workers=self.config.num_workers,
            rank=self.fabric.global_rank,
            world_size=self.fabric.world_size,
        )
        for pixels, labels in batches:
            with self.fabric.autocast():
                logits = network(pixels).float()
                if self.config.tta:
                    logits = logits + network(pixels.flip(-1)).float()
            hits += (logits.argmax(1) == labels).sum()
        return float(self.fabric.all_reduce(hits, reduce_op="sum")) / len(images)

    def _plain(self, images: Any, **options: int) -> Iterator[tuple[Tensor, Tensor]]:
        return plain_batches(
            images, self.eval_policy, self.options, device=self.fabric.device, **options
        )

    @torch.no_grad()
    def check_model(self) -> None:
        """Show the network one test image before any work is spent on it.

        Raises:
            DataError: it cannot take the image, or gives the wrong number of logits.
        """
        self.network.eval()
        first = first_image(self.data.test)
        pixels, _ = next(iter(self._plain(first, batch_size=1, num_workers=0)))
        height, width = pixels.shape[-2:]
        try:
            with self.fabric.autocast():
                logits = self.network(pixels)
        except Exception as error:
            in_memory = isinstance(self.data.test, ArraySet)
            raise unfit(self.config, self.network, (height, width), in_memory, error) from error
        check_logits(logits, len(self.data.classes))

    def _share_statistics(self, network: nn.Module) -> None:
        """Give all processes the first one's norm statistics: each has seen other images."""
        if self.fabric.world_size > 1:
            for buffer in network.buffers():
                torch.distributed.broadcast(buffer, 0)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds beside the history and the identity."""
        state = {"model": self.model, "optimizer": self.optimizer}
        if self.average is not None:
            state["average"] = self.average
        return state | {"initial_digest": self.initial_digest}

    def result(self, interrupted: bool) -> Result:
        """What the finished epochs gave."""
        done, last = self.history, self.history[-1] if self.history else {}
        order = "".join(row["order"] for row in done)
        measured = [row["test_accuracy"] for row in done if row["test_accuracy"] is not None]
        train_seconds = sum(row["train_seconds"] for row in done)
        images = sum(row["images_per_second"] * row["train_seconds"] for row in done)
        clean = self.config.train_accuracy and not interrupted
        return Result(
            test_accuracy=measured[-1] if measured else float("nan"),
            train_accuracy=self.measure(self.data.train) if clean else None,
            mixed_accuracy=last.get("mixed_accuracy", float("nan")),
            train_loss=last.get("train_loss", float("nan")),
            images_per_second=images / train_seconds if done else 0.0,
            seconds=sum(row["seconds"] for row in done),
            epochs=len(done),
            parameters=sum(p.numel() for p in self.network.parameters() if p.requires_grad),
            initial_digest=self.initial_digest,
            order_digest=array_digest(np.frombuffer(order.encode(), np.uint8)),
            interrupted=interrupted,
            history=done,
            model=self.average.module if self.average is not None else self.network,
        )


# What may change between the parts of a resumed run without changing what is learnt.
_FREE = ("data_dir", "download", "num_workers", "threads", "train_accuracy", "devices", "num_nodes")


def _identity(config: TrainConfig, policy: mw.Policy, seed: int) -> dict[str, Any]:
    """The settings that a checkpoint must share with the run that resumes it."""
    names = TrainConfig.__dataclass_fields__
    chosen = {k: v for k, v in as_json(config).items() if k in names and k not in _FREE}
    return chosen | {"policy": repr(policy), "seed": seed}
