"""Codes of profiles: what Pillow and torchvision's tensor path do, to the last bit.

The arithmetic is written out in `pillow` and `torchvision`, beside this module; neither library is
asked, so a profile renders the same bytes where they are not installed and on every device. The
tests ask them. Nothing is fused with these codes.

Pillow's codes take uint8; torchvision's take uint8 and floats. Channels: 1 is grey, 3 are colour,
of 4 the last is alpha, which tones leave alone (torchvision refuses such images). Warps take any
number of channels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mixwell._errors import RenderError
from mixwell.plan.steps import Code
from mixwell.render.reference import pillow, torchvision
from mixwell.render.reference.rows import Numbers, colours


def warp(
    code: Code,
    numbers: Numbers,
    images: Tensor,
    param: np.ndarray,
    out_hw: tuple[int, int],
    interp: int,
    fill: np.ndarray,
) -> Tensor:
    """Rows warped as a library does.

    Args:
        code: PIL_WARP or TV_WARP.
        numbers: how the images' numbers are treated.
        images: tensor [n, C, H, W].
        param: float64 [n, 12], see the code.
        out_hw: height and width of the results, px.
        interp: an `Interp`.
        fill: float32 [n, 4], in the images' units. Pillow's are cut off to whole levels,
            torchvision's are not rounded.

    Raises:
        RenderError: images of a kind that the library's code does not take.
    """
    _check_kind(code, numbers.kind, numbers.loose)
    taken = _with_doubles(images)
    exact = Numbers(numbers.kind, loose=True)
    if code == Code.PIL_WARP:
        colour = colours(fill, exact, taken).trunc()
        out = pillow.warp(taken, param, out_hw, interp, colour)
    else:
        colour = colours(fill, exact, taken.float())
        out = torchvision.warp(taken, param, out_hw, interp, colour)
    return out.to(images.device)


def _tone(code: Code) -> Callable[..., Tensor]:
    def op(images: Tensor, params: np.ndarray, *, kind: str, **_: object) -> Tensor:
        _check_kind(code, kind, loose=False)
        channels = images.shape[1]
        if channels not in (1, 3, 4):
            raise RenderError(
                f"{code.name} needs 1, 3 or 4 channels (grey, colour, colour and alpha), "
                f"got {channels}; leave it out of the policy for such images."
            )
        # Pillow blurs alpha with the rest.
        colour = 3 if channels == 4 and code != Code.PIL_BLUR else channels
        toned = _TONES[code](_with_doubles(images[:, :colour]), params)
        return torch.cat([toned.to(images.device), images[:, colour:]], dim=1)

    op.__name__ = code.name.lower()
    return op


def _check_kind(code: Code, kind: str, loose: bool) -> None:
    if loose:
        raise RenderError(
            f"{code.name} cannot follow an erasing in normalised units, whose values leave the "
            "image's range. Put the erasing last."
        )
    if kind == "uint16":
        raise RenderError(f"{code.name} cannot take uint16; convert to uint8.")
    if kind == "float" and not code.name.startswith("TV_"):
        raise RenderError(
            f"{code.name} does what Pillow does, on uint8 alone; got floats. Pass uint8 images, or "
            'make the policy with backend="tensor".'
        )


def _with_doubles(images: Tensor) -> Tensor:
    """The images, on the CPU where their device has no float64 (Apple's MPS)."""
    return images.cpu() if images.device.type == "mps" else images


_TONES = {**pillow.TONES, **torchvision.TONES}

LIBRARY_TONES: dict[Code, Callable[..., Tensor]] = {code: _tone(code) for code in _TONES}
"""Profile codes that move no pixels, to be called like those of `tone.TONE_OPS`."""
