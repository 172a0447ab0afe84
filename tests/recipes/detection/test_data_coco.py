"""COCO files: what is read, what is left out, what is written back."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mixwell import DataError
from mixwell.recipes.detection.data import (
    DetectionSet,
    EmbeddedDigits,
    read_coco,
    write_coco,
    write_results,
)
from tests.oracles import outlines as oracle

# Category numbers have a gap and stand out of order; the crowd is a run; image 3 is empty.
CONTENT = {
    "images": [
        {"id": 7, "file_name": "a.png", "height": 6, "width": 8},
        {"id": 2, "file_name": "sub/b.png", "height": 5, "width": 4},
        {"id": 3, "file_name": "c.png", "height": 2, "width": 3},
    ],
    "annotations": [
        {
            "id": 11,
            "image_id": 7,
            "category_id": 90,
            "bbox": [1, 1, 4, 3],
            "area": 10.5,
            "iscrowd": 0,
            "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]],
        },
        {
            "id": 12,
            "image_id": 2,
            "category_id": 1,
            "bbox": [0, 0, 2, 1],
            "iscrowd": 1,
            "segmentation": {"size": [5, 4], "counts": [0, 1, 4, 1, 14]},
        },
        {
            "id": 13,
            "image_id": 7,
            "category_id": 1,
            "bbox": [0.5, 2, 7.5, 4],
            "segmentation": {"size": [6, 8], "counts": [20, 3, 25]},
        },
    ],
    "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}],
}


def content() -> dict:
    return copy.deepcopy(CONTENT)


def save(root: Path, made: dict, name: str = "annotations.json") -> Path:
    for entry in made["images"]:
        path = root / str(entry["file_name"])
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (int(entry.get("width") or 4), int(entry.get("height") or 4))
        Image.new("RGB", size, (entry["id"] % 256, 20, 30)).save(path)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(made))
    return root / name


def plain() -> dict:
    """Without outlines, one image."""
    made = content()
    made["images"] = made["images"][:1]
    made["annotations"] = [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 1, 2, 2]}]
    return made


def test_a_small_file_is_read(tmp_path: Path):
    data = read_coco(save(tmp_path, content()))
    assert isinstance(data, DetectionSet)
    assert data.classes == ("person", "toothbrush") and data.category_ids == (1, 90)
    assert len(data) == 3 and data.skipped == {} and data.notes == {}
    image, target = data[0]
    assert image.dtype == torch.uint8 and image.shape == (3, 6, 8) and int(image[0, 0, 0]) == 7
    assert target["image_id"] == 7
    assert target["boxes"].dtype == torch.float32
    assert target["boxes"].tolist() == [[1, 1, 5, 4], [0.5, 2, 8, 6]]
    assert target["labels"].dtype == torch.int64 and target["labels"].tolist() == [2, 1]
    assert target["area"].tolist() == [10.5, 30.0]  # as the file says; else the box's
    assert target["iscrowd"].tolist() == [0, 0]
    assert data.target(1)["iscrowd"].tolist() == [1]


def test_masks_of_outlines_and_both_kinds_of_runs(tmp_path: Path):
    data = read_coco(save(tmp_path, content()))
    masks = data.target(0)["masks"]
    assert masks.dtype == torch.uint8 and masks.shape == (2, 6, 8)
    assert masks[0].tolist() == oracle.filled([(1, 1), (5, 1), (5, 4), (1, 4)], 6, 8)
    assert masks[1].tolist() == oracle.columns_of_counts([20, 3, 25], 6, 8)
    assert data.target(1)["masks"][0, 0].tolist() == [1, 1, 0, 0]
    assert data.target(2)["masks"].shape == (0, 2, 3)
    assert "masks" not in read_coco(tmp_path / "annotations.json", masks=False).target(0)


def test_damaged_runs_are_named(tmp_path: Path):
    made = content()
    made["annotations"][2]["segmentation"]["counts"] = [20, 3, 26]
    data = read_coco(save(tmp_path, made))
    with pytest.raises(DataError, match=r"annotation 13 of .*a\.png: .*got a sum of 49"):
        data.target(0)


def test_compressed_runs_are_decoded(tmp_path: Path):
    made = content()
    runs = {"size": [5, 7], "counts": "02200O03OM1122MM0000"}  # by pycocotools
    made["images"] = [{"id": 7, "file_name": "a.png", "height": 5, "width": 7}]
    made["annotations"] = [made["annotations"][0] | {"segmentation": runs}]
    mask = read_coco(save(tmp_path, made)).target(0)["masks"][0]
    assert "".join(map(str, mask.reshape(-1).tolist())) == "11001111011010001001101100101011001"


def test_an_image_without_objects_has_empty_entries(tmp_path: Path):
    target = read_coco(save(tmp_path, content())).target(2)
    assert target["boxes"].shape == (0, 4) and target["boxes"].dtype == torch.float32
    assert [target[k].shape for k in ("labels", "area", "iscrowd")] == [(0,)] * 3
    assert target["labels"].dtype == target["iscrowd"].dtype == torch.int64


def test_empty_images_can_be_left_out_and_are_counted(tmp_path: Path):
    data = read_coco(save(tmp_path, content()), keep_empty=False)
    assert len(data) == 2 and data.skipped == {"image without objects": ["c.png"]}


def test_what_cannot_be_used_is_counted(tmp_path: Path):
    made = content()
    made["annotations"] += [
        {"id": 20, "image_id": 7, "category_id": 1, "bbox": [2, 2, 0, 3]},
        {"id": 21, "image_id": 7, "category_id": 1, "bbox": [9, 2, 3, 3]},
        {"id": 22, "image_id": 99, "category_id": 1, "bbox": [2, 2, 1, 3]},
        {"id": 23, "image_id": 7, "category_id": 1, "bbox": [6, -1, 3, 3]},
    ]
    path = save(tmp_path, made)
    (tmp_path / "sub" / "b.png").unlink()
    data = read_coco(path)
    assert data.skipped == {
        "annotation of an image that is not listed": ["annotation 22"],
        "box without area": ["annotation 20"],
        "box outside its image": ["annotation 21"],
        "image missing": ["sub/b.png"],
    }
    assert data.notes["box clipped to its image"] == ["annotation 23"]
    assert data.target(0)["boxes"][2].tolist() == [6, 0, 8, 2]
    assert data.notes["object without outline: the set has no masks"] == ["annotation 23"]
    assert "masks" not in data.target(0)


def test_sizes_are_read_where_the_file_has_none(tmp_path: Path):
    made = plain()
    del made["images"][0]["height"], made["images"][0]["width"]
    data = read_coco(save(tmp_path, made))
    assert data.records[0].size_hw == (4, 4) and data[0][0].shape == (3, 4, 4)


def test_keypoints_are_given_for_every_object(tmp_path: Path):
    made = plain()
    points = [1, 2, 2, 3, 4, 1, 0, 0, 0]
    made["annotations"].append(made["annotations"][0] | {"id": 2, "keypoints": points})
    found = read_coco(save(tmp_path, made)).target(0)["keypoints"]
    assert found.dtype == torch.float32
    assert found.tolist() == [[[0, 0, 0]] * 3, [[1, 2, 2], [3, 4, 1], [0, 0, 0]]]


@pytest.mark.parametrize("where", ["images", "train2017", "."])
def test_images_are_found_near_the_file(tmp_path: Path, where: str):
    save(tmp_path / where, plain())
    (tmp_path / where / "annotations.json").unlink()
    (tmp_path / "annotations").mkdir()
    path = tmp_path / "annotations" / "instances_train2017.json"
    path.write_text(json.dumps(plain()))
    assert read_coco(path).records[0].path == tmp_path / where / "a.png"


def edit(path: str, value: object) -> dict:
    made = plain()
    place, *keys = path.split(".")
    at: object = made[place]
    for key in keys[:-1]:
        at = at[int(key)] if isinstance(at, list) else at[key]  # type: ignore[index]
    if value is ...:
        del at[keys[-1]]  # type: ignore[index]
    else:
        at[keys[-1]] = value  # type: ignore[index]
    return made


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("annotations.0.bbox", [1, 2, 3], "bbox of annotation 1 must be 4 numbers"),
        ("annotations.0.bbox", [1, 2, 3, "4"], "bbox of annotation 1 must be 4 numbers"),
        ("annotations.0.bbox", [1, 2, 3, float("nan")], "bbox of annotation 1 must be 4 numbers"),
        ("annotations.0.bbox", ..., "needs bbox, got only id, image_id, category_id"),
        ("annotations.0.category_id", 5, "one of the file's 2 categories, got 5 for annotation 1"),
        ("annotations.0.segmentation", [[1, 2, 3, 4]], "at least 3 points, got 2"),
        ("annotations.0.segmentation", [[1, 2, 3, 4, 5, 6, 7]], "numbers in groups of 2"),
        ("annotations.0.segmentation", [1, 2, 3, 4, 5, 6], "numbers in groups of 2"),
        ("annotations.0.segmentation", "x", "list of outlines or a dict of runs, got str"),
        ("annotations.0.segmentation", {"counts": [1]}, "size of .*annotation 1 must be 2 numbers"),
        ("annotations.0.keypoints", [1, 2], "numbers in groups of 3"),
        ("images.0.id", "seven", "image id must be a whole number, got 'seven'"),
        ("images.0.file_name", ..., "needs file_name"),
        ("categories.0.id", 1, "numbers and names of their own, got 2 categories with 1 numbers"),
        ("categories.0.name", "person", "numbers and names of their own"),
    ],
)
def test_damaged_entries_are_named(tmp_path: Path, path: str, value: object, words: str):
    save(tmp_path, plain())
    (tmp_path / "bad.json").write_text(json.dumps(edit(path, value)))
    with pytest.raises(DataError, match=words) as caught:
        read_coco(tmp_path / "bad.json", tmp_path)
    assert "bad.json" in str(caught.value)


def test_damaged_files_are_named(tmp_path: Path):
    (tmp_path / "cut.json").write_text('{"images": [')
    (tmp_path / "results.json").write_text("[]")
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    for name, words in (
        ("cut.json", "must be JSON"),
        ("results.json", "needs the lists images, annotations, categories"),
        ("latin.json", "readable UTF-8 text"),
        ("none.json", "readable UTF-8 text, got FileNotFoundError"),
    ):
        with pytest.raises(DataError, match=words) as caught:
            read_coco(tmp_path / name)
        assert name in str(caught.value)


def test_the_same_number_twice_is_refused(tmp_path: Path):
    made = plain()
    made["images"] *= 2
    with pytest.raises(DataError, match="Images need numbers of their own, got 1 for 2"):
        read_coco(save(tmp_path, made))


def test_missing_images_are_told_where_they_were_looked_for(tmp_path: Path):
    (tmp_path / "annotations.json").write_text(json.dumps(plain()))
    with pytest.raises(DataError, match=r"were looked for in .*images.*got none of a\.png"):
        read_coco(tmp_path / "annotations.json")
    with pytest.raises(DataError, match=r"got 2 and 0 .1 x image missing"):
        read_coco(tmp_path / "annotations.json", tmp_path)


def test_an_image_of_another_size_is_refused_when_read(tmp_path: Path):
    path = save(tmp_path, plain())
    Image.new("RGB", (6, 8)).save(tmp_path / "a.png")
    data = read_coco(path)
    with pytest.raises(DataError, match=r"8 x 6, got 6 x 8 .*a\.png"):
        data[0]


# --- writing -------------------------------------------------------------------------------------


def test_results_are_written_in_the_files_numbers(tmp_path: Path):
    data = read_coco(save(tmp_path, content()))
    boxes = torch.tensor([[1.0, 2.0, 4.5, 6.25], [0.1, 0.2, 0.3, 0.4]])
    found = {"boxes": boxes, "scores": torch.tensor([0.7, 0.1]), "labels": torch.tensor([2, 1])}
    nothing = {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0)}
    assert write_results(tmp_path / "out" / "r.json", {7: found, 2: nothing}, data) == 2
    first, second = json.loads((tmp_path / "out" / "r.json").read_text())
    score = float(np.float32(0.7))
    assert first == {"image_id": 7, "category_id": 90, "bbox": [1, 2, 3.5, 4.25], "score": score}
    x0, x1 = float(np.float32(0.1)), float(np.float32(0.3))
    assert second["category_id"] == 1 and second["bbox"][2] == x1 - x0


@pytest.mark.parametrize(
    ("labels", "scores", "words"),
    [([3], [0.5], r"1 \.\. 2 .*got 3"), ([0], [0.5], "got 0"), ([1], [], "got 1 boxes, 0 scores")],
)
def test_results_that_fit_no_class_are_refused(tmp_path: Path, labels, scores, words: str):
    data = read_coco(save(tmp_path, content()))
    found = {"boxes": np.ones((1, 4)), "scores": np.array(scores), "labels": np.array(labels)}
    with pytest.raises(DataError, match=words):
        write_results(tmp_path / "r.json", {7: found}, data)


def same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, torch.Tensor):
            assert value.dtype == other[key].dtype and torch.equal(value, other[key]), key
        else:
            assert value == other[key], key


def test_ground_truth_comes_back(tmp_path: Path):
    made = content()
    made["annotations"][0]["keypoints"] = [1, 2, 2, 3, 4, 1]
    (tmp_path / "one").mkdir()
    data = read_coco(save(tmp_path / "one", made))
    assert write_coco(tmp_path / "two.json", data, tmp_path / "pictures") == 3
    again = read_coco(tmp_path / "two.json", tmp_path / "pictures")
    assert (again.classes, again.category_ids) == (data.classes, data.category_ids)
    for i in range(len(data)):
        assert torch.equal(again[i][0], data[i][0])
        same(again.target(i), data.target(i))


def test_ground_truth_without_pictures_names_the_files(tmp_path: Path):
    write_coco(tmp_path / "two.json", read_coco(save(tmp_path, content())))
    names = [e["file_name"] for e in json.loads((tmp_path / "two.json").read_text())["images"]]
    assert names == ["a.png", "sub/b.png", "c.png"]


def test_digits_become_a_coco_set(tmp_path: Path):
    digits = EmbeddedDigits(4, size_hw=(48, 64), objects=(1, 4))
    write_coco(tmp_path / "digits.json", digits, tmp_path / "images")
    again = read_coco(tmp_path / "digits.json")
    assert again.classes == digits.classes
    for i in range(4):
        assert torch.equal(again[i][0], digits[i][0])
        same(again.target(i), digits.target(i))
