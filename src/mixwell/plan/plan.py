"""`Plan`: the steps, which samples they read, and where they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from mixwell._errors import PlanError
from mixwell._rng import Keys
from mixwell.plan.check import check_plan
from mixwell.plan.steps import Edit, Mix


@dataclass(frozen=True, eq=False)
class Plan:
    """All that will be done to a batch: N input rows become B outputs.

    Attributes:
        in_hw: int32 [N, 2], height and width of each input row, px.
        steps: `Edit` and `Mix` steps in order.
        inputs: int64 [N], the sample that each row reads (its index in the data set); counts
            0 .. N - 1 when None is given.
        seed: seed the plan was sampled with, None for a plan written by hand.
        keys: keys the plan was sampled with, one row for each output.
        policy_digest: digest of the policy, "" for a plan written by hand.

    Raises:
        PlanError: an array breaks a rule of the format; the message names step, row and value.
    """

    in_hw: np.ndarray
    steps: tuple[Edit | Mix, ...] = ()
    inputs: np.ndarray = field(default=None)  # type: ignore[assignment]
    seed: int | None = None
    keys: Keys | None = None
    policy_digest: str = ""

    def __post_init__(self) -> None:
        """Take over the caller's arrays, fill in `inputs` and check every rule."""
        object.__setattr__(self, "in_hw", np.array(self.in_hw, np.int32).reshape(-1, 2))
        inputs = np.arange(len(self.in_hw)) if self.inputs is None else self.inputs
        object.__setattr__(self, "inputs", np.array(inputs, np.int64))
        object.__setattr__(self, "steps", tuple(self.steps))
        check_plan(self.in_hw, self.inputs, self.steps)
        if self.keys is not None and len(self.keys) != len(self):
            raise PlanError(
                f"Plan.keys must have a row for each of the {len(self)} outputs, got "
                f"{len(self.keys)}."
            )

    def __len__(self) -> int:
        """Number of outputs, B."""
        return len(self.out_hw)

    @property
    def rows(self) -> int:
        """Number of input rows, N."""
        return len(self.in_hw)

    @property
    def out_hw(self) -> np.ndarray:
        """Sizes of the outputs, int32 [B, 2]."""
        return self._sizes()[-1]

    def _sizes(self) -> list[np.ndarray]:
        """Row sizes before the first step and after each."""
        sizes = [self.in_hw]
        for step in self.steps:
            sizes.append(step.out_hw(sizes[-1]))
        return sizes

    def sources(self) -> tuple[np.ndarray, np.ndarray]:
        """Which input rows each output shows, and by which share: what labels say.

        Exact through chained mixes (see `plan.shares`), and true unless a `Mix.label` says
        otherwise. Rows of the result sum to 1, except for an output that shows nothing but fill,
        whose shares are 0.

        Returns:
            rows int64 [B, S] and shares float64 [B, S]; unused places have share 0.
        """
        from mixwell.plan.shares import sources

        return sources(self.in_hw, self.steps)

    def take(self, outputs: Sequence[int] | np.ndarray | slice) -> Plan:
        """The plan of some outputs; input rows that they do not need are left out."""
        from mixwell.plan.shares import part_of

        needed = np.arange(len(self))[outputs]
        keys = self.keys.take(needed) if self.keys is not None else None
        needed, steps = part_of(self.steps, needed)
        return replace(
            self,
            in_hw=self.in_hw[needed],
            inputs=self.inputs[needed],
            steps=steps,
            keys=keys,
        )

    def __getitem__(self, outputs: int | slice | np.ndarray | Sequence[int]) -> Plan:
        """`plan[4:8]`: the plan of some outputs; `plan[4]`: of one."""
        return self.take([outputs] if isinstance(outputs, int | np.integer) else outputs)

    @staticmethod
    def concat(plans: Sequence[Plan]) -> Plan:
        """One plan for several batches; all must have the same kinds of step in the same order.

        Raises:
            PlanError: no plan, or the plans' steps differ in kind.
        """
        if not plans:
            raise PlanError("Plan.concat needs at least one plan, got none.")
        kinds = {tuple(type(s).__name__ for s in p.steps) for p in plans}
        if len(kinds) > 1:
            raise PlanError(f"Plan.concat needs plans with the same kinds of step, got {kinds}.")
        seeds, digests = {p.seed for p in plans}, {p.policy_digest for p in plans}
        steps: list[Edit | Mix] = []
        offsets = np.cumsum([0] + [p.rows for p in plans])
        for group in zip(*(p.steps for p in plans), strict=True):
            if isinstance(group[0], Mix):
                moved = [
                    replace(m, source=(m.source + o).astype(np.int32))
                    for m, o in zip(group, offsets, strict=False)
                ]
                steps.append(Mix.stack(moved))
                offsets = np.cumsum([0] + [m.rows for m in group])
            else:
                steps.append(Edit.stack(list(group)))
        return Plan(
            in_hw=np.concatenate([p.in_hw for p in plans]),
            inputs=np.concatenate([p.inputs for p in plans]),
            steps=tuple(steps),
            seed=plans[0].seed if len(seeds) == 1 else None,
            policy_digest=plans[0].policy_digest if len(digests) == 1 else "",
        )

    def fused(self) -> Plan:
        """The same plan with adjacent warps composed, so that pixels are resampled once."""
        from mixwell.plan.fuse import fuse_edit

        sizes = self._sizes()
        steps = tuple(
            fuse_edit(step, size) if isinstance(step, Edit) else step
            for step, size in zip(self.steps, sizes, strict=False)
        )
        plan = object.__new__(Plan)  # fusing keeps every rule, so there is nothing to check again
        plan.__dict__.update(self.__dict__, steps=steps)
        return plan

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Every array with its name, in a fixed order: what `digest` and `save` go through."""
        yield "in_hw", self.in_hw
        yield "inputs", self.inputs
        for i, step in enumerate(self.steps):
            for f in fields(step):
                array = getattr(step, f.name)
                if array is not None:
                    yield f"{i}.{type(step).__name__}.{f.name}", array

    def digest(self) -> str:
        """A fingerprint of all arrays; equal digests mean equal work (on one machine)."""
        hasher = hashlib.blake2b(digest_size=16)
        for name, array in self.arrays():
            hasher.update(f"{name}:{array.dtype.str}:{array.shape}".encode())
            hasher.update(np.ascontiguousarray(array).tobytes())
        return hasher.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the plan to one file (npz with a JSON header; exact, versioned, no pickle)."""
        from mixwell.plan.store import save

        save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan written by `save`."""
        from mixwell.plan.store import load

        return load(Path(path))

    def __repr__(self) -> str:
        """One line that tells a person what will happen."""
        from mixwell.plan.words import summary

        return summary(self)

    def describe(self, output: int) -> str:
        """What happens to one output, in words."""
        from mixwell.plan.words import describe

        return describe(self, output)
