"""`mixwell predict`: what a trained detector or segmentation network says of images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from mixwell import DataError
from mixwell.cli import console


def predict(
    run: Path,
    /,
    *images: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("predictions"),
    score_threshold: float | None = None,
    pictures: bool = True,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    overwrite: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Find objects, or the class of each pixel, on images.

    A detector (`mixwell train detect`) writes predictions.json in COCO's format and an annotated
    picture of each image. A segmentation network (`mixwell train segment`) writes an index mask and
    a picture in colours of each image, and predictions.json, which names files and classes.

    Args:
        run: The folder of the run, or the checkpoint in it.
        images: Image files, and folders of such.
        out: The folder to write to.
        score_threshold: Of a detector: least score of a box that is written, 0 .. 1; the run's own
            when not given.
        pictures: Whether pictures are written.
        device: auto (cuda where there is one), cpu or cuda.
        overwrite: Write over predictions that are in the folder.
    """
    from mixwell.recipes.runs import recipe_of

    options = {"pictures": pictures, "device": device, "overwrite": overwrite}
    if recipe_of(run, ("detect", "segment")) == "detect":
        found = _boxes(run, images, out, score_threshold=score_threshold, **options)
    elif score_threshold is None:
        found = _masks(run, images, out, **options)
    else:
        raise DataError(
            f"--score-threshold is for detectors, got {score_threshold:g} for the segmentation "
            f"network of {run}. Leave it out."
        )
    for path, why in found.skipped.items():
        console.tell(f"skipped {path}: {why}")
    if found.skipped:
        console.tell(f"files skipped: {len(found.skipped)}.")
    return 1 if found.skipped else 0


def _boxes(run: Path, images: tuple[Path, ...], out: Path, **options: Any) -> Any:
    from mixwell.recipes.detection.predict import predict as find

    found = find(run, images, out, **options)
    by_class = ", ".join(f"{n} {name}" for name, n in found.by_class.items() if n)
    few = "no box reached the score threshold; --score-threshold sets another"
    _say(f"{found.boxes} boxes: {by_class}" if found.boxes else few, f"wrote {found.json}")
    if found.pictures:
        _say(f"wrote {len(found.pictures)} pictures to {found.json.parent}")
    return found


def _masks(run: Path, images: tuple[Path, ...], out: Path, **options: Any) -> Any:
    from mixwell.recipes.segmentation.predict import predict as find

    found = find(run, images, out, **options)
    _say(f"{len(found.masks)} masks: {_shares(found.by_class) or 'none'}", f"wrote {found.json}")
    for what, files in (("masks", found.masks), ("pictures", found.pictures)):
        if files:
            _say(f"wrote {len(files)} {what} to {found.json.parent / what}")
    return found


def _shares(pixels: Mapping[str, int]) -> str:
    """The classes that there are, the largest first, with their shares of all pixels."""
    there = sorted((name for name, n in pixels.items() if n), key=lambda name: -pixels[name])
    whole = sum(pixels.values())
    return ", ".join(f"{pixels[name] / whole:.1%} {name}" for name in there)


def _say(*lines: str) -> None:
    for line in lines:
        console.standard().print(line, markup=False, soft_wrap=True)
