"""What a sample or a batch looks like: where its images and its label are.

`Fields` says it by paths, such as `Fields("left.image", "label")` or `Fields(0, 1)`, and puts
augmented images and targets back into the same structure. Without it, pairs `(image, label)` and
mappings, dataclasses and named tuples with one usual name for each are understood. A getter
returns `(image, label)` and cannot put back.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from torch.utils.data import default_collate

from mixwell._errors import TargetError
from mixwell.targets import Weighted

Getter = Callable[[Any], tuple[Any, Any]]
Path = int | str
"""A position, or names and positions joined by dots: `0`, `"image"`, `"views.0"`, `"meta.age"`."""

IMAGE_NAMES = ("image", "images", "img", "pixel_values")
LABEL_NAMES = ("label", "labels", "target", "targets", "y")


@dataclass(frozen=True)
class Several:
    """Images that belong together and undergo one plan: stereo pairs, image and depth.

    Attributes:
        items: an image for each path; of a batch, a batch of images for each.
    """

    items: tuple

    def to(self, *args: Any, **options: Any) -> Several:
        """The same, every tensor moved."""
        return Several(tuple(item.to(*args, **options) for item in self.items))

    def pin_memory(self) -> Several:
        """The same in page-locked memory; DataLoader calls this."""
        return Several(tuple(i.pin_memory() if hasattr(i, "pin_memory") else i for i in self.items))


class _Cut(Enum):
    """What stands in a sample's frame where image and label were."""

    HERE = 0


@dataclass(frozen=True)
class Fields:
    """Paths to what a sample consists of; what no path names is carried along.

    Attributes:
        image: path of the image; a tuple of paths for several images that undergo the same plan.
        label: path of the label; a dict of paths for a label of each head; None for no label.
        weight: path of the sample's weight in the loss, None for none.
        optional: a missing label is None, not an error.

    Raises:
        TargetError: at construction, something that is no path; at use, a path that is not there.
    """

    image: Path | tuple[Path, ...] = "image"
    label: Path | Mapping[str, Path] | None = "label"
    weight: Path | None = None
    optional: bool = False

    def __post_init__(self) -> None:
        """Check the paths."""
        if not self.images or not all(isinstance(p, int | str) for p in self.paths()):
            raise TargetError(
                "Fields takes paths, which are names or positions such as 'meta.label' or 0, and "
                f"at least one image, got {self!r}."
            )

    @property
    def images(self) -> tuple[Path, ...]:
        """Paths of all images."""
        return tuple(self.image) if isinstance(self.image, tuple | list) else (self.image,)

    @property
    def labels(self) -> tuple[Path, ...]:
        """Paths of all labels."""
        if isinstance(self.label, Mapping):
            return tuple(self.label.values())
        return () if self.label is None else (self.label,)

    def paths(self) -> tuple[Path, ...]:
        """Every path."""
        return (*self.images, *self.labels, *(() if self.weight is None else (self.weight,)))

    def get(self, sample: Any) -> tuple[Any, Any]:
        """Image (`Several` for a tuple of paths) and label (`Weighted` if there is a weight)."""
        if isinstance(self.image, tuple | list):
            image: Any = Several(tuple(get(sample, path) for path in self.image))
        else:
            image = get(sample, self.image)
        return image, self._label(sample)

    def _label(self, sample: Any) -> Any:
        if isinstance(self.label, Mapping):
            label: Any = {head: get(sample, path) for head, path in self.label.items()}
        elif self.label is None or (self.optional and not _has(sample, self.label)):
            label = None
        else:
            label = get(sample, self.label)
        if label is None or self.weight is None:
            return label
        return Weighted(label, get(sample, self.weight))

    def put(self, sample: Any, image: Any, target: Any, weight: Any = None) -> Any:
        """The same structure with other images, targets and, if given, weights.

        The sample is left as it is; whatever holds a path is copied.
        """
        sample = self.put_images(sample, image)
        if isinstance(self.label, Mapping):
            for head, path in self.label.items():
                sample = put(sample, path, None if target is None else target[head])
        elif self.label is not None:
            sample = put(sample, self.label, target)
        if self.weight is not None and weight is not None:
            sample = put(sample, self.weight, weight)
        return sample

    def put_images(self, sample: Any, image: Any) -> Any:
        """The same structure with other images."""
        items = image.items if isinstance(image, Several) else (image,)
        for path, item in zip(self.images, items, strict=True):
            sample = put(sample, path, item)
        return sample

    def frame(self, sample: Any) -> Any:
        """What is left of a sample without its images and labels."""
        for path in (*self.images, *self.labels):
            if not self.optional or _has(sample, path):
                sample = put(sample, path, _Cut.HERE)
        return sample


