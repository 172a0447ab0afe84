"""What a sample or a batch looks like: where its image and its label are.

`(image, label)` pairs and `{"image": ..., "label": ...}` dicts are understood as they are; any
other structure needs a getter that returns `(image, label)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mixwell._errors import TargetError

Getter = Callable[[Any], tuple[Any, Any]]


def split(sample: Any, getter: Getter | None = None) -> tuple[Any, Any, dict[str, Any]]:
    """Image, label, and the other entries of a dict.

    Raises:
        TargetError: the structure is neither a pair nor such a dict, and there is no getter.
    """
    if getter is not None:
        image, label = getter(sample)
        return image, label, {}
    if isinstance(sample, Mapping) and "image" in sample:
        rest = {k: v for k, v in sample.items() if k not in ("image", "label")}
        return sample["image"], sample.get("label"), rest
    if isinstance(sample, tuple | list) and len(sample) == 2:
        return sample[0], sample[1], {}
    found = f"a {type(sample).__name__}"
    if isinstance(sample, Mapping):
        found = f"a dict with keys {sorted(map(str, sample))}"
    elif isinstance(sample, tuple | list):
        found = f"a {type(sample).__name__} of {len(sample)}"
    raise TargetError(
        f"A sample is (image, label) or a dict with 'image' and 'label', got {found}. Pass "
        "getter=lambda sample: (image, label)."
    )


def join(sample: Any, image: Any, target: Any, rest: dict[str, Any]) -> Any:
    """Image and target in the form that `sample` had: a dict for a dict, else a pair."""
    if isinstance(sample, Mapping):
        return {"image": image, "label": target, **rest}
    return image, target
