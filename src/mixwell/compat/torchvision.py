"""torchvision v2's transforms by their own names and arguments, as ops (checked with 0.29.2).

    from mixwell.compat import torchvision as tv
    policy = Policy(RandomResizedCrop(224), HorizontalFlip(), tv.RandAugment(), tv.CutMix())

torchvision calculates differently on PIL images and on tensors; `backend` says which of the two is
reproduced, whatever the images are that Mixwell is given. Draws come from Mixwell's keys: the
chances are torchvision's, the stream of random numbers is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from mixwell import policy as ops
from mixwell._errors import PolicyError
from mixwell.policy.fields import Fill

Backend = Literal["pil", "tensor"]
Units = Literal["normalized", "input"]

_PIL_NUMBERS = {0: "nearest", 2: "bilinear", 3: "bicubic"}
_GIVEN_BLACK = 1e-9
"""torchvision's tensors blend a given black otherwise than no fill at all, where bilinear reading
meets the border. This level is as good as black and still a given one."""


def AutoAugment(
    policy: Any = "imagenet",
    interpolation: Any = "nearest",
    fill: float | Sequence[float] | None = None,
    *,
    backend: Backend = "pil",
) -> ops.AutoAugment:
    """AutoAugment with one of three published policies (Cubuk et al. 2018, arXiv 1805.09501).

    Args:
        policy: "imagenet", "cifar10" or "svhn", or torchvision's `AutoAugmentPolicy`.
        interpolation: of the geometric ops: "nearest", "bilinear", for PIL also "bicubic", or
            torchvision's `InterpolationMode`, or Pillow's number.
        fill: of the geometric ops, level(s) in image units; None = black.
        backend: whose arithmetic: "pil" or "tensor".
    """
    name = getattr(policy, "value", policy)
    if name not in ("imagenet", "cifar10", "svhn"):
        raise _error("AutoAugment", 'policy must be "imagenet", "cifar10" or "svhn"', policy)
    look = _look("AutoAugment", interpolation, fill, backend)
    return ops.AutoAugment(name, space=f"torchvision-{backend}-auto", **look)


def RandAugment(
    num_ops: int = 2,
    magnitude: int = 9,
    num_magnitude_bins: int = 31,
    interpolation: Any = "nearest",
    fill: float | Sequence[float] | None = None,
    *,
    backend: Backend = "pil",
) -> ops.RandAugment | ops.Identity:
    """RandAugment (Cubuk et al. 2019, arXiv 1909.13719).

    Args:
        num_ops: ops for each image; 0 = none.
        magnitude: bin, 0 .. num_magnitude_bins - 1.
        num_magnitude_bins: number of bins.
        interpolation: see `AutoAugment`.
        fill: see `AutoAugment`.
        backend: see `AutoAugment`.
    """
    look = _look("RandAugment", interpolation, fill, backend)
    if num_ops == 0:
        return ops.Identity()
    space = _with_bins(f"torchvision-{backend}", num_magnitude_bins)
    return ops.RandAugment(num_ops, magnitude, num_magnitude_bins, space=space, **look)


def TrivialAugmentWide(
    num_magnitude_bins: int = 31,
    interpolation: Any = "nearest",
    fill: float | Sequence[float] | None = None,
    *,
    backend: Backend = "pil",
) -> ops.TrivialAugmentWide:
    """TrivialAugment, wide space (Müller & Hutter 2021, arXiv 2103.10158).

    Args:
        num_magnitude_bins: number of strengths.
        interpolation: see `AutoAugment`.
        fill: see `AutoAugment`.
        backend: see `AutoAugment`.
    """
    look = _look("TrivialAugmentWide", interpolation, fill, backend)
    space = _with_bins(f"torchvision-{backend}-wide", num_magnitude_bins)
    return ops.TrivialAugmentWide(num_magnitude_bins, space=space, **look)


def AugMix(
    severity: int = 3,
    mixture_width: int = 3,
    chain_depth: int = -1,
    alpha: float = 1.0,
    all_ops: bool = True,
    interpolation: Any = "bilinear",
    fill: float | Sequence[float] | None = None,
) -> ops.AugMix:
    """AugMix (Hendrycks et al. 2019, arXiv 1912.02781).

    torchvision makes tensors of PIL images here, so there is one arithmetic and no `backend`.

    Args:
        severity: strengths are drawn from the lowest `severity` of ten bins.
        mixture_width: number of chains.
        chain_depth: ops in each chain; 0 or less draws 1 .. 3.
        alpha: of the Beta and the Dirichlet distribution.
        all_ops: whether brightness, colour, contrast and sharpness take part.
        interpolation: see `AutoAugment`; "nearest" or "bilinear".
        fill: see `AutoAugment`.
    """
    look = _look("AugMix", interpolation, fill, "tensor")
    depth = chain_depth if chain_depth > 0 else -1
    space = "torchvision-augmix"
    return ops.AugMix(severity, mixture_width, depth, alpha, all_ops, space=space, **look)


def MixUp(alpha: float = 1.0) -> ops.Sometimes:
    """MixUp with one lambda for the batch and the image before as partner
    (Zhang et al. 2017, arXiv 1710.09412).

    As in torchvision, an image alone in its batch stays as it is. Labels come from the plan.

    Args:
        alpha: lambda ~ Beta(alpha, alpha).
    """
    mixup = ops.MixUp(alpha, lam="batch", pairing="roll")
    return ops.Sometimes(mixup, min_batch=2, p=1.0)


def CutMix(alpha: float = 1.0) -> ops.Sometimes:
    """CutMix with one rectangle for the batch and the image before as partner
    (Yun et al. 2019, arXiv 1905.04899).

    As in torchvision, an image alone in its batch stays as it is. Labels come from the plan.

    Args:
        alpha: lambda ~ Beta(alpha, alpha).
    """
    return ops.Sometimes(ops.TorchvisionCutMix(alpha), min_batch=2, p=1.0)


def RandomErasing(
    p: float = 0.5,
    scale: Sequence[float] = (0.02, 0.33),
    ratio: Sequence[float] = (0.3, 3.3),
    value: float | Sequence[float] | Literal["random"] = 0.0,
    *,
    units: Units = "normalized",
) -> ops.RandomErasing:
    """Hide a rectangle (Zhong et al. 2017, arXiv 1708.04896).

    Args:
        p: chance.
        scale: share of the area, (low, high).
        ratio: height / width, (low, high), log-uniform.
        value: level(s) to write, or "random": standard normal noise.
        units: where torchvision's transform would stand. "normalized": after Normalize, as in its
            documentation, so that 0 is the mean colour; render with mean and std. "input": before
            it, levels in image units.
    """
    if units not in get_args(Units):
        raise _error("RandomErasing", 'units must be "normalized" or "input"', units)
    if value == "random":
        if units != "normalized":
            rule = 'value="random" is standard normal and needs units="normalized"'
            raise _error("RandomErasing", rule, units)
        written: Any = "pixel"
    else:
        written = tuple(value) if isinstance(value, Sequence) else float(value)
    low_high = (float(scale[0]), float(scale[1])), (float(ratio[0]), float(ratio[1]))
    return ops.RandomErasing(*low_high, value=written, units=units, p=p)


def _with_bins(space: str, bins: int) -> str:
    """torchvision's float32 levels depend on how many bins there are."""
    return space if bins == 31 else f"{space}/{bins}"


