"""Structures of samples and batches: found, taken apart, put back."""

from __future__ import annotations

import pickle
from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import mixwell as mw
from mixwell.samples import (
    Fields,
    Several,
    collate_frames,
    find_fields,
    get,
    how_to_read,
    put,
    split,
)

torch.set_num_threads(1)

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    # From Python 3.12 on, fork warns in a process with threads; DataLoader forks by default.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

N, K = 6, 3
IMAGES = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (N, 3, 9, 7), np.uint8))
OTHERS = IMAGES.flip(-1).contiguous()
LABELS = [i % K for i in range(N)]
POLICY = mw.Policy(mw.HorizontalFlip(), mw.Brightness((0.5, 1.5)), mw.CutMix())
ALONE = mw.Policy(*POLICY.ops[:-1])


class Named(NamedTuple):
    image: Any
    label: Any
    name: Any


@dataclass(frozen=True)
class Record:
    id: Any
    image: Any
    label: Any


@dataclass(frozen=True, slots=True)
class Slotted:
    x: Any
    label: Any


class Plain:
    """An object with attributes, which batches of it are too."""

    def __init__(self, picture, kind):
        self.picture, self.kind = picture, kind


@dataclass
class Structure:
    """How one sample is made, and where its parts are."""

    make: Any
    fields: Any
    image: Any = "image"
    label: Any = "label"
    rest: Any = None
    """Path of another entry, which is the sample's number."""


STRUCTURES = {
    "pair": Structure(lambda x, y, i: (x, y), None, 0, 1),
    "list": Structure(lambda x, y, i: [x, y], None, 0, 1),
    "triple": Structure(lambda x, y, i: (x, y, i), (0, 1), 0, 1, 2),
    "label first": Structure(lambda x, y, i: (i, y, x), (2, 1), 2, 1, 0),
    "nested pair": Structure(lambda x, y, i: ((x, i), y), ("0.0", 1), "0.0", 1, "0.1"),
    "dict": Structure(lambda x, y, i: {"image": x, "label": y, "id": i}, None, rest="id"),
    "other names": Structure(
        lambda x, y, i: {"id": i, "pixel_values": x, "labels": y},
        None,
        "pixel_values",
        "labels",
        "id",
    ),
    "nested dict": Structure(
        lambda x, y, i: {"sample": {"image": x, "more": [i]}, "meta": {"y": y}},
        ("sample.image", "meta.y"),
        "sample.image",
        "meta.y",
        "sample.more.0",
    ),
    "dots in keys": Structure(
        lambda x, y, i: {"input.jpg": x, "cls": y, "i.d": i},
        ("input.jpg", "cls"),
        "input.jpg",
        "cls",
        "i.d",
    ),
    "ordered": Structure(
        lambda x, y, i: OrderedDict(id=i, img=x, target=y), None, "img", "target", "id"
    ),
    "user dict": Structure(
        lambda x, y, i: UserDict(id=i, img=x, target=y), None, "img", "target", "id"
    ),
    "named": Structure(Named, None, rest="name"),
    "dataclass": Structure(lambda x, y, i: Record(i, x, y), None, rest="id"),
    "slots": Structure(lambda x, y, i: Slotted(x, y), ("x", "label"), "x"),
    "dataclass in a dict": Structure(
        lambda x, y, i: {"a": Record(i, x, y)}, ("a.image", "a.label"), "a.image", "a.label", "a.id"
    ),
}


def samples(structure: Structure) -> list:
    return [structure.make(IMAGES[i], LABELS[i], i) for i in range(N)]


def loader(data: list, workers: int = 0, **options) -> DataLoader:
    return DataLoader(
        mw.keyed(data),
        sampler=mw.KeyedSampler(data, epochs=1, shuffle=True),
        batch_size=4,
        num_workers=workers,
        collate_fn=mw.Collate(POLICY, num_classes=K, **options),
    )


ORDER = [key.index for key in mw.KeyedSampler(N, epochs=1, shuffle=True)]


