"""Automatic policies that draw ops by chance: each image draws its own ops and strengths.

What a strength means is the space's business (`mixwell.policy.spaces`; `spaces.show` prints it).
By default RandAugment and TrivialAugmentWide have torchvision's levels, TrivialAugment and
UniformAugment their authors'. Geometry is bilinear by default, unlike torchvision's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from mixwell._rng import Ask
from mixwell.plan.steps import Edit
from mixwell.policy.base import EditOp, Rows
from mixwell.policy.fields import Fill, need
from mixwell.policy.ramp import Ramp, need_number
from mixwell.policy.spaces import Look, space

FOURTEEN = (
    "Identity",
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Rotate",
    "Brightness",
    "Color",
    "Contrast",
    "Sharpness",
    "Posterize",
    "Solarize",
    "AutoContrast",
    "Equalize",
)
"""The ops of RandAugment and TrivialAugment, in torchvision's order."""

MOST = 1000
"""The largest magnitude that may be asked for where it is cut off."""

INTERPS = ("nearest", "bilinear", "bicubic", "random")

Noise = float | Literal["uniform"]
"""Standard deviation of a magnitude in bins, or "uniform": anywhere from 0 to the magnitude."""


def need_bins(op: Any) -> None:
    """Check the number of magnitude bins."""
    bins = op.num_magnitude_bins
    good = isinstance(bins, int) and bins >= 2
    need(op, good, "num_magnitude_bins must be at least 2", bins)


def need_count(op: Any) -> None:
    """Check the number of ops for each image."""
    good = isinstance(op.num_ops, int) and 1 <= op.num_ops <= 64
    need(op, good, "num_ops must lie in 1 .. 64", op.num_ops)


def need_noise(op: Any) -> None:
    """Check the noise of magnitudes and where it is cut off."""
    noise = op.magnitude_std
    good = noise == "uniform" or (isinstance(noise, int | float) and 0 <= noise < math.inf)
    need(op, good, 'magnitude_std must be bins >= 0, or "uniform"', noise)
    most = getattr(op, "magnitude_max", None)
    if most is None:
        return
    good = isinstance(most, int | float) and 0 < most <= MOST
    need(op, good, "magnitude_max must be bins > 0, or None", most)
    levels, top = space(getattr(op, "space_name", op.space)), op.num_magnitude_bins - 1
    rule = f"magnitude_max must be at most {top}, where the levels of {levels.name!r} end"
    need(op, most <= top or levels.beyond, rule, most)


def noisy(rows: Rows, magnitude: np.ndarray | float, noise: Noise, most: float) -> np.ndarray:
    """float64 [N]: magnitudes 0 .. `most` with noise on them, in the magnitudes' units."""
    if noise == "uniform":
        magnitude = magnitude * rows.draws.uniform("magnitude")
    elif noise > 0:
        magnitude = magnitude + noise * rows.draws.normal("magnitude")
    return np.broadcast_to(np.clip(magnitude, 0, most), len(rows))


def strengths(op: Any, rows: Rows, magnitude: np.ndarray) -> np.ndarray:
    """float64 [N]: strengths 0 .. 1 from magnitudes in bins, with the op's noise on them."""
    top = op.num_magnitude_bins - 1
    most = top if op.magnitude_max is None else op.magnitude_max
    return noisy(rows, magnitude, op.magnitude_std, most) / top


def is_weights(weights: object, count: int) -> bool:
    """Whether these are `count` chances, up to a common factor."""
    if not isinstance(weights, tuple) or len(weights) != count:
        return False
    good = all(isinstance(w, int | float) and 0 <= w < math.inf for w in weights)
    return good and 0 < sum(weights) < math.inf


def default_ops(space_name: str) -> tuple[str, ...]:
    """What a policy draws from unless told: the fourteen if a space has them, else all it has."""
    names = space(space_name).names
    return FOURTEEN if set(FOURTEEN) <= set(names) else names


