"""Files that cannot be read: raised with their names, or left out, named and never replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mixwell as mw
from mixwell.loading import Loader, Skipped

COUNT = 12
CROP = mw.Policy(mw.RandomResizedCrop((16, 16)), mw.HorizontalFlip(), mw.Brightness((0.5, 1.5)))
MIXED = mw.Policy(*CROP.ops, mw.Sometimes(mw.MixUp(), min_batch=2))


@pytest.fixture
def pairs(tmp_path) -> list[tuple[Path, int]]:
    rng = np.random.default_rng(4)
    made = []
    for i in range(COUNT):
        small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
        small.resize((60, 40), Image.Resampling.BICUBIC).save(tmp_path / f"{i:02}.jpg")
        made.append((tmp_path / f"{i:02}.jpg", i % 3))
    return made


def loader(data, policy=CROP, **options) -> Loader:
    options = {"batch_size": 4, "num_classes": 3, "num_threads": 2} | options
    return Loader(data, policy, **options)


def broken_header(path: Path) -> None:
    path.write_bytes(b"")


def broken_pixels(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])


def null(path: Path) -> Path:
    """A name that no file has."""
    return path.with_name("06.jpg\0")


def missing(path: Path) -> None:
    path.unlink()


FAULTS = pytest.mark.parametrize("fault", [broken_header, broken_pixels, missing])


# Raised


@FAULTS
@pytest.mark.parametrize("policy", [CROP, MIXED], ids=["alone", "mixed"])
def test_errors_name_the_file(pairs, fault, policy):
    fault(pairs[6][0])
    batches = iter(loader(pairs, policy))
    next(batches)
    with pytest.raises(mw.DataError, match=r"06\.jpg: the file must") as caught:
        next(batches)
    assert "sample 6 of the data set" in "".join(caught.value.__notes__)
    with pytest.raises(StopIteration):
        next(batches)


def test_a_path_that_no_file_can_have(pairs):
    pairs[6] = (null(pairs[6][0]), 0)
    batches = iter(loader(pairs))
    next(batches)
    with pytest.raises(mw.DataError, match=r"06\.jpg\\x00': a path must .*null byte"):
        next(batches)
    batches = loader(pairs, on_error="skip")
    with pytest.warns(RuntimeWarning, match="sample 6: "):
        assert [len(x) for x, _ in batches] == [4, 3, 4]


def test_partners_are_named_too(pairs):
    broken_pixels(pairs[6][0])
    with pytest.raises(mw.DataError, match=r"06\.jpg"):
        list(loader(pairs, mw.Policy(*CROP.ops, mw.MixUp(pairing="dataset")), epochs=1))


class Faulty:
    """A data set that fails at one index."""

    def __init__(self, error: BaseException, at: int = 6) -> None:
        self.error, self.at = error, at

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if index == self.at:
            raise self.error
        return torch.full((3, 20, 20), index, dtype=torch.uint8), index % 3


class OddError(Exception):
    """An error that nothing but a data set knows; it cannot be built from one text."""

    def __init__(self, code: int, place: str) -> None:
        super().__init__(f"{code} at {place}")
        self.code = code


def test_errors_of_data_sets_arrive_as_they_are():
    batches = iter(loader(Faulty(OddError(7, "home"))))
    next(batches)
    with pytest.raises(OddError, match="7 at home") as caught:
        next(batches)
    assert caught.value.code == 7
    assert "while reading sample 6 of the data set" in "".join(caught.value.__notes__)


def test_errors_of_rendering_arrive(pairs):
    with pytest.raises(mw.RenderError, match="needs outputs of one size"):
        Image.new("RGB", (30, 30)).save(pairs[0][0])
        list(loader(pairs, mw.Policy(mw.HorizontalFlip())))


# Skipped


@FAULTS
def test_what_cannot_be_read_is_left_out_and_named(pairs, fault):
    """The others keep their own edits; nothing takes the place of what is missing."""
    wanted = [x for x, _ in loader(pairs)]
    fault(pairs[6][0])
    batches = loader(pairs, on_error="skip")
    with pytest.warns(RuntimeWarning, match=r"left out 1 samples in epoch 0.*sample 6: .*06\.jpg"):
        found = list(batches)
    assert [len(x) for x, _ in found] == [len(y) for _, y in found] == [4, 3, 4]
    assert torch.equal(found[1][0], wanted[1][[0, 1, 3]])
    assert torch.equal(found[0][0], wanted[0]) and torch.equal(found[2][0], wanted[2])
    (skipped,) = batches.skipped
    assert isinstance(skipped, Skipped) and skipped.index == 6
    assert skipped.name == str(pairs[6][0]) and "06.jpg" in skipped.reason


@FAULTS
def test_mixes_are_planned_without_what_is_left_out(pairs, fault):
    """As if the sampler had never given it: the rest of the batch is mixed among itself."""
    fault(pairs[6][0])
    augment = mw.Augment(MIXED, num_classes=3)
    with pytest.warns(RuntimeWarning):
        found = list(Loader(pairs, augment, batch_size=4, on_error="skip", decode="full"))
    rows = [4, 5, 7]
    images = [Image.open(pairs[i][0]) for i in rows]
    keys = next(k for k in mw.KeyedSampler(COUNT, epochs=1).batches(4) if k.step == 4)
    keys = keys.take(np.array([0, 1, 3]))
    x, y = augment(images, torch.tensor([pairs[i][1] for i in rows]), keys=keys)
    assert torch.equal(found[1][0], x) and torch.equal(found[1][1], y)


def test_a_sample_whose_partner_cannot_be_read_is_left_out(pairs):
    policy = mw.Policy(*CROP.ops, mw.MixUp(pairing="dataset"))
    keys = next(mw.KeyedSampler(COUNT, epochs=1).batches(COUNT))
    partners = policy.partner_indices(keys, COUNT, seed=0)[:, 0]
    bad = int(partners[partners != np.arange(COUNT)][0])
    lost = (partners == bad) | (np.arange(COUNT) == bad)
    wanted, _ = next(iter(loader(pairs, policy, batch_size=COUNT)))
    broken_pixels(pairs[bad][0])
    batches = loader(pairs, policy, batch_size=COUNT, on_error="skip")
    with pytest.warns(RuntimeWarning):
        ((x, _),) = list(batches)
    assert lost.sum() > 1 and torch.equal(x, wanted[torch.from_numpy(~lost)])
    assert [skip.index for skip in batches.skipped] == [bad]


def test_a_batch_of_which_nothing_is_left_is_no_batch(pairs):
    for i in range(4, 8):
        (broken_header if i % 2 else broken_pixels)(pairs[i][0])
    batches = loader(pairs, on_error="skip")
    with pytest.warns(RuntimeWarning, match="left out 4 samples"):
        found = list(batches)
    assert [len(y) for _, y in found] == [4, 4]
    assert [skip.index for skip in batches.skipped] == [4, 5, 6, 7]


def test_a_batch_of_which_one_is_left_needs_a_policy_for_it(pairs):
    """As docs/concepts/loader.md says."""
    for i in range(5, 8):
        missing(pairs[i][0])
    with pytest.raises(mw.PolicyError, match=r"MixUp .*min_batch=2"):
        list(loader(pairs, mw.Policy(*CROP.ops, mw.MixUp()), on_error="skip"))
    with pytest.warns(RuntimeWarning, match="left out 3 samples"):
        found = list(loader(pairs, MIXED, on_error="skip"))
    assert [len(y) for _, y in found] == [4, 1, 4]


def test_each_epoch_counts_anew(pairs):
    missing(pairs[6][0])
    batches = loader(pairs, on_error="skip", epochs=2)
    for epoch in range(2):
        with pytest.warns(RuntimeWarning, match=f"1 samples in epoch {epoch}"):
            list(batches)
        assert len(batches.skipped) == 1
    batches = loader(pairs[:6], on_error="skip")
    assert len(list(batches)) == 2 and batches.skipped == []  # and no warning


def test_data_sets_may_skip_what_cannot_be_read_but_hide_no_other_error():
    batches = loader(Faulty(OSError("disk")), on_error="skip")
    with pytest.warns(RuntimeWarning, match="sample 6: OSError: disk"):
        found = list(batches)
    assert [len(y) for _, y in found] == [4, 3, 4]
    assert batches.skipped[0][:2] == (6, "")
    with pytest.raises(ZeroDivisionError):
        list(loader(Faulty(ZeroDivisionError()), on_error="skip"))


def test_resuming_counts_what_was_skipped(pairs):
    missing(pairs[1][0])
    batches = loader(pairs, on_error="skip")
    with pytest.warns(RuntimeWarning):
        wanted = list(batches)
    iterator = iter(batches)
    batches.set_epoch(0)
    next(iterator)
    state = batches.state_dict()
    assert state["position"] == 4
    again = loader(pairs, on_error="skip")
    again.load_state_dict(state)
    rest = list(again)
    assert len(rest) == 2
    for (x, _), (expected, _) in zip(rest, wanted[1:], strict=True):
        assert torch.equal(x, expected)
    iterator.close()


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decode": "half"}, "decode must be one of"),
        ({"mode": "CMYK"}, "mode must be one of"),
        ({"on_error": "ignore"}, "on_error must be one of"),
        ({"output": "jax"}, "output must be one of"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"num_threads": 0}, "num_threads must be at least 1, got 0"),
        ({"prefetch": -1}, "prefetch must be at least 0, got -1"),
        ({"sampler": [1, 2]}, "sampler must be an EpochSampler, got list"),
        ({"sampler": mw.KeyedSampler(3, epochs=1), "shuffle": True}, "a sampler has its own"),
        ({"device": "mps"}, "device must be the CPU or a CUDA device"),
        ({"output": "numpy", "dtype": torch.bfloat16}, "NumPy has no bfloat16"),
        ({"device": "cuda", "output": "numpy"}, "NumPy arrays cannot lie on cuda"),
    ],
)
def test_options_that_make_no_sense(pairs, options, message):
    with pytest.raises(mw.PolicyError, match=f"Loader: {message}"):
        loader(pairs, **options)


def test_options_beside_an_augment(pairs):
    augment = mw.Augment(CROP, num_classes=3)
    with pytest.raises(mw.PolicyError, match=r"options \['num_classes'\] belong to the Augment"):
        loader(pairs, augment)


def test_labels_in_arrays_are_numbers_of_any_byte_order():
    images = np.zeros((4, 16, 16, 3), np.uint8)
    wanted = torch.tensor([2, 0, 1, 2])
    for kind in (">i8", ">i4", "<i2", np.uint16):
        ((_, y),) = loader((images, wanted.numpy().astype(kind)))
        assert torch.equal(y.argmax(dim=1), wanted), kind
    rows = [
        (image, label) for image, label in zip(images, wanted.numpy().astype(">i4"), strict=True)
    ]
    assert torch.equal(next(iter(loader(rows)))[1].argmax(dim=1), wanted)
    for names in (["cat", "dog", "cat", "owl"], [None, 1, 2, 3]):
        with pytest.raises(mw.DataError, match=r"Labels in an array must be numbers, got .*unique"):
            list(loader((images, names)))


def test_labels_must_be_as_many_as_images():
    with pytest.raises(mw.DataError, match="got 3 images and 2 labels"):
        loader((np.zeros((3, 4, 4, 3), np.uint8), [0, 1]))
