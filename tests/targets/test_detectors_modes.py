"""The losses of detectors against each source's boxes, and with one factor an image.

torchvision's own losses, run once for each set of targets, are the oracle. Where a model samples
anchors, as many are asked for as there are, so that nothing depends on the sampler.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixwell import TargetError
from mixwell.targets import weighted_losses
from mixwell.targets.detectors.samples import target_sets
from tests.targets import detector_models as small

ALL_SAMPLED = {
    name: partial(make, sampled=5000) if name.endswith("rcnn") else make
    for name, make in small.MODELS.items()
}
ALL = pytest.mark.parametrize("make", ALL_SAMPLED.values(), ids=ALL_SAMPLED)
BY_COUNT = {name: ALL_SAMPLED[name] for name in ("fcos", "ssd")}

CLOSE = {"rtol": 1e-4, "atol": 2e-6}  # sums in another order, in float32
SIZE = (64, 64)

FIRST = [(4, 6, 20, 22), (22, 20, 44, 44)]
SECOND = [(30, 4, 60, 30), (8, 30, 28, 60), (20, 12, 50, 36)]
THIRD = [(10, 12, 40, 46)]


def mixed(parts, shares, **more):
    """A target whose boxes come from several images, numbered 10, 11, ...; mixed up in order."""
    boxes = [(box, 10 + s) for s, own in enumerate(parts) for box in own]
    boxes = boxes[1::2] + boxes[::2]
    return {
        **small.target([box for box, _ in boxes], SIZE),
        "source": torch.tensor([s for _, s in boxes], dtype=torch.int64),
        "sources": torch.arange(10, 10 + len(shares)),
        "shares": torch.tensor(shares),
        **more,
    }


def parts_of(target):
    """The targets of the sources alone, in plain torchvision's format."""
    for source in target["sources"]:
        own = target["source"] == source
        yield {k: target[k][own] for k in ("boxes", "labels", "masks", "keypoints")}


def pictures(count):
    return small.images(3, [SIZE] * count)


def run(make, batch, mode=None):
    model = small.built(make)
    model = model if mode is None else weighted_losses(model, mode)
    return small.run(model, batch, pictures=pictures(len(batch)))


# ------------------------------------------------------------------ one loss a source


@ALL
@pytest.mark.parametrize("share", [0.75, 0.5])
def test_a_batch_of_one_lambda(make, share):
    """lambda * L(output, a) + (1 - lambda) * L(output, b), in all losses and gradients."""
    batch = [
        mixed([FIRST, SECOND], [share, 1 - share]),
        mixed([SECOND, THIRD], [share, 1 - share]),
        mixed([THIRD, []], [share, 1 - share]),
    ]
    first, second = zip(*(parts_of(target) for target in batch), strict=True)
    expected = [(share, run(make, list(first))), (1 - share, run(make, list(second)))]
    small.same(run(make, batch, "sources"), small.combined(expected), **CLOSE)


@ALL
def test_one_image_of_many_sources(make):
    target = mixed([FIRST, [], SECOND, THIRD], [0.5, 0.25, 0.125, 0.125])
    parts = zip(target["shares"].tolist(), parts_of(target), strict=True)
    expected = [(share, run(make, [part])) for share, part in parts]
    small.same(run(make, [target], "sources"), small.combined(expected), **CLOSE)


UNEVEN = [
    mixed([FIRST], [1.0]),
    mixed([SECOND, THIRD], [0.75, 0.25]),
    mixed([FIRST, [], SECOND], [0.25, 0.5, 0.25]),
    small.target(THIRD, SIZE),
]


def test_images_of_different_numbers_of_sources():
    """RetinaNet's loss is a mean over images, so each image has exactly its shares' sum."""
    expected = []
    for image, target in enumerate(UNEVEN):
        shares = target.get("shares", torch.ones(1)).tolist()
        parts = parts_of(target) if "shares" in target else [target]
        expected += [
            (share / len(UNEVEN), one_image(small.retinanet, image, part))
            for share, part in zip(shares, parts, strict=True)
        ]
    small.same(run(small.retinanet, UNEVEN, "sources"), small.combined(expected), **CLOSE)


def one_image(make, image, target):
    return small.run(small.built(make), [target], pictures=[pictures(image + 1)[image]])


