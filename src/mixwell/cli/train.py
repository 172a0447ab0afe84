"""`mixwell train`: one training run, written to a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from mixwell.cli import console
from mixwell.cli.data_argument import resolve_data, tell_split
from mixwell.cli.options import DATA, config_of, options_of
from mixwell.recipes.classify import ClassifyConfig
from mixwell.recipes.classify import classify as run
from mixwell.recipes.progress import first_process

if TYPE_CHECKING:
    from mixwell.recipes.loop import Result

app = App(name="train", help="Train a model with a policy.")

Options = options_of(ClassifyConfig, special={"data": DATA})
_DEFAULTS = Options()


@app.command
def classify(*, options: Annotated[Options, Parameter(name="*")] = _DEFAULTS) -> int:  # type: ignore[valid-type]
    """Train an image classifier and write the run to a folder."""
    data, data_dir = resolve_data(options.data, options.data_dir, options.download)
    if not options.quiet:
        tell_split(data, data_dir)
    config = config_of(ClassifyConfig, options, data=data, data_dir=data_dir)
    with console.keeping(config.out or "runs"):
        result = run(config)
    if not config.quiet and first_process():
        _tell(result)
    if result.interrupted:
        return console.kept(config.out or "runs")
    return 0


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
    shown = console.table("", "")
    shown.show_header = False
    for name, value in rows:
        if value:
            shown.add_row(f"[dim]{name}[/dim]", value)
    console.standard().print(shown)
