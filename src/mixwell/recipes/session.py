"""What every training shares: epochs in order, checkpoints, Ctrl-C.

A checkpoint is written beside its place and moved there in one go, so there is never half of one.
It holds the settings that decide what is learnt, and is resumed with the same ones only.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mixwell.recipes.data import DataError
from mixwell.recipes.interrupt import Interrupts

OnEpoch = Callable[[dict[str, Any]], None]
OnStart = Callable[[int, int], None]
OnStep = Callable[[], None]


class Session(ABC):
    """A training that goes epoch by epoch and can be left and taken up again.

    Args:
        fabric: Lightning's, launched.
        epochs: how many there are.
        identity: settings that a checkpoint must share with the run that resumes it.
    """

    def __init__(self, fabric: Any, epochs: int, identity: dict[str, Any]) -> None:
        self.fabric, self.epochs, self.identity = fabric, epochs, identity
        self.history: list[dict[str, Any]] = []

    @property
    def done(self) -> bool:
        """Whether all epochs are finished."""
        return len(self.history) >= self.epochs

    @abstractmethod
    def epoch(self, on_step: OnStep) -> None:
        """Train for one epoch, measure, and add a row to the history."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What a checkpoint holds beside the history and the identity."""

    def drive(
        self,
        *,
        checkpoint: Path | None,
        save_every: float = 0.0,
        on_epoch: OnEpoch | None = None,
        on_step: OnStep | None = None,
    ) -> bool:
        """All epochs that are left.

        Args:
            checkpoint: file written after an epoch, never half.
            save_every: seconds from one checkpoint to the next, at least; the last epoch's is
                written.
            on_epoch: called with each finished epoch's row of the history.
            on_step: called after each step.

        Returns:
            Whether Ctrl-C ended it.
        """
        saved = time.monotonic()
        with Interrupts() as interrupts:
            try:
                while not self.done:
                    self.epoch(_asking(interrupts, on_step))
                    if checkpoint and (self.done or time.monotonic() - saved >= save_every):
                        self.save(checkpoint)
                        saved = time.monotonic()
                    if on_epoch:
                        on_epoch(self.history[-1])
            except KeyboardInterrupt:
                return True
        return False

    def seed_epoch(self, seed: int) -> int:
        """Seed PyTorch's generator for the next epoch; returns that epoch's number."""
        number = len(self.history)
        torch.manual_seed(seed * 1_000_003 + number * 1009 + self.fabric.global_rank)
        return number

    def save(self, path: Path) -> None:
        """Write the checkpoint beside its place, then move it there in one go."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        self.fabric.save(fresh, self._whole())
        if self.fabric.is_global_zero:
            fresh.replace(path)
        self.fabric.barrier()

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of the same run.

        Raises:
            DataError: it is damaged, or of another run.
        """
        try:
            self._load(path)
        except (DataError, OSError):
            raise
        except Exception as error:  # whatever half a file, or none of ours, ends in
            raise DataError(
                f"The checkpoint {path} is damaged ({type(error).__name__}); delete it or leave "
                "out resume (--resume)."
            ) from error

    def _whole(self) -> dict[str, Any]:
        history = json.dumps(self.history)  # one string: Fabric walks through lists
        return self.state() | {"history": history, "identity": self.identity}

    def _load(self, path: Path) -> None:
        saved = self.fabric.load(path, weights_only=True)
        theirs, ours = saved["identity"], self.identity
        differing = [k for k in ours if theirs.get(k) != ours[k]]
        if differing:
            k = differing[0]
            raise DataError(
                f"A checkpoint can be resumed with its own settings only, got {k}={ours[k]!r} "
                f"instead of {theirs.get(k)!r} in {path}. Use the same settings or another folder."
            )
        state = self._whole()
        self.fabric.load(path, state, weights_only=True)
        self.history = json.loads(state["history"])


def _asking(interrupts: Interrupts, on_step: OnStep | None) -> OnStep:
    """What is called after each step, after asking for a Ctrl-C that Python dropped."""

    def step() -> None:
        interrupts.check()
        if on_step:
            on_step()

    return step
