"""From a competition's files to the index: matching, splitting, counting."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixwell import DataError
from mixwell.recipes.data import ArraySet, load_dataset
from mixwell.recipes.kaggle.competition import ListedImages, read_competition
from mixwell.recipes.kaggle.config import PrepareConfig
from mixwell.recipes.kaggle.files import matched
from mixwell.recipes.kaggle.prepare import Prepared, prepare
from mixwell.recipes.kaggle.split import stratified
from tests.recipes.kaggle.made import CLASSES, RED, colour, competition, read, table


def done(source: Path, out: Path, **options) -> Prepared:
    return prepare(source, PrepareConfig(out=out, quiet=True, **options))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return competition(tmp_path / "comp")


def test_the_index_says_file_label_and_part(source: Path, tmp_path: Path) -> None:
    made = done(source, tmp_path / "out", valid=0.25)
    head, *rows = read(tmp_path / "out" / "index.csv")
    assert head == ["id", "file", "label", "part"]
    truth = dict(read(source / "trainLabels.csv")[1:])
    labelled = [row for row in rows if row[3] != "test"]
    assert {row[0]: row[2] for row in labelled} == truth
    assert all(Path(row[1]).stem == row[0] and Path(row[1]).is_file() for row in rows)
    asked = [row[0] for row in read(source / "sampleSubmission.csv")[1:]]
    assert [row[0] for row in rows if row[3] == "test"] == asked
    assert Counter(row[3] for row in rows) == made.competition.counts == {
        "train": 18, "valid": 6, "test": 12}  # fmt: skip
    assert made.left_out == {} and made.competition.size_hw == (8, 8)
    assert not (tmp_path / "out" / "files").exists()  # nothing was copied


def test_images_of_a_part_have_their_labels(source: Path, tmp_path: Path) -> None:
    made = done(source, tmp_path / "out").competition
    both, train = made.images("train", "valid"), made.images("train")
    assert isinstance(both, ArraySet) and len(both) == 24 and len(train) == made.counts["train"]
    for image, label in (both[i] for i in range(24)):
        assert int(image[0, 0, 0]) == RED[CLASSES[label]]


def test_images_of_several_sizes_stay_files(source: Path, tmp_path: Path) -> None:
    colour(source / "train" / "1.png", "bee", (9, 8))
    made = done(source, tmp_path / "out").competition
    images = made.images("train")
    assert made.size_hw is None and isinstance(images, ListedImages)
    assert images[0][0].dtype.is_floating_point is False and "images" in repr(images)


def test_an_image_that_lies_about_its_size_is_no_reason_to_stop(
    source: Path, tmp_path: Path
) -> None:
    """Turned by its EXIF block after all: then the set is read file by file."""
    made = done(source, tmp_path / "out").competition
    row = next(made.rows("train"))
    colour(made.path(row), row.label, (9, 9))
    assert isinstance(made.images("train"), ListedImages)


# ------------------------------------------------------------------ archives and layouts


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_archives_of_images(source: Path, tmp_path: Path, kind: str) -> None:
    for part in ("train", "test"):
        shutil.make_archive(str(source / part), kind, source, part)
        shutil.rmtree(source / part)
    made = done(source, tmp_path / "out").competition
    assert made.counts["test"] == 12 and len(made.images("train", "valid")) == 24
    row = next(made.rows("test"))
    assert not Path(row.file).is_absolute()  # the folder can be moved
    (tmp_path / "out").rename(tmp_path / "moved")
    assert len(read_competition(tmp_path / "moved").images("train")) > 0


def test_a_competition_in_one_archive_with_archives_in_it(source: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(source / "train"), "zip", source, "train")
    shutil.rmtree(source / "train")
    (source / "readme.txt").write_text("x")
    whole = shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path, "comp")
    made = done(Path(whole), tmp_path / "out")
    assert made.competition.counts["test"] == 12
    assert made.left_out == {"another kind of file, in all.zip": 1}


def test_copies_for_other_tools(source: Path, tmp_path: Path) -> None:
    done(source, tmp_path / "out", copies=True)
    images = tmp_path / "out" / "images"
    assert sorted(p.name for p in (images / "test" / "unknown").iterdir()) == sorted(
        f"{i}.png" for i in range(1, 13)
    )
    parts = {
        part: {p.name: p.parent.name for p in (images / part).glob("*/*")}
        for part in ("train", "valid", "train_valid")
    }
    assert parts["train"] | parts["valid"] == parts["train_valid"]
    assert parts["train_valid"] == {f"{k}.png": v for k, v in read(source / "trainLabels.csv")[1:]}
    assert not set(parts["train"]) & set(parts["valid"])
    assert len(load_dataset("folder", images).test) == len(parts["valid"])


@pytest.mark.parametrize("label", ["../up", "a/b", "a\\b", "..", ".hidden"])
def test_copies_need_labels_that_stay_inside(source: Path, tmp_path: Path, label: str) -> None:
    rows = read(source / "trainLabels.csv")
    table(source / "trainLabels.csv", [[k, label if v == "ant" else v] for k, v in rows])
    table(source / "sampleSubmission.csv", [("id", "label"), (1, "bee")])
    with pytest.raises(DataError, match="labels that can name a folder"):
        done(source, tmp_path / "out", copies=True)
    assert done(source, tmp_path / "out").competition.classes  # the index takes any label


def test_named_files_go_before_found_ones(source: Path, tmp_path: Path) -> None:
    (source / "train").rename(source / "pictures")
    (source / "trainLabels.csv").rename(source / "y.csv")
    with pytest.raises(DataError, match=r"needs its labels.*--labels"):
        done(source, tmp_path / "out")
    made = done(source, tmp_path / "out", labels=source / "y.csv", train=source / "pictures")
    assert made.competition.counts["test"] == 12


def test_two_files_for_one_purpose(source: Path, tmp_path: Path) -> None:
    shutil.copy(source / "trainLabels.csv", source / "more_labels.csv")
    with pytest.raises(DataError, match="one file for its labels"):
        done(source, tmp_path / "out")


def test_without_a_sample_every_test_image_is_predicted(source: Path, tmp_path: Path) -> None:
    (source / "sampleSubmission.csv").unlink()
    made = done(source, tmp_path / "out").competition
    assert made.counts["test"] == 12 and made.sample is None
    assert made.form.columns == ("id", "label")
    colour(source / "test" / "deep" / "3.png", "ant")
    with pytest.raises(DataError, match="different names"):
        done(source, tmp_path / "out2")


# ------------------------------------------------------------------ what is left out is counted


def test_everything_left_out_is_counted(source: Path, tmp_path: Path) -> None:
    (source / "train" / "2.png").write_bytes(b"no image")
    (source / "test" / "3.png").write_bytes(b"no image")
    colour(source / "train" / "extra.png", "ant")
    colour(source / "test" / "extra.png", "ant")
    (source / "train" / "notes.txt").write_text("x")
    colour(source / "train" / "99.png", "cat")
    rows = read(source / "trainLabels.csv")
    table(source / "trainLabels.csv", [*rows, (99, "lone"), (100, "ant")])
    with pytest.raises(DataError, match=r"got none for 1 of 26 \(100\).*--allow-missing"):
        done(source, tmp_path / "out")
    made = done(source, tmp_path / "out", allow_missing=True)
    assert made.left_out == {
        "labels without an image": 1,
        "training images without a label": 1,
        "other files among the training images": 1,
        "test images that the sample does not ask for": 1,
        "damaged training images": 1,
        "damaged test images, which submit will name": 1,
        "classes of one image, in training alone": 1,
    }
    about = json.loads((tmp_path / "out" / "competition.json").read_text())
    assert about["left_out"] == made.left_out
    assert "2" not in {row.id for row in made.competition.rows("train", "valid")}


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda s: (s / "test" / "3.png").unlink(), r"Every id of .* needs an image, got none"),
        (lambda s: table(s / "trainLabels.csv", [("id", "label"), ("x", "ant"), ("y", "bee")]),
         "Ids must be the names of the training images"),
        (lambda s: table(s / "trainLabels.csv", [("id", "label"), (1, "a"), (1, "b")]),
         "each id once, got '1' again in line 3"),
        (lambda s: table(s / "trainLabels.csv", [("id", "label"), (1, "a"), (2, "")]),
         "an id and a label in each row"),
        (lambda s: table(s / "trainLabels.csv", [("id", "label"), (1, "a"), (2, "a")]),
         "at least 2 classes"),
        (lambda s: table(s / "trainLabels.csv", [("id", "label"), (1, "ant"), (2, "bee")]),
         "Validation needs a class with at least 2 images"),
        (lambda s: table(s / "trainLabels.csv", [("id", "label", "site"), (1, "a", "x")]),
         "--label-column"),
        (lambda s: table(s / "trainLabels.csv", [("id", "label"), (1, "a", "x")]),
         "2 values in each row .*, got 3 in line 2"),
        (lambda s: table(s / "trainLabels.csv", [("id", "id"), (1, "a")]), "each heading once"),
        (lambda s: (s / "trainLabels.csv").write_bytes(b""), "a line of headings"),
        (lambda s: (s / "trainLabels.csv").write_bytes(b"id,label\n1,\xff\n"), "CSV in UTF-8"),
        (lambda s: table(s / "sampleSubmission.csv", [("id", "label"), (1, "wolf")]),
         "a class in its second column, got 'wolf'.*--positive"),
        (lambda s: table(s / "sampleSubmission.csv", [("id", "ant", "bee"), (1, 0, 1)]),
         "a column for each of the 3 classes, got none for cat"),
        (lambda s: table(s / "sampleSubmission.csv", [("id", "label")]), "at least one row"),
        (lambda s: shutil.rmtree(s / "test"), "needs its test.*--test"),
        (lambda s: ((s / "train" / "1.png").unlink(), colour(s / "train" / "a" / "1.png", "ant"),
                    colour(s / "train" / "b" / "1.png", "ant")), "one image among the training"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(source: Path, tmp_path: Path, break_it, message: str) -> None:
    break_it(source)
    with pytest.raises(DataError, match=message):
        done(source, tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())


def test_nothing_is_written_over_unasked(source: Path, tmp_path: Path) -> None:
    done(source, tmp_path / "out", copies=True)
    with pytest.raises(DataError, match="--overwrite"):
        done(source, tmp_path / "out")
    done(source, tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / "images").exists()
    with pytest.raises(DataError, match="a folder of its own"):
        done(source, source)
    (tmp_path / "mine" / "images").mkdir(parents=True)
    (tmp_path / "mine" / "images" / "dear.png").touch()
    with pytest.raises(DataError, match="holds images/ already"):
        done(source, tmp_path / "mine")
    assert (tmp_path / "mine" / "images" / "dear.png").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "index.csv").write_text("id,file\n"),
        lambda f: (f / "index.csv").write_text("id,file,label,part\n1,a.png,ant,tain\n"),
        lambda f: (f / "competition.json").write_text("{"),
        lambda f: (f / "competition.json").write_text("{}"),
        lambda f: (f / "index.csv").unlink(),
    ],
)
def test_a_damaged_folder_is_said(source: Path, tmp_path: Path, damage) -> None:
    done(source, tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(DataError, match="mixwell kaggle prepare"):
        list(read_competition(tmp_path / "out").rows("train"))


@pytest.mark.parametrize("options", [{"valid": 0.0}, {"max_files": 0}, {"max_gib": 0}])
def test_options_in_range(options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        PrepareConfig(**options)


# ------------------------------------------------------------------ ids and files


def test_an_id_names_its_file_in_several_ways() -> None:
    files = ["a/1.png", "a/1.2.jpg", "b/x.png"]
    assert matched(["a/1.png", "b/x.png"], files, "test")[0]["b/x.png"] == "b/x.png"
    assert matched(["a/1", "b/x"], files, "test")[0] == {"a/1": "a/1.png", "b/x": "b/x.png"}
    assert matched(["1.png", "1.2.jpg"], files, "test")[0]["1.2.jpg"] == "a/1.2.jpg"
    assert matched(["1", "1.2", "x"], files, "test")[0]["1.2"] == "a/1.2.jpg"
    assert matched(["1", "z"], files, "test") == ({"1": "a/1.png"}, ["z"])


def test_files_of_one_name_matter_only_where_an_id_means_them() -> None:
    files = ["a/1.png", "b/1.png", "b/2.png"]
    assert matched(["2"], files, "test")[0] == {"2": "b/2.png"}
    assert matched(["a/1", "b/1"], files, "test")[0] == {"a/1": "a/1.png", "b/1": "b/1.png"}
    with pytest.raises(DataError, match=r"a/1\.png and b/1\.png for '1'"):
        matched(["1"], files, "test")


# ------------------------------------------------------------------ the split

LABELS = st.dictionaries(st.text(max_size=4), st.sampled_from("abc"), max_size=60)


@settings(max_examples=40)
@given(LABELS, st.floats(0.01, 0.9), st.integers(0, 5))
def test_each_class_gives_its_share(labels: dict[str, str], share: float, seed: int) -> None:
    chosen = stratified(labels, share, seed)
    for name, size in Counter(labels.values()).items():
        taken = sum(labels[key] == name for key in chosen)
        if size == 1:
            assert taken == 0
        else:
            assert 1 <= taken < size
            wanted = share * size
            assert abs(taken - wanted) <= 0.5 or taken in (1, size - 1)


@settings(max_examples=40)
@given(LABELS, st.integers(0, 5))
def test_the_order_of_rows_does_not_matter(labels: dict[str, str], seed: int) -> None:
    rows = list(labels.items())
    random.Random(seed).shuffle(rows)
    assert stratified(dict(rows), 0.3, 7) == stratified(labels, 0.3, 7)


def test_other_classes_do_not_matter_and_seeds_do() -> None:
    labels = {str(i): "ab"[i % 2] for i in range(400)}
    alone = {k: v for k, v in labels.items() if v == "a"}
    chosen = stratified(labels, 0.1, 0)
    assert stratified(alone, 0.1, 0) == {k for k in chosen if labels[k] == "a"}
    other = stratified(labels, 0.1, 1)
    assert len(chosen) == len(other) == 40 and chosen != other
