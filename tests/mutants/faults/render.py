"""Faults in pixels."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
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
        "channels: the other way round",
        "render/reference/tone.py",
        "device=images.device)[:, None], shown]",
        "device=images.device)[:, None], shown.argsort(1)]",
        ("tests/render/test_tone.py",),
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
    Fault(
        "mask: weights past it a unit short",
        "render/reference/mixing.py",
        "WEIGHT_ONE - through, units)",
        "WEIGHT_ONE - 1 - through, units)",
        ("tests/render/test_mixing.py",),
    ),
    Fault(
        "fill: parts of 1 pass the reference's check",
        "render/reference/rows.py",
        'if kind != "float" and len(parts):',
        'if kind == "float" and len(parts):',
        ("tests/render/test_fills.py",),
    ),
    Fault(
        "fill: parts of 1 are not sent to the reference",
        "render/limits.py",
        "return top > 1 and bool(in_parts_of_one(some).any())",
        "return top > 1 and bool(in_parts_of_one(some).all()) and channels > 4",
        ("tests/render/test_fills.py",),
    ),
)
