"""`Augment`'s label options: several heads, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mixwell as mw
from mixwell.targets import MultiLabels, Weighted, heads_loss
from tests.oracles import labels as oracle

torch.set_num_threads(1)

N = 4
IGNORE = -100
SPECIES = torch.tensor([0, 9, 3, 3])
AGE = torch.tensor([4, 0, IGNORE, 1])
TAGS = torch.tensor([[1.0, 0, 1], [0, 0, 1], [1, 1, 1], [0, 0, 0]])
HEADS = {"species": 10, "age": 5, "tags": 3}
KINDS = {"species": "dense", "age": "sparse", "tags": "multilabel"}
POLICY = mw.Policy(mw.CutMix())


def three(**options) -> mw.Augment:
    options |= {"num_classes": HEADS, "labels": KINDS, "ignore_index": {"age": IGNORE}}
    return mw.Augment(POLICY, **options)


def painted() -> torch.Tensor:
    """Image n is full in channel n, so that channel means are the shares."""
    images = torch.zeros((N, N, 6, 8))
    images[range(N), range(N)] = 1
    return images


def run(augment: mw.Augment, labels, epoch: int = 0):
    x, y = augment(painted(), labels, keys=mw.Keys(np.arange(N), epoch=epoch))
    shown = [dict(enumerate(row.mean(dim=(1, 2)).tolist())) for row in x]
    return shown, y


LABELS = {"species": SPECIES, "age": AGE, "tags": TAGS}


@pytest.mark.parametrize("epoch", range(3))
def test_every_head_says_what_pixels_show(epoch):
    shown, y = run(three(smoothing={"species": 0.1}), LABELS, epoch)
    near = {"rtol": 0, "atol": 1e-6}  # means of float32 pixels
    wanted = oracle.dense(SPECIES.tolist(), shown, 10, 0.1)
    torch.testing.assert_close(y["species"], torch.tensor(wanted), **near)
    known = [{n: s for n, s in row.items() if AGE[n] != IGNORE} for row in shown]
    wanted = oracle.dense(AGE.tolist(), known, 5)
    torch.testing.assert_close(y["age"].dense(5), torch.tensor(wanted), **near)
    wanted = oracle.multilabel(TAGS.tolist(), shown, 3)
    torch.testing.assert_close(y["tags"], torch.tensor(wanted), **near)
    assert list(y) == list(HEADS)


def test_a_list_of_dicts_is_a_dict_of_lists():
    rows = [{h: LABELS[h][n] for h in HEADS} for n in range(N)]
    plain = [{h: LABELS[h][n].tolist() for h in HEADS} for n in range(N)]
    _, wanted = run(three(), LABELS)
    for labels in (rows, plain, {h: v.tolist() for h, v in LABELS.items()}):
        _, found = run(three(), labels)
        assert torch.equal(found["species"], wanted["species"])
        assert torch.equal(found["age"].shares, wanted["age"].shares)
        assert torch.equal(found["tags"], wanted["tags"])


def test_one_kind_for_all_heads():
    augment = mw.Augment(POLICY, num_classes={"a": 10, "b": 5}, labels="sparse")
    _, y = run(augment, {"a": SPECIES, "b": SPECIES % 5})
    assert torch.equal(y["a"].shares, y["b"].shares)
    bare = mw.Augment(POLICY, labels={"a": "sparse", "b": "sparse"})
    _, same = run(bare, {"a": SPECIES, "b": SPECIES % 5})
    assert torch.equal(same["a"].classes, y["a"].classes)


def test_each_head_is_what_it_would_be_alone():
    _, y = run(three(), Weighted(LABELS, torch.arange(N)))
    alone = mw.Augment(POLICY, num_classes=3, labels="multilabel")
    _, tags = run(alone, Weighted(TAGS, torch.arange(N)))
    assert isinstance(tags, MultiLabels)
    assert torch.equal(y["tags"].values, tags.values)
    assert torch.equal(y["tags"].weights, tags.weights)


def test_the_loss_of_heads_takes_what_augment_makes():
    _, y = run(three(), Weighted(LABELS, torch.ones(N)))
    logits = {h: torch.zeros((N, k), requires_grad=True) for h, k in HEADS.items()}
    loss = heads_loss(logits, y)
    # Even logits: log K for classes, log 2 for each yes or no.
    assert loss.item() == pytest.approx(np.log(10) + np.log(5) + np.log(2), rel=1e-6)


def test_evaluation_leaves_labels_of_heads():
    assert three().eval()(painted(), LABELS)[1] is LABELS
    assert three().eval()(painted(), Weighted(LABELS, torch.ones(N)))[1] is LABELS


def test_numpy_labels_of_heads():
    _, y = run(mw.Augment(POLICY, num_classes={"a": 10}), {"a": SPECIES.numpy()})
    assert isinstance(y["a"], np.ndarray)
    given = Weighted(TAGS.numpy(), np.ones(N))
    _, tags = run(mw.Augment(POLICY, num_classes=3, labels="multilabel"), given)
    assert isinstance(tags, MultiLabels)


def test_background_is_for_its_head_alone():
    """Half of the canvas is left empty by moving the mixed image away."""
    policy = mw.Policy(mw.CutMix(), mw.TranslateX((0.5, 0.5)))
    augment = mw.Augment(
        policy, num_classes={"a": 10, "b": 11}, background={"b": 10}, shares="visible"
    )
    _, y = run(augment, {"a": SPECIES, "b": SPECIES})
    assert (y["a"].sum(dim=1) - 1).abs().max() < 1e-6
    assert (y["b"][:, 10] - 0.5).abs().max() < 1e-6


def refused(match: str):
    return pytest.raises(mw.TargetError, match=match)


def test_options_that_contradict_each_other_are_refused():
    with refused(r"labels must be given by head for \['a', 'b'\], got \['a'\]"):
        mw.Augment(POLICY, num_classes={"a": 2, "b": 2}, labels={"a": "dense"})
    with refused(r"smoothing must be given by head for \['a'\], got \['c'\]"):
        mw.Augment(POLICY, num_classes={"a": 2}, smoothing={"c": 0.1})
    with refused(r"smoothing by head needs num_classes by head, got num_classes=3"):
        mw.Augment(POLICY, num_classes=3, smoothing={"c": 0.1})
    with refused(r'must be "dense".*got \'soft\''):
        mw.Augment(POLICY, num_classes={"a": 2}, labels={"a": "soft"})
    with refused(r"Sparse labels have no room for smoothing, got 0\.1.*sparse_cross_entropy"):
        mw.Augment(POLICY, labels="sparse", smoothing=0.1)
    with refused(r"background must be a class in 0 \.\. 2, got 3"):
        mw.Augment(POLICY, num_classes=3, background=3)
    with refused(r"smoothing must lie in 0 \.\. 1, got 2"):
        mw.Augment(POLICY, num_classes=3, smoothing=2)


def test_labels_that_do_not_fit_the_heads_are_refused():
    with refused(r"labels must be given by head for \['age', 'species', 'tags'\], got \['age'\]"):
        run(three(), {"age": AGE})
    with refused(r"a sample's labels must be given by head.*got \['age'\]"):
        run(three(), [{"age": 1}] * N)
    with refused(r"need labels as a dict by head, or a list of such dicts, got Tensor"):
        run(three(), SPECIES)
    with refused(r"Labels of several heads \['age'\] need a number of classes for each"):
        run(mw.Augment(POLICY, num_classes=5), {"age": AGE})
    with refused(r"dense targets need to know the classes"):
        run(mw.Augment(POLICY, labels={"a": "dense"}), {"a": SPECIES})