How = Fields | Getter
"""How images and labels are found in a sample."""


def how_to_read(sample: Any, getter: Getter | None = None, fields: Any = None) -> How:
    """The getter if there is one, else the fields, else what the sample itself suggests.

    Args:
        sample: a sample or a batch.
        getter: sample -> (image, label).
        fields: `Fields`, or a tuple of their first arguments.

    Raises:
        TargetError: both are given; or none is, and the sample does not say clearly.
    """
    if getter is not None and fields is not None:
        raise TargetError("A sample is read by getter= or by fields=, got both. Leave one out.")
    if getter is not None:
        return getter
    return as_fields(fields) if fields is not None else find_fields(sample)


def as_fields(fields: Any) -> Fields:
    """`Fields` from themselves or a tuple of their first arguments.

    Raises:
        TargetError: something else.
    """
    if isinstance(fields, Fields):
        return fields
    if not isinstance(fields, tuple) or not 1 <= len(fields) <= 3:
        raise TargetError(
            f"fields must be Fields(image, label, weight) or such a tuple, got {fields!r}."
        )
    return Fields(*fields)


def find_fields(sample: Any) -> Fields:
    """Fields of a pair, or of a structure with one usual name for the image and for the label.

    Raises:
        TargetError: the structure does not say clearly which is which.
    """
    names = _names(sample)
    image, label = ([n for n in usual if n in names] for usual in (IMAGE_NAMES, LABEL_NAMES))
    if len(image) == len(label) == 1:
        return Fields(image[0], label[0])
    if isinstance(sample, Mapping) and len(image) == 1 and not label:
        return Fields(image[0], "label", optional=True)
    pair = isinstance(sample, tuple | list) and len(sample) == 2 and not label
    if pair and image in ([], [*names[:1]]):
        return Fields(0, 1)
    raise TargetError(
        "A sample is (image, label) or has one entry with a usual name for each "
        f"({', '.join(IMAGE_NAMES)}; {', '.join(LABEL_NAMES)}), got {_kind(sample)}. Pass "
        "getter=lambda sample: (image, label), or fields=Fields(image=..., label=...)."
    )


def split(sample: Any, how: How) -> tuple[Any, Any, Any]:
    """Image, label, and what else there is: `Fields.frame`, None with a getter."""
    if not isinstance(how, Fields):
        return *how(sample), None
    return *how.get(sample), how.frame(sample)


def join(frame: Any, image: Any, target: Any, how: How | None, weight: Any = None) -> Any:
    """Image and target in the structure they came from; a pair with a getter or without a how."""
    if not isinstance(how, Fields):
        return image, target
    return how.put(frame, image, target, weight)


def collate_frames(frames: Sequence[Any], path: str = "") -> Any:
    """One structure whose leaves are batches, as torch's `default_collate` makes them.

    Objects that it does not know, such as None or PIL images, become lists.

    Raises:
        TargetError: the samples' structures differ, or leaves that cannot be stacked.
    """
    first = frames[0]
    if first is _Cut.HERE:
        return None
    kind = type(first)
    if any(type(frame) is not kind for frame in frames) and not _are_numbers(frames):
        found = sorted({type(frame).__name__ for frame in frames})
        raise TargetError(f"Entry {path or 'sample'} must be alike in all samples, got {found}.")
    names = _names(first)
    if names or isinstance(first, tuple | list | Mapping):
        return _collate_parts(frames, names, path)
    if not isinstance(first, str | bytes | int | float) and not hasattr(first, "shape"):
        return list(frames)
    try:
        return default_collate(list(frames))
    except (RuntimeError, TypeError, ValueError) as error:
        raise TargetError(
            f"Entry {path or 'sample'} cannot be made a batch: {str(error).splitlines()[0]}. Leave "
            "it out of the samples, or give it one shape."
        ) from None


