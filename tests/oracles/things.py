"""Polygons, points and boxes through matrices, canvases and mixes: one corner, one pixel at a
time."""

from __future__ import annotations


def area(points):
    """The shoelace formula."""
    around = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in around)) / 2


def extent(points):
    """x0 y0 x1 y1 around points."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def corners(box):
    """A box as a polygon."""
    x0, y0, x1, y1 = box
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def cut(points, a, b, c):
    """The part of a convex polygon where a x + b y + c >= 0."""
    out = []
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        f0, f1 = a * x0 + b * y0 + c, a * x1 + b * y1 + c
        if f0 >= 0:
            out.append((x0, y0))
        if f0 * f1 < 0:
            t = f0 / (f0 - f1)
            out.append((x0 + t * (x1 - x0), y0 + t * (y1 - y0)))
    return out


def cut_to(points, box):
    """The part of a convex polygon in a rectangle."""
    x0, y0, x1, y1 = box
    for line in ((1, 0, -x0), (-1, 0, x1), (0, 1, -y0), (0, -1, y1)):
        points = cut(points, *line) if points else points
    return points


def inverse(m):
    """Of a 3 x 3 matrix, up to a positive or negative factor: its adjugate, with the sign of m's
    determinant taken out."""
    (a, b, c), (d, e, f), (g, h, i) = m
    rows = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ]
    det = a * rows[0][0] + b * rows[1][0] + c * rows[2][0]
    return [[v / det for v in row] for row in rows]


def mapped(point, m):
    """A point through a matrix, and its denominator."""
    x, y = point
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in m)
    return (u / w, v / w), w


def of_resize(box, size_hw):
    """`dst_to_src` of a resize of a box to a size."""
    x0, y0, x1, y1 = box
    height, width = size_hw
    return [[(x1 - x0) / width, 0.0, x0], [0.0, (y1 - y0) / height, y0], [0.0, 0.0, 1.0]]


def moved(points, dst_to_src, size_hw):
    """A convex polygon after a warp: what is before the horizon, on its new canvas."""
    back = inverse(dst_to_src)
    g, h, i = back[2]
    shown = cut(points, g, h, i - 1e-6) if (g, h) != (0.0, 0.0) else points
    return cut_to([mapped(p, back)[0] for p in shown], (0, 0, size_hw[1], size_hw[0]))


def clipped(points, dst_to_canvas, canvas_hw):
    """What of a convex polygon a canvas holds that is seen through a matrix."""
    (a, b, c), (d, e, f), (g, h, i) = dst_to_canvas
    height, width = canvas_hw
    lines = [(a, b, c), (d, e, f)]
    lines += [(width * g - a, width * h - b, width * i - c)]
    lines += [(height * g - d, height * h - e, height * i - f)]
    for line in lines:
        points = cut(points, *line) if points else points
    return points


def coefficient(sources, s, x, y):
    """What part of source s a pixel of a mixed canvas shows.

    Sources are dicts in drawing order: mode ("paste", "add", "mask", "unmask"), weight, rect, and
    mask[y][x] in 0 .. 1.
    """
    found = 0.0
    for t, one in enumerate(sources):
        x0, y0, x1, y1 = one["rect"]
        if not (x0 <= x < x1 and y0 <= y < y1):
            continue
        if one["mode"] == "paste":
            found = 1.0 if t == s else 0.0
        elif t == s:
            through = {"add": one["weight"], "mask": one["mask"][y][x]}
            found = through.get(one["mode"], 1 - one["mask"][y][x])
    return found


def shows(sources, s, x, y):
    """Whether a pixel counts as showing source s: drawn there, not pasted over, and more than
    half through a mask."""
    one = sources[s]
    part = coefficient([{**t, "weight": 1.0} for t in sources], s, x, y)
    return part >= 0.5 if one["mode"] in ("mask", "unmask") else part > 0


def seen_of(sources, s, pixels):
    """Of pixels (x, y): how many are shown, the sum of their coefficients, and the extent of those
    shown."""
    shown = [(x, y) for x, y in pixels if shows(sources, s, x, y)]
    total = sum(coefficient(sources, s, x, y) for x, y in pixels)
    box = None
    if shown:
        x0, y0, x1, y1 = extent(shown)
        box = (x0, y0, x1 + 1, y1 + 1)
    return len(shown), total, box
