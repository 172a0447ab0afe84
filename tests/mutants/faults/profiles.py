"""Faults in profiles of other libraries."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

PILLOW = ("tests/render/test_pillow.py",)
TV_CODES = ("tests/render/test_torchvision.py",)
TORCHVISION = ("tests/compat/test_torchvision_ops.py",)
TIMM = ("tests/compat/test_timm_ops.py",)
TIMM_MIXING = ("tests/compat/test_timm_mixing.py",)
TIMM_TEXT = ("tests/compat/test_timm_text.py",)
TF_TPU = ("tests/compat/test_tf_tpu.py",)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "pillow: fixed point begins at the pixel's corner",
        "render/reference/pillow.py",
        "shifted = start + step_x * 0.5 + step_y * 0.5",
        "shifted = start + step_x * 0.5",
        PILLOW,
    ),
    Fault(
        "pillow: tables multiply instead of adding up",
        "render/reference/pillow.py",
        "return np.add.accumulate(terms, axis=-1)",
        "return start[..., None] + step[..., None] * np.arange(count)",
        PILLOW,
    ),
    Fault(
        "pillow: fills are rounded",
        "render/reference/library.py",
        "colours(fill, exact, taken).trunc()",
        "colours(np.rint(fill), exact, taken)",
        PILLOW,
    ),
    Fault(
        "pillow: alpha is not divided out",
        "render/reference/pillow.py",
        "return _without_alpha(out) if with_alpha else out",
        "return out",
        PILLOW,
    ),
    Fault(
        "pillow: the blur's ends weigh as much as the inside",
        "render/reference/pillow.py",
        "total * weight + ends * rest",
        "total * weight + ends * weight",
        PILLOW,
    ),
    Fault(
        "torchvision: no fill is a black fill",
        "render/reference/torchvision.py",
        "param[:, 11] == 0",
        "param[:, 11] <= 1",
        TV_CODES,
    ),
    Fault(
        "torchvision: warps cut off",
        "render/reference/torchvision.py",
        "out.round().to(images.dtype)",
        "out.to(images.dtype)",
        TV_CODES,
    ),
    Fault(
        "torchvision: grey levels keep their fractions",
        "render/reference/torchvision.py",
        "grey if images.is_floating_point() else grey.floor()",
        "grey",
        TV_CODES,
    ),
    Fault(
        "profile: torchvision's shear about the centre",
        "policy/spaces/torchvision.py",
        "_warp(tensor, g.shear(slope, zero), 0.0 - slope * middle_y, zero)",
        "_warp(tensor, g.about_centre(g.shear(slope, zero), rows.size_hw), zero, zero)",
        TORCHVISION,
    ),
    Fault(
        "profile: torchvision's upper bins counted from below",
        "policy/spaces/torchvision.py",
        "level = np.where(place < bins // 2, up, down)",
        "level = np.where(place < bins, up, down)",
        TORCHVISION,
    ),
    Fault(
        "profile: tensors solarized as PIL images",
        "policy/spaces/torchvision.py",
        "return threshold.astype(np.float32).astype(np.float64) if tensor else threshold",
        "return threshold",
        TORCHVISION,
    ),
    Fault(
        "profile: quarter turns of oblong images by whole pixels",
        "policy/spaces/torchvision.py",
        "whole = (turn % 180 == 0) | ((turn % 90 == 0) & (width == height))",
        "whole = turn % 90 == 0",
        TORCHVISION,
    ),
    Fault(
        "profile: torchvision's box with odd sides",
        "policy/library_mix.py",
        "np.minimum(pixel + half, length)",
        "np.minimum(pixel + half + 1, length)",
        ("tests/compat/test_torchvision_draws.py",),
    ),
    Fault(
        "profile: torchvision's box rounded to the nearest pixel",
        "policy/library_mix.py",
        "half = (reach * length).astype(np.int64)",
        "half = np.rint(reach * length).astype(np.int64)",
        ("tests/compat/test_torchvision_draws.py",),
    ),
    Fault(
        "timm: shears turn about the centre",
        "policy/spaces/timm.py",
        "return pil_warp(g.shear(level, zero) if axis == 0 else g.shear(zero, level))",
        "return pil_warp(g.about_centre(g.shear(*((level, zero) if axis == 0 else "
        "(zero, level))), rows.size_hw))",
        TIMM,
    ),
    Fault(
        "timm: magnitudes out of thirty",
        "policy/spaces/timm.py",
        "BINS = 11",
        "BINS = 31",
        TIMM_TEXT,
    ),
    Fault(
        "timm: posterize counts bits the other way",
        "policy/spaces/timm.py",
        '"PosterizeIncreasing": Entry(_bits(4, -1)',
        '"PosterizeIncreasing": Entry(_bits(0, 1)',
        TIMM,
    ),
    Fault(
        "timm: translations follow their level",
        "policy/spaces/timm.py",
        "g.shift(-level, zero) if axis == 0 else g.shift(zero, -level)",
        "g.shift(level, zero) if axis == 0 else g.shift(zero, level)",
        TIMM,
    ),
    Fault(
        "timm: AugMix reaches as far as RandAugment",
        "policy/spaces/timm.py",
        '0.3 if kind == "-augmix" else REACH',
        "REACH",
        TIMM_TEXT,
    ),
    Fault(
        "timm: factors below 0.1",
        "policy/spaces/timm.py",
        "np.maximum(0.1, 1.0 + sign * (t * 0.9))",
        "1.0 + sign * (t * 0.9)",
        TIMM,
    ),
    Fault(
        "timm: every drawn op happens",
        "policy/timm_text.py",
        'op_p=min(given.get("p", 0.5), 1.0)',
        'op_p=min(given.get("p", 1.0), 1.0)',
        TIMM_TEXT,
    ),
    Fault(
        "timm: weighted ops are drawn with replacement",
        "policy/timm_text.py",
        "replace=not isinstance(which, Mapping)",
        "replace=True",
        TIMM_TEXT,
    ),
    Fault(
        "timm: CutMix's odd sides lose a pixel",
        "policy/library_mix.py",
        'odd = [], [], int(self.box != "1.0.28")',
        "odd = [], [], 0",
        TIMM_MIXING,
    ),
    Fault(
        "timm: the older CutMix keeps odd sides",
        "policy/library_mix.py",
        'odd = [], [], int(self.box != "1.0.28")',
        "odd = [], [], 1",
        TIMM_MIXING,
    ),
    Fault(
        "timm: CutMix chosen as often as not chosen",
        "policy/library_mix.py",
        'return self._draw(rows, "which") < self.switch_prob',
        'return self._draw(rows, "which") >= self.switch_prob',
        TIMM_MIXING,
    ),
    Fault(
        "timm: labels are corrected unasked",
        "policy/library_mix.py",
        "if self.correct_lam or self.cutmix_minmax is not None or not cut.any():",
        "if True:",
        TIMM,
    ),
    Fault(
        "timm: rectangles are as large as one alone",
        "policy/library_erase.py",
        "scale = (low / count, high / count)",
        "scale = (low, high)",
        TIMM_MIXING,
    ),
    Fault(
        "tpu: shears turn about the corner",
        "policy/spaces/tpu.py",
        "m[:, axis, 2] = -0.5 * level",
        "m[:, axis, 2] = 0.0 * level",
        TF_TPU,
    ),
    Fault(
        "tables: v0 is another",
        "policy/tables_timm.py",
        "Color 0.4 9, Equalize 0.6 3",
        "Color 0.4 8, Equalize 0.6 3",
        TF_TPU,
    ),
)
