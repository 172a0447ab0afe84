"""What a policy does to your images: a contact sheet, gradations, and a check of the labels.

The check measures the share of each image in each output on pixels, without asking the plan for
its shares: an image is painted white and all others black, the mixing part of the same plan is
rendered, and the mean of the result is what the label must say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mixwell._errors import DataError, PolicyError
from mixwell.plan.steps import GEOMETRIC, Code, Edit, Mix

if TYPE_CHECKING:
    from mixwell.plan import Plan
    from mixwell.policy import Policy
    from mixwell.viz.samples import Samples

FALLBACK_SIZE = 224
"""Side to which images of different sizes are brought when the policy needs them equal, px."""

SHARE_TOLERANCE = 1e-4
"""Weights are exact to 1/65536; a float32 mean over an image adds about as much again."""

MOST = 16
"""Images on a sheet unless more are asked for, a row each: it shall stay a sheet to look at."""

LabelMaker = Callable[["Plan"], np.ndarray]


@dataclass(frozen=True)
class CheckReport:
    """What a check found in a number of outputs.

    Attributes:
        outputs: how many were looked at.
        black: all black, though an image they are made of is not.
        unchanged: equal to the input of the same row, or to what a plain resize and a centre crop
            at the plan's beginning make of it.
        bad_sums: label shares that do not sum to 1.
        bad_shares: a share that differs from the measured one by more than `SHARE_TOLERANCE`.
        worst: largest such difference, 0 .. 1.
    """

    outputs: int
    black: int = 0
    unchanged: int = 0
    bad_sums: int = 0
    bad_shares: int = 0
    worst: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there is no fault; unchanged outputs are one only when all are."""
        return not self.faults

    @property
    def faults(self) -> list[str]:
        """The faults in words."""
        share = f"label share differs from pixel share (by up to {self.worst:.4f})"
        found = [
            (self.black, "all black"),
            (self.bad_sums, "label does not sum to 1"),
            (self.bad_shares, share),
            (self.unchanged if self.unchanged == self.outputs else 0, "unchanged, every one"),
        ]
        return [f"{count} of {self.outputs}: {what}" for count, what in found if count]


@dataclass(frozen=True)
class PreviewResult:
    """What `preview` wrote and found.

    Attributes:
        sheet: the contact sheet's file.
        gradation: the gradations' file, None when not asked for.
        report: the check's result, None when not asked for.
        size: px to which the images were brought before the policy saw them, None for their own.
        drawn: how many of the images are on the sheet.
    """

    sheet: Path
    gradation: Path | None = None
    report: CheckReport | None = None
    size: int | None = None
    drawn: int = 0


