"""Labels of mixed images against a scalar oracle, on hand-written plans."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixwell import Mix, MixMode, Plan, SparseLabels, TargetError, dense_labels, sparse_labels
from mixwell.targets import multi_labels
from tests.oracles import labels as oracle

H, W = 4, 6
WHOLE = (0, 0, W, H)
ADD, PASTE, SKIP = MixMode.ADD, MixMode.PASTE, MixMode.SKIP
ROUNDING = 1e-6  # shares and labels are float32, at most 12 of them are added


def mix(*outputs) -> Mix:
    """One mix; each output is a list of (source, mode, weight, rectangle)."""
    made = Mix.identity(np.full((len(outputs), 2), (H, W)), max(len(o) for o in outputs))
    made.mode[...], made.source[...] = SKIP, 0
    for b, entries in enumerate(outputs):
        for s, (source, mode, weight, rect) in enumerate(entries):
            made.source[b, s], made.mode[b, s] = source, mode
            made.weight[b, s], made.rect_px[b, s] = weight, rect
    return made


BLEND = [(0, ADD, 0.75, WHOLE), (1, ADD, 0.25, WHOLE)]
CUT = [(1, ADD, 1.0, WHOLE), (2, PASTE, 1.0, (1, 1, 4, 3))]
COVERED = [(2, ADD, 1.0, WHOLE), (0, PASTE, 1.0, (0, 0, 3, 4)), (1, PASTE, 1.0, (2, 0, 5, 2))]
HALF_EMPTY = [(0, PASTE, 1.0, (0, 0, 3, 4)), (2, ADD, 0.5, (2, 1, 5, 3))]
TWICE = [(2, ADD, 0.375, WHOLE), (2, ADD, 0.625, WHOLE)]

STEPS = {
    "no mix": [],
    "blend": [[BLEND, BLEND, CUT]],
    "cut and covered": [[CUT, COVERED, BLEND]],
    "fill shows": [[HALF_EMPTY, CUT, COVERED]],
    "one image twice": [[TWICE, TWICE, BLEND]],
    "fewer outputs": [[COVERED, BLEND]],
    "more outputs": [[COVERED, BLEND, CUT, TWICE, HALF_EMPTY]],
    "blend of cuts": [[COVERED, CUT, BLEND], [BLEND, TWICE, BLEND]],
    "cuts of blends": [[BLEND, TWICE, BLEND], [CUT, COVERED, BLEND]],
    "chain of three": [[BLEND, BLEND, TWICE], [CUT, COVERED, BLEND], [BLEND, TWICE]],
    "cuts of cuts": [[BLEND, CUT, COVERED], [CUT, COVERED, BLEND]],
    "cuts three times": [[CUT, CUT, COVERED], [COVERED, CUT, CUT], [BLEND, COVERED, CUT]],
    "cuts and blends of half-empty": [[HALF_EMPTY, CUT, BLEND], [BLEND, COVERED, HALF_EMPTY]],
}
CHAIN = "chain of three"
ROWS = 3
HARD = [2, 0, 3]
SAME = [1, 1, 1]
SOFT = [[0.5, 0.5, 0.0, 0.0], [0.0, 0.25, 0.25, 0.5], [1.0, 0.0, 0.0, 0.0]]
MANY = [[1, 1, 0, 0], [0, 0, 0, 1], [0, 1, 1, 1]]


def plan_of(name: str) -> Plan:
    return Plan(in_hw=np.full((ROWS, 2), (H, W)), steps=tuple(mix(*o) for o in STEPS[name]))


def shown(name: str):
    mixes = [
        [([(*e, (0, 0)) for e in entries], H, W) for entries in outputs] for outputs in STEPS[name]
    ]
    return oracle.trace([(H, W)] * ROWS, mixes)


def assert_near(found: torch.Tensor, expected: list) -> None:
    assert found.dtype == torch.float32
    wanted = torch.tensor(expected, dtype=torch.float64)
    assert found.shape == wanted.shape
    assert (found.double() - wanted).abs().max() <= ROUNDING


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("labels", [HARD, SAME, SOFT], ids=["hard", "same class", "soft"])
@pytest.mark.parametrize("name", STEPS)
def test_dense_labels_equal_the_oracle(name, labels, smoothing):
    found = dense_labels(labels, plan_of(name), 4, smoothing=smoothing)
    assert_near(found, oracle.dense(labels, shown(name), 4, smoothing))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("labels", [MANY, SOFT], ids=["yes or no", "soft"])
@pytest.mark.parametrize("name", STEPS)
def test_multi_labels_equal_the_oracle(name, labels, smoothing):
    found = multi_labels(labels, plan_of(name), 4, smoothing=smoothing)
    assert_near(found, oracle.multilabel(labels, shown(name), 4, smoothing))


@pytest.mark.parametrize("labels", [HARD, SAME], ids=["hard", "same class"])
@pytest.mark.parametrize("name", STEPS)
def test_sparse_labels_are_dense_labels_in_fewer_numbers(name, labels):
    sparse = sparse_labels(labels, plan_of(name))
    assert sparse.classes.dtype == torch.int64 and sparse.shares.dtype == torch.float32
    assert torch.equal(sparse.dense(4), dense_labels(labels, plan_of(name), 4))
    assert len(sparse) == len(shown(name))


def test_by_hand():
    """24 pixels: a 3 x 2 paste is a quarter; in `COVERED` 8, 10 and 6 pixels remain."""
    found = dense_labels(HARD, plan_of("cut and covered"), 4)
    expected = [[0.75, 0, 0, 0.25], [6 / 24, 0, 10 / 24, 8 / 24], [0.25, 0, 0.75, 0]]
    assert_near(found, expected)


def test_sources_of_one_class_keep_their_whole_mass():
    """The fault of libraries that assign instead of adding (see docs: ffcv's MixupToOneHot)."""
    assert dense_labels(SAME, plan_of("blend"), 4)[0].tolist() == [0, 1, 0, 0]


def test_an_output_of_fill_alone_has_no_label():
    plan = Plan(in_hw=np.full((1, 2), (H, W)), steps=(mix([(0, SKIP, 0.0, (0, 0, 0, 0))]),))
    assert dense_labels([2], plan, 4, smoothing=0.1).tolist() == [[0, 0, 0, 0]]
    assert sparse_labels([2], plan).shares.tolist() == [[0]]


def test_given_sources_replace_those_of_the_plan():
    sources = np.array([[2, 0]]), np.array([[0.9, 0.1]])
    found = dense_labels(HARD, plan_of("blend"), 4, sources=sources)
    assert_near(found, [[0, 0, 0.1, 0.9]])
    assert sparse_labels(HARD, plan_of("blend"), sources=sources).classes.tolist() == [[3, 2]]


FORMS = {
    "list": list,
    "tuple": tuple,
    "torch int64": torch.tensor,
    "torch int32": lambda v: torch.tensor(v, dtype=torch.int32),
    "torch uint8": lambda v: torch.tensor(v, dtype=torch.uint8),
    "numpy int64": np.array,
    "numpy uint16": lambda v: np.array(v, np.uint16),
    "numpy, the other byte order": lambda v: np.array(v, ">i4"),
    "list of numpy numbers": lambda v: [np.int64(i) for i in v],
    "list of tensors": lambda v: [torch.tensor(i) for i in v],
}


@pytest.mark.parametrize("form", FORMS)
def test_class_numbers_in_any_form(form):
    plan = plan_of(CHAIN)
    given = FORMS[form](HARD)
    assert torch.equal(dense_labels(given, plan, 4), dense_labels(HARD, plan, 4))
    assert torch.equal(sparse_labels(given, plan).classes, sparse_labels(HARD, plan).classes)


@pytest.mark.parametrize("form", [list, np.array, torch.tensor])
def test_soft_labels_in_any_form(form):
    plan = plan_of(CHAIN)
    assert torch.equal(dense_labels(form(SOFT), plan, 4), dense_labels(SOFT, plan, 4))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int64, torch.bool])
