"""timm's augmentation by its own strings and arguments, as ops (checked with 1.0.31).

    from mixwell.compat import timm
    policy = Policy(
        RandomResizedCrop(224, interp="bicubic"),
        HorizontalFlip(),
        timm.auto_augment("rand-m9-mstd0.5-inc1"),
        timm.mixup(mixup_alpha=0.8, cutmix_alpha=1.0),
        timm.random_erasing(0.25, mode="pixel"),
    )

The automatic policies do what timm does to PIL images, and take uint8 images. Draws come from
Mixwell's keys: the chances are timm's, the stream of random numbers is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mixwell import policy as ops
from mixwell._errors import PolicyError
from mixwell.policy.timm_text import IMAGENET_MEAN, timm_op

RAW_FILL = (128.0, 128.0, 128.0)
"""What timm fills with where no mean is given, as when its functions are called directly."""

_MODES: dict[str, Any] = {"batch": "batch", "pair": "pair", "elem": "image"}
_ERASED: dict[str, Any] = {"const": 0.0, "rand": "channel", "pixel": "pixel"}


def auto_augment(
    text: str,
    *,
    img_mean: float | Sequence[float] = IMAGENET_MEAN,
    interpolation: str = "random",
    translate_pct: float | None = None,
) -> ops.Op:
    """An automatic policy from one of timm's strings.

    `rand-m9-n3-mstd0.5-p0.5-inc1`, `rand-mstd101-tweights`, `rand-t3a`, `original-mstd0.5`,
    `originalr`, `v0`, `v0r`, `3a`, `augmix-m5-w4-d2`, `augmix-b1`, ... see
    `mixwell.policy.timm_text`. timm's `translate_const` has no part in any of them.

    Args:
        text: the string.
        img_mean: what shows outside the image, level(s) 0 .. 255, cut to whole ones. As timm's
            transform factory has it for ImageNet's mean; `RAW_FILL` elsewhere.
        interpolation: of the geometric ops: "random" (bilinear or bicubic, drawn for each),
            "nearest", "bilinear" or "bicubic".
        translate_pct: part of the side that translations reach; None as in timm's transform
            factory: 0.3 for augmix, else 0.45.

    Raises:
        PolicyError: a string that timm refuses.
    """
    return timm_op(
        text, img_mean=img_mean, interpolation=interpolation, translate_pct=translate_pct
    )


def mixup(
    mixup_alpha: float = 1.0,
    cutmix_alpha: float = 0.0,
    cutmix_minmax: Sequence[float] | None = None,
    prob: float = 1.0,
    switch_prob: float = 0.5,
    mode: str = "batch",
    correct_lam: bool = True,
    label_smoothing: float = 0.0,
    *,
    version: str = "1.0.29",
) -> ops.Sometimes:
    """MixUp and CutMix as timm's `Mixup` and `FastCollateMixup` do them.

    An image alone in its batch stays as it is; timm refuses odd batches.

    Args:
        mixup_alpha: MixUp's lambda ~ Beta(alpha, alpha); 0 = no MixUp.
        cutmix_alpha: CutMix's likewise.
        cutmix_minmax: shares of the sides, (low, high), instead of an alpha.
        prob: chance, for the batch, pair or image.
        switch_prob: chance of CutMix where both are on.
        mode: who shares a draw: "batch", "pair" or "elem". "half" is refused: a plan gives at
            least one output for each image.
        correct_lam: whether CutMix's labels say the area seen.
        label_smoothing: 0; timm's 0.1 is `smoothing=0.1` of `Augment` or `Collate`, with the same
            labels.
        version: the timm whose CutMix is meant, "1.0.28" or before, or "1.0.29" or later.
    """
    if mode == "half":
        raise _error("mixup", 'mode="half" drops half of the images; use "elem"', mode)
    if mode not in _MODES:
        raise _error("mixup", f"mode must be one of {', '.join(_MODES)}", mode)
    if label_smoothing != 0:
        rule = "label_smoothing belongs to the labels: give smoothing= to Augment or Collate"
        raise _error("mixup", rule, label_smoothing)
    mixing = ops.TimmMixup(
        mixup_alpha,
        cutmix_alpha,
        None if cutmix_minmax is None else tuple(cutmix_minmax),  # pyright: ignore[reportArgumentType]
        switch_prob,
        _MODES[mode],
        correct_lam,
        _box(version),
        p=prob,
    )
    return ops.Sometimes(mixing, min_batch=2, p=1.0)


def random_erasing(
    probability: float = 0.5,
    min_area: float = 0.02,
    max_area: float = 1 / 3,
    min_aspect: float = 0.3,
    max_aspect: float | None = None,
    mode: str = "const",
    min_count: int = 1,
    max_count: int | None = None,
    num_splits: int = 0,
) -> ops.RandomErasing | ops.TimmErasing:
    """Hide rectangles after normalising (Zhong et al. 2017, arXiv 1708.04896).

    Render with mean and std, and put it last.

    Args:
        probability: chance for each image.
        min_area: share of the area, least.
        max_area: share of the area, most; divided by the number of rectangles.
        min_aspect: height / width, least.
        max_aspect: height / width, most; None = 1 / min_aspect.
        mode: what is written: "const" 0 (the mean colour), "rand" one standard normal colour,
            "pixel" standard normal pixels.
        min_count: fewest rectangles.
        max_count: most; None = min_count.
        num_splits: 0 or 1; for AugMix's views use `OnViews(random_erasing(...), views=(1, 2),
            of=3)`, which leaves the clean view alone.
    """
    if mode.lower() not in ("", *_ERASED):
        raise _error("random_erasing", f"mode must be one of {', '.join(_ERASED)}", mode)
    if num_splits > 1:
        rule = (
            "num_splits must be 0 or 1; use OnViews(random_erasing(...), "
            f"views={tuple(range(1, num_splits))}, of={num_splits})"
        )
        raise _error("random_erasing", rule, num_splits)
    value = _ERASED[mode.lower() or "const"]
    scale, ratio = (min_area, max_area), (min_aspect, max_aspect or 1 / min_aspect)
    count = (min_count, max_count or min_count)
    if count == (1, 1):
        return ops.RandomErasing(scale, ratio, value, "normalized", p=probability)
    return ops.TimmErasing(count, scale, ratio, value, p=probability)


def _box(version: str) -> Any:
    """Which of the two rectangles a version has."""
    parts = version.split(".")
    if not 2 <= len(parts) <= 3 or not all(part.isdigit() for part in parts):
        raise _error("mixup", 'version must be one of timm\'s, such as "1.0.28"', version)
    return "1.0.29" if tuple(map(int, parts)) >= (1, 0, 29) else "1.0.28"


def _error(subject: str, rule: str, found: object) -> PolicyError:
    return PolicyError(f"compat.timm.{subject}: {rule}, got {found!r}.")
