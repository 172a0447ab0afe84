"""CIFAR in all its layouts, written here from small made-up arrays and read back equal."""

from __future__ import annotations

import os
import pickle
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import utils

from mixwell.recipes.data import DataError, TrainTest, load_dataset
from mixwell.recipes.data.cifar_names import CIFAR10_CLASSES, CIFAR100_CLASSES
from tests.data import shared_data

PER_BATCH = 20  # two of each class; as sprites 5 x 4 tiles
Split = tuple[np.ndarray, np.ndarray]


def made_up(batches: int, num_classes: int, seed: int) -> Split:
    n = batches * max(PER_BATCH, num_classes)
    images = np.random.default_rng(seed).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    return images, np.arange(n, dtype=np.int64)[::-1] % num_classes


TRAIN10, TEST10 = made_up(5, 10, 1), made_up(1, 10, 2)
TRAIN100, TEST100 = made_up(1, 100, 3), made_up(1, 100, 4)
STEMS10 = [f"data_batch_{i}" for i in range(1, 6)]


def batches10() -> list[tuple[str, np.ndarray, np.ndarray]]:
    parts = [np.split(part, 5) for part in TRAIN10]
    return [*zip(STEMS10, *parts, strict=True), ("test_batch", *TEST10)]


def planes(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), 3072)


def python_2_pickle(images: np.ndarray, labels: np.ndarray) -> bytes:
    """The bytes as Python 2 and NumPy 1 wrote them: byte strings, ``numpy.core``."""

    def string(raw: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(raw)) + raw

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    dtype = b"cnumpy\ndtype\n" + string(b"u1") + number(0) + number(1) + b"\x87R"
    dtype += b"(" + number(3) + string(b"|") + b"NNN" + number(-1) * 2 + number(0) + b"tb"
    shape = b"(" + b"".join(number(n) for n in (len(images), 3072)) + b"t"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
    array += number(0) + b"\x85" + string(b"b") + b"\x87R"
    array += b"(" + number(1) + shape + dtype + b"\x89" + string(planes(images).tobytes()) + b"tb"
    numbers = b"](" + b"".join(number(int(label)) for label in labels) + b"e"
    items = string(b"data") + array + string(b"labels") + numbers
    return b"\x80\x02}(" + items + b"u."


def write_python(root: Path, dump: Callable[[np.ndarray, np.ndarray], bytes]) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for stem, images, labels in batches10():
        (folder / stem).write_bytes(dump(images, labels))
    return folder


def dump_with(protocol: int, bytes_keys: bool) -> Callable[[np.ndarray, np.ndarray], bytes]:
    def dump(images: np.ndarray, labels: np.ndarray) -> bytes:
        batch = {"data": planes(images), "labels": labels.tolist(), "batch_label": "made up"}
        if bytes_keys:
            batch = {key.encode(): value for key, value in batch.items()}
        return pickle.dumps(batch, protocol=protocol)

    return dump


def write_binary(root: Path) -> Path:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for stem, images, labels in batches10():
        records = np.hstack([labels[:, None].astype(np.uint8), planes(images)])
        (folder / f"{stem}.bin").write_bytes(records.tobytes())
    return folder


def write_sprites(root: Path) -> Path:
    folder = root / "cifar10"
    folder.mkdir(parents=True)
    for stem, images, _ in batches10():
        tiles = images.reshape(4, 5, 32, 32, 3)
        sprite = np.vstack([np.hstack(list(row)) for row in tiles])
        Image.fromarray(sprite).save(folder / f"{stem}.webp", lossless=True)
    for split, labels in (("train", TRAIN10[1]), ("test", TEST10[1])):
        (folder / f"{split}_labels.u8").write_bytes(labels.astype(np.uint8).tobytes())
    return folder


def write_png(root: Path, name: str, classes: tuple[str, ...], splits: dict[str, Split]) -> Path:
    folder = root / name
    for split, (images, labels) in splits.items():
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / split / classes[label] / f"{i:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return folder


