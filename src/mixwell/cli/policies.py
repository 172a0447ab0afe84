"""`mixwell policies`: the ready-made policies, one of them in full, and what strengths mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from mixwell._errors import DataError
from mixwell.cli import console

if TYPE_CHECKING:
    from mixwell.policy import Policy

PLACED_SIZE = 320
"""Side in px that policies for boxes and masks are shown for, unless told otherwise."""

app = App(name="policies", help="List the ready-made policies.")


@app.default
def list_policies() -> None:
    """List the ready-made policies, one line each."""
    out = console.standard()
    for title, summaries in _groups().items():
        shown = console.table("policy", "what it does", title=title)
        for name, summary in summaries.items():
            shown.add_row(name, summary)
        out.print(shown)
        out.print()
    out.print("[dim]mixwell policies show NAME prints one as code and as TOML.[/dim]")


def _groups() -> dict[str, dict[str, str]]:
    """Names and summaries of all ready-made policies, by what they are for."""
    from mixwell.policy.presets import preset_names, preset_summary
    from mixwell.recipes.detection.policies import detection_names, detection_summary
    from mixwell.recipes.segmentation.policies import SUMMARIES

    return {
        "basics": {name: preset_summary(name) for name in preset_names("basics")},
        "published": {name: preset_summary(name) for name in preset_names("published")},
        "detection": {name: detection_summary(name) for name in detection_names()},
        "segmentation": dict(SUMMARIES),
    }


@app.command
def show(
    name: str,
    /,
    *,
    size: Annotated[
        int | None,
        Parameter(
            help="Side of the images in px; when left out a preset's own, and 320 for detection "
            "and segmentation."
        ),
    ] = None,
    flip: Annotated[bool, Parameter(help="Whether mirror images keep their label.")] = True,
) -> None:
    """Print a policy as code and as TOML; of a published one also where it comes from.

    Args:
        name: A ready-made policy's name, a TOML file, or code such as "Policy(CutMix())".
    """
    policy = _policy(name, size, flip)
    for line in _about(name):
        print(f"# {line}".rstrip())
    print(f"# as code\n{policy!r}\n\n# as TOML\n{policy.to_toml().rstrip()}")


def _policy(name: str, size: int | None, flip: bool) -> Policy:
    """Any policy that a command of mixwell takes by name."""
    from mixwell.policy.presets import parse_policy
    from mixwell.recipes.detection.policies import detection_names, detection_policy
    from mixwell.recipes.segmentation.policies import SUMMARIES, segmentation_policy

    if name in detection_names():
        return detection_policy(name, size or PLACED_SIZE, square=False, flip=flip)
    if name in SUMMARIES:
        side = size or PLACED_SIZE
        return segmentation_policy(name, (side, side), flip=flip)
    return parse_policy(name, size, flip=flip)


@app.command
def sheet(
    folder: Path,
    /,
    *images: Path,
    credit: Annotated[str, Parameter(help="A line about the photographs.")] = "",
) -> None:
    """Write a page of every op with pictures: FOLDER/ops.md and FOLDER/ops/*.jpg.

    Args:
        folder: An existing folder.
        images: Two or more photographs; scikit-learn's where none are given.
    """
    from mixwell.viz.ops import write_page

    if not folder.is_dir():
        raise DataError(f"A page needs an existing folder, got none at {folder}. Make it first.")
    page, *pictures = write_page(folder, _photographs(images), credit=credit)
    console.standard().print(f"wrote {page} and {len(pictures)} pictures", markup=False)


def _photographs(paths: Sequence[Path]) -> list:
    """The images, or those that come with scikit-learn."""
    if paths:
        from PIL import Image

        from mixwell.recipes.data.decode import decode_rgb

        return [Image.fromarray(decode_rgb(path)) for path in paths]
    try:
        from sklearn.datasets import load_sample_images
    except ImportError:
        raise DataError(
            "Photographs are missing and scikit-learn, which has some, is not installed. Name two "
            "or more image files, or run `pip install scikit-learn`."
        ) from None
    return list(load_sample_images().images)


def _about(name: str) -> list[str]:
    """What is known of a published recipe, in lines, and an empty one."""
    from mixwell.policy.published import PUBLISHED

    if name not in PUBLISHED:
        return []
    recipe = PUBLISHED[name]
    lines = [recipe.summary, f"paper: {recipe.paper}", f"read in: {recipe.source}", ""]
    lines.append(f"trained on: {recipe.size} px")
    for what, value in recipe.settings.items():
        lines.append(f"{what}: {value}" + (" (not checked)" if what in recipe.unchecked else ""))
    lines += ["", *(f"differs: {text}" for text in recipe.differs)]
    return lines if not recipe.differs else [*lines, ""]


@app.command
def levels(
    space: str = "mixwell",
    /,
    *,
    magnitude: Annotated[float | None, Parameter(help="One more column, in bins.")] = None,
    bins: Annotated[int | None, Parameter(help="Number of bins; else the space's usual.")] = None,
    size: Annotated[int, Parameter(help="Side of the images in px.")] = 224,
) -> None:
    """Print what the magnitudes of automatic policies mean, op by op.

    Args:
        space: Whose levels: "mixwell", "timm", "torchvision-pil", ...
    """
    from mixwell.policy.spaces import SPACES, show

    print(show(space, magnitude, bins, (size, size)))
    print(f"\nSpaces: {', '.join(SPACES)}")
