"""What is left out of targets is counted, whichever process or thread left it out."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections import Counter

import pytest
import torch
from torch.utils.data import DataLoader

import mixwell as mw
from mixwell.targets.scenes.tally import REASONS, Tally
from tests.targets.scenes.test_facade import Shapes

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]

CROP = mw.Policy(mw.RandomCrop(12))
BOXES = mw.Boxes("xyxy", min_visibility=0.5, min_side=3)
READ = sum(len(target["boxes"]) for target in Shapes().targets)


def loaded(**options) -> tuple[mw.Collate, DataLoader]:
    collate = mw.Collate(CROP, boxes=BOXES)
    sampler = mw.KeyedSampler(Shapes(), epochs=2)
    options = {"batch_size": 2, "collate_fn": collate, "sampler": sampler} | options
    return collate, DataLoader(mw.keyed(Shapes()), **options)


def drawn(batches) -> int:
    return sum(len(target["boxes"]) for _, targets in batches for target in targets)


@pytest.mark.parametrize(
    "workers",
    [
        {"num_workers": 0},
        {"num_workers": 2, "multiprocessing_context": "fork"},
        {"num_workers": 2, "persistent_workers": True},
        {"num_workers": 1, "multiprocessing_context": "spawn"},
    ],
    ids=["none", "forked", "persistent", "spawned"],
)
def test_every_box_is_drawn_or_counted(workers):
    if workers.get("multiprocessing_context") == "fork" and sys.platform == "win32":
        pytest.skip("Windows forks nothing")
    collate, loader = loaded(**workers)
    first = READ - drawn(loader)
    assert collate.lost.total() == first > 0
    assert set(collate.lost) <= {"outside", "min_visibility", "min_side"}
    second = READ - drawn(loader)
    assert collate.lost.total() == first + second


def test_workers_count_what_one_process_counts():
    alone, one = loaded()
    drawn(one)
    many, two = loaded(num_workers=2)
    drawn(two)
    assert many.lost == alone.lost


def test_threads_of_a_loader_count_together():
    alone, one = loaded()
    drawn(one)
    data = Shapes()
    loader = mw.Loader(data, CROP, boxes=BOXES, batch_size=2, num_threads=3)
    drawn(loader)
    assert loader.lost == alone.lost


def test_single_images_are_counted():
    augment = mw.Augment(mw.Policy(mw.CenterCrop(4)), boxes="xyxy")
    made = [augment.one((image, target))[1] for image, target in Shapes()]
    assert augment.lost.total() == READ - sum(len(target["boxes"]) for target in made) > 0


def test_labels_without_places_lose_nothing():
    augment = mw.Augment(CROP, num_classes=2)
    augment(torch.zeros(2, 3, 16, 16, dtype=torch.uint8), torch.tensor([0, 1]))
    assert augment.lost == Counter()


def test_threads_do_not_write_over_each_other():
    tally = Tally()
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        adders = [
            threading.Thread(target=lambda: [tally.add({"outside": 1}) for _ in range(500)])
            for _ in range(4)
        ]
        for adder in adders:
            adder.start()
        for adder in adders:
            adder.join()
    finally:
        sys.setswitchinterval(switch)
    assert tally.counts() == {"outside": 2000}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_goes_its_own_way(copied):
    tally = Tally()
    tally.add(dict(zip(REASONS, range(len(REASONS)), strict=True)))
    other = copied(tally)
    assert other.counts() == tally.counts() and "invalid" not in other.counts()
    other.add({"invalid": 3})
    assert other.counts()["invalid"] == 3 and "invalid" not in tally.counts()


def test_a_reason_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="not in tuple"):
        Tally().add({"nowhere": 1})
