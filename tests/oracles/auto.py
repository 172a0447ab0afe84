"""The automatic policies as their papers tell them: one image, one op at a time.

Draws are Python's own, so what is compared with these loops is laws, not streams. Levels are plain
formulas of the magnitude and its number of bins.
"""

from __future__ import annotations

import math
import random

Drawn = tuple[str, float]
"""An op that happened and its magnitude in bins."""


# -------------------------------------------------------------------------------------- draws


def drawn_one(rng: random.Random, names, weights) -> str:
    """An item by weight, counted off along the line."""
    mark = rng.random() * sum(weights)
    for name, weight in zip(names, weights, strict=True):
        if weight > 0 and mark < weight:
            return name
        mark -= weight
    return [name for name, weight in zip(names, weights, strict=True) if weight > 0][-1]


def noisy(rng: random.Random, magnitude: float, std: float | str, most: float) -> float:
    """timm's noise: normal around the magnitude, or uniform below it; then cut off."""
    if std == "uniform":
        magnitude = rng.uniform(0, magnitude)
    elif std > 0:
        magnitude = rng.gauss(magnitude, std)
    return min(max(magnitude, 0), most)


def rand_augment(
    rng: random.Random,
    names,
    num_ops: int,
    magnitude: float,
    most: float,
    *,
    std: float | str = 0.0,
    op_p: float = 1.0,
    weights=None,
    replace: bool = True,
) -> list[Drawn | None]:
    """Cubuk et al. 2019, with timm's options; None where an op did not happen."""
    left, weight = list(names), list(weights or [1] * len(names))
    out: list[Drawn | None] = []
    for _ in range(num_ops):
        name = drawn_one(rng, left, weight)
        if not replace:
            place = left.index(name)
            del left[place], weight[place]
        happens = rng.random() < op_p
        out.append((name, noisy(rng, magnitude, std, most)) if happens else None)
    return out


def auto_augment(rng: random.Random, table, most: float, std: float | str = 0.0):
    """Cubuk et al. 2018: one sub-policy, each of its ops by its own chance."""
    sub = table[rng.randrange(len(table))]
    out: list[Drawn | None] = []
    for name, chance, magnitude in sub:
        happens = rng.random() < chance
        out.append((name, noisy(rng, magnitude, std, most)) if happens else None)
    return out


def uniform_augment(rng: random.Random, names, num_ops: int) -> list[Drawn | None]:
    """LingChen et al. 2020: chance and strength are uniform; the strength lies in 0 .. 1."""
    out: list[Drawn | None] = []
    for _ in range(num_ops):
        name, chance, strength = names[rng.randrange(len(names))], rng.random(), rng.random()
        out.append((name, strength) if rng.random() < chance else None)
    return out


def population(rng: random.Random, entries) -> list[str]:
    """Ho et al. 2019, algorithm 1: which ops an image undergoes, in order."""
    count = rng.choices([0, 1, 2], weights=[0.2, 0.3, 0.5])[0]
    order, done = list(entries), []
    rng.shuffle(order)
    for name, chance, _ in order:
        if len(done) == count:
            break
        if rng.random() < chance:
            done.append(name)
    return done


def searched_schedule(lines, epochs: int) -> list[list[int]]:
    """The parameters of every epoch from the lines of a search's log, all of one lineage.

    Each line is (trial, clone, trial's epochs, clone's epochs, old parameters, new parameters). The
    first line's old ones hold until its clone's epoch, a line's new ones until the next line's.
    """
    schedule = [list(lines[0][4]) for _ in range(lines[0][3])]
    for i, line in enumerate(lines):
        end = epochs if i + 1 == len(lines) else lines[i + 1][3]
        for _ in range(line[3], end):
            schedule.append(list(line[5]))
    return schedule


# ------------------------------------------------------------------------------------- levels


FACTORS = ("Brightness", "Color", "Contrast", "Sharpness")


def first_level(name: str, m: int, top: int, size_hw, *, bits, px, sign: int = 1) -> float:
    """The first implementations' levels: whole numbers cut by int(), factors 0.1 .. 1.9.

    Args:
        name: an op with levels.
        m: magnitude in bins.
        top: the last bin.
        size_hw: the image's.
        bits: (most, least) that posterize keeps.
        px: how far translations go, (x, y).
        sign: of the ops that draw one.
    """
    if name in FACTORS:
        return 0.1 + m * 1.8 / top
    if name in ("ShearX", "ShearY"):
        return sign * m * 0.3 / top
    if name == "Rotate":
        return sign * int(m * 30 / top)
    if name in ("TranslateX", "TranslateY"):
        return sign * int(m * px[name == "TranslateY"] / top)
    if name == "Posterize":
        return bits[0] - int(m * (bits[0] - bits[1]) / top)
    if name == "Solarize":
        return 256 - int(m * 256 / top)
    if name == "Cutout":
        return int(m * 0.2 * size_hw[1] / top)
    raise KeyError(name)


def upside_down(name: str, m: int, top: int) -> int:
    """The levels that grow the wrong way in AutoAugment's first implementation."""
    return {"Posterize": int(m * 4 / top), "Solarize": int(m * 256 / top)}[name]


# --------------------------------------------------------------------------------------- laws


def clipped_normal(x: float, mean: float, std: float, most: float) -> float:
    """Distribution function of a normal that is cut off at 0 and `most`."""
    if x < 0:
        return 0.0
    return 1.0 if x >= most else 0.5 * (1 + math.erf((x - mean) / std / math.sqrt(2)))
