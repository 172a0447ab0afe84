"""Segmentation data sets: layouts, mask formats, classes that do not count, what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mixwell import DataError
from mixwell.recipes.segmentation.data import (
    VOC_CLASSES,
    class_colors,
    load_folder,
    load_segmentation,
    load_voc,
)
from tests.data import shared_data
from tests.recipes.segmentation.files import class_map, painting, pairs, save

LAYOUTS = {
    "parts outside": ("{part}/images", "{part}/masks"),
    "parts inside": ("images/{part}", "masks/{part}"),
    "segnet": ("{part}", "{part}annot"),
    "other names": ("{part}/img", "{part}/labels"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_folders(tmp_path: Path, layout: str) -> None:
    images, masks = LAYOUTS[layout]
    for part, count in (("train", 3), ("val", 2)):
        folders = (tmp_path / name.format(part=part) for name in (images, masks))
        pairs(*folders, count)
    data = load_folder(tmp_path)
    assert (len(data.train), len(data.val)) == (3, 2)
    assert data.classes == ("0", "1", "2") and data.note == ""
    image, mask = data.train[2]
    assert torch.equal(mask, torch.from_numpy(class_map(2).copy()))
    assert torch.equal(image, torch.from_numpy(painting(class_map(2))).permute(2, 0, 1))


def test_every_fifth_of_an_unsplit_folder_is_for_validation(tmp_path: Path) -> None:
    pairs(tmp_path / "images", tmp_path / "masks", 11, ending="_mask")
    data = load_segmentation(str(tmp_path))
    assert (len(data.train), len(data.val)) == (9, 2) and "every fifth" in data.note
    assert torch.equal(data.val[0][1], torch.from_numpy(class_map(4).copy()))


def test_files_without_a_partner_are_named(tmp_path: Path) -> None:
    for part in ("train", "val"):
        pairs(tmp_path / part / "images", tmp_path / part / "masks", 2)
    (tmp_path / "train/masks/000.png").rename(tmp_path / "train/masks/lost.png")
    data = load_folder(tmp_path)
    assert data.train.skipped == {"no mask": ["000.png"], "no image": ["lost.png"]}
    assert len(data.train) == 1 and data.val.skipped == {}


def test_two_masks_of_one_image_are_refused(tmp_path: Path) -> None:
    pairs(tmp_path / "images", tmp_path / "masks", 6)
    save(tmp_path / "masks/003.bmp", class_map(3))
    with pytest.raises(DataError, match=r"one mask, got 003\.bmp and 003\.png in .*masks"):
        load_folder(tmp_path)


def test_classes_that_do_not_count_wherever_they_stand(tmp_path: Path) -> None:
    for part in ("train", "val"):
        pairs(tmp_path / part / "images", tmp_path / part / "masks", 1)
    (tmp_path / "classes.txt").write_text("sky\nvoid\nroad\n")
    data = load_folder(tmp_path)
    assert data.classes == ("sky", "road")
    wanted = np.array([0, 255, 1], np.uint8)[class_map(0)]
    assert torch.equal(data.train[0][1], torch.from_numpy(wanted))


def test_colours_of_a_table(tmp_path: Path) -> None:
    for part in ("train", "val"):
        classes = class_map(1)
        save(tmp_path / part / "images/a.png", painting(classes))
        save(tmp_path / part / "masks/a.png", painting(classes))
    table = "name,r,g,b\nred,200,30,30\ngreen,30,200,30\nblue,30,30,200\n"
    (tmp_path / "class_dict.csv").write_text(table)
    data = load_folder(tmp_path)
    assert data.classes == ("red", "green", "blue")
    assert torch.equal(data.train[0][1], torch.from_numpy(class_map(1).copy()))
    backwards = painting(np.array([[2, 1, 0]]))[0]
    save(
        tmp_path / "train/masks/a.png", 2 - class_map(1), backwards
    )  # a palette numbers as it likes
    assert torch.equal(load_folder(tmp_path).train[0][1], torch.from_numpy(class_map(1).copy()))
    save(tmp_path / "train/masks/a.png", class_map(1))  # grey levels stay class numbers
    assert torch.equal(load_folder(tmp_path).train[0][1], torch.from_numpy(class_map(1).copy()))
    save(tmp_path / "train/masks/a.png", painting(class_map(1)))
    (tmp_path / "class_dict.csv").write_text(table.replace("blue,30", "blue,31"))
    with pytest.raises(DataError, match=r"colour of a mask .* \[30, 30, 200\] at row 0, column 5"):
        load_folder(tmp_path).train[0]


def test_values_that_are_no_class_are_refused(tmp_path: Path) -> None:
    for part in ("train", "val"):
        pairs(tmp_path / part / "images", tmp_path / part / "masks", 1)
    (tmp_path / "classes.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"classes 0 \.\. 1 and 255 .* got \[2\] in .*000\.png"):
        load_folder(tmp_path).train[0]


def test_a_mask_of_another_size_or_kind_is_refused(tmp_path: Path) -> None:
    for part in ("train", "val"):
        pairs(tmp_path / part / "images", tmp_path / part / "masks", 1)
    data = load_folder(tmp_path)
    save(tmp_path / "train/masks/000.png", class_map(0, (24, 31)))
    with pytest.raises(DataError, match=r"size of its image, \[24, 32\], got \[24, 31\]"):
        data.train[0]
    save(tmp_path / "train/masks/000.png", painting(class_map(0)))
    with pytest.raises(DataError, match=r"the mode RGB .* class_dict\.csv"):
        data.train[0]
    (tmp_path / "train/masks/000.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match="must decode, got UnidentifiedImageError"):
        data.train[0]


def test_sixteen_bit_masks(tmp_path: Path) -> None:
    for part in ("train", "val"):
        pairs(tmp_path / part / "images", tmp_path / part / "masks", 1)
    wide = Image.fromarray(class_map(0).astype(np.uint16))
    wide.save(tmp_path / "train/masks/000.png")
    assert torch.equal(load_folder(tmp_path).train[0][1], torch.from_numpy(class_map(0).copy()))


def test_small_images_are_dropped_and_counted(tmp_path: Path) -> None:
    pairs(tmp_path / "train/images", tmp_path / "train/masks", 2)
    pairs(tmp_path / "train/images", tmp_path / "train/masks", 1, start=2, size_hw=(20, 40))
    pairs(tmp_path / "val/images", tmp_path / "val/masks", 1)
    data = load_folder(tmp_path)
    kept = data.train.without_small((24, 32))
    assert len(kept) == 2 and kept.skipped == {"smaller than the crop": ["002.png"]}
    assert data.train.without_small((20, 32)).skipped == {} and len(data.train) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ({}, "needs images/ and masks/"),
        ({"train/images": 1, "train/masks": 1}, "a training part and needs another"),
        ({"images": 3, "masks": 3}, "Splitting needs at least 5 images, got 3"),
        ({"images": 5, "masks": 0}, "needs a mask of its name, got none for 5"),
    ],
)
def test_folders_that_are_none(tmp_path: Path, make: dict[str, int], message: str) -> None:
    for folder, count in make.items():
        (tmp_path / folder).mkdir(parents=True)
        for index in range(count):
            save(tmp_path / folder / f"{index}.png", class_map(index))
    with pytest.raises(DataError, match=message):
        load_folder(tmp_path)


@pytest.mark.parametrize("value", [0, 255])
def test_masks_of_one_class_are_refused(tmp_path: Path, value: int) -> None:
    pairs(tmp_path / "images", tmp_path / "masks", 5)
    for path in sorted((tmp_path / "masks").iterdir()):
        save(path, np.where(class_map(0) == 1, value, 0).astype(np.uint8))
    with pytest.raises(DataError, match=r"two classes at least, got no value but 0, and 255"):
        load_folder(tmp_path)
    save(tmp_path / "masks/000.png", (class_map(0) == 1).astype(np.uint8))
    assert load_folder(tmp_path).classes == ("0", "1")


# ----------------------------------------------------------------------------------- Pascal VOC

DEVKIT_COLORS = {
    0: (0, 0, 0),
    1: (128, 0, 0),
    2: (0, 128, 0),
    3: (128, 128, 0),
    4: (0, 0, 128),
    8: (64, 0, 0),
    12: (64, 0, 128),
    15: (192, 128, 128),
    16: (0, 64, 0),
    20: (0, 64, 128),
    255: (224, 224, 192),
}
"""As the development kit prints them."""


def test_vocs_colours() -> None:
    colors = class_colors()
    assert {k: tuple(colors[k].tolist()) for k in DEVKIT_COLORS} == DEVKIT_COLORS
    assert len({tuple(c) for c in colors.tolist()}) == 256


def voc(root: Path, kind: str) -> np.ndarray:
    """A set of two images; returns the class map of both."""
    classes = class_map(0, classes=21)
    classes = np.where(classes == 3, 255, classes).astype(np.uint8)
    for name in ("2007_1", "2007_2"):
        save(root / f"JPEGImages/{name}.jpg", painting(classes))
        mask = root / f"SegmentationClass/{name}.png"
        if kind == "palette":
            save(mask, classes, class_colors())
        else:
            save(mask, class_colors()[classes])
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_2\n")
    (lists / "val.txt").write_text("2007_1\n\n")
    return classes


@pytest.mark.parametrize("kind", ["palette", "rgb"])
@pytest.mark.parametrize("inside", ["", "VOC2012", "VOCdevkit/VOC2012"])
def test_voc_by_palette_and_by_colours(tmp_path: Path, kind: str, inside: str) -> None:
    classes = voc(tmp_path / inside, kind)
    data = load_segmentation(str(tmp_path))
    assert data.classes == VOC_CLASSES and len(VOC_CLASSES) == 21
    assert (data.name, len(data.train), len(data.val)) == ("voc", 1, 1)
    assert torch.equal(data.train[0][1], torch.from_numpy(classes))


def test_voc_lists_that_are_not_complete(tmp_path: Path) -> None:
    voc(tmp_path, "palette")
    with pytest.raises(DataError, match=r"needs ImageSets/Segmentation/trainval\.txt, got train"):
        load_voc(tmp_path, train="trainval")
    (tmp_path / "SegmentationClass/2007_2.png").unlink()
    with pytest.raises(DataError, match="needs a mask, got none for 2007_2"):
        load_voc(tmp_path)


# ------------------------------------------------------------------------------------- real data


def test_camvid() -> None:
    data = load_segmentation(str(shared_data("camvid", "that CamVid's masks are read")))
    assert (len(data.train), len(data.val), len(data.classes)) == (46, 11, 11)
    counts = sum(np.bincount(data.val[i][1].numpy().ravel(), minlength=256) for i in range(11))
    assert counts[:11].all() and not counts[11:255].any()
    assert counts[data.classes.index("road")] / counts[:11].sum() > 0.2


def test_embedded_masks_are_those_of_the_digits() -> None:
    data = load_segmentation("embedded", images=5, size_hw=(64, 96))
    assert (len(data.train), len(data.val)) == (5, 1) and len(data.classes) == 11
    digits = data.train.digits  # type: ignore[attr-defined]
    for index in range(5):
        image, classes = data.train[index]
        same, target = digits[index]
        assert torch.equal(image, same)
        for label in range(1, 11):
            here = target["masks"][target["labels"] == label].sum(dim=0)
            assert torch.equal(classes == label, here > 0)
            if label - 1 < len(data.classes):
                assert data.classes[label] == str(label - 1)