@pytest.mark.parametrize("make", BY_COUNT.values(), ids=BY_COUNT)
def test_sources_return_where_an_image_has_fewer(make):
    """Losses that are divided by the matches of a batch: each set has every image's."""
    one, two = UNEVEN[:2]
    whole, (first, second) = one, parts_of(two)
    alone = [one_image(make, 0, whole), one_image(make, 1, first), one_image(make, 1, second)]
    n = [matches(make, 0, whole), matches(make, 1, first), matches(make, 1, second)]
    expected = [
        (0.5 * n[0] / (n[0] + n[1]), alone[0]),
        (0.75 * n[1] / (n[0] + n[1]), alone[1]),
        (0.5 * n[0] / (n[0] + n[2]), alone[0]),
        (0.25 * n[2] / (n[0] + n[2]), alone[2]),
    ]
    small.same(run(make, [one, two], "sources"), small.combined(expected), **CLOSE)


def matches(make, image, target):
    model, found = small.built(make), []
    home = model.head if hasattr(model.head, "compute_loss") else model
    own = home.compute_loss
    home.compute_loss = lambda t, h, a, m: found.extend(m) or own(t, h, a, m)
    small.run(model, [target], pictures=[pictures(image + 1)[image]])
    return int((found[0] >= 0).sum())


@ALL
def test_the_network_runs_once(make):
    model = weighted_losses(small.built(make), "sources")
    head = model.rpn.head if hasattr(model, "rpn") else model.head
    calls = []
    head.register_forward_hook(lambda *_: calls.append(1))
    small.run(model, UNEVEN, pictures=pictures(len(UNEVEN)))
    assert (model.backbone.calls, len(calls)) == (1, 1)


@ALL
def test_unmixed_targets_are_torchvisions(make):
    batch = [small.target(FIRST, SIZE), mixed([SECOND], [1.0], weights=torch.full((3,), 0.5))]
    plain = [small.target(FIRST, SIZE), *parts_of(batch[1])]
    small.same(run(make, batch, "sources"), run(make, plain))


@pytest.mark.parametrize("make", [small.rcnn, small.mask_rcnn])
def test_each_set_has_a_sample_of_its_own(make):
    model = weighted_losses(small.built(make), "sources")
    sizes = []
    for part in (model.rpn, model.roi_heads):
        part.fg_bg_sampler = Sampler(part.fg_bg_sampler, sizes)
    found = small.run(model, UNEVEN, pictures=pictures(len(UNEVEN)))
    assert all(torch.isfinite(v) and v > 0 for v in found[0].values())
    assert sizes == [len(UNEVEN) * n for n in (32, 32, 32, 16, 16, 16)]  # RPN, then RoI heads


class Sampler:
    """A sampler whose samples are counted."""

    def __init__(self, own, sizes):
        self.own, self.sizes = own, sizes

    def __call__(self, labels):
        positive, negative = self.own(labels)
        self.sizes.append(
            sum(int(p.sum() + n.sum()) for p, n in zip(positive, negative, strict=True))
        )
        return positive, negative


def test_a_source_shown_twice_is_one():
    """A Mosaic may hold an image in two of its places."""
    twice = mixed([FIRST, SECOND], [0.5, 0.5])
    twice["sources"] = torch.tensor([10, 11, 10])
    twice["shares"] = torch.tensor([0.25, 0.5, 0.25])
    small.same(
        run(small.fcos, [twice], "sources"),
        run(small.fcos, [mixed([FIRST, SECOND], [0.5, 0.5])], "sources"),
    )


@ALL
def test_sources_of_no_share_are_left_out(make):
    one = mixed([FIRST, SECOND], [1.0, 0.0])
    own = next(parts_of(one))
    small.same(run(make, [one], "sources"), run(make, [own]))


def test_a_canvas_that_shows_nothing_is_background():
    nothing = mixed([], [])
    small.same(
        run(small.retinanet, [nothing, UNEVEN[0]], "sources"),
        run(small.retinanet, [small.target([], SIZE), *parts_of(UNEVEN[0])]),
    )


