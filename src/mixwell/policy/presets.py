"""Policies by name; `parse_policy` reads a name, a TOML file or code."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from mixwell._errors import PolicyError
from mixwell.policy.auto import RandAugment, TrivialAugmentWide
from mixwell.policy.base import Op
from mixwell.policy.compose import OneOf, Sometimes
from mixwell.policy.erase import Cutout
from mixwell.policy.fields import pair_of
from mixwell.policy.geometry import HorizontalFlip, RandomCrop, RandomResizedCrop, Resize
from mixwell.policy.mix import CutMix, MixUp
from mixwell.policy.policy import Policy
from mixwell.policy.published import PUBLISHED
from mixwell.policy.schedule import Scheduled
from mixwell.policy.text import from_code, from_toml
from mixwell.policy.timm_text import is_timm, timm_op

Size = tuple[int, int]
Base = tuple[Op, ...]


def _sized_already(size: Size) -> bool:
    """Small images are taken to have their size; others are brought to it."""
    return max(size) <= 96


def _none(base: Base, size: Size) -> Policy:
    return Policy() if _sized_already(size) else Policy(Resize(size))


def _standard(base: Base, size: Size) -> Policy:
    return Policy(*base)


def _randaugment(base: Base, size: Size) -> Policy:
    return Policy(*base, RandAugment(num_ops=2, magnitude=9))


def _trivialaugment(base: Base, size: Size) -> Policy:
    return Policy(*base, TrivialAugmentWide())


def _cutout(base: Base, size: Size) -> Policy:
    return Policy(*base, Cutout(max(2, min(size) // 2)))


def _mixup(base: Base, size: Size) -> Policy:
    return Policy(*base, Sometimes(MixUp(alpha=0.4), min_batch=2, p=1.0))


def _cutmix(base: Base, size: Size) -> Policy:
    return Policy(*base, Sometimes(CutMix(alpha=1.0), min_batch=2, p=1.0))


def _mixup_cutmix(base: Base, size: Size) -> Policy:
    either = OneOf(MixUp(alpha=0.8), CutMix(alpha=1.0))
    return Policy(*base, Sometimes(either, min_batch=2, p=1.0))


def _finetune(base: Base, size: Size) -> Policy:
    crop = base[0] if _sized_already(size) else RandomResizedCrop(size, scale=(0.4, 1.0))
    mix = Sometimes(MixUp(alpha=0.2), min_batch=2, p=0.3)
    return Policy(crop, *base[1:], Scheduled(mix, stop=0.75))


_BASICS: dict[str, tuple[str, Callable[[Base, Size], Policy]]] = {
    "none": ("the image as it is", _none),
    "standard": ("random crop and horizontal flip", _standard),
    "randaugment": ("standard, then RandAugment(2 ops, magnitude 9 of 31)", _randaugment),
    "trivialaugment": ("standard, then TrivialAugmentWide", _trivialaugment),
    "cutout": ("standard, then a hidden square of half the side", _cutout),
    "mixup": ("standard, then MixUp with alpha 0.4", _mixup),
    "cutmix": ("standard, then CutMix with alpha 1", _cutmix),
    "mixup+cutmix": ("standard, then MixUp (0.8) or CutMix (1) in equal parts", _mixup_cutmix),
    "finetune": ("a mild crop, flip, MixUp (0.2) for 3 of 10 images but not at the end", _finetune),
}
_NAMES = {"basics": tuple(_BASICS), "published": tuple(PUBLISHED)}
SIZE = 32
"""The basic presets' size unless told, px."""


def preset_names(group: Literal["all", "basics", "published"] = "all") -> tuple[str, ...]:
    """Names that `preset` knows, all or those of one group."""
    return (*_BASICS, *PUBLISHED) if group == "all" else _NAMES[group]


def preset_summary(name: str) -> str:
    """One line about a preset."""
    return PUBLISHED[name].summary if name in PUBLISHED else _BASICS[name][0]


def preset(name: str, size: int | Size | None = None, *, flip: bool = True) -> Policy:
    """A policy by name for images that end up at one size.

    Args:
        name: one of `preset_names()`.
        size: px, or (height, width); None is 32 px for the basic presets and a published recipe's
            own size. For the basic ones: up to 96 px the base is a crop after padding by an eighth
            of the side, and images are taken to be of this size already; above, it is a
            RandomResizedCrop.
        flip: whether the mirror image of a sample still has its label (not so for digits).

    Raises:
        PolicyError: no such preset.
    """
    known = preset_names()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=2)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise PolicyError(f"No preset is called {name!r}; there are {', '.join(known)}.{hint}")
    if name in PUBLISHED:
        recipe = PUBLISHED[name]
        policy = recipe.build(pair_of(recipe.size if size is None else size))
        kept = (op for op in policy.ops if flip or not isinstance(op, HorizontalFlip))
        return Policy(*kept)
    size = pair_of(SIZE if size is None else size)
    crop: Op = RandomResizedCrop(size)
    if _sized_already(size):
        crop = RandomCrop(size, padding=max(1, min(size) // 8))
    return _BASICS[name][1]((crop, HorizontalFlip()) if flip else (crop,), size)


def parse_policy(text: str, size: int | Size | None = None, *, flip: bool = True) -> Policy:
    """A policy from a preset's name, a TOML file's path, the code a policy prints as, or one of
    timm's strings (`rand-m9-mstd0.5-inc1`: the standard policy, then that).

    `size` and `flip` are those of `preset`; files and code say themselves what they mean.

    Raises:
        PolicyError: none of these; the message names close presets.
    """
    if text in preset_names():
        return preset(text, size, flip=flip)
    if is_timm(text) and text.replace("-", "") not in _BASICS:
        return Policy(*preset("standard", size, flip=flip).ops, timm_op(text))
    if text.endswith(".toml"):
        try:
            return from_toml(Path(text).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"Policy file {text!r} cannot be read: {error}.") from None
    if "(" in text:
        return from_code(text)
    return preset(text, size, flip=flip)
