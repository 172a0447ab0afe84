"""Targets that follow the same plan as the pixels: labels and their losses."""

from mixwell.targets.labels import SparseLabels, dense_labels, multi_labels, sparse_labels
from mixwell.targets.losses import bce, mixed_accuracy, soft_cross_entropy, sparse_loss
from mixwell.targets.visible import visible_sources

__all__ = [
    "SparseLabels",
    "bce",
    "dense_labels",
    "mixed_accuracy",
    "multi_labels",
    "soft_cross_entropy",
    "sparse_labels",
    "sparse_loss",
    "visible_sources",
]