def assert_equal_sets(data: TrainTest, train: Split, test: Split, by_class: bool = False):
    for loaded, (images, labels) in ((data.train, train), (data.test, test)):
        order = np.argsort(labels, kind="stable") if by_class else slice(None)
        assert np.array_equal(loaded.labels, labels[order]) and loaded.labels.dtype == np.int64
        assert np.array_equal(loaded.images, images[order])
    assert data.mean == pytest.approx((train[0] / 255).mean((0, 1, 2)).tolist())


WRITERS = {
    "python2": lambda root: write_python(root, python_2_pickle),
    "python3-protocol2": lambda root: write_python(root, dump_with(2, True)),
    "python3-protocol4": lambda root: write_python(root, dump_with(4, False)),
    "python3-protocol5": lambda root: write_python(root, dump_with(5, False)),
    "binary": write_binary,
    "sprites": write_sprites,
}


@pytest.mark.parametrize("layout", WRITERS)
def test_cifar10_reads_back_equal_from_folder_and_parent(tmp_path: Path, layout: str):
    folder = WRITERS[layout](tmp_path)
    for place in (tmp_path, folder):
        data = load_dataset("cifar10", place)
        assert_equal_sets(data, TRAIN10, TEST10)
        assert data.classes == CIFAR10_CLASSES and data.name == "cifar10"


def test_cifar10_from_png_folders(tmp_path: Path):
    folder = write_png(tmp_path, "cifar10", CIFAR10_CLASSES, {"train": TRAIN10, "test": TEST10})
    for place in (tmp_path, str(folder)):
        assert_equal_sets(load_dataset("cifar10", place), TRAIN10, TEST10, by_class=True)


def write_python_100(root: Path) -> Path:
    folder = root / "cifar-100-python"
    folder.mkdir()
    for split, (images, labels) in (("train", TRAIN100), ("test", TEST100)):
        fine, coarse = labels.tolist(), [0] * len(labels)
        batch = {"data": planes(images), "fine_labels": fine, "coarse_labels": coarse}
        (folder / split).write_bytes(pickle.dumps(batch, protocol=2))
    return folder


def write_binary_100(root: Path) -> Path:
    folder = root / "cifar-100-binary"
    folder.mkdir()
    for split, (images, labels) in (("train", TRAIN100), ("test", TEST100)):
        two = np.stack([labels % 20, labels], axis=1).astype(np.uint8)  # coarse, then fine
        (folder / f"{split}.bin").write_bytes(np.hstack([two, planes(images)]).tobytes())
    return folder


@pytest.mark.parametrize("write", [write_python_100, write_binary_100])
def test_cifar100_reads_its_fine_labels(tmp_path: Path, write: Callable[[Path], Path]):
    folder = write(tmp_path)
    for place in (tmp_path, folder):
        assert_equal_sets(load_dataset("cifar100", place), TRAIN100, TEST100)


def test_cifar100_from_png_folders(tmp_path: Path):
    write_png(tmp_path, "cifar100", CIFAR100_CLASSES, {"train": TRAIN100, "test": TEST100})
    data = load_dataset("cifar100", tmp_path)
    assert_equal_sets(data, TRAIN100, TEST100, by_class=True)


@pytest.mark.parametrize(("names", "count"), [(CIFAR10_CLASSES, 10), (CIFAR100_CLASSES, 100)])
def test_class_names_are_unique_and_alphabetical(names: tuple[str, ...], count: int):
    assert len(set(names)) == count and list(names) == sorted(names)


# --- pickles that are not data -------------------------------------------------------------------


