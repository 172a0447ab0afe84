"""Data sets by name: digits, image folders, decoding; CIFAR has its own file."""

from __future__ import annotations

import csv
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mixwell
from mixwell.recipes.data import (
    ArraySet,
    DataError,
    FolderSet,
    ImageSet,
    channel_stats,
    dataset_names,
    load_dataset,
)
from mixwell.recipes.data.decode import decode_rgb, header_is_readable
from tests.data import shared_data

IMAGES = np.arange(3 * 4 * 5 * 3, dtype=np.uint8).reshape(3, 4, 5, 3)
LABELS = np.array([0, 1, 1], dtype=np.int64)


def save(path: Path, value: int = 0, size: tuple[int, int] = (6, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 10, 20)).save(path)
    return path


def two_classes(root: Path) -> Path:
    """Two images of ``a``, one of ``b``; red tells them apart."""
    save(root / "a" / "1.png", 1)
    save(root / "a" / "deeper" / "2.PNG", 2, (3, 9))
    save(root / "b" / "3.bmp", 3)
    return root


# --- arrays --------------------------------------------------------------------------------------


def test_array_set_items_and_tensor():
    images = ArraySet(IMAGES, LABELS, ("x", "y"))
    image, label = images[2]
    assert image.dtype == torch.uint8 and image.shape == (3, 4, 5) and label == 1
    assert type(label) is int
    assert all(int(image[c, i, j]) == IMAGES[2, i, j, c] for c, i, j in np.ndindex(3, 4, 5))
    assert torch.equal(images.tensor(), torch.stack([image for image, _ in images]))
    assert images.tensor().is_contiguous()
    assert isinstance(images, ImageSet)
    assert repr(images) == "ArraySet(3 images 4x5x3 | 2 classes)"


def test_array_set_hands_out_copies():
    images = ArraySet(IMAGES.copy(), LABELS, ("x", "y"))
    images[0][0].fill_(255)
    images.tensor().fill_(255)
    assert np.array_equal(images.images, IMAGES)


def test_array_set_reads_frozen_arrays():
    frozen = IMAGES.copy()
    frozen.setflags(write=False)
    assert int(ArraySet(frozen, LABELS, ("x", "y"))[0][0].sum()) == IMAGES[0].sum()


@pytest.mark.parametrize(
    ("images", "labels", "rule"),
    [
        (IMAGES.astype(np.float32), LABELS, "uint8 images"),
        (IMAGES[0], LABELS, "uint8 images"),
        (IMAGES, LABELS.astype(np.int32), "int64 labels"),
        (IMAGES, LABELS[:2], "int64 labels"),
        (IMAGES, LABELS + 1, r"labels in 0\.\.1, got 1\.\.2"),
        (IMAGES, LABELS - 1, r"labels in 0\.\.1, got -1\.\.0"),
    ],
)
def test_array_set_checks(images: np.ndarray, labels: np.ndarray, rule: str):
    with pytest.raises(DataError, match=rule):
        ArraySet(images, labels, ("x", "y"))


def test_channel_stats_equal_float_sums():
    images = np.random.default_rng(0).integers(0, 256, (5, 7, 3, 3), dtype=np.uint8)
    mean, std = channel_stats(images)
    assert mean == pytest.approx((images / 255).mean((0, 1, 2)).tolist(), rel=1e-12)
    assert std == pytest.approx((images / 255).std((0, 1, 2)).tolist(), rel=1e-12)


# --- digits --------------------------------------------------------------------------------------


def test_digits_split():
    data = load_dataset("digits")
    train, test = data.train, data.test
    assert (len(train), len(test)) == (1442, 355)
    assert data.classes == tuple("0123456789")
    share = np.bincount(test.labels) / (np.bincount(test.labels) + np.bincount(train.labels))
    assert share == pytest.approx(0.2, abs=0.005)


def test_digits_are_those_of_sklearn_scaled():
    from sklearn.datasets import load_digits

    ink, labels = load_digits(return_X_y=True)
    data = load_dataset("digits")
    tests = [i for d in range(10) for i in np.flatnonzero(labels == d)[4::5]]
    tests.sort()
    assert np.array_equal(data.test.labels, labels[tests])
    expected = np.round(ink[tests].reshape(-1, 8, 8) * (255 / 16))
    for channel in range(3):
        assert np.array_equal(data.test.images[..., channel], expected)
    assert (data.mean, data.std) == channel_stats(data.train.images)


def test_digits_without_sklearn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        load_dataset("digits")


# --- folders -------------------------------------------------------------------------------------


