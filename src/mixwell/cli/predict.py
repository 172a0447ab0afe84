"""`mixwell predict`: what a trained detector finds on images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

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
    """Find objects on images with a detector that `mixwell train detect` trained.

    Writes predictions.json in COCO's format and an annotated picture of each image.

    Args:
        run: The folder of the run.
        images: Image files, and folders of such.
        out: The folder to write to.
        score_threshold: Least score of a box that is written, 0 .. 1; the run's own when not given.
        pictures: Whether pictures are written.
        device: auto (cuda where there is one), cpu or cuda.
        overwrite: Write over predictions that are in the folder.
    """
    from mixwell.recipes.detection.predict import predict as find

    found = find(
        run,
        images,
        out,
        score_threshold=score_threshold,
        pictures=pictures,
        device=device,
        overwrite=overwrite,
    )
    shown = console.standard()
    by_class = ", ".join(f"{n} {name}" for name, n in found.by_class.items() if n)
    shown.print(f"{found.boxes} boxes: {by_class or 'none'}", markup=False, soft_wrap=True)
    shown.print(f"wrote {found.json}", markup=False, soft_wrap=True)
    if found.pictures:
        where = found.json.parent
        shown.print(f"wrote {len(found.pictures)} pictures to {where}", markup=False)
    for path, why in found.skipped.items():
        console.tell(f"skipped {path}: {why}")
    return 1 if found.skipped else 0
