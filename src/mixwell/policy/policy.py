"""`Policy`: ops in order, from which plans are sampled."""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from mixwell._errors import PolicyError
from mixwell._rng import Ask, Draws, Keys
from mixwell.plan.check import SIDE_LIMIT
from mixwell.plan.follow import Follow, Things, follow
from mixwell.plan.outlines import Outlines
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Edit, Mix
from mixwell.policy.base import Op, OutSize, Rows, chained_size, sample_op
from mixwell.policy.pairing import need_company
from mixwell.policy.program import Program, Step


@dataclass(frozen=True, repr=False, init=False)
class Policy:
    """Ops in order: `Policy(RandomCrop(32, padding=4), HorizontalFlip(), CutMix())`.

    A policy draws nothing until `sample`; it prints as the code that builds it and round-trips
    through TOML (`to_toml`, `from_toml`).
    """

    ops: tuple[Op, ...]

    def __init__(self, *ops: Op) -> None:
        """Put ops in order."""
        for op in ops:
            if not isinstance(op, Op):
                raise PolicyError(
                    f"Policy takes ops as arguments, got {type(op).__name__}: {op!r}. "
                    "Write Policy(A(), B()), without a list."
                )
        object.__setattr__(self, "ops", tuple(ops))
        self._check_extra()

    def _check_extra(self) -> None:
        """Partners from the data set are there until the first op that mixes with them."""
        places = [i for i, op in enumerate(self.ops) if op.extra]
        if len(places) > 1:
            raise PolicyError(
                'Policy: one op may mix with partners from the data set (pairing="dataset"), got '
                f"{len(places)}. Put them into one OneOf."
            )
        for op in self.ops[: places[0] if places else 0]:
            if op.mixes or op.outputs > 1:
                raise PolicyError(
                    'Policy: an op with pairing="dataset" must stand before other mixers and '
                    f"Views, got it behind {op!r}. Put it first."
                )

    @cached_property
    def extra(self) -> int:
        """How many partners from the data set each image needs: 0 unless `pairing="dataset"`."""
        return max((op.extra for op in self.ops), default=0)

    def partner_indices(self, keys: Keys, length: int, *, seed: int = 0) -> np.ndarray:
        """Which samples the partners from the data set are; never the image's own sample.

        They are keyed by the image, so they do not depend on its batch.

        Args:
            keys: of the N images.
            length: of the data set.
            seed: 0 .. 2**64 - 1.

        Returns:
            int64 [N, extra].

        Raises:
            PolicyError: the data set has one sample, or fewer than the keys say.
        """
        if self.extra and (length < 2 or (len(keys) and keys.index.max() >= length)):
            raise PolicyError(
                'pairing="dataset" needs a data set of at least two samples that holds every '
                f"index, got {length} samples and index {keys.index.max(initial=0)}."
            )
        draws = Draws(keys, operator.index(seed), "partners")
        steps = [draws.integers(f"slot {e}", 1, max(length, 2)) for e in range(self.extra)]
        columns = [(keys.index + step) % max(length, 1) for step in steps]
        return np.stack(columns, axis=1) if columns else np.zeros((len(keys), 0), np.int64)

    @property
    def has_mix(self) -> bool:
        """Whether any op combines rows."""
        return any(op.mixes for op in self.ops)

    @property
    def shows_several(self) -> bool:
        """Whether an output may show several images, or one several times (AugMix)."""
        return any(op.mixes or op.compound for op in self.ops)

    @cached_property
    def sees_things(self) -> bool:
        """Whether any op looks at boxes, so that sampling needs them."""
        return any(op.sees_things for op in self.ops)

    @cached_property
    def moves_after_mix(self) -> bool:
        """Whether a geometric op follows a mix, so that label shares no longer fit the pixels."""
        mixed = False
        for op in self.ops:
            if mixed and op.moves:
                return True
            mixed = mixed or op.mixes
        return False

    @cached_property
    def out_size(self) -> OutSize:
        """What is known of the output size without any data."""
        size: OutSize = "uniform"
        for op in self.ops:
            size = chained_size(op, size)
        return size

    def sample(
        self,
        sizes_hw: np.ndarray,
        *,
        keys: Keys,
        seed: int = 0,
        labels: np.ndarray | None = None,
        partners: np.ndarray | None = None,
        things: Outlines | Follow | None = None,
    ) -> Plan:
        """Decide what happens to each row of a batch.

        Args:
            sizes_hw: int [N, 2], height and width of each image, px; with partners
                [N * (1 + extra), 2]: the images, then partner by partner.
            keys: who the N images are, see `Keys`.
            seed: 0 .. 2**64 - 1.
            labels: int [N], class numbers, for pairings that heed them.
            partners: int [N, extra], which samples were read as partners, see `partner_indices`.
            things: where boxes are in all rows, or a function that tells where they are behind some
                steps, for ops that look at them (`sees_things`).

        Returns:
            The plan, not fused (see `Plan.fused`).

        Raises:
            PolicyError: sizes and keys differ in number, or an op cannot serve these rows; the
                message names the op.
        """
        sizes = _checked_sizes(sizes_hw)
        inputs = _checked_inputs(self.extra, keys, partners)
        if len(sizes) != len(inputs):
            what = "image" if not self.extra else "image and its partners"
            raise PolicyError(
                f"Policy.sample needs a key for each {what}, got {len(sizes)} sizes "
                f"and {len(inputs)} keys."
            )
        classes = _checked_labels(labels, len(keys))
        draws = Draws(keys, operator.index(seed)).asked(self._asks)
        rows = Rows(sizes, draws, classes)
        if self.extra:  # until the op that mixes with them, partners are rows like the images
            rows = Rows(sizes, replace(draws, keys=_with_slots(keys, self.extra)))
        steps: list[Edit | Mix] = []
        for i, op in enumerate(self.ops):
            if op.extra:
                rows = Rows(rows.size_hw[: len(keys)], draws, classes, rows.size_hw)
            need_company(op, rows)
            if op.sees_things:
                rows = replace(rows, things=_behind(things, steps))
            step = _sample_named(op, rows.child(i))
            steps.extend(step.steps if isinstance(step, Program) else [step])
            rows = rows.after(step.out_hw(rows.size_hw))
        return Plan(
            in_hw=sizes,
            steps=_chained(steps),
            inputs=inputs,
            seed=draws.seed,
            keys=rows.keys,
            policy_digest=self.digest(),
        )

    def digest(self) -> str:
        """A fingerprint of the policy, the same wherever it is written the same."""
        return self._digest

    @cached_property
    def _asks(self) -> tuple[Ask, ...]:
        """What all ops ask of the batch's rows; partners and views are others."""
        asks: list[Ask] = []
        for i, op in enumerate(self.ops if not self.extra else ()):
            if op.outputs > 1:
                break
            asks += op.asks(f"/{i}")
        return tuple(asks)

    @cached_property
    def _digest(self) -> str:
        return hashlib.blake2b(repr(self).encode(), digest_size=16).hexdigest()

    def to_toml(self) -> str:
        """The policy as TOML text."""
        from mixwell.policy.text import to_toml

        return to_toml(self)

    @classmethod
    def from_toml(cls, text: str) -> Policy:
        """Read what `to_toml` wrote: literal values only, nothing is evaluated."""
        from mixwell.policy.text import from_toml

        return from_toml(text)

    def __repr__(self) -> str:
        """The code that builds the policy."""
        return f"Policy({', '.join(map(repr, self.ops))})"


