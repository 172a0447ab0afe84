"""Partners from the data set: who they are; nothing depends on the batch or the workers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils.data import DataLoader, Dataset

import mixwell as mw
from mixwell._errors import PolicyError
from mixwell._rng import Keys
from mixwell.plan.steps import Code
from mixwell.policy import (
    CutMix,
    HorizontalFlip,
    Identity,
    MixUp,
    OneOf,
    Policy,
    RandAugment,
    RandomCrop,
    ResizeMix,
    Scheduled,
    Sometimes,
    Views,
)
from mixwell.recipes.data import ArraySet
from mixwell.recipes.feed import LoaderFeed, MemoryFeed
from tests.oracles import rng

COUNT = 14
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


class Painted(Dataset):
    """Image i has the level 10 i + 5 everywhere, and the class i."""

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, i: int):
        return torch.full((3, 8, 10), 10 * i + 5, dtype=torch.uint8), i


MIXED = Policy(
    HorizontalFlip(),
    OneOf(MixUp(pairing="dataset"), CutMix(pairing="dataset"), ResizeMix(pairing="dataset")),
)


def loader(workers=0, batch_size=4, policy=MIXED, world=1, rank=0, begin=(0, 0), data=None, **more):
    data = Painted() if data is None else data
    sampler = mw.KeyedSampler(
        Painted(), epochs=2, shuffle=True, rank=rank, world_size=world, drop_last=world > 1
    )
    sampler.resume(*begin)
    return DataLoader(
        mw.keyed(data, policy),
        sampler=sampler,
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=mw.Collate(policy, **({"num_classes": COUNT} | more)),
    )


def rows(batches) -> tuple[torch.Tensor, torch.Tensor]:
    found = list(batches)
    return torch.cat([x for x, _ in found]), torch.cat([y for _, y in found])


def test_labels_are_pixels():
    """The mean of an image of constant parts is its label's mean level."""
    x, y = rows(loader())
    levels = 10.0 * torch.arange(COUNT) + 5
    assert ((x.float().mean(dim=(1, 2, 3)) - y @ levels).abs() < 0.51).all()
    assert (y.max(dim=1).values < 1).any()


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_do_not_matter(workers):
    for ours, wanted in zip(rows(loader(workers)), rows(loader()), strict=True):
        assert torch.equal(ours, wanted)


@pytest.mark.parametrize("batch_size", [1, 5, 14])
def test_neither_does_the_batch(batch_size):
    for ours, wanted in zip(rows(loader(batch_size=batch_size)), rows(loader()), strict=True):
        assert torch.equal(ours, wanted)


def test_nor_the_ranks_nor_a_resume():
    x, _ = rows(loader())
    halves = [rows(loader(world=2, rank=rank))[0] for rank in range(2)]
    together = torch.stack(halves, dim=1).flatten(0, 1)
    assert torch.equal(together, x)
    assert torch.equal(rows(loader(begin=(0, 8)))[0], x[8:])


def test_rendering_later():
    augment = mw.Augment(MIXED, num_classes=COUNT)
    planned = list(loader(render="later"))
    found = [augment.finish(p) for p in planned]
    for ours, wanted in zip(rows(found), rows(loader()), strict=True):
        assert torch.equal(ours, wanted)
    assert len(planned[0].images) == 8 and len(planned[0].plan) == 4


def test_own_edits_are_those_without_partners():
    keys = Keys(np.arange(50), copy=np.arange(50) % 3)
    alone = Policy(HorizontalFlip()).sample(np.full((50, 2), 8), keys=keys)
    policy = Policy(HorizontalFlip(), MixUp(pairing="dataset"))
    partners = policy.partner_indices(keys, 100)
    plan = policy.sample(np.full((100, 2), 8), keys=keys, partners=partners)
    own, theirs = plan.steps[0].code[:50, 0], plan.steps[0].code[50:, 0]
    assert (own == alone.steps[0].code[:, 0]).all()
    assert (own != theirs).any() and (theirs == Code.WARP).any()
    assert plan.inputs.tolist() == [*range(50), *partners[:, 0].tolist()]
    assert len(plan) == len(plan.keys) == 50


