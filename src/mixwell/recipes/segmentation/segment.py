"""Train one segmentation network and write the run to a folder.

::

    runs/NAME/config.json      the settings, with every default filled in
    runs/NAME/history.csv      one row for each epoch
    runs/NAME/result.json      the figures of `SegmentResult`
    runs/NAME/pictures.png     validation images beside their truth and what was predicted
    runs/NAME/checkpoint.pt    after each epoch; `resume=True` continues from it

A folder that holds a run is not written over unasked.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mixwell import DataError
from mixwell.recipes import runs
from mixwell.recipes.classify import cpu_threads, write_json, write_rows
from mixwell.recipes.models.weights import read_weights
from mixwell.recipes.place import clear, placed
from mixwell.recipes.progress import Shown, waiting
from mixwell.recipes.segmentation.config import (
    EMBEDDED_HW,
    SegmentConfig,
    resolved,
)
from mixwell.recipes.segmentation.data import Parts, load_segmentation
from mixwell.recipes.segmentation.data.byname import EMBEDDED
from mixwell.recipes.segmentation.loop import SegmentResult, make_fabric, predictions, train
from mixwell.recipes.segmentation.models import Built, build_segmenter
from mixwell.recipes.segmentation.policies import segmentation_policy
from mixwell.recipes.settings import as_json
from mixwell.viz import mask_sheet

MARKS = ("checkpoint.pt", "result.json", "history.csv")
"""Files of a run with a finished epoch."""


def segment(config: SegmentConfig) -> SegmentResult:
    """Train a segmentation network.

    Args:
        config: the settings; fields left at None are filled in.

    Returns:
        The figures and the network. After Ctrl-C, those of the finished epochs.

    Raises:
        DataError: the data set is missing or unfit, weights are of another network, `resume` finds
            another run's checkpoint, or the folder holds a run and neither `resume` nor `overwrite`
            is set.
        PolicyError: no such policy, or one that does not end in one size.
        ImportError: the extra `train` is not installed.
    """
    config = resolved(config)
    config, out = placed(config, _name(config), MARKS)
    crop = config.crop or EMBEDDED_HW
    with waiting(f"loading {config.data}", quiet=config.quiet):
        data = load(config)
    flip = config.data != EMBEDDED
    policy = segmentation_policy(config.policy, crop, resize=config.resize, flip=flip)
    fabric = make_fabric(config)
    shown = Shown(config.epochs or 1, quiet=config.quiet)

    def start(done: int, steps: int) -> None:
        if config.overwrite:
            clear(out, MARKS)
        about = {runs.RECIPE: "segment", runs.CLASSES: list(data.classes)}
        write_json(out / "config.json", as_json(config) | about | {"policy_code": repr(policy)})
        for note in notes(data):
            shown.say(note)
        shown.start(done, steps)

    def epoch(row: dict[str, Any]) -> None:
        shown.epoch(row)
        if row["mean_iou"] is not None:
            shown.say(f"mean IoU {row['mean_iou']:.2%}")

    with cpu_threads(config.threads), shown.live():
        result = train(
            config,
            data,
            policy,
            checkpoint=out / "checkpoint.pt",
            resume=config.resume,
            on_start=start,
            on_epoch=epoch,
            on_step=shown.on_step,
            fabric=fabric,
        )
        if result.epochs:
            rows = [{k: v for k, v in r.items() if k != "measured"} for r in result.history]
            write_rows(out / "history.csv", rows)
            write_json(out / "result.json", result.as_json())
            if config.pictures:
                draw(result.built, data, config, out / "pictures.png")
    stopped = f"stopped after {result.epochs} epochs; --resume continues from {out}"
    shown.say(stopped if result.interrupted else f"run: {out}")
    return result


def load(config: SegmentConfig) -> Parts:
    """The data that a config names, without small images where that is asked for.

    Raises:
        DataError: see `load_segmentation`; or no image is as large as the crop.
    """
    size = config.crop or EMBEDDED_HW
    data = load_segmentation(config.data, images=config.images, seed=config.seed, size_hw=size)
    if config.small != "drop":
        return data
    if config.resize:
        if min(np.subtract(config.resize, size)) < 0:
            raise DataError(
                f"Training needs images of at least {size[0]} x {size[1]} px with small=drop, and "
                f"resize makes all of them {config.resize[0]} x {config.resize[1]} px. Set a "
                "smaller crop, or small=pad."
            )
        return data
    kept = data.train.without_small(size)
    if not len(kept):
        raise DataError(
            f"Training needs images of at least {size[0]} x {size[1]} px with small=drop, got none "
            f"among {len(data.train)}. Set a smaller crop, or small=pad."
        )
    return replace(data, train=kept)


def notes(data: Parts) -> list[str]:
    """What should be known of a data set: how it was split, and what was left out."""
    found = [data.note] if data.note else []
    for part, images in (("training", data.train), ("validation", data.val)):
        for why, names in images.skipped.items():
            found.append(f"{len(names)} {part} files left out: {why} ({', '.join(names[:3])})")
    return found


def draw(built: Built, data: Parts, config: SegmentConfig, path: Path) -> None:
    """Write pictures of the first validation images: input, truth, prediction."""
    device = next(built.model.parameters()).device
    built.model.eval()
    looked = islice(predictions(built, data.val, config, device), config.pictures)
    mask_sheet([(image, truth, found.cpu()) for image, truth, found in looked], data.classes).save(
        path
    )


def read_run(run: str | Path) -> tuple[SegmentConfig, tuple[str, ...]]:
    """The settings and the class names of a segmentation network's run.

    Args:
        run: its folder, or the checkpoint in it.

    Raises:
        DataError: there is none.
    """
    return runs.read_run(run, "segment", SegmentConfig)


def load_segmenter(run: str | Path) -> tuple[Built, SegmentConfig, tuple[str, ...]]:
    """The network of a run as its checkpoint has it, in evaluation.

    Args:
        run: the folder of the run, or the checkpoint in it.

    Returns:
        The network, the run's settings and its class names.

    Raises:
        DataError: there is no run, or its checkpoint is missing, damaged or of another network.
    """
    config, classes = read_run(run)
    path = runs.parts(run)[1]
    state = read_weights(path)
    with torch.random.fork_rng(devices=[]):
        built = build_segmenter(
            config.model, len(classes), stride=config.stride, as_loaded=config.weights != "none"
        )
    own = built.model.state_dict()
    wrong = [k for k in own if k not in state or state[k].shape != own[k].shape]
    if wrong:
        raise DataError(
            f"The checkpoint {path} must be of the network {config.model} for {len(classes)} "
            f"classes that config.json names, got {len(wrong)} parameters missing or of another "
            f"size ({', '.join(wrong[:3])}). Restore the files that belong together."
        )
    built.model.load_state_dict({k: state[k] for k in own})
    built.model.eval()
    return built, config, classes


def _name(config: SegmentConfig) -> str:
    """A folder's name that says what the run was."""
    data = Path(config.data).name or "data"
    start = "scratch" if config.weights == "none" else "loaded"
    parts = [data, config.model, start, config.policy]
    words = "-".join(parts)[:100] + f"-epochs{config.epochs}-seed{config.seed}"
    return "".join(c if c.isalnum() or c in "-+._" else "_" for c in words)
