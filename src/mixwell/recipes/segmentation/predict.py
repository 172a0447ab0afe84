"""A trained segmentation network on images of any size: index masks, and pictures of them.

::

    predictions.json    the classes; for each image its files and how many pixels each class has
    masks/NAME.png      the class of each pixel: an index, with Pascal VOC's palette
    pictures/NAME.png   the image beside its classes in colours, with a legend

Masks have the size of their image, upright by its EXIF orientation, and its path from the images'
common folder.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import mixwell as mw
from mixwell.recipes.fabric import chosen_device
from mixwell.recipes.predicting import MARK, check_free, from_home, image_paths, readable
from mixwell.recipes.segmentation.config import SegmentConfig
from mixwell.recipes.segmentation.data import class_colors
from mixwell.recipes.segmentation.models import Built
from mixwell.recipes.segmentation.segment import load_segmenter
from mixwell.recipes.segmentation.tiles import predict_tiled
from mixwell.viz import mask_sheet

MASKS, PICTURES = "masks", "pictures"
"""Folders of what is written."""
SIDE = 640
"""Of the box that each half of a picture is fitted to, px."""


@dataclass(frozen=True)
class Predicted:
    """What `predict` wrote.

    Attributes:
        json: classes, files and pixels.
        masks: the index masks, in order.
        pictures: the pictures, in order; empty where none were asked for.
        by_class: how many pixels of each class, over all images.
        skipped: files that could not be read, and why.
    """

    json: Path
    masks: tuple[Path, ...]
    pictures: tuple[Path, ...]
    by_class: dict[str, int]
    skipped: dict[str, str]


def predict(
    run: str | Path,
    images: Sequence[str | Path],
    out: str | Path = "predictions",
    *,
    pictures: bool = True,
    device: str = "auto",
    overwrite: bool = False,
) -> Predicted:
    """Say the class of each pixel with a network that `segment` trained.

    Args:
        run: the folder of the run, or the checkpoint in it.
        images: image files, and folders of such, which are searched to any depth.
        out: folder to write to.
        pictures: whether pictures are written.
        device: auto (cuda where there is one), cpu or cuda.
        overwrite: whether a folder that holds predictions is written over.

    Raises:
        DataError: no run, no images, damaged weights, or a folder that holds predictions.
    """
    files, out = image_paths(images), Path(out)
    check_free(out, overwrite=overwrite)
    device = chosen_device(device)
    built, config, classes = load_segmenter(run)
    built.model.to(device)
    names, known = from_home(files), mask_names(files)
    entries: list[dict[str, Any]] = []
    total, skipped = np.zeros(len(classes), np.int64), {}
    for path, image in readable(list(names), skipped):
        found = class_map(built, config, image, device)
        entry = {"file_name": names[path].as_posix(), "mask": f"{MASKS}/{known[path].as_posix()}"}
        _save(found, out / entry["mask"])
        if pictures:
            entry["picture"] = f"{PICTURES}/{known[path].as_posix()}"
            _draw(image, found, classes, out / entry["picture"])
        pixels = np.bincount(found.flatten().numpy(), minlength=len(classes))
        total += pixels
        entries.append(entry | {"pixels": pixels.tolist()})
    out.mkdir(parents=True, exist_ok=True)
    about = {"classes": list(classes), "images": entries}
    (out / MARK).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return Predicted(
        out / MARK,
        tuple(out / entry["mask"] for entry in entries),
        tuple(out / entry["picture"] for entry in entries if pictures),
        dict(zip(classes, total.tolist(), strict=True)),
        skipped,
    )


@torch.no_grad()
def class_map(
    built: Built, config: SegmentConfig, image: Tensor, device: torch.device | str = "cpu"
) -> Tensor:
    """The class of each pixel of an image.

    An image is brought to the run's `resize`, where it has one, and the logits back to its size.

    Args:
        built: the network, in evaluation mode, and its normalisation.
        config: has `resize` and `tile`.
        image: uint8 [3, H, W].
        device: of the network.

    Returns:
        uint8 [H, W], on the CPU.
    """
    pixels = image[None]
    if config.resize:
        resize = mw.Augment(mw.Policy(mw.Resize(config.resize)))
        pixels = resize(pixels, keys=mw.Keys(np.zeros(1, np.int64)))
    logits = predict_tiled(built.model, built.normalised(pixels.to(device)), tile=config.tile)
    if config.resize:
        logits = F.interpolate(logits, image.shape[1:], mode="bilinear", align_corners=False)
    return logits[0].argmax(0).to(torch.uint8).cpu()


def mask_names(files: Sequence[Path]) -> dict[Path, Path]:
    """For each file the path of its mask: its own, ending in .png.

    Files of one folder whose names differ in their endings alone keep these: a.jpg.png, a.tif.png.
    """
    own = from_home(files)
    count = Counter(path.with_suffix("") for path in own.values())
    return {
        file: path.with_name(f"{path.stem if count[path.with_suffix('')] == 1 else path.name}.png")
        for file, path in own.items()
    }


def _save(classes: Tensor, path: Path) -> None:
    """Write a class map as an index mask with a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.fromarray(classes.numpy())
    mask.putpalette(class_colors().reshape(-1).tolist())
    mask.save(path)


def _draw(image: Tensor, classes: Tensor, names: Sequence[str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    captions = ("image", "prediction")
    mask_sheet([(image, classes)], names, captions=captions, side=SIDE).save(path)
