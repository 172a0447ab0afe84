"""Faults in anchors, their assignment, offsets, loss and suppression."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

HERE = "tests/anchors"
BOXES = (f"{HERE}/test_boxes.py",)
GRID = (f"{HERE}/test_grid.py",)
ASSIGNMENT = (f"{HERE}/test_assignment.py",)
OFFSETS = (f"{HERE}/test_offsets.py",)
TRAINING = (f"{HERE}/test_training.py",)
LOSSES = (f"{HERE}/test_losses.py",)
DETECTION = (f"{HERE}/test_detection.py",)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "anchors: height and width swapped in fractions",
        "anchors/boxes.py",
        "whwh = size.flip(-1)",
        "whwh = size",
        BOXES,
    ),
    Fault(
        "anchors: overlap of nothing is not a number",
        "anchors/boxes.py",
        "areas.sub_(shared).clamp_(min=torch.finfo(shared.dtype).tiny)",
        "areas.sub_(shared)",
        BOXES,
    ),
    Fault(
        "anchors: boxes apart overlap by two negative sides",
        "anchors/boxes.py",
        "sub_(torch.maximum(top, top2)).relu_()",
        "sub_(torch.maximum(top, top2))",
        BOXES,
    ),
    Fault(
        "anchors: padding is the first class",
        "anchors/boxes.py",
        "_stacked([part.long() for part in classes], -1)",
        "_stacked([part.long() for part in classes], 0)",
        BOXES,
    ),
    Fault(
        "anchors: half precision stays so",
        "anchors/boxes.py",
        "return values if values.dtype == torch.float64 else values.float()",
        "return values if values.is_floating_point() else values.float()",
        BOXES,
    ),
    Fault(
        "anchors: the image's aspect left out",
        "anchors/grid.py",
        "_shapes(sizes, ratios, rows / columns)",
        "_shapes(sizes, ratios, 1.0)",
        GRID,
    ),
    Fault(
        "anchors: ratio in place of its root",
        "anchors/grid.py",
        "s / r**0.5)",
        "s / r)",
        GRID,
    ),
    Fault(
        "anchors: centres at the pixels' corners",
        "anchors/grid.py",
        "x = (torch.arange(width, device=device, dtype=dtype) + 0.5)",
        "x = (torch.arange(width, device=device, dtype=dtype) + 0.0)",
        GRID,
    ),
    Fault(
        "anchors: columns before rows",
        "anchors/grid.py",
        'indexing="xy"',
        'indexing="ij"',
        GRID,
    ),
    Fault(
        "assign: an overlap of the threshold is not enough",
        "anchors/assignment.py",
        "most < threshold",
        "most <= threshold",
        ASSIGNMENT,
    ),
    Fault(
        "assign: no anchor for each box",
        "anchors/assignment.py",
        "owner[image, anchor_of[image, box]] = box",
        "pass",
        ASSIGNMENT,
    ),
    Fault(
        "assign: padding takes part",
        "anchors/assignment.py",
        "overlap.masked_fill_(~valid[:, :, None], -1.0)",
        "pass",
        ASSIGNMENT,
    ),
    Fault(
        "assign: boxes settled go on as rivals",
        "anchors/assignment.py",
        "rivals.masked_fill_(~left[:, :, None], -1.0).argmax(dim=1)",
        "rivals.masked_fill_(rivals < 0, -1.0).argmax(dim=1)",
        ASSIGNMENT,
    ),
    Fault(
        "assign: a box takes an anchor that prefers another",
        "anchors/assignment.py",
        "wins = left & (first == itself)",
        "wins = left & ((first == itself) | True)",
        ASSIGNMENT,
    ),
    Fault(
        "assign: an anchor is given twice",
        "anchors/assignment.py",
        "overlap[image, box].masked_fill_(taken[image], -1.0)",
        "overlap[image, box]",
        ASSIGNMENT,
    ),
    Fault(
        "offsets: shifts measured from the corner",
        "anchors/offsets.py",
        "shift = (box_low + box_high - low - high) / 2",
        "shift = box_low - low",
        OFFSETS,
    ),
    Fault(
        "offsets: a box without width has none",
        "anchors/offsets.py",
        "scale = (LEAST + (",
        "scale = (0.0 + (",
        OFFSETS,
    ),
    Fault(
        "offsets: variances in the other order on the way back",
        "anchors/offsets.py",
        "shift * extent * centre",
        "shift * extent * size",
        OFFSETS,
    ),
    Fault(
        "offsets: a wild prediction is infinite",
        "anchors/offsets.py",
        ".clamp(max=log(LARGEST)).exp()",
        ".exp()",
        OFFSETS,
    ),
    Fault(
        "anchor targets: classes not moved past the background",
        "anchors/training.py",
        "classes[image, box].long() + 1",
        "classes[image, box].long()",
        TRAINING,
    ),
    Fault(
        "anchor targets: the weight of the image's first box",
        "anchors/training.py",
        "each[image, anchor] = weights[image, box]",
        "each[image, anchor] = weights[image, 0]",
        TRAINING,
    ),
    Fault(
        "anchor targets: negatives weigh nothing",
        "anchors/training.py",
        "each = coded.new_ones(owner.shape)",
        "each = coded.new_zeros(owner.shape)",
        TRAINING,
    ),
    Fault(
        "anchor targets: boxes of the first image for all",
        "anchors/training.py",
        "encode(chosen, boxes[image, box], variances=variances)",
        "encode(chosen, boxes[image * 0, box], variances=variances)",
        TRAINING,
    ),
    Fault(
        "ssd loss: weights shrink the number of positives",
        "anchors/losses.py",
        "number = positive.sum().clamp(min=1)",
        "number = (positive * targets.weights).sum().clamp(min=1)",
        LOSSES,
    ),
    Fault(
        "ssd loss: weights do not reach the classes",
        "anchors/losses.py",
        "torch.where(counted, targets.weights.to(each.dtype) * each, 0.0)",
        "torch.where(counted, each, 0.0)",
        LOSSES,
    ),
    Fault(
        "ssd loss: weights do not reach the offsets",
        "anchors/losses.py",
        "torch.where(weight > 0, weight.to(miss.dtype) * miss, 0.0)",
        "torch.where(weight > 0, miss, 0.0)",
        LOSSES,
    ),
    Fault(
        "ssd loss: the easiest negatives",
        "anchors/losses.py",
        "losses.argsort(dim=1, descending=True, stable=True)",
        "losses.argsort(dim=1, descending=False, stable=True)",
        LOSSES,
    ),
    Fault(
        "ssd loss: hard negatives of the batch, not of each image",
        "anchors/losses.py",
        "(positive.sum(dim=1, keepdim=True) * ratio).floor()",
        "(positive.sum() / max(len(positive), 1) * ratio).floor()",
        LOSSES,
    ),
    Fault(
        "ssd loss: positives among the hard negatives",
        "anchors/losses.py",
        "losses.detach().masked_fill(positive, -torch.inf)",
        "losses.detach()",
        LOSSES,
    ),
    Fault(
        "nms: classes meet below zero",
        "anchors/detection.py",
        "ops.batched_nms(wide - wide.amin(),",
        "ops.batched_nms(wide,",
        DETECTION,
    ),
    Fault(
        "nms: equal scores in any order",
        "anchors/detection.py",
        "kept = kept.sort().values\n",
        "kept = kept.flip(0)\n",
        DETECTION,
    ),
    Fault(
        "detect: background may be an anchor's class",
        "anchors/detection.py",
        "class_probs[:, :, 1:].max(dim=2)",
        "class_probs.max(dim=2)",
        DETECTION,
    ),
    Fault(
        "detect: background takes part in suppression",
        "anchors/detection.py",
        "candidate = confidence >= min_confidence",
        "candidate = confidence >= 0.0",
        DETECTION,
    ),
    Fault(
        "detect: classes suppress each other",
        "anchors/detection.py",
        "kinds = number[i, some] if per_class else None",
        "kinds = None",
        DETECTION,
    ),
    Fault(
        "detect: what was suppressed keeps its class",
        "anchors/detection.py",
        "number.masked_fill(~found, -1)",
        "number.masked_fill(~candidate, -1)",
        DETECTION,
    ),
    Fault(
        "detect: confidence of background turned round twice",
        "anchors/detection.py",
        "torch.where(candidate, confidence, 1 - confidence)",
        "torch.where(candidate, confidence, confidence)",
        DETECTION,
    ),
)