class Runs:
    """Unpickled naively, creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_malicious_pickle_is_refused_unrun(tmp_path: Path, protocol: int):
    folder = write_python(tmp_path, python_2_pickle)
    trap = tmp_path / "ran"
    hostile = pickle.dumps({"data": Runs(trap), "labels": []}, protocol=protocol)
    (folder / "data_batch_1").write_bytes(hostile)
    with pytest.raises(DataError, match=r"data_batch_1 .* asks for \w+\.mkdir"):
        load_dataset("cifar10", tmp_path)
    assert not trap.exists()
    pickle.loads(hostile)  # the pickle is one that works
    assert trap.exists()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"cbuiltins\neval\n.", "builtins.eval"),
        (b"cnumpy\nload\n.", "numpy.load"),
        (b"cnumpy.core.multiarray\nfromstring\n.", "fromstring"),
        (b"cmixwell.recipes.data.pickles\npickle.loads\n.", "pickle.loads"),
        (b"c_codecs\nencode\n(Vx\nVzlib\ntR.", "encoding 'zlib'"),
        (pickle.dumps([1]), "holds a list"),
        (pickle.dumps({"data": np.zeros(4, np.int32)}), "not uint8"),
        (pickle.dumps({"data": np.asfortranarray(np.zeros((2, 3), np.uint8))}, 2), "row-major"),
        (b"\x80\x02}(X\x04\x00\x00\x00data", "cannot be read"),
        (b"", "Ran out of input"),
        (b"\x80\xff", "unsupported pickle protocol"),
        (b"}(cnumpy\nndarray\nK\x01u}b.", "cannot be read"),  # sets state on a stand-in
    ],
)
def test_odd_pickles(tmp_path: Path, raw: bytes, reason: str):
    folder = write_python(tmp_path, python_2_pickle)
    (folder / "test_batch").write_bytes(raw)
    with pytest.raises(DataError, match=f"test_batch.*{reason}"):
        load_dataset("cifar10", tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": None}, "needs uint8 'data'"),
        ({"data": np.zeros((2, 3071), np.uint8)}, r"'data' \[n, 3072\], got \(2, 3071\)"),
        ({"labels": None}, "list of whole numbers 'labels', got NoneType"),
        ({"labels": [0.5, 1]}, "list of whole numbers"),
        ({"labels": [0]}, "1 labels for 2 images"),
        ({"labels": [0, 10]}, r"labels in 0\.\.9, got 0\.\.10"),
    ],
)
def test_odd_batches(tmp_path: Path, change: dict, reason: str):
    folder = write_python(tmp_path, python_2_pickle)
    batch = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1], **change}
    (folder / "data_batch_3").write_bytes(pickle.dumps(batch))
    with pytest.raises(DataError, match=f"data_batch_3 .*{reason}"):
        load_dataset("cifar10", tmp_path)


# --- damaged files -------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["python2", "python3-protocol5", "binary", "sprites"])
def test_truncated_file_is_named(tmp_path: Path, layout: str):
    folder = WRITERS[layout](tmp_path)
    path = next(folder.glob("data_batch_4*"))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match="data_batch_4"):
        load_dataset("cifar10", tmp_path)


@pytest.mark.parametrize("layout", ["python2", "binary", "sprites"])
def test_missing_batch_is_named(tmp_path: Path, layout: str):
    folder = WRITERS[layout](tmp_path)
    next(folder.glob("test_batch*")).unlink()
    with pytest.raises(DataError, match="needs every batch, got no test_batch"):
        load_dataset("cifar10", tmp_path)


def test_empty_binary_file(tmp_path: Path):
    (write_binary(tmp_path) / "test_batch.bin").write_bytes(b"")
    with pytest.raises(DataError, match="records of 3073 bytes, got 0 bytes"):
        load_dataset("cifar10", tmp_path)


def test_binary_label_out_of_range(tmp_path: Path):
    path = write_binary(tmp_path) / "data_batch_2.bin"
    path.write_bytes(b"\x0a" + path.read_bytes()[1:])
    with pytest.raises(DataError, match=r"data_batch_2\.bin needs labels in 0\.\.9"):
        load_dataset("cifar10", tmp_path)


def test_sprite_of_odd_size(tmp_path: Path):
    Image.new("RGB", (160, 100)).save(write_sprites(tmp_path) / "test_batch.webp")
    with pytest.raises(DataError, match="multiples of 32, got 100x160"):
        load_dataset("cifar10", tmp_path)


def test_sprite_labels_of_odd_size(tmp_path: Path):
    (write_sprites(tmp_path) / "train_labels.u8").write_bytes(b"\0" * 99)
    with pytest.raises(DataError, match="got 99 bytes for 100 images"):
        load_dataset("cifar10", tmp_path)


def test_png_of_odd_size_and_wrong_classes(tmp_path: Path):
    folder = write_png(tmp_path, "cifar10", CIFAR10_CLASSES, {"train": TEST10, "test": TEST10})
    (folder / "test" / "cat").rename(folder / "test" / "kitty")
    with pytest.raises(DataError, match="got 10 folders, differing in cat, kitty"):
        load_dataset("cifar10", tmp_path)
    (folder / "test" / "kitty").rename(folder / "test" / "cat")
    Image.new("RGB", (32, 31)).save(folder / "test" / "cat" / "odd.png")
    with pytest.raises(DataError, match=r"32x32, got 31x32 in .*odd\.png"):
        load_dataset("cifar10", tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_nothing_found(tmp_path: Path, name: str):
    with pytest.raises(DataError, match=f"{name} needs cifar-10.*download=True"):
        load_dataset(name, tmp_path)


# --- download ------------------------------------------------------------------------------------


def test_download_is_read_by_this_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def fake(url: str, root: str, filename: str, md5: str) -> None:
        asked.append(filename)
        write_python(Path(root), python_2_pickle)

    monkeypatch.setattr(utils, "download_and_extract_archive", fake)
    data = load_dataset("cifar10", tmp_path, download=True)
    assert_equal_sets(data, TRAIN10, TEST10)
    load_dataset("cifar10", tmp_path, download=True)
    assert asked == ["cifar-10-python.tar.gz"]  # not again when the files are there


def test_of_several_processes_one_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Ranks ask at once; none may read what another has half unpacked."""
    calls = []

    def slow(url: str, root: str, filename: str, md5: str) -> None:
        calls.append(url)
        folder = Path(root) / "cifar-10-batches-py"
        write_python(Path(root), python_2_pickle)
        last = folder / "test_batch"
        whole = last.read_bytes()
        last.unlink()
        time.sleep(0.2)
        last.write_bytes(whole)

    monkeypatch.setattr(utils, "download_and_extract_archive", slow)
    with ThreadPoolExecutor(3) as pool:
        tasks = [pool.submit(load_dataset, "cifar10", tmp_path, download=True) for _ in range(3)]
        for task in tasks:
            assert_equal_sets(task.result(), TRAIN10, TEST10)
    assert len(calls) == 1


