"""Train one detector and write the run to a folder.

::

    runs/NAME/config.json        the settings with every default filled in, classes, policy
    runs/NAME/history.csv        one row for each epoch
    runs/NAME/result.json        the figures of `DetectResult`, average precision by class
    runs/NAME/predictions.json   what it finds on the validation images, as COCO results
    runs/NAME/sheet.png          some validation images, their truth beside what it finds
    runs/NAME/checkpoint.pt      after each epoch; `resume=True` continues from it

A folder that holds a run is not written over unasked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mixwell as mw
from mixwell.recipes import runs
from mixwell.recipes.classify import cpu_threads, write_json, write_rows
from mixwell.recipes.detection.config import (
    EMBEDDED,
    DetectConfig,
    is_square,
    resolved,
)
from mixwell.recipes.detection.data import (
    TrainVal,
    load_detection,
    write_results,
)
from mixwell.recipes.detection.evaluate import Found
from mixwell.recipes.detection.loop import DetectResult, make_fabric, search_val, train
from mixwell.recipes.detection.policies import detection_policy
from mixwell.recipes.place import clear, placed
from mixwell.recipes.progress import Shown, waiting
from mixwell.recipes.settings import as_json
from mixwell.viz import box_sheet

MARKS = ("checkpoint.pt", "result.json", "history.csv")
"""Files of a run with a finished epoch."""
SHEET = 12
"""Validation images on the sheet."""
_TRUTH = ("boxes", "labels", "masks", "iscrowd", "difficult")
_OUTLINED = ("terms", "dropped_by_reason", "measured")
"""Entries of the history that are no single number; `result.json` has their like."""


def detect(config: DetectConfig) -> DetectResult:
    """Train a detector, write everything to the run's folder, and return the result.

    Args:
        config: the settings; what is None is filled in.

    Raises:
        DataError: the data set, model or weights cannot be had, or the folder holds a run.
        PolicyError: no such policy.
        ImportError: a package is missing; `pip install 'mixwell[train]'`.
    """
    config = resolved(config)
    config, out = placed(config, _name(config), MARKS)
    with waiting(f"loading {config.data}", quiet=config.quiet):
        data = load_data(config)
    policy = policy_for(config)
    fabric = make_fabric(config)
    shown = Shown(config.epochs or 1, quiet=config.quiet, words=line)

    def start(done: int, steps: int) -> None:
        if config.overwrite:
            clear(out, MARKS)
        about = {runs.RECIPE: "detect", runs.CLASSES: list(data.classes)}
        write_json(out / "config.json", as_json(config) | about | {"policy_code": repr(policy)})
        shown.start(done, steps)

    unsure: list[str] = []
    with cpu_threads(config.threads), shown.live():
        result = train(
            config,
            data,
            policy,
            checkpoint=out / "checkpoint.pt",
            resume=config.resume,
            on_start=start,
            on_epoch=shown.epoch,
            on_step=shown.on_step,
            fabric=fabric,
        )
        if result.epochs:
            _write_figures(out, result)
        if result.epochs and not result.interrupted:
            unsure = _write_found(config, out, data, result, fabric.device)
    for note in (*result.notes, *unsure):
        shown.say(note)
    if result.interrupted:
        shown.say(f"stopped after {result.epochs} epochs; --resume continues from {out}")
    else:
        shown.say(f"run: {out}")
    return result


def load_data(config: DetectConfig) -> TrainVal:
    """The data set of a resolved config."""
    if config.data == EMBEDDED:
        images, side = config.images or 1, config.image_size or 256
        options: dict[str, Any] = {"val_images": max(images // 5, 1), "size_hw": (side, side)}
        return load_detection(EMBEDDED, seed=config.seed, images=images, **options)
    return load_detection(config.data, val_fraction=config.val_fraction, seed=0)


def policy_for(config: DetectConfig) -> mw.Policy:
    """The training policy of a resolved config; digits are never mirrored."""
    return detection_policy(
        config.policy,
        config.image_size or 1,
        square=is_square(config.model),
        flip=config.data != EMBEDDED,
        mixing_off=config.mixing_off or 0,
    )


def read_run(run: str | Path) -> tuple[DetectConfig, tuple[str, ...]]:
    """The settings and the class names of a detector's run.

    Args:
        run: its folder, or the checkpoint in it.

    Raises:
        DataError: there is none.
    """
    return runs.read_run(run, "detect", DetectConfig)


def line(row: dict[str, Any], epochs: int) -> str:
    """One epoch in words."""
    measured = ""
    if row["measured"] is not None:
        measured = f"mAP {percent(row['map'])}  mAP50 {percent(row['map_50'])}  "
    return (
        f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}  loss {row['train_loss']:.3f}  "
        f"{measured}{row['images_per_second']:,.1f} img/s  {row['seconds']:.1f} s"
    )


def percent(value: float | None) -> str:
    """A share in percent, or a dash."""
    return "–" if value is None else f"{value:.1%}"


def _write_figures(out: Path, result: DetectResult) -> None:
    rows = [{k: v for k, v in row.items() if k not in _OUTLINED} for row in result.history]
    write_rows(out / "history.csv", rows)
    write_json(out / "result.json", result.as_json())


def _write_found(
    config: DetectConfig, out: Path, data: TrainVal, result: DetectResult, device: Any
) -> list[str]:
    """What is found on the validation images, as COCO results and as a sheet.

    Returns:
        A line where no box reaches the score that the sheet asks for.
    """
    found = result.found
    if found is None:
        each, targets = search_val(config, result.model, data, device)
        found = {target["image_id"]: own for target, own in zip(targets, each, strict=True)}
    write_results(out / "predictions.json", found, data.val)
    least = config.score_threshold
    samples: list[tuple[Any, dict[str, Any]]] = []
    captions = []
    for index in range(min(SHEET, len(data.val))):
        image, target = data.val[index]
        own = found[target["image_id"]]
        samples += [(image, {k: target[k] for k in _TRUTH if k in target})]
        samples += [(image, certain(own, least))]
        captions += ["truth", caption(own, least)]
    sheet = box_sheet(samples, data.classes, columns=4, captions=captions)
    sheet.save(out / "sheet.png")
    best = max((best_score(own) for own in found.values()), default=0.0)
    if best >= least:
        return []
    return [
        f"no box on a validation image reaches the score of {least:g} (the best has {best:.2f}); "
        "sheet.png shows the truth alone. Train longer, or lower --score-threshold"
    ]


def caption(found: Found, least: float) -> str:
    """What stands below an image with what was found on it, 20 letters or so."""
    best = best_score(found)
    return "found" if best >= least else f"nothing; best {best:.2f}"


def best_score(found: Found) -> float:
    """The highest score on an image, 0 where there is no box."""
    return float(found["scores"].max()) if len(found["scores"]) else 0.0


def certain(found: Found, least: float) -> Found:
    """The boxes with a score of at least `least`."""
    kept = found["scores"] >= least
    return {name: value[kept] for name, value in found.items()}


def _name(config: DetectConfig) -> str:
    """A folder's name that says what the run was."""
    parts = ["detect", Path(config.data).name, config.model, config.policy]
    numbers = f"{config.optimizer}-lr{config.lr:g}-epochs{config.epochs}-seed{config.seed}"
    words = "-".join(parts)[:100] + "-" + numbers
    return "".join(c if c.isalnum() or c in "-+._" else "_" for c in words)
