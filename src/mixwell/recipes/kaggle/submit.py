"""From a trained search to a checked submission.csv."""

from __future__ import annotations

import json
import pickle
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

import mixwell as mw
from mixwell import DataError
from mixwell.policy.presets import parse_policy
from mixwell.recipes.classify import cpu_threads
from mixwell.recipes.kaggle.competition import Competition, form_from_json, read_competition
from mixwell.recipes.kaggle.predict import Predictor
from mixwell.recipes.kaggle.submission import check_submission, write_submission
from mixwell.recipes.kaggle.tables import few
from mixwell.recipes.models import build_model
from mixwell.recipes.progress import Counted

# What reading half a file, or none of ours, ends in.
_DAMAGED = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    EOFError,
    OSError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True, kw_only=True)
class SubmitConfig:
    """How a submission is made.

    Args:
        out: the CSV file; submission.csv in the run's folder when left out.
        competition: the prepared folder, where it has been moved since the training.
        unreadable: raise, or prior: a damaged image gets the shares of the classes among the
            labelled images; such images are counted and named.
        tta: average the logits of an image and its mirror image; as in training when left out.
        batch_size: images at once.
        num_workers: processes that decode.
        threads: CPU threads of PyTorch; its own choice when left out.
        device: auto, cpu or cuda.
        overwrite: write over the file.
        quiet: show nothing.
    """

    out: Path | None = None
    competition: Path | None = None
    unreadable: Literal["raise", "prior"] = "raise"
    tta: bool | None = None
    batch_size: int = 256
    num_workers: int = 2
    threads: int | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    overwrite: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: a number is out of range.
        """
        if self.batch_size < 1 or self.num_workers < 0:
            raise ValueError(
                "batch_size and num_workers must be at least 1 and 0, got "
                f"{self.batch_size} and {self.num_workers}."
            )


@dataclass
class Submitted:
    """A submission that was written and checked.

    Attributes:
        path: the file.
        rows: one for each image asked for.
        checked: whether there was a sample to check it against.
        damaged: ids of images that could not be read and got the shares of the classes.
        predicted: rows by most probable class.
        seconds: reading, predicting and writing.
    """

    path: Path
    rows: int = 0
    checked: bool = False
    damaged: list[str] = field(default_factory=list)
    predicted: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def submit(run: Path, config: SubmitConfig) -> Submitted:
    """Predict the images that a competition asks for and write the submission.

    Args:
        run: the folder that `search` wrote.
        config: where to, and how.

    Raises:
        DataError: no trained search, another competition, an image that cannot be read, or a file
            that is there already and `overwrite` is not set.
    """
    about, network = _trained(run)
    path = config.out or run / "submission.csv"
    if path.exists() and not config.overwrite:
        raise DataError(
            f"A submission needs a new file, got {path}. Name another --out, or give it up with "
            "--overwrite."
        )
    competition = _competition(about, run, config)
    submitted = Submitted(path)
    start = time.perf_counter()
    predictor = _predictor(about, network, config)
    ids = (row.id for row in competition.rows("test"))
    with cpu_threads(config.threads):
        shares = _rows(competition, predictor, config, submitted)
        submitted.rows = write_submission(path, competition.form, ids, shares)
    submitted.seconds = time.perf_counter() - start
    if competition.sample is not None:
        check_submission(path, competition.sample, competition.form)
        submitted.checked = True
    return submitted


def _trained(run: Path) -> tuple[dict[str, Any], nn.Module]:
    """What `search` kept."""
    weights, values = run / "model.pt", run / "model.json"
    if not (weights.is_file() and values.is_file()):
        raise DataError(
            f"Submitting needs model.pt and model.json, got neither or one of them in {run}. Run "
            "`mixwell kaggle train` to its end and give the folder it wrote."
        )
    try:
        about = json.loads(values.read_text())
        network = build_model(about["model"], len(about["form"]["classes"]))
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except _DAMAGED as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{run} is damaged: {why}. Train again.") from None
    return about, network.eval()


def _competition(about: dict[str, Any], run: Path, config: SubmitConfig) -> Competition:
    competition = read_competition(config.competition or Path(about["competition"]))
    ours = form_from_json(about["form"]).classes
    if competition.classes != ours:
        raise DataError(
            f"A submission needs the classes it was trained on, got {few(competition.classes)} in "
            f"{competition.folder} instead of {few(ours)} in {run}. Train again."
        )
    if not competition.counts["test"]:
        raise DataError(f"A submission needs test images, got none in {competition.folder}.")
    return competition


def _predictor(about: dict[str, Any], network: nn.Module, config: SubmitConfig) -> Predictor:
    name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name if config.device == "auto" else config.device)
    policy = parse_policy(about["eval_policy"])
    if about["size_hw"] is not None:
        policy = mw.Policy(mw.Resize(tuple(about["size_hw"])), *policy.ops)
    return Predictor(
        network=network.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        policy=policy,
        mean=tuple(about["mean"]),
        std=tuple(about["std"]),
        tta=about["tta"] if config.tta is None else config.tta,
        batch_size=config.batch_size,
        num_workers=config.num_workers,
        device=device,
    )


def _rows(
    competition: Competition, predictor: Predictor, config: SubmitConfig, submitted: Submitted
) -> Iterator[np.ndarray]:
    """The probabilities of each image to predict, in the order of the index."""
    paths = [str(competition.path(row)) for row in competition.rows("test")]
    names = (row.id for row in competition.rows("test"))
    prior = _prior(competition)
    with Counted("predicting", len(paths), quiet=config.quiet) as counted:
        for shares, damaged in predictor.batches(paths):
            ids = list(islice(names, len(shares)))
            if damaged.any():
                broken = [key for key, bad in zip(ids, damaged, strict=True) if bad]
                if config.unreadable == "raise":
                    raise DataError(
                        f"Every test image must decode, got damaged ones for {few(broken)}. "
                        "Replace the files, or give them the shares of the classes: "
                        "unreadable='prior' (--unreadable prior)."
                    )
                submitted.damaged += broken
                shares = np.where(damaged[:, None], prior, shares)
            for row in shares:
                submitted.predicted[competition.classes[int(row.argmax())]] += 1
            counted.add(len(shares))
            yield from shares


def _prior(competition: Competition) -> np.ndarray:
    """float64: the share of each class among the labelled images."""
    counts = Counter(row.label for row in competition.rows("train", "valid"))
    numbers = np.array([counts[name] for name in competition.classes], np.float64)
    return numbers / numbers.sum()