def test_folder_set(tmp_path: Path):
    images = FolderSet(two_classes(tmp_path))
    save(tmp_path / "a" / ".hidden.png")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("no image")
    assert images.classes == ("a", "b")
    assert images.labels.tolist() == [0, 0, 1] and images.labels.dtype == np.int64
    assert [int(image[0, 0, 0]) for image, _ in images] == [1, 2, 3]
    assert [tuple(image.shape) for image, _ in images] == [(3, 4, 6), (3, 9, 3), (3, 4, 6)]
    assert [image[1:, 0, 0].tolist() for image, _ in images] == [[10, 20]] * 3
    again = FolderSet(tmp_path)
    assert again.paths == images.paths and isinstance(again, ImageSet)
    assert pickle.loads(pickle.dumps(again)).paths == images.paths
    assert repr(again) == "FolderSet(3 images | 2 classes | 0 skipped)"


def test_folder_set_labels_agree_with_torchvision(tmp_path: Path):
    from torchvision.datasets import ImageFolder

    ours, theirs = FolderSet(two_classes(tmp_path)), ImageFolder(str(tmp_path))
    assert [(str(p), t) for p, t in zip(ours.paths, ours.labels, strict=True)] == theirs.samples


def test_folder_corrupt_file_raises_with_its_name_or_is_skipped(tmp_path: Path):
    bad = two_classes(tmp_path) / "a" / "0.png"
    bad.write_bytes(b"not a png")
    images = FolderSet(tmp_path)
    with pytest.raises(DataError, match=r"0\.png.*Replace the file"):
        images[0]
    skipping = FolderSet(tmp_path, on_error="skip")
    assert skipping.skipped == [bad] and len(skipping) == 3
    assert skipping.labels.tolist() == [0, 0, 1]


def test_folder_truncated_jpeg_raises_at_decoding(tmp_path: Path):
    path = two_classes(tmp_path) / "a" / "0.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"OSError for .*0\.jpg"):
        FolderSet(tmp_path, on_error="skip")[0]


def empty_root(root: Path) -> Path:
    return root


def loose_images(root: Path) -> Path:
    save(root / "1.png")
    return root


def one_class(root: Path) -> Path:
    save(root / "only" / "1.png")
    return root


def empty_class(root: Path) -> Path:
    (two_classes(root) / "c").mkdir()
    return root


def missing(root: Path) -> Path:
    return root / "nowhere"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (missing, "existing folder, got .*nowhere"),
        (empty_root, "no images in class subfolders .* got 0 loose"),
        (loose_images, "got 1 loose images"),
        (one_class, r"at least 2 class subfolders .* got 1 \(only\)"),
        (empty_class, "at least one image, got none in .*c "),
    ],
)
def test_folder_errors(tmp_path: Path, make, message: str):
    with pytest.raises(DataError, match=message):
        FolderSet(make(tmp_path))


def test_folder_class_emptied_by_skipping(tmp_path: Path):
    two_classes(tmp_path)
    (tmp_path / "b" / "3.bmp").write_bytes(b"")
    with pytest.raises(DataError, match="1 skipped as unreadable"):
        FolderSet(tmp_path, on_error="skip")


def test_folder_on_error_is_checked(tmp_path: Path):
    with pytest.raises(DataError, match="got 'ignore'"):
        FolderSet(tmp_path, on_error="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize("second", ["val", "test"])
def test_load_folders(tmp_path: Path, second: str):
    two_classes(tmp_path / "train")
    two_classes(tmp_path / second)
    data = load_dataset("folder", tmp_path)
    assert data.classes == ("a", "b") and len(data.test) == 3
    assert data.mean == (0.485, 0.456, 0.406)


def test_load_folders_prefers_val(tmp_path: Path):
    for split in ("train", "val", "test"):
        two_classes(tmp_path / split)
    save(tmp_path / "val" / "b" / "4.png")
    assert len(load_dataset("folder", tmp_path).test) == 4


def test_load_folders_errors(tmp_path: Path):
    with pytest.raises(DataError, match="got an empty folder"):
        load_dataset("folder", tmp_path)
    with pytest.raises(DataError, match="got nothing"):
        load_dataset("folder", tmp_path / "nowhere")
    two_classes(tmp_path / "train")
    with pytest.raises(DataError, match=r"needs train/ and val/ .* got train\."):
        load_dataset("folder", tmp_path)
    save(two_classes(tmp_path / "val") / "c" / "5.png")
    with pytest.raises(DataError, match="same class subfolders, got a difference in c"):
        load_dataset("folder", tmp_path)


def unsplit(root: Path, **counts: int) -> Path:
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            save(root / name / f"{i:02d}.png", i)
    return root


def test_class_folders_alone_are_split_by_every_fifth_file(tmp_path: Path):
    data = load_dataset("folder", unsplit(tmp_path, a=11, b=5))
    (tmp_path / ".cache").mkdir()
    names = [f"{path.parent.name}{path.stem}" for path in data.test.paths]  # type: ignore[attr-defined]
    assert names == ["a04", "a09", "b04"] and data.test.labels.tolist() == [0, 0, 1]
    assert [int(image[0, 0, 0]) for image, _ in data.test] == [4, 9, 4]
    assert data.train.labels.tolist() == [0] * 9 + [1] * 4
    assert data.train.classes == data.test.classes == ("a", "b")
    assert data.note.startswith(f"{tmp_path} has no train/ and val/") and "\n" not in data.note
    assert load_dataset("digits").note == ""


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"only": 6}, r"at least 2 class subfolders .* got 1 \(only\)"),
        ({"a": 6, "b": 0}, "at least one image, got none in .*b "),
        ({"a": 0, "b": 0}, "at least one image, got none in .*a "),
        ({"a": 6, "b": 4}, "at least 5 images of each class, got 4 in .*b\\."),
        ({"a": 6, "val": 6}, "got a, val"),
    ],
)
def test_class_folders_that_cannot_be_split(tmp_path: Path, counts: dict, message: str):
    with pytest.raises(DataError, match=message):
        load_dataset("folder", unsplit(tmp_path, **counts))