def plain(policy: mw.Policy = POLICY, images=IMAGES) -> list[tuple]:
    """What the batches must hold."""
    augment = mw.Augment(policy, num_classes=K)
    sampler = mw.KeyedSampler(N, epochs=1, shuffle=True)
    labels = torch.tensor(LABELS)
    return [augment(images[k.index], labels[k.index], keys=k) for k in sampler.batches(4)]


def assert_batches(found, structure: Structure, policy: mw.Policy = POLICY) -> None:
    like = type(structure.make(0, 0, 0))
    for b, (batch, (x, y)) in enumerate(zip(found, plain(policy), strict=True)):
        assert type(batch) is like
        assert torch.equal(get(batch, structure.image), x)
        assert torch.equal(get(batch, structure.label), y)
        if structure.rest is not None:
            assert get(batch, structure.rest).tolist() == ORDER[4 * b : 4 * b + 4]


@pytest.mark.parametrize("name", STRUCTURES)
def test_batches_have_the_structure_of_samples(name):
    s = STRUCTURES[name]
    data = samples(s)
    assert_batches(loader(data, fields=s.fields), s)
    later = loader(data, fields=s.fields, render="later")
    augment = mw.Augment(POLICY, num_classes=K)
    assert_batches([augment.finish(pickle.loads(pickle.dumps(p))) for p in later], s)


def test_every_structure_passes_through_workers():
    for name, s in STRUCTURES.items():
        if name in ("nested dict", "dataclass in a dict", "named", "triple"):
            assert_batches(loader(samples(s), workers=2, fields=s.fields), s)


@pytest.mark.parametrize("name", STRUCTURES)
def test_whole_batches_keep_their_structure_and_are_not_changed(name):
    s = STRUCTURES[name]
    token = object()
    batch = s.make(IMAGES, torch.tensor(LABELS), token)
    keys = mw.Keys(np.arange(N))
    augment = mw.Augment(POLICY, num_classes=K, fields=s.fields)
    out = augment(batch, keys=keys)
    x, y = mw.Augment(POLICY, num_classes=K)(IMAGES, torch.tensor(LABELS), keys=keys)
    assert type(out) is type(batch) and out is not batch
    assert torch.equal(get(out, s.image), x) and torch.equal(get(out, s.label), y)
    assert s.rest is None or get(out, s.rest) is token
    assert get(batch, s.image) is IMAGES
    same = augment.eval()(batch)
    assert get(same, s.label) is get(batch, s.label)


@pytest.mark.parametrize("name", STRUCTURES)
def test_one_sample_keeps_structure_and_label(name):
    s = STRUCTURES[name]
    augment = mw.Augment(ALONE, fields=s.fields)
    key = mw.Key(index=2, copy=0, epoch=0, position=0, progress=0.0, rank=0)
    out = augment.one(s.make(IMAGES[2], 1, 2), key)
    assert type(out) is type(s.make(0, 0, 0))
    assert torch.equal(get(out, s.image), mw.Augment(ALONE).one(IMAGES[2], key))
    assert get(out, s.label) == 1
    assert s.rest is None or get(out, s.rest) == 2


def test_any_object_with_attributes():
    augment = mw.Augment(POLICY, num_classes=K, fields=("picture", "kind"))
    batch = Plain(IMAGES, torch.tensor(LABELS))
    out = augment(batch, keys=mw.Keys(np.arange(N)))
    assert isinstance(out, Plain) and out.kind.shape == (N, K)
    assert batch.picture is IMAGES


# Several images


def test_all_images_of_a_sample_undergo_one_plan():
    data = [{"left": IMAGES[i], "right": OTHERS[i], "label": LABELS[i]} for i in range(N)]
    fields = Fields(("left", "right"), "label")
    wanted = zip(plain(), plain(images=OTHERS), strict=True)
    for batch, ((x, y), (other, _)) in zip(loader(data, fields=fields), wanted, strict=True):
        assert list(batch) == ["left", "right", "label"]
        assert torch.equal(batch["left"], x) and torch.equal(batch["right"], other)
        assert torch.equal(batch["label"], y)


