"""`mixwell stylize`: the things of one picture in the colours and strokes of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mixwell.cli import console
from mixwell.cli.options import Special, config_of, options_of
from mixwell.recipes.stylize import StylizeConfig, StylizeOptions
from mixwell.recipes.stylize import stylize as run

_SPECIAL = {
    name: Special(list[str], (), text)
    for name, text in (
        ("content_layers", "names of modules; the network's usual ones when left out."),
        ("style_layers", "the same."),
    )
}
Options = options_of(StylizeOptions, special=_SPECIAL)
_DEFAULTS = Options()


def stylize(
    content: Path,
    style: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = StylizeConfig.out,
    options: Annotated[Options, Parameter(name="*")] = _DEFAULTS,  # type: ignore[valid-type]
) -> int:
    """Paint the things of one picture in the colours and strokes of another.

    Writes the picture, and beside it its losses as CSV and curves, its settings, and intermediate
    pictures.

    Args:
        content: The image file whose things stay.
        style: The image file whose colours and strokes they take.
        output: The picture's file.
    """
    config = config_of(
        StylizeConfig,
        options,
        content=content,
        style=style,
        out=output,
        content_layers=tuple(options.content_layers),
        style_layers=tuple(options.style_layers),
    )
    made = run(config)
    height, width = made.picture.shape[:2]
    out = console.standard()
    parts = ", ".join(f"{name} {value:.4g}" for name, value in made.losses.items())
    told = f"{width} x {height} px, {len(made.rows)} steps, {made.seconds:.1f} s; {parts}"
    out.print(told, soft_wrap=True)
    out.print(f"wrote {made.out}", markup=False, soft_wrap=True)
    return console.kept(made.out) if made.interrupted else 0
