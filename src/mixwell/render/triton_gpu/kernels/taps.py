"""Tables made on the device: taps of resizes, and the 256 levels of runs of tone ops."""

import triton
import triton.language as tl

from mixwell.plan.steps import Code
from mixwell.render.triton_gpu import records
from mixwell.render.triton_gpu.kernels.read import blended, held

_AXIS, _RUN = tl.constexpr(records.AXIS), tl.constexpr(records.RUN)
_ONE = tl.constexpr(float(1 << records.TAPS_BITS))
_BRIGHTNESS, _CONTRAST, _POSTERIZE, _SOLARIZE, _INVERT, _AUTOCONTRAST, _EQUALIZE = (
    tl.constexpr(int(c))
    for c in (
        Code.BRIGHTNESS,
        Code.CONTRAST,
        Code.POSTERIZE,
        Code.SOLARIZE,
        Code.INVERT,
        Code.AUTOCONTRAST,
        Code.EQUALIZE,
    )
)


@triton.jit
def _double(pointer):
    return tl.load(pointer).to(tl.float64, bitcast=True)


@triton.jit
def make_taps(axes, taps, BLOCK: tl.constexpr):
    """For each output of an axis the first pixel and the weights in 2^-22, tap by tap.

    Args:
        axes: int64, axis records, one for each program of the first axis.
        taps: int32, written: first [size], weights [taps, size].
        BLOCK: outputs of a program.
    """
    axis = axes + tl.program_id(0) * _AXIS
    low, scale, support = _double(axis), _double(axis + 1), _double(axis + 2)
    inverse, cubic = _double(axis + 3), tl.load(axis + 10)
    size, count = tl.load(axis + 6), tl.load(axis + 8)
    index = (tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    mask = index < size
    place = tl.minimum(index, size - 1)
    place = tl.where(tl.load(axis + 7) != 0, size - 1 - place, place)
    centre = low + (place.to(tl.float64) + 0.5) * scale
    first = tl.maximum((centre - support + 0.5).to(tl.int64), 0)
    last = tl.minimum((centre + support + 0.5).to(tl.int64), tl.load(axis + 4))
    total = tl.zeros_like(centre)
    for t in range(count):
        total += _tap(first + t, last, centre, inverse, cubic)
    to = taps + tl.load(axis + 9) + index
    tl.store(to, (first + tl.load(axis + 5)).to(tl.int32), mask)
    for t in range(count):
        weight = _tap(first + t, last, centre, inverse, cubic) / total
        whole = weight * _ONE + tl.where(weight < 0, -0.5, 0.5)
        tl.store(to + (t + 1) * size, whole.to(tl.int32), mask)


@triton.jit
def _tap(pixel, last, centre, inverse, cubic):
    x = tl.abs((pixel.to(tl.float64) - centre + 0.5) * inverse)
    value = tl.where(x < 1.0, 1.0 - x, 0.0)
    if cubic != 0:
        near = (1.5 * x - 2.5) * x * x + 1.0
        far = (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
        value = tl.where(x < 1.0, near, tl.where(x < 2.0, far, 0.0))
    return tl.where(pixel < last, value, 0.0)


@triton.jit
def make_tables(runs, steps, counts, tables, CHANNELS: tl.constexpr):
    """The table of each run, one for each program.

    Statistics inside a run are taken of the levels behind the table so far, each weighted by how
    many pixels had the level at the run's start.

    Args:
        runs: int64, run records.
        steps: float64 [.., 2], code and first parameter.
        counts: int32 [.., 3, 256], histograms.
        tables: uint8 [.., 3, 256], written.
        CHANNELS: 1, 3 or 4.
    """
    run = runs + tl.program_id(0) * _RUN
    level = tl.arange(0, 256)
    red, green, blue = level, level, level
    found = counts + 768 * tl.load(run + 2)
    for k in range(tl.load(run), tl.load(run + 1)):
        code, value = tl.load(steps + 2 * k).to(tl.int32), tl.load(steps + 2 * k + 1)
        if code == _AUTOCONTRAST:
            red = _autocontrast(red, found)
            if CHANNELS > 1:
                green, blue = _autocontrast(green, found + 256), _autocontrast(blue, found + 512)
        elif code == _EQUALIZE:
            red = _equalize(red, found)
            if CHANNELS > 1:
                green, blue = _equalize(green, found + 256), _equalize(blue, found + 512)
        else:
            pivot = tl.zeros_like(level)
            if code == _CONTRAST:
                pivot += _pivot(red, green, blue, found, CHANNELS).to(tl.int32)
            red = _stepped(code, value, pivot, red)
            green, blue = _stepped(code, value, pivot, green), _stepped(code, value, pivot, blue)
    out = tables + 768 * tl.load(run + 3) + level
    tl.store(out, red.to(tl.uint8))
    tl.store(out + 256, green.to(tl.uint8))
    tl.store(out + 512, blue.to(tl.uint8))


@triton.jit
def _stepped(code, value, pivot, level):
    out = 255 - level
    if (code == _BRIGHTNESS) | (code == _CONTRAST):
        out = blended(pivot, level, value.to(tl.float32))
    elif code == _POSTERIZE:
        out = level & -(1 << (8 - value.to(tl.int32)))
    elif code == _SOLARIZE:
        out = tl.where(level.to(tl.float64) < value, level, 255 - level)
    return out


@triton.jit
def _sum(level, counts):
    number = tl.load(counts + tl.arange(0, 256)).to(tl.int64)
    return tl.sum(number * level.to(tl.int64))


@triton.jit
def _pivot(red, green, blue, counts, CHANNELS: tl.constexpr):
    number = tl.sum(tl.load(counts + tl.arange(0, 256)).to(tl.int64))
    if CHANNELS > 1:
        total = 19595 * _sum(red, counts) + 38470 * _sum(green, counts + 256)
        total += 7471 * _sum(blue, counts + 512)
    else:
        total = 65536 * _sum(red, counts)
    whole = tl.maximum(number << 16, 1)
    return (total + (whole >> 1)) // whole


@triton.jit
def _autocontrast(level, counts):
    there = tl.load(counts + tl.arange(0, 256)) > 0
    low, high = tl.min(tl.where(there, level, 255)), tl.max(tl.where(there, level, 0))
    apart = tl.where(high > low, high - low, 1).to(tl.float64)
    scale = tl.full([256], 255.0, tl.float64) / apart
    stretched = level.to(tl.float64) * scale + (0 - low).to(tl.float64) * scale
    return tl.where(high > low, held(stretched, 0.0, 255.0).to(tl.int32), level)


@triton.jit
def _equalize(level, counts):
    number = tl.load(counts + tl.arange(0, 256))
    top = tl.max(tl.where(number > 0, level, 0))
    step = (tl.sum(number) - tl.sum(tl.where(level == top, number, 0))) // 255
    darker = tl.expand_dims(level, 1) < tl.expand_dims(level, 0)
    before = tl.sum(tl.where(darker, tl.expand_dims(number, 1), 0), axis=0)
    spread = tl.minimum((before + step // 2) // tl.maximum(step, 1), 255)
    return tl.where(step > 0, spread, level)