def test_loose_images_are_told_where_to_go(tmp_path: Path):
    save(tmp_path / "1.png")
    with pytest.raises(DataError, match=r"got 1\.png\. .*one subfolder per class"):
        load_dataset("folder", tmp_path)


def test_hymenoptera_is_read_whole():
    folder = shared_data("hymenoptera", "that a real folder of photographs is read whole")
    data = load_dataset("folder", folder)
    assert data.classes == ("ants", "bees")
    assert np.bincount(data.train.labels).tolist() == [90, 81]
    assert np.bincount(data.test.labels).tolist() == [48, 52]
    assert all(image.shape[0] == 3 and image.dtype == torch.uint8 for image, _ in data.test)
    odd = next(p for p in data.train.paths if p.suffix == ".gif")
    assert decode_rgb(odd).shape[2] == 3


# --- decoding ------------------------------------------------------------------------------------


def test_exif_orientation_is_applied(tmp_path: Path):
    image = Image.new("RGB", (4, 2))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the stored top left becomes the top right
    image.save(tmp_path / "o.png", exif=exif)
    pixels = decode_rgb(tmp_path / "o.png")
    assert pixels.shape == (4, 2, 3)
    assert np.argwhere(pixels[..., 0]).tolist() == [[0, 1]]


def test_16_bit_grey_keeps_its_upper_byte(tmp_path: Path):
    grey = np.array([[0, 255, 256, 0x7FFF, 0xFFFF]], dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "g.png")
    assert decode_rgb(tmp_path / "g.png")[0].tolist() == [[v] * 3 for v in (0, 0, 1, 127, 255)]


def test_32_bit_modes_are_refused(tmp_path: Path):
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(DataError, match=r"mode F has no known range.*f\.tif|f\.tif.*mode F"):
        decode_rgb(tmp_path / "f.tif")


def test_transparency_is_dropped(tmp_path: Path):
    Image.new("RGBA", (2, 2), (9, 8, 7, 0)).save(tmp_path / "t.png")
    assert decode_rgb(tmp_path / "t.png")[0, 0].tolist() == [9, 8, 7]


# Its first load raises and any later one passes silently; the manifest recorded a later one.
FIRST_LOAD_RAISES = {"pillow/broken_data_stream.png"}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_odd_images_decode_or_name_their_file():
    """Nothing but DataError leaves the decoder, and only for files that Pillow refuses too."""
    folder = shared_data("odd_images", "that damaged files give a clear error")
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 40
    refused = {row["file"] for row in rows if row["pillow_13.0.0_load"] != "ok"} | FIRST_LOAD_RAISES
    for row in rows:
        path = folder / row["file"]
        if row["file"] in refused:
            with pytest.raises(DataError, match=path.name):
                decode_rgb(path)
        else:
            pixels = decode_rgb(path)
            assert pixels.dtype == np.uint8 and pixels.shape[2] == 3, path
            assert header_is_readable(path), path


# --- by name -------------------------------------------------------------------------------------


def test_names():
    assert dataset_names() == ["cifar10", "cifar100", "digits", "folder"]
    assert mixwell.DataError is DataError and issubclass(DataError, ValueError)


def test_unknown_name_lists_close_ones():
    with pytest.raises(DataError, match=r"got 'cifar-10'\. Did you mean cifar10"):
        load_dataset("cifar-10")
    with pytest.raises(DataError, match="Use one of these"):
        load_dataset("?")


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "folder"])
def test_data_dir_is_needed(name: str):
    with pytest.raises(
        DataError, match=rf"{name} data set needs data_dir \(--data-dir\), got none"
    ):
        load_dataset(name)


def test_own_images_cannot_be_downloaded(tmp_path: Path):
    with pytest.raises(DataError, match="cannot be downloaded"):
        load_dataset("folder", tmp_path, download=True)