def preview(
    policy_text: str,
    image_paths: Sequence[str | Path],
    out: str | Path,
    *,
    check: bool = False,
    gradation: bool = False,
    copies: int = 4,
    seed: int = 0,
    epoch: int = 0,
    size: int | None = None,
    words: bool = True,
    most: int = MOST,
) -> PreviewResult:
    """Draw a contact sheet of a policy on image files; each file counts as a class of its own.

    Args:
        policy_text: a preset's name, a TOML file, or code such as "Policy(CutMix())".
        image_paths: files that Pillow reads; turned upright and taken as RGB.
        out: the sheet's file; the suffix decides the format.
        check: also look for faults, see `CheckReport`.
        gradation: also draw the first two images mixed by degrees, to `OUT-gradation`.
        copies: outputs for each image.
        seed: as for `Policy.sample`.
        epoch: for schedules, and for other draws.
        size: px; scale and cut the images to squares of this side first. When None is given, they
            stay as they are, except where they differ in size and the policy cannot mix them so:
            then it is `FALLBACK_SIZE`.
        words: also print what the plan does.
        most: how many of the images are read, at most, spread evenly over those named.

    Raises:
        DataError: a file is missing or cannot be decoded, or there are too few.
        PolicyError: the policy is unknown or cannot work on these images.
        OSError: a picture cannot be written.
    """
    from mixwell.viz.sheet import draw_sheet

    out = _writable(Path(out))
    if not image_paths:
        raise DataError("A preview needs at least one image file, got none. Name some.")
    if most < 1:
        raise DataError(f"A preview draws at least one image, got most={most}. Set a larger one.")
    count = min(most, len(image_paths))
    paths = [Path(image_paths[i * len(image_paths) // count]) for i in range(count)]
    images, names = [_load(path) for path in paths], _names(paths)
    if gradation and len(images) < 2:
        raise DataError(f"A gradation needs two images, got {len(images)}. Give another one.")
    policy, samples, size = _samples(
        policy_text, images, size, copies=copies, seed=seed, epoch=epoch
    )
    note = f"seed {seed}, epoch {epoch}" + (f", images brought to {size} px" if size else "")
    draw_sheet(samples, names, repr(policy), note, words=words).save(out)
    return PreviewResult(
        sheet=out,
        gradation=_draw_gradations(samples, names, out) if gradation else None,
        report=check_samples(samples) if check else None,
        size=size,
        drawn=len(images),
    )


def check_samples(samples: Samples, labels_of: LabelMaker | None = None) -> CheckReport:
    """Look for faults in what a policy made.

    Args:
        samples: the plans and what was rendered from them.
        labels_of: from a plan to its labels [B, N] over its input rows; `dense_labels` with each
            row a class of its own when None is given. (Tests put wrong ones here.)
    """
    labels_of = labels_of or _labels
    counts = np.zeros(5, np.int64)
    worst = 0.0
    for plan, outputs in zip(samples.plans, samples.outputs, strict=True):
        label, measured = labels_of(plan).astype(np.float64), measured_shares(plan)
        error = np.abs(label - measured).max(axis=1, initial=0)
        worst = max(worst, float(error.max(initial=0)))
        black, same = _looks(samples.inputs, plan, outputs)
        off = np.abs(label.sum(axis=1) - 1) > SHARE_TOLERANCE
        wrong = error > SHARE_TOLERANCE
        counts += [len(plan), black, same, off.sum(), wrong.sum()]
    return CheckReport(*(int(count) for count in counts), worst=worst)


def measured_shares(plan: Plan) -> np.ndarray:
    """Which part of each output's content comes from each input row, measured on pixels.

    Input rows are painted white one at a time (three at once, one in each channel) and the plan's
    mixing part is rendered; the fill is black, and what is left out of the sum.

    Returns:
        float64 [B, N]; rows sum to 1, or to 0 where an output shows fill alone.
    """
    from mixwell.render import render

    mixing = mixing_part(plan)
    mass = np.zeros((len(plan), mixing.rows))
    for first in range(0, mixing.rows, 3):
        images = [np.zeros((height, width, 3), np.float32) for height, width in mixing.in_hw]
        for channel in range(min(3, mixing.rows - first)):
            images[first + channel][..., channel] = 1.0
        outputs = render(images, mixing)
        means = np.stack([np.asarray(o).mean(axis=(0, 1), dtype=np.float64) for o in outputs])
        mass[:, first : first + 3] = means[:, : mixing.rows - first]
    total = mass.sum(axis=1, keepdims=True)
    return np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)


def mixing_part(plan: Plan) -> Plan:
    """The plan from its first mix on, with geometry but without tone, on black.

    Edits before the first mix change what an image looks like, not how much of it is seen.
    """
    steps, sizes = list(plan.steps), plan.in_hw
    while steps and isinstance(steps[0], Edit):
        sizes = steps.pop(0).out_hw(sizes)
    return replace(plan, in_hw=sizes, steps=tuple(_on_black(step) for step in steps))


def plain_beginning(plan: Plan) -> Plan:
    """What the plan does to each row before the first slot that is no plain change of size.

    Plain is what a policy without chance does to fit images to a model: the whole image resized, or
    cut or padded around its centre.
    """
    edits: list[Edit] = []
    for step in plan.steps:
        if not isinstance(step, Edit):
            break
        edits.append(step)
    if not edits:
        return replace(plan, steps=(), keys=None)
    edit = Edit.chain(edits).copy()
    plain, size_hw = np.ones(plan.rows, bool), plan.in_hw
    for slot in range(edit.slots):
        plain &= _is_plain(edit, slot, size_hw)
        edit.code[~plain, slot] = Code.NOTHING
        edit.size_hw[~plain, slot] = size_hw[~plain]
        size_hw = edit.size_hw[:, slot]
    return replace(plan, steps=(edit,), keys=None)


def _is_plain(edit: Edit, slot: int, in_hw: np.ndarray) -> np.ndarray:
    """bool [N]: the rows in which a slot does nothing but fit the whole image to another size."""
    code, param, out_hw = edit.code[:, slot], edit.param[:, slot], edit.size_hw[:, slot]
    box = np.hstack([np.zeros_like(in_hw), in_hw[:, ::-1]])
    upright = (param[:, [1, 3, 6, 7, 8]] == [0, 0, 0, 0, 1]).all(axis=1)
    scale, start = param[:, [4, 0]], param[:, [5, 2]]
    stretched = ((scale == in_hw / out_hw) & (start == 0)).all(axis=1)
    # Half a pixel: where the middle of an odd difference is rounded to.
    centred = ((scale == 1) & (np.abs(start - (in_hw - out_hw) / 2) <= 0.5)).all(axis=1)
    return (
        (code == Code.NOTHING)
        | ((code == Code.RESIZE) & (param[:, :4] == box).all(axis=1))
        | ((code == Code.WARP) & upright & (stretched | centred))
    )


def _on_black(step: Edit | Mix) -> Edit | Mix:
    fill = np.zeros_like(step.fill)
    if isinstance(step, Mix):
        return replace(step, fill=fill)
    moves = np.isin(step.code, GEOMETRIC)
    code = np.where(moves, step.code, Code.NOTHING).astype(np.uint8)
    return replace(step, code=code, fill=fill)


def _labels(plan: Plan) -> np.ndarray:
    from mixwell.targets import dense_labels

    return np.asarray(dense_labels(np.arange(plan.rows), plan, plan.rows))


def _looks(inputs: list[np.ndarray], plan: Plan, outputs: Sequence[np.ndarray]) -> tuple[int, int]:
    """How many outputs are all black without reason, and how many are as they were."""
    dark = np.array([not image.any() for image in inputs])
    rows, shares = plan.sources()
    black = sum(
        not image.any() and not dark[row[share > 0]].all()
        for image, row, share in zip(outputs, rows, shares, strict=True)
    )
    before = _render_beginning(inputs, plan)
    same = sum(np.array_equal(a, b) for a, b in zip(before, outputs, strict=False))
    return black, same


def _render_beginning(inputs: list[np.ndarray], plan: Plan) -> Sequence[np.ndarray]:
    from mixwell.render import render

    return [np.asarray(image) for image in render(inputs, plain_beginning(plan).fused())]


def _samples(
    policy_text: str, images: list[Image.Image], size: int | None, **options: int
) -> tuple[Policy, Samples, int | None]:
    """Samples at the wished size, or at the fallback where the images' own will not do."""
    from mixwell.viz.samples import check_counts, draw_samples

    check_counts(images, options["copies"], size)
    own = {image.size for image in images}
    try:
        policy = _policy(policy_text, size, images)
        return policy, draw_samples(policy, images, size=size, **options), size
    except PolicyError:
        if size is not None or len(own) == 1:
            raise
    policy = _policy(policy_text, FALLBACK_SIZE, images)
    return policy, draw_samples(policy, images, size=FALLBACK_SIZE, **options), FALLBACK_SIZE


def _policy(text: str, size: int | None, images: list[Image.Image]) -> Policy:
    """The policy; a preset is made for the size of the images that it will see."""
    from mixwell.policy.presets import parse_policy

    if size is not None:
        return parse_policy(text, size)
    width, height = images[0].size
    small = max(width, height) <= FALLBACK_SIZE and len({image.size for image in images}) == 1
    return parse_policy(text, (height, width) if small else FALLBACK_SIZE)


def _load(path: Path) -> Image.Image:
    from mixwell.recipes.data.decode import decode_rgb

    if path.is_dir():
        raise DataError(f"A preview needs image files, got the folder {path}. Try {path / '*'}.")
    if not path.exists():
        raise DataError(f"There is no image file {path}. Check the path.")
    return Image.fromarray(decode_rgb(path))


def _names(paths: Sequence[Path]) -> list[str]:
    """File stems, or whole names where stems repeat, numbered where those repeat too."""
    stems = [path.stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [path.name for path in paths]
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def _writable(out: Path) -> Path:
    """Refuse a file that cannot be written before any work is done."""
    kind = Image.registered_extensions().get(out.suffix.lower())
    if kind not in Image.SAVE:
        raise DataError(f"A picture's name ends in .png, .jpg or the like, got {out}. Rename it.")
    if not out.parent.is_dir():
        raise DataError(f"The folder of {out} must exist, got none. Make it or name another.")
    return out


def _draw_gradations(samples: Samples, names: list[str], out: Path) -> Path:
    from mixwell.viz.gradation import gradation
    from mixwell.viz.layout import joined

    first, second = samples.inputs[:2]
    kinds = ("mixup", "cutmix")
    strips = [gradation(first, second, kind, names=names[:2]) for kind in kinds]
    path = out.with_stem(f"{out.stem}-gradation")
    joined(strips).save(path)
    return path
