"""What timm draws, recorded without its pixels: its ops note their arguments and do nothing.

The noting functions stand where `NAME_TO_OP` has timm's, in the very objects that timm's factories
build, so choice, chance, magnitude, noise, limits, sign and interpolation are all timm's own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from timm.data import auto_augment as aa
from timm.data import mixup, random_erasing

from tests.compat.harness import STILL, event

ENHANCE = ("Color", "Contrast", "Brightness", "Sharpness")
NO_OP, NO_INTERP = -1, -1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Python's and NumPy's global streams, which timm draws from; as they were afterwards."""
    kept = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002


def build(text: str, **hparams: Any) -> Any:
    """The transform of a string, as timm's own factory chooses among its three functions."""
    given = dict(aa._HPARAMS_DEFAULT) | hparams
    if text.startswith("rand"):
        return aa.rand_augment_transform(text, given)
    if text.startswith("augmix"):
        return aa.augment_and_mix_transform(text, given)
    return aa.auto_augment_transform(text, given)


# ----------------------------------------------------------------------------- automatic policies


class Calls(NamedTuple):
    """The slots of n images, K each at most.

    Attributes:
        event: int64 [n, K], see `harness.event`; `STILL` where nothing happens, -1 where there are
            no more slots.
        interp: int64 [n, K], of geometric ops, else -1.
    """

    event: np.ndarray
    interp: np.ndarray


class _Blurred:
    """Stands for an image and keeps the filter that it is given."""

    def filter(self, kernel: Any) -> _Blurred:
        self.radius = kernel.radius
        return self


def event_of(name: str, args: tuple, hw: tuple[int, int]) -> int:
    """timm's op and argument as an event."""
    base = name.removesuffix("Increasing").removesuffix("Original").removesuffix("Rel")
    value = float(args[0]) if args else 0.0
    if base in ENHANCE:
        return event(base, value - 1.0)
    if base == "Desaturate":
        return event("Color", -value)
    if base == "GaussianBlurRand":
        blurred = _Blurred()
        aa.gaussian_blur_rand(blurred, value)
        return event("GaussianBlur", blurred.radius)
    if base.startswith("Translate"):
        side = hw[1] if base == "TranslateX" else hw[0]
        return event(base, -value * (side if name.endswith("Rel") else 1))
    if base == "Posterize":  # beyond magnitude 10 there are fewer than no bits
        value = min(max(value, 0.0), 8.0)
    return event(base, value / 255.0 if base == "Solarize" else value)


def _all_ops(transform: Any) -> list[aa.AugmentOp]:
    if isinstance(transform, aa.AutoAugment):
        return [op for sub in transform.policy for op in sub]
    return list(transform.ops)


class Recorder:
    """Makes a transform note what it does to each image, and leave it alone."""

    def __init__(self, transform: Any, hw: tuple[int, int]) -> None:
        self.transform, self.hw = transform, hw
        self.slots: list[list[int]] = []
        for op in _all_ops(transform):
            op.aug_fn = self._noting(op.name)

    def _noting(self, name: str) -> Callable[..., Any]:
        moves = name.startswith(("Shear", "Translate", "Rotate"))

        def note(image: Any, *args: Any, **kwargs: Any) -> Any:
            interp = int(aa._interpolation(kwargs)) if moves else NO_INTERP
            found = event_of(name, args, self.hw)
            self.slots[-1] = [found, NO_INTERP if found == STILL else interp]
            return self.hand_on(image)

        return note

    def hand_on(self, image: Any) -> Any:
        return image

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Every call of an op opens a slot, whether the op then happens or not."""
        original = aa.AugmentOp.__call__

        def call(op: aa.AugmentOp, image: Any) -> Any:
            self.open(image)
            return original(op, image)

        aa.AugmentOp.__call__ = call
        try:
            yield
        finally:
            aa.AugmentOp.__call__ = original

    def open(self, image: Any) -> None:
        self.slots.append([STILL, NO_INTERP])

    def take(self) -> list[list[int]]:
        slots, self.slots = self.slots, []
        return slots


def recorded(text: str, n: int, seed: int, hw: tuple[int, int], **hparams: Any) -> Calls:
    """What n images undergo by one of timm's strings (not augmix)."""
    recorder = Recorder(build(text, **hparams), hw)
    with seeded(seed), recorder.listening():
        rows = []
        for _ in range(n):
            recorder.transform(None)
            rows.append(recorder.take())
    return _padded(rows, max(map(len, rows)))


def _padded(rows: list[list[list[int]]], slots: int) -> Calls:
    out = np.full((len(rows), slots, 2), (NO_OP, NO_INTERP), np.int64)
    for place, row in zip(out, rows, strict=True):
        if row:
            place[: len(row)] = row
    return Calls(out[..., 0], out[..., 1])


