"""`Collate` in a DataLoader without workers: samples, sizes, planning now and rendering later."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import mixwell as mw
from mixwell.augment import Planned

torch.set_num_threads(1)

IMAGES = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (10, 3, 17, 11), np.uint8))
LABELS = [i % 3 for i in range(10)]
PAIRS = list(zip(IMAGES, LABELS, strict=True))
ALONE = mw.Policy(mw.RandomCrop((13, 9), padding=2), mw.HorizontalFlip(), mw.Brightness((0.5, 1.5)))
MIXED = mw.Policy(*ALONE.ops, mw.OneOf(mw.MixUp(), mw.CutMix()))
FLIPS = mw.Policy(mw.HorizontalFlip(), mw.Contrast((0.5, 1.5)))
RESIZED = mw.Policy(mw.RandomResizedCrop((8, 9)), mw.HorizontalFlip())


def loader(data, collate, batch_size: int = 4, epochs: int = 2) -> DataLoader:
    sampler = mw.KeyedSampler(data, epochs=epochs, shuffle=True)
    return DataLoader(mw.keyed(data), sampler=sampler, batch_size=batch_size, collate_fn=collate)


def collate(policy: mw.Policy = MIXED, **options) -> mw.Collate:
    return mw.Collate(policy, num_classes=3, **options)


def whole(batches: list) -> list[torch.Tensor]:
    """Images and targets of all batches."""
    return [torch.cat(part) for part in zip(*batches, strict=True)]


def assert_same(found, wanted) -> None:
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_loader_gives_what_augment_gives():
    sampler = mw.KeyedSampler(10, epochs=2, shuffle=True)
    augment = mw.Augment(MIXED, num_classes=3)
    labels = torch.tensor(LABELS)
    wanted = [augment(IMAGES[k.index], labels[k.index], keys=k) for k in sampler.batches(4)]
    for found, pair in zip(loader(PAIRS, collate()), wanted, strict=True):
        assert_same(found, pair)


def test_epochs_differ_and_repeat():
    batches = loader(PAIRS, collate())
    first, second = whole(list(batches)), whole(list(batches))
    assert not torch.equal(first[0], second[0])
    batches.sampler.set_epoch(0)
    assert_same(whole(list(batches)), first)
    assert_same(whole(list(loader(PAIRS, collate()))), first)
    assert not torch.equal(whole(list(loader(PAIRS, collate(seed=1))))[0], first[0])


@pytest.mark.parametrize("policy", [ALONE, RESIZED], ids=["crop", "crop and resize"])
def test_the_batch_split_does_not_matter_without_mixing(policy):
    wanted = whole(list(loader(PAIRS, collate(policy), batch_size=4)))
    for batch_size in (1, 3, 10):
        assert_same(whole(list(loader(PAIRS, collate(policy), batch_size=batch_size))), wanted)


def test_resuming_gives_the_rest_of_the_epoch():
    wanted = list(loader(PAIRS, collate()))
    again = loader(PAIRS, collate())
    again.sampler.resume(0, 4)
    assert len(again) == 2
    for found, pair in zip(again, wanted[1:], strict=True):
        assert_same(found, pair)


def test_schedules_read_progress():
    policy = mw.Policy(mw.Scheduled(mw.MixUp(), stop=0.5))
    batches = loader(PAIRS, collate(policy), batch_size=5)
    mixed = [bool((y.amax(1) < 1).any()) for _ in range(2) for _, y in batches]
    assert mixed == [True, True, False, False]


# Forms of samples


def test_dicts_keep_their_other_entries():
    data = [{"image": x, "label": y, "name": f"{i}", "size": i} for i, (x, y) in enumerate(PAIRS)]
    wanted = list(loader(PAIRS, collate()))
    order = [key.index for key in mw.KeyedSampler(10, epochs=2, shuffle=True)]
    for b, (found, pair) in enumerate(zip(loader(data, collate()), wanted, strict=True)):
        rows = order[4 * b : 4 * b + 4]
        assert list(found) == ["image", "label", "name", "size"]
        assert_same((found["image"], found["label"]), pair)
        assert found["name"] == [str(i) for i in rows] and found["size"].tolist() == rows


def test_a_getter_reads_any_sample():
    data = [((x,), {"y": y}) for x, y in PAIRS]
    found = loader(data, collate(getter=lambda s: (s[0][0], s[1]["y"])))
    assert_same(whole(list(found)), whole(list(loader(PAIRS, collate()))))


@pytest.mark.parametrize("label", [int, np.int64, torch.tensor], ids=["int", "numpy", "tensor"])
def test_labels_in_any_form(label):
    data = [(x, label(y)) for x, y in PAIRS]
    assert_same(whole(list(loader(data, collate()))), whole(list(loader(PAIRS, collate()))))


def test_pil_images_become_one_tensor():
    data = [(Image.fromarray(x.movedim(0, -1).numpy()), y) for x, y in PAIRS]
    for policy in (MIXED, FLIPS):
        wanted = whole(list(loader(PAIRS, collate(policy))))
        assert_same(whole(list(loader(data, collate(policy)))), wanted)


def test_arrays_become_one_array():
    data = [(x.movedim(0, -1).numpy(), y) for x, y in PAIRS]
    wanted = list(loader(PAIRS, collate()))
    for (x, y), (image, target) in zip(loader(data, collate()), wanted, strict=True):
        assert isinstance(x, np.ndarray) and isinstance(y, np.ndarray)
        np.testing.assert_array_equal(y, target.numpy())
        np.testing.assert_array_equal(x, image.movedim(1, -1).numpy())


def test_samples_without_labels():
    data = [{"image": x} for x in IMAGES]
    found = next(iter(loader(data, collate(FLIPS))))
    assert found["label"] is None
    assert torch.equal(found["image"], next(iter(loader(PAIRS, collate(FLIPS))))[0])


def test_soft_and_sparse_labels():
    soft = [(x, torch.eye(3)[y]) for x, y in PAIRS]
    wanted = list(loader(PAIRS, collate()))
    assert_same(whole(list(loader(soft, collate()))), whole(wanted))
    sparse = mw.Collate(MIXED, labels="sparse")
    for (x, y), pair in zip(loader(PAIRS, sparse), wanted, strict=True):
        assert_same((x, y.dense(3)), pair)


def test_evaluation_of_a_shared_augment():
    augment = mw.Augment(MIXED, num_classes=3, eval_policy=mw.Policy(mw.CenterCrop((13, 9))))
    training = loader(PAIRS, mw.Collate(augment))
    planned = next(iter(loader(PAIRS, mw.Collate(augment, render="later"))))
    augment.eval()
    x, y = next(iter(loader(PAIRS, mw.Collate(augment))))
    assert x.shape == (4, 3, 13, 9) and y.dtype == torch.int64
    # What was made in training stays so: eval() could not reach running workers either.
    x, y = next(iter(training))
    assert y.dtype == torch.float32 and y.shape == (4, 3)
    late, target = augment.render(planned)
    assert torch.equal(late, x) and torch.equal(target, y)
    with pytest.raises(mw.PolicyError, match=r"Options \['seed'\] belong to the Augment"):
        mw.Collate(augment, seed=1)


# Sizes


def ragged() -> list:
    return [(x[:, : 17 - i, : 11 - i // 2], y) for i, (x, y) in enumerate(PAIRS)]


def test_ragged_images_are_resized_to_one_tensor():
    x, y = next(iter(loader(ragged(), collate(mw.Policy(*RESIZED.ops, mw.CutMix())))))
    assert x.shape == (4, 3, 8, 9) and y.shape == (4, 3)


def test_a_policy_of_variable_size_always_gives_a_list():
    for epoch in loader(PAIRS, collate(mw.Policy(mw.Resize((8, 8), p=0.5))), batch_size=2):
        assert isinstance(epoch[0], list)


def test_sizes_that_differ_are_refused_with_the_cure():
    with pytest.raises(mw.RenderError, match=r"needs outputs of one size.*Add Resize\(size\)"):
        next(iter(loader(ragged(), collate(FLIPS))))
    x, _ = next(iter(loader(ragged(), collate(FLIPS, stack=False))))
    assert isinstance(x, list) and len(x) == 4
    with pytest.raises(mw.PolicyError, match=r"CutMix needs images of one size.*Put Resize"):
        next(iter(loader(ragged(), collate(mw.Policy(mw.CutMix())))))


# Planning now, rendering later


@pytest.mark.parametrize("form", ["tensor", "PIL", "array"])
@pytest.mark.parametrize("policy", [MIXED, FLIPS, mw.Policy(mw.Resize((8, 8), p=0.5))])
def test_later_equals_now(policy, form):
    to = {
        "tensor": lambda x: x,
        "array": lambda x: x.movedim(0, -1).numpy(),
        "PIL": lambda x: Image.fromarray(x.movedim(0, -1).numpy()),
    }[form]
    data = [(to(x), y) for x, y in PAIRS]
    options = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
    augment = mw.Augment(policy, num_classes=3, **options)
    later = loader(data, mw.Collate(augment, render="later"))
    for planned, (x, y) in zip(later, loader(data, collate(policy, **options)), strict=True):
        assert isinstance(planned, Planned)
        found, target = augment.render(planned)
        assert type(found) is type(x) and type(target) is type(y)
        for a, b in zip([*found, *target], [*x, *y], strict=True):
            assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))


def test_what_is_rendered_later_is_still_as_it_was_read():
    planned = next(iter(loader(PAIRS, collate(render="later"))))
    rows = [key.index for key in mw.KeyedSampler(10, epochs=2, shuffle=True)][:4]
    assert torch.equal(planned.images, IMAGES[rows])
    assert planned.labels.tolist() == [LABELS[i] for i in rows]
    assert planned.plan.inputs.tolist() == rows


def test_later_keeps_other_entries():
    data = [{"image": x, "label": y, "id": i} for i, (x, y) in enumerate(PAIRS)]
    planned = next(iter(loader(data, collate(render="later"))))
    assert planned.rest["id"].tolist() == planned.plan.inputs.tolist()
    with pytest.raises(mw.PolicyError, match="render must be"):
        mw.Collate(MIXED, render="never")


# Missing keys


def test_missing_keys_show_the_two_line_cure():
    plain = DataLoader(PAIRS, batch_size=2, collate_fn=collate())
    with pytest.raises(mw.KeyMissingError) as caught:
        next(iter(plain))
    first, *cure = str(caught.value).splitlines()
    assert first == "Collate needs samples with keys, got tuple. Two lines give it keys:"
    assert len(cure) == 2
    assert "DataLoader(keyed(dataset), sampler=KeyedSampler(dataset, epochs=E" in cure[0]
    assert "collate_fn=Collate(policy, ...)" in cure[1]
