"""`mixwell stylize`, from files to files."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixwell.recipes.progress import Shown
from mixwell.recipes.stylize import StylizeConfig, stylize
from mixwell.recipes.stylize.run import resized, scale_sizes, style_size
from tests.cli.conftest import Run, run  # noqa: F401
from tests.cli.test_main import assert_one_line
from tests.data import shared_data

LAYERS = ["--content-layers", "layer2", "--style-layers", "conv1", "layer1"]
RANDOM = ["--network", "resnet20", "--weights", "random", *LAYERS]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A content picture of 40 x 30 px and a style picture of 22 x 35 px."""
    rng = np.random.default_rng(0)
    paths = tmp_path / "content.png", tmp_path / "style.jpg"
    for path, (height, width) in zip(paths, ((30, 40), (35, 22)), strict=True):
        ramp = np.linspace(0, 160, width)[None, :, None] + rng.uniform(0, 90, (height, 1, 3))
        Image.fromarray(ramp.astype(np.uint8)).save(path)
    return paths


@pytest.fixture
def config(files, tmp_path) -> StylizeConfig:
    return StylizeConfig(
        content=files[0],
        style=files[1],
        out=tmp_path / "out" / "made.png",
        size=32,
        steps=6,
        lr=0.05,
        network="resnet20",
        weights="random",
        content_layers=("layer2",),
        style_layers=("conv1", "layer1"),
        quiet=True,
    )


def test_the_command_writes_picture_losses_curves_and_steps(run: Run, files, tmp_path):  # noqa: F811
    out = tmp_path / "made.png"
    words = ["--size", 32, "--steps", 6, "--every", 3, "--lr", 0.05, *RANDOM]
    ran = run("stylize", *files, "-o", out, *words)
    assert ran.code == 0, ran.err
    assert f"wrote {out}" in ran.out and "32 x 24 px, 12 steps" in ran.out
    assert "resnet20 with random weights (seed 0), not trained" in ran.err
    with Image.open(out) as image:
        assert image.size == (32, 24) and image.mode == "RGB"
    with (tmp_path / "made-losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["scale"], row["step"]) for row in rows] == [
        (str(scale), str(step)) for scale in (1, 2) for step in range(1, 7)
    ]
    assert {(row["width"], row["height"]) for row in rows} == {("16", "12"), ("32", "24")}
    for row in rows:
        parts = sum(float(row[name]) for name in ("content", "style", "tv"))
        assert float(row["total"]) == pytest.approx(parts)
    with Image.open(tmp_path / "made-losses.png") as image:
        assert min(image.size) > 200
    names = sorted(path.name for path in (tmp_path / "made-steps").iterdir())
    assert names == ["1-00003.png", "1-00006.png", "2-00003.png", "2-00006.png"]
    settings = json.loads((tmp_path / "made-settings.json").read_text())
    assert settings["weights"] == "random" and settings["style_weight"] == 1000.0
    assert settings["layers"] == {"content": ["layer2"], "style": ["conv1", "layer1"]}


def test_losses_fall_and_are_those_of_the_file(config):
    made = stylize(replace(config, steps=20, scales=1))
    with Image.open(config.out) as image:
        assert np.array_equal(np.asarray(image), made.picture)
    assert made.losses["total"] < 0.7 * made.rows[0]["total"]
    assert made.losses["total"] == pytest.approx(made.rows[-1]["total"], rel=0.3)
    settings = json.loads(config.out.with_name("made-settings.json").read_text())
    assert settings["losses"] == made.losses


@pytest.mark.parametrize("start", ["content", "noise"])
def test_seeds(config, start):
    same = replace(config, start=start, scales=1, steps=2, every=0)
    first, again = stylize(same).picture, stylize(same).picture
    assert np.array_equal(first, again)
    assert not np.array_equal(first, stylize(replace(same, seed=1)).picture)
    assert not config.out.with_name("made-steps").exists()


