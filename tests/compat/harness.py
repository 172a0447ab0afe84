"""What the tests of all libraries share: photographs, single ops rendered, events, comparisons.

An *event* is what happened to an image in one place of a policy: an op and its level, as one whole
number (`event`), so that a sampler is compared with a library's by counting whole numbers.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from PIL import Image
from scipy import stats
from sklearn.datasets import load_sample_images

from mixwell._rng import Draws, Keys
from mixwell.plan import Plan
from mixwell.plan.steps import WARPS, Code, Edit
from mixwell.policy import Policy
from mixwell.policy.base import Op, Rows
from mixwell.policy.spaces import Look, space
from mixwell.render import render

torch.set_num_threads(1)

TESTS = 500
"""At least as many statistical tests as there are, for Bonferroni's correction."""
ALPHA = 1e-6 / TESTS


# ------------------------------------------------------------------------------------- images


@cache
def photos() -> dict[str, np.ndarray]:
    """Parts of two photographs, uint8 [H, W, 3]: square, odd, even by odd, tiny, one pixel; and
    all levels."""
    china, flower = load_sample_images().images
    return {
        "square": china[100:164, 200:264].copy(),
        "odd": flower[150:427:5, 100:560:5][:55, :91].copy(),
        "upright": china[20:104, 300:341].copy(),
        "tiny": flower[200:203, 300:305].copy(),
        "pixel": flower[220:221, 310:311].copy(),
        "levels": np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2),
    }


def to_pil(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image)


def to_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1).contiguous()


def to_array(image: Image.Image | torch.Tensor) -> np.ndarray:
    """uint8 [H, W, 3] from what a library returns."""
    if isinstance(image, torch.Tensor):
        return image.permute(1, 2, 0).numpy()
    return np.asarray(image)


# -------------------------------------------------------------------------------- single ops


class _Signs(Draws):
    """Draws whose signs are given: +1 for even indices, -1 for odd ones."""

    def sign(self, name: str) -> np.ndarray:
        return np.where(self.keys.index % 2 == 0, 1.0, -1.0)


def edit_of(
    space_name: str, op: str, t: np.ndarray, hw: tuple[int, int], interp: str, fill=0.0
) -> Edit:
    """One op at the given strengths, each with sign + and then with sign -: 2 n rows."""
    t = np.repeat(np.asarray(t, np.float64), 2)
    rows = Rows(np.full((len(t), 2), hw, np.int32), _Signs(Keys(np.arange(len(t))), 0))
    return space(space_name).slot(rows, (op,), np.zeros(len(t), np.int64), t, Look(interp, fill))


def done(image: np.ndarray, *edits: Edit, fused: bool = False) -> np.ndarray:
    """An image under every row of the edits, in order: uint8 [rows, H, W, 3]."""
    n = edits[0].rows
    plan = Plan(np.full((n, 2), image.shape[:2]), (Edit.chain(list(edits)),))
    return np.stack(render([image] * n, plan.fused() if fused else plan))


def planned(op: Op, n: int, hw: tuple[int, int], seed: int = 1) -> Plan:
    """An op's plan for n equal images."""
    return Policy(op).sample(np.full((n, 2), hw), keys=Keys(np.arange(n)), seed=seed)


# ------------------------------------------------------------------------------------- events

