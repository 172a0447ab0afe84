"""Data sets for the recipes, by name: uint8 images and integer labels, nothing transformed.

The contract: every set has ``classes``, ``labels`` (int64 ``[N]``) and ``len``; ``set[i]`` is a
uint8 image tensor ``[C, H, W]`` and its label as an ``int``. Order is fixed by the files. Anything
missing, damaged or unexpected raises :class:`DataError`; pickles are read without running them.
"""

from mixwell import DataError
from mixwell.recipes.data.arrays import ArraySet, ImageSet, TrainTest, channel_stats
from mixwell.recipes.data.byname import dataset_names, load_dataset
from mixwell.recipes.data.folder import FolderSet

__all__ = [
    "ArraySet",
    "DataError",
    "FolderSet",
    "ImageSet",
    "TrainTest",
    "channel_stats",
    "dataset_names",
    "load_dataset",
]
