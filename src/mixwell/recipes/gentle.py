"""The augmentation that fine-tuning uses unless told otherwise."""

from __future__ import annotations

import mixwell as mw

POLICY = "finetune"
"""The name of `gentle_policy` where a recipe asks for a policy."""


def gentle_policy(size: tuple[int, int], *, flip: bool = True, large: bool = True) -> mw.Policy:
    """Augmentation for a network that knows much already and trains for a few epochs.

    A mild crop, mirrored or not, and MixUp of a small alpha for three images of ten, off in the
    last quarter of the training.

    Args:
        size: height and width, px.
        flip: whether a mirror image keeps its label.
        large: images have sizes of their own and are cropped to `size`; else they have it already.
    """
    side = max(1, min(size) // 8)
    crop = mw.RandomResizedCrop(size, scale=(0.4, 1.0))
    crop = crop if large else mw.RandomCrop(size, padding=side)
    flips = (mw.HorizontalFlip(),) if flip else ()
    mix = mw.Sometimes(mw.MixUp(alpha=0.2), min_batch=2, p=0.3)
    return mw.Policy(crop, *flips, mw.Scheduled(mix, stop=0.75))