@pytest.mark.parametrize("place", [None, "new/folder"])
def test_download_makes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str | None
):
    def fake(url: str, root: str, filename: str, md5: str) -> None:
        assert Path(root).is_dir()
        write_python(Path(root), python_2_pickle)

    monkeypatch.setattr(utils, "download_and_extract_archive", fake)
    monkeypatch.chdir(tmp_path)
    assert_equal_sets(load_dataset("cifar10", place, download=True), TRAIN10, TEST10)
    assert (tmp_path / (place or "data") / "cifar-10-batches-py").is_dir()


def test_a_download_into_a_file_is_one_clear_error(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cifar10 could not be downloaded into .*file"):
        load_dataset("cifar10", tmp_path / "file", download=True)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_failed_download_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(utils, "download_and_extract_archive", fail)
    with pytest.raises(DataError, match=f"{name} could not be downloaded into .*no route") as info:
        load_dataset(name, tmp_path, download=True)
    assert info.value.__suppress_context__ and "\n" not in str(info.value)


# --- the real thing ------------------------------------------------------------------------------


@pytest.mark.slow
def test_real_cifar10():
    """Counts, and the channel statistics that every CIFAR recipe quotes."""
    data = load_dataset("cifar10", shared_data("cifar10", "that the real CIFAR-10 is read"))
    assert np.bincount(data.train.labels).tolist() == [5000] * 10
    assert np.bincount(data.test.labels).tolist() == [1000] * 10
    assert data.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=5e-5)
    assert data.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=5e-5)
