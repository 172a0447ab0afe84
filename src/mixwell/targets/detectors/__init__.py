"""Losses of torchvision's detectors in which every box counts as much as it is seen.

`weighted_losses` changes a model, `unweighted_losses` changes it back; `target_sets` says what a
detector of one's own is to be compared with. torchvision's detection
models are loaded at the first call, not with this package.
"""

from mixwell.targets.detectors.adapt import unweighted_losses, weighted_losses
from mixwell.targets.detectors.samples import target_sets

__all__ = ["target_sets", "unweighted_losses", "weighted_losses"]
