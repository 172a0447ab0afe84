"""Predicting with a run's folder: masks, pictures, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mixwell as mw
from mixwell import DataError
from mixwell.recipes.segmentation import loop, segment
from mixwell.recipes.segmentation.config import SegmentConfig
from mixwell.recipes.segmentation.data import class_colors
from mixwell.recipes.segmentation.data.sets import mask_values
from mixwell.recipes.segmentation.fcn import FCN
from mixwell.recipes.segmentation.models import Built
from mixwell.recipes.segmentation.predict import class_map, mask_names, predict
from tests.recipes.segmentation.files import class_map as striped
from tests.recipes.segmentation.files import painting, pairs, save

CLASSES = ["road", "sky", "tree"]
SIZES = {"a.png": (9, 50), "street/b.png": (70, 90), "street/c.jpg": (33, 31)}


def tiny(name: str, num_classes: int, **_: object) -> Built:
    """A network that learns stripes of colour in a second; its pixels are seen one by one."""
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1), torch.nn.ReLU())
    stats = (0.4, 0.5, 0.6), (0.5, 0.4, 0.3)
    return Built(FCN(layers, 8, 1, num_classes).train(), *stats, loaded=False)


@pytest.fixture(scope="module", autouse=True)
def small_network() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "build_segmenter", tiny)
        patch.setattr(segment, "build_segmenter", tiny)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network that has learnt what colour each class has."""
    root = tmp_path_factory.mktemp("segment")
    pairs(root / "set/train/images", root / "set/train/masks", 6)
    pairs(root / "set/val/images", root / "set/val/masks", 2, start=7)
    (root / "set/classes.txt").write_text("\n".join(CLASSES))
    plain = {"num_workers": 0, "precision": "32-true", "quiet": True, "pictures": 0}
    config = SegmentConfig(
        data=str(root / "set"),
        out=root / "run",
        **{"epochs": 25, "batch_size": 3, "lr": 0.05, "crop": (24, 32), "tile": (32, 64)} | plain,
    )
    result = segment.segment(config)
    assert result.measured is not None and result.measured.pixel_accuracy > 0.99
    return root / "run"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Stripes of several sizes, in a folder and one in it, and a file that is no image."""
    root = tmp_path / "photos"
    for index, (name, size) in enumerate(SIZES.items()):
        save(root / name, painting(striped(index, size)))
    (root / "broken.png").write_bytes(b"no image")
    return root


def test_masks_of_any_size_show_what_is_there(run: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    made = predict(run, [photos], out, device="cpu")
    assert [path.relative_to(out).as_posix() for path in made.masks] == [
        *("masks/a.png", "masks/street/b.png", "masks/street/c.png")
    ]
    for index, (path, size) in enumerate(zip(made.masks, SIZES.values(), strict=True)):
        found, wanted = mask_values(path, None), striped(index, size)
        assert found.shape == size and found.max() < len(CLASSES)
        exact = path.name != "c.png"  # a JPEG's colours run into each other
        assert (found == wanted).mean() > (0.999 if exact else 0.7)
    with Image.open(made.masks[1]) as mask:
        assert mask.mode == "P"
        colors = np.asarray(mask.convert("RGB"))
    assert (colors == class_colors()[striped(1, SIZES["street/b.png"])]).all()


def test_the_file_names_everything(run: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    made = predict(run, [photos], out, device="cpu")
    written = json.loads(made.json.read_text())
    assert made.json == out / "predictions.json" and written["classes"] == CLASSES
    assert [image["file_name"] for image in written["images"]] == list(SIZES)
    for image, mask, picture in zip(written["images"], made.masks, made.pictures, strict=True):
        assert (out / image["mask"], out / image["picture"]) == (mask, picture)
        assert image["pixels"] == np.bincount(mask_values(mask, None).flat, minlength=3).tolist()
        with Image.open(picture) as drawn:
            assert drawn.width > 2 * 300  # two halves, grown by whole factors
    assert sum(made.by_class.values()) == sum(height * width for height, width in SIZES.values())
    assert list(made.skipped) == [str(photos / "broken.png")]
    assert "Every image must decode" in made.skipped[str(photos / "broken.png")]


def test_no_pictures_where_none_are_asked_for(run: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    made = predict(run / "checkpoint.pt", [photos / "a.png"], out, pictures=False, device="cpu")
    assert made.pictures == () and not (out / "pictures").exists()
    assert "picture" not in json.loads(made.json.read_text())["images"][0]
    with pytest.raises(DataError, match="--overwrite"):
        predict(run, [photos / "a.png"], out)
    again = predict(run, [photos / "a.png"], out, device="cpu", overwrite=True)
    assert len(again.pictures) == 1


def test_a_run_that_resizes_sees_images_at_its_size_and_gives_them_back(run: Path) -> None:
    built, config, _ = segment.load_segmenter(run)
    seen: list[tuple[int, ...]] = []
    built.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[2:]))
    image = torch.from_numpy(painting(striped(0, (40, 60))).transpose(2, 0, 1).copy())
    found = class_map(built, replace(config, resize=(64, 96), tile=(64, 96)), image)
    assert seen == [(64, 96)] and found.shape == (40, 60)
    assert (found.numpy() == striped(0, (40, 60))).mean() > 0.85


def test_images_are_normalised_as_in_training() -> None:
    built, pixels = tiny("", 3), torch.arange(256 * 3).reshape(1, 3, 16, 16).to(torch.uint8)
    trained = mw.Augment(mw.Policy(), mean=built.mean, std=built.std)
    wanted = trained(pixels, keys=mw.Keys(np.zeros(1, np.int64)))
    torch.testing.assert_close(built.normalised(pixels), wanted, rtol=0, atol=1e-6)


def test_names_that_differ_in_their_endings_alone_keep_them(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("x/a.jpg", "x/a.png", "y/a.jpg", "x/b.jpg")]
    names = [path.as_posix() for path in mask_names(files).values()]
    assert names == ["x/a.jpg.png", "x/a.png.png", "y/a.png", "x/b.png"]


def test_files_are_named_from_the_folder_that_all_are_in(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos / "street")
    made = predict(run, ["b.png", "../a.png", photos / "street"], tmp_path / "found", device="cpu")
    names = {path.relative_to(tmp_path / "found/masks").as_posix() for path in made.masks}
    assert names == {"a.png", "street/b.png", "street/c.png"}


def edited(run: Path, to: Path, **changes: object) -> Path:
    """A copy of a run that notes something else; what is None is taken away."""
    shutil.copytree(run, to)
    values = json.loads((run / "config.json").read_text()) | changes
    kept = {name: value for name, value in values.items() if value is not None}
    (to / "config.json").write_text(json.dumps(kept))
    return to


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": None}, r'Add "classes": \["NAME", ...\]'),
        ({"classes": ["a", "b"]}, "belong together"),
        ({"tile": [5, 5]}, "others in .*: tile must lie in 32"),
        ({"recipe": "detect"}, "must be one of `mixwell train segment`, got one of detect"),
        ({"recipe": None, "tile": None}, "got one of another recipe"),
    ],
)
def test_runs_that_cannot_predict(
    run: Path, photos: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        predict(edited(run, tmp_path / "run", **changes), [photos], tmp_path / "found")
    assert not (tmp_path / "found").exists()


def test_a_run_that_does_not_name_its_recipe_is_known_by_its_settings(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    older = edited(run, tmp_path / "run", recipe=None)
    assert len(predict(older, [photos / "a.png"], tmp_path / "found", device="cpu").masks) == 1


def test_what_cannot_be_predicted_is_refused(run: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder that `mixwell train segment` wrote"):
        predict(tmp_path, [photos])
    with pytest.raises(DataError, match="at least one image"):
        predict(run, [run])
    with pytest.raises(DataError, match=r"no .*missing\.png"):
        predict(run, [photos / "missing.png"])
    damaged = edited(run, tmp_path / "run")
    (damaged / "checkpoint.pt").write_bytes(b"no weights")
    with pytest.raises(DataError, match="readable file"):
        predict(damaged, [photos])
    (damaged / "config.json").write_text("{")
    with pytest.raises(DataError, match="got JSONDecodeError"):
        predict(damaged, [photos])
