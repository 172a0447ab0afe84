"""`Augment`: policy, targets and renderer in one callable on batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch.utils.data import get_worker_info

from mixwell._errors import PolicyError
from mixwell._rng import Keys
from mixwell.batches import class_numbers, empty_of, image_sizes, is_batch, is_image
from mixwell.keyed import Key, keys_of
from mixwell.plan.plan import Plan
from mixwell.policy.base import OutSize
from mixwell.policy.pairing import heeds_classes
from mixwell.policy.policy import Policy
from mixwell.render import render
from mixwell.samples import Fields, Getter, Several, as_fields, how_to_read, join, split
from mixwell.targets import Weighted, blend_weights
from mixwell.targets.forms import LabelKind, label_forms, make_targets, sources_of
from mixwell.targets.scenes import Boxes, BoxFormat, Keypoints, MaskKind, scene_form


class Planned(NamedTuple):
    """A batch whose plan is made and whose pixels are still as they were read.

    Attributes:
        images: the N images that the plan reads.
        labels: their labels, or None.
        plan: what `Augment.render` will do.
        rest: the samples' structure without images and labels, as a batch.
        stack: whether the outputs go into one tensor; None: as the policy says.
        training: whether the training policy made the plan, so that labels are mixed.
        fields: where in `rest` images and labels belong; None: nowhere, they are a pair.
    """

    images: Any
    labels: Any
    plan: Plan
    rest: Any = None
    stack: bool | None = None
    training: bool = True
    fields: Fields | None = None


class Augment:
    """Plans, renders and labels batches.

        augment = Augment(policy, num_classes=10, mean=MEAN, std=STD)
        x, y = augment(images, labels, keys=keys)

    The plan depends on (seed, keys) alone. Without keys, rows are numbered in the order in which
    they come; then the result depends on that order, and `state_dict` holds the count.

    Args:
        policy: what may be done in training.
        num_classes: needed for dense and multi-label targets. A dict {head: K}: labels and
            targets are dicts by head; the options below may then be dicts by head too.
        labels: "dense": a probability for each class, float32 [B, K]; "sparse": `SparseLabels`;
            "multilabel": labels are rows of 0 .. 1. Labels may come as `Weighted(labels, weight)`.
        smoothing: label smoothing, 0 .. 1 (dense and multi-label; sparse labels are smoothed in
            the loss).
        ignore_index: the label of samples whose class is unknown; they add no label mass.
        background: the class of what no image covers; without it labels speak of the rest alone.
        boxes: how boxes are written, "xyxy" or another `BoxFormat`, or `Boxes` with more options:
            targets are then a dict for each image, as torchvision's detectors take them.
        masks: "instance": targets hold "masks" [n, H, W]; "polygons": they hold "polygons", for
            each thing a list of rings; "semantic": class maps [H, W], alone or as "masks";
            `ignore_index` (255) where no image is. "layers": class maps too, for policies that
            blend images: targets are `mixwell.targets.LayeredMasks`, or in a dict "masks"
            [S, H, W] and "mask_shares" [S]; in evaluation plain class maps.
        keypoints: how "keypoints" are written; True for plain ones.
        fields: where images and labels are in samples and batches, see `mixwell.samples.Fields`.
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
        num_classes: int | dict[str, int] | None = None,
        labels: LabelKind | dict[str, LabelKind] = "dense",
        smoothing: float | dict[str, float] = 0.0,
        ignore_index: int | dict[str, int] | None = None,
        background: int | dict[str, int] | None = None,
        boxes: BoxFormat | Boxes | None = None,
        masks: MaskKind | None = None,
        keypoints: Keypoints | bool | None = None,
        fields: Fields | tuple | None = None,
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
        self.scene = scene_form(
            boxes,
            masks,
            keypoints,
            ignore_index,
            mixes=policy.shows_several,
            num_classes=num_classes,
        )
        if policy.moves_after_mix and shares == "exact" and self.scene is None:
            raise PolicyError(
                "A geometric op after a mix cuts away parts of the mixed image, so the label "
                "shares of the mix no longer hold. Put the mix last, or set shares='visible'."
            )
        self.policy, self.eval_policy = policy, eval_policy
        self.num_classes, self.labels, self.smoothing = num_classes, labels, smoothing
        self.forms = label_forms(labels, num_classes, smoothing, ignore_index, background)
        self.fields = None if fields is None else as_fields(fields)
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

    @property
    def lost(self) -> Counter[str]:
        """How many boxes and other things with a place were left out so far, by reason."""
        return Counter() if self.scene is None else self.scene.lost

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

    def plan(
        self,
        sizes_hw: Any,
        keys: Keys | None = None,
        *,
        labels: Any = None,
        partners: Any = None,
    ) -> Plan:
        """Decide for a batch of sizes int [N, 2]; what `render` and the labels will use.

        Args:
            sizes_hw: px; with partners [N * (1 + extra), 2].
            keys: who the N images are; None numbers them in call order.
            labels: labels of all rows, which pairings by class look at.
            partners: int [N, extra], see `Policy.partner_indices`.
        """
        sizes = np.asarray(sizes_hw).reshape(-1, 2)
        count = len(sizes) // (1 + self.active.extra)
        keys = self._next_keys(count) if keys is None else keys
        more: dict[str, Any] = {"labels": self._classes(labels, len(keys)), "partners": partners}
        if self.scene is not None and labels is not None and self.active.sees_things:
            more["things"] = self.scene.things_of(labels, sizes)
        sampled = self.active.sample(sizes, keys=keys, seed=self.seed, **more)
        return sampled.fused() if self.fuse else sampled

    def _classes(self, labels: Any, count: int) -> np.ndarray | None:
        """Class numbers for the policy; from a GPU, where the host would have to wait for them,
        only if a pairing heeds them."""
        found = labels.label if isinstance(labels, Weighted) else labels
        first = found[0] if isinstance(found, list | tuple) and found else found
        far = isinstance(first, torch.Tensor) and not first.is_cpu
        unseen = far and not any(map(heeds_classes, self.active.ops))
        return None if unseen else class_numbers(labels, count)

    def prepare(
        self,
        images: Any,
        labels: Any = None,
        *,
        keys: Keys | None = None,
        partners: Any = None,
        **more: Any,
    ) -> Planned:
        """Plan a batch without touching its pixels; `render` does the rest, whenever it likes.

        Args:
            images: images in any form `mixwell.render` takes; with `partners`, theirs follow.
            labels: labels of the images, or None.
            keys: who the images are; None numbers them in call order.
            partners: int [N, extra], the samples that follow the images, see `Policy.extra`.
            **more: `rest` and `stack` of `Planned`.
        """
        plan = self.plan(image_sizes(images), keys, labels=labels, partners=partners)
        return Planned(images, labels, plan, training=self.training, **more)

    def __call__(
        self,
        images: Any,
        labels: Any = None,
        *,
        keys: Keys | None = None,
        partners: Any = None,
        getter: Getter | None = None,
    ) -> Any:
        """Augment a batch.

        Args:
            images: images in any form `mixwell.render` takes; or, without `labels`, a whole batch:
                (images, labels), {"image": images, "label": labels}, what `fields` describe, or
                anything with a getter.
            labels: labels of the images, or None.
            keys: who the rows are; None numbers them in call order.
            partners: for policies that mix with other samples of the data set: int [N, extra],
                their indices; their images and labels follow those of the N images, partner by
                partner.
            getter: batch -> (images, labels), for other structures.

        Returns:
            (images, targets) for images and labels apart or with a getter; images alone for images
            alone; else the batch's own structure with images and targets in it and its other
            entries as they were. After `eval()` targets are the labels as they came.
        """
        more: dict[str, Any] = {}
        alone = False
        if labels is None:
            alone = getter is None and not is_batch(images, self.fields)
            if not alone:
                how = how_to_read(images, getter, self.fields if getter is None else None)
                images, labels, more["rest"] = split(images, how)
                more["fields"] = how if isinstance(how, Fields) else None
        planned = self.prepare(images, labels, keys=keys, partners=partners, **more)
        return self.render(planned)[0] if alone else self.finish(planned)

    def finish(self, planned: Planned) -> Any:
        """`render`, put back into the structure of the samples: what `Collate` returns."""
        images, targets = self.render(planned)
        weighted = planned.fields is not None and planned.fields.weight is not None
        weight = self._weight(planned) if weighted else None
        return join(planned.rest, images, targets, planned.fields, weight)

    def _weight(self, planned: Planned) -> Any:
        """float32 [B]: weights of the outputs; in evaluation, or without labels, as they came."""
        if not isinstance(planned.labels, Weighted) or not planned.training:
            return getattr(planned.labels, "weight", None)
        sources = sources_of(planned.plan, visible=self.shares == "visible")
        return blend_weights(planned.labels.weight, planned.plan, sources=sources)

    def render(self, planned: Planned) -> tuple[Any, Any]:
        """Images and targets of a batch that is already planned, in the mode it was planned in."""
        size = self._policy(planned.training).out_size
        stack = planned.stack
        several = planned.images.items if isinstance(planned.images, Several) else ()
        if stack is None:  # known from the policy and the form of the input, not from data
            arrays = all(hasattr(images, "shape") for images in several or [planned.images])
            stack = arrays if size == "uniform" else size != "variable"

        def pixels(images: Any) -> Any:
            made = render(
                images,
                planned.plan,
                backend=self.backend,
                mean=self.mean,
                std=self.std,
                dtype=self.dtype,
                memory_format=self.memory_format,
                stack=stack,
            )
            if len(planned.plan) == 0 and isinstance(size, tuple):
                return empty_of(made, size)
            return made

        out = Several(tuple(map(pixels, several))) if several else pixels(planned.images)
        how = {"training": planned.training, "stack": bool(stack)}
        return out, self.targets(planned.labels, planned.plan, **how)

    def targets(
        self, labels: Any, plan: Plan, *, training: bool = True, stack: bool = False
    ) -> Any:
        """Labels of the outputs; in evaluation, or without labels, what came in.

        Boxes, masks and keypoints follow the plan in evaluation too. With `stack` class maps of
        one size are one tensor, as the images are.
        """
        if labels is not None and self.scene is not None:
            made = self.scene.make(labels, plan, training=training)
            return self.scene.stacked(made) if stack else made
        if labels is None or not training:
            return labels.label if isinstance(labels, Weighted) else labels
        return make_targets(self.forms, labels, plan, visible=self.shares == "visible")

    def one(self, image: Any, key: Key | None = None) -> Any:
        """Augment a single image, for `ImageFolder(transform=augment.one)`.

        Args:
            image: a PIL image, a tensor [C, H, W] or an array [H, W, C]; or a whole sample, as
                `Collate` takes it: it keeps its structure and its labels.
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
        if is_image(image):
            return self.render(self.prepare([image], keys=keys, stack=False))[0][0]
        fields = how_to_read(image, None, self.fields)
        assert isinstance(fields, Fields)
        found, target = fields.get(image)
        if self.scene is not None and target is not None:
            made, targets = self.render(self.prepare([found], [target], keys=keys, stack=False))
            return fields.put(image, made[0], targets[0])
        several = found.items if isinstance(found, Several) else (found,)
        batch = Several(tuple([item] for item in several))
        made = self.render(self.prepare(batch, keys=keys, stack=False))[0]
        return fields.put_images(image, Several(tuple(row for (row,) in made.items)))

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
