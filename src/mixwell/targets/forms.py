"""Which targets an `Augment` makes: one form of labels, or one for each head of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor

from mixwell._errors import TargetError
from mixwell.plan.plan import Plan
from mixwell.targets.kinds import Weighted
from mixwell.targets.labels import Sources, dense_labels, multi_labels, sparse_labels
from mixwell.targets.shown import shown_sources
from mixwell.targets.visible import visible_sources

LabelKind = Literal["dense", "sparse", "multilabel"]
KINDS = ("dense", "sparse", "multilabel")


@dataclass(frozen=True)
class LabelForm:
    """What the labels of one head become.

    Attributes:
        kind: "dense", "sparse" or "multilabel".
        num_classes: K; None for sparse labels, or if there are no labels.
        smoothing: 0 .. 1, of dense and multi-label targets.
        ignore_index: the label that means unknown.
        background: the class of what no image covers.

    Raises:
        TargetError: at construction, options that contradict each other.
    """

    kind: LabelKind = "dense"
    num_classes: int | None = None
    smoothing: float = 0.0
    ignore_index: int | None = None
    background: int | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        if self.kind not in KINDS:
            raise TargetError(
                f'labels must be "dense", "sparse" or "multilabel", got {self.kind!r}.'
            )
        if not 0.0 <= self.smoothing <= 1.0:
            raise TargetError(f"smoothing must lie in 0 .. 1, got {self.smoothing}.")
        if self.kind == "sparse" and self.smoothing:
            raise TargetError(
                f"Sparse labels have no room for smoothing, got {self.smoothing}. Smooth in the "
                "loss: sparse_cross_entropy(logits, target, smoothing=...)."
            )
        top = self.num_classes
        if self.background is not None and not 0 <= self.background < (top or np.inf):
            rule = "at least 0" if top is None else f"in 0 .. {top - 1}"
            raise TargetError(f"background must be a class {rule}, got {self.background}.")

    def make(self, labels: Any, plan: Plan, sources: Sources, weight: Any = None) -> Any:
        """Targets of the outputs; NumPy labels give a NumPy array where they can.

        Raises:
            TargetError: labels that do not fit, or dense targets without num_classes.
        """
        if isinstance(labels, Mapping):
            raise TargetError(
                f"Labels of several heads {sorted(map(str, labels))} need a number of classes for "
                "each: Augment(..., num_classes={name: K, ...})."
            )
        options: dict[str, Any] = {
            "sources": sources,
            "weight": weight,
            "ignore_index": self.ignore_index,
            "background": self.background,
        }
        if self.kind == "sparse":
            return sparse_labels(labels, plan, num_classes=self.num_classes, **options)
        if self.num_classes is None:
            raise TargetError(
                f"{self.kind} targets need to know the classes: Augment(..., num_classes=K)."
            )
        make = dense_labels if self.kind == "dense" else multi_labels
        made: Any = make(labels, plan, self.num_classes, smoothing=self.smoothing, **options)
        numpy = isinstance(labels, np.ndarray) and isinstance(made, Tensor)
        return made.numpy() if numpy else made


Forms = LabelForm | dict[str, LabelForm]


def label_forms(
    labels: Any, num_classes: Any, smoothing: Any, ignore_index: Any, background: Any
) -> Forms:
    """One form, or one for each head if `labels` or `num_classes` is a dict.

    Each option is a value for all heads or a dict by head; heads missing from a dict of smoothing,
    ignore_index or background take the default.

    Raises:
        TargetError: options that contradict each other, or name unknown heads.
    """
    heads = next((v for v in (num_classes, labels) if isinstance(v, Mapping)), None)
    given = {
        "kind": labels,
        "num_classes": num_classes,
        "smoothing": smoothing,
        "ignore_index": ignore_index,
        "background": background,
    }
    if heads is None:
        for name, value in given.items():
            if isinstance(value, Mapping):
                raise TargetError(
                    f"{name} by head needs num_classes by head, got num_classes={num_classes!r}."
                )
        return LabelForm(**given)
    optional = {"smoothing": 0.0, "ignore_index": None, "background": None}
    for name, value in given.items():
        if isinstance(value, Mapping) and (set(value) - set(heads) or name not in optional):
            _check_heads("labels" if name == "kind" else name, value, heads, name in optional)
    return {
        head: LabelForm(
            **{
                name: value.get(head, optional.get(name)) if isinstance(value, Mapping) else value
                for name, value in given.items()
            }
        )
        for head in heads
    }


def make_targets(forms: Forms, labels: Any, plan: Plan, *, visible: bool = False) -> Any:
    """Targets of the outputs of a plan.

    Args:
        forms: one form, or a dict by head.
        labels: of the plan's input rows; a dict by head, or a list of such dicts, if forms are;
            `Weighted` for a weight for each sample.
        plan: the plan the images undergo.
        visible: count what is still seen after pixels moved behind a mix.

    Returns:
        What `LabelForm.make` gives, or a dict of it by head.

    Raises:
        TargetError: labels that do not fit the forms or the plan.
    """
    labels, weight = labels if isinstance(labels, Weighted) else (labels, None)
    every = forms.values() if isinstance(forms, dict) else [forms]
    sources = sources_of(plan, visible=visible)
    with_fill = sources
    if any(form.background is not None for form in every):
        with_fill = shown_sources(plan)

    def made(form: LabelForm, given: Any) -> Any:
        return form.make(given, plan, sources if form.background is None else with_fill, weight)

    if not isinstance(forms, dict):
        return made(forms, labels)
    by_head = _by_head(labels, forms)
    return {head: made(form, by_head[head]) for head, form in forms.items()}


def sources_of(plan: Plan, *, visible: bool) -> Sources:
    """Sources and shares as labels count them."""
    return visible_sources(plan) if visible else plan.sources()


def _by_head(labels: Any, forms: dict[str, LabelForm]) -> Mapping:
    """A dict of labels by head."""
    if isinstance(labels, list | tuple) and all(isinstance(v, Mapping) for v in labels):
        for label in labels:
            _check_heads("a sample's labels", label, forms)
        labels = {head: [label[head] for label in labels] for head in forms}
    if not isinstance(labels, Mapping):
        raise TargetError(
            f"Heads {sorted(map(str, forms))} need labels as a dict by head, or a list of such "
            f"dicts, got {type(labels).__name__}."
        )
    _check_heads("labels", labels, forms)
    return labels


def _check_heads(what: str, found: Mapping, heads: Mapping, some: bool = False) -> None:
    """Names must be the heads, or some of them."""
    missing, unknown = set(heads) - set(found), set(found) - set(heads)
    if unknown or (missing and not some):
        raise TargetError(
            f"{what} must be given by head for {sorted(map(str, heads))}, got "
            f"{sorted(map(str, found))}. Name every head of num_classes and no other; where a head "
            "has no label, give ignore_index= and that label."
        )
