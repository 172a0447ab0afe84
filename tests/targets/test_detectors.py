"""Weights of boxes in torchvision's detection losses; torchvision itself is the oracle."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torchvision.models import detection
from torchvision.models.detection.rpn import concat_box_prediction_layers

from mixwell import TargetError
from mixwell.targets import unweighted_losses, weighted_losses
from mixwell.targets.detectors import fcos, retinanet, roi_heads, rpn, ssd
from tests.targets import detector_models as small
from tests.test_import import loaded

ALL = pytest.mark.parametrize("make", small.MODELS.values(), ids=small.MODELS)
TWO_STAGE = [small.rcnn, small.mask_rcnn, small.keypoint_rcnn]
ONES = [[1, 1, 1], [], [1]]
SOME = [[0.5, 0.25, 2**-7], [], [0.75]]

# Sums in another order, in float32; gradients are sums of thousands of such terms.
CLOSE = {"rtol": 1e-4, "atol": 2e-6}


def pair(make, **options):
    """torchvision's model, and the same one with weights."""
    return small.built(make, **options), weighted_losses(small.built(make, **options))


# ------------------------------------------------------------------ weight 1


@ALL
@pytest.mark.parametrize("weights", [None, ONES], ids=["missing", "ones"])
def test_weight_one_is_torchvision(make, weights):
    plain, weighted = pair(make)
    same = small.run(plain, small.targets())
    assert all(torch.isfinite(v) and v > 0 for v in same[0].values())
    small.same(small.run(weighted, small.targets(weights)), same)


@pytest.fixture
def no_shortcut(monkeypatch):
    """Our own arithmetic where torchvision's would run."""
    for module in (fcos, retinanet, roi_heads, rpn, ssd):
        monkeypatch.setattr(module, "is_plain", lambda targets: False)


@ALL
def test_the_arithmetic_is_torchvisions(make, no_shortcut):
    plain, weighted = pair(make)
    small.same(small.run(weighted, small.targets()), small.run(plain, small.targets()), **CLOSE)


@pytest.mark.parametrize("loss", ["l1", "smooth_l1", "ciou", "diou", "giou"])
def test_every_regression_loss_of_retinanet(loss, no_shortcut):
    plain, weighted = pair(small.retinanet, loss=loss)
    small.same(small.run(weighted, small.targets()), small.run(plain, small.targets()), **CLOSE)


def test_an_unknown_regression_loss_is_named():
    model = weighted_losses(small.built(small.retinanet, loss="l3"))
    with pytest.raises(TargetError, match=r"one of l1, smooth_l1, ciou, diou, giou, got 'l3'"):
        small.run(model, small.targets(SOME))


@ALL
@pytest.mark.parametrize("counts", [(0, 0, 0), (0, 0, 1), (3, 1, 2)], ids=str)
def test_images_with_and_without_boxes(make, counts, no_shortcut):
    some = [(4, 6, 20, 22), (22, 20, 44, 44), (8, 24, 30, 46)]
    boxes = [some[:n] for n in counts]
    plain, weighted = pair(make)
    expected = small.run(plain, small.targets(boxes=boxes))
    assert all(torch.isfinite(v) for v in expected[0].values())
    small.same(small.run(weighted, small.targets(boxes=boxes)), expected, **CLOSE)


def test_more_negatives_wanted_than_there_are(no_shortcut):
    """Positives then enter among the hard negatives, in torchvision too."""
    plain, weighted = pair(small.ssd, positive_fraction=0.001)
    small.same(small.run(weighted, small.targets()), small.run(plain, small.targets()), **CLOSE)


# ------------------------------------------------------------------ every loss term of a box