@settings(max_examples=100)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), min_size=1, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_every_source_has_its_share_in_the_sets(images):
    """Whatever the numbers of sources: all sets hold all images, and shares add up."""
    batch = []
    for own in images:
        whole = sum(share for _, share in own)
        boxes = [[(4, 4, 20 + i, 20) for i in range(n)] for n, _ in own]
        batch.append(mixed(boxes, [share / whole for _, share in own]))
    sets = target_sets(batch, "sources")
    assert len(sets) == max(len(own) for own in images)
    for i, own in enumerate(images):
        whole = sum(share for _, share in own)
        in_sets = [one[i] for one in sets]
        total = sum(float(t["background_weight"]) for t in in_sets)
        assert abs(total - 1) < 1e-5
        for k, t in enumerate(in_sets):
            assert len(t["boxes"]) == own[k % len(own)][0]
            assert (t["weights"] == t["background_weight"]).all()
        for s, (_, share) in enumerate(own):
            turns = [float(t["background_weight"]) for t in in_sets[s :: len(own)]]
            assert len(set(turns)) == 1 and abs(sum(turns) - share / whole) < 1e-5


# ------------------------------------------------------------------ one factor an image


WEIGHTS = [torch.tensor([0.5, 0.25]), torch.tensor([1.0, 0.5, 0.0]), None, torch.zeros(0)]
FACTORS = [0.375, 0.5, 1.0, 1.0]
GLOBAL = [
    small.target(boxes, SIZE, **({} if w is None else {"weights": w}))
    for boxes, w in zip([FIRST, SECOND, THIRD, []], WEIGHTS, strict=True)
]


@ALL
def test_all_terms_of_an_image_have_one_factor(make):
    for target, factor in zip(GLOBAL[:2], FACTORS, strict=False):
        bare = {k: v for k, v in target.items() if k != "weights"}
        expected = small.combined([(factor, run(make, [bare]))])
        small.same(run(make, [target], "global"), expected, **CLOSE)


def test_each_image_of_a_batch_has_its_own_factor():
    bare = [{k: v for k, v in target.items() if k != "weights"} for target in GLOBAL]
    expected = small.combined(
        [
            (factor / len(GLOBAL), one_image(small.retinanet, i, target))
            for i, (factor, target) in enumerate(zip(FACTORS, bare, strict=True))
        ]
    )
    small.same(run(small.retinanet, GLOBAL, "global"), expected, **CLOSE)


@ALL
def test_a_mode_can_be_exchanged(make):
    model = weighted_losses(small.built(make), "sources")
    for mode in ("global", "box", "sources"):
        batch = UNEVEN if mode == "sources" else GLOBAL
        found = small.run(weighted_losses(model, mode), batch, pictures=pictures(len(batch)))
        if make is not small.ssdlite:  # its batch norms have moved on
            small.same(found, run(make, batch, mode))


# ------------------------------------------------------------------ errors


WRONG = {
    "shares alone": ({"sources": None}, 'needs both "sources" and "shares"'),
    "sources alone": ({"shares": None}, 'needs both "sources" and "shares"'),
    "no source": ({"source": None}, 'has "shares" but no "source"'),
    "source too short": ({"source": torch.tensor([10])}, r'"source" of target 1 .* \[5\]'),
    "strangers": ({"source": torch.tensor([10, 11, 12, 7, 11])}, r"names \[7, 12\].*\[10, 11\]"),
    "shares too long": ({"shares": torch.ones(3) / 3}, r'"shares" of target 1 .* \[2\].*\(3,\)'),
    "sources no row": ({"sources": torch.tensor(10)}, r'"sources" of target 1 .*\[S\].*\(\)'),
    "a sum of 1.5": ({"shares": torch.tensor([0.5, 1.0])}, r"sum to 1, got \[0\.5, 1\.0\]"),
    "negative": ({"shares": torch.tensor([1.5, -0.5])}, "must be >= 0 and sum to 1"),
    "not a number": ({"shares": torch.tensor([torch.nan, 1.0])}, "must be >= 0 and sum to 1"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_sources_that_do_not_fit(change, message):
    target = mixed([FIRST, SECOND], [0.5, 0.5])
    target.update({k: v for k, v in change.items() if v is not None})
    for name in (k for k, v in change.items() if v is None):
        del target[name]
    with pytest.raises(TargetError, match=message):
        run(small.retinanet, [UNEVEN[0], target], "sources")


@ALL
def test_every_model_says_what_is_wrong(make):
    with pytest.raises(TargetError, match="sum to 1"):
        run(make, [mixed([FIRST, SECOND], [0.5, 1.0])], "sources")
    with pytest.raises(TargetError, match="finite"):
        run(make, [small.target(FIRST, SIZE, weights=torch.tensor([1.0, -1.0]))], "global")