@final
@dataclass(frozen=True, repr=False)
class RandAugment(EditOp):
    """Each image undergoes `num_ops` drawn ops, at one magnitude
    (Cubuk et al. 2019, arXiv 1909.13719).

    Args:
        num_ops: ops for each image, 1 .. 64.
        magnitude: in bins, 0 .. num_magnitude_bins - 1; 9 of 31 shears by 0.09, turns by 9
            degrees. A `Ramp` changes it with time.
        num_magnitude_bins: number of bins.
        interp: of the geometric ops: "nearest", "bilinear", "bicubic", or "random" (one of the
            latter two, drawn for each op).
        fill: of the geometric ops, level(s) in image units.
        magnitude_std: each op's magnitude is normal around `magnitude` with this many bins;
            "uniform": it lies anywhere from 0 to `magnitude`.
        magnitude_max: magnitudes are cut off here, bins; None = the last bin. With it, `magnitude`
            may lie beyond (noise around it is then cut off mostly). It lies beyond the last bin in
            timm's spaces alone, whose levels go on there.
        op_p: chance of each drawn op to take place.
        ops: names of the space to draw from; None = torchvision's fourteen, or all of a space
            that does not have these.
        weights: chances of the ops in proportion to these; None = equal.
        replace: whether an image may draw an op twice.
        increasing: False: the first implementations' levels, in which a larger magnitude is not
            always a stronger change (colour 0.1 .. 1.9, solarize and posterize upside down).
        space: what strengths mean, see `mixwell.policy.spaces`.

    timm's "m9" is about three times as strong as 9 of 31.
    """

    num_ops: int = 2
    magnitude: float | Ramp = 9
    num_magnitude_bins: int = 31
    interp: str = "bilinear"
    fill: Fill = 0.0
    magnitude_std: Noise = 0.0
    magnitude_max: float | None = None
    op_p: float = 1.0
    ops: tuple[str, ...] | None = None
    weights: tuple[float, ...] | None = None
    replace: bool = True
    increasing: bool = True
    space: str = "mixwell"
    moves = True
    interps = INTERPS

    def validate(self) -> None:
        """Check the numbers and names."""
        need_count(self)
        need_bins(self)
        most = self.num_magnitude_bins - 1 if self.magnitude_max is None else MOST
        need_number(self, "magnitude", self.magnitude, 0, most)
        need_number(self, "op_p", self.op_p, 0, 1)
        need_noise(self)
        known = space(self.space_name).names
        listed = self.ops is None or isinstance(self.ops, tuple)
        need(self, listed, "ops must be a tuple of names, or None", self.ops)
        missing = [name for name in self.names if name not in known]
        need(self, not missing, f"ops must name some of {', '.join(known)}", missing)
        need(self, len(self.names) > 0, "ops must name at least one", self.ops)
        if self.weights is not None:
            good = is_weights(self.weights, len(self.names))
            need(self, good, f"weights: one >= 0 for each of {len(self.names)} ops", self.weights)
        drawable = sum(w > 0 for w in self.weights or (1,) * len(self.names))
        enough = self.replace or self.num_ops <= drawable
        need(self, enough, f"num_ops: without replacement there are {drawable}", self.num_ops)

    @property
    def space_name(self) -> str:
        """The space with the levels asked for."""
        return self.space if self.increasing else f"{self.space}-nonincreasing"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the ops that are drawn from."""
        return default_ops(self.space_name) if self.ops is None else self.ops

    def asks(self, path: str) -> list[Ask]:
        """Also which ops, and the signs of their levels."""
        asks = super().asks(path)
        for i in range(self.num_ops):
            names = ("op", "sign") if self.replace else ("sign",)
            asks += [(f"{path}/{i}", name, 1) for name in names]
        return asks

    def sample(self, rows: Rows) -> Edit:
        """`num_ops` slots."""
        magnitude = np.broadcast_to(rows.number(self.magnitude), len(rows))
        drawn, which, t = self._drawn(rows), [], []
        parts = [rows.child(i) for i in range(self.num_ops)]
        for i, part in enumerate(parts):
            happens = part.draws.bernoulli("whether", self.op_p)
            which.append(np.where(happens, drawn[:, i], -1))
            t.append(strengths(self, part, magnitude))
        look = Look(self.interp, self.fill)
        return space(self.space_name).slots(parts, self.names, which, t, look)

    def _drawn(self, rows: Rows) -> np.ndarray:
        """int64 [N, num_ops]: each image's ops, as places in `names`."""
        weights = np.array(self.weights or (1.0,) * len(self.names))
        if self.replace:
            each = [rows.child(i).draws.choice("op", weights) for i in range(self.num_ops)]
            return np.stack(each, axis=1)
        # The order in which exponential clocks with these rates ring is the order of a draw
        # without replacement.
        times = -np.log1p(-rows.draws.uniforms("ops", len(weights)))
        with np.errstate(divide="ignore"):
            rings = np.where(weights > 0, times / weights, np.inf)
        return np.argsort(rings, axis=1, kind="stable")[:, : self.num_ops]


