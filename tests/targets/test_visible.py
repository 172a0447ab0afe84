"""Shares after pixels moved behind a mix: what painted images still show is what labels say.

Image i is painted full in channel i; the share of a channel's mass among all is the share of image
i that is seen, fill (zero in every channel) not counted.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mixwell as mw
from mixwell.targets import visible_sources

torch.set_num_threads(1)

SIZE = (48, 40)
COUNT = 5
FLOAT = 2e-6  # float32 pixels and labels
TURNED = 0.01
"""A turned edge crosses the pixel grid everywhere: what a bilinear op smears to one side of it,
and the nearest pixel does not, cancels along the edge. A net twentieth of a pixel along edges of
2 x 88 px is 9 of 1920 pixels."""


def scaled(height: int, width: int) -> float:
    """A resized rectangle's edges lie along the grid, and each may be half an output pixel away
    from where the nearest pixel puts it: one row, one column and one corner of the output."""
    return 1 / height + 1 / width + 1 / (height * width)


def painted(dtype=torch.float32) -> torch.Tensor:
    images = torch.zeros((COUNT, COUNT, *SIZE), dtype=dtype)
    images[range(COUNT), range(COUNT)] = 1 if dtype == torch.float32 else 255
    return images


def augmented(policy: mw.Policy, epoch: int, dtype=torch.float32, **options):
    augment = mw.Augment(policy, num_classes=COUNT, shares="visible", **options)
    keys = mw.Keys(np.arange(COUNT), epoch=epoch)
    return augment(painted(dtype), torch.arange(COUNT), keys=keys)


def seen(images: torch.Tensor) -> torch.Tensor:
    """float64 [B, K]: each channel's part of all that is not fill."""
    mass = images.double().sum(dim=(2, 3))
    return mass / mass.sum(dim=1, keepdim=True).clamp_min(1e-9)


BY_PIXELS = {
    "crop": (mw.RandomCrop((20, 24)),),
    "padded crop": (mw.RandomCrop(SIZE, padding=12),),
    "flip and crop": (mw.HorizontalFlip(), mw.RandomCrop((31, 17)), mw.VerticalFlip()),
    "rotation, nearest": (mw.Rotate(60, interp="nearest"),),
    "affine, nearest": (
        mw.Affine(degrees=30, translate=(0.3, 0.3), scale=(0.6, 1.7), interp="nearest"),
    ),
    "several, fused": (
        mw.Rotate(40, interp="nearest"),
        mw.RandomCrop((30, 30), padding=4),
        mw.ShearX(0.4, interp="nearest"),
    ),
    "tone between": (mw.Brightness((0.8, 1.2), p=0.0), mw.CenterCrop((24, 60))),
}
SMOOTH = {
    "rotation": ((mw.Rotate(45),), TURNED),
    "rotation and crop": ((mw.Rotate(20), mw.RandomCrop((36, 30))), TURNED),
    "resize": ((mw.Resize((24, 30)),), scaled(24, 30)),
    "crop and resize": ((mw.RandomResizedCrop((32, 28), scale=(0.5, 1.0)),), scaled(32, 28)),
}
MIXES = {
    "cutmix": mw.CutMix(),
    "mixup": mw.MixUp(),
    "one of": mw.OneOf(mw.MixUp(), mw.CutMix()),
}


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("moves", BY_PIXELS)
def test_whole_pixels_are_counted_exactly(moves, mix):
    for epoch in range(4):
        x, y = augmented(mw.Policy(MIXES[mix], *BY_PIXELS[moves]), epoch)
        assert (seen(x) - y).abs().max() <= FLOAT


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("moves", SMOOTH)
def test_smooth_movements_within_the_tolerance(moves, mix):
    ops, tolerance = SMOOTH[moves]
    for epoch in range(4):
        x, y = augmented(mw.Policy(MIXES[mix], *ops), epoch)
        assert (seen(x) - y).abs().max() <= tolerance


def test_bytes_are_counted_alike():
    for epoch in range(4):
        x, y = augmented(mw.Policy(mw.CutMix(), *BY_PIXELS["crop"]), epoch, torch.uint8)
        assert (seen(x) - y).abs().max() <= FLOAT


def test_fusing_does_not_change_what_is_seen():
    policy = mw.Policy(mw.CutMix(), *BY_PIXELS["flip and crop"])
    fused, plain = (augmented(policy, 0, fuse=fuse)[1] for fuse in (True, False))
    assert torch.equal(fused, plain)


def test_exact_shares_would_be_wrong_here():
    """The tests above can fail: without following the moves, labels are far off."""
    policy = mw.Policy(mw.CutMix(), mw.RandomCrop((20, 24)))
    worst = 0.0
    for epoch in range(4):
        x, _ = augmented(policy, epoch)
        keys = mw.Keys(np.arange(COUNT), epoch=epoch)
        plan = policy.sample(np.full((COUNT, 2), SIZE), keys=keys)
        y = mw.dense_labels(torch.arange(COUNT), plan, COUNT)
        worst = max(worst, float((seen(x) - y).abs().max()))
    assert worst > 10 * TURNED