def test_partners_are_uniform_and_never_oneself():
    policy, many = Policy(MixUp(pairing="dataset")), 60_000
    for length in (2, 3, 11):
        index = np.arange(many) % length
        keys = Keys(index, copy=np.arange(many) % 60_000 // length)
        found = policy.partner_indices(keys, length)[:, 0]
        assert not (found == index).any() and found.min() >= 0 and found.max() < length
        if length > 2:
            counts = np.bincount((found - index) % length, minlength=length)[1:]
            assert stats.chisquare(counts).pvalue > 1e-6
    keys = Keys(np.zeros(40, int), copy=np.arange(40))
    assert len(set(policy.partner_indices(keys, 10)[:, 0].tolist())) > 5
    assert Policy(MixUp()).partner_indices(keys, 10).shape == (40, 0)


def draw(path: str, name: str, index: int, epoch: int, copy: int) -> float:
    """One uniform number, by the oracle."""
    who = {"index": index, "epoch": epoch, "copy": copy}
    return rng.unit(*rng.words(9, path, name, 2, **who))


def test_every_number_by_hand():
    """Partners, flips of both and lambda, one at a time; pixels follow."""
    policy = Policy(HorizontalFlip(), MixUp(pairing="dataset"))
    data = np.random.default_rng(1).integers(0, 256, (9, 5, 6, 3), np.uint8)
    index, copy = np.array([4, 0, 4, 8, 4]), np.array([0, 0, 1, 0, 7])
    keys = Keys(index, copy=copy, epoch=3)
    found = policy.partner_indices(keys, 9, seed=9)
    read = np.concatenate([index, found[:, 0]])
    augment = mw.Augment(policy, num_classes=9, seed=9)
    x, y = augment(data[read], read, keys=keys, partners=found)
    for row, (i, c) in enumerate(zip(index.tolist(), copy.tolist(), strict=True)):
        other = (i + 1 + int(draw("partners", "slot 0", i, 3, c) * 8)) % 9
        assert found[row].tolist() == [other] and other != i
        own, theirs = data[i].astype(float), data[other].astype(float)
        own = own[:, ::-1] if draw("/0", "whether", i, 3, c) < 0.5 else own
        theirs = theirs[:, ::-1] if draw("/0", "whether", i, 3, c + 2**15) < 0.5 else theirs
        lam = round(draw("/1", "lam", i, 3, c) * 65536) / 65536  # Beta(1, 1)
        assert np.abs(x[row] - (lam * own + (1 - lam) * theirs)).max() <= 0.5 + 1e-6
        assert y[row, i] == np.float32(lam) and y[row, other] == np.float32(1 - lam)


def with_labels(form):
    return [form(*Painted()[i]) for i in range(COUNT)]


@pytest.mark.parametrize(
    ("form", "options", "back"),
    [
        (lambda x, i: {"image": x, "label": i, "id": i}, {}, lambda b: (b["image"], b["label"])),
        (lambda x, i: (x, np.eye(COUNT, dtype=np.float32)[i]), {}, lambda b: b),
        (
            lambda x, i: {"x": x, "t": {"a": i, "b": i}, "w": 1.0 + i},
            {
                "fields": mw.Fields("x", {"a": "t.a", "b": "t.b"}, "w"),
                "num_classes": {"a": COUNT, "b": COUNT},
            },
            lambda b: (b["x"], b["t"]["b"] / (1 + torch.arange(COUNT))),
        ),
        (lambda x, i: (x, i), {"labels": "sparse"}, lambda b: (b[0], b[1].dense(COUNT))),
        (lambda x, i: (x, i), {"getter": lambda s: s}, lambda b: b),
        (
            lambda x, i: (x.movedim(0, -1).numpy(), i),
            {},
            lambda b: (torch.from_numpy(b[0]).movedim(-1, 1), torch.from_numpy(b[1])),
        ),
        (
            lambda x, i: {"left": x, "right": x, "y": i},
            {"fields": mw.Fields(("left", "right"), "y")},
            lambda b: (b["right"], b["y"]),
        ),
    ],
    ids=["dict", "soft", "heads and weights", "sparse", "getter", "arrays", "several images"],
)
def test_samples_of_every_form(form, options, back):
    made = list(loader(data=with_labels(form), **options))
    for ours, wanted in zip(rows(back(b) for b in made), rows(loader()), strict=True):
        torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-6)
    first = made[0] if isinstance(made[0], dict) else {}
    if "id" in first:
        own = [key.index for key in mw.KeyedSampler(COUNT, epochs=2, shuffle=True)]
        assert [i for b in made for i in b["id"].tolist()] == own
    if "w" in first:
        torch.testing.assert_close(first["w"].float(), first["t"]["a"].sum(dim=1))


