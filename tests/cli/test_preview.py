"""`mixwell preview`: files written, the check's verdict, and each way to call it wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import mixwell.preview
from mixwell.preview import CheckReport
from tests.cli.conftest import Run, write_image
from tests.cli.test_main import assert_one_line


def test_sheet_and_gradation_are_written(run: Run, photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    ran = run("preview", "mixup+cutmix", *photos, "-o", out, "--gradation", "--copies", 2)
    assert ran.code == 0 and ran.err == ""
    assert f"wrote {out}" in ran.out
    for path in (out, tmp_path / "sheet-gradation.png"):
        with Image.open(path) as image:
            assert min(image.size) > 200


def test_check_says_what_it_counted(run: Run, photos: list[Path], tmp_path: Path) -> None:
    ran = run("preview", "cutmix", *photos, "-o", tmp_path / "s.png", "--check", "--no-words")
    assert ran.code == 0
    assert "checked 12 outputs: 0 black" in ran.out


def test_fault_gives_code_1_and_one_line(
    run: Run, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = CheckReport(outputs=12, bad_shares=3, worst=0.5)
    monkeypatch.setattr(mixwell.preview, "check_samples", lambda samples: faulty)
    ran = run("preview", "cutmix", *photos, "-o", tmp_path / "s.png", "--check")
    assert ran.code == 1
    assert_one_line(ran.err, "3 of 12: label share differs from pixel share (by up to 0.5000)")


def test_check_finds_a_policy_that_does_nothing(
    run: Run, photos: list[Path], tmp_path: Path
) -> None:
    ran = run("preview", "Policy()", *photos, "-o", tmp_path / "s.png", "--check")
    assert ran.code == 1
    assert_one_line(ran.err, "unchanged, every one")


def test_policy_from_a_file(run: Run, photos: list[Path], tmp_path: Path) -> None:
    import mixwell as mw

    file = tmp_path / "policy.toml"
    file.write_text(mw.Policy(mw.HorizontalFlip(p=1.0)).to_toml())
    assert run("preview", file, *photos, "-o", tmp_path / "s.png").code == 0


def test_different_sizes_are_said_to_be_made_equal(run: Run, tmp_path: Path) -> None:
    paths = [write_image(tmp_path / "a.png", side=20), write_image(tmp_path / "b.png", side=30)]
    ran = run("preview", "Policy(CutMix())", *paths, "-o", tmp_path / "s.png", "--copies", 1)
    assert "brought to 224 px" in ran.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cutmx", "{photo}"], "Did you mean cutmix?"),
        (["Policy(CutMicks())", "{photo}"], "Did you mean CutMix?"),
        (["Policy(CutMix(alpha=-1))", "{photo}"], "alpha must lie in"),
        (["nowhere.toml", "{photo}"], "nowhere.toml"),
        (["cutmix"], "at least one image file"),
        (["cutmix", "{tmp}/absent.png"], "There is no image file"),
        (["cutmix", "{tmp}"], "got the folder"),
        (["cutmix", "{corrupt}"], "corrupt.png"),
        (["cutmix", "{photo}", "-o", "{tmp}/absent/s.png"], "must exist"),
        (["cutmix", "{photo}", "-o", "{tmp}/sheet.xyz"], ".png, .jpg or the like"),
        (["cutmix", "{photo}", "-o", "{tmp}/taken.png"], "taken.png"),
        (["cutmix", "{photo}", "--size", "0"], "size of at least 1"),
        (["cutmix", "{photo}", "--copies", "0"], "copies of at least 1"),
        (["cutmix", "{photo}", "--seed", "-1"], "seed must lie in"),
        (["cutmix", "{photo}", "--gradation"], "needs two images"),
    ],
)
def test_bad_input_ends_in_one_line(
    run: Run, photos: list[Path], tmp_path: Path, words: list[str], message: str
) -> None:
    corrupt = tmp_path / "corrupt.png"
    corrupt.write_bytes(photos[0].read_bytes()[:200])
    (tmp_path / "taken.png").mkdir()  # a folder in the place of the output
    places = {"photo": photos[0], "tmp": tmp_path, "corrupt": corrupt}
    ran = run("preview", *(word.format(**places) for word in words))
    assert ran.code == 1
    assert_one_line(ran.err, message)


def test_images_that_are_not_drawn_are_counted(
    run: Run, photos: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "s.png"
    ran = run("preview", "standard", *photos, "-o", out, "--copies", 1, "--most", 1)
    assert ran.out.startswith(f"1 of {len(photos)} images are drawn; --most says how many.")


def test_a_sheet_with_boxes_says_what_is_dropped(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "boxes.png"
    ran = run("preview", "Policy(CenterCrop(24))", "--boxes", "embedded", "-o", out, "--copies", 1)
    assert ran.code == 0
    assert f"wrote {out}" in ran.out and "boxes read" in ran.out and "dropped: none" not in ran.out
