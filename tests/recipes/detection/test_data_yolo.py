"""YOLO's text files and the little YAML beside them; PyYAML is the oracle where it is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mixwell import DataError
from mixwell.recipes.detection.data import DetectionSet, read_yolo, small_yaml
from tests.oracles import outlines as oracle

NAMES = "names: [cat, dog]\n"


def save(root: Path, name: str, lines: str | None, split: str = "train") -> None:
    """images/<split>/<name>.png of 8 x 10 px, and its labels."""
    for kind in ("images", "labels"):
        (root / kind / split).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (10, 8)).save(root / "images" / split / f"{name}.png")
    if lines is not None:
        (root / "labels" / split / f"{name}.txt").write_text(lines)


def one(root: Path, lines: str | None, yaml: str = NAMES) -> Path:
    save(root, "a", lines)
    (root / "data.yaml").write_text(yaml)
    return root


def test_fractions_become_px(tmp_path: Path):
    data = read_yolo(one(tmp_path, "1 0.5 0.5 0.2 0.5\n\n0 .1 .25 0.2 0.5\n"))
    assert isinstance(data, DetectionSet) and data.classes == ("cat", "dog")
    image, target = data[0]
    assert image.shape == (3, 8, 10)
    assert target["boxes"].tolist() == [[4, 2, 6, 6], [0, 0, 2, 4]]
    assert target["labels"].tolist() == [2, 1] and target["area"].tolist() == [8, 8]
    assert "masks" not in target and "difficult" not in target
    assert data.notes == {} and data.skipped == {}


def test_outlines_become_boxes_and_masks(tmp_path: Path):
    data = read_yolo(one(tmp_path, "0 .1 .25 .5 .25 .5 .75 .1 .75\n1 .2 .1 .9 .5 .3 1\n"))
    target = data.target(0)
    assert target["boxes"][0].tolist() == [1, 2, 5, 6]
    assert target["masks"][0].tolist() == oracle.filled([(1, 2), (5, 2), (5, 6), (1, 6)], 8, 10)
    assert target["masks"][1].tolist() == oracle.filled([(2, 0.8), (9, 4), (3, 8)], 8, 10)


def test_boxes_among_outlines_leave_no_masks_and_are_noted(tmp_path: Path):
    data = read_yolo(one(tmp_path, "0 .1 .25 .5 .25 .5 .75\n0 .5 .5 .2 .2\n"))
    assert "masks" not in data.target(0)
    (names,) = data.notes.values()
    assert len(names) == 1 and names[0].endswith("a.txt, line 2")


def test_an_image_without_labels_is_one_without_objects(tmp_path: Path):
    save(tmp_path, "b", None)
    save(tmp_path, "c", "")
    data = read_yolo(one(tmp_path, "0 .5 .5 .2 .2"))
    assert [len(data.target(i)["labels"]) for i in range(3)] == [1, 0, 0]
    assert data.notes == {"no label file: taken as an image without objects": ["b.png"]}


def test_labels_without_image_and_empty_boxes_are_counted(tmp_path: Path):
    one(tmp_path, "0 .5 .5 .2 .2\n0 .5 .5 0 .2\n")
    (tmp_path / "labels" / "train" / "z.txt").write_text("0 .5 .5 .2 .2")
    skipped = read_yolo(tmp_path).skipped
    assert skipped["label file without image"] == ["z.txt"]
    assert [n[-13:] for n in skipped["box without area"]] == ["a.txt, line 2"]


def test_a_box_over_the_border_is_clipped_and_noted(tmp_path: Path):
    data = read_yolo(one(tmp_path, "0 .1 .5 .4 .5"))
    assert data.target(0)["boxes"].tolist() == [[0, 2, 3, 6]]
    assert list(data.notes) == ["box clipped to its image"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 .5 .5 .2", "got '0 .5 .5 .2'"),
        ("0 .5 .5 .2 .2 .9", "A YOLO line is"),
        ("0 .5 .5 .2 .2 .9 .9 .1", "A YOLO line is"),
        ("0", "A YOLO line is"),
        ("cat .5 .5 .2 .2", "A YOLO line is"),
        ("0 .5 nan .2 .2", "A YOLO line is"),
        ("0 5 5 2 2", r"fractions of the image, 0 \.\. 1, got 2 \.\. 5"),
        ("0 .5 -.1 .2 .2", "got -0.1"),
        ("2 .5 .5 .2 .2", r"A class must be 0 \.\. 1 .there are 2 names., got 2"),
        ("-1 .5 .5 .2 .2", "got -1"),
    ],
)
def test_damaged_lines_are_named(tmp_path: Path, line: str, words: str):
    with pytest.raises(DataError, match=words) as caught:
        read_yolo(one(tmp_path, f"0 .5 .5 .2 .2\n{line}\n"))
    assert "a.txt, line 2" in str(caught.value)


def splits(root: Path, yaml: str) -> Path:
    save(root, "a", "0 .5 .5 .2 .2", "train")
    save(root, "b", "1 .5 .5 .2 .2", "valid")
    (root / "data.yaml").write_text(yaml)
    return root


YAMLS = {
    "plain": "train: images/train\nval: images/valid\n",
    "valid": "train: images/train\nvalid: images/valid\n",
    "with a path": "path: images\ntrain: train\nval: valid\n",
    "a path that is not from here": "path: ../datasets/x\ntrain: images/train\nval: images/valid\n",
    "one level too high": "train: ../images/train\nval: ../images/valid\n",
    "lists": "train: [images/train]\nval:\n- images/valid\n",
    "files that list": "train: train.txt\nval: images/valid\n",
    "by folder": "",
}


@pytest.mark.parametrize("yaml", YAMLS.values(), ids=YAMLS)
def test_splits_are_found(tmp_path: Path, yaml: str):
    splits(tmp_path, yaml + NAMES)
    (tmp_path / "train.txt").write_text("./images/train/a.png\n")
    for place in (tmp_path, tmp_path / "data.yaml"):
        train, val = read_yolo(place, "train"), read_yolo(place, "val")
        assert [r.path.name for r in train.records] == ["a.png"]
        assert [r.path.name for r in val.records] == ["b.png"]
        assert val.target(0)["labels"].tolist() == [2] and val.notes == {}
    assert len(read_yolo(tmp_path)) == 2
    with pytest.raises(DataError, match=r"'test' is not in .* which has train, val"):
        read_yolo(tmp_path, "test")


def test_a_missing_split_and_a_wrong_list_are_named(tmp_path: Path):
    splits(tmp_path, "train: images/nowhere\n" + NAMES)
    with pytest.raises(DataError, match=r"no 'images/nowhere' for .*data\.yaml"):
        read_yolo(tmp_path)
    (tmp_path / "data.yaml").write_text("train: train.txt\n" + NAMES)
    (tmp_path / "train.txt").write_text("images/train/none.png\n")
    with pytest.raises(DataError, match=r"train\.txt must name an image, got 'images/train/none"):
        read_yolo(tmp_path)


@pytest.mark.parametrize("folder", [".", "labels"])
def test_names_in_a_text_file(tmp_path: Path, folder: str):
    (tmp_path / "labels").mkdir()
    (tmp_path / "images").mkdir()
    Image.new("RGB", (10, 8)).save(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels" / "a.txt").write_text("1 .5 .5 .2 .5")
    (tmp_path / folder / "classes.txt").write_text("cat\nhot dog\n")
    data = read_yolo(tmp_path)
    assert data.classes == ("cat", "hot dog") and data.target(0)["labels"].tolist() == [2]
    assert data.skipped == {} and data.notes == {}


def test_labels_beside_the_images(tmp_path: Path):
    Image.new("RGB", (10, 8)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("0 .5 .5 .2 .5")
    with pytest.raises(DataError, match=r"class names in data\.yaml, classes\.txt or obj\.names"):
        read_yolo(tmp_path)
    assert read_yolo(tmp_path, classes=["cat"]).target(0)["labels"].tolist() == [1]
    (tmp_path / "obj.names").write_text("cat\n")
    assert read_yolo(tmp_path).target(0)["boxes"].tolist() == [[4, 2, 6, 6]]


def test_keypoint_labels_are_refused(tmp_path: Path):
    one(tmp_path, "0 .5 .5 .2 .2", NAMES + "kpt_shape: [17, 3]\n")
    with pytest.raises(DataError, match="got keypoints"):
        read_yolo(tmp_path)


def test_numbers_of_names_have_no_gaps(tmp_path: Path):
    one(tmp_path, "0 .5 .5 .2 .2", "names:\n  0: cat\n  2: dog\n")
    with pytest.raises(DataError, match=r"numbers 0 \.\. 1, got 0, 2"):
        read_yolo(tmp_path)


# --- the YAML subset -----------------------------------------------------------------------------

TEXTS = {
    "a block map": "path: ../sets/coco # root\ntrain: x\n\nnames:\n  0: person\n  1: 'hot dog'\n",
    "a block list": 'nc: 2\nnames:\n- cat\n- "a: b # c"\n# end\n',
    "an indented list": "names:\n    - it''s\n    - 'it''s'\n",
    "a flow list": "names: ['cat', \"dog, big\", plain]  # three\nnc: 3\n",
    "over lines": "names: ['cat',\n        'dog',\n  cow ]\nval: x\n",
    "a flow map": "names: {0: cat, 1: 'd: o', 2: x}\n",
    "documents": "---\nnames: [a]\n...\n",
    "deeper levels": "names: [a]\nroboflow:\n  workspace: w\n  url: https://example.org/a#b\n",
    "block text": "names: [a]\ndownload: |\n  from x import y\n  y('a: b')\nval: z\n",
    "empty values": "names: [a]\ntest:\nval: v\n",
    "escapes": 'names: ["a\\"b", "c\\\\d"]\nother: "t\\tu"\n',
    "colons and hashes": "train: C:/sets/x\nurl: http://a/b#c\n",
    "empty": "",
    "a trailing comma": "names: [a, b,]\n",
}


def as_text(value: object) -> object:
    if isinstance(value, dict):
        return {str(k): as_text(v) for k, v in value.items()}
    if isinstance(value, list):
        return [as_text(v) for v in value]
    return "" if value is None else str(value)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_it_reads_what_pyyaml_reads(text: str):
    yaml = pytest.importorskip(
        "yaml", reason="no PyYAML: unproven here: that small_yaml reads as PyYAML does"
    )
    wanted = as_text(yaml.safe_load(text) or {})
    found = small_yaml.parse(text, Path("d.yaml"))
    assert isinstance(wanted, dict)
    if "download" in wanted:  # block texts are passed over
        wanted["download"] = ""
    assert found == wanted


def test_words_stay_words():
    text = "names: [no, yes, on, 1e3, null, 007]\n"
    assert small_yaml.parse(text, Path())["names"] == ["no", "yes", "on", "1e3", "null", "007"]


def test_deeper_lines_are_passed_over():
    assert small_yaml.parse("a:\n  b: 1\n  c:\n    d: 2\n", Path())["a"] == {"b": "1", "c": ""}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("names: &x [a]\n", "anchors, aliases and tags"),
        ("names: [*x]\n", "anchors, aliases and tags"),
        ("names: !!python/object:os.system [a]\n", "anchors, aliases and tags"),
        ("names: [a\n", "bracket must be closed"),
        ("names: [a] b\n", "bracket must be closed"),
        ("names: [[a], b]\n", "bracket must be closed, with nothing behind it and none"),
        ("names: 'a\n", "quote must be closed"),
        ("names\n", "line 1, a line at the left margin is `key: value`, got 'names'"),
        ("a: b\n  stray: c\n", "line 2, a line at the left margin"),
        ("a:\n  - b\n  c: d\n", "line 3, a list has one `- item`"),
        ("a:\n  b\n", "line 2, a map has one `key: value`"),
        ("a: {b}\n", "a map has `key: value` between commas"),
    ],
)
def test_what_it_cannot_read_is_refused(text: str, words: str):
    with pytest.raises(DataError, match=words) as caught:
        small_yaml.parse(text, Path("d.yaml"))
    assert "d.yaml" in str(caught.value)
