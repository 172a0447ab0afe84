"""`Augment`: policy, targets and renderer in one callable on batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch.utils.data import get_worker_info

from mixwell._errors import PolicyError, TargetError
from mixwell._rng import Keys
from mixwell.keyed import Key, keys_of
from mixwell.plan.plan import Plan
from mixwell.policy.base import OutSize, Policy
from mixwell.render import render
from mixwell.samples import Getter, join, split
from mixwell.targets import dense_labels, multi_labels, sparse_labels, visible_sources

LabelKind = Literal["dense", "sparse", "multilabel"]


class Planned(NamedTuple):
    """A batch whose plan is made and whose pixels are still as they were read.

    Attributes:
        images: the N images that the plan reads.
        labels: their labels, or None.
        plan: what `Augment.render` will do.
        rest: other entries of the samples, if they were dicts.
        stack: whether the outputs go into one tensor; None: as the policy says.
        training: whether the training policy made the plan, so that labels are mixed.
    """

    images: Any
    labels: Any
    plan: Plan
    rest: dict[str, Any] | None = None
    stack: bool | None = None
    training: bool = True


class Augment:
    """Plans, renders and labels batches.

        augment = Augment(policy, num_classes=10, mean=MEAN, std=STD)
        x, y = augment(images, labels, keys=keys)

    The plan depends on (seed, keys) alone. Without keys, rows are numbered in the order in which
    they come; then the result depends on that order, and `state_dict` holds the count.

    Args:
        policy: what may be done in training.
        num_classes: needed for dense and multi-label targets.
        labels: "dense": a probability for each class, float32 [B, K]; "sparse": `SparseLabels`;
            "multilabel": labels are rows of 0 .. 1.
        smoothing: label smoothing, 0 .. 1 (dense and multi-label).
        eval_policy: used after `eval()`; needed when the training policy changes sizes.
        mean: [C], 0 .. 1: outputs are normalised floats.
        std: [C], 0 .. 1.
        dtype: of the output.
        memory_format: of the output, such as `torch.channels_last`.
        seed: 0 .. 2**64 - 1.
        backend: see `mixwell.render`.
        shares: "exact" refuses policies that move pixels after mixing; "visible" counts what is
            still seen (slower).
        fuse: compose adjacent warps, so that pixels are resampled once.

    Raises:
        PolicyError: a geometric op follows a mix and shares are "exact".
        TargetError: dense or multi-label targets without num_classes.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        num_classes: int | None = None,
        labels: LabelKind = "dense",
        smoothing: float = 0.0,
        eval_policy: Policy | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        dtype: Any = None,
        memory_format: torch.memory_format | None = None,
        seed: int = 0,
        backend: str = "auto",
        shares: Literal["exact", "visible"] = "exact",
        fuse: bool = True,
    ) -> None:
        """Check that policy and targets fit each other."""
        if not isinstance(policy, Policy):
            raise PolicyError(f"Augment takes a Policy, got {type(policy).__name__}.")
        if labels not in ("dense", "sparse", "multilabel"):
            raise TargetError(f'labels must be "dense", "sparse" or "multilabel", got {labels!r}.')
        if policy.moves_after_mix and shares == "exact":
            raise PolicyError(
                "A geometric op after a mix cuts away parts of the mixed image, so the label "
                "shares of the mix no longer hold. Put the mix last, or set shares='visible'."
            )
        self.policy, self.eval_policy = policy, eval_policy
        self.num_classes, self.labels, self.smoothing = num_classes, labels, smoothing
        self.mean, self.std, self.dtype = mean, std, dtype
        self.memory_format, self.seed, self.backend = memory_format, seed, backend
        self.shares, self.fuse = shares, fuse
        self.training = True
        self.epoch = 0
        self.position = 0

    def train(self, mode: bool = True) -> Augment:
        """Use the training policy."""
        if not mode:
            return self.eval()
        self.training = True
        return self

    def eval(self) -> Augment:
        """Use the evaluation policy; without one, images stay as they are.

        Raises:
            PolicyError: the training policy changes sizes and there is no `eval_policy`.
        """
        if self.eval_policy is None and self.policy.out_size != "uniform":
            raise PolicyError(
                f"The training policy makes images of {self.policy.out_size}, so evaluation needs "
                "a policy of its own: Augment(..., eval_policy=Policy(Resize((H, W))))."
            )
        self.training = False
        return self

    @property
    def active(self) -> Policy:
        """The policy in use."""
        return self._policy(self.training)

    def _policy(self, training: bool) -> Policy:
        return self.policy if training else (self.eval_policy or Policy())

    @property
    def out_size(self) -> OutSize:
        """What is known of the output size without data."""
        return self.active.out_size

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch, for calls without keys: rows are numbered from 0 again."""
        self.epoch, self.position = epoch, 0

    def state_dict(self) -> dict[str, int]:
        """Where the numbering of calls without keys stands."""
        return {"epoch": self.epoch, "position": self.position, "seed": self.seed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from `state_dict`.

        Raises:
            PolicyError: the state belongs to another seed.
        """
        if state["seed"] != self.seed:
            raise PolicyError(
                f"This state was made with seed {state['seed']}, this Augment has seed "
                f"{self.seed}; going on would change every draw."
            )
        self.epoch, self.position = state["epoch"], state["position"]

    def plan(self, sizes_hw: Any, keys: Keys | None = None) -> Plan:
        """Decide for a batch of sizes int [N, 2]; what `render` and the labels will use."""
        sizes = np.asarray(sizes_hw).reshape(-1, 2)
        keys = self._next_keys(len(sizes)) if keys is None else keys
        plan = self.active.sample(sizes, keys=keys, seed=self.seed)
        return plan.fused() if self.fuse else plan

    def prepare(
        self, images: Any, labels: Any = None, *, keys: Keys | None = None, **more: Any
    ) -> Planned:
        """Plan a batch without touching its pixels; `render` does the rest, whenever it likes.

        Args:
            images: images in any form `mixwell.render` takes.
            labels: labels of the images, or None.
            keys: who the rows are; None numbers them in call order.
            **more: `rest` and `stack` of `Planned`.
        """
        plan = self.plan(image_sizes(images), keys)
        return Planned(images, labels, plan, training=self.training, **more)

    def __call__(
        self,
        images: Any,
        labels: Any = None,
        *,
        keys: Keys | None = None,
        getter: Getter | None = None,
    ) -> Any:
        """Augment a batch.

        Args:
            images: images in any form `mixwell.render` takes; or, without `labels`, a whole batch:
                (images, labels), {"image": images, "label": labels}, or anything with a getter.
            labels: labels of the images, or None.
            keys: who the rows are; None numbers them in call order.
            getter: batch -> (images, labels), for other structures.

        Returns:
            (images, targets) for images and labels or a pair; a dict for a dict; images alone for
            images alone; always a pair with a getter. After `eval()` targets are the labels as
            they came.
        """
        batch, rest, alone = None, {}, False
        if labels is None:
            if getter is not None or _is_batch(images):
                batch = images
                images, labels, rest = split(batch, getter)
            else:
                alone = True
        out, targets = self.render(self.prepare(images, labels, keys=keys))
        return out if alone else join(batch if getter is None else None, out, targets, rest)

    def render(self, planned: Planned) -> tuple[Any, Any]:
        """Images and targets of a batch that is already planned, in the mode it was planned in."""
        size = self._policy(planned.training).out_size
        stack = planned.stack
        if stack is None:  # known from the policy and the form of the input, not from data
            stack = hasattr(planned.images, "shape") if size == "uniform" else size != "variable"
        images = render(
            planned.images,
            planned.plan,
            backend=self.backend,
            mean=self.mean,
            std=self.std,
            dtype=self.dtype,
            memory_format=self.memory_format,
            stack=stack,
        )
        if len(planned.plan) == 0 and isinstance(size, tuple):
            images = _empty_of(images, size)
        return images, self.targets(planned.labels, planned.plan, training=planned.training)

    def targets(self, labels: Any, plan: Plan, *, training: bool = True) -> Any:
        """Labels of the outputs; in evaluation, or without labels, what came in."""
        if labels is None or not training:
            return labels
        sources = visible_sources(plan) if self.shares == "visible" else plan.sources()
        if self.labels == "sparse":
            return sparse_labels(labels, plan, sources=sources)
        if self.num_classes is None:
            raise TargetError(
                f"{self.labels} targets need to know the classes: Augment(..., num_classes=K)."
            )
        make = dense_labels if self.labels == "dense" else multi_labels
        made = make(labels, plan, self.num_classes, smoothing=self.smoothing, sources=sources)
        return made.numpy() if isinstance(labels, np.ndarray) else made

    def one(self, image: Any, key: Key | None = None) -> Any:
        """Augment a single image, for `ImageFolder(transform=augment.one)`.

        Args:
            image: a PIL image, a tensor [C, H, W] or an array [H, W, C].
            key: who it is. Without one, images are numbered in call order; in a DataLoader's
                workers that count is joined by the worker's own seed, so that workers and epochs
                differ, but results then depend on the number of workers: `keyed` does not.

        Raises:
            PolicyError: the policy mixes images.
        """
        if self.active.has_mix:
            raise PolicyError(
                "Augment.one handles one image, and this policy mixes images of a batch. Use "
                "mixwell.Collate, or call Augment on batches."
            )
        keys = keys_of([key]) if key is not None else self._worker_keys()
        return self.render(self.prepare([image], keys=keys, stack=False))[0][0]

    def _worker_keys(self) -> Keys:
        """Keys in call order, told apart between workers and epochs by torch's worker seed."""
        keys = self._next_keys(1)
        worker = get_worker_info()
        if worker is None:
            return keys
        index = (keys.index + (worker.seed - worker.id)) % 2**32
        return Keys(index, copy=np.array([worker.id % 2**16]), epoch=keys.epoch)

    def _next_keys(self, count: int) -> Keys:
        """The next rows in call order; evaluation does not move the count of training."""
        if not self.training:
            return Keys(np.arange(count), epoch=self.epoch)
        start, self.position = self.position, self.position + count
        return Keys(np.arange(start, start + count), epoch=self.epoch, step=start)


