"""`Collate`: makes an augmented batch of what a DataLoader's worker has read."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import default_collate

from mixwell._errors import KeyMissingError, PolicyError, TargetError
from mixwell.augment import Augment
from mixwell.keyed import KeyedSample, keys_of
from mixwell.policy.policy import Policy
from mixwell.samples import Fields, Getter, How, Several, collate_frames, how_to_read, split
from mixwell.targets import Weighted

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
        getter: sample -> (image, label), for samples that have no usual structure; the batch is
            then a pair. `fields` of `Augment` keep the structure.
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
        """One batch in the structure of the samples, or `Planned` (see `Augment.finish`)."""
        for sample in samples:
            if not isinstance(sample, KeyedSample):
                raise KeyMissingError(_CURE.format(found=type(sample).__name__))
        how = self._how(samples)
        whole = [keyed.sample for keyed in samples]
        extra = min((len(keyed.partners) for keyed in samples), default=0)
        extra = min(extra, self.augment.active.extra)  # evaluation has no use for partners
        whole += [keyed.partners[e] for e in range(extra) for keyed in samples]
        parts = [split(sample, how) for sample in whole] if how is not None else []
        images = as_batch([image for image, _, _ in parts])
        labels: Any = [label for _, label, _ in parts]
        if self.augment.scene is None:
            labels = as_labels(labels, numpy=_are_arrays(images))
        fields = how if isinstance(how, Fields) else None
        own = [rest for _, _, rest in parts[: len(samples)]]
        rest = collate_frames(own) if fields is not None else None
        partners = np.array([k.indices[:extra] for k in samples], np.int64) if extra else None
        keys = keys_of([keyed.key for keyed in samples])
        planned = self.augment.prepare(
            images,
            labels,
            keys=keys,
            partners=partners,
            rest=rest,
            stack=self.stack,
            fields=fields,
        )
        return planned if self.when == "later" else self.augment.finish(planned)

    @property
    def lost(self) -> Counter[str]:
        """How many boxes and other things with a place were left out so far, by reason.

        In the process that made the DataLoader too: its workers add to the same counts. What they
        made ahead and nobody took is counted with the rest.
        """
        return self.augment.lost

    def _how(self, samples: list[KeyedSample]) -> How | None:
        """How images and labels are found; None in an empty batch, which shows no structure."""
        if not samples:
            return None
        fields = self.augment.fields if self.getter is None else None
        return how_to_read(samples[0].sample, self.getter, fields)


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
    batch = default_collate([_whole(label) for label in labels])
    return _as_numpy(batch) if numpy else batch


def _whole(label: Any) -> Any:
    """Rows of numbers as arrays, so that they are not taken apart."""
    if isinstance(label, Mapping):
        missing = [head for head, part in label.items() if part is None]
        if missing:
            raise TargetError(
                f"Every head of a label needs a value, got None for {missing}. Give ignore_index= "
                "to Augment and that number here."
            )
        return {head: _whole(part) for head, part in label.items()}
    if isinstance(label, Weighted):
        return Weighted(_whole(label.label), label.weight)
    return np.asarray(label) if isinstance(label, list | tuple) else label


def _as_numpy(batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return {head: _as_numpy(part) for head, part in batch.items()}
    if isinstance(batch, Weighted):
        return Weighted(_as_numpy(batch.label), batch.weight)
    return batch.numpy() if isinstance(batch, torch.Tensor) else batch


def _are_arrays(images: Any) -> bool:
    images = images.items[0] if isinstance(images, Several) else images
    return isinstance(images, list) and len(images) > 0 and isinstance(images[0], np.ndarray)


def as_batch(images: list[Any]) -> Any:
    """One tensor if all are tensors of one shape and dtype, else the list; each of several."""
    if images and isinstance(images[0], Several):
        each = zip(*(image.items for image in images), strict=True)
        return Several(tuple(as_batch(list(items)) for items in each))
    tensors = [image for image in images if isinstance(image, torch.Tensor)]
    if images and len(tensors) == len(images) and len({(t.shape, t.dtype) for t in tensors}) == 1:
        return torch.stack(tensors)
    return images
