"""`Loader` yields what a DataLoader with `Collate` yields, from files, arrays and data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset, TensorDataset
from torchvision.datasets import CIFAR10, MNIST, ImageFolder
from torchvision.datasets.folder import default_loader

import mixwell as mw
from mixwell.loading import Loader
from mixwell.loading.sources import Arrays, Files, Samples, source_of

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)
COUNT = 22
CROP = mw.RandomResizedCrop((24, 20))
POLICIES = {
    "nothing": mw.Policy(mw.Resize((16, 12))),
    "edits": mw.Policy(CROP, mw.HorizontalFlip(), mw.RandAugment(), mw.RandomErasing()),
    "mix": mw.Policy(CROP, mw.HorizontalFlip(), mw.OneOf(mw.MixUp(), mw.CutMix())),
    "mix, then erase": mw.Policy(CROP, mw.MixUp(), mw.RandomErasing(p=1.0)),
    "erase in normalised units": mw.Policy(
        CROP, mw.RandomErasing(p=0.7, value="pixel", units="normalized")
    ),
    "erase in normalised units, then mix": mw.Policy(
        CROP, mw.RandomErasing(p=0.7, value="pixel", units="normalized"), mw.CutMix()
    ),
    "two mixes": mw.Policy(CROP, mw.CutMix(), mw.Contrast((0.5, 1.5)), mw.MixUp()),
    "dataset": mw.Policy(CROP, mw.MixUp(pairing="dataset")),
    "resizemix": mw.Policy(CROP, mw.ResizeMix()),
    "augmix": mw.Policy(CROP, mw.AugMix()),
    "views": mw.Policy(CROP, mw.Views(mw.Identity(), mw.HorizontalFlip()), mw.MixUp()),
    "views of whole images": mw.Policy(mw.Views(CROP, mw.Resize((24, 20)))),
    "mix, then filters": mw.Policy(CROP, mw.CutMix(), mw.Sharpness((0.2, 1.8))),
    "variable": mw.Policy(mw.Resize((8, 8), p=0.5), mw.Brightness((0.5, 1.5))),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An ImageFolder of small files of many sizes, formats and modes, none turned by EXIF."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(7)
    for i in range(COUNT):
        small = rng.integers(0, 256, (6, 5, 3), np.uint8)
        size = int(rng.integers(9, 90)), int(rng.integers(9, 90))
        image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
        image = image.convert(("RGB", "L", "RGB", "P")[i % 4])
        suffix = "png" if i % 4 == 3 else "jpg"
        (root / f"class {i % 3}").mkdir(exist_ok=True)
        image.save(root / f"class {i % 3}" / f"{i:02}.{suffix}")
    return root


def by_dataloader(dataset, policy, *, batch_size=8, drop_last=False, order=None, **options) -> list:
    order = {"epochs": 1, "shuffle": True} | (order or {})
    keyed = mw.keyed(dataset, policy)
    sampler = mw.KeyedSampler(dataset, **order)
    collate = mw.Collate(policy, **options)
    made = DataLoader(
        keyed, sampler=sampler, batch_size=batch_size, drop_last=drop_last, collate_fn=collate
    )
    return list(made)


def leaves(batch) -> list:
    """Every tensor or array of a batch, in order."""
    if isinstance(batch, torch.Tensor | np.ndarray):
        return [batch]
    if isinstance(batch, dict):
        batch = list(batch.values())
    if isinstance(batch, mw.SparseLabels):
        batch = [batch.classes, batch.shares]
    return [leaf for part in batch for leaf in leaves(part)]


def assert_same(found: list, wanted: list) -> None:
    assert len(found) == len(wanted)
    for batch, expected in zip(found, wanted, strict=True):
        assert type(batch) is type(expected)
        for a, b in zip(leaves(batch), leaves(expected), strict=True):
            assert type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape
            assert np.array_equal(a, b, equal_nan=True)


OPTIONS = {"num_classes": 3, "mean": MEAN, "std": STD}


# Files


@pytest.mark.parametrize("name", POLICIES)
def test_files_decoded_in_full_give_what_a_dataloader_gives(folder, name):
    data, chosen = ImageFolder(str(folder)), POLICIES[name]
    wanted = by_dataloader(data, chosen, **OPTIONS)
    for threads, prefetch in ((1, 0), (2, 2), (5, 1)):
        loader = Loader(
            data,
            chosen,
            batch_size=8,
            shuffle=True,
            decode="full",
            num_threads=threads,
            prefetch=prefetch,
            **OPTIONS,
        )
        assert isinstance(loader._source, Files) and len(loader) == len(wanted)
        assert_same(list(loader), wanted)


@pytest.mark.parametrize(
    "options",
    [
        {"num_classes": 3},
        {"num_classes": 3, "dtype": torch.float32},
        {**OPTIONS, "dtype": torch.bfloat16, "memory_format": torch.channels_last},
        {**OPTIONS, "labels": "sparse"},
        {**OPTIONS, "smoothing": 0.1, "seed": 3},
    ],
    ids=["uint8", "float", "bfloat16 channels last", "sparse", "smoothing and seed"],
)
@pytest.mark.parametrize("name", ["edits", "mix"])
def test_options_of_augment(folder, name, options):
    data = ImageFolder(str(folder))
    seed = {"seed": options.get("seed", 0)}
    wanted = by_dataloader(data, POLICIES[name], order=seed, **options)
    loader = Loader(data, POLICIES[name], batch_size=8, shuffle=True, decode="full", **options)
    found = list(loader)
    if "memory_format" in options:
        assert found[0][0].is_contiguous(memory_format=torch.channels_last)
        found, wanted = ([(x.float(), y) for x, y in part] for part in (found, wanted))
    assert_same(found, wanted)


def test_scaled_decoding_changes_pixels_a_little_and_nothing_else(folder):
    data, chosen = ImageFolder(str(folder)), mw.Policy(mw.Resize((8, 9)), mw.MixUp())
    whole, scaled = (
        list(Loader(data, chosen, batch_size=8, num_classes=3, decode=how, dtype=torch.float32))
        for how in ("full", "scaled")
    )
    assert not all(torch.equal(a, b) for (a, _), (b, _) in zip(whole, scaled, strict=True))
    for (a, y), (b, z) in zip(whole, scaled, strict=True):
        assert torch.equal(y, z)
        assert (a - b).abs().mean() < 0.02


def test_scaled_is_full_where_the_plan_needs_every_pixel(folder):
    data, chosen = ImageFolder(str(folder)), mw.Policy(mw.Rotate(10), mw.Resize((8, 9)))
    whole, scaled = (
        list(Loader(data, chosen, batch_size=8, num_classes=3, decode=how))
        for how in ("full", "scaled")
    )
    assert_same(scaled, whole)


def test_a_list_of_paths_and_other_labels(folder):
    paths = sorted(folder.rglob("*.*"))
    crop, soft = POLICIES["mix"], np.eye(3, dtype=np.float32)
    whole = Loader([(p, i % 3) for i, p in enumerate(paths)], crop, batch_size=8, num_classes=3)
    rows = Loader([(str(p), soft[i % 3]) for i, p in enumerate(paths)], crop, batch_size=8,
                  num_classes=3)  # fmt: skip
    assert_same(list(rows), list(whole))


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_modes(folder, mode):
    paths = sorted(folder.rglob("*.*"))
    data = [(Image.open(p).convert(mode), i % 3) for i, p in enumerate(paths)]
    wanted = by_dataloader(data, POLICIES["mix"], num_classes=3)
    pairs = [(p, i % 3) for i, p in enumerate(paths)]
    options = {"batch_size": 8, "shuffle": True, "decode": "full", "num_classes": 3}
    assert_same(list(Loader(pairs, POLICIES["mix"], mode=mode, **options)), wanted)


def test_images_are_turned_upright_before_they_are_planned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    tall = Image.new("RGB", (16, 8), (255, 0, 0))
    tall.save(tmp_path / "a.jpg", exif=exif)
    ((x, _),) = Loader([(tmp_path / "a.jpg", 0)], mw.Policy(), batch_size=1, num_classes=1)
    assert x.shape == (1, 3, 16, 8)


# Arrays

IMAGES = np.random.default_rng(2).integers(0, 256, (30, 9, 7, 3), np.uint8)
LABELS = [i % 3 for i in range(30)]
TENSORS = torch.from_numpy(IMAGES).movedim(-1, 1)
PAIRS = list(zip(TENSORS, LABELS, strict=True))
SMALL = {
    "edits": mw.Policy(mw.RandomCrop((8, 8), padding=2), mw.HorizontalFlip()),
    "mix": mw.Policy(mw.RandomCrop((8, 8), padding=2), mw.OneOf(mw.MixUp(), mw.CutMix())),
    "dataset": mw.Policy(mw.CutMix(pairing="dataset")),
    "variable": mw.Policy(mw.Resize((8, 8), p=0.5)),
}
FORMS = {
    "arrays": (IMAGES, LABELS),
    "read-only arrays": (np.broadcast_to(IMAGES, IMAGES.shape), np.array(LABELS)),
    "tensors": (TENSORS.contiguous(), torch.tensor(LABELS)),
    "a view": (TENSORS, LABELS),
    "TensorDataset": TensorDataset(TENSORS, torch.tensor(LABELS)),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("form", FORMS)
def test_arrays_give_what_a_dataloader_gives(form, name):
    wanted = by_dataloader(PAIRS, SMALL[name], **OPTIONS)
    loader = Loader(FORMS[form], SMALL[name], batch_size=8, shuffle=True, **OPTIONS)
    assert isinstance(loader._source, Arrays)
    assert_same(list(loader), wanted)


@pytest.mark.parametrize("name", SMALL)
def test_numpy_in_and_out(name):
    data = [(image, label) for image, label in zip(IMAGES, LABELS, strict=True)]
    wanted = by_dataloader(data, SMALL[name], **OPTIONS)
    options = {"batch_size": 8, "shuffle": True, "output": "numpy", **OPTIONS}
    for form in (*FORMS.values(), PAIRS, data):
        assert_same(list(Loader(form, SMALL[name], **options)), wanted)


def test_numpy_from_files(folder):
    data = ImageFolder(str(folder))
    for name in ("edits", "mix", "variable"):
        pair = [
            list(Loader(data, POLICIES[name], batch_size=8, output=output, **OPTIONS))
            for output in ("torch", "numpy")
        ]
        for (x, y), (a, b) in zip(*pair, strict=True):
            assert isinstance(b, np.ndarray) and np.array_equal(b, y)
            for image, array in zip(x, a, strict=True):
                assert isinstance(array, np.ndarray)
                assert np.array_equal(array, image.movedim(0, -1))


def test_grey_images_without_a_channel_axis():
    grey = IMAGES[..., 0]
    for form in (grey, torch.from_numpy(grey)):
        x, _ = next(iter(Loader((form, LABELS), mw.Policy(), batch_size=4, num_classes=3)))
        assert torch.equal(x[:, 0], torch.from_numpy(grey[:4]))


def test_images_without_labels():
    ((x, y),) = Loader((IMAGES, None), SMALL["edits"], batch_size=30)
    assert x.shape == (30, 3, 8, 8) and y is None


def blank(kind: type, **fields):
    """A data set object without its files."""
    made = kind.__new__(kind)
    made.__dict__.update({"transform": None, "target_transform": None, **fields})
    return made


def test_torchvisions_sets_in_memory():
    cifar = blank(CIFAR10, data=IMAGES, targets=LABELS)
    mnist = blank(MNIST, data=torch.from_numpy(IMAGES[..., 0]), targets=torch.tensor(LABELS))
    for data in (cifar, mnist):
        loader = Loader(data, SMALL["mix"], batch_size=8, shuffle=True, num_classes=3)
        assert isinstance(loader._source, Arrays)
        assert_same(list(loader), by_dataloader(data, SMALL["mix"], num_classes=3))
    cifar.transform = lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert isinstance(source_of(cifar), Samples)
    loader = Loader(cifar, SMALL["mix"], batch_size=8, shuffle=True, num_classes=3)
    assert_same(list(loader), by_dataloader(cifar, SMALL["mix"], num_classes=3))


def test_folders_that_are_read_in_another_way(folder):
    data = ImageFolder(str(folder), loader=lambda path: default_loader(path))
    assert isinstance(source_of(data), Samples)
    assert isinstance(source_of(ImageFolder(str(folder), transform=np.asarray)), Samples)
    loader = Loader(data, POLICIES["mix"], batch_size=8, shuffle=True, num_classes=3)
    assert_same(list(loader), by_dataloader(data, POLICIES["mix"], num_classes=3))


@pytest.mark.parametrize("form", ["arrays", "files", "samples"])
def test_subsets(folder, form):
    data = {"arrays": (IMAGES, LABELS), "files": ImageFolder(str(folder)), "samples": PAIRS}[form]
    plain = {"arrays": PAIRS}.get(form, data)
    rows = [3, 17, 5, 5, 11, 0]
    base = TensorDataset(TENSORS, torch.tensor(LABELS)) if form == "arrays" else data
    some, wanted = Subset(base, rows), [plain[i] for i in rows]
    assert isinstance(source_of(some), Samples if form == "samples" else Arrays | Files)
    twice = Subset(some, [5, 4, 3])
    for subset, expected in ((some, wanted), (twice, wanted[:2:-1])):
        chosen = POLICIES["mix"] if form == "files" else SMALL["mix"]
        loader = Loader(subset, chosen, batch_size=4, decode="full", num_classes=3)
        assert_same(
            list(loader), by_dataloader(expected, chosen, batch_size=4, order={"shuffle": False},
                                        num_classes=3)
        )  # fmt: skip


@pytest.mark.parametrize("form", ["arrays", "files"])
def test_subsets_counted_from_the_end(folder, form):
    data = {"arrays": TensorDataset(TENSORS, torch.tensor(LABELS)), "files": ImageFolder(folder)}
    some = Subset(data[form], [-1, 2, -3])
    chosen = mw.Policy(mw.Resize((16, 12)))
    wanted = by_dataloader(some, chosen, order={"shuffle": False}, num_classes=3)
    assert_same(list(Loader(some, chosen, batch_size=8, decode="full", num_classes=3)), wanted)


# Other data sets


@pytest.mark.parametrize("name", SMALL)
def test_samples_give_what_a_dataloader_gives(name):
    data = [{"image": x, "label": y, "id": i} for i, (x, y) in enumerate(PAIRS)]
    for form in (PAIRS, data):
        wanted = by_dataloader(form, SMALL[name], **OPTIONS)
        loader = Loader(form, SMALL[name], batch_size=8, shuffle=True, **OPTIONS)
        assert isinstance(loader._source, Samples)
        assert_same(list(loader), wanted)


def test_fields_and_arrays_in_samples():
    data = [{"a": {"x": image}, "y": i % 3} for i, image in enumerate(IMAGES)]
    fields = mw.Fields("a.x", "y")
    wanted = by_dataloader(PAIRS, SMALL["mix"], num_classes=3)
    found = list(
        Loader(data, SMALL["mix"], batch_size=8, shuffle=True, num_classes=3, fields=fields)
    )
    assert_same([(batch["a"]["x"], batch["y"]) for batch in found], wanted)
    with pytest.raises(mw.PolicyError, match="fields= describe samples"):
        Loader((IMAGES, LABELS), SMALL["mix"], batch_size=8, num_classes=3, fields=fields)


# Orders and sizes


@pytest.mark.parametrize("batch_size", [1, 7, 30, 64])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batch_sizes(batch_size, drop_last):
    wanted = by_dataloader(
        PAIRS, SMALL["edits"], batch_size=batch_size, drop_last=drop_last, num_classes=3
    )
    options = {"batch_size": batch_size, "drop_last": drop_last, "shuffle": True}
    for form in ((IMAGES, LABELS), PAIRS):
        loader = Loader(form, SMALL["edits"], num_classes=3, **options)
        assert len(loader) == len(wanted)
        assert_same(list(loader), wanted)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_ranks(rank):
    order = {"rank": rank, "world_size": 4, "epochs": 3}
    wanted = by_dataloader(PAIRS, SMALL["mix"], order=order, num_classes=3)
    loader = Loader(
        (IMAGES, LABELS), SMALL["mix"], batch_size=8, shuffle=True, num_classes=3, **order
    )
    assert len(loader) == len(wanted) == 1
    assert_same(list(loader), wanted)


@pytest.mark.parametrize("form", ["arrays", "files"])
def test_repeated_augmentation(folder, form):
    files = ImageFolder(str(folder))
    data, plain = ((IMAGES, LABELS), PAIRS) if form == "arrays" else (files, files)
    chosen = SMALL["mix"] if form == "arrays" else POLICIES["mix"]
    sampler = mw.RepeatedAugmentation(len(plain), epochs=2, repeats=3)
    collate = mw.Collate(chosen, num_classes=3)
    wanted = DataLoader(mw.keyed(plain), sampler=sampler, batch_size=16, collate_fn=collate)
    wanted = list(wanted)
    sampler.set_epoch(0)
    options = {"batch_size": 16, "num_classes": 3, "sampler": sampler, "decode": "full"}
    assert_same(list(Loader(data, chosen, **options)), wanted)


def test_a_data_set_without_samples(folder):
    for data in ((IMAGES[:0], LABELS[:0]), [], Subset(ImageFolder(str(folder)), [])):
        loader = Loader(data, SMALL["mix"], batch_size=4, num_classes=3)
        assert len(loader) == 0 and list(loader) == []


def test_evaluation():
    augment = mw.Augment(SMALL["mix"], num_classes=3, eval_policy=mw.Policy(mw.CenterCrop((4, 4))))
    augment.eval()
    loader = Loader((IMAGES, LABELS), augment, batch_size=8)
    augment.train()
    x, y = next(iter(loader))
    assert x.shape == (8, 3, 4, 4) and y.tolist() == LABELS[:8]
