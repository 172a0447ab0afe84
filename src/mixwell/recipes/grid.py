"""From texts to the policies of a comparison: names, and values of ops' fields in combination."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mixwell as mw
from mixwell.recipes.models.pretrained import SCRATCH

SCRATCH_LABEL = "scratch"
Grid = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Candidate:
    """One policy to compare: what it is called, what it is, and what it begins with.

    Args:
        name: stands in the table.
        policy: the policy.
        of_grid: whether the grid made it.
        weights: the initial weights, ``"none"``, a name or a file; "" where that is no question.
    """

    name: str
    policy: mw.Policy
    of_grid: bool = False
    weights: str = ""


def named(text: str) -> tuple[str, str]:
    """``"mild=Policy(...)"`` as its name and its code; other texts are their own names."""
    name, equals, code = text.partition("=")
    return (name, code) if equals and name.isidentifier() else (text, text)


def expanded(candidate: Candidate, grid: Grid) -> list[Candidate]:
    """The candidate in all combinations of the grid.

    Args:
        candidate: a policy.
        grid: values by field; an op takes them if it has all the fields, also inside `Sometimes`,
            `OneOf` and the like.

    Returns:
        One candidate for each combination, or the given one alone where no op has the fields.
    """
    made = []
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        policy = mw.Policy(*(_with(op, chosen) for op in candidate.policy.ops))
        words = " ".join(f"{name}={value}" for name, value in chosen.items())
        made.append(Candidate(f"{candidate.name} {words}", policy, of_grid=True))
    untouched = all(repr(other.policy) == repr(candidate.policy) for other in made)
    return [candidate] if untouched else made


def _with(op: Any, chosen: dict[str, Any]) -> Any:
    """The op with the fields' new values, there or in the ops inside it."""
    own = {field.name: getattr(op, field.name) for field in dataclasses.fields(op)}
    if chosen and set(chosen) <= set(own):
        return dataclasses.replace(op, **chosen)
    if "ops" in own:
        inner = [_with(part, chosen) for part in own.pop("ops")]
        return type(op)(*inner, **own)
    if "op" in own:
        return dataclasses.replace(op, op=_with(op.op, chosen))
    return op


def with_baseline(
    given: Sequence[Candidate], found: Sequence[Candidate], baseline: str | None
) -> tuple[list[Candidate], str | None]:
    """The candidates with one to compare with that the grid did not make.

    A grid point is no baseline: which one came first is chance. So the policy that would have been
    the baseline without a grid stays as it was given, unless `none` is there to take its place.

    Args:
        given: the policies before the grid.
        found: the policies after it.
        baseline: the name asked for, or None.

    Returns:
        The candidates, and the baseline's name.
    """
    whole = [candidate.name for candidate in found if not candidate.of_grid]
    if baseline is None:
        first = given[0].name
        baseline = first if first in whole or "none" not in whole else "none"
    kept = [c for c in given if c.name == baseline and c.name not in whole]
    return [*kept, *found], baseline


def crossed(
    candidates: Sequence[Candidate], baseline: str, weights: Sequence[str]
) -> tuple[list[Candidate], str]:
    """Each candidate with each of the initial weights.

    Args:
        candidates: policies.
        baseline: the name of one of them.
        weights: ``"none"``, names or files, under a name of its own where one is given:
            ``"keras=weights.npz"``. The first are the baseline's.

    Returns:
        The candidates and the baseline's name.
    """
    sources = [_labelled(text) for text in weights]
    made = [
        dataclasses.replace(c, name=f"{c.name}, {label}", weights=source)
        for c in candidates
        for label, source in sources
    ]
    return made, f"{baseline}, {sources[0][0]}"


def _labelled(text: str) -> tuple[str, str]:
    """What weights are called in the table, and what they are."""
    name, source = named(text)
    if name == text:
        name = SCRATCH_LABEL if text == SCRATCH else Path(text).stem
    return name, source


def check_names(candidates: Sequence[Candidate], baseline: str | None) -> str:
    """The baseline's name, the first candidate's when None is given.

    Raises:
        PolicyError: two candidates share a name, or the baseline is none of them.
    """
    names = [candidate.name for candidate in candidates]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise mw.PolicyError(f"Policies need names of their own, got {', '.join(twice)} twice.")
    if baseline is not None and baseline not in names:
        raise mw.PolicyError(
            f"The baseline must be one of the policies compared ({', '.join(names)}), got "
            f"{baseline!r}. Add it to the policies."
        )
    return baseline or names[0]
