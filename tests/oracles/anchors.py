"""Anchors, their assignment, offsets, losses and suppression, one box and one anchor at a time."""

from __future__ import annotations

from math import exp, log, sqrt


def anchors(height, width, sizes, ratios, aspect=None):
    """Every size with the first ratio, then the first size with every other ratio."""
    aspect = height / width if aspect is None else aspect
    found = []
    for row in range(height):
        for column in range(width):
            cx, cy = (column + 0.5) / width, (row + 0.5) / height
            for s, r in [(s, ratios[0]) for s in sizes] + [(sizes[0], r) for r in ratios[1:]]:
                w, h = s * sqrt(r) * aspect, s / sqrt(r)
                found.append([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
    return found


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def iou(a, b):
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    union = area(a) + area(b) - width * height
    return width * height / union if union > 0 else 0.0


def assign(anchors, boxes, valid, threshold=0.5):
    """The box of each anchor, or -1: literally the two parts of the rule."""
    table = [
        [iou(box, anchor) if there else -1.0 for box, there in zip(boxes, valid, strict=True)]
        for anchor in anchors
    ]
    owner = []
    for row in table:
        best = -1
        for j, value in enumerate(row):
            if value >= threshold and (best < 0 or value > row[best]):
                best = j
        owner.append(best)
    rows, columns = set(range(len(anchors))), {j for j, there in enumerate(valid) if there}
    while rows and columns:
        top = None
        for i in sorted(rows):  # the lowest anchor first, then the lowest box
            for j in sorted(columns):
                if top is None or table[i][j] > table[top[0]][top[1]]:
                    top = (i, j)
        owner[top[0]] = top[1]
        rows.discard(top[0])
        columns.discard(top[1])
    return owner


def centre_form(box):
    x0, y0, x1, y1 = box
    return (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0


def encode(anchor, box, variances=(0.1, 0.2)):
    cx, cy, w, h = centre_form(box)
    ax, ay, aw, ah = centre_form(anchor)
    return [
        (cx - ax) / aw / variances[0],
        (cy - ay) / ah / variances[0],
        log(1e-6 + w / aw) / variances[1],
        log(1e-6 + h / ah) / variances[1],
    ]


def decode(anchor, offset, variances=(0.1, 0.2)):
    ax, ay, aw, ah = centre_form(anchor)
    cx, cy = ax + offset[0] * variances[0] * aw, ay + offset[1] * variances[0] * ah
    w, h = exp(offset[2] * variances[1]) * aw, exp(offset[3] * variances[1]) * ah
    return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]


def targets(anchors, boxes, classes, weights, threshold=0.5, variances=(0.1, 0.2)):
    """(offsets [A * 4], mask [A * 4], classes [A], weights [A]) of one image."""
    offsets, mask, numbers, each = [], [], [], []
    owners = assign(anchors, boxes, [c >= 0 for c in classes], threshold)
    for anchor, j in zip(anchors, owners, strict=True):
        offsets += [0.0] * 4 if j < 0 else encode(anchor, boxes[j], variances)
        mask += [float(j >= 0)] * 4
        numbers.append(0 if j < 0 else classes[j] + 1)
        each.append(1.0 if j < 0 else weights[j])
    return offsets, mask, numbers, each


def nms(boxes, scores, threshold, classes=None):
    """Positions kept, by falling score; among equal ones the lowest first."""
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        rivals = [k for k in kept if classes is None or classes[k] == classes[i]]
        if all(iou(boxes[k], boxes[i]) <= threshold for k in rivals):
            kept.append(i)
    return kept


def detect(probs, offsets, anchors, threshold=0.5, least=0.01, per_class=False):
    """Rows [class, confidence, x0, y0, x1, y1] of one image; probs [A][K + 1]."""
    rows = []
    for p, offset, anchor in zip(probs, offsets, anchors, strict=True):
        best = max(range(1, len(p)), key=lambda k: (p[k], -k))
        rows.append([best - 1, p[best], *decode(anchor, offset)])
    likely = [i for i, row in enumerate(rows) if row[1] >= least]
    kept = nms(
        [rows[i][2:] for i in likely],
        [rows[i][1] for i in likely],
        threshold,
        [rows[i][0] for i in likely] if per_class else None,
    )
    found = [likely[k] for k in kept]
    rest = [i for i in range(len(rows)) if i not in found]
    out = [rows[i] for i in found]
    for i in rest:
        confidence = rows[i][1] if i in likely else 1 - rows[i][1]
        out.append([-1, confidence, *rows[i][2:]])
    return out


def cross_entropy(logits, number):
    top = max(logits)
    return top + log(sum(exp(v - top) for v in logits)) - logits[number]


def hard_negatives(losses, classes, ratio):
    """Of one image: positions of its hardest negatives."""
    negatives = [i for i, c in enumerate(classes) if c == 0]
    wanted = int(ratio * (len(classes) - len(negatives)))
    return sorted(sorted(negatives, key=lambda i: (-losses[i], i))[:wanted])


def ssd_terms(logits, offsets, targets, ratio=3.0, beta=1.0):
    """(class term, offset term) of a batch; targets: for each image what `targets` returns."""
    positives, class_sum, offset_sum = 0, 0.0, 0.0
    for scores, found, (wanted, mask, numbers, weights) in zip(
        logits, offsets, targets, strict=True
    ):
        losses = [cross_entropy(s, n) for s, n in zip(scores, numbers, strict=True)]
        hard = range(len(losses)) if ratio is None else hard_negatives(losses, numbers, ratio)
        for i, number in enumerate(numbers):
            positives += number > 0
            if number > 0:
                class_sum += weights[i] * losses[i]
            elif i in hard:
                class_sum += losses[i]
        for k, there in enumerate(mask):
            if there:
                miss = abs(found[k] - wanted[k])
                smooth = miss**2 / 2 / beta if miss < beta else miss - beta / 2
                offset_sum += weights[k // 4] * smooth
    return class_sum / max(positives, 1), offset_sum / max(positives, 1)
