"""Population-based augmentation: a policy that changes from epoch to epoch as a search found it.

A schedule is a tuple of stages, (first epoch, ((op, chance, magnitude), ...)), so that a policy
with a schedule still prints as code. Files hold the same as TOML (`save_schedule` and
`load_schedule`); the log that the authors' search writes is read by `read_search_log`.
"""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, final

import numpy as np

from mixwell._errors import PolicyError
from mixwell.plan.steps import Edit
from mixwell.policy.auto import INTERPS
from mixwell.policy.base import EditOp, Rows
from mixwell.policy.fields import Fill, need
from mixwell.policy.spaces import Look, space

Stage = tuple[float, tuple[tuple[str, float, float], ...]]
Schedule = tuple[Stage, ...]

FORMAT, VERSION = "mixwell-schedule", 1

HOW_MANY = (0.2, 0.3, 0.5)
"""Chances of 0, 1 and 2 ops for an image, as in the paper."""

SEARCHED_OPS = (
    "AutoContrast",
    "Equalize",
    "Invert",
    "Rotate",
    "Posterize",
    "Solarize",
    "Color",
    "Contrast",
    "Brightness",
    "Sharpness",
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Cutout",
)
"""Ops in the order in which the authors' search numbers them."""


@final
@dataclass(frozen=True, repr=False)
class PopulationBased(EditOp):
    """Each image undergoes up to two ops of the present stage of a schedule (Ho et al. 2019,
    "Population Based Augmentation", arXiv 1905.05393).

    For each image none, one or two ops are allowed (chances 0.2, 0.3, 0.5). The stage's entries are
    gone through in a random order; each happens with its chance, until that many have happened.
    The authors' search has no SamplePairing, and neither has the space.

    The op holds the schedule itself rather than the path of a file: a policy then says all that it
    does, and its digest changes with the schedule.

    Args:
        schedule: stages (first epoch, ((op, chance, magnitude 0 .. 10), ...)) in order, the first
            from epoch 0 on.
        epochs: length of the training that the schedule was searched for; it is then stretched to
            the length of the present one (the authors cut each stage to whole epochs). None: epochs
            are taken as they are.
        interp: of the geometric ops, see `RandAugment`.
        fill: of the geometric ops and of Cutout, level(s) in image units. The authors show the mean
            colour, for CIFAR-10 (125, 122, 113).
        space: what strengths mean; "pba" has the authors' levels, with shears about the centre.

    Raises:
        PolicyError: at sampling, `epochs` is given and the keys do not say how long the training
            is.
    """

    schedule: Schedule
    epochs: int | None = None
    interp: str = "nearest"
    fill: Fill = 0.0
    space: str = "pba"
    moves = True
    interps = INTERPS

    def validate(self) -> None:
        """Check the stages."""
        need_schedule(self, self.schedule, space(self.space).names)
        good = self.epochs is None or (isinstance(self.epochs, int) and self.epochs >= 1)
        need(self, good, "epochs must be at least 1, or None", self.epochs)

    def stage(self, rows: Rows) -> tuple[tuple[str, float, float], ...]:
        """The entries of the rows' epoch; after the last stage has begun, it stays."""
        epoch: float = rows.keys.epoch
        if self.epochs is not None:
            if rows.keys.epochs is None:
                raise PolicyError(
                    f"PopulationBased(epochs={self.epochs}) stretches its schedule to the length "
                    "of the training, and the keys do not know it. Take keys from a "
                    "KeyedSampler(..., epochs=E), or leave epochs out."
                )
            epoch = epoch * self.epochs / rows.keys.epochs
        return [entries for start, entries in self.schedule if start <= epoch][-1]

    def sample(self, rows: Rows) -> Edit:
        """Two slots."""
        entries = self.stage(rows)
        if not entries:
            return Edit.nothing(rows.size_hw, 2)
        names = tuple(name for name, _, _ in entries)
        chance = np.array([chance for _, chance, _ in entries])
        strength = np.array([magnitude / 10 for _, _, magnitude in entries])
        allowed = rows.draws.choice("how many", np.array(HOW_MANY))
        order = rows.draws.permutation("order", len(entries))
        # Not "whether": that is what the op itself asks for its own chance p.
        passed = rows.draws.uniforms("entries", len(entries)) < chance
        place = np.where(np.take_along_axis(passed, order, axis=1), order, -1)
        nth = np.cumsum(place >= 0, axis=1)
        which = []
        for k in range(2):
            hit = (place >= 0) & (nth == k + 1) & (k < allowed)[:, None]
            which.append(np.where(hit, place, -1).max(axis=1, initial=-1))
        t = [np.where(drawn >= 0, strength[drawn], 0.0) for drawn in which]
        parts, look = [rows.child(k) for k in range(2)], Look(self.interp, self.fill)
        return space(self.space).slots(parts, names, which, t, look)


