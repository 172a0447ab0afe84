"""`mixwell train segment`: one training of a segmentation network, written to a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mixwell.cli import console
from mixwell.cli.options import config_of, options_of
from mixwell.recipes.segmentation.config import SegmentConfig
from mixwell.recipes.segmentation.segment import segment as run

if TYPE_CHECKING:
    from mixwell.recipes.segmentation.loop import SegmentResult

Options = options_of(SegmentConfig)
_DEFAULTS = Options()


def segment(*, options: Annotated[Options, Parameter(name="*")] = _DEFAULTS) -> int:  # type: ignore[valid-type]
    """Train a segmentation network and write the run, with pictures, to a folder."""
    config = config_of(SegmentConfig, options)
    with console.keeping(config.out or "runs"):
        result = run(config)
    if not config.quiet:
        _tell(result)
    return console.kept(config.out or "runs") if result.interrupted else 0


def _tell(result: SegmentResult) -> None:
    found = result.measured
    if found is not None:
        rows = [
            ("pixel accuracy", f"{found.pixel_accuracy:.2%}"),
            ("mean IoU", f"{found.mean_iou:.2%}"),
            *(
                (f"  {k}", "absent" if v is None else f"{v:.2%}")
                for k, v in found.per_class.items()
            ),
            ("train loss, last epoch", f"{result.train_loss:.4f}"),
            ("epochs", f"{result.epochs}"),
            ("parameters", f"{result.parameters:,}"),
            ("images per second", f"{result.images_per_second:,.1f}"),
            ("seconds", f"{result.seconds:.1f}"),
        ]
        console.figures(rows)