@pytest.mark.parametrize(
    ("content", "size", "expected"),
    [
        ((30, 40), 0, (30, 40)),
        ((30, 40), 80, (60, 80)),
        ((33, 7), 17, (17, 4)),
        ((1, 1), 1, (1, 1)),
    ],
)
def test_any_size(config, tmp_path, content, size, expected):
    Image.fromarray(np.full((*content, 3), 90, np.uint8)).save(tmp_path / "c.png")
    made = stylize(replace(config, content=tmp_path / "c.png", size=size, steps=1, scales=2))
    assert made.picture.shape == (*expected, 3)


def test_sizes_of_scales():
    assert scale_sizes(300, 400, 200, 3) == [(38, 50), (75, 100), (150, 200)]
    assert scale_sizes(300, 400, 0, 1) == [(300, 400)]
    assert scale_sizes(1, 2, 2, 4) == [(1, 1), (1, 2)]  # repeated sizes once


def test_size_of_the_style():
    style = np.zeros((50, 100, 3), np.uint8)
    assert style_size(style, (30, 40), 1.0) == (20, 40)
    assert style_size(style, (30, 40), 0.5) == (10, 20)
    assert style_size(style, (1, 1), 0.1) == (1, 1)


def test_resized_keeps_colour_and_what_fits():
    image = np.full((9, 7, 3), (10, 200, 90), np.uint8)
    assert resized(image, (9, 7)) is image
    assert np.array_equal(resized(image, (4, 12)), np.full((4, 12, 3), (10, 200, 90), np.uint8))


def test_ctrl_c_keeps_the_picture(config, monkeypatch):
    real = Shown.step

    def stop(self, row):
        real(self, row)
        if row["step"] == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Shown, "step", stop)
    made = stylize(config)
    assert made.interrupted and len(made.rows) == 3
    assert made.picture.shape == (12, 16, 3) and config.out.is_file()
    assert json.loads(config.out.with_name("made-settings.json").read_text())["interrupted"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{content}", "{tmp}/absent.png"], "absent.png"),
        (["{tmp}/torn.png", "{style}"], "torn.png"),
        (["{content}", "{style}", "-o", "{tmp}/made.txt"], "must be .png, .jpg or the like"),
        (["{content}", "{style}", "--network", "vgg91", *LAYERS], "vgg91"),
        (["{content}", "{style}", "--network", "resnet20"], "--content-layers"),
        (["{content}", "{style}", *RANDOM, "--memory-gib", "0.0001"], "Give --size"),
        (["{content}", "{style}", *RANDOM, "--steps", "0"], "steps must lie in"),
        (["{content}", "{style}", *RANDOM[:-3], "--style-layers", "conv9"], "no layer 'conv9'"),
    ],
)
def test_bad_input_ends_in_one_line(run: Run, files, tmp_path, words, message):  # noqa: F811
    (tmp_path / "torn.png").write_bytes(files[0].read_bytes()[:100])
    places = {"content": files[0], "style": files[1], "tmp": tmp_path}
    out = [] if "-o" in words else ["-o", tmp_path / "made.png"]
    words = [word.format(**places) for word in words]
    weights = [] if "--weights" in words else ["--weights", "random"]
    ran = run("stylize", *words, *out, *weights)
    assert ran.code == 1
    assert_one_line(ran.err.splitlines()[-1] + "\n", message)
    assert not (tmp_path / "made.png").exists()


def test_photographs_with_trained_features(tmp_path):
    photos = shared_data("photos", "that photographs are stylised with trained features")
    weights = shared_data("weights") / "mobilenet_v2_imagenet_int8.npz"
    made = stylize(
        StylizeConfig(
            content=photos / "coffee.png",
            style=photos / "chelsea.png",
            out=tmp_path / "made.jpg",
            size=64,
            scales=1,
            steps=30,
            lr=0.05,
            network="mobilenet_v2-tf",
            weights=str(weights),
            quiet=True,
        )
    )
    assert made.picture.shape == (43, 64, 3)
    assert made.losses["total"] < 0.2 * made.rows[0]["total"]