def test_torchvision_mixes_the_first_image_alone():
    """The fault that several images avoid: there, all others keep their pixels."""
    v2 = pytest.importorskip(
        "torchvision.transforms.v2", reason="unproven here: what torchvision does"
    )
    batch = {"left": IMAGES.float(), "right": OTHERS.float(), "labels": torch.tensor(LABELS)}
    theirs = v2.MixUp(alpha=100.0, num_classes=K, labels_getter=lambda b: b["labels"])(batch)
    assert not torch.equal(theirs["left"], batch["left"])
    assert torch.equal(theirs["right"], batch["right"])
    half = {"left": IMAGES / 255, "right": OTHERS / 255, "labels": torch.tensor(LABELS)}
    augment = mw.Augment(
        mw.Policy(mw.MixUp(alpha=100.0)), num_classes=K, fields=(("left", "right"), "labels")
    )
    out = augment(half, keys=mw.Keys(np.arange(N)))
    # A flip of the whole batch commutes with mixing it.
    torch.testing.assert_close(out["right"].flip(-1), out["left"], rtol=0, atol=1e-6)
    assert not torch.equal(out["right"], half["right"])


@pytest.mark.parametrize("form", ["tensor", "array", "PIL", "ragged"])
def test_several_images_in_any_form(form):
    """An image and its depth, of one channel."""
    depth = IMAGES[:, :1].float() / 255
    pictures: list = list(IMAGES)
    if form == "array":
        pictures, maps = [x.movedim(0, -1).numpy() for x in IMAGES], list(depth[:, 0].numpy())
    elif form == "PIL":
        pictures = [Image.fromarray(x.movedim(0, -1).numpy()) for x in IMAGES]
        maps = list(depth)
    else:
        maps = list(depth)
    if form == "ragged":
        pictures = [x[:, : 9 - i] for i, x in enumerate(pictures)]
        maps = [x[:, : 9 - i] for i, x in enumerate(maps)]
    data = [((x, d), y) for x, d, y in zip(pictures, maps, LABELS, strict=True)]
    policy = mw.Policy(mw.Resize((8, 8)), mw.HorizontalFlip(), mw.CutMix())
    options = {"num_classes": K, "fields": Fields(("0.0", "0.1"), 1)}
    for render in ("now", "later"):
        batches = DataLoader(
            mw.keyed(data),
            sampler=mw.KeyedSampler(data, epochs=1),
            batch_size=3,
            collate_fn=mw.Collate(policy, render=render, **options),
        )
        for batch in batches:
            if render == "later":
                batch = mw.Augment(policy, **options).finish(batch)
            (x, d), y = batch
            red = x[..., 0] if form == "array" else x[:, 0]
            dim = d[..., 0] if form == "array" else d[:, 0]
            # The red channel is the depth; bytes are rounded after each of two steps.
            assert np.abs(np.asarray(red) / 255 - np.asarray(dim)).max() <= 1.01 / 255
            assert y.shape == (3, K)


def test_several_images_need_one_size():
    batch = {"left": IMAGES, "right": IMAGES[:, :, :8], "label": torch.tensor(LABELS)}
    augment = mw.Augment(POLICY, num_classes=K, fields=(("left", "right"), "label"))
    with pytest.raises(mw.TargetError, match=r"one size, got \[9, 7\] and \[8, 7\] in sample 0\."):
        augment(batch)
    lists = {"left": list(IMAGES), "right": [*IMAGES[:4], *IMAGES[4:, :, :, :5]], "label": LABELS}
    with pytest.raises(mw.TargetError, match=r"\[9, 7\] and \[9, 5\] in sample 4"):
        augment(lists)
    with pytest.raises(mw.TargetError, match=r"come together, got 6 and 5 of them"):
        augment({"left": IMAGES, "right": IMAGES[:5], "label": torch.tensor(LABELS)})


def test_one_sample_of_several_images():
    augment = mw.Augment(ALONE, fields=(("left", "right"), None))
    key = mw.Key(index=2, copy=0, epoch=0, position=0, progress=0.0, rank=0)
    out = augment.one({"left": IMAGES[2], "right": OTHERS[2]}, key)
    assert torch.equal(out["left"], mw.Augment(ALONE).one(IMAGES[2], key))
    assert torch.equal(out["right"], mw.Augment(ALONE).one(OTHERS[2], key))


