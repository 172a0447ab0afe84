"""`mixwell kaggle`: from a competition's files to a submission."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from mixwell.cli import console
from mixwell.cli.lists import parse_grid, parse_seeds
from mixwell.cli.options import Special, config_of, options_of
from mixwell.recipes.kaggle.competition import Competition, read_competition
from mixwell.recipes.kaggle.config import PrepareConfig
from mixwell.recipes.kaggle.export import ExportConfig
from mixwell.recipes.kaggle.export import export as write_out
from mixwell.recipes.kaggle.prepare import prepare as read_in
from mixwell.recipes.kaggle.search import search
from mixwell.recipes.kaggle.settings import SearchConfig
from mixwell.recipes.kaggle.submission import check_submission, form_of, score
from mixwell.recipes.kaggle.submit import SubmitConfig
from mixwell.recipes.kaggle.submit import submit as predict
from mixwell.recipes.kaggle.tables import few, read_labels, read_sample
from mixwell.recipes.progress import first_process

app = App(name="kaggle", help="From a competition's files to a submission.")

_NOT_SEARCHED = (
    "data",
    "data_dir",
    "download",
    "train_fraction",
    "train_accuracy",
    "measure_every",
    "whiten",
)
_SPECIAL = {
    "grid": Special(
        list[str],
        (),
        "values to try in all combinations, such as lr=0.1,0.3 policy=standard,cutmix; a third of "
        "the usual learning rate and all of it, with standard and cutmix, when left out.",
    ),
    "seeds": Special(
        list[str],
        tuple(map(str, SearchConfig.seeds)),
        "runs of each combination, with spaces or commas between them.",
    ),
}
PrepareOptions = options_of(PrepareConfig)
SearchOptions = options_of(SearchConfig, special=_SPECIAL, omit=_NOT_SEARCHED)
SubmitOptions = options_of(SubmitConfig)
ExportOptions = options_of(ExportConfig)
_PREPARE, _SEARCH = PrepareOptions(), SearchOptions()
_SUBMIT, _EXPORT = SubmitOptions(), ExportOptions()
_Flat = Parameter(name="*")


@app.command
def prepare(source: Path, *, options: Annotated[PrepareOptions, _Flat] = _PREPARE) -> int:  # type: ignore[valid-type]
    """Read labels and images (folders, zip, tar or 7z), divide them, and write an index.

    Args:
        source: the competition's folder, or the archive of it.
    """
    config = config_of(PrepareConfig, options)
    done = read_in(source, config)
    if not config.quiet:
        _tell([*_about(done.competition), *done.left_out.items()])
        _say(f"prepared: {done.competition.folder}")
    return 0


@app.command
def train(prepared: Path, *, options: Annotated[SearchOptions, _Flat] = _SEARCH) -> int:  # type: ignore[valid-type]
    """Try settings on the split, choose, and train the best on every labelled image.

    Args:
        prepared: the folder that `mixwell kaggle prepare` wrote.
    """
    config = config_of(
        SearchConfig, options, grid=parse_grid(options.grid), seeds=parse_seeds(options.seeds)
    )
    competition = read_competition(prepared)
    with console.keeping(config.out or "runs"):
        done = search(competition, config)
    if done.interrupted:
        return console.kept(done.out)
    if not config.quiet and first_process():
        _say((done.out / "report.md").read_text().rstrip())
        _say(f"run: {done.out}")
    return 0


@app.command
def submit(run: Path, *, options: Annotated[SubmitOptions, _Flat] = _SUBMIT) -> int:  # type: ignore[valid-type]
    """Predict the images asked for and write a submission, checked against the sample.

    Args:
        run: the folder that `mixwell kaggle train` wrote.
    """
    config = config_of(SubmitConfig, options)
    done = predict(run, config)
    if not config.quiet:
        rows: list[tuple[str, Any]] = [("rows", done.rows)]
        rows += [("images per second", round(done.rows / max(done.seconds, 1e-9)))]
        rows += [("checked against the sample", "yes" if done.checked else "no: there is none")]
        if done.damaged:
            rows += [("damaged, given the shares of the classes", few(done.damaged))]
        common = done.predicted.most_common(3)
        rows += [
            (
                "most often predicted",
                ", ".join(f"{k} {100 * v / done.rows:.0f} %" for k, v in common),
            )
        ]
        _tell(rows)
        _say(f"submission: {done.path}")
    return 0


@app.command
def check(
    submission: Path,
    *,
    sample: Path,
    answers: Path | None = None,
    positive: str | None = None,
) -> int:
    """Compare a submission with the sample submission and, where they are known, the answers.

    Args:
        submission: the CSV file.
        sample: The sample submission.
        answers: CSV of ids and true labels: tells accuracy and log loss.
        positive: The class whose probability the submission holds, where it holds only that.
    """
    rows: list[tuple[str, Any]] = [("rows", check_submission(submission, sample))]
    if answers is not None:
        truth = read_labels(answers)
        form = form_of(read_sample(sample), truth.classes, positive)
        check_submission(submission, sample, form)
        found = score(submission, truth.of, form)
        if found.accuracy is not None:
            rows += [("accuracy", f"{found.accuracy:.2%}")]
        if found.log_loss is not None:
            rows += [("log loss", f"{found.log_loss:.4f}")]
    _tell(rows)
    return 0


@app.command
def export(data: str, *, options: Annotated[ExportOptions, _Flat] = _EXPORT) -> int:  # type: ignore[valid-type]
    """Write a data set out as a competition, with its answers, to practise on.

    Args:
        data: digits, cifar10 or cifar100.
    """
    config = config_of(ExportConfig, options)
    out, counts = write_out(data, config)
    if not config.quiet:
        _tell([(f"{part} images", count) for part, count in counts.items()])
        _say(f"competition: {out}")
    return 0


def _about(competition: Competition) -> list[tuple[str, Any]]:
    asked = {
        "label": "a class for each id",
        "probabilities": "the probability of each class",
        "positive": f"the probability of {competition.form.positive}",
    }
    size = competition.size_hw
    rows: list[tuple[str, Any]] = [("classes", len(competition.classes))]
    rows += [(f"{part} images", count) for part, count in competition.counts.items()]
    rows += [("training images' size", "various" if size is None else f"{size[1]} x {size[0]} px")]
    return [*rows, ("asked for", asked[competition.form.kind])]


def _tell(rows: list[tuple[str, Any]]) -> None:
    shown = console.table("", "")
    shown.show_header = False
    for name, value in rows:
        shown.add_row(f"[dim]{name}[/dim]", f"{value:,}" if isinstance(value, int) else str(value))
    console.standard().print(shown)


def _say(text: str) -> None:
    console.standard().print(text, markup=False, soft_wrap=True)
