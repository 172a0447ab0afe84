"""What a stylised picture is judged by: content, style (Gram matrices) and roughness.

References:
    Leon A. Gatys, Alexander S. Ecker, Matthias Bethge. A Neural Algorithm of Artistic Style. 2015.
    arXiv:1508.06576.
    Leonid I. Rudin, Stanley Osher, Emad Fatemi. Nonlinear total variation based noise removal
    algorithms. 1992 (here: mean absolute differences of neighbours).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


def gram(features: Tensor) -> Tensor:
    """How often channels fire together, wherever in the image that is.

    Args:
        features: float [B, C, H, W].

    Returns:
        float [B, C, C]: products of two channels summed over all positions, divided by C * H * W,
        so that pictures of different sizes can be compared.
    """
    batch, channels, height, width = features.shape
    flat = features.reshape(batch, channels, height * width)
    return flat @ flat.transpose(1, 2) / (channels * height * width)


def content_loss(features: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference of two feature maps of one shape, a scalar."""
    return (features - wanted).square().mean()


def style_loss(features: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference between the Gram matrix of a feature map and the wanted one.

    Args:
        features: float [B, C, H, W].
        wanted: float [B, C, C], a `gram`, of a picture of any size.
    """
    return (gram(features) - wanted).square().mean()


def total_variation(image: Tensor) -> Tensor:
    """Half the mean absolute step to the pixel below plus half that to the pixel on the right.

    Args:
        image: float [B, C, H, W]; a side of 1 px has no steps and adds nothing.
    """
    down = (image[:, :, 1:] - image[:, :, :-1]).abs()
    right = (image[:, :, :, 1:] - image[:, :, :, :-1]).abs()
    parts = [steps.mean() for steps in (down, right) if steps.numel()]
    return sum(parts, torch.zeros((), dtype=image.dtype, device=image.device)) / 2


@dataclass(frozen=True)
class Weights:
    """What the three losses count.

    Args:
        content: >= 0.
        style: >= 0; for the sum over the style layers.
        tv: >= 0; of total variation.
    """

    content: float = 1.0
    style: float = 1e3
    tv: float = 10.0


@dataclass(frozen=True)
class Goal:
    """What a picture should come to.

    Args:
        content: the content picture's feature map of each content layer.
        style: the style picture's Gram matrix of each style layer.
    """

    content: Mapping[str, Tensor]
    style: Mapping[str, Tensor]

    def losses(
        self, found: Mapping[str, Tensor], image: Tensor, weights: Weights
    ) -> dict[str, Tensor]:
        """The weighted losses of a picture; their sum is what is minimised.

        Args:
            found: the picture's feature maps of all these layers.
            image: the picture as the network sees it, float [B, C, H, W].
            weights: what each counts.

        Returns:
            Scalars under "content", "style" and "tv".
        """
        none = image.new_zeros(())
        content = sum((content_loss(found[k], v) for k, v in self.content.items()), none)
        style = sum((style_loss(found[k], v) for k, v in self.style.items()), none)
        return {
            "content": weights.content * content,
            "style": weights.style * style,
            "tv": weights.tv * total_variation(image),
        }
