"""COCO's average precision in plain loops, without crowds and without area ranges.

Lin et al., "Microsoft COCO", 2014, arXiv 1405.0312; the rules are those of the evaluation page:
detections of a class are taken by falling score over all images, each takes the free box of its
image that it overlaps most (at least by the threshold), precision is made non-increasing from the
right and read at 101 recalls.
"""

from __future__ import annotations

THRESHOLDS = [0.5 + 0.05 * k for k in range(10)]


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (area - shared)


def matches(found, boxes, threshold):
    """(score, hit) of an image's detections of a class, found = [(score, box)]."""
    taken, out = set(), []
    for score, box in sorted(found, key=lambda pair: -pair[0]):
        best, place = threshold - 1e-10, None
        for k, other in enumerate(boxes):
            overlap = iou(box, other)
            if k not in taken and overlap >= best:
                best, place = overlap, k
        if place is not None:
            taken.add(place)
        out.append((score, place is not None))
    return out


def average_precision(images, threshold):
    """Of one class; images = [(found, boxes)]. None without any box."""
    total = sum(len(boxes) for _, boxes in images)
    if total == 0:
        return None
    all_found = [pair for found, boxes in images for pair in matches(found, boxes, threshold)]
    all_found.sort(key=lambda pair: -pair[0])
    hits, curve = 0, []
    for seen, (_, hit) in enumerate(all_found, 1):
        hits += hit
        curve.append((hits / total, hits / seen))
    precisions = []
    for k in range(101):
        right = [p for r, p in curve if r >= k / 100 - 1e-12]
        precisions.append(max(right, default=0.0))
    return sum(precisions) / 101


def mean_average_precision(images):
    """Over COCO's ten thresholds, of one class; None without any box."""
    values = [average_precision(images, t) for t in THRESHOLDS]
    return None if values[0] is None else sum(v for v in values if v is not None) / len(values)
