"""Ready-made policies of detectors: by name, for models that see squares and for those that resize.

A model that sees squares gets images of one size; for the others images keep their aspect, and the
model resizes them. Mixing stops before the last epochs, as YOLOX does, so that the last weights
are learned on images as they will be seen. Digits are never mirrored.

References:
    Liu et al., "SSD", 2016, arXiv:1512.02325 (detect-ssd).
    Zhang et al., "Bag of Freebies for Training Object Detection", 2019, arXiv:1902.04103
    (detect-mixup).
    Bochkovskiy et al., "YOLOv4", 2020, arXiv:2004.10934 (detect-mosaic).
    Ge et al., "YOLOX", 2021, arXiv:2107.08430 (detect-yolox).
    Ghiasi et al., "Simple Copy-Paste", 2020, arXiv:2012.07177 (detect-lsj, detect-copypaste).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mixwell as mw
from mixwell.policy.presets import parse_policy, preset_names

GREY = 114
"""What lies beside images, of 255: the mean of ImageNet's photographs over all channels."""


class Frame(NamedTuple):
    """What a policy is for.

    Attributes:
        side: px: of the square, or of the shorter side.
        square: whether the model needs squares of that side.
        flip: whether a mirrored object is still one of its class.
        off: epochs at the end without mixing.
    """

    side: int
    square: bool
    flip: bool
    off: int


Ops = list[Any]


def _fitted(frame: Frame) -> Ops:
    """What brings an image to the model's size; nothing where the model does."""
    return [mw.Resize((frame.side, frame.side))] if frame.square else []


def _mirrored(frame: Frame) -> Ops:
    return [mw.HorizontalFlip()] if frame.flip else []


def _mixed(op: Any, frame: Frame, p: float = 1.0) -> Any:
    """A mixer where there are two images at least, but for the last epochs."""
    some = mw.Sometimes(op, min_batch=2, p=p)
    return mw.Scheduled(some, stop=-frame.off, by="epoch") if frame.off else some


def _none(frame: Frame) -> Ops:
    return _fitted(frame)


def _plain(frame: Frame) -> Ops:
    return [mw.RandomPhotometricDistort(), *_mirrored(frame), *_fitted(frame)]


def _ssd(frame: Frame) -> Ops:
    crops = [mw.RandomZoomOut(fill=GREY), mw.RandomIoUCrop()]
    return [mw.RandomPhotometricDistort(), *crops, *_mirrored(frame), *_fitted(frame)]


def _lsj(frame: Frame) -> Ops:
    """Large scale jittering; its narrower form, since trainings here are short."""
    jitter = mw.ScaleJitter(frame.side, scale_range=(0.5, 1.5))
    return [jitter, mw.FixedSizeCrop(frame.side, fill=GREY), *_mirrored(frame)]


def _mixup(frame: Frame) -> Ops:
    return [*_plain(frame), _mixed(mw.MixUp(alpha=1.5, sizes="any"), frame, p=0.5)]


def _cutmix(frame: Frame) -> Ops:
    return [*_plain(frame), _mixed(mw.CutMix(alpha=1.0, sizes="any"), frame, p=0.5)]


def _mosaic(frame: Frame) -> Ops:
    mosaic = mw.Mosaic(frame.side, scale=(0.8, 1.6), fill=GREY)
    return [_mixed(mosaic, frame, p=0.5), *_plain(frame)]


def _yolox(frame: Frame) -> Ops:
    return [*_mosaic(frame), _mixed(mw.JitterMixUp(), frame, p=0.5)]


def _copypaste(frame: Frame) -> Ops:
    return [*_lsj(frame), _mixed(mw.CopyPaste(), frame, p=0.5)]


_POLICIES: dict[str, tuple[str, Callable[[Frame], Ops]]] = {
    "detect-none": ("the image as it is", _none),
    "detect-plain": ("colours and horizontal flip", _plain),
    "detect-ssd": ("colours, zooming out, crops around boxes, horizontal flip", _ssd),
    "detect-lsj": ("scale jittering (0.5 .. 1.5), crop, horizontal flip", _lsj),
    "detect-mixup": ("plain, then MixUp (alpha 1.5) of every other image", _mixup),
    "detect-cutmix": ("plain, then CutMix of every other image", _cutmix),
    "detect-mosaic": ("a Mosaic of four for every other image, then plain", _mosaic),
    "detect-yolox": ("mosaic, then MixUp with a partner of jittered scale", _yolox),
    "detect-copypaste": ("scale jittering, then some objects of another image", _copypaste),
}


def detection_names() -> tuple[str, ...]:
    """Names that `detection_policy` knows."""
    return tuple(_POLICIES)


def detection_summary(name: str) -> str:
    """One line about a policy."""
    return _POLICIES[name][0]


def detection_policy(
    text: str, side: int, *, square: bool, flip: bool = True, mixing_off: int = 0
) -> mw.Policy:
    """The policy that a name, a file or code means, for a model.

    Args:
        text: one of `detection_names()`, a TOML file's path, or code.
        side: px: of the square, or of the shorter side.
        square: whether the model needs squares of that side; a policy from a file or code that
            does not end in one size is followed by a Resize.
        flip: whether ready-made policies mirror images.
        mixing_off: epochs at the end in which ready-made policies do not mix.

    Raises:
        PolicyError: no such policy, or one that makes images of another size than the square.
    """
    if text in _POLICIES:
        policy = mw.Policy(*_POLICIES[text][1](Frame(side, square, flip, mixing_off)))
    elif text in preset_names() or not ("(" in text or text.endswith(".toml")):
        raise mw.PolicyError(
            f"A detection policy is one of {', '.join(_POLICIES)}, a TOML file or code, got "
            f"{text!r}. Name one of these."
        )
    else:
        policy = parse_policy(text)
    if square and policy.out_size != (side, side):
        policy = mw.Policy(*policy.ops, mw.Resize((side, side)))
    return policy


def needs_masks(policy: mw.Policy) -> bool:
    """Whether a policy cuts objects out along their masks."""
    return "CopyPaste(" in repr(policy)