@dataclass(frozen=True, repr=False)
class _OneAnyStrength(EditOp):
    """One op at one strength, both drawn uniformly."""

    num_magnitude_bins: int = 31
    interp: str = "bilinear"
    fill: Fill = 0.0
    space: str = "mixwell"
    moves = True
    interps = INTERPS
    asked = (("magnitude", 1), ("op", 1), ("sign", 1))

    def validate(self) -> None:
        """Check the number of bins and the space."""
        need_bins(self)
        space(self.space)

    def sample(self, rows: Rows) -> Edit:
        """One slot."""
        bins, names = self.num_magnitude_bins, default_ops(self.space)
        t = rows.draws.integers("magnitude", 0, bins) / (bins - 1)
        which = rows.draws.integers("op", 0, len(names))
        return space(self.space).slot(rows, names, which, t, Look(self.interp, self.fill))


@final
@dataclass(frozen=True, repr=False)
class TrivialAugment(_OneAnyStrength):
    """Each image undergoes one op at one strength, both drawn uniformly, in RandAugment's narrow
    space (Müller & Hutter 2021, arXiv 2103.10158).

    The levels are those of the authors' space "fixed_standard": shears to 0.3, translations to
    10 px whatever the image's size, rotations to 30 degrees, factors 0.1 .. 1.9 without a sign,
    8 .. 4 bits, solarize from 256 down to 0. They advise it for small networks, and the wide space
    for all others. Native are the shears about the centre and bilinear reading.

    Args:
        num_magnitude_bins: number of strengths.
        interp: of the geometric ops, see `RandAugment`.
        fill: of the geometric ops, level(s) in image units.
        space: what strengths mean, see `mixwell.policy.spaces`.
    """

    space: str = "mixwell-narrow"


@final
@dataclass(frozen=True, repr=False)
class TrivialAugmentWide(_OneAnyStrength):
    """Each image undergoes one op at one strength, both drawn uniformly, in the wide space
    (Müller & Hutter 2021, arXiv 2103.10158).

    Args:
        num_magnitude_bins: number of strengths.
        interp: of the geometric ops, see `RandAugment`.
        fill: of the geometric ops, level(s) in image units.
        space: what strengths mean, see `mixwell.policy.spaces`.
    """

    space: str = "mixwell-wide"


@final
@dataclass(frozen=True, repr=False)
class UniformAugment(EditOp):
    """Each image undergoes `num_ops` drawn ops, each with a drawn chance and a drawn strength
    (LingChen et al. 2020, arXiv 2003.14348): nothing to search for.

    The default space has what the paper draws from beyond RandAugment's ops: Invert, and a Cutout
    of up to a fifth of the width. Strengths are any number, not a bin.

    Args:
        num_ops: ops for each image, 1 .. 64; 2 in the paper.
        interp: of the geometric ops, see `RandAugment`.
        fill: of the geometric ops and of Cutout, level(s) in image units.
        space: what strengths mean, see `mixwell.policy.spaces`.
    """

    num_ops: int = 2
    interp: str = "bilinear"
    fill: Fill = 0.0
    space: str = "mixwell-uniform"
    moves = True
    interps = INTERPS

    def validate(self) -> None:
        """Check the number of ops and the space."""
        need_count(self)
        space(self.space)

    def sample(self, rows: Rows) -> Edit:
        """`num_ops` slots."""
        names, which, strength = space(self.space).names, [], []
        parts = [rows.child(i) for i in range(self.num_ops)]
        for part in parts:
            chance = part.draws.uniform("chance")
            drawn = part.draws.integers("op", 0, len(names))
            t = part.draws.uniform("magnitude")
            which.append(np.where(part.draws.bernoulli("whether", chance), drawn, -1))
            strength.append(t)
        look = Look(self.interp, self.fill)
        return space(self.space).slots(parts, names, which, strength, look)