class _ChainRecorder(Recorder):
    """Of AugMix: notes which chain a call belongs to; a chain begins with the image as it came."""

    def __init__(self, transform: Any, hw: tuple[int, int]) -> None:
        super().__init__(transform, hw)
        self.given, self.handed_on = (Image.new("RGB", (2, 2)) for _ in range(2))
        self.chains: list[int] = []

    def hand_on(self, image: Any) -> Any:
        return self.handed_on

    def open(self, image: Any) -> None:
        super().open(image)
        self.chains.append(len(self.slots) - 1 if image is not self.handed_on else -1)


def recorded_augmix(
    text: str, n: int, seed: int, hw: tuple[int, int], depth: int = 3
) -> tuple[Calls, np.ndarray]:
    """Calls [n, width * depth], chain by chain, and weights float64 [n, 1 + width]: the image's,
    then the chains' own, which sum to one."""
    transform = build(text)
    recorder, weights = _ChainRecorder(transform, hw), []
    name = "_apply_blended" if transform.blended else "_apply_basic"
    apply = getattr(transform, name)

    def noting(image: Any, parts: np.ndarray, mixed: float) -> Any:
        weights.append([1.0 - mixed, *parts])
        return apply(image, parts, mixed)

    setattr(transform, name, noting)
    found = np.full((n, transform.width, depth, 2), (NO_OP, NO_INTERP), np.int64)
    with seeded(seed), recorder.listening():
        for row in found:
            transform(recorder.given)
            slots, starts = recorder.take(), [c for c in recorder.chains if c >= 0]
            recorder.chains.clear()
            for chain, (a, b) in enumerate(zip(starts, [*starts[1:], len(slots)], strict=True)):
                row[chain, : b - a] = slots[a:b]
    flat = found.reshape(n, -1, 2)
    return Calls(flat[..., 0], flat[..., 1]), np.array(weights, np.float64)


# ----------------------------------------------------------------------------------------- mixing


def recorded_batches(n: int, seed: int, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """lambda float64 [n] and bool [n] "CutMix", drawn for whole batches; 1 where nothing is."""
    made = mixup.Mixup(**options)
    with seeded(seed):
        drawn = [made._params_per_batch() for _ in range(n)]
    return np.array([d[0] for d in drawn]), np.array([d[1] for d in drawn], bool)


def recorded_images(n: int, seed: int, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """The same, drawn for each image."""
    with seeded(seed):
        lam, cut = mixup.Mixup(**options)._params_per_elem(n)
    return np.asarray(lam, np.float64), np.asarray(cut, bool)


def recorded_boxes(n: int, seed: int, hw: tuple[int, int], alpha: float) -> np.ndarray:
    """int64 [n, 4]: x0 y0 x1 y1 of the installed version's CutMix."""
    out = np.zeros((n, 4), np.int64)
    with seeded(seed):
        for row, lam in zip(out, np.random.beta(alpha, alpha, n), strict=True):  # noqa: NPY002
            row[:] = _xyxy(mixup.rand_bbox((3, *hw), lam))
    return out


def recorded_minmax_boxes(
    n: int, seed: int, hw: tuple[int, int], minmax: tuple[float, float]
) -> np.ndarray:
    with seeded(seed):
        found = [_xyxy(mixup.rand_bbox_minmax((3, *hw), minmax)) for _ in range(n)]
    return np.array(found, np.int64)


def _xyxy(box: tuple) -> tuple:
    top, bottom, left, right = box
    return left, top, right, bottom


# ---------------------------------------------------------------------------------------- erasing


class _Canvas:
    """Stands for an image and notes the rectangles that are written."""

    dtype = torch.float32

    def __init__(self, hw: tuple[int, int]) -> None:
        self.hw = hw
        self.boxes: list[tuple[int, int, int, int]] = []

    def size(self) -> tuple[int, int, int]:
        return 3, *self.hw

    def __setitem__(self, place: tuple[slice, slice, slice], value: object) -> None:
        _, y, x = place
        self.boxes.append((x.start, y.start, x.stop, y.stop))


def recorded_erasing(n: int, seed: int, hw: tuple[int, int], most: int, **options: Any):
    """int64 [n, most, 4]: rectangles, zeros where there is none."""
    made, out = random_erasing.RandomErasing(device="cpu", **options), np.zeros((n, most, 4), int)
    kept, random_erasing._get_pixels = random_erasing._get_pixels, lambda *a, **k: None
    try:
        with seeded(seed):
            for row in out:
                canvas = _Canvas(hw)
                made(canvas)
                if canvas.boxes:
                    row[: len(canvas.boxes)] = canvas.boxes
    finally:
        random_erasing._get_pixels = kept
    return out
