"""Faults in random numbers and plans."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

RNG = ("tests/test_rng.py",)
PLAN = ("tests/plan/test_plan.py",)
FUSE = ("tests/plan/test_fuse.py",)

FAULTS: tuple[Fault, ...] = (
    Fault("philox: nine rounds", "_philox.py", "in np.arange(10, ", "in np.arange(9, ", RNG),
    Fault(
        "rng: copies of one image equal",
        "_rng.py",
        "(np.asarray(copy) << 16) | (asks >> 32)",
        "(np.asarray(copy) * 0) | (asks >> 32)",
        RNG,
    ),
    Fault("rng: epochs equal", "_rng.py", "= index, epoch\n", "= index, 0\n", RNG),
    Fault(
        "rng: tries of a derangement in another order",
        "_rng.py",
        "zip(tries, words[",
        "zip(tries[::-1], words[",
        RNG,
    ),
    Fault(
        "beta: the uniform one the wrong way round",
        "_beta.py",
        "return given.copy(), 1.0 - given",
        "return 1.0 - given, given.copy()",
        RNG,
    ),
    Fault(
        "fuse: a mirror taken for none",
        "plan/fuse.py",
        "boxes[fits & mirror]",
        "boxes[fits & ~mirror]",
        ("tests/plan/test_fuse.py",),
    ),
    Fault(
        "check: a channel that shows twice",
        "plan/check.py",
        "(np.sort(shown, axis=2) != (0, 1, 2)).any(axis=2)",
        "(shown.sum(axis=2) != 3)",
        ("tests/plan/test_check.py",),
    ),
    Fault(
        "geometry: not about the centre",
        "plan/geometry.py",
        "+= middle -",
        "+= 0 * middle -",
        ("tests/policy/test_warp.py",),
    ),
    Fault(
        "rng: all questions of an op share a number",
        "_rng.py",
        'f"{path}|{name}|{sub}"',
        'f"{path}|{sub}"',
        RNG,
    ),
    Fault(
        "beta: complement by subtraction",
        "_beta.py",
        "return _sigmoid(z), _sigmoid(-z)",
        "return _sigmoid(z), 1.0 - _sigmoid(z)",
        RNG,
    ),
    Fault(
        "share: occlusion by later pastes forgotten",
        "plan/cover.py",
        "inside[:, s] &= ~hidden",
        "inside[:, s] &= inside[:, s]",
        PLAN,
    ),
    Fault(
        "share: of the canvas instead of what is shown on it",
        "plan/steps.py",
        "return mass / np.maximum(total, 1)",
        "return mass / (WEIGHT_ONE * self.canvas_hw.astype(np.int64).prod(axis=1)[:, None])",
        PLAN,
    ),
    Fault(
        "share: a cut of a cut taken for its mean",
        "plan/shares.py",
        "cells = cells.mixed(step)",
        (
            "size = np.stack([cells.ys[:, -1], cells.xs[:, -1]], axis=1)\n"
            "            cells = Cells.whole(cells.rows, cells.shares(), size).mixed(step)"
        ),
        PLAN,
    ),
    Fault(
        "fuse: order of composition",
        "plan/fuse.py",
        "both = a @ b\n",
        "both = b @ a\n",
        FUSE,
    ),
    Fault(
        "fuse: tone moved across a warp",
        "plan/fuse.py",
        "opens, closes = _OPENS[code], _CLOSES[code]",
        "opens, closes = _OPENS[code], np.zeros(len(code), bool)",
        FUSE,
    ),
    Fault(
        "fuse: the canvas between two warps forgotten",
        "plan/fuse.py",
        "np.where(covered, _NOTHING, _CLIP)",
        "np.where(covered, _NOTHING, _NOTHING)",
        FUSE,
    ),
    Fault(
        "flip: pixel indices instead of the frame",
        "plan/geometry.py",
        "(axis, 2): size_hw[:, 1 - axis]}",
        "(axis, 2): size_hw[:, 1 - axis] - 1}",
        ("tests/policy/test_geometry.py",),
    ),
    Fault(
        "rotation: the other way round",
        "plan/geometry.py",
        "(0, 1): -s, (1, 0): s,",
        "(0, 1): s, (1, 0): -s,",
        ("tests/policy/test_warp.py",),
    ),
    Fault(
        "plan: a TV_WARP's pixels and targets part",
        "plan/check.py",
        "tensor & (apart > 1e-6 * wide)",
        "tensor & (apart > 1e6 * wide)",
        ("tests/plan/test_check.py",),
    ),
    Fault(
        "views: ops behind it cannot tell views apart",
        "_rng.py",
        "copy += np.repeat(np.arange(count), len(self))",
        "copy += 0",
        ("tests/policy/test_augmix.py",),
    ),
    Fault(
        "mask: UNMASK taken for MASK in shares",
        "plan/steps.py",
        "((MixMode.MASK, through), (MixMode.UNMASK, past))",
        "((MixMode.MASK, through), (MixMode.UNMASK, through))",
        ("tests/plan/test_masks.py",),
    ),
    Fault(
        "mask: a part of a plan keeps the others' canvas",
        "plan/steps.py",
        "np.ascontiguousarray(mask[:, :h, :w])",
        "np.ascontiguousarray(mask)",
        ("tests/plan/test_masks.py",),
    ),
    Fault(
        "mask: read at a cell's end in chained mixes",
        "plan/shares.py",
        "np.minimum(ys[:, :-1], height - 1)",
        "np.minimum(ys[:, 1:], height - 1)",
        ("tests/plan/test_masks.py",),
    ),
    Fault(
        "mask: lost from files",
        "plan/store.py",
        "if k in needed or at in arrays",
        "if k in needed",
        ("tests/plan/test_store.py",),
    ),
    Fault(
        "labels: an edit between mixes evens out rows that it leaves alone",
        "plan/shares.py",
        "cells.evened(moved, size_hw)",
        "cells.evened(moved | True, size_hw)",
        ("tests/plan/test_masks.py",),
    ),
    Fault(
        "labels: a label of its own forgotten in chained mixes",
        "plan/shares.py",
        "step.label[:, 0, None, None, None] >= 0",
        "step.label[:, 0, None, None, None] > 1",
        ("tests/plan/test_masks.py",),
    ),
    Fault(
        "covered: oriented boxes of one extent are one",
        "plan/covered.py",
        "np.where(drawn.slanted[:, None, None], drawn.whole, 0.0)",
        "np.where(drawn.slanted[:, None, None], 0.0, drawn.whole * 0.0)",
        ("tests/plan/test_covered.py",),
    ),
)
