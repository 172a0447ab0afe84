"""Targets that follow the same plan as the pixels: labels and their losses."""

from mixwell.targets.accuracy import accuracy, exact_match, mixed_accuracy, multilabel_accuracy
from mixwell.targets.consistency import jsd_loss
from mixwell.targets.detectors import target_sets, unweighted_losses, weighted_losses
from mixwell.targets.features import mix_features
from mixwell.targets.heads import each_head, heads_loss, target_loss
from mixwell.targets.kinds import LayeredMasks, MultiLabels, SparseLabels, Weighted
from mixwell.targets.labels import blend_weights, dense_labels, multi_labels, sparse_labels
from mixwell.targets.losses import bce, soft_cross_entropy, sparse_cross_entropy, sparse_loss
from mixwell.targets.pixels import pixel_accuracy, pixel_cross_entropy
from mixwell.targets.shown import shown_sources
from mixwell.targets.visible import visible_sources

__all__ = [
    "LayeredMasks",
    "MultiLabels",
    "SparseLabels",
    "Weighted",
    "accuracy",
    "bce",
    "blend_weights",
    "dense_labels",
    "each_head",
    "exact_match",
    "heads_loss",
    "jsd_loss",
    "mix_features",
    "mixed_accuracy",
    "multi_labels",
    "multilabel_accuracy",
    "pixel_accuracy",
    "pixel_cross_entropy",
    "shown_sources",
    "soft_cross_entropy",
    "sparse_cross_entropy",
    "sparse_labels",
    "sparse_loss",
    "target_loss",
    "target_sets",
    "unweighted_losses",
    "visible_sources",
    "weighted_losses",
]
