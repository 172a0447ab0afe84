"""Style transfer: the things of one picture in the colours and strokes of another.

::

    losses    content, Gram matrices, total variation
    features  feature maps of any network's inner layers
    networks  which network, layers and weights
    memory    what a size needs, known beforehand
    paint     gradient descent on the pixels
    run       files in, files out, from small to large

References:
    Leon A. Gatys, Alexander S. Ecker, Matthias Bethge. A Neural Algorithm of Artistic Style. 2015.
    arXiv:1508.06576.
    Leon A. Gatys et al. Controlling Perceptual Factors in Neural Style Transfer. 2016.
    arXiv:1611.07865 (from small to large).
"""

from mixwell.recipes.stylize.config import StylizeConfig, StylizeOptions
from mixwell.recipes.stylize.features import Features
from mixwell.recipes.stylize.losses import (
    Goal,
    Weights,
    content_loss,
    gram,
    style_loss,
    total_variation,
)
from mixwell.recipes.stylize.memory import needed_bytes
from mixwell.recipes.stylize.networks import KNOWN, Taps, build_features
from mixwell.recipes.stylize.paint import goal_of, measure, paint
from mixwell.recipes.stylize.run import Stylized, stylize

__all__ = [
    "KNOWN",
    "Features",
    "Goal",
    "StylizeConfig",
    "StylizeOptions",
    "Stylized",
    "Taps",
    "Weights",
    "build_features",
    "content_loss",
    "goal_of",
    "gram",
    "measure",
    "needed_bytes",
    "paint",
    "style_loss",
    "stylize",
    "total_variation",
]