def test_refused_unless_asked_for():
    for move in (mw.Rotate(10), mw.RandomCrop(8), mw.HorizontalFlip(), mw.RandAugment()):
        with pytest.raises(mw.PolicyError) as caught:
            mw.Augment(mw.Policy(mw.CutMix(), move), num_classes=2)
        assert str(caught.value) == (
            "A geometric op after a mix cuts away parts of the mixed image, so the label shares of "
            "the mix no longer hold. Put the mix last, or set shares='visible'."
        )


def test_not_refused_when_nothing_moves():
    for op in (
        mw.Brightness((0.5, 1.5)),
        mw.RandomErasing(),
        mw.Cutout(4),
        mw.GaussianBlur((1, 2)),
    ):
        mw.Augment(mw.Policy(mw.Rotate(10), mw.CutMix(), op), num_classes=2)


def plan_of(*ops: object, size=SIZE) -> mw.Plan:
    return mw.Policy(*ops).sample(np.full((COUNT, 2), size), keys=mw.Keys(np.arange(COUNT)))


@pytest.mark.parametrize(
    "ops",
    [
        (mw.HorizontalFlip(),),
        (mw.Rotate(20), mw.CutMix()),
        (mw.CutMix(), mw.RandomErasing(p=1.0)),
        (mw.CutMix(), mw.Brightness((0.5, 1.5)), mw.GaussianBlur((1.0, 2.0))),
        (mw.MixUp(), mw.CutMix()),
        (mw.MixUp(), mw.Brightness((0.5, 1.5)), mw.CutMix(), mw.Cutout(4)),
    ],
    ids=["no mix", "mix last", "erased", "tone", "two mixes", "two mixes and tone"],
)
def test_without_later_moves_shares_are_exact(ops):
    plan = plan_of(*ops)
    for found, expected in zip(visible_sources(plan), plan.sources(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_an_output_of_fill_alone_shows_nothing():
    gone = (1.0, 1.0)
    plan = plan_of(mw.CutMix(), mw.TranslateX(gone))
    assert (visible_sources(plan)[1] == 0).all()
    _, y = augmented(mw.Policy(mw.CutMix(), mw.TranslateX(gone)), 0)
    assert (y == 0).all()


def test_images_of_different_sizes_after_the_mix():
    plan = plan_of(mw.CutMix(), mw.RandomCrop((9, 7), p=0.5))
    assert len({tuple(hw) for hw in plan.out_hw.tolist()}) == 2
    assert visible_sources(plan)[1].sum(axis=1) == pytest.approx(np.ones(COUNT), abs=1e-12)


def test_several_mixes_before_a_move_are_counted_as_painted():
    for ops in (
        (mw.MixUp(), mw.CutMix(), mw.RandomCrop((20, 24))),
        (mw.CutMix(), mw.RandomCrop((30, 31), padding=3), mw.CutMix()),
        (mw.CutMix(), mw.HorizontalFlip(), mw.MixUp(), mw.RandomCrop((9, 12))),
        (mw.FMix(), mw.RandomCrop((30, 31)), mw.FMix(), mw.RandomCrop((20, 20))),
    ):
        for epoch in range(3):
            x, y = augmented(mw.Policy(*ops), epoch)
            assert (seen(x) - y).abs().max() <= FLOAT


def test_copies_that_are_edited_and_added_stay_whole():
    """AugMix adds turned copies; what its fill hides is the image's own."""
    plan = plan_of(mw.AugMix(), mw.Rotate(10))
    rows, shares = visible_sources(plan)
    own = np.where(rows == np.arange(COUNT)[:, None], shares, 0).sum(axis=1)
    assert own == pytest.approx(np.ones(COUNT), abs=1e-9)
    for found, expected in zip(
        visible_sources(plan_of(mw.AugMix())), plan_of(mw.AugMix()).sources(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_labels_set_against_what_is_seen_have_no_say():
    plan, honest = plan_of(mw.CutMix(label="lambda")), plan_of(mw.CutMix())
    assert not np.array_equal(plan.sources()[1], honest.sources()[1])
    np.testing.assert_array_equal(visible_sources(plan)[1], honest.sources()[1])
    crop = mw.RandomCrop((20, 24))
    moved, honest = plan_of(mw.CutMix(label="lambda"), crop), plan_of(mw.CutMix(), crop)
    np.testing.assert_array_equal(visible_sources(moved)[1], visible_sources(honest)[1])


def test_what_an_image_brings_along_is_its_own():
    """Padding from before the mix counts as the image, wherever it is moved afterwards."""
    plan = plan_of(mw.TranslateX((0.5, 0.5)), mw.CutMix(), mw.RandomCrop((20, 24)))
    bare = mw.Plan(plan.in_hw, plan.steps[1:])
    for found, expected in zip(visible_sources(plan), visible_sources(bare), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert (visible_sources(plan)[1] < 1).any()


def test_a_row_does_not_depend_on_its_neighbours():
    plan = plan_of(mw.CutMix(p=0.5), mw.TranslateX((0.6, 0.6)))
    whole = visible_sources(plan)
    for row in range(COUNT):
        one = plan[row]
        rows, shares = visible_sources(one)
        assert one.inputs[rows].tolist() == plan.inputs[whole[0][row]][None].tolist()
        assert shares == pytest.approx(whole[1][row][None], abs=1e-7)
