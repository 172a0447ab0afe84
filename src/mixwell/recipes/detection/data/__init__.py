"""Detection data sets: COCO, Pascal VOC, YOLO, and digits on photographs.

The contract is `DetectionSet`: ``set[i]`` is a uint8 image and a target in torchvision's names,
the order is fixed by the files, and whatever is left out stands in ``set.skipped``. Anything
missing, damaged or unexpected raises `DataError` with the file's name.
"""

from mixwell.recipes.detection.data.byname import (
    TrainVal,
    load_detection,
    load_embedded,
    split_by_name,
)
from mixwell.recipes.detection.data.coco import read_coco
from mixwell.recipes.detection.data.coco_write import write_coco, write_results
from mixwell.recipes.detection.data.embedded import EmbeddedDigits
from mixwell.recipes.detection.data.sets import DetectionSet, FileSet, Target
from mixwell.recipes.detection.data.voc import read_voc
from mixwell.recipes.detection.data.yolo import read_yolo

__all__ = [
    "DetectionSet",
    "EmbeddedDigits",
    "FileSet",
    "Target",
    "TrainVal",
    "load_detection",
    "load_embedded",
    "read_coco",
    "read_voc",
    "read_yolo",
    "split_by_name",
    "write_coco",
    "write_results",
]