@ALL
def test_a_loss_is_affine_in_each_weight(make):
    """Loss and gradients: halving a weight takes half of the box's part away."""
    model = weighted_losses(small.built(make))
    for image, box in [(0, 0), (0, 1), (2, 0)]:
        runs = []
        for weight in (0.0, 0.5, 1.0):
            weights = [list(w) for w in SOME]
            weights[image][box] = weight
            runs.append(small.run(model, small.targets(weights)))
        none, half, whole = runs
        small.same(combined(half, none), combined(whole, half), rtol=1e-3, atol=2e-6)
        assert all(whole[0][k] >= none[0][k] for k in whole[0])
        assert sum(whole[0].values()) > 1.001 * sum(none[0].values())


def combined(one, other):
    return small.combined([(1.0, one), (-1.0, other)])


def outputs_of(module, found):
    """Record the tensors that a module returns, with their gradients."""

    def record(_module, _inputs, output):
        values = output.values() if isinstance(output, dict) else output
        values = [values] if isinstance(values, torch.Tensor) else list(values)
        flat = [v for each in values for v in (each if isinstance(each, list) else [each])]
        for value in flat:
            value.retain_grad()
        found.append(flat)

    module.register_forward_hook(record)


def output_grads(model, parts, weights):
    found = []
    for part in parts:
        outputs_of(part, found)
    small.run(model, small.targets(weights))
    return [[value.grad for value in each] for each in found]


def expected_weights(matched):
    """Of each anchor or proposal of each image, from torchvision's matching (< 0: none)."""
    return [
        torch.tensor([1.0 if m < 0 else own[m] for m in each.tolist()])
        for own, each in zip(SOME, matched, strict=True)
    ]


@pytest.mark.parametrize("make", [small.retinanet, small.fcos, small.ssd, small.ssdlite])
def test_each_anchor_of_one_stage_has_its_boxs_weight(make):
    """The gradient of each output is torchvision's, times the weight of the anchor's box."""
    plain, weighted = pair(make)
    matched = spy_matches(plain)
    before = output_grads(plain, [plain.head], None)
    after = output_grads(weighted, [weighted.head], SOME)
    factors = torch.stack(expected_weights(matched))
    assert len(factors.unique()) == 5  # every box has anchors
    for one, other in zip(before[0], after[0], strict=True):
        torch.testing.assert_close(other, one * factors[..., None], rtol=1e-5, atol=1e-9)


def spy_matches(model):
    """The matches of each image as torchvision hands them to the losses."""
    matched = []
    home = model.head if hasattr(model.head, "compute_loss") else model
    own = home.compute_loss

    def compute_loss(targets, head_outputs, anchors, matched_idxs):
        matched.extend(matched_idxs)
        return own(targets, head_outputs, anchors, matched_idxs)

    home.compute_loss = compute_loss
    return matched


class Matcher:
    """A matcher that keeps what it finds."""

    def __init__(self, own):
        self.own, self.found = own, []

    def __call__(self, quality):
        self.found.append(self.own(quality))
        return self.found[-1].clone()

    def __getattr__(self, name):
        return getattr(self.own, name)


