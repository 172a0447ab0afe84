"""Faults in boxes, masks, polygons and keypoints, and in the ops that look at them."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

PLAN = ("tests/plan/test_outlines.py", "tests/plan/test_follow.py")
COVERED = ("tests/plan/test_covered.py",)
KINDS = ("tests/targets/scenes/test_kinds.py",)
FILTERS = ("tests/targets/scenes/test_filters.py",)
POINTS = ("tests/targets/scenes/test_keypoints.py",)
RINGS = ("tests/targets/scenes/test_rings.py",)
TALLY = ("tests/targets/scenes/test_tally.py",)
OPS = ("tests/policy/test_detection_ops.py",)
MIXES = ("tests/policy/test_detection_mixes.py",)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "outlines: what left the image comes back",
        "plan/outlines.py",
        "return replace(self, points=points, seen=self.seen & inside)\n\n    def moved",
        "return replace(self, seen=self.seen & inside)\n\n    def moved",
        PLAN,
    ),
    Fault(
        "outlines: a mirror is forgotten after the next",
        "plan/outlines.py",
        "self.mirrored ^ (np.linalg.det(m) < 0)",
        "np.linalg.det(m) < 0",
        PLAN,
    ),
    Fault(
        "outlines: a turned box counts as upright",
        "plan/outlines.py",
        "self.upright & affine & (along | across)",
        "self.upright & affine",
        PLAN,
    ),
    Fault(
        "outlines: visibility of the cut box",
        "plan/outlines.py",
        "whole = polygons.areas(self.whole)",
        "whole = polygons.areas(self.points)",
        (*PLAN, *FILTERS),
    ),
    Fault(
        "follow: a box is mapped as pixels are, output to input",
        "plan/follow.py",
        "m[warps] = _inverse(param[warps, :9].reshape(-1, 3, 3))",
        "m[warps] = param[warps, :9].reshape(-1, 3, 3)",
        PLAN,
    ),
    Fault(
        "follow: a resize forgets where its box began",
        "plan/follow.py",
        "m[resizes, axis, 2] = -low * length / (high - low)",
        "m[resizes, axis, 2] = 0.0",
        PLAN,
    ),
    Fault(
        "follow: fused canvases do not cut",
        "plan/follow.py",
        "outlines = outlines.put(some, part.clipped(at[:, :9].reshape(-1, 3, 3), at[:, 9:11]))",
        "outlines = outlines.put(some, part)",
        PLAN,
    ),
    Fault(
        "polygons: the cut keeps the wrong side of crossings",
        "plan/polygons.py",
        "at = side / np.where(crosses, side - side_after, 1.0)",
        "at = side_after / np.where(crosses, side - side_after, 1.0)",
        PLAN,
    ),
    Fault(
        "covered: what lies behind a paste still weighs",
        "plan/covered.py",
        "behind = _anything_over(mix, cells)[b, s]",
        "behind = _anything_over(mix, cells)[b, s] & False",
        COVERED,
    ),
    Fault(
        "covered: a weight is set anew at each mix",
        "plan/covered.py",
        "weight=drawn.weight * np.minimum(mean / safe, 1.0)",
        "weight=np.minimum(mean / safe, 1.0)",
        COVERED,
    ),
    Fault(
        "covered: a weight is the part of the cut box",
        "plan/covered.py",
        "before = polygons.areas(drawn.points)\n    rect",
        "before = polygons.areas(drawn.points) * 0.5\n    rect",
        COVERED,
    ),
    Fault(
        "covered: the mask the wrong way round",
        "plan/covered.py",
        "mask if mix.mode[b[row], s[row]] == MixMode.MASK else MASK_ONE - mask",
        "mask if mix.mode[b[row], s[row]] == MixMode.UNMASK else MASK_ONE - mask",
        COVERED,
    ),
    Fault(
        "covered: copies in one place stay apart",
        "plan/covered.py",
        "if len(np.unique(pair, axis=0)) == len(pair):",
        "if len(pair):",
        COVERED,
    ),
    Fault(
        "covered: nothing is counted",
        "plan/covered.py",
        "lost=drawn.lost + Counter(lost)",
        "lost=drawn.lost",
        COVERED,
    ),
    Fault(
        "boxes: cxcywh taken as xywh",
        "targets/scenes/formats.py",
        "return np.stack([a - c / 2, b - d / 2, a + c / 2, b + d / 2], axis=1)",
        "return np.stack([a, b, a + c, b + d], axis=1)",
        KINDS,
    ),
    Fault(
        "boxes: angles turn to the right",
        "targets/scenes/formats.py",
        "return np.stack([c, -s], axis=1), np.stack([s, c], axis=1)",
        "return np.stack([c, s], axis=1), np.stack([-s, c], axis=1)",
        KINDS,
    ),
    Fault(
        "boxes: normalised by the image that came in",
        "targets/scenes/write.py",
        "found = found / formats.scale_of(form.format, (height, width))",
        "found = found / formats.scale_of(form.format, (width, height))",
        KINDS,
    ),
    Fault(
        "boxes: an entry stays while its box goes",
        "targets/scenes/write.py",
        "parts.append(_taken(self._value(int(row[start]), name), place[start:stop]))",
        "parts.append(_taken(self._value(int(row[start]), name), np.arange(stop - start)))",
        KINDS,
    ),
    Fault(
        "boxes: the partner's weights that came in are forgotten",
        "targets/scenes/form.py",
        "weight = weight * np.asarray(torch.as_tensor(before).cpu(), np.float64)",
        "weight = weight * 1.0",
        KINDS,
    ),
    Fault(
        "boxes: small ones are kept",
        "targets/scenes/form.py",
        'return items.take(side >= boxes.min_side - 1e-9, "min_side")',
        "return items",
        FILTERS,
    ),
    Fault(
        "boxes: invalid ones go uncounted",
        "targets/scenes/form.py",
        "self.tally.add(scene.lost)",
        "self.tally.add({})",
        FILTERS,
    ),
    Fault(
        "tally: what workers count stays with them",
        "targets/scenes/tally.py",
        'RawArray("q", ROWS * len(REASONS))',
        "np.zeros(ROWS * len(REASONS), np.int64)",
        TALLY,
    ),
    Fault(
        "tally: spawned workers count for themselves",
        "targets/scenes/tally.py",
        "return self.counts() if get_spawning_popen() is None else self._memory",
        "return self.counts()",
        TALLY,
    ),
    Fault(
        "tally: one row of all alone is read",
        "targets/scenes/tally.py",
        "sums = self._rows().sum(axis=0).tolist()",
        "sums = self._rows()[0].tolist()",
        TALLY,
    ),
    Fault(
        "keypoints: left and right are not swapped",
        "targets/scenes/write.py",
        "found[mirrored] = found[mirrored][:, order]",
        "found[mirrored] = found[mirrored]",
        POINTS,
    ),
    Fault(
        "keypoints: visible outside of the image",
        "targets/scenes/write.py",
        "level = np.where(self.items.seen[some], self.scene.level[origin], 0.0)",
        "level = self.scene.level[origin]",
        POINTS,
    ),
    Fault(
        "masks: a thing behind a paste shows through",
        "targets/scenes/masks.py",
        "canvas[v0:v1, u0:u1] = 0",
        "canvas[v0:v1, u0:u1] += 0",
        ("tests/targets/scenes/test_mixed_truth.py", *RINGS),
    ),
    Fault(
        "polygons: only the first paste cuts",
        "targets/scenes/rings.py",
        "for later in range(1, mix.source.shape[1]):",
        "for later in range(1, 1):",
        RINGS,
    ),
    Fault(
        "polygons: a part between the sides is lost",
        "targets/scenes/rings.py",
        "_cut(column, none, one, -y1),",
        "_cut(column, none, one, -y1 - 9999),",
        RINGS,
    ),
    Fault(
        "RandomIoUCrop: any overlap will do",
        "policy/detection.py",
        "good &= _best_iou(rows, windows) >= np.maximum(least, 0.0)[:, None]",
        "good &= _best_iou(rows, windows) >= 0.0",
        OPS,
    ),
    Fault(
        "RandomIoUCrop: boxes of other images count",
        "policy/detection.py",
        "np.maximum.at(best, row, iou)",
        "best[:] = iou.max(axis=0)",
        ("tests/policy/test_detection_ops.py", "tests/policy/test_contract.py"),
    ),
    Fault(
        "BBoxSafeCrop: cuts into the right edge",
        "policy/detection.py",
        "end = np.ceil(size - (size - high) * unit[:, 2:])",
        "end = np.ceil(high - (size - high) * unit[:, 2:])",
        OPS,
    ),
    Fault(
        "FixedSizeCrop: the last place is never taken",
        "policy/detection.py",
        'left = rows.draws.integers("left", 0, room[:, 1] + 1)',
        'left = rows.draws.integers("left", 0, np.maximum(room[:, 1], 1))',
        OPS,
    ),
    Fault(
        "RandomPhotometricDistort: contrast twice",
        "policy/detection.py",
        'self._part(rows, "contrast", Code.CONTRAST, ~early)',
        'self._part(rows, "contrast", Code.CONTRAST, True)',
        OPS,
    ),
    Fault(
        "Mosaic: tiles begin at the canvas's corner",
        "policy/mosaic.py",
        "near = np.where(2 * at < side - 1, end - span_px, start)",
        "near = start",
        MIXES,
    ),
    Fault(
        "JitterMixUp: only small partners move",
        "policy/mosaic.py",
        "place = np.floor(np.minimum(room, 0) + unit * (np.abs(room) + 1)).astype(np.int64)",
        "place = np.floor(unit * (np.maximum(room, 0) + 1)).astype(np.int64)",
        MIXES,
    ),
    Fault(
        "CopyPaste: all or nothing",
        "policy/copypaste.py",
        "max([1, *map(len, pieces)])) < self.select",
        "max([1, *map(len, pieces)])) < 1.0",
        MIXES,
    ),
    Fault(
        "MixUp: the canvas is the own image's",
        "policy/mix.py",
        "canvas_hw=mix.rect_px[:, :, :1:-1].max(axis=1)",
        "canvas_hw=mix.rect_px[:, 0, :1:-1]",
        MIXES,
    ),
)
