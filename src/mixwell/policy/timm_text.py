"""timm's strings, such as `rand-m9-mstd0.5-inc1`, as ops.

Read as timm 1.0.31 reads them: sections between dashes, each a key and a number; the order is free,
a key given twice counts once (the first time for mstd and mmax, the last for the rest).

| string                       | sections                                                          |
| ---------------------------- | ----------------------------------------------------------------- |
| rand                         | m (10) n (2) p (0.5) mstd (0; > 100: uniform) mmax (10) inc (0) t |
| original originalr v0 v0r 3a | mstd (0)                                                          |
| augmix                       | m (3) w (3) d (drawn) a (1) b (0) mstd (uniform)                  |

`t` names the ops that `rand` draws from: weights, 3a or 3aw.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mixwell._errors import PolicyError
from mixwell.policy.augmix import AugMix
from mixwell.policy.auto import RandAugment
from mixwell.policy.autoaugment import AutoAugment
from mixwell.policy.base import EditOp, Op
from mixwell.policy.geometry import Identity
from mixwell.policy.spaces.timm import BINS

TABLES = ("original", "originalr", "v0", "v0r", "3a")
HEADS = ("rand", "augmix", *TABLES)
"""What a string begins with."""

INTERPOLATIONS = ("random", "nearest", "bilinear", "bicubic")
IMAGENET_MEAN = (124.0, 116.0, 104.0)
"""min(255, round(255 * mean)): the fill of timm's transform factory for ImageNet's mean."""

_THREE = ("SolarizeIncreasing", "Desaturate", "GaussianBlur")
_WEIGHTS = {
    "Rotate": 3,
    "ShearX": 2,
    "ShearY": 2,
    "TranslateXRel": 1,
    "TranslateYRel": 1,
    "ColorIncreasing": 0.25,
    "SharpnessIncreasing": 0.25,
    "AutoContrast": 0.25,
    "SolarizeIncreasing": 0.05,
    "SolarizeAdd": 0.05,
    "ContrastIncreasing": 0.05,
    "BrightnessIncreasing": 0.05,
    "Equalize": 0.05,
    "PosterizeIncreasing": 0.05,
    "Invert": 0.05,
}
_WEIGHTED_THREE = {
    **dict.fromkeys(_THREE, 6),
    "Rotate": 3,
    "ShearX": 2,
    "ShearY": 2,
    **dict.fromkeys(
        (
            "PosterizeIncreasing",
            "AutoContrast",
            "ColorIncreasing",
            "SharpnessIncreasing",
            "ContrastIncreasing",
            "BrightnessIncreasing",
            "Equalize",
            "Invert",
        ),
        1,
    ),
}
_SETS: dict[str, Mapping[str, float] | Sequence[str]] = {
    "weights": _WEIGHTS,
    "3a": _THREE,
    "3aw": _WEIGHTED_THREE,
}


def is_timm(text: str) -> bool:
    """Whether a text is meant as one of timm's strings."""
    return text.split("-")[0] in HEADS


def timm_op(
    text: str,
    *,
    img_mean: float | Sequence[float] = IMAGENET_MEAN,
    interpolation: str = "random",
    translate_pct: float | None = None,
) -> Op:
    """The op that a string means; the arguments are those of `mixwell.compat.timm.auto_augment`.

    Raises:
        PolicyError: not one of timm's strings, or one that timm refuses.

    Warns:
        UserWarning: a section that timm passes over in silence.
    """
    if not is_timm(text):
        raise _error(text, f"a string begins with one of {', '.join(HEADS)}")
    if interpolation not in INTERPOLATIONS:
        rule = f"interpolation must be one of {', '.join(INTERPOLATIONS)}"
        raise PolicyError(f"timm {text!r}: {rule}, got {interpolation!r}.")
    head, *sections = text.split("-")
    look = {"interp": interpolation, "fill": whole_levels(img_mean)}
    if head == "rand":
        return _rand(text, sections, look, translate_pct)
    if head == "augmix":
        return _augmix(text, sections, look, translate_pct)
    given = _numbers(text, sections, {"mstd": float}, first=("mstd",))
    return AutoAugment(
        head,
        BINS,
        magnitude_std=given.get("mstd", 0.0),
        space=_reaching("timm-all", translate_pct, 0.45),
        **look,
    )


