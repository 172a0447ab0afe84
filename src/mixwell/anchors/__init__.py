"""Anchor boxes for object detection: made, assigned to ground truth, encoded, learned, decoded.

The steps of a single-shot detector, batched and on torchvision's operators. Boxes that come from
mixed images carry weights, and every loss term of a box is multiplied by its own.
"""

from torchvision.ops import roi_align, roi_pool

from mixwell.anchors.assignment import assign
from mixwell.anchors.boxes import PaddedBoxes, box_iou, convert, pad, to_pixels, to_unit
from mixwell.anchors.detection import detect, nms
from mixwell.anchors.grid import anchors
from mixwell.anchors.losses import SsdTerms, hard_negatives, ssd_loss, ssd_terms
from mixwell.anchors.offsets import decode, encode
from mixwell.anchors.training import AnchorTargets, targets

__all__ = [
    "AnchorTargets",
    "PaddedBoxes",
    "SsdTerms",
    "anchors",
    "assign",
    "box_iou",
    "convert",
    "decode",
    "detect",
    "encode",
    "hard_negatives",
    "nms",
    "pad",
    "roi_align",
    "roi_pool",
    "ssd_loss",
    "ssd_terms",
    "targets",
    "to_pixels",
    "to_unit",
]
