"""Pictures of ops: what they show is what the ops do, and the page has every op."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mixwell as mw
from mixwell._errors import RenderError
from mixwell.policy.spaces import space
from mixwell.policy.text import from_code, registry
from mixwell.viz import examples, ops
from mixwell.viz.layout import as_pil
from mixwell.viz.samples import draw_samples

DOCS = Path(__file__).parents[2] / "docs"
WIDTH, HEIGHT = ops.CELL
CODES = {name: code for group in examples.examples().values() for name, code in group.items()}


def photos(count: int = 3) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [as_pil(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)) for _ in range(count)]


def cells(strip: Image.Image) -> list[np.ndarray]:
    """The boxes of a strip, without their notes."""
    pixels, step = np.asarray(strip), WIDTH + 6
    count = (strip.width + 6) // step
    return [pixels[:HEIGHT, i * step : i * step + WIDTH] for i in range(count)]


@pytest.mark.parametrize("name", registry())
def test_the_page_in_the_documentation_has_the_op(name):
    """After a new op or docstring: `mixwell policies sheet docs PHOTOS --credit ...` writes it."""
    page = (DOCS / "ops.md").read_text()
    parts = re.findall(rf"^### {name}\n(.+)\n\n`(.+)`\n\n!\[{name}\]\((.+)\)$", page, re.M)
    assert len(parts) == 1, f"docs/ops.md lacks {name}; add an example to viz/examples.py"
    line, code, picture = parts[0]
    assert (line, code) == (examples.about(name), CODES[name])
    assert (DOCS / picture).stat().st_size < 100_000


def test_the_pictures_are_small_and_none_is_left_over():
    files = sorted((DOCS / "ops").iterdir())
    assert sum(file.stat().st_size for file in files) < 2_000_000
    shown = re.findall(r"\]\((ops/.+?)\)", (DOCS / "ops.md").read_text())
    assert sorted(shown) == [f"ops/{file.name}" for file in files]


@pytest.mark.parametrize("name", CODES)
def test_an_example_is_code_and_has_a_line(name):
    policy = examples.policy_of(CODES[name])
    assert from_code(repr(policy)) == policy
    assert examples.name_of(CODES[name]) == name
    assert len(examples.about(name)) > 5


def test_ops_without_an_example_are_shown_with_defaults(monkeypatch):
    fewer = {group: codes[1:] for group, codes in examples.GROUPS.items()}
    monkeypatch.setattr(examples, "GROUPS", fewer)
    found = {name: code for group in examples.examples().values() for name, code in group.items()}
    assert found["MixUp"] == "MixUp()" and found["Identity"] == "Identity()"
    assert set(found) == set(registry())


def test_a_strip_begins_with_the_original_and_shows_every_draw():
    given = photos()
    shown = cells(ops.op_strip(mw.Policy(mw.RandomErasing(value="pixel", p=1.0)), given))
    assert len(shown) == 1 + ops.DRAWS
    assert np.array_equal(shown[0], np.asarray(given[0]))
    changed = [(cell != shown[0]).any(axis=2) for cell in shown[1:]]
    assert all(0 < part.mean() < 0.34 for part in changed)
    assert len({part.tobytes() for part in changed}) == ops.DRAWS


def test_what_is_always_the_same_is_shown_once_with_its_size():
    strip = ops.op_strip(mw.Policy(mw.CenterCrop((60, 80))), photos())
    original, cut = cells(strip)
    assert np.array_equal(cut[15:75, 20:100], original[15:75, 20:100])
    assert (cut[:15] == 255).all() and (cut[:, :20] == 255).all()
    notes = np.asarray(strip)[HEIGHT:]
    assert (notes < 200).any()


def test_views_of_an_image_stand_side_by_side():
    views = mw.Policy(mw.Views(mw.Identity(), mw.Invert(), mw.Identity()))
    shown = cells(ops.op_strip(views, photos()))
    assert len(shown) == 4
    assert np.array_equal(shown[1], shown[0]) and np.array_equal(shown[3], shown[0])
    assert np.array_equal(shown[2], 255 - shown[0])


def test_schedules_are_shown_over_time():
    late = mw.Policy(mw.Scheduled(mw.Invert(), start=0.5))
    shown = cells(ops.op_strip(late, photos()))
    inverted = [np.array_equal(cell, 255 - shown[0]) for cell in shown[1:]]
    assert inverted == [False, False, True, True]


def test_one_photograph_has_no_partner():
    with pytest.raises(RenderError, match="at least two photographs, got 1"):
        ops.op_strip(mw.Policy(mw.MixUp()), photos(1))


def test_spaces_are_the_defaults_of_the_automatic_policies():
    names = ops.space_names()
    assert {"mixwell", "mixwell-wide", "mixwell-narrow", "mixwell-augmix", "pba"} <= set(names)
    assert "timm" in names and len(names) == len(set(names))


def test_a_space_is_shown_from_weak_to_strong():
    """Solarize's threshold falls, so more and more of a ramp of greys is inverted."""
    ramp = np.repeat(np.linspace(0, 255, WIDTH).astype(np.uint8)[None, :, None], HEIGHT, 0)
    graded = ops._graded(space("mixwell"), "Solarize", np.repeat(ramp, 3, 2))
    pixels = np.asarray(graded)
    side, top = WIDTH * 3 // 5, 30
    small = np.asarray(as_pil(np.repeat(ramp, 3, 2)).resize((side, HEIGHT * 3 // 5)))[10]
    changed = [
        (abs(pixels[top, i * (side + 6) : i * (side + 6) + side].astype(int) - small) > 12).mean()
        for i in range(3)
    ]
    assert changed[0] < 0.15 and 0.4 < changed[1] < 0.6 and changed[2] > 0.9
    assert graded.width == 3 * side + 12


@pytest.mark.parametrize("name", ops.space_names())
def test_the_sheet_of_a_space_has_all_its_ops(name):
    count = len(space(name).names)
    sheet = ops.space_sheet(name, photos(1)[0])
    one = ops._graded(space(name), space(name).names[0], np.asarray(photos(1)[0]))
    assert sheet.height == (count + 2) // 3 * (one.height + 10) - 10


def test_erasing_in_normalised_units_is_drawn_as_the_mean_colour():
    policy = mw.Policy(mw.RandomErasing((0.2, 0.3), units="normalized", p=1.0))
    image = np.full((40, 50, 3), 7, np.uint8)
    (outputs,) = draw_samples(policy, [image], copies=1).outputs
    levels, counts = np.unique(outputs[0].reshape(-1, 3), axis=0, return_counts=True)
    assert levels.tolist() == [[7, 7, 7], [124, 116, 104]]
    assert 0.15 < counts[1] / counts.sum() < 0.35
