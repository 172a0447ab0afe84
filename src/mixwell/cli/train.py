"""`mixwell train`: one training run, written to a folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from mixwell.cli import console
from mixwell.cli.data_argument import resolve_data, tell_split
from mixwell.cli.options import DATA, config_of, options_of
from mixwell.recipes.classify import ClassifyConfig
from mixwell.recipes.classify import classify as run
from mixwell.recipes.detection.config import DetectConfig
from mixwell.recipes.detection.detect import detect as run_detect
from mixwell.recipes.detection.detect import percent
from mixwell.recipes.finetune import FinetuneConfig
from mixwell.recipes.finetune import finetune as run_finetune
from mixwell.recipes.progress import first_process

if TYPE_CHECKING:
    from mixwell.recipes.detection.loop import DetectResult
    from mixwell.recipes.loop import Result

app = App(name="train", help="Train a model with a policy.")
app.command(
    "mixwell.cli.segment:segment",
    name="segment",
    help="Train a segmentation network and write the run, with pictures, to a folder.",
)

Options = options_of(ClassifyConfig, special={"data": DATA})
_DEFAULTS = Options()
FinetuneOptions = options_of(FinetuneConfig, special={"data": DATA})
_FINETUNE_DEFAULTS = FinetuneOptions()
DetectOptions = options_of(DetectConfig)
_DETECT_DEFAULTS = DetectOptions()


@app.command
def classify(*, options: Annotated[Options, Parameter(name="*")] = _DEFAULTS) -> int:  # type: ignore[valid-type]
    """Train an image classifier and write the run to a folder."""
    return _classifier(ClassifyConfig, run, options)


@app.command
def finetune(
    *,
    options: Annotated[FinetuneOptions, Parameter(name="*")] = _FINETUNE_DEFAULTS,  # type: ignore[valid-type]
) -> int:
    """Fine-tune a trained network on other images and write the run to a folder."""
    return _classifier(FinetuneConfig, run_finetune, options)


def _classifier(kind: type[ClassifyConfig], recipe: Callable[..., Result], options: Any) -> int:
    data, data_dir = resolve_data(options.data, options.data_dir, options.download)
    if not options.quiet:
        tell_split(data, data_dir)
    config = config_of(kind, options, data=data, data_dir=data_dir)
    with console.keeping(config.out or "runs"):
        result = recipe(config)
    if not config.quiet and first_process():
        _tell(result)
    return console.kept(config.out or "runs") if result.interrupted else 0


@app.command
def detect(
    *,
    options: Annotated[DetectOptions, Parameter(name="*")] = _DETECT_DEFAULTS,  # type: ignore[valid-type]
) -> int:
    """Train an object detector and write the run to a folder."""
    config = config_of(DetectConfig, options)
    with console.keeping(config.out or "runs"):
        result = run_detect(config)
    if not config.quiet:
        _tell_found(result)
    return console.kept(config.out or "runs") if result.interrupted else 0


def _tell_found(result: DetectResult) -> None:
    found, rows = result.measured, []
    if found is not None:
        rows += [("mAP", percent(found.map)), ("mAP50", percent(found.map_50))]
        rows += [(f"  {name}", percent(value)) for name, value in found.per_class.items()]
    dropped = ", ".join(f"{n} {why}" for why, n in sorted(result.dropped.items()))
    rows += [
        ("boxes dropped by augmentation", dropped or "none"),
        ("epochs", f"{result.epochs}"),
        ("trained parameters", f"{result.parameters:,}"),
        ("images per second", f"{result.images_per_second:,.1f}"),
        ("seconds", f"{result.seconds:.1f}"),
    ]
    console.figures(rows)


def _tell(result: Result) -> None:
    rows = [
        ("test accuracy", f"{result.test_accuracy:.2%}"),
        ("train accuracy", f"{result.train_accuracy:.2%}" if result.train_accuracy else ""),
        ("mixed accuracy, last epoch", f"{result.mixed_accuracy:.2%}"),
        ("train loss, last epoch", f"{result.train_loss:.4f}"),
        ("epochs", f"{result.epochs}"),
        ("parameters", f"{result.parameters:,}"),
        ("images per second", f"{result.images_per_second:,.0f}"),
        ("seconds", f"{result.seconds:.1f}"),
    ]
    console.figures(rows)