def test_rows_of_any_type_become_float32(dtype):
    plan = plan_of(CHAIN)
    given = torch.tensor(MANY, dtype=dtype)
    assert torch.equal(multi_labels(given, plan, 4), multi_labels(MANY, plan, 4))


def test_labels_stay_on_their_device():
    """The meta device stands for any other: it holds no values, so only hard labels' path fits."""
    sparse = sparse_labels(torch.tensor(HARD), plan_of("blend")).to("meta")
    assert (sparse.classes.device.type, sparse.shares.device.type) == ("meta", "meta")
    given = torch.empty((ROWS, 4), device="meta")
    assert multi_labels(given, plan_of("blend"), 4).device.type == "meta"


def test_labels_are_not_changed():
    hard, soft = torch.tensor(HARD), torch.tensor(SOFT)
    dense_labels(hard, plan_of("no mix"), 4)[...] = 7
    dense_labels(soft, plan_of("no mix"), 4)[...] = 7
    sparse_labels(hard, plan_of("no mix")).classes[...] = 7
    assert hard.tolist() == HARD and soft.tolist() == SOFT


def test_no_images_no_labels():
    plan = Plan(in_hw=np.zeros((0, 2)), steps=(Mix.identity(np.zeros((0, 2))),))
    assert dense_labels([], plan, 4).shape == (0, 4)
    assert dense_labels(torch.zeros((0, 4)), plan, 4).shape == (0, 4)
    assert multi_labels(np.zeros((0, 4)), plan, 4).shape == (0, 4)
    assert len(sparse_labels([], plan)) == 0