def test_several_moves_as_one():
    pair = Several((IMAGES, OTHERS)).to(torch.float64)
    assert [item.dtype for item in pair.items] == [torch.float64] * 2


# Labels of heads, and weights


def test_heads_from_entries_of_their_own():
    data = [{"image": IMAGES[i], "a": LABELS[i], "b": (i % 2,), "id": i} for i in range(N)]
    fields = Fields("image", {"a": "a", "b": "b.0"})
    collate = mw.Collate(POLICY, num_classes={"a": K, "b": 2}, fields=fields)
    batches = DataLoader(
        mw.keyed(data),
        sampler=mw.KeyedSampler(data, epochs=1, shuffle=True),
        batch_size=4,
        collate_fn=collate,
    )
    for b, (batch, (x, y)) in enumerate(zip(batches, plain(), strict=True)):
        assert torch.equal(batch["image"], x) and torch.equal(batch["a"], y)
        assert batch["b"][0].shape == (len(x), 2)
        assert batch["id"].tolist() == ORDER[4 * b : 4 * b + 4]


def test_heads_in_one_entry():
    data = [(IMAGES[i], {"a": LABELS[i], "b": i % 2}) for i in range(N)]
    batches = DataLoader(
        mw.keyed(data),
        sampler=mw.KeyedSampler(data, epochs=1, shuffle=True),
        batch_size=4,
        collate_fn=mw.Collate(POLICY, num_classes={"a": K, "b": 2}),
    )
    for (x, y), (image, target) in zip(batches, plain(), strict=True):
        assert torch.equal(x, image) and torch.equal(y["a"], target)


def test_a_missing_label_of_a_head_is_refused():
    data = [(IMAGES[i], {"a": LABELS[i], "b": None}) for i in range(N)]
    with pytest.raises(mw.TargetError, match=r"needs a value, got None for \['b'\].*ignore_index="):
        mw.Collate(POLICY, num_classes={"a": K, "b": 2})(list(keyed(data)))


def keyed(data: list):
    wrapped = mw.keyed(data)
    return (wrapped[key] for key in mw.KeyedSampler(data, epochs=1))


@pytest.mark.parametrize("render", ["now", "later"])
@pytest.mark.parametrize("labels", ["dense", "sparse"])
def test_weights_from_an_entry(labels, render):
    data = [(IMAGES[i], LABELS[i], 0.5 + i) for i in range(N)]
    augment = mw.Augment(POLICY, num_classes=K, labels=labels, fields=(0, 1, 2))
    found = mw.Collate(augment, render=render)(list(keyed(data)))
    _, y, weight = augment.finish(found) if render == "later" else found
    mass = y.sum(dim=1) if labels == "dense" else y.shares.sum(dim=1)
    torch.testing.assert_close(mass, weight)
    plan = augment.plan([(9, 7)] * N, mw.Keys(np.arange(N)))
    rows, shares = plan.sources()
    assert weight.tolist() == pytest.approx(((0.5 + rows) * shares).sum(axis=1).tolist())
    _, y, weight = mw.Collate(augment.eval())(list(keyed(data)))
    assert y.tolist() == LABELS and weight.tolist() == [0.5 + i for i in range(N)]


# Finding


@pytest.mark.parametrize(
    ("sample", "image", "label"),
    [
        ((0, 1), 0, 1),
        ({"image": 0, "label": 1}, "image", "label"),
        ({"img": 0, "y": 1}, "img", "y"),
        ({"images": 0, "target": 1, "x": 2}, "images", "target"),
        ({"image": 0}, "image", "label"),
        (namedtuple("Pair", "data kind")(0, 1), 0, 1),
        (namedtuple("Pair", "image kind")(0, 1), 0, 1),
        (namedtuple("Pair", "label image")(0, 1), "image", "label"),
    ],
)
def test_usual_structures_are_found(sample, image, label):
    found = find_fields(sample)
    assert (found.image, found.label) == (image, label)


