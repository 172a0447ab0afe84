"""Segmentation data sets: Pascal VOC, CamVid, folders of images and masks, digits on photographs.

The contract is `SegmentationSet`: ``set[i]`` is a uint8 image and its class map, the order is fixed
by the files, and whatever is left out stands in ``set.skipped``. Anything missing, damaged or
unexpected raises `DataError` with the file's name.
"""

from mixwell.recipes.segmentation.data.byname import load_segmentation
from mixwell.recipes.segmentation.data.embedded import EmbeddedMasks
from mixwell.recipes.segmentation.data.folder import load_folder
from mixwell.recipes.segmentation.data.palette import class_colors
from mixwell.recipes.segmentation.data.sets import IGNORE, PairSet, Parts, SegmentationSet
from mixwell.recipes.segmentation.data.voc import VOC_CLASSES, load_voc

__all__ = [
    "IGNORE",
    "VOC_CLASSES",
    "EmbeddedMasks",
    "PairSet",
    "Parts",
    "SegmentationSet",
    "class_colors",
    "load_folder",
    "load_segmentation",
    "load_voc",
]