def need_schedule(subject: object, schedule: Any, known: tuple[str, ...]) -> None:
    """Check the stages of a schedule, its ops being among the known ones."""
    rule = "schedule must be a tuple of stages; load_schedule(path) reads a file"
    need(subject, isinstance(schedule, tuple), rule, schedule)
    need(subject, len(schedule) > 0, "schedule is empty", schedule)
    starts = []
    for stage in schedule:
        good = isinstance(stage, tuple) and len(stage) == 2 and isinstance(stage[1], tuple)
        need(subject, good and _is_number(stage[0]), "a stage is (first epoch, entries)", stage)
        starts.append(stage[0])
        for entry in stage[1]:
            good = isinstance(entry, tuple) and len(entry) == 3
            need(subject, good, "an entry is (op, chance, magnitude)", entry)
            name, chance, magnitude = entry
            need(subject, name in known, f"ops must be among {', '.join(known)}", name)
            good = _is_number(chance) and 0 <= chance <= 1
            need(subject, good, f"the chance of {name} must lie in 0 .. 1", chance)
            good = _is_number(magnitude) and 0 <= magnitude <= 10
            need(subject, good, f"the magnitude of {name} must lie in 0 .. 10", magnitude)
    rising = starts[0] == 0 and all(a < b for a, b in pairwise(starts))
    need(subject, rising, "stages must begin at epoch 0 and follow each other", tuple(starts))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def save_schedule(schedule: Schedule, path: str | Path) -> None:
    """Write a schedule as TOML.

    The file says format = "mixwell-schedule" and version = 1, and then each stage as

        [[stages]]
        start = 12
        ops = [["Rotate", 0.3, 4.0], ["Cutout", 1.0, 4.0]]

    which is the first epoch and (op, chance, magnitude 0 .. 10).
    """
    import tomli_w

    stages = [{"start": start, "ops": [list(e) for e in entries]} for start, entries in schedule]
    table = {"format": FORMAT, "version": VERSION, "stages": stages}
    Path(path).write_text(tomli_w.dumps(table), encoding="utf-8")


def load_schedule(path: str | Path) -> Schedule:
    """Read what `save_schedule` wrote, or what was written by hand in the same form.

    Raises:
        PolicyError: no such file, not TOML, or not a schedule. Names and ranges are checked by the
            op that is given the schedule.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PolicyError(f"Schedule {str(path)!r} cannot be read: {error}.") from None
    if table.get("format") != FORMAT or table.get("version") != VERSION:
        found = f"{table.get('format')!r} version {table.get('version')!r}"
        raise PolicyError(
            f"A schedule file begins with format = {FORMAT!r}, version = {VERSION}; {str(path)!r} "
            f"has {found}."
        )
    try:
        return tuple(
            (stage["start"], tuple((str(n), float(p), float(m)) for n, p, m in stage["ops"]))
            for stage in table["stages"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyError(f"Schedule {str(path)!r} has a broken stage: {error!r}.") from None


def read_search_log(text: str) -> Schedule:
    """A schedule from the log that the authors' search writes, such as their published ones.

    A line is one exploitation step, a Python list: trial, the trial it was cloned from, epochs of
    both, the parameters cloned and the parameters from then on. The last lines that form one
    lineage count. Parameters are 2 * 15 pairs (chance in tenths, magnitude), see `SEARCHED_OPS`;
    entries with chance 0 are left out. A line takes effect from the clone's epoch on. The log does
    not say how long the search was: the authors' were of 200 epochs for CIFAR-10 and of 160 for
    SVHN, which is `PopulationBased(schedule, epochs=200)`.

    Raises:
        PolicyError: a line is no such list, or the lineage goes back in time.
    """
    lines = [
        _log_line(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()
    ]
    if not lines:
        raise PolicyError("The search log is empty.")
    breaks = [i for i in range(len(lines) - 1) if lines[i][0] != lines[i + 1][1]]
    lines = lines[breaks[-1] + 1 :] if breaks else lines
    starts = [line[3] for line in lines]
    if any(a > b for a, b in pairwise(starts)) or starts[0] < 0:
        raise PolicyError(f"The search log's epochs must not go back, got {starts}.")
    stages: dict[float, tuple[tuple[str, float, float], ...]] = {0: _entries(lines[0][4])}
    for line in lines:
        stages[line[3]] = _entries(line[5])
    return tuple(sorted(stages.items()))


def _log_line(number: int, line: str) -> list[Any]:
    try:
        found = ast.literal_eval(line.strip())
        trial, cloned, _, start, old, new = found
        lists = [p["hp_policy"] if isinstance(p, dict) else p for p in (old, new)]
        good = isinstance(start, int) and all(len(p) == 4 * len(SEARCHED_OPS) for p in lists)
    except (ValueError, SyntaxError, TypeError, KeyError):
        good = False
    if not good:
        raise PolicyError(
            f"Line {number} of the search log must be a list of two trials, two epochs and two "
            f"lists of {4 * len(SEARCHED_OPS)} numbers, got {line[:60]!r}."
        )
    return [trial, cloned, None, start, *lists]


def _entries(numbers: list[int]) -> tuple[tuple[str, float, float], ...]:
    pairs = zip(numbers[0::2], numbers[1::2], strict=True)
    named = zip(SEARCHED_OPS * 2, pairs, strict=True)
    return tuple((name, p / 10, float(m)) for name, (p, m) in named if p > 0)
