"""Faults in the GPU renderer; the interpreter must catch those in kernels."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

_HOME = "render/triton_gpu/"
_TESTS = ("tests/render/test_triton.py",)


def _fault(name: str, file: str, old: str, new: str) -> Fault:
    return Fault(f"triton: {name}", _HOME + file, old, new, _TESTS)


FAULTS: tuple[Fault, ...] = (
    _fault(
        "division cut off",
        "kernels/gather.py",
        "- (above - whole * below < 0)",
        "- (whole < whole)",
    ),
    _fault(
        "edge not held", "kernels/gather.py", "held(left + 1, 0, right)", "held(left, 0, right)"
    ),
    _fault("edges open", "kernels/gather.py", "(u < (width << 32))", "(u <= (width << 32))"),
    _fault("border sharpened", "kernels/gather.py", "(x > 0) & (y > 0)", "(x >= 0) & (y > 0)"),
    _fault("rounded down", "kernels/gather.py", "(total + _TAPS_HALF)", "(total)"),
    _fault("mirror forgotten", "kernels/taps.py", "size - 1 - place, place", "place, place"),
    _fault("a tap too few", "records.py", "astype(np.int64) + 2", "astype(np.int64)"),
    _fault("counts of padding", "kernels/passes.py", "tl.where(bins == 0, beyond, 0)", "0"),
    _fault(
        "equal counts as darker",
        "kernels/taps.py",
        "expand_dims(level, 1) <",
        "expand_dims(level, 1) <=",
    ),
    _fault(
        "alpha looked up",
        "kernels/tone.py",
        "out = word & _ALPHA if CHANNELS > 3",
        "out = word * 0 if CHANNELS > 3",
    ),
    _fault(
        "channels the other way round",
        "kernels/tone.py",
        "((word >> shift) & 255) << (8 * c)",
        "((word >> (8 * c)) & 255) << shift",
    ),
    _fault(
        "hue turns back", "kernels/tone.py", "tl.floor(turns) + shift", "tl.floor(turns) - shift"
    ),
    _fault(
        "keys swapped",
        "kernels/noise.py",
        "tl.load(key + 2).to(tl.uint64), c1",
        "tl.load(key + 3).to(tl.uint64), c1",
    ),
    _fault("normalised erasing not scaled", "kernels/noise.py", "* 255.0", "* 254.0"),
    _fault(
        "half rounds up",
        "kernels/finish.py",
        "(total + 32767 + ((total >> 16) & 1))",
        "(total + 32768)",
    ),
    _fault("bfloat16 cut off", "kernels/finish.py", "bits + 32767 + ((bits >> 16) & 1)", "bits"),
    _fault(
        "mask inverted", "kernels/finish.py", "mode == _MASK, 2 * part", "mode != _MASK, 2 * part"
    ),
    _fault(
        "pastes add",
        "kernels/finish.py",
        "tl.where(shown & (mode == _PASTE), 0, 1)",
        "tl.where(shown & (mode < 0), 0, 1)",
    ),
    _fault(
        "a blur reads too early",
        "builder.py",
        "written[blurring], place[blurring]",
        "place[blurring], place[blurring]",
    ),
    _fault(
        "statistics of the whole run's end",
        "builder.py",
        "runs[ops.run[ops.statistics], 2] =",
        "runs[ops.run[ops.statistics], 2] = 0 *",
    ),
    _fault("costly rows are never written", "lower.py", "weight > 1.5", "weight > 99"),
    _fault(
        "looking is forbidden to wait",
        "proof.py",
        'torch.cuda.set_sync_debug_mode("default")',
        "pass",
    ),
    _fault("a device is trusted unseen", "proof.py", "torch.equal(a, b)", "True"),
)
