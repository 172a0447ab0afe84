"""`Collate`: makes an augmented batch of what a DataLoader's worker has read."""

from __future__ import annotations

import copy
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import default_collate

from mixwell._errors import KeyMissingError, PolicyError, TargetError
from mixwell.augment import Augment
from mixwell.keyed import KeyedSample, keys_of
from mixwell.policy.base import Policy
from mixwell.samples import Getter, join, split

_CURE = """Collate needs samples with keys, got {found}. Two lines give it keys:
    loader = DataLoader(keyed(dataset), sampler=KeyedSampler(dataset, epochs=E, shuffle=True),
                        collate_fn=Collate(policy, ...), batch_size=...)"""


class Collate:
    """A `collate_fn` that plans and renders in the worker.

    Args:
        policy: a Policy, with the options of `Augment` behind it; or an `Augment`, as it is now:
            a later `eval()` could not reach the workers, so it does not reach this process either.
        render: "now" renders in the worker; "later" plans there and returns `Planned` (uint8
            images and a plan), to be given to `Augment.render` where the GPU is.
        getter: sample -> (image, label), for samples that are neither pairs nor dicts.
        stack: one tensor (True) or a list (False); None decides by the policy: a list exactly if
            its output size varies.
        **options: see `Augment`.

    Raises:
        KeyMissingError: at the first batch, samples came without keys.
    """

    def __init__(
        self,
        policy: Policy | Augment,
        *,
        render: Literal["now", "later"] = "now",
        getter: Getter | None = None,
        stack: bool | None = None,
        **options: Any,
    ) -> None:
        """Wrap an Augment, or make one."""
        if isinstance(policy, Augment) and options:
            raise PolicyError(f"Options {sorted(options)} belong to the Augment that was given.")
        if render not in ("now", "later"):
            raise PolicyError(f'Collate: render must be "now" or "later", got {render!r}.')
        made = policy if isinstance(policy, Augment) else Augment(policy, **options)
        self.augment = copy.copy(made)
        self.when, self.getter = render, getter
        self.stack = self.augment.out_size != "variable" if stack is None else stack

    def __call__(self, samples: list[KeyedSample]) -> Any:
        """One batch: (images, targets), a dict if the samples are dicts, or `Planned`."""
        for sample in samples:
            if not isinstance(sample, KeyedSample):
                raise KeyMissingError(_CURE.format(found=type(sample).__name__))
        parts = [split(keyed.sample, self.getter) for keyed in samples]
        images = as_batch([image for image, _, _ in parts])
        labels = as_labels([label for _, label, _ in parts], numpy=_are_arrays(images))
        rest = default_collate([rest for _, _, rest in parts]) if parts and parts[0][2] else {}
        keys = keys_of([keyed.key for keyed in samples])
        planned = self.augment.prepare(images, labels, keys=keys, rest=rest, stack=self.stack)
        if self.when == "later":
            return planned
        out, targets = self.augment.render(planned)
        like = samples[0].sample if samples and self.getter is None else None
        return join(like, out, targets, rest)


def as_labels(labels: list[Any], *, numpy: bool = False) -> Any:
    """One tensor (or array) of the labels of a batch; None if none has a label.

    Raises:
        TargetError: some samples have a label and some have not.
    """
    missing = sum(label is None for label in labels)
    if missing == len(labels):
        return None
    if missing:
        raise TargetError(
            f"Every sample of a batch needs a label, or none: {missing} of {len(labels)} have "
            "none. Drop them from the data set, or give them one."
        )
    whole = [np.asarray(v) if isinstance(v, list | tuple) else v for v in labels]
    batch = default_collate(whole)
    return batch.numpy() if numpy and isinstance(batch, torch.Tensor) else batch


def _are_arrays(images: Any) -> bool:
    return isinstance(images, list) and len(images) > 0 and isinstance(images[0], np.ndarray)


def as_batch(images: list[Any]) -> Any:
    """One tensor if all are tensors of one shape and dtype, else the list."""
    tensors = [image for image in images if isinstance(image, torch.Tensor)]
    if images and len(tensors) == len(images) and len({(t.shape, t.dtype) for t in tensors}) == 1:
        return torch.stack(tensors)
    return images