def _behind(things: Outlines | Follow | None, steps: list[Edit | Mix]) -> Things | None:
    """Where things are behind the steps so far."""
    if things is None or callable(things):
        return None if things is None else things(steps)
    return Things(follow(things, steps))


def _chained(steps: list[Edit | Mix]) -> tuple[Edit | Mix, ...]:
    """Steps with edits that follow each other as one."""
    out: list[Edit | Mix] = []
    for kind, group in groupby(steps, type):
        run: list[Any] = list(group)
        out += [Edit.chain(run)] if kind is Edit and len(run) > 1 else run
    return tuple(out)


def _checked_inputs(extra: int, keys: Keys, partners: np.ndarray | None) -> np.ndarray:
    """int64 [N * (1 + extra)]: the samples that a batch reads, images first."""
    if partners is None:
        if extra and len(keys):
            raise PolicyError(
                'pairing="dataset" mixes with other samples of the data set, and the batch came '
                "without them. Two lines read them: DataLoader(keyed(dataset, policy=policy), "
                "sampler=KeyedSampler(dataset, epochs=E), collate_fn=Collate(policy, ...)); or "
                "give partners= yourself, see Policy.partner_indices."
            )
        return np.tile(keys.index, 1 + extra)
    partners = np.asarray(partners, np.int64)
    if partners.shape != (len(keys), extra):
        raise PolicyError(
            f"partners must be [{len(keys)}, {extra}] for this policy, got {partners.shape}."
        )
    return np.concatenate([keys.index, partners.T.reshape(-1)])


def _with_slots(keys: Keys, extra: int) -> Keys:
    """The images' own keys, then those of their partners, slot by slot.

    A partner's key is its image's with another copy: the numbers of copies, 0 .. 65535, are shared
    out among the slots. So what is done to an image does not depend on whether partners are read.

    Raises:
        PolicyError: a copy beyond the share of each slot.
    """
    room = 2**16 // (1 + extra)
    if len(keys) and keys.copy.max() >= room:
        raise PolicyError(
            f'pairing="dataset" leaves copies 0 .. {room - 1} to the images, got copy '
            f"{keys.copy.max()}. Repeat samples less often."
        )
    copy = np.concatenate([keys.copy + slot * room for slot in range(1 + extra)])
    return replace(keys.views(1 + extra), copy=copy)


def _checked_labels(labels: np.ndarray | None, count: int) -> np.ndarray | None:
    if labels is None:
        return None
    classes = np.asarray(labels)
    if classes.shape != (count,) or (count and classes.dtype.kind not in "iu"):
        raise PolicyError(
            f"labels for sampling must be {count} class numbers, got {classes.dtype} of shape "
            f"{classes.shape}."
        )
    return classes.astype(np.int64)


def _checked_sizes(sizes_hw: Any) -> np.ndarray:
    """int32 [N, 2] from whole numbers of px, 1 .. 65535."""
    sizes = np.array(sizes_hw).reshape(-1, 2)
    if sizes.size and sizes.dtype.kind not in "iu":
        raise PolicyError(f"Policy.sample needs sizes in whole px, got {sizes.dtype}.")
    if sizes.size and not (sizes.min() >= 1 and sizes.max() <= SIDE_LIMIT):
        span = f"{sizes.min()} .. {sizes.max()}"
        raise PolicyError(f"Policy.sample needs sides of 1 .. {SIDE_LIMIT} px, got {span}.")
    return sizes.astype(np.int32)


def _sample_named(op: Op, rows: Rows) -> Step:
    try:
        return sample_op(op, rows)
    except PolicyError as error:
        if str(error).startswith(type(op).__name__):
            raise
        raise PolicyError(f"{type(op).__name__}: {error}") from None
