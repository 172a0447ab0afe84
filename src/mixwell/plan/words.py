"""Plans in words, for people."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from mixwell.plan import geometry
from mixwell.plan.steps import WEIGHT_ONE, Code, Edit, Mix, MixMode

if TYPE_CHECKING:
    from mixwell.plan.plan import Plan


def summary(plan: Plan) -> str:
    """One line: how many outputs, of which size, through which steps, from which seed."""
    parts = [f"{len(plan)} -> {_sizes(plan.out_hw)}"]
    if plan.rows != len(plan):
        parts[0] = f"{plan.rows} rows to {parts[0]}"
    for step in plan.steps:
        if isinstance(step, Edit):
            parts.append(f"edit x{step.slots}")
        else:
            counts = Counter(mix_kind(step, row) for row in range(step.rows))
            parts.append("mix: " + ", ".join(f"{n} {kind}" for kind, n in counts.most_common()))
    if plan.seed is not None:
        epoch = f" epoch {plan.keys.epoch}" if plan.keys is not None else ""
        parts.append(f"seed {plan.seed}{epoch}")
    return f"Plan({' | '.join(parts)})"


def describe(plan: Plan, output: int) -> str:
    """What happens to one output, e.g. `flip; contrast 1.31; mixup of 2 = 63.0 % sample 4, ...`.

    Before a mix, the words follow the first source that shows in it. A mix that keeps the row as it
    is goes without words.
    """
    parts: list[str] = []
    row = range(len(plan))[output]
    for i, step in reversed(list(enumerate(plan.steps))):
        if isinstance(step, Mix):
            parts += _mix_words(plan, i, row)
            row = _first(step, row)
        else:
            slots = (_slot_words(step, row, k) for k in reversed(range(step.slots)))
            parts += [words for words in slots if words]
    single = plan.take([output])
    rows, shares = single.sources()
    said: Counter[int] = Counter()
    for source, share in zip(rows[0].tolist(), shares[0].tolist(), strict=True):
        if share > 0:
            said[int(single.inputs[source])] += share
    mixed = ", ".join(f"{100 * share:.1f} % sample {sample}" for sample, share in said.items())
    return "; ".join(parts[::-1] or ["unchanged"]) + (f" = {mixed}" if len(said) > 1 else "")


def _mix_words(plan: Plan, place: int, row: int) -> list[str]:
    """What a mix does to a row: `mixup of 2`, or `sum of 4 versions` of one image."""
    step = plan.steps[place]
    assert isinstance(step, Mix)
    used, kind = _shown(step, row), mix_kind(step, row)
    if kind == "kept":
        return []
    origins = {_origin(plan, place, int(step.source[row, s])) for s in used}
    if kind == "mixup" and len(origins) == 1:
        return [f"sum of {len(used)} versions"]
    return [f"{kind} of {len(used)}" if not kind.startswith("mix of") else f"{kind} parts"]


def _origin(plan: Plan, place: int, row: int) -> int:
    """The input row that a row before a step comes from, following first sources."""
    for step in reversed(plan.steps[:place]):
        row = _first(step, row) if isinstance(step, Mix) else row
    return row


def _first(step: Mix, row: int) -> int:
    """The first source that shows."""
    return int(step.source[row, (_shown(step, row) or [0])[0]])


def mix_kind(step: Mix, row: int) -> str:
    """Names a row of a mix by what it does: `kept`, `mixup`, `mask mix`, `cutmix`, `mix of S`."""
    used = _shown(step, row)
    if len(used) == 1:
        return "kept"
    if step.masked[row, used].any():
        return "mask mix"
    if all(step.mode[row, s] == MixMode.ADD and step.units()[row, s] < WEIGHT_ONE for s in used):
        return "mixup"
    return "cutmix" if len(used) == 2 else f"mix of {len(used)}"


def _shown(step: Mix, row: int) -> list[int]:
    """The places of the sources that show in a row of a mix."""
    one = step.take(np.array([row]))
    return np.flatnonzero(one.mass()[0]).tolist()


def _sizes(size_hw: np.ndarray) -> str:
    if not len(size_hw):
        return "nothing"
    low, high = size_hw.min(0), size_hw.max(0)
    one = f"{high[0]}x{high[1]}"
    return one if (low == high).all() else f"{low[0]}x{low[1]}..{one}"


def _slot_words(edit: Edit, row: int, slot: int) -> str:
    code, p = Code(edit.code[row, slot]), edit.param[row, slot]
    size = "x".join(str(v) for v in edit.size_hw[row, slot])
    name = code.name.lower().removeprefix("pil_").removeprefix("tv_").replace("_", " ")
    match code:
        case Code.NOTHING | Code.CLIP:
            return ""
        case Code.WARP | Code.PIL_WARP | Code.TV_WARP:
            return _warp_words(p[:9].reshape(3, 3), size)
        case Code.RESIZE:
            return f"resize {p[0]:g},{p[1]:g}..{p[2]:g},{p[3]:g} to {size}"
        case Code.ERASE:
            return f"erase {p[0]:g},{p[1]:g}..{p[2]:g},{p[3]:g}"
        case Code.POSTERIZE:
            return f"posterize {p[0]:g} bits"
        case Code.BLUR | Code.NOISE | Code.PIL_BLUR:
            return f"{name} sigma {p[0]:.3g}"
        case Code.CHANNELS:
            return "channels " + " ".join(f"{v:.0f}" for v in p[:3])
        case Code.INVERT | Code.AUTOCONTRAST | Code.EQUALIZE | Code.GRAYSCALE:
            return name
        case Code.TV_AUTOCONTRAST:
            return name
        case _:
            return f"{name} {p[0]:.3g}"


def _warp_words(m: np.ndarray, size: str) -> str:
    if not geometry.is_affine(m):
        return "perspective"
    if geometry.is_lattice(m):
        if m[0, 1] != 0:
            return "quarter turn"
        flips = [n for n, v in (("flip", m[0, 0]), ("vertical flip", m[1, 1])) if v < 0]
        move = (0.0 - m[0, 2], 0.0 - m[1, 2]) if not flips else (0.0, 0.0)
        if any(move):
            flips.append(f"shift {move[0]:g},{move[1]:g} on {size}")
        return " + ".join(flips) or "unmoved"
    turn = math.degrees(math.atan2(m[1, 0], m[0, 0]))
    names = []
    if abs(turn) > 0.05:
        names.append(f"turn {turn:.1f}°")
    if abs(m[0, 1] + m[1, 0]) > 1e-6:
        names.append(f"shear {m[0, 1] + m[1, 0]:.2f}")
    return " ".join(names) or f"shift {0.0 - m[0, 2]:.1f},{0.0 - m[1, 2]:.1f}"
