"""Faults in the fast renderer."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

_HOME = "render/numba_cpu/"
_PIXELS, _HOUSE = ("tests/render/test_numba.py",), ("tests/render/test_numba_house.py",)


def _fault(name: str, file: str, old: str, new: str, tests: tuple[str, ...] = _PIXELS) -> Fault:
    return Fault(f"numba: {name}", _HOME + file, old, new, tests)


FAULTS: tuple[Fault, ...] = (
    _fault("lanes borrow", "pixels.py", "(q - p) * weight", "(q - p) * (weight + 1)"),
    _fault("neighbours past the edge", "warp.py", "min(x + 1, width - 1)", "min(x + 1, width)"),
    _fault("span a pixel short", "warp.py", "start // -step + 1", "start // -step"),
    _fault("flip off by one", "warp.py", "left - 1 - low if back", "left - low if back"),
    _fault("a tap too few", "resize.py", "2.0 * support + 1e-6) + 2) & ~1", "2.0 * support)) & ~1"),
    _fault("taps with weight dropped", "resize.py", "return (t + 2) & ~1", "return t & ~1"),
    _fault("odd pixel lost", "resize.py", "even = size & ~1", "even = size - 2 & ~1"),
    _fault("second pixel's weights", "memory.py", "32 * number", "16 * number"),
    _fault("copies all at the left", "mixing.py", " + x0 * target[3]", ""),
    _fault("mirror forgotten", "resize.py", "size - 1 - i if start > stop else i", "i"),
    _fault("counts not moved", "levels.py", "out[c, table[c, level]] +=", "out[c, level] +="),
    _fault("two tables swapped", "levels.py", "step[table[c, level]]", "table[c, step[level]]"),
    _fault("channel 2 for 1", "tone.py", "8 * np.int64(shown[1])", "8 * np.int64(shown[2])"),
    _fault(
        "float channels the other way round",
        "floats/tone.py",
        "4 * pixels * np.int64(shown[c]), pixels, out + 4 * pixels * c",
        "4 * pixels * c, pixels, out + 4 * pixels * np.int64(shown[c])",
        ("tests/render/test_numba_floats.py",),
    ),
    _fault("alpha blurred away", "filters.py", "(image[x] & _ALPHA)", "np.uint32(0)"),
    _fault(
        "rows larger than the canvas",
        "mixing.py",
        "if tight:\n        flatten",
        "if 1:\n        flatten",
    ),
    _fault("erased in packed rows too", "kernels.py", " and target[6] != WORDS", ""),
    _fault("packed rows take floats", "finish.py", " and target[6] != WORDS", ""),
    _fault("half rounds up", "mixing.py", "((line[x] >> 16) & 1)", "1"),
    _fault("mask inverted", "mixing.py", "mode == _MASK else", "mode != _MASK else"),
    _fault("float16 cut off", "finish.py", "size += 0xFFF + ((size >> 13) & 1)", "size += 0"),
    _fault("bfloat16 cut off", "finish.py", "bits + 0x7FFF + ((bits >> 16) & 1)", "bits"),
    _fault("normalised erasing not scaled", "noise.py", "* np.float32(255)", "* np.float32(254)"),
    _fault(
        "one share is done twice",
        "pool.py",
        "while (share := next(turn))",
        "next(turn)\n        while (share := next(turn))",
        _HOUSE,
    ),
    _fault(
        "a larger call shuts the pool of others",
        "pool.py",
        "            _pool = ThreadPoolExecutor(",
        "            _ = _pool and _pool.shutdown(False)\n            _pool = ThreadPoolExecutor(",
        _HOUSE,
    ),
    _fault("helpers stay with the caller", "processors.py", " - {_here()}", "", _HOUSE),
    _fault("errors in helpers get lost", "pool.py", "if error is not None", "if False", _HOUSE),
    Fault(
        "numba: memory given out twice",
        "render/buffers.py",
        "            _idle.remove(buffer)",
        "            _idle.index(buffer)",
        _HOUSE,
    ),
    Fault(
        "numba: memory shared with children",
        "render/buffers.py",
        "mmap.MAP_PRIVATE",
        "mmap.MAP_SHARED",
        _HOUSE,
    ),
    _fault("fork while compiling", "serve.py", '"register_at_fork"', '"register_at_forks"', _HOUSE),
)
