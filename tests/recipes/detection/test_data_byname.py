"""Recognising a detection data set by what is there, and splitting it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mixwell import DataError
from mixwell.recipes.detection.data import TrainVal, load_detection, split_by_name
from tests.recipes.detection.test_data_voc import thing, xml


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6)).save(path)


def coco(images: Path, file: Path, names: list[str], category: str = "dog") -> None:
    entries = [{"id": i, "file_name": n, "height": 6, "width": 8} for i, n in enumerate(names, 1)]
    notes = [
        {"id": e["id"], "image_id": e["id"], "category_id": 3, "bbox": [0, 0, 2, 2]}
        for e in entries
    ]
    for name in names:
        picture(images / name)
    file.parent.mkdir(parents=True, exist_ok=True)
    categories = [{"id": 3, "name": category}]
    content = {"images": entries, "annotations": notes, "categories": categories}
    file.write_text(json.dumps(content))


def voc(images: Path, notes: Path, names: list[str], category: str = "dog") -> None:
    notes.mkdir(parents=True, exist_ok=True)
    for name in names:
        picture(images / f"{name}.png")
        (notes / f"{name}.xml").write_text(xml(thing(category, 1, 1, 3, 3)))


def names_of(part) -> list[str]:
    return [record.path.stem for record in part.records]


def parts(data: TrainVal) -> list[list[str]]:
    return [names_of(part) for part in (data.train, data.val, data.test) if part is not None]


MANY = [f"{k:02d}" for k in range(10)]


def test_embedded_takes_its_options():
    data = load_detection("embedded", seed=3, images=4, val_images=2, size_hw=(32, 40))
    assert (len(data.train), len(data.val)) == (4, 2) and data.train[0][0].shape == (3, 32, 40)
    assert "seed 3" in repr(data.train) and "test" in repr(data.val)


def test_coco_as_published(tmp_path: Path):
    notes = tmp_path / "annotations"
    for split, names in (("train", ["a.png", "b.png"]), ("val", ["c.png"])):
        coco(tmp_path / f"{split}2017", notes / f"instances_{split}2017.json", names)
        coco(tmp_path / f"{split}2017", notes / f"person_keypoints_{split}2017.json", names[:1])
        (notes / f"captions_{split}2017.json").write_text('{"images": [], "annotations": []}')
    data = load_detection(tmp_path)
    assert parts(data) == [["a", "b"], ["c"]] and data.note == ""
    assert data.train.category_ids == (3,)


def test_coco_in_split_folders(tmp_path: Path):
    for split, name in (("train", "a.png"), ("valid", "b.png"), ("test", "c.png")):
        coco(tmp_path / split, tmp_path / split / "_annotations.coco.json", [name])
    assert parts(load_detection(tmp_path)) == [["a"], ["b"], ["c"]]


def test_one_coco_file_is_split(tmp_path: Path):
    coco(tmp_path / "images", tmp_path / "all.json", [f"{name}.png" for name in MANY])
    for place in (tmp_path, tmp_path / "all.json"):
        data = load_detection(place)
        assert (len(data.train), len(data.val), data.test) == (8, 2, None)
        assert sorted(name for part in parts(data) for name in part) == MANY
        assert "no validation part: 2 of 10 images" in data.note


def test_two_coco_files_for_one_part_are_refused(tmp_path: Path):
    for name in ("one", "two"):
        coco(tmp_path, tmp_path / f"{name}.json", ["a.png"])
    with pytest.raises(DataError, match=r"one COCO file for each part, got .*one.json, .*two.json"):
        load_detection(tmp_path)


def test_voc_with_lists(tmp_path: Path):
    for root in (tmp_path / "flat", tmp_path / "kit" / "VOC2007"):
        voc(root / "JPEGImages", root / "Annotations", MANY)
        lists = root / "ImageSets" / "Main"
        lists.mkdir(parents=True)
        (lists / "train.txt").write_text("00\n01\n")
        (lists / "val.txt").write_text("02\n")
        (lists / "test.txt").write_text("03\n")
        (lists / "dog_train.txt").write_text("00 1\n01 -1\n")
    for root in (tmp_path / "flat", tmp_path / "kit"):
        assert parts(load_detection(root)) == [["00", "01"], ["02"], ["03"]]
    (tmp_path / "flat" / "ImageSets" / "Main" / "train.txt").unlink()
    (tmp_path / "flat" / "ImageSets" / "Main" / "trainval.txt").write_text("\n".join(MANY[:5]))
    data = load_detection(tmp_path / "flat")
    assert (
        sorted(name for part in parts(data) for name in part) == MANY[:5]
        and "no validation part" in data.note
    )


def test_voc_in_split_folders_shares_classes(tmp_path: Path):
    voc(tmp_path / "train", tmp_path / "train", ["a"], "dog")
    voc(tmp_path / "valid", tmp_path / "valid", ["b"], "cat")
    data = load_detection(tmp_path)
    assert parts(data) == [["a"], ["b"]] and data.classes == ("cat", "dog")


def test_voc_in_one_folder_is_split(tmp_path: Path):
    voc(tmp_path, tmp_path, MANY)
    one, other = load_detection(tmp_path), load_detection(tmp_path, seed=1, val_fraction=0.5)
    assert [len(p) for p in parts(one)] == [8, 2] and [len(p) for p in parts(other)] == [5, 5]


def test_yolo_by_its_yaml(tmp_path: Path):
    for split, name in (("train", "a"), ("valid", "b")):
        picture(tmp_path / split / "images" / f"{name}.png")
        (tmp_path / split / "labels").mkdir()
        (tmp_path / split / "labels" / f"{name}.txt").write_text("0 .5 .5 .2 .2")
    yaml = "train: ../train/images\nval: ../valid/images\n\nnc: 1\nnames: ['dog']\n"
    (tmp_path / "data.yaml").write_text(yaml)
    for place in (tmp_path, tmp_path / "data.yaml"):
        data = load_detection(place)
        assert parts(data) == [["a"], ["b"]] and data.classes == ("dog",)
        assert len(data.val.target(0)["labels"]) == 1 and data.note == ""


def test_yolo_that_validates_on_its_training_images_says_so(tmp_path: Path):
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [dog]\n")
    data = load_detection(tmp_path)
    assert "1 images in training and in validation" in data.note


def test_yolo_with_names_alone_is_split(tmp_path: Path):
    (tmp_path / "labels").mkdir()
    for name in MANY:
        picture(tmp_path / "images" / f"{name}.png")
        (tmp_path / "labels" / f"{name}.txt").write_text("0 .5 .5 .2 .2")
    (tmp_path / "classes.txt").write_text("dog\n")
    assert [len(p) for p in parts(load_detection(tmp_path))] == [8, 2]


def test_nothing_recognised_lists_what_was_looked_for(tmp_path: Path):
    (tmp_path / "readme.md").write_text("x")
    (tmp_path / "package.json").write_text('{"name": "x"}')
    with pytest.raises(DataError, match=r"got package.json, readme.md") as caught:
        load_detection(tmp_path)
    for word in ("COCO", "annotations/", "VOC", "Annotations/", "YOLO", "data.yaml", "read_coco"):
        assert word in str(caught.value)
    with pytest.raises(DataError, match="'embedded' or a path that exists, got 'nowhere'"):
        load_detection("nowhere")


def test_unknown_options_name_the_known_ones(tmp_path: Path):
    voc(tmp_path, tmp_path, MANY)
    with pytest.raises(DataError, match="read_voc has the options classes, one_based, got masks"):
        load_detection(tmp_path, masks=True)
    assert load_detection(tmp_path, one_based=False).train.target(0)["boxes"][0, 0] == 1


def test_parts_need_the_same_classes(tmp_path: Path):
    for split, category in (("train", "dog"), ("val", "cat")):
        coco(tmp_path / split, tmp_path / split / "a.json", [f"{split}.png"], category)
    with pytest.raises(
        DataError, match="same classes in the same order, got a difference in cat, dog"
    ):
        load_detection(tmp_path)


@given(
    st.lists(st.text(min_size=1), min_size=2, max_size=30, unique=True),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
)
def test_a_split_depends_on_names_alone(names: list[str], fraction: float, seed: int):
    train, val = split_by_name(names, fraction, seed)
    assert sorted(train + val) == list(range(len(names))) and train and val
    assert abs(len(val) - fraction * len(names)) <= 1
    turned = names[::-1]
    again = split_by_name(turned, fraction, seed)
    assert {turned[i] for i in again[1]} == {names[i] for i in val}


def test_seeds_split_differently_and_more_images_change_little():
    names = [f"{k}.jpg" for k in range(200)]
    one, other = (set(split_by_name(names, 0.2, seed)[1]) for seed in (0, 1))
    assert len(one) == len(other) == 40 and one != other
    more = set(split_by_name([*names, *"abcdefghij"], 0.2, 0)[1])
    assert len(one - more) <= 4


@pytest.mark.parametrize(("count", "fraction"), [(1, 0.2), (5, 0.0), (5, 1.0)])
def test_what_cannot_be_split_is_refused(count: int, fraction: float):
    with pytest.raises(DataError, match=f"got {fraction} and {count}"):
        split_by_name(["x"] * count, fraction, 0)