def test_images_of_different_sizes_after_a_crop():
    data = [(x[:, : 8 - i % 3], i) for x, i in map(Painted().__getitem__, range(COUNT))]
    policy = Policy(RandomCrop((5, 7)), RandAugment(2), *MIXED.ops)
    wanted = rows(loader(data=data, policy=policy, batch_size=14))
    found = rows(loader(data=data, policy=policy, batch_size=3))
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.equal(ours, theirs)


def test_the_training_command_reads_partners_too():
    """From memory and from workers, the same batches."""
    images = np.stack([x.movedim(0, -1).numpy() for x, _ in map(Painted().__getitem__, range(14))])
    data = ArraySet(images, np.arange(COUNT), tuple(f"class {i}" for i in range(COUNT)))
    augment = mw.Augment(MIXED, num_classes=COUNT, seed=3)
    samplers = [mw.KeyedSampler(COUNT, epochs=2, shuffle=True) for _ in range(2)]
    device = torch.device("cpu")
    memory = MemoryFeed(data, augment, samplers[0], 4, device)
    loading = LoaderFeed(data, mw.Collate(augment), samplers[1], 4, 0, device)
    for epoch in range(2):
        found, wanted = rows(memory.epoch(epoch)), rows(loading.epoch(epoch))
        assert torch.equal(found[0], wanted[0]) and torch.equal(found[1], wanted[1])
        assert (found[1].max(dim=1).values < 1).any()


def test_evaluation_reads_past_the_partners():
    augment = mw.Augment(MIXED, num_classes=COUNT).eval()
    sampler = mw.KeyedSampler(COUNT, epochs=1)
    data = mw.keyed(Painted(), augment)
    (batch,) = DataLoader(data, 14, sampler=sampler, collate_fn=mw.Collate(augment))
    assert len(batch[0]) == COUNT and batch[1].tolist() == list(range(COUNT))


def test_whose_seed_chooses_the_partners():
    key = mw.Key(3, 0, 1, 0, 0.0, 0)
    augment = mw.Augment(MIXED, num_classes=COUNT, seed=5)
    made = {
        name: mw.keyed(Painted(), *args, **kw)[key].indices
        for name, args, kw in (
            ("augment", (augment,), {}),
            ("seed", (MIXED,), {"seed": 5}),
            ("none", (MIXED,), {}),
            ("zero", (augment,), {"seed": 0}),
            ("plain", (), {}),
        )
    }
    assert made["augment"] == made["seed"] != made["none"] == made["zero"]
    assert made["plain"] == ()