def _collate_parts(frames: Sequence[Any], names: tuple[str, ...], path: str) -> Any:
    """A structure, part by part."""
    first = frames[0]
    steps = names if names else tuple(range(len(first)))
    for frame in frames:
        found = _names(frame) if names else tuple(range(len(frame)))
        if set(found) != set(steps):
            raise TargetError(
                f"Entry {path or 'sample'} must be alike in all samples, got parts {list(steps)} "
                f"and {list(found)}."
            )
    out = first
    for step in steps:
        part = [_step(frame, step, path) for frame in frames]
        out = _with(out, step, collate_frames(part, f"{path}.{step}" if path else str(step)))
    return out


def get(sample: Any, path: Path) -> Any:
    """What is at a path.

    Raises:
        TargetError: nothing is.
    """
    head, rest = _first(sample, path)
    found = _step(sample, head, path)
    return found if rest is None else get(found, rest)


def put(sample: Any, path: Path, value: Any) -> Any:
    """A copy of a structure with something else at a path."""
    head, rest = _first(sample, path)
    if rest is not None:
        value = put(_step(sample, head, path), rest, value)
    return _with(sample, head, value)


def _first(sample: Any, path: Path) -> tuple[Path, Path | None]:
    """The first step of a path, and the rest; a key with dots in it goes before its parts."""
    if isinstance(path, int) or (isinstance(sample, Mapping) and path in sample):
        return path, None
    head, dot, rest = path.partition(".")
    return head, rest if dot else None


def _has(sample: Any, path: Path) -> bool:
    try:
        get(sample, path)
    except TargetError:
        return False
    return True


def _index(sample: Any, step: Path) -> int | None:
    """The step as a position, if the sample counts its parts."""
    if isinstance(sample, tuple | list) and (isinstance(step, int) or step.isdigit()):
        return int(step)
    return None


def _step(sample: Any, step: Path, path: Path) -> Any:
    index = _index(sample, step)
    try:
        if index is not None:
            return sample[index]
        return sample[step] if isinstance(sample, Mapping) else getattr(sample, str(step))
    except (KeyError, IndexError, AttributeError):
        raise TargetError(
            f"A sample must have an entry at {path!r}, got {_kind(sample)}. Name what is there in "
            "fields=Fields(image=..., label=...)."
        ) from None


def _with(sample: Any, step: Path, value: Any) -> Any:
    """A copy of a structure, in which one part is another."""
    index = _index(sample, step)
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        names: Any = sample
        name = str(step) if index is None else names._fields[index]
        return names._replace(**{name: value})
    if isinstance(sample, tuple) and index is not None:
        parts = list(sample)
        parts[index] = value
        return tuple(parts)
    made: Any = copy.copy(sample)
    if isinstance(sample, list):
        made[index] = value
    elif isinstance(sample, Mapping):
        made = made if hasattr(made, "__setitem__") else dict(made)
        made[step] = value
    else:
        object.__setattr__(made, str(step), value)  # frozen dataclasses refuse the usual way
    return made


def _names(sample: Any) -> tuple[str, ...]:
    """Names of a structure's parts; none for what has no names."""
    if isinstance(sample, Mapping):
        return tuple(sample)
    if dataclasses.is_dataclass(sample) and not isinstance(sample, type):
        return tuple(field.name for field in dataclasses.fields(sample))
    return tuple(getattr(sample, "_fields", ())) if isinstance(sample, tuple) else ()


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _kind(sample: Any) -> str:
    """A structure in words."""
    if isinstance(sample, Mapping):
        return f"a dict with keys {sorted(map(str, sample))}"
    if _names(sample):
        return f"a {type(sample).__name__} with fields {list(_names(sample))}"
    if isinstance(sample, tuple | list):
        return f"a {type(sample).__name__} of {len(sample)}"
    return f"a {type(sample).__name__}"