def _empty_of(images: Any, size: tuple[int, int]) -> Any:
    """No images, of the size the policy would give them: a plan without rows cannot say it."""
    if isinstance(images, torch.Tensor):
        return images.new_empty((0, images.shape[1], *size))
    if isinstance(images, np.ndarray):
        return np.empty((0, *size, images.shape[-1]), images.dtype)
    return images


def _is_batch(images: Any) -> bool:
    """A dict, or a pair whose first part is itself a batch of images."""
    if isinstance(images, dict):
        return True
    pair = isinstance(images, tuple | list) and len(images) == 2
    return pair and (getattr(images[0], "ndim", 0) == 4 or isinstance(images[0], list | tuple))


def image_sizes(images: Any) -> np.ndarray:
    """int32 [N, 2]: height and width of each image, in any form `mixwell.render` takes.

    Raises:
        TargetError: something in the batch is no image.
    """
    if isinstance(images, torch.Tensor) and images.ndim == 4:
        return np.tile(np.array(images.shape[-2:], np.int32), (len(images), 1))
    if isinstance(images, np.ndarray) and images.ndim in (3, 4):
        return np.tile(np.array(images.shape[1:3], np.int32), (len(images), 1))
    if isinstance(images, list | tuple):
        return np.array([_size(image) for image in images], np.int32).reshape(-1, 2)
    shape = getattr(images, "shape", None)
    raise TargetError(
        f"Images must be [N, C, H, W], [N, H, W, C] or a list, got {type(images).__name__}"
        f"{'' if shape is None else f' of shape {tuple(shape)}'}."
    )


def _size(image: Any) -> tuple[int, int]:
    if isinstance(image, torch.Tensor) and image.ndim == 3:
        return int(image.shape[-2]), int(image.shape[-1])
    if isinstance(image, np.ndarray) and image.ndim in (2, 3):
        return image.shape[0], image.shape[1]
    if hasattr(image, "convert"):
        pil: Any = image
        return pil.size[1], pil.size[0]
    raise TargetError(
        f"An image must be a tensor [C, H, W], an array [H, W, C] or a PIL image, got "
        f"{type(image).__name__}."
    )
