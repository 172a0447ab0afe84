"""Ready-made augmentation of images with class maps.

All but segment-scale cut a window without resizing: a pixel of a mask has one class, and a resized
mask is never quite true. Windows that are larger than an image are filled up with ignored pixels.

References:
    Yun et al. CutMix. 2019. arXiv:1905.04899.
    Zhang et al. mixup. 2017. arXiv:1710.09412.
    Olsson et al. ClassMix. 2020. arXiv:2007.07936.
"""

from __future__ import annotations

from typing import Any

import mixwell as mw
from mixwell.policy.presets import parse_policy

SUMMARIES = {
    "segment-none": "a window at a random place",
    "segment-plain": "that, and horizontal flip",
    "segment-color": "that, and brightness, contrast, saturation and hue",
    "segment-scale": "a resized window of 0.25 to 1 of the image, flip, colours",
    "segment-mixup": "plain, then MixUp (alpha 0.2) of every other image",
    "segment-cutmix": "plain, then CutMix of every other image",
    "segment-classmix": "plain, then half of another image's classes on every other image",
}
_MIXERS: dict[str, Any] = {
    "segment-mixup": mw.MixUp(alpha=0.2, p=0.5),
    "segment-cutmix": mw.CutMix(p=0.5),
    "segment-classmix": mw.ClassMix(p=0.5),
}


def segmentation_policy(
    text: str,
    crop: tuple[int, int],
    *,
    resize: tuple[int, int] | None = None,
    flip: bool = True,
) -> mw.Policy:
    """The policy that a name, a file or code means.

    Args:
        text: one of `SUMMARIES`, a TOML file's path, or code.
        crop: height and width of the window, px.
        resize: height and width that every image is brought to first; None never resizes.
        flip: whether ready-made policies mirror images.

    Raises:
        PolicyError: no such policy, or one that does not end in one size.
    """
    first = [mw.Resize(resize)] if resize else []
    if text in SUMMARIES:
        return mw.Policy(*first, *_ready(text, crop, flip))
    if not ("(" in text or text.endswith(".toml")):
        raise mw.PolicyError(
            f"A segmentation policy is one of {', '.join(SUMMARIES)}, a TOML file or code, got "
            f"{text!r}. Name one of these."
        )
    policy = mw.Policy(*first, *parse_policy(text, size=crop, flip=flip).ops)
    if not isinstance(policy.out_size, tuple):
        raise mw.PolicyError(
            f"Training needs images of one size, got {policy!r}, which may give several. Put "
            f"RandomCrop({crop}, pad_if_needed=True) into it."
        )
    return policy


def _ready(text: str, crop: tuple[int, int], flip: bool) -> list[Any]:
    if text == "segment-scale":
        ops: list[Any] = [mw.RandomResizedCrop(crop, scale=(0.25, 1.0))]
    else:
        ops = [mw.RandomCrop(crop, pad_if_needed=True)]
    if flip and text != "segment-none":
        ops.append(mw.HorizontalFlip())
    if text in ("segment-color", "segment-scale"):
        ops.append(mw.ColorJitter(0.4, 0.4, 0.4, 0.1))
    return [*ops, _MIXERS[text]] if text in _MIXERS else ops
