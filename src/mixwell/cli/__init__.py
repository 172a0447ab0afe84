"""The command line: `mixwell train`, `predict`, `compare`, `preview` and so on.

Each command lives in a module of its own that is imported when the command runs, so that
`mixwell --help` does not wait for torch. Whatever is wrong with the input ends in one line on
standard error and an exit code: 1 for bad input, 2 for bad usage, 130 after Ctrl-C. With
`MIXWELL_TRACEBACK=1` the traceback is shown too.
"""

from __future__ import annotations

from collections.abc import Sequence

from cyclopts import App, CycloptsError, UnusedCliTokensError

from mixwell import __version__
from mixwell.cli import console

app = App(
    name="mixwell",
    help="Decide once, apply everywhere: image augmentation and mixing as plans.",
    version=__version__,
    suppress_keyboard_interrupt=False,
)
app.command("mixwell.cli.train:app", name="train", help="Train a model with a policy.")
app.command(
    "mixwell.cli.compare:compare",
    name="compare",
    help="Train several policies from the same weights and compare them.\n\nWrites report.html, "
    "report.md, plot.png, results.csv and results.json.",
)
app.command(
    "mixwell.cli.preview:preview",
    name="preview",
    help="Draw what a policy makes of your images; check its labels on pixels.",
)
app.command(
    "mixwell.cli.stylize:stylize",
    name="stylize",
    help="Paint one picture in the colours and strokes of another.",
)
app.command(
    "mixwell.cli.kaggle:app",
    name="kaggle",
    help="From a competition's files to a submission.",
)
app.command(
    "mixwell.cli.predict:predict",
    name="predict",
    help="Find objects, or the class of each pixel, on images.\n\nFor runs of `mixwell train "
    "detect` (predictions.json in COCO's format, annotated pictures) and of `mixwell train "
    "segment` (predictions.json, index masks, pictures in colours).",
)
app.command("mixwell.cli.policies:app", name="policies", help="List the ready-made policies.")
app.command(
    "mixwell.cli.bench:bench",
    name="bench",
    help="Measure speed against the libraries that are installed, in one run.",
)
app.command(
    "mixwell.cli.doctor:doctor",
    name="doctor",
    help="Say what is installed and which devices and backends work here.",
)


def main(tokens: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        tokens: the arguments; those of the process when None is given.

    Returns:
        The exit code.
    """
    try:
        code = app(
            list(tokens) if tokens is not None else None,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except CycloptsError as error:
        console.tell(_usage(error), error)
        return 2
    except KeyboardInterrupt as error:
        console.tell(str(error) or "stopped.", error)
        return console.INTERRUPTED
    except BrokenPipeError:
        return console.close_quietly()
    except console.EXPECTED as error:
        console.tell(console.one_line(error), error)
        return 1
    return code if isinstance(code, int) else 0


def _usage(error: CycloptsError) -> str:
    """What was wrong with the usage, in words."""
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected argument: {' '.join(error.unused_tokens or ())}. Try --help."
    return str(error)