def test_dense_of_hand_made_sparse_labels():
    sparse = SparseLabels(torch.tensor([[1, 1], [0, 2]]), torch.tensor([[0.5, 0.5], [0.25, 0.75]]))
    assert sparse.dense(3).tolist() == [[0, 1, 0], [0.25, 0, 0.75]]


def refused(match: str):
    return pytest.raises(TargetError, match=match)


@pytest.mark.parametrize("make", [sparse_labels, lambda v, p: dense_labels(v, p, 4)])
def test_hard_labels_that_do_not_fit_are_refused(make):
    plan = plan_of("blend")
    with refused(r"labels must be 3 class numbers.*got torch.int64 of shape \(2,\)"):
        make([1, 2], plan)
    with refused(r"labels must be 3 class numbers.*got torch.float32 of shape \(3,\)"):
        make([1.0, 2.0, 0.0], plan)
    with refused(r"labels must be 3 class numbers.*of shape \(0,\)"):
        make([], plan)


@pytest.mark.parametrize(
    ("labels", "found"), [([0, 1, 4], r"0 \.\. 4"), ([-1, 0, 0], r"-1 \.\. 0")]
)
def test_classes_out_of_range_are_refused(labels, found):
    plan = Plan(in_hw=np.full((ROWS, 2), (H, W)))
    with refused(rf"labels must lie in 0 \.\. 3, got {found}\. Raise num_classes, or renumber"):
        dense_labels(labels, plan, 4)


def test_soft_labels_that_do_not_fit_are_refused():
    with refused(r"soft labels must be \[3, 5\], got \(3, 4\)"):
        dense_labels(SOFT, plan_of("blend"), 5)
    with refused(r"soft labels must be \[3, 4\], got \(2, 4\)"):
        multi_labels(SOFT[:2], plan_of("blend"), 4)


def test_class_numbers_are_no_multi_labels():
    with refused(r"\[N, 4\], got shape \(3,\)\. For one class an image use labels='dense'"):
        multi_labels(HARD, plan_of("blend"), 4)


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, float("nan")])
def test_smoothing_is_a_share(smoothing):
    for make, labels in ((dense_labels, HARD), (multi_labels, MANY)):
        with refused(r"smoothing must lie in 0 \.\. 1, got"):
            make(labels, plan_of("blend"), 4, smoothing=smoothing)
