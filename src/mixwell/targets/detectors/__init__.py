"""Losses of torchvision's detectors in which every box counts as much as it is seen.

`weighted_losses` changes a model, `unweighted_losses` changes it back. torchvision's detection
models are loaded at the first call, not with this package.
"""

from mixwell.targets.detectors.adapt import unweighted_losses, weighted_losses

__all__ = ["unweighted_losses", "weighted_losses"]
