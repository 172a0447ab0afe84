"""`mixwell policies`: the list, and one policy in forms that can be read back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import mixwell as mw
from mixwell.policy.presets import parse_policy, preset, preset_names
from mixwell.policy.published import PUBLISHED
from mixwell.policy.spaces import SPACES
from mixwell.policy.text import registry
from mixwell.recipes.detection.policies import detection_names
from mixwell.recipes.segmentation.policies import SUMMARIES
from tests.cli.conftest import Run


def test_list_has_one_line_for_each(run: Run) -> None:
    lines = run("policies").out.splitlines()
    for name in (*preset_names(), *detection_names(), *SUMMARIES):
        assert sum(line.split()[:1] == [name] for line in lines) == 1


def test_shown_code_and_toml_are_the_policy(run: Run) -> None:
    for name in preset_names():
        out = run("policies", "show", name, "--size", 64, "--no-flip").out
        about, shown = out.split("# as code\n")
        code, toml = shown.split("\n\n# as TOML\n")
        assert all(line.startswith("#") for line in about.splitlines())
        expected = parse_policy(name, 64, flip=False)
        assert parse_policy(code) == mw.Policy.from_toml(toml) == expected


@pytest.mark.parametrize("name", [*detection_names(), *SUMMARIES])
def test_policies_of_boxes_and_masks_are_shown(run: Run, name: str) -> None:
    out = run("policies", "show", name, "--size", 64).out
    code, toml = out.split("# as code\n")[1].split("\n\n# as TOML\n")
    assert parse_policy(code) == mw.Policy.from_toml(toml)
    assert ("Flip" in code) == (not name.endswith("-none"))


def test_levels_say_what_a_magnitude_means(run: Run) -> None:
    out = run("policies", "levels", "timm", "--magnitude", 9, "--size", 32).out
    assert "magnitudes of 11 bins, images of 32 x 32 px" in out
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert lines["op"][-1] == "m=9"
    assert lines["Rotate"] == ["Rotate", "degrees", "0", "+-15", "+-30", "+-27"]
    assert lines["TranslateXRel"][-1] == "+-12.96"


def test_levels_are_mixwells_unless_told(run: Run) -> None:
    out = run("policies", "levels", "--bins", 11).out
    assert out.startswith("mixwell: ") and "magnitudes of 11 bins, images of 224 x 224 px" in out
    names = out.split("Spaces: ")[1].replace(",", "").split()
    assert names == list(SPACES)
    assert run("policies", "levels", "mixwell", "--magnitude", 31).code == 1
    assert "Did you mean timm" in run("policies", "levels", "timn").err


@pytest.mark.parametrize("name", preset_names("published"))
def test_a_published_recipe_is_shown_with_all_that_is_known(run: Run, name: str) -> None:
    out, recipe = run("policies", "show", name).out, PUBLISHED[name]
    about = out.split("# as code\n")[0]
    for text in (recipe.paper, recipe.source, f"{recipe.size} px", *recipe.differs):
        assert text in about
    for what, value in recipe.settings.items():
        unchecked = " (not checked)" if what in recipe.unchecked else ""
        assert f"# {what}: {value}{unchecked}\n" in about
    assert parse_policy(out.split("# as code\n")[1].splitlines()[0]) == preset(name)


def test_basic_presets_are_shown_without_a_heading(run: Run) -> None:
    assert run("policies", "show", "cutmix").out.startswith("# as code\n")


def test_a_sheet_of_every_op_is_written(run: Run, photos: list[Path], tmp_path: Path) -> None:
    ran = run("policies", "sheet", tmp_path, *photos, "--credit", "Noise, by nobody.")
    assert ran.code == 0 and "ops.md" in ran.out
    page = (tmp_path / "ops.md").read_text()
    assert "Noise, by nobody." in page
    names = {path.stem for path in (tmp_path / "ops").iterdir()}
    assert set(registry()) <= names and "space-timm" in names


def test_a_sheet_without_photographs_takes_scikit_learn_s(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(
        "mixwell.viz.ops.write_page", lambda folder, photos, **_: given.append(photos) or [folder]
    )
    assert run("policies", "sheet", tmp_path).code == 0
    assert [photo.shape for photo in given[0]] == [(427, 640, 3)] * 2
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    ran = run("policies", "sheet", tmp_path)
    assert ran.code == 1 and "Name two or more image files" in ran.err


def test_a_sheet_needs_its_folder(run: Run, tmp_path: Path) -> None:
    ran = run("policies", "sheet", tmp_path / "nope")
    assert ran.code == 1 and "needs an existing folder, got none at" in ran.err
    assert "Make it first" in ran.err


def test_one_photograph_is_too_few(run: Run, photos: list[Path], tmp_path: Path) -> None:
    ran = run("policies", "sheet", tmp_path, photos[0])
    assert ran.code == 1 and "need at least two photographs, got 1" in ran.err