def whole_levels(levels: float | Sequence[float]) -> Any:
    """A fill as Pillow takes it for uint8 images, in whole levels."""
    if isinstance(levels, int | float):
        return float(int(levels))
    return tuple(float(int(v)) for v in levels)


def _rand(text: str, sections: list[str], look: dict, pct: float | None) -> EditOp:
    named = [s[1:] for s in sections if s.startswith("t")]
    kinds = {"mstd": float, "mmax": int, "inc": int, "m": int, "n": int, "p": float}
    others = [s for s in sections if not s.startswith("t")]
    given = _numbers(text, others, kinds, first=("mstd", "mmax"))
    if named and named[0] not in _SETS:
        _passed_over(text, f"t{named[0]}")
    which = _SETS.get(named[0]) if named else None
    noise = given.get("mstd", 0.0)
    if given.get("n", 2) == 0:
        return Identity()
    # With a limit given, a magnitude may lie beyond it, as in timm.
    most = given.get("mmax", 0) or (10 if given.get("m", 10) > 10 else None)
    return RandAugment(
        given.get("n", 2),
        given.get("m", 10),
        BINS,
        magnitude_std="uniform" if noise > 100 else noise,
        magnitude_max=most,
        op_p=min(given.get("p", 0.5), 1.0),
        ops=None if which is None else tuple(which),
        weights=tuple(which.values()) if isinstance(which, Mapping) else None,
        replace=not isinstance(which, Mapping),
        increasing=which is not None or bool(given.get("inc", 0)),
        space=_reaching("timm" if which is None else "timm-all", pct, 0.45),
        **look,
    )


def _augmix(text: str, sections: list[str], look: dict, pct: float | None) -> AugMix:
    # Blending chain by chain (b1) is the same sum; see docs/concepts/profiles.md.
    kinds = {"mstd": float, "m": int, "w": int, "d": int, "a": float, "b": int}
    given = _numbers(text, sections, kinds, first=("mstd",))
    return AugMix(
        given.get("m", 3),
        given.get("w", 3),
        given.get("d", 0) or -1,
        given.get("a", 1.0),
        magnitude_std=given.get("mstd", "uniform"),
        space=_reaching("timm-augmix", pct, 0.3),
        **look,
    )


def _reaching(space: str, pct: float | None, usual: float) -> str:
    """The space's name with the part of the side that translations reach, if it is unusual."""
    return space if pct is None or pct == usual else f"{space}/pct{pct:g}"


def _numbers(
    text: str,
    sections: list[str],
    kinds: Mapping[str, Callable[[str], float]],
    first: tuple[str, ...],
) -> dict[str, Any]:
    """What the sections say: key -> number; of the keys in `first` the first time counts."""
    found: dict[str, Any] = {}
    silent = []
    for section in sections:
        key, *number = re.split(r"(\d.*)", section)[:2]
        if not number:
            silent.append(section)
        elif not (key in first and key in found):
            found[key] = _number(text, section, key, number[0], kinds)
    for section in filter(None, silent):
        _passed_over(text, section)
    return found


def _number(
    text: str, section: str, key: str, number: str, kinds: Mapping[str, Callable[[str], float]]
) -> float:
    if key not in kinds:
        rand = text.startswith("rand")
        known = ", ".join(kinds) + (", t" if rand else "")
        hint = (
            " timm dropped its old w0; tweights is its nearest kin." if rand and key == "w" else ""
        )
        raise _error(text, f"section {section!r}: keys are {known}.{hint}")
    try:
        return kinds[key](number)
    except ValueError:
        kind = "whole number" if kinds[key] is int else "number"
        raise _error(text, f"section {section!r} needs a {kind} behind {key!r}") from None


def _passed_over(text: str, section: str) -> None:
    """timm ignores it, and whoever wrote it believes otherwise."""
    message = f"timm ignores the section {section!r} of {text!r}, and so it is ignored here."
    warnings.warn(message, UserWarning, stacklevel=2)


def _error(text: str, rule: str) -> PolicyError:
    return PolicyError(f"timm string {text!r}: {rule.removesuffix('.')}.")