def _look(subject: str, interpolation: Any, fill: Any, backend: str) -> dict[str, Any]:
    """Interpolation and fill in Mixwell's names."""
    if backend not in get_args(Backend):
        raise _error(subject, 'backend must be "pil" or "tensor"', backend)
    return {
        "interp": _interp(subject, interpolation, backend),
        "fill": _fill(subject, fill, backend),
    }


def _interp(subject: str, interpolation: Any, backend: str) -> str:
    name: Any = getattr(interpolation, "value", interpolation)
    name = _PIL_NUMBERS.get(name, name) if isinstance(name, int) else name
    if backend == "pil" and name == "nearest-exact":
        name = "nearest"
    known = ("nearest", "bilinear", "bicubic") if backend == "pil" else ("nearest", "bilinear")
    if name not in known:
        allowed = ", ".join(known)
        raise _error(subject, f"interpolation on {backend} must be one of {allowed}", interpolation)
    return name


def _fill(subject: str, fill: Any, backend: str) -> Fill:
    """torchvision cuts fills of PIL images off to whole numbers."""
    if fill is None:
        return 0.0
    levels = tuple(fill) if isinstance(fill, list | tuple) else (fill,)
    if not levels or not all(isinstance(v, int | float) for v in levels):
        raise _error(subject, "fill must be None, a level or one for each channel", fill)
    if backend == "pil":
        levels = tuple(float(int(v)) for v in levels)
    elif not any(levels):
        levels = (_GIVEN_BLACK,) * len(levels)
    return levels if isinstance(fill, list | tuple) else levels[0]


def _error(subject: str, rule: str, found: object) -> PolicyError:
    return PolicyError(f"compat.torchvision.{subject}: {rule}, got {found!r}.")
