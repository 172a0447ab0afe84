"""Pascal VOC files: the frame, the layouts, what is refused; and two real sets."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from mixwell import DataError
from mixwell.recipes.detection.data import DetectionSet, load_detection, read_voc
from mixwell.recipes.detection.data.files import upright_size
from tests.data import shared_data


def xml(objects: str = "", size: tuple[int, int] = (8, 6), filename: str = "a.png") -> str:
    width, height = size
    return (
        f"<annotation><filename>{filename}</filename><size><width>{width}</width>"
        f"<height>{height}</height><depth>3</depth></size>{objects}</annotation>"
    )


def thing(name: str, *corners: object, extra: str = "") -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object><name>{name}</name>{extra}<bndbox>{box}</bndbox></object>"


def save(root: Path, name: str, text: str | None, images: str = "", notes: str = "") -> None:
    (root / images).mkdir(parents=True, exist_ok=True)
    (root / notes).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (9, 9, 9)).save(root / images / f"{name}.png")
    if text is not None:
        (root / notes / f"{name}.xml").write_text(text)


ONE = xml(thing("dog", 2, 3, 5, 6) + thing("cat", 1, 1, 8, 6, extra="<difficult>1</difficult>"))


def test_corners_are_pixels_counted_from_1(tmp_path: Path):
    """A box from pixel 2 to pixel 5 covers four columns: [1, 5)."""
    save(tmp_path, "a", ONE)
    data = read_voc(tmp_path)
    assert isinstance(data, DetectionSet)
    assert data.classes == ("cat", "dog")
    image, target = data[0]
    assert image.shape == (3, 6, 8) and image.dtype == torch.uint8
    assert target["boxes"].tolist() == [[1, 2, 5, 6], [0, 0, 8, 6]]
    assert target["labels"].tolist() == [2, 1]
    assert target["difficult"].tolist() == [False, True] and target["difficult"].dtype == torch.bool
    assert target["area"].tolist() == [16, 48] and target["iscrowd"].tolist() == [0, 0]
    assert data.notes == {} and data.skipped == {}


def test_corners_can_be_edges_counted_from_0(tmp_path: Path):
    save(tmp_path, "a", xml(thing("dog", 0, 3, 5.5, 6)))
    assert read_voc(tmp_path, one_based=False).target(0)["boxes"].tolist() == [[0, 3, 5.5, 6]]
    data = read_voc(tmp_path)  # a 0 in a file counted from 1 sticks out
    assert data.target(0)["boxes"].tolist() == [[0, 2, 5.5, 6]]
    assert data.notes == {"box clipped to its image": ["a.xml: dog (0, 3, 5.5, 6)"]}


@pytest.mark.parametrize("corners", [(4, 2, 4, 5), (4, 5, 6, 5), (5, 2, 4, 5), (4, 4, 4, 4)])
@pytest.mark.parametrize("one_based", [True, False])
def test_clicks_are_left_out_and_counted(tmp_path: Path, corners, one_based: bool):
    save(tmp_path, "a", xml(thing("dog", 1, 1, 3, 3) + thing("dog", *corners)))
    data = read_voc(tmp_path, one_based=one_based)
    assert len(data.target(0)["labels"]) == 1
    assert data.skipped == {"box without area": [f"a.xml: dog {corners}"]}


@pytest.mark.parametrize(
    ("images", "notes"), [("JPEGImages", "Annotations"), ("images", "annotations"), ("", "")]
)
def test_layouts(tmp_path: Path, images: str, notes: str):
    for name in ("b", "a", "c"):
        save(tmp_path, name, ONE, images, notes)
    data = read_voc(tmp_path)
    assert [record.path.name for record in data.records] == ["a.png", "b.png", "c.png"]
    assert [data.target(i)["image_id"] for i in range(3)] == [0, 1, 2]


def test_splits_are_read_in_their_order_and_share_classes(tmp_path: Path):
    save(tmp_path, "a", xml(thing("dog", 1, 1, 3, 3)), "JPEGImages", "Annotations")
    save(tmp_path, "b", xml(thing("cat", 1, 1, 3, 3)), "JPEGImages", "Annotations")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("b\n\na\n")
    (lists / "val.txt").write_text("b  1\n")
    data = read_voc(tmp_path, "train")
    assert [record.path.name for record in data.records] == ["b.png", "a.png"]
    val = read_voc(tmp_path, "val")
    assert val.classes == data.classes == ("cat", "dog") and val.target(0)["labels"].tolist() == [1]
    with pytest.raises(DataError, match=r"ImageSets/Main/test\.txt, got train, val"):
        read_voc(tmp_path, "test")
    (lists / "val.txt").write_text("b\nz\n")
    with pytest.raises(DataError, match=r"val\.txt needs an XML file, got none for z"):
        read_voc(tmp_path, "val")


def test_files_without_partner_are_counted(tmp_path: Path):
    save(tmp_path, "a", ONE)
    save(tmp_path, "b", None)
    (tmp_path / "c.xml").write_text(xml(filename="c.jpg"))
    data = read_voc(tmp_path)
    assert len(data) == 1
    assert data.skipped == {
        "image without annotation file": ["b.png"],
        "image missing": ["c.jpg (of c.xml)"],
    }


def test_the_filename_counts_only_where_the_names_differ(tmp_path: Path):
    save(tmp_path, "a", xml(thing("dog", 1, 1, 3, 3), filename="other.jpg"))
    save(tmp_path, "other", None)
    (tmp_path / "x.xml").write_text(xml(thing("dog", 2, 2, 3, 3), filename="other.png"))
    data = read_voc(tmp_path)
    assert [record.path.name for record in data.records] == ["a.png", "other.png"]
    assert data.skipped == {}


def test_images_without_objects_stay(tmp_path: Path):
    save(tmp_path, "a", ONE)
    save(tmp_path, "b", xml())
    target = read_voc(tmp_path).target(1)
    assert target["boxes"].shape == (0, 4) and target["difficult"].shape == (0,)


@pytest.mark.parametrize("size", [(0, 0), (8, 0)])
def test_a_size_of_0_is_read_from_the_image(tmp_path: Path, size: tuple[int, int]):
    save(tmp_path, "a", xml(thing("dog", 1, 1, 3, 3), size))
    assert read_voc(tmp_path)[0][0].shape == (3, 6, 8)


def test_a_wrong_size_is_refused_with_the_image(tmp_path: Path):
    save(tmp_path, "a", xml(thing("dog", 1, 1, 3, 3), (6, 8)))
    with pytest.raises(DataError, match=r"6 x 8, got 8 x 6 .*a\.png"):
        read_voc(tmp_path)[0]


def test_a_turned_image_has_the_size_it_is_shown_in(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path, "a", xml(thing("dog", 1, 1, 3, 3), (0, 0)))
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png", exif=exif)
    data = read_voc(tmp_path)
    assert data.records[0].size_hw == (8, 6) and data[0][0].shape == (3, 8, 6)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]>'
    "<annotation><filename>&y;</filename></annotation>"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "without a DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "file:///etc/hostname"><annotation/>', "without a DOCTYPE"),
        ("<annotation>", "must be XML, got ParseError"),
        ("", "must be XML, got ParseError"),
        ('<?xml version="1.0" encoding="nonsense"?><annotation/>', "must be XML"),
        ("<other/>", "outermost element must be <annotation>, got <other>"),
        (xml("<object><name>dog</name></object>"), "got no bndbox"),
        (xml(thing(" ", 1, 2, 3, 4)), "got no name"),
        (xml(thing("dog", 1, 2, "three", 4)), "<xmax> must be a number, got 'three'"),
        (xml(thing("dog", 1, 2, "nan", 4)), "<xmax> must be a number, got 'nan'"),
        (xml(thing("dog", 1, "", 3, 4)), "<ymin> must be a number, got "),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, text: str, words: str):
    save(tmp_path, "a", text)
    with pytest.raises(DataError, match=words) as caught:
        read_voc(tmp_path)
    assert "a.xml" in str(caught.value)


def test_document_types_are_refused_in_any_encoding(tmp_path: Path):
    save(tmp_path, "a", ONE)
    (tmp_path / "a.xml").write_bytes(BOMB.encode("utf-16"))
    with pytest.raises(DataError, match="without a DOCTYPE"):
        read_voc(tmp_path)


def test_classes_can_be_given_and_must_suffice(tmp_path: Path):
    save(tmp_path, "a", ONE)
    assert read_voc(tmp_path, classes=["dog", "cow", "cat"]).target(0)["labels"].tolist() == [1, 3]
    with pytest.raises(DataError, match=r"one of dog, got 'cat' in .*a\.xml"):
        read_voc(tmp_path, classes=["dog"])


def test_no_annotations_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="needs XML files in Annotations/"):
        read_voc(tmp_path)
    save(tmp_path, "a", xml())
    with pytest.raises(DataError, match="at least one class and one image, got 0 and 1"):
        read_voc(tmp_path)


# --- real sets -----------------------------------------------------------------------------------


def test_raccoons_agree_with_their_table():
    folder = shared_data("raccoon", "that a real folder of VOC files is read whole")
    data = read_voc(folder)
    assert data.classes == ("raccoon",) and len(data) == 200
    assert data.skipped == {} and data.notes == {}
    with (folder / "raccoon_labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    corners = ("xmin", "ymin", "xmax", "ymax")
    wanted = sorted((r["filename"], *(int(r[c]) for c in corners)) for r in rows)
    found = []
    for i, record in enumerate(data.records):
        for x0, y0, x1, y1 in data.target(i)["boxes"].tolist():
            found.append((record.path.name, int(x0) + 1, int(y0) + 1, int(x1), int(y1)))
    assert sorted(found) == wanted and len(wanted) == 217
    for i in range(0, 200, 20):
        assert data[i][0].shape[1:] == data.records[i].size_hw


def test_blood_cells_agree_with_their_files():
    folder = shared_data("bccd", "that a real VOC data set with faults is read whole")
    data = load_detection(folder)
    parts = [data.train, data.val, data.test]
    assert [len(part) for part in parts if part is not None] == [205, 87, 72]
    assert data.classes == ("Platelets", "RBC", "WBC") and data.note == ""
    clicks = [n for part in parts if part for n in part.skipped.pop("box without area", [])]
    assert sorted(clicks) == [
        "BloodImage_00338.xml: RBC (504, 337, 504, 337)",
        "BloodImage_00343.xml: RBC (181, 329, 181, 329)",
    ]
    assert all(part.skipped == {} and part.notes == {} for part in parts if part)
    names = [data.classes[k - 1] for part in parts if part for k in labels_of(part)]
    texts = [path.read_text() for path in sorted((folder / "Annotations").glob("*.xml"))]
    written = [name for text in texts for name in re.findall("<name>(.*?)</name>", text)]
    written.remove("RBC"), written.remove("RBC")  # the two clicks
    assert sorted(names) == sorted(written)


def labels_of(part: DetectionSet) -> list[int]:
    return [k for i in range(len(part)) for k in part.target(i)["labels"].tolist()]


def test_a_header_that_claims_too_much_is_named(tmp_path, monkeypatch):
    Image.new("RGB", (8, 8)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 16)
    with pytest.raises(DataError, match=r"DecompressionBombError for .*bomb.png: .*[^.]\. Replace"):
        upright_size(tmp_path / "bomb.png")