def test_company_of_every_kind():
    """Mixing with the data set, the batch, or nobody, drawn for each image or by schedule."""
    policy = Policy(
        OneOf(MixUp(pairing="dataset"), CutMix(), Identity(), ResizeMix(pairing="dataset")),
        HorizontalFlip(),
    )
    with pytest.raises(PolicyError, match="cuts away parts"):
        mw.Augment(policy, num_classes=COUNT)
    x, y = rows(loader(policy=policy, shares="visible"))
    levels = 10.0 * torch.arange(COUNT) + 5
    assert ((x.float().mean(dim=(1, 2, 3)) - y @ levels).abs() < 0.51).all()
    for op in (
        Sometimes(MixUp(pairing="dataset"), p=0.5),
        Scheduled(MixUp(pairing="dataset"), start=0.25),
        MixUp(pairing="dataset", p=0.3),
    ):
        _, y = rows(loader(policy=Policy(op), batch_size=1))
        mixed = (y.max(dim=1).values < 1).sum()
        assert 0 < mixed < COUNT


def test_without_a_loader():
    augment = mw.Augment(Policy(MixUp(pairing="dataset")), num_classes=COUNT)
    data = [Painted()[i] for i in range(COUNT)]
    keys = Keys(np.array([3]))
    partners = augment.policy.partner_indices(keys, COUNT)
    used = [3, int(partners[0, 0])]
    x = torch.stack([data[i][0] for i in used])
    out, target = augment(x, torch.tensor(used), keys=keys, partners=partners)
    assert out.shape == (1, 3, 8, 10) and target.shape == (1, COUNT)
    assert set(target[0].nonzero().flatten().tolist()) == set(used)


def test_partners_of_another_size_are_refused():
    policy = Policy(MixUp(pairing="dataset"))
    sizes = np.array([[8, 8], [8, 8], [8, 8], [9, 8]])
    with pytest.raises(PolicyError, match=r"8x8 px in row 1 and 9x8 px in its partner, row 3"):
        policy.sample(sizes, keys=Keys(np.arange(2)), partners=np.array([[5], [6]]))


def test_what_is_missing_is_said():
    policy = Policy(MixUp(pairing="dataset"))
    with pytest.raises(PolicyError, match=r"DataLoader\(keyed\(dataset, policy=policy\)"):
        policy.sample(np.full((2, 2), 8), keys=Keys(np.arange(2)))
    with pytest.raises(PolicyError, match=r"partners must be \[2, 1\]"):
        policy.sample(np.full((4, 2), 8), keys=Keys(np.arange(2)), partners=np.zeros((2, 2), int))
    with pytest.raises(PolicyError, match="for each image and its partners, got 3 sizes and 4"):
        policy.sample(np.full((3, 2), 8), keys=Keys(np.arange(2)), partners=np.zeros((2, 1), int))
    with pytest.raises(PolicyError, match="at least two samples"):
        policy.partner_indices(Keys(np.arange(1)), 1)
    with pytest.raises(PolicyError, match="at least two samples that holds every index"):
        policy.partner_indices(Keys(np.arange(5)), 4)
    with pytest.raises(PolicyError, match="one op may mix with partners from the data set"):
        Policy(MixUp(pairing="dataset"), CutMix(pairing="dataset"))
    for first in (Views(Identity(), Identity()), CutMix(pairing="same_class")):
        with pytest.raises(
            PolicyError, match=r"before other mixers and Views, got it behind \w+\("
        ):
            Policy(first, MixUp(pairing="dataset"))
    many = Keys(np.arange(2), copy=np.array([0, 2**15]))
    with pytest.raises(PolicyError, match=r"copies 0 \.\. 32767 to the images, got copy 32768"):
        policy.sample(np.full((4, 2), 8), keys=many, partners=np.zeros((2, 1), int))
    with pytest.raises(PolicyError, match="takes a Policy or an Augment, got MixUp"):
        mw.keyed(Painted(), MixUp(pairing="dataset"))


def test_an_empty_batch():
    policy = Policy(OneOf(MixUp(pairing="dataset"), Identity()))
    plan = policy.sample(np.zeros((0, 2), int), keys=Keys(np.zeros(0, int)))
    assert len(plan) == plan.rows == 0
