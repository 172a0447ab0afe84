"""Class maps through plans: never blended, in layers where images are, and what the pixels show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

import mixwell as mw
from mixwell.policy import Op, Sequential
from mixwell.targets import (
    LayeredMasks,
    pixel_accuracy,
    pixel_cross_entropy,
    soft_cross_entropy,
)
from tests.oracles import segmentation as oracle

CLASSES = 3
IGNORE = 255


def maps(count: int = 4, size: tuple[int, int] = (20, 26), seed: int = 0) -> torch.Tensor:
    """Blocks of classes."""
    draw = np.random.default_rng(seed).integers(0, CLASSES, (count, 5, 5))
    rows, columns = np.arange(size[0]) * 5 // size[0], np.arange(size[1]) * 5 // size[1]
    return torch.from_numpy(draw[:, rows][:, :, columns].astype(np.uint8))


def painted(classes: torch.Tensor) -> torch.Tensor:
    """Images whose channel k is 1 where the class is k."""
    one_hot = torch.nn.functional.one_hot(classes.long(), CLASSES)
    return one_hot.permute(0, 3, 1, 2).float()


def shown(masks: LayeredMasks) -> torch.Tensor:
    """float [B, K, H, W]: the shares of the classes at each pixel."""
    out = torch.zeros(len(masks), CLASSES, *masks.classes.shape[2:])
    for classes, share in zip(masks.classes.unbind(1), masks.shares.unbind(1), strict=True):
        for k in range(CLASSES):
            out[:, k] += share[:, None, None] * (classes == k)
    return out


POLICIES = [
    mw.Policy(),
    mw.Policy(mw.HorizontalFlip(), mw.RandomCrop((16, 20), padding=3)),
    mw.Policy(mw.MixUp()),
    mw.Policy(mw.MixUp(p=0.5)),
    mw.Policy(mw.MixUp(), mw.HorizontalFlip()),
    mw.Policy(mw.MixUp(), mw.MixUp()),
    mw.Policy(mw.MixUp(), mw.CutMix()),
    mw.Policy(mw.CutMix(), mw.RandomCrop(12), mw.MixUp()),
    mw.Policy(mw.OneOf(mw.MixUp(), mw.CutMix(), mw.FMix(), mw.Identity())),
    mw.Policy(mw.ClassMix()),
    mw.Policy(mw.MixUp(), mw.ClassMix(0.7)),
    mw.Policy(mw.GridMix(), mw.Pad(2)),
]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_layers_say_what_the_pixels_show(policy: mw.Policy) -> None:
    classes = maps()
    for seed in range(3):
        augment = mw.Augment(policy, masks="layers", seed=seed)
        images, masks = augment(painted(classes), classes)
        assert isinstance(masks, LayeredMasks) and masks.classes.shape[1] >= 2
        torch.testing.assert_close(shown(masks), images, atol=2e-5, rtol=0)


@pytest.mark.parametrize("policy", [p for p in POLICIES if "MixUp" not in repr(p)], ids=repr)
def test_class_maps_are_the_only_layer_of_what_is_not_blended(policy: mw.Policy) -> None:
    classes = maps()
    plain = mw.Augment(policy, masks="semantic")(painted(classes), classes)[1]
    layered = mw.Augment(policy, masks="layers")(painted(classes), classes)[1]
    assert torch.equal(plain, layered.classes[:, 0])
    assert (layered.shares == torch.tensor([1.0, 0.0])).all()


def test_mixup_gives_both_masks_and_shares() -> None:
    classes = maps(2)
    augment = mw.Augment(mw.Policy(mw.MixUp(fixed=0.75)), masks="layers")
    masks = augment(painted(classes), classes)[1]
    assert torch.equal(masks.classes[0], classes)
    assert torch.equal(masks.classes[1], classes.flip(0))
    assert masks.shares.tolist() == [[0.75, 0.25]] * 2 and len(masks) == 2


def test_the_loss_is_that_of_the_pixels_as_soft_labels() -> None:
    classes = maps()
    policy = mw.Policy(mw.MixUp(), mw.CutMix())
    images, masks = mw.Augment(policy, masks="layers")(painted(classes), classes)
    logits = torch.randn(len(images), CLASSES, *images.shape[2:], dtype=torch.float64)
    flat = logits.movedim(1, -1).reshape(-1, CLASSES)
    wanted = soft_cross_entropy(flat, images.double().movedim(1, -1).reshape(-1, CLASSES))
    torch.testing.assert_close(pixel_cross_entropy(logits, masks), wanted, rtol=1e-5, atol=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(0, 4), st.integers(1, 3))
def test_loss_and_accuracy_against_the_oracle(seed, batch, height, layers) -> None:
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(batch, CLASSES, height, 3)) * 3
    classes = draw.choice([0, 1, 2, IGNORE], (batch, layers, height, 3)).astype(np.uint8)
    shares = draw.random((batch, layers))
    weight = [0.5, 1.0, 2.0]
    masks = LayeredMasks(torch.from_numpy(classes), torch.from_numpy(shares))
    found = pixel_cross_entropy(torch.from_numpy(logits), masks)
    assert float(found) == pytest.approx(oracle.pixel_loss(logits, classes, shares, IGNORE))
    heavy = torch.tensor(weight, dtype=torch.float64)
    found = pixel_cross_entropy(torch.from_numpy(logits), masks, class_weight=heavy)
    assert float(found) == pytest.approx(oracle.pixel_loss(logits, classes, shares, IGNORE, weight))
    plain = torch.from_numpy(classes[:, 0])
    wanted = oracle.measures(logits.argmax(1), classes[:, 0], CLASSES, IGNORE)[0]
    assert float(pixel_accuracy(torch.from_numpy(logits), plain)) == pytest.approx(wanted)


def test_a_plain_map_has_torchs_loss() -> None:
    logits, target = torch.randn(2, 4, 5, 6), torch.randint(0, 4, (2, 5, 6))
    target[0, :2] = -1
    for smoothing in (0.0, 0.1):
        wanted = torch.nn.functional.cross_entropy(
            logits, target, ignore_index=-1, label_smoothing=smoothing
        )
        found = pixel_cross_entropy(logits, target, ignore_index=-1, smoothing=smoothing)
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.bfloat16])
def test_weights_of_classes_of_any_dtype(dtype: torch.dtype) -> None:
    classes, logits = maps(2).long(), torch.randn(2, CLASSES, 20, 26)
    heavy = torch.tensor([1, 2, 4])
    wanted = torch.nn.functional.cross_entropy(logits, classes, heavy.float())
    found = pixel_cross_entropy(logits, classes, class_weight=heavy.to(dtype))
    torch.testing.assert_close(found, wanted)


def test_a_layer_that_is_not_used_has_no_say() -> None:
    classes = torch.stack([torch.zeros(1, 2, 2), torch.full((1, 2, 2), 2)], dim=1).long()
    logits = torch.tensor([1.0, 2.0, -torch.inf])[None, :, None, None].expand(1, 3, 2, 2)
    masks = LayeredMasks(classes, torch.tensor([[1.0, 0.0]]))
    found = pixel_cross_entropy(logits, masks)
    torch.testing.assert_close(found, pixel_cross_entropy(logits, classes[:, 0]))
    assert found.isfinite()


def test_nothing_known_is_no_loss() -> None:
    logits = torch.randn(2, 4, 5, 6, requires_grad=True)
    target = torch.full((2, 5, 6), IGNORE)
    loss = pixel_cross_entropy(logits, target)
    loss.backward()
    assert float(loss.detach()) == 0 and logits.grad is not None and not logits.grad.any()
    assert float(pixel_accuracy(logits, target)) == 0
    assert float(pixel_cross_entropy(logits[:0].detach(), target[:0])) == 0


def test_maps_of_another_size_than_the_logits_are_refused() -> None:
    with pytest.raises(mw.TargetError, match=r"size of their logits, \[1, 4, 4\], got \[1, 8, 8\]"):
        pixel_cross_entropy(torch.zeros(1, 2, 4, 4), torch.zeros(1, 8, 8, dtype=torch.long))


def test_a_blend_without_layers_says_how_to_get_them() -> None:
    classes = maps()
    with pytest.raises(mw.TargetError, match='declare masks="layers"'):
        mw.Augment(mw.Policy(mw.MixUp()), masks="semantic")(painted(classes), classes)


def test_evaluation_gives_plain_maps() -> None:
    classes = maps()
    augment = mw.Augment(mw.Policy(mw.MixUp()), masks="layers").eval()
    assert torch.equal(augment(painted(classes), classes)[1], classes)


def test_padding_of_a_crop_is_ignored_and_nothing_is_rescaled() -> None:
    classes = maps(3, (11, 40))
    policy = mw.Policy(mw.RandomCrop((16, 16), pad_if_needed=True))
    images, masks = mw.Augment(policy, masks="semantic")(painted(classes) * 0 + 1.0, classes)
    assert torch.equal(images[:, 0] == 0, masks == IGNORE)
    assert ((masks != IGNORE).sum(dim=(1, 2)) == 11 * 16).all()
    with pytest.raises(mw.PolicyError, match="pad_if_needed"):
        mw.Augment(mw.Policy(mw.RandomCrop(16)), masks="semantic")(painted(classes), classes)


def test_dicts_hold_layers_and_shares() -> None:
    classes = maps()
    targets = [{"masks": one, "image_id": i} for i, one in enumerate(classes)]
    augment = mw.Augment(mw.Policy(mw.MixUp(fixed=0.5)), masks="layers")
    made = augment(painted(classes), targets)[1]
    assert [sorted(one) for one in made] == [["image_id", "mask_shares", "masks"]] * 4
    assert made[1]["mask_shares"].tolist() == [0.5, 0.5]
    assert torch.equal(made[2]["masks"][0], classes[2]) and made[2]["image_id"] == 2


def test_maps_of_several_sizes_are_a_list() -> None:
    classes = [maps(1, (8, 10))[0], maps(1, (12, 6))[0]]
    images = [painted(one[None])[0] for one in classes]
    made = mw.Augment(mw.Policy(mw.HorizontalFlip(p=0.0)), masks="layers")(images, classes)[1]
    assert [tuple(one.classes.shape) for one in made] == [(1, 2, 8, 10), (1, 2, 12, 6)]


def test_maps_of_another_byte_order() -> None:
    """Files of raw numbers may be read so."""
    classes = maps() * 40
    given_ = list(classes.numpy().astype(">i4"))
    made = mw.Augment(mw.Policy(mw.VerticalFlip(p=1.0)), masks="semantic")(
        list(painted(classes * 0)), given_
    )[1]
    assert np.array_equal(np.stack(list(made)), classes.flip(1).numpy())


@pytest.mark.parametrize("op", [mw.HorizontalFlip(p=1.0), mw.CutMix(100.0)])
@pytest.mark.parametrize("first", [0, 1])
def test_maps_of_several_dtypes_keep_their_classes(op: Op, first: int) -> None:
    given_ = [torch.zeros(8, 8, dtype=torch.uint8), torch.full((8, 8), 300)]
    images = torch.zeros(2, 3, 8, 8)
    made = mw.Augment(mw.Policy(op), masks="semantic")(images, given_[:: 1 - 2 * first])[1]
    assert {one.dtype for one in made} == {torch.int64}
    assert set(torch.stack(list(made)).unique().tolist()) == {0, 300}


@pytest.mark.parametrize("policy", [mw.Policy(), mw.Policy(mw.RandomCrop(9), mw.MixUp())])
def test_no_images_have_no_maps_of_the_same_kind(policy: mw.Policy) -> None:
    classes = maps()[:0]
    assert len(mw.Augment(policy, masks="semantic")(painted(classes), classes)[1]) == 0
    made = mw.Augment(policy, masks="layers")(painted(classes), classes)[1]
    assert isinstance(made, LayeredMasks) and made.classes.shape[:2] == made.shares.shape == (0, 2)


@pytest.mark.parametrize("kind", ["semantic", "layers"])
def test_numpy_in_numpy_out(kind) -> None:
    classes = maps()
    arrays = painted(classes).permute(0, 2, 3, 1).numpy()
    made = mw.Augment(mw.Policy(mw.CutMix()), masks=kind)(arrays, classes.numpy())[1]
    assert isinstance(made.classes if kind == "layers" else made, np.ndarray)


def test_a_data_loader_gives_one_tensor_of_maps() -> None:
    classes = maps(6)
    pairs = list(zip(painted(classes), classes, strict=True))
    for kind, name in (("semantic", "Tensor"), ("layers", "LayeredMasks")):
        collate = mw.Collate(mw.Policy(mw.RandomCrop(9), mw.CutMix()), masks=kind)
        sampler = mw.KeyedSampler(6, epochs=1, shuffle=True)
        loader = DataLoader(mw.keyed(pairs), sampler=sampler, batch_size=3, collate_fn=collate)
        images, masks = next(iter(loader))
        assert type(masks).__name__ == name and images.shape == (3, 3, 9, 9) and len(masks) == 3


def test_a_loader_of_files_gives_one_tensor_of_maps(tmp_path) -> None:
    classes = maps(4)
    pairs = []
    for i, image in enumerate(painted(classes)):
        pixels = (image * 255).to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        pairs.append((tmp_path / f"{i}.png", classes[i]))
    policy = mw.Policy(mw.RandomCrop(9), mw.CutMix())
    for kind, name in (("semantic", "Tensor"), ("layers", "LayeredMasks")):
        loader = mw.Loader(pairs, policy, batch_size=4, epochs=1, masks=kind)
        images, masks = next(iter(loader))
        shown_classes = masks if kind == "semantic" else masks.classes[:, 0]
        assert type(masks).__name__ == name
        assert torch.equal(painted(shown_classes), images.float() / 255)


# ------------------------------------------------------------------------------------- ClassMix


@pytest.mark.parametrize(("part", "taken"), [(0.0, 0), (0.3, 0), (0.5, 1), (0.7, 2), (1.0, 3)])
def test_classmix_takes_a_part_of_the_partners_classes(part: float, taken: int) -> None:
    own, partner = torch.full((1, 9, 9), 7), torch.arange(9).div(3).long().expand(1, 9, 9)
    classes = torch.cat([own, partner]).to(torch.uint8)
    policy = mw.Policy(mw.ClassMix(part, pairing="flip"))
    for seed in range(5):
        images = classes[:, None].float() / 255
        out, made = mw.Augment(policy, masks="semantic", seed=seed)(images, classes)
        pasted = [k for k in range(3) if (made[0] == k).any()]
        assert len(pasted) == taken
        for k in range(3):  # all of a class or nothing, where it stands
            assert torch.equal(made[0] == k, (partner[0] == k) & (k in pasted))
        assert torch.equal(torch.round(out[:, 0] * 255), made.float())


def test_classmix_never_takes_the_ignored_class() -> None:
    classes = torch.stack([torch.zeros(4, 6), torch.full((4, 6), IGNORE)]).to(torch.uint8)
    classes[1, 0] = 5
    policy = mw.Policy(mw.ClassMix(1.0, pairing="flip"))
    made = mw.Augment(policy, masks="semantic")(torch.rand(2, 3, 4, 6), classes)[1]
    assert made[0, 0].tolist() == [5] * 6 and not made[0, 1:].any()


def test_classmix_chooses_every_class_alike_and_whatever_the_batch() -> None:
    classes = torch.arange(8)[:, None].div(2).long().repeat(1, 4)[None].repeat(2, 1, 1)
    counts = np.zeros(4)
    for index in range(200):
        keys = mw.Keys(np.arange(2) + 2 * index)
        plan = mw.Augment(mw.Policy(mw.ClassMix(pairing="flip")), masks="semantic").plan(
            [[8, 4]] * 2, keys, labels=classes
        )
        mask = plan.steps[0].mask  # type: ignore[union-attr]
        counts += (mask[:, ::2, 0] > 0).sum(axis=0)
    assert (np.abs(counts / 400 - 0.5) < 0.12).all()


def test_classmix_of_several_sizes_shows_what_fits() -> None:
    classes = [torch.zeros(6, 9, dtype=torch.uint8), torch.ones(9, 6, dtype=torch.uint8)]
    images = [torch.rand(3, 6, 9), torch.rand(3, 9, 6)]
    policy = mw.Policy(mw.ClassMix(1.0, pairing="flip"))
    out, made = mw.Augment(policy, masks="semantic")(images, classes)
    assert [tuple(one.shape) for one in made] == [(6, 9), (9, 6)]
    assert made[0][:, :6].all() and not made[0][:, 6:].any()
    assert torch.equal(out[0][:, :, :6], images[1][:, :6])


def test_classmix_follows_the_steps_before_it() -> None:
    """What is pasted is what the flipped partner shows."""
    classes = maps(4)
    policy = mw.Policy(mw.HorizontalFlip(p=1.0), mw.RandomCrop(12), mw.ClassMix())
    images, made = mw.Augment(policy, masks="semantic")(painted(classes), classes)
    torch.testing.assert_close(painted(made), images)


def test_classmix_without_class_maps_is_refused() -> None:
    images = torch.rand(2, 3, 8, 8)
    with pytest.raises(mw.PolicyError, match='masks="semantic"'):
        mw.Augment(mw.Policy(mw.ClassMix()), num_classes=3)(images, torch.tensor([0, 1]))


def test_boxes_are_not_guessed_from_class_maps() -> None:
    classes = maps()
    augment = mw.Augment(mw.Policy(mw.RandomIoUCrop()), masks="semantic")
    with pytest.raises(mw.PolicyError, match="looks at boxes"):
        augment(painted(classes), classes)


@pytest.mark.parametrize("op", [mw.RandomIoUCrop(), mw.BBoxSafeCrop(8)])
def test_nor_inside_a_sequence(op: Op) -> None:
    augment = mw.Augment(mw.Policy(Sequential(mw.HorizontalFlip(), op)), masks="semantic")
    with pytest.raises(mw.PolicyError, match="looks at boxes while it samples, got none"):
        augment(painted(maps()), maps())


def test_copypaste_takes_classes_for_things() -> None:
    classes = maps()
    policy = mw.Policy(mw.CopyPaste(1.0))
    images, made = mw.Augment(policy, masks="semantic")(painted(classes), classes)
    torch.testing.assert_close(painted(made), images)
    partner = mw.Augment(policy, masks="semantic").plan([[20, 26]] * 4, labels=classes)
    assert torch.equal(made, classes[partner.steps[0].source[:, 1].tolist()])  # type: ignore[union-attr]


def test_classmix_beside_boxes() -> None:
    classes = maps()
    box = torch.tensor([[2.0, 2.0, 20.0, 15.0]])
    targets = [{"boxes": box, "labels": torch.tensor([1]), "masks": one} for one in classes]
    augment = mw.Augment(mw.Policy(mw.ClassMix()), boxes="xyxy", masks="semantic")
    images, made = augment(painted(classes), targets)
    torch.testing.assert_close(painted(torch.stack([one["masks"] for one in made])), images)
    assert all("weights" in one for one in made)