@pytest.mark.parametrize(
    "sample",
    [
        {"image": 0, "img": 1, "label": 2},
        {"image": 0, "label": 1, "target": 2},
        {"label": 1},
        (0, 1, 2),
        (0,),
        namedtuple("Odd", "label x")(0, 1),
        namedtuple("Odd", "mask image")(0, 1),
        Slotted(0, 1),
        3,
        "image",
    ],
    ids=str,
)
def test_what_is_not_clear_is_refused(sample):
    with pytest.raises(mw.TargetError, match=r"usual name for each.*got .*getter=.*fields=Fields"):
        find_fields(sample)


def test_getter_or_fields():
    with pytest.raises(mw.TargetError, match="got both"):
        how_to_read((0, 1), lambda s: s, (0, 1))
    assert how_to_read((0, 1), None, (1, 0)) == Fields(1, 0)
    for bad in ("image", ("a", "b", "c", "d"), 3):
        with pytest.raises(mw.TargetError, match="fields must be Fields"):
            mw.Augment(ALONE, fields=bad)
    for bad in ((None, 1), ((), 1), (0, 1.5)):
        with pytest.raises(mw.TargetError, match=r"Fields takes paths.*at least one image"):
            mw.Augment(ALONE, fields=bad)


@pytest.mark.parametrize("path", ["nothing", "image.deeper", 5, "list.7", "list.x"])
def test_a_path_to_nothing_is_refused(path):
    sample = {"image": IMAGES[0], "label": 1, "list": [1, 2]}
    with pytest.raises(mw.TargetError, match=r"must have an entry at .*fields=Fields"):
        Fields(path).get(sample)


def test_put_leaves_the_sample_alone():
    sample = {"a": [1, (2, 3)], "b": 4}
    assert put(sample, "a.1.0", 9) == {"a": [1, (9, 3)], "b": 4}
    assert put(sample, "new", 9)["new"] == 9
    assert sample == {"a": [1, (2, 3)], "b": 4}


# The rest


def test_the_rest_is_collated_part_by_part():
    frames = [
        {
            "n": i,
            "f": i / 2,
            "s": str(i),
            "none": None,
            "t": torch.ones(2) * i,
            "l": [i, "x"],
            "a": np.arange(2),
            "d": {"r": Record(i, None, 2)},
            "e": [],
            "p": Image.new("L", (1, 1)),
        }
        for i in range(3)
    ]
    out = collate_frames(frames)
    assert out["n"].tolist() == [0, 1, 2] and out["f"].dtype == torch.float64
    assert out["s"] == ["0", "1", "2"] and out["none"] == [None] * 3
    assert out["t"].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert out["l"][0].tolist() == [0, 1, 2] and out["l"][1] == ["x"] * 3
    assert out["a"].shape == (3, 2) and out["e"] == []
    assert isinstance(out["d"]["r"], Record) and out["d"]["r"].id.tolist() == [0, 1, 2]
    assert all(isinstance(p, Image.Image) for p in out["p"])


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ([torch.ones(2), torch.ones(3)], r"Entry boxes cannot be made a batch"),
        ([[1, 2], [1]], r"Entry boxes must be alike in all samples, got parts \[0, 1\] and \[0\]"),
        ([{"a": 1}, {"b": 1}], r"got parts \['a'\] and \['b'\]"),
        ([1, "x"], r"must be alike in all samples, got \['int', 'str'\]"),
    ],
)
def test_entries_that_do_not_fit_together_are_named(values, match):
    data = [{"image": x, "label": 0, "boxes": v} for x, v in zip(IMAGES, values, strict=False)]
    with pytest.raises(mw.TargetError, match=match):
        mw.Collate(POLICY, num_classes=K)(list(keyed(data)))


def test_whole_and_fractional_numbers_may_mix():
    assert collate_frames([{"x": 1}, {"x": 0.5}])["x"].tolist() == [1, 0.5]


def test_split_gives_a_frame_for_fields_alone():
    image, label, frame = split((1, 2), lambda s: s)
    assert (image, label, frame) == (1, 2, None)
    image, label, frame = split({"image": 1, "id": 3}, find_fields({"image": 1}))
    assert (image, label) == (1, None)
    assert collate_frames([frame])["id"].tolist() == [3]
