"""`mixwell preview`: a contact sheet of a policy on image files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mixwell.cli import console


def preview(
    policy: str,
    /,
    *images: Path,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("sheet.png"),
    check: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    gradation: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    copies: int = 4,
    seed: int = 0,
    epoch: int = 0,
    size: int | None = None,
    words: bool = True,
    most: int = 16,
    boxes: str | None = None,
) -> int:
    """Draw what a policy makes of your images, each output with its label as a bar.

    Args:
        policy: A ready-made policy's name (see `mixwell policies`), a TOML file, or code such as
            "Policy(CutMix())".
        images: Image files; each counts as a class of its own.
        output: The sheet's file.
        check: Also look for black outputs and for labels that differ from the pixels, measured by
            rendering; exit 1 where there are any.
        gradation: Also draw the first two images mixed by degrees, beside the sheet.
        copies: Outputs for each image.
        seed: Another seed, other draws.
        epoch: For schedules, and for other draws.
        size: Side in px to which the images are brought first.
        words: Print what is done under each picture.
        most: How many of the images are drawn, at most, spread evenly over those named.
        boxes: A detection data set in place of image files: "embedded", or a folder in COCO's,
            VOC's or YOLO's format; boxes are drawn with class, weight and source.
    """
    if boxes is not None:
        return _with_boxes(policy, boxes, output, copies=copies, seed=seed, epoch=epoch)
    from mixwell import preview as home

    result = home.preview(
        policy,
        images,
        output,
        check=check,
        gradation=gradation,
        copies=copies,
        seed=seed,
        epoch=epoch,
        size=size,
        words=words,
        most=most,
    )
    out = console.standard()
    if result.drawn < len(images):
        out.print(f"{result.drawn} of {len(images)} images are drawn; --most says how many.")
    if result.size is not None and size is None:
        out.print(f"The images were brought to {result.size} px, since they differ in size.")
    for path in (result.sheet, result.gradation):
        if path is not None:
            out.print(f"wrote {path}", markup=False, soft_wrap=True)
    return _tell_report(result.report) if result.report is not None else 0


def _with_boxes(policy: str, data: str, output: Path, **options: int) -> int:
    from mixwell.preview_boxes import preview_boxes

    result = preview_boxes(policy, data, output, **options)
    out = console.standard()
    out.print(f"wrote {result.sheet}", markup=False, soft_wrap=True)
    lost = ", ".join(f"{count} {why}" for why, count in sorted(result.lost.items())) or "none"
    out.print(f"{result.boxes_in} boxes read, {result.boxes_out} drawn; dropped: {lost}")
    out.print("[dim]w: a box's weight where it is not 1; #: the image that it came from[/dim]")
    return 0


def _tell_report(report) -> int:
    out = console.standard()
    out.print(
        f"checked {report.outputs} outputs: {report.black} black, {report.unchanged} unchanged, "
        f"{report.bad_sums} labels that do not sum to 1, {report.bad_shares} labels that differ "
        f"from the pixels (largest difference {report.worst:.6f})",
        soft_wrap=True,
    )
    if report.ok:
        return 0
    console.tell("the check found " + "; ".join(report.faults) + ".")
    return 1
