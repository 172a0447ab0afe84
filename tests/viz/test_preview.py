"""Previews and their check: shares measured on pixels, and faults that are really found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mixwell as mw
from mixwell.policy.base import Op
from mixwell.preview import (
    FALLBACK_SIZE,
    CheckReport,
    check_samples,
    measured_shares,
    preview,
)
from mixwell.viz.samples import Samples, draw_samples
from tests.data import shared_data

CUTMIX = mw.Policy(mw.CutMix(alpha=1.0))


def images(count: int = 5, side: int = 12) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return list(rng.integers(1, 256, (count, side, side, 3), dtype=np.uint8))


def labels(plan: mw.Plan) -> np.ndarray:
    return np.asarray(mw.dense_labels(np.arange(plan.rows), plan, plan.rows))


def half_and_half() -> mw.Plan:
    """Output 0: the right half of row 1 on row 0. Output 1: a quarter of row 2 added to row 0."""
    mix = mw.Mix.identity(np.array([[4, 8]] * 2), sources=2)
    mix.source[:] = [[0, 1], [0, 2]]
    mix.mode[:, 1] = [mw.MixMode.PASTE, mw.MixMode.ADD]
    mix.rect_px[:, 1] = [[4, 0, 8, 4], [0, 0, 8, 4]]
    mix.weight[:] = [[1, 1], [0.75, 0.25]]
    return mw.Plan(in_hw=np.array([[4, 8]] * 4), steps=(mix,))


def test_measure_knows_a_hand_written_plan() -> None:
    expected = [[0.5, 0.5, 0, 0], [0.75, 0, 0.25, 0]]
    np.testing.assert_allclose(measured_shares(half_and_half()), expected, atol=1e-6)


def test_measure_ignores_tone_before_the_mix_and_fill() -> None:
    policy = mw.Policy(mw.Brightness((0.2, 0.3)), mw.Rotate(40), mw.CutMix(alpha=1.0))
    plan = draw_samples(policy, images(), copies=1).plans[0]
    np.testing.assert_allclose(measured_shares(plan), labels(plan), atol=1e-5)


def test_measure_ignores_tone_after_the_mix() -> None:
    policy = mw.Policy(mw.CutMix(alpha=1.0), mw.Invert(), mw.Brightness((0.5, 0.5)))
    assert check_samples(draw_samples(policy, images(), copies=2)).ok


def test_measure_leaves_out_the_fill_after_the_mix() -> None:
    """Half the canvas shifted out of sight and filled with white: what is left is 3 : 1."""
    shift = mw.Edit.nothing(np.array([[4, 8]] * 2))
    shift.code[:], shift.fill[:] = mw.Code.WARP, 255
    shift.param[:, 0, :9] = [1, 0, 4, 0, 1, 0, 0, 0, 1]
    mixed = half_and_half()
    plan = mw.Plan(in_hw=mixed.in_hw, steps=(*mixed.steps, shift))
    expected = [[0, 1, 0, 0], [0.75, 0, 0.25, 0]]
    np.testing.assert_allclose(measured_shares(plan), expected, atol=1e-6)


@pytest.mark.parametrize("op", [mw.CutMix(alpha=1.0), mw.MixUp(alpha=0.3)])
def test_right_labels_pass(op: object) -> None:
    report = check_samples(draw_samples(mw.Policy(op), images(), copies=3))  # type: ignore[arg-type]
    assert report.ok and report.outputs == 15 and report.worst < 1e-5


def test_labels_of_other_rows_are_found() -> None:
    samples = draw_samples(CUTMIX, images(), copies=2)
    report = check_samples(samples, lambda plan: labels(plan)[::-1])
    assert not report.ok and report.bad_shares >= 8 and report.bad_sums == 0


def test_one_label_a_little_wrong_is_found() -> None:
    def shifted(plan: mw.Plan) -> np.ndarray:
        label = labels(plan).astype(np.float64)
        label[1, 0] += 0.01
        label[1, 1] -= 0.01
        return label

    report = check_samples(draw_samples(CUTMIX, images(), copies=1), shifted)
    assert report.bad_shares == 1 and report.worst == pytest.approx(0.01, abs=1e-4)


def test_lost_label_mass_is_found() -> None:
    report = check_samples(draw_samples(CUTMIX, images(), copies=1), lambda p: labels(p) * 0.9)
    assert report.bad_sums == report.bad_shares == 5
    assert "label does not sum to 1" in "; ".join(report.faults)


def test_geometry_after_the_mix_is_found() -> None:
    """Exact shares speak of the mixed canvas; moved afterwards, the pixels say something else."""
    policy = mw.Policy(mw.CutMix(alpha=1.0), mw.RandomCrop(4))
    assert not check_samples(draw_samples(policy, images(), copies=2)).ok


def test_black_outputs_are_found_unless_the_input_was_black() -> None:
    darkness = mw.Policy(mw.Brightness((0.0, 0.0)))
    assert check_samples(draw_samples(darkness, images(), copies=1)).black == 5
    black = [np.zeros((8, 8, 3), np.uint8)]
    assert check_samples(draw_samples(darkness, black, copies=1)).black == 0


def test_unchanged_outputs_are_a_fault_only_when_all_are() -> None:
    report = check_samples(draw_samples(mw.Policy(), images(), copies=1))
    assert report.unchanged == 5 and not report.ok
    samples = draw_samples(mw.Policy(mw.HorizontalFlip(p=1.0)), images(), copies=1)
    half = Samples(samples.inputs, samples.plans, [[samples.inputs[0], *samples.outputs[0][1:]]])
    report = check_samples(half)
    assert report.unchanged == 1 and report.ok


PLAIN = {
    "resize": [mw.Resize((8, 20))],
    "resize and cut": [mw.Resize(15), mw.CenterCrop(8)],
    "resize without antialias": [mw.Resize((7, 9), antialias=False)],
    "pad": [mw.CenterCrop(17)],
    "an idle flip after it": [mw.Resize(8), mw.HorizontalFlip(p=0.0)],
    "in two steps": [mw.Resize(8), mw.MixUp(p=0.0), mw.HorizontalFlip(p=0.0)],
}


@pytest.mark.parametrize("ops", PLAIN.values(), ids=PLAIN)
def test_another_size_alone_leaves_an_image_unchanged(ops: list[Op]) -> None:
    report = check_samples(draw_samples(mw.Policy(*ops), images(), copies=2))
    assert report.unchanged == report.outputs == 10 and not report.ok


DOING = {
    "flip": [mw.Resize(8), mw.HorizontalFlip(p=1.0)],
    "flip first": [mw.HorizontalFlip(p=1.0), mw.Resize(8)],
    "cut aside": [mw.RandomResizedCrop(8, scale=(0.2, 0.4))],
    "tone": [mw.Resize(8), mw.Invert()],
    "mix": [mw.Resize(8), mw.MixUp(alpha=8.0)],
}


@pytest.mark.parametrize("ops", DOING.values(), ids=DOING)
def test_what_is_done_beside_another_size_is_seen(ops: list[Op]) -> None:
    assert check_samples(draw_samples(mw.Policy(*ops), images(), copies=2)).unchanged == 0


def test_a_preset_that_only_resizes_is_told(tmp_path: Path) -> None:
    paths = write_images(tmp_path, [(300, 260), (260, 300)])
    report = preview("none", paths, tmp_path / "s.png", check=True, copies=1).report
    assert report is not None and report.unchanged == 2
    assert report.faults == ["2 of 2: unchanged, every one"]


def test_report_counts_in_words() -> None:
    report = CheckReport(outputs=8, black=2, bad_shares=3, worst=0.25)
    assert report.faults[0] == "2 of 8: all black" and "0.2500" in report.faults[1]
    assert replace(report, black=0, bad_shares=0).ok


def test_sizes_may_differ(tmp_path: Path) -> None:
    paths = write_images(tmp_path, [(30, 20), (16, 40)])
    result = preview("Policy(HorizontalFlip(p=1.0))", paths, tmp_path / "s.png", check=True)
    assert result.size is None and result.report is not None and result.report.ok


def test_sizes_that_cannot_be_mixed_are_made_equal(tmp_path: Path) -> None:
    paths = write_images(tmp_path, [(30, 20), (16, 40)])
    out = tmp_path / "s.png"
    assert preview("Policy(CutMix())", paths, out, copies=1).size == FALLBACK_SIZE
    assert preview("Policy(CutMix())", paths, out, copies=1, size=32).size == 32


def test_gradations_are_written_beside_the_sheet(tmp_path: Path) -> None:
    paths = write_images(tmp_path, [(16, 16), (16, 16)])
    result = preview("cutmix", paths, tmp_path / "s.png", gradation=True, copies=1)
    assert result.gradation == tmp_path / "s-gradation.png"
    with Image.open(result.gradation) as image:
        assert image.width > image.height > 300


def test_photographs_lie_upright(tmp_path: Path) -> None:
    folder = shared_data("odd_images", "that EXIF orientation is obeyed") / "exif_orientation"
    paths = [folder / "Landscape_1.jpg", folder / "Landscape_6.jpg"]
    result = preview("standard", paths, tmp_path / "s.png", copies=1, check=True, size=64)
    assert result.report is not None and result.report.ok


def write_images(folder: Path, sizes: list[tuple[int, int]]) -> list[Path]:
    paths = []
    for i, (width, height) in enumerate(sizes):
        pixels = np.random.default_rng(i).integers(1, 256, (height, width, 3), dtype=np.uint8)
        paths.append(folder / f"image{i}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def test_partners_of_the_data_set_classes_and_schedules_can_be_previewed():
    images = [np.full((12, 12, 3), level, np.uint8) for level in (10, 100, 200)]
    policy = mw.Policy(
        mw.OneOf(mw.CutMix(pairing="dataset"), mw.MixUp(pairing="different_class")),
        mw.Scheduled(mw.Invert(), stop=-5, by="epoch", p=mw.Ramp(0.0, 1.0)),
    )
    made = draw_samples(policy, images, copies=3)
    assert [len(copy) for copy in made.outputs] == [3, 3, 3]
    first, last = (np.array([o.mean() for o in made.outputs[c]]) for c in (0, 2))
    assert first.max() <= 200 and first.min() >= 10
    means = [(255 - np.array([10, 100, 200]).astype(float)).min(), 245]
    assert last.min() >= means[0] and last.max() <= means[1]
    for plan in made.plans:
        shown = {int(plan.inputs[r]) for r in plan.sources()[0].ravel()}
        assert shown <= {0, 1, 2}


@pytest.mark.parametrize(("most", "drawn"), [(16, 5), (5, 5), (2, 2), (1, 1)])
def test_many_images_are_not_all_drawn(tmp_path: Path, most: int, drawn: int) -> None:
    paths = write_images(tmp_path, [(16, 16)] * 5)
    result = preview("standard", paths, tmp_path / "s.png", copies=1, check=True, most=most)
    assert result.drawn == drawn and result.report is not None
    assert result.report.outputs == drawn


def test_at_least_one_image_is_drawn(tmp_path: Path) -> None:
    paths = write_images(tmp_path, [(16, 16)])
    with pytest.raises(mw.DataError, match="got most=0"):
        preview("standard", paths, tmp_path / "s.png", most=0)