def test_each_anchor_of_the_rpn_has_its_boxs_weight():
    plain, weighted = pair(small.rcnn, sampled=2000)
    matcher = plain.rpn.proposal_matcher = Matcher(plain.rpn.proposal_matcher)
    before = output_grads(plain, [plain.rpn.head], None)[0]
    after = output_grads(weighted, [weighted.rpn.head], SOME)[0]
    first, last = matcher.found
    none = torch.full_like(first, -1)
    factors = torch.cat(expected_weights([first, none, last]))
    assert len(factors.unique()) == 5
    for i, name in enumerate(("objectness", "boxes")):
        one = concat_box_prediction_layers(before[:2], before[2:])[i]
        other = concat_box_prediction_layers(after[:2], after[2:])[i]
        assert one.ne(0).any(), name
        torch.testing.assert_close(other, one * factors[:, None], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("make", TWO_STAGE)
def test_each_proposal_has_its_boxs_weight(make):
    plain, weighted = pair(make)
    heads = ["box_predictor", "mask_predictor", "keypoint_predictor"]
    heads = [name for name in heads if getattr(plain.roi_heads, name) is not None]
    samples, own = [], plain.roi_heads.select_training_samples

    def select(proposals, batch):
        samples.append(own(proposals, batch))
        return samples[-1]

    plain.roi_heads.select_training_samples = select
    before = output_grads(plain, [getattr(plain.roi_heads, n) for n in heads], None)
    after = output_grads(weighted, [getattr(weighted.roi_heads, n) for n in heads], SOME)
    ((_, matched, labels, _),) = samples
    matched = [torch.where(k > 0, m, -1) for m, k in zip(matched, labels, strict=True)]
    factors = torch.cat(expected_weights(matched))
    positive = torch.cat(labels) > 0
    assert len(factors.unique()) == 5  # gt boxes are proposals, so every box has one
    for i, name in enumerate(heads):
        factor = factors if name == "box_predictor" else factors[positive]
        for one, other in zip(before[i], after[i], strict=True):
            assert one.ne(0).any(), name
            wide = factor.reshape(-1, *[1] * (one.ndim - 1))
            torch.testing.assert_close(other, one * wide, rtol=1e-5, atol=1e-9)


def test_hard_negatives_do_not_depend_on_weights():
    """Negatives count whole, however light the boxes are."""
    plain, weighted = pair(small.ssd)
    found = small.run(weighted, small.targets([[0, 0, 0], [], [0]]))[0]
    assert found["bbox_regression"] == 0
    assert (
        0.1 < found["classification"] / small.run(plain, small.targets())[0]["classification"] < 1
    )


@ALL
def test_under_autocast(make, no_shortcut):
    plain, weighted = pair(make)
    with torch.autocast("cpu", torch.bfloat16):
        torch.manual_seed(1)
        one = plain(small.images(), small.targets())
        torch.manual_seed(1)
        other = weighted(small.images(), small.targets())
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(other[name].float(), one[name].float(), rtol=0.01, atol=1e-3)


# ------------------------------------------------------------------ the model stays what it is


@ALL
def test_the_model_stays_what_it_is(make):
    plain, weighted = pair(make)
    assert weighted_losses(weighted) is weighted
    before, after = plain.state_dict(), weighted.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert isinstance(weighted, type(plain))
    for one, other in zip(
        plain.eval()(small.images()), weighted.eval()(small.images()), strict=True
    ):
        assert one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


NAMES = """
    fasterrcnn_resnet50_fpn fasterrcnn_resnet50_fpn_v2 fasterrcnn_mobilenet_v3_large_320_fpn
    fasterrcnn_mobilenet_v3_large_fpn maskrcnn_resnet50_fpn maskrcnn_resnet50_fpn_v2
    keypointrcnn_resnet50_fpn retinanet_resnet50_fpn retinanet_resnet50_fpn_v2 fcos_resnet50_fpn
    ssd300_vgg16 ssdlite320_mobilenet_v3_large
""".split()


@pytest.mark.parametrize("name", NAMES)
def test_torchvisions_constructors_are_known(name):
    with torch.device("meta"):  # no memory, no time
        model = getattr(detection, name)(weights=None, weights_backbone=None)
    before = [type(m) for m in model.modules()]
    changed = [type(m) for m in weighted_losses(model).modules()]
    assert sum(one is not other for one, other in zip(before, changed, strict=True)) in (1, 2)
    assert [type(m) for m in unweighted_losses(model).modules()] == before


@ALL
def test_copies_keep_their_weights(make):
    model = weighted_losses(small.built(make))
    wanted = small.run(model, small.targets(SOME))
    small.same(small.run(copy.deepcopy(model), small.targets(SOME)), wanted)
    small.same(small.run(pickle.loads(pickle.dumps(model)), small.targets(SOME)), wanted)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    small.same(small.run(torch.load(file, weights_only=False), small.targets(SOME)), wanted)


@ALL
def test_it_can_be_undone(make):
    plain, weighted = pair(make)
    assert unweighted_losses(weighted) is weighted
    assert [type(m) for m in plain.modules()] == [type(m) for m in weighted.modules()]
    assert not any("loss_mode" in vars(m) for m in weighted.modules())
    small.same(small.run(weighted, small.targets(SOME)), small.run(plain, small.targets()))
    unweighted_losses(plain)  # never changed: nothing happens
    small.same(small.run(plain, small.targets()), small.run(weighted, small.targets()))


def test_targets_are_left_alone():
    batch = small.targets(SOME)
    before = [dict(one) for one in batch]
    small.run(weighted_losses(small.built(small.mask_rcnn)), batch)
    for one, other in zip(batch, before, strict=True):
        assert one.keys() == other.keys() and all(one[k] is other[k] for k in one)


def test_torchvision_is_loaded_at_the_first_call():
    assert "torchvision" not in loaded("import mixwell.targets.detectors")
    code = "from mixwell.targets import weighted_losses as w\ntry: w(None)\nexcept ValueError: pass"
    assert "torchvision" in loaded(code)


# ------------------------------------------------------------------ errors


def test_models_that_are_not_known():
    with pytest.raises(TargetError, match=r"FasterRCNN, MaskRCNN.*FCOS or SSD, got Linear\."):
        weighted_losses(torch.nn.Linear(1, 1))
    with pytest.raises(TargetError, match="got DataParallel"):
        unweighted_losses(torch.nn.DataParallel(small.built(small.fcos)))


def test_parts_with_losses_of_their_own():
    class Own(type(small.built(small.rcnn).rpn)):
        pass

    model = small.built(small.rcnn)
    model.rpn.__class__ = Own
    with pytest.raises(TargetError, match=r"own RegionProposalNetwork as model\.rpn, got Own"):
        weighted_losses(model)
    assert type(model.roi_heads).__name__ == "RoIHeads"  # nothing is half done

    class Mine(type(small.built(small.ssd))):
        pass

    model = small.built(small.ssd)
    model.__class__ = Mine
    with pytest.raises(TargetError, match=r"own SSD as the model, got Mine"):
        weighted_losses(model)


def test_subclasses_of_two_stage_models_are_welcome():
    """Their losses are in their parts."""
    model = small.built(small.rcnn)
    model.__class__ = type("Mine", (type(model),), {})
    assert type(weighted_losses(model)).__name__ == "Mine"
    half = small.run(model, small.targets(SOME))[0]["loss_box_reg"]
    assert half < small.run(model, small.targets())[0]["loss_box_reg"]


def test_an_unknown_mode():
    with pytest.raises(TargetError, match="one of 'box', 'sources', 'global', got 'mean'"):
        weighted_losses(small.built(small.ssd), mode="mean")


WRONG = {
    "too few": ([1.0], r'"weights" of target 0 must be a tensor \[3\].*got \(1,\)'),
    "a column": ([[1.0], [1.0], [1.0]], r"got \(3, 1\)"),
    "negative": ([1.0, -0.5, 1.0], "must be finite and >= 0"),
    "not a number": ([1.0, float("nan"), 1.0], "must be finite and >= 0"),
}


@ALL
@pytest.mark.parametrize(("weights", "message"), WRONG.values(), ids=WRONG)
def test_weights_that_do_not_fit(make, weights, message):
    model = weighted_losses(small.built(make))
    with pytest.raises(TargetError, match=message):
        small.run(model, small.targets([weights, [], [1.0]]))


def test_weights_that_are_no_tensor():
    batch = small.targets()
    batch[2]["weights"] = [1.0]
    with pytest.raises(TargetError, match=r"of target 2 must be a tensor \[1\].*got list"):
        small.run(weighted_losses(small.built(small.fcos)), batch)
