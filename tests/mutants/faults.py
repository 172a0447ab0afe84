"""The planted faults: one line each, with the test files that should catch it."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """A one-line fault.

    Attributes:
        name: what is wrong.
        file: below src/mixwell.
        old: text that stands there exactly once.
        new: what it becomes.
        tests: files of the tests that should catch it.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


RNG = ("tests/test_rng.py",)
PLAN = ("tests/plan/test_plan.py",)
FUSE = ("tests/plan/test_fuse.py",)
LABELS = ("tests/targets/test_labels.py", "tests/test_truth.py")
KEYED = ("tests/test_keyed.py", "tests/test_collate.py")

FAULTS: tuple[Fault, ...] = (
    # Random numbers
    Fault("philox: nine rounds", "_rng.py", "for _ in range(10):", "for _ in range(9):", RNG),
    Fault(
        "rng: copies of one image equal",
        "_rng.py",
        "(np.asarray(copy) << 16) | (asks >> 32)",
        "(np.asarray(copy) * 0) | (asks >> 32)",
        RNG,
    ),
    Fault("rng: epochs equal", "_rng.py", "= keys.epoch\n", "= 0\n", RNG),
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
        "policy: one key for whether and how much",
        "policy/base.py",
        'rows.draws.bernoulli("whether", self.p)',
        'rows.draws.bernoulli("angle", self.p)',
        ("tests/policy/test_warp.py",),
    ),
    # Plans
    Fault(
        "share: occlusion by later pastes forgotten",
        "plan/steps.py",
        "((inside & ~later) * areas[:, None])",
        "(inside * areas[:, None])",
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
        "cutmix: rectangle not cut off at the far edge",
        "policy/mix.py",
        "np.clip(np.rint(place + half), 0, length)",
        "np.maximum(np.rint(place + half), 0)",
        ("tests/policy/test_mix.py",),
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
        "closes = ~np.isin(code, (Code.NOTHING, Code.WARP, Code.RESIZE))",
        "closes = np.zeros(len(code), bool)",
        FUSE,
    ),
    Fault(
        "fuse: the canvas between two warps forgotten",
        "plan/fuse.py",
        "np.where(covered, Code.NOTHING, Code.CLIP)",
        "np.where(covered, Code.NOTHING, Code.NOTHING)",
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
    # Policies
    Fault(
        "mix: partner off by one",
        "policy/mix.py",
        "other = np.roll(np.arange(n), 1)",
        "other = np.roll(np.arange(n), 2)",
        ("tests/policy/test_mix.py",),
    ),
    Fault(
        "mix: a pair's lambda not shared",
        "policy/mix.py",
        "values[np.minimum(np.arange(len(rows)), other)]",
        "values[np.arange(len(rows))]",
        ("tests/policy/test_mix.py",),
    ),
    Fault(
        "cutmix: side from lambda, not from its root",
        "policy/mix.py",
        "side = np.sqrt(_lam(self, rows)[:, 1])",
        "side = _lam(self, rows)[:, 1]",
        ("tests/policy/test_mix.py",),
    ),
    Fault(
        "randaugment: translation rounded, not cut",
        "policy/auto.py",
        "np.trunc(t * most + 1e-6)",
        "np.rint(t * most)",
        ("tests/policy/test_auto.py",),
    ),
    Fault(
        "erasing: rectangle as large as the image allowed",
        "policy/erase.py",
        "(h < height) & (w < width)",
        "(h <= height) & (w <= width)",
        ("tests/policy/test_erase.py",),
    ),
    Fault(
        "alternating flip does not alternate",
        "policy/geometry.py",
        "first ^ bool(draws.keys.epoch % 2)",
        "first ^ bool(draws.keys.epoch * 0)",
        ("tests/policy/test_geometry.py",),
    ),
    Fault(
        "schedule: stop belongs to it",
        "policy/compose.py",
        "(now < (np.inf",
        "(now <= (np.inf",
        ("tests/policy/test_compose.py",),
    ),
    Fault(
        "text: code is evaluated",
        "policy/text.py",
        "value = ast.literal_eval(node)",
        'value = eval(compile(ast.Expression(node), "", "eval"))',
        ("tests/policy/test_text.py",),
    ),
    # Pixels
    Fault(
        "warp: rounding of the first pass",
        "render/reference/warp.py",
        "(p * (256 - w) + q * w + 128) >> 8",
        "(p * (256 - w) + q * w) >> 8",
        ("tests/render/test_warp.py",),
    ),
    Fault(
        "warp: corners instead of pixel centres",
        "render/reference/warp.py",
        "(a, b, c + a / 2 + b / 2)",
        "(a, b, c)",
        ("tests/render/test_warp.py",),
    ),
    Fault(
        "mix: half rounds up",
        "render/reference/mixing.py",
        "odd = (acc >> 16).bitwise_and_(1)",
        "odd = (acc >> 16).bitwise_or_(1)",
        ("tests/render/test_mixing.py",),
    ),
    Fault(
        "contrast: pivot cut off",
        "render/tables.py",
        "(sums @ weights + (whole >> 1)) // whole",
        "(sums @ weights) // whole",
        ("tests/render/test_tone.py", "tests/render/test_tables.py"),
    ),
    Fault(
        "equalize: step without its half",
        "render/tables.py",
        "(before + step // 2)",
        "(before + step)",
        ("tests/render/test_tone.py",),
    ),
    Fault(
        "noise: one number for all columns",
        "render/reference/noise.py",
        "place = xs | (ys[:, None] << 16)",
        "place = (xs & 0) | (ys[:, None] << 16)",
        ("tests/render/test_noise.py",),
    ),
    Fault(
        "finish: mean not divided by std",
        "render/reference/finish.py",
        "-output.mean / output.std",
        "-output.mean",
        ("tests/render/test_run.py",),
    ),
    # Targets
    Fault(
        "labels: assigned instead of added",
        "targets/labels.py",
        "scatter_add_(1,",
        "scatter_(1,",
        LABELS,
    ),
    Fault(
        "labels: the partner of another image",
        "targets/labels.py",
        "picked = given[torch.from_numpy(rows)",
        "picked = given[torch.from_numpy(rows).roll(1, 0)",
        LABELS,
    ),
    Fault(
        "labels: smoothing adds mass",
        "targets/labels.py",
        "mass * (smoothing / num_classes)",
        "mass * smoothing",
        LABELS,
    ),
    Fault(
        "accuracy: counts the largest label instead of the predicted one",
        "targets/losses.py",
        "target.gather(1, predicted).mean()",
        "target.amax(dim=1).mean()",
        ("tests/targets/test_losses.py",),
    ),
    # Keys
    Fault(
        "sampler: copies not counted",
        "keyed.py",
        "np.arange(len(order)) - np.repeat(starts, lengths)",
        "np.zeros(len(order), np.int64)",
        KEYED,
    ),
    Fault(
        "sampler: progress stands still within an epoch",
        "keyed.py",
        "(epoch + position / length)",
        "(epoch + 0 / length)",
        (*KEYED, "tests/test_workers.py"),
    ),
    Fault(
        "collate: every batch of an epoch is paired alike",
        "keyed.py",
        "step=first.position,",
        "step=0,",
        KEYED,
    ),
    Fault(
        "sampler: the next epoch has the same order",
        "keyed.py",
        "Keys(np.zeros(0, np.int64), epoch=epoch)",
        "Keys(np.zeros(0, np.int64), epoch=0)",
        KEYED,
    ),
    # Recipes
    Fault(
        "compare: interval from the normal distribution",
        "recipes/stats.py",
        "half = t_quantile((1 + level) / 2, n - 1)",
        "half = 1.96",
        ("tests/recipes/test_stats.py",),
    ),
)