NAMES = (
    "Identity ShearX ShearY TranslateX TranslateY Rotate Brightness Color Contrast Sharpness "
    "Posterize Solarize AutoContrast Equalize Invert SolarizeAdd GaussianBlur"
).split()
_TONES = {
    Code.BRIGHTNESS: "Brightness",
    Code.TV_BRIGHTNESS: "Brightness",
    Code.SATURATION: "Color",
    Code.TV_SATURATION: "Color",
    Code.CONTRAST: "Contrast",
    Code.PIL_CONTRAST: "Contrast",
    Code.TV_CONTRAST: "Contrast",
    Code.SHARPNESS: "Sharpness",
    Code.TV_SHARPNESS: "Sharpness",
    Code.POSTERIZE: "Posterize",
    Code.SOLARIZE: "Solarize",
    Code.AUTOCONTRAST: "AutoContrast",
    Code.TV_AUTOCONTRAST: "AutoContrast",
    Code.EQUALIZE: "Equalize",
    Code.INVERT: "Invert",
    Code.SOLARIZE_ADD: "SolarizeAdd",
    Code.PIL_BLUR: "GaussianBlur",
}
_ENHANCE = ("Brightness", "Color", "Contrast", "Sharpness")
STILL = NAMES.index("Identity") * 10**8


def event(op: str, level: float) -> int:
    """An op with its level, to four decimals; geometry that moves nothing is Identity."""
    if level == 0 and op in NAMES[:6]:
        return STILL
    return NAMES.index(op) * 10**8 + round(level * 1e4)


def events(edit: Edit) -> np.ndarray:
    """int64 [N, K]: what every slot of a plan does, read from its arrays."""
    out = np.full(edit.code.shape, STILL, np.int64)
    for code in np.unique(edit.code):
        at = edit.code == code
        param = edit.param[at]
        if code in WARPS:
            out[at] = _moved(param)
        elif code != Code.NOTHING:
            name = _TONES[Code(code)]
            level = param[:, 0] - 1.0 if name in _ENHANCE else param[:, 0]
            level = level / 255.0 if name == "Solarize" else level
            out[at] = NAMES.index(name) * 10**8 + np.rint(level * 1e4).astype(np.int64)
    return out


def _moved(param: np.ndarray) -> np.ndarray:
    """Which warp a matrix is: of a shear, a translation and a rotation exactly one."""
    a, b, x, c, _, y = param[:, :6].T
    turn = np.rad2deg(np.arctan2(c, a))
    cases = (
        ("Rotate", (b != 0) & (c != 0), turn),
        ("ShearX", (b != 0) & (c == 0), b),
        ("ShearY", (b == 0) & (c != 0), c),
        ("TranslateX", (b == 0) & (c == 0) & (x != 0), -x),
        ("TranslateY", (b == 0) & (c == 0) & (y != 0), -y),
    )
    out = np.full(len(param), STILL, np.int64)
    for name, chosen, level in cases:
        coded = NAMES.index(name) * 10**8 + np.rint(level * 1e4).astype(np.int64)
        out[chosen] = coded[chosen]
    return out


# -------------------------------------------------------------------------------- comparisons


def joint(*columns: np.ndarray) -> np.ndarray:
    """int64 [N]: one number for each combination of columns, the same in every call."""
    mixed = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        mixed = mixed * np.uint64(6364136223846793005) + np.asarray(column).astype(np.uint64)
    return mixed.astype(np.int64)


def need_same_counts(ours: np.ndarray, theirs: np.ndarray, what: str, least: int = 20) -> None:
    """Two samples of categories: chi-squared on their table, rare categories taken together."""
    values, place = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(values)) for part in np.split(place, [len(ours)])]
    table = np.stack(counts)
    rare = table.sum(axis=0) < least
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    assert table.shape[1] > 1, f"{what}: nothing varies"
    p = stats.chi2_contingency(table, correction=False).pvalue
    apart = np.abs(counts[0] / len(ours) - counts[1] / len(theirs))
    assert p > ALPHA, f"{what}: p = {p:.2e}, most apart at {values[apart.argmax()]}"


def need_same_spread(ours: np.ndarray, theirs: np.ndarray, what: str) -> None:
    """Two samples of numbers: Kolmogorov and Smirnov."""
    assert len(np.unique(ours)) > 10, f"{what}: nothing varies"
    p = stats.ks_2samp(ours, theirs, method="asymp").pvalue
    assert p > ALPHA, f"{what}: p = {p:.2e}"
