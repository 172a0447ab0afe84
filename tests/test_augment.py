"""`Augment`: forms of batches, modes, keys, state."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

import mixwell as mw
from mixwell.augment import Planned

torch.set_num_threads(1)

CLASSES = 3
SPICY = mw.Policy(
    mw.RandomCrop((13, 9), padding=2),
    mw.HorizontalFlip(),
    mw.Rotate(20),
    mw.Brightness((0.5, 1.5)),
    mw.OneOf(mw.MixUp(), mw.CutMix()),
)
ALONE = mw.Policy(*SPICY.ops[:-1])


def images(count: int = 5) -> torch.Tensor:
    made = np.random.default_rng(1).integers(0, 256, (count, 3, 17, 11), np.uint8)
    return torch.from_numpy(made)


def labels(count: int = 5) -> torch.Tensor:
    return torch.arange(count) % CLASSES


def keys(count: int = 5, epoch: int = 0) -> mw.Keys:
    return mw.Keys(np.arange(count), epoch=epoch, progress=0.25)


def spicy(**options) -> mw.Augment:
    return mw.Augment(SPICY, num_classes=CLASSES, **options)


def expected() -> tuple[torch.Tensor, torch.Tensor]:
    """What every form of the same batch must give."""
    return spicy()(images(), labels(), keys=keys())


def assert_pair(found, wanted) -> None:
    for a, b in zip(found, wanted, strict=True):
        assert type(a) is type(b)
        torch.testing.assert_close(a, b, rtol=0, atol=0)


# Forms of a batch


def test_pair_apart_or_together():
    for batch in ((images(), labels()), [images(), labels()]):
        assert_pair(spicy()(batch, keys=keys()), expected())


def test_a_dict_stays_a_dict_and_keeps_its_other_entries():
    path = object()
    out = spicy()({"image": images(), "label": labels(), "path": path}, keys=keys())
    assert list(out) == ["image", "label", "path"] and out["path"] is path
    assert_pair((out["image"], out["label"]), expected())


def test_a_getter_reads_any_structure():
    batch = {"x": images(), "meta": {"y": labels()}}
    found = spicy()(batch, getter=lambda b: (b["x"], b["meta"]["y"]), keys=keys())
    assert_pair(found, expected())


def test_images_alone():
    out = spicy()(images(), keys=keys())
    assert torch.equal(out, expected()[0])
    out = spicy()(list(images()), keys=keys())
    assert torch.equal(out, expected()[0])


def test_a_list_of_two_images_is_no_pair():
    out = mw.Augment(mw.Policy())([images()[0], images()[1]])
    assert isinstance(out, list) and torch.equal(torch.stack(out), images()[:2])


def test_numpy_in_numpy_out():
    x, y = spicy()(images().movedim(1, -1).numpy(), labels().numpy(), keys=keys())
    assert isinstance(x, np.ndarray) and x.dtype == np.uint8 and x.flags.c_contiguous
    assert isinstance(y, np.ndarray) and y.dtype == np.float32
    wanted = expected()
    np.testing.assert_array_equal(x, wanted[0].movedim(1, -1).numpy())
    np.testing.assert_array_equal(y, wanted[1].numpy())


def test_grey_numpy_images_gain_a_channel_axis():
    grey = images()[:, 0].numpy()
    x, _ = spicy()(grey, labels().numpy(), keys=keys())
    np.testing.assert_array_equal(x[..., 0], expected()[0][:, 0].numpy())


def hwc(image: torch.Tensor) -> np.ndarray:
    return image.movedim(0, -1).numpy()


@pytest.mark.parametrize(
    "form",
    [list, tuple, lambda b: [Image.fromarray(hwc(i)) for i in b]],
    ids=["list", "tuple", "PIL"],
)
def test_lists_are_stacked_when_the_policy_fixes_the_size(form):
    assert_pair(spicy()(form(images()), labels(), keys=keys()), expected())


def test_lists_of_arrays_give_one_array():
    x, y = spicy()([hwc(i) for i in images()], labels().tolist(), keys=keys())
    np.testing.assert_array_equal(x, expected()[0].movedim(1, -1).numpy())
    assert torch.equal(y, expected()[1])


def test_images_of_different_sizes():
    ragged = [images()[0], images()[1, :, :9], images()[2, :, :, :7]]
    crop = mw.Augment(mw.Policy(mw.RandomResizedCrop(8), mw.CutMix()), num_classes=CLASSES)
    x, y = crop(ragged, labels(3), keys=keys(3))
    assert x.shape == (3, 3, 8, 8) and y.shape == (3, CLASSES)
    flip = mw.Augment(mw.Policy(mw.HorizontalFlip()), num_classes=CLASSES)
    x, _ = flip(ragged, labels(3), keys=keys(3))
    assert [i.shape for i in x] == [i.shape for i in ragged]
    with pytest.raises(mw.PolicyError, match=r"CutMix needs images of one size.*Put Resize"):
        mw.Augment(mw.Policy(mw.CutMix(pairing="roll")), num_classes=CLASSES)(ragged, labels(3))


def test_a_variable_size_is_always_a_list():
    some = mw.Augment(mw.Policy(mw.Resize((8, 8), p=0.5)))
    for batch in (images(), list(images())):
        for epoch in range(3):
            assert isinstance(some(batch, keys=keys(epoch=epoch)), list)


@pytest.mark.parametrize("bad", [3, "images", {"image": 3, "label": 1}, torch.zeros(3, 4)])
def test_what_is_no_image_is_refused(bad):
    with pytest.raises(mw.TargetError, match=r"Images must be \[N, C, H, W\].*got"):
        spicy()(bad)


def test_a_list_with_a_stranger_is_refused():
    with pytest.raises(mw.TargetError, match=r"An image must be a tensor \[C, H, W\].*got str"):
        spicy()([images()[0], "cat.jpg"])
    with pytest.raises(mw.TargetError, match=r"got a dict with keys \['x'\]\. Pass getter="):
        spicy()({"x": images()})


# Options


def test_output_options_reach_the_renderer():
    plain, _ = expected()
    x, y = spicy(mean=(0.5,) * 3, std=(0.25,) * 3, memory_format=torch.channels_last)(
        images(), labels(), keys=keys()
    )
    assert x.dtype == y.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    # 1/255 is one level: without the bytes' rounding of the mix, pixels lie within half of one.
    assert ((x / 4 + 0.5) - plain / 255).abs().max() <= 0.5 / 255 + 1e-6
    half, y = spicy(dtype=torch.float16)(images(), labels(), keys=keys())
    assert half.dtype == torch.float16 and y.dtype == torch.float32


@pytest.mark.parametrize("count", [2, 3, 7])
def test_any_batch_size(count):
    x, y = spicy()(images(count), labels(count), keys=keys(count))
    assert len(x) == len(y) == count and (y.sum(1) - 1).abs().max() <= 1e-6


@pytest.mark.parametrize(
    "op", [mw.MixUp(), mw.CutMix(lam="pair"), mw.OneOf(mw.MixUp(), mw.CutMix())]
)
def test_one_image_has_no_partner(op):
    with pytest.raises(mw.PolicyError) as caught:
        mw.Augment(mw.Policy(op), num_classes=CLASSES)(images(1), labels(1))
    assert "needs at least 2 images in the batch, got 1. Set drop_last=True" in str(caught.value)
    assert "min_batch=2" in str(caught.value)


def test_the_cure_works():
    policy = mw.Policy(mw.Sometimes(mw.CutMix(), min_batch=2, p=1.0))
    augment = mw.Augment(policy, num_classes=CLASSES)
    x, y = augment(images(1), labels(1))
    assert torch.equal(x, images(1)) and y.tolist() == [[1, 0, 0]]
    assert ((augment(images(), labels(), keys=keys())[1] > 0).sum(1) > 1).any()


@pytest.mark.parametrize("policy", [SPICY, mw.Policy(mw.MixUp(lam="batch"), mw.CutMix(p=0.5))])
def test_no_images(policy):
    augment = mw.Augment(policy, num_classes=CLASSES)
    x, y = augment(images(0), labels(0))
    assert x.shape[:2] == (0, 3) and y.shape == (0, CLASSES)
    x, y = augment(np.zeros((0, 17, 11, 3), np.uint8), np.zeros(0, np.int64))
    assert len(x) == 0 and y.shape == (0, CLASSES)


def test_inputs_are_not_changed():
    for policy in (SPICY, mw.Policy(), mw.Policy(mw.RandomErasing(p=1.0)), mw.Policy(mw.MixUp())):
        x, y = images(), torch.nn.functional.one_hot(labels(), CLASSES).float()
        versions = x._version, y._version
        out, target = mw.Augment(policy, num_classes=CLASSES)(x, y)
        out += 1
        target += 1
        assert (x._version, y._version) == versions
        assert torch.equal(x, images()) and torch.equal(y.argmax(1), labels())


def test_arguments_are_checked():
    with pytest.raises(mw.PolicyError, match="takes a Policy, got HorizontalFlip"):
        mw.Augment(mw.HorizontalFlip())
    with pytest.raises(mw.TargetError, match=r'labels must be "dense".*got \'soft\''):
        mw.Augment(SPICY, labels="soft")
    with pytest.raises(mw.TargetError, match=r"dense targets need to know the classes: Augment"):
        mw.Augment(SPICY)(images(), labels())
    with pytest.raises(mw.BackendError, match="nonesuch"):
        mw.Augment(SPICY, backend="nonesuch", num_classes=CLASSES)(images(), labels())
    with pytest.raises(mw.PolicyError, match="got 5 sizes and 4 keys"):
        spicy()(images(), labels(), keys=keys(4))


# Targets


def test_kinds_of_targets():
    given = images(), labels()
    plan = spicy().plan([(17, 11)] * 5, keys())
    dense = spicy(smoothing=0.1)(*given, keys=keys())[1]
    assert torch.equal(dense, mw.dense_labels(labels(), plan, CLASSES, smoothing=0.1))
    sparse = mw.Augment(SPICY, labels="sparse")(*given, keys=keys())[1]
    assert torch.equal(sparse.dense(CLASSES), spicy()(*given, keys=keys())[1])
    many = torch.tensor([[1.0, 1.0, 0.0]] * 5)
    both = spicy(labels="multilabel", smoothing=0.2)(images(), many, keys=keys())[1]
    torch.testing.assert_close(both, many * 0.8 + 0.1)


FAR = {
    "dense": ({}, labels()),
    "smoothed": ({"smoothing": 0.1, "ignore_index": 2, "background": 0}, labels()),
    "sparse": ({"labels": "sparse"}, labels()),
    "weighted": ({}, mw.targets.Weighted(labels(), torch.ones(5))),
    "rows": ({}, torch.eye(CLASSES)[labels()]),
    "many": ({"labels": "multilabel"}, torch.eye(CLASSES)[labels()]),
}


def moved(given, device: str):
    """Labels on another device."""
    if isinstance(given, mw.targets.Weighted):
        return mw.targets.Weighted(*(part.to(device) for part in given))
    return given.to(device)


@pytest.mark.parametrize(("options", "given"), FAR.values(), ids=FAR)
def test_labels_that_lie_elsewhere_are_not_read(options, given):
    """The host would wait for a GPU; "meta" tensors have no numbers to read at all."""
    x, near = spicy(**options)(images(), given, keys=keys())
    same, far = spicy(**options)(images(), moved(given, "meta"), keys=keys())
    assert torch.equal(x, same)
    for one, other in zip(*((y.classes, y.shares) if hasattr(y, "shares") else (y,)
                            for y in (near, far)), strict=True):  # fmt: skip
        assert other.is_meta and other.shape == one.shape and other.dtype == one.dtype


def test_labels_that_lie_elsewhere_are_read_for_pairings_by_class():
    for op in (mw.MixUp(pairing="same_class"), mw.OneOf(mw.Identity(), mw.CutMix(
            pairing="different_class"))):  # fmt: skip
        augment = mw.Augment(mw.Policy(op), num_classes=CLASSES)
        augment(images(), labels(), keys=keys())
        with pytest.raises(NotImplementedError, match="meta"):
            augment(images(), labels().to("meta"), keys=keys())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: unproven that nothing waits")
@pytest.mark.parametrize(("options", "given"), FAR.values(), ids=FAR)
def test_nothing_waits_for_labels_on_a_gpu(options, given):
    augment = spicy(mean=(0.5,) * 3, std=(0.2,) * 3, backend="triton", **options)
    x, y = images().cuda(), moved(given, "cuda")
    augment(x, y, keys=keys())  # compiles, and fetches constants
    torch.cuda.set_sync_debug_mode("error")
    try:
        augment(x, y, keys=keys())
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_labels_and_pixels_come_from_one_plan():
    """Fused once; `plan`, `render` and `targets` together are what a call does."""
    augment = spicy()
    plan = augment.plan([(17, 11)] * 5, keys())
    assert_pair(augment.render(Planned(images(), labels(), plan)), expected())
    assert torch.equal(mw.render(images(), plan), expected()[0])
    assert torch.equal(augment.targets(labels(), plan), expected()[1])


def test_the_plan_is_fused_unless_told_otherwise():
    def warps(augment: mw.Augment) -> int:
        edit = augment.plan([(17, 11)] * 5, keys()).steps[0]
        return int(np.isin(edit.code, (mw.Code.WARP, mw.Code.RESIZE)).sum(axis=1).max())

    assert (warps(spicy()), warps(spicy(fuse=False))) == (1, 3)
    sampled = SPICY.sample([(17, 11)] * 5, keys=keys())
    assert spicy(fuse=False).plan([(17, 11)] * 5, keys()).digest() == sampled.digest()
    assert spicy().plan([(17, 11)] * 5, keys()).digest() == sampled.fused().digest()


# Modes


def test_evaluation_leaves_labels_and_images():
    augment = mw.Augment(mw.Policy(mw.HorizontalFlip(), mw.CutMix()), num_classes=CLASSES)
    assert augment.training and augment.eval() is augment and not augment.training
    given = labels()
    x, y = augment(images(), given)
    assert torch.equal(x, images()) and y is given
    assert augment.train() is augment and augment.training
    assert augment(images(), given)[1].shape == (5, CLASSES)
    assert not augment.train(False).training


def test_evaluation_policy():
    augment = spicy(eval_policy=mw.Policy(mw.CenterCrop((13, 9))))
    x, y = augment.eval()(images(), labels())
    assert torch.equal(x, images()[:, :, 2:15, 1:10]) and torch.equal(y, labels())
    assert augment.out_size == (13, 9)
    assert_pair(augment.train()(images(), labels(), keys=keys()), expected())


def test_evaluation_is_refused_when_training_changes_sizes():
    with pytest.raises(mw.PolicyError, match=r"images of \(13, 9\), so evaluation.*eval_policy="):
        spicy().eval()
    with pytest.raises(mw.PolicyError, match="images of variable"):
        mw.Augment(mw.Policy(mw.Resize((8, 8), p=0.5))).eval()


# Keys and state


def test_without_keys_rows_are_numbered_in_call_order():
    augment = spicy(seed=3)
    augment.set_epoch(2)
    first, second = augment(images(), labels()), augment(images(3), labels(3))
    for found, start, count in ((first, 0, 5), (second, 5, 3)):
        told = mw.Keys(np.arange(start, start + count), epoch=2, step=start)
        assert_pair(found, spicy(seed=3)(images(count), labels(count), keys=told))
    augment.set_epoch(2)
    assert_pair(augment(images(), labels()), first)


def test_state_resumes_with_the_same_next_batch():
    augment = spicy(seed=3)
    augment.set_epoch(4)
    augment(images(), labels())
    state = augment.state_dict()
    ahead = augment(images(), labels())
    again = spicy(seed=3)
    again.load_state_dict(state)
    assert_pair(again(images(), labels()), ahead)
    assert again.state_dict() == {"epoch": 4, "position": 10, "seed": 3}
    with pytest.raises(mw.PolicyError, match="state was made with seed 3, this Augment has seed 4"):
        spicy(seed=4).load_state_dict(state)


def test_draws_follow_keys_not_calls():
    augment = mw.Augment(ALONE, num_classes=CLASSES)
    whole = augment(images(), keys=keys())
    order = [3, 0, 4, 1, 2]
    turned = augment(images()[order], keys=keys().take(np.array(order)))
    assert torch.equal(turned, whole[order])
    assert not torch.equal(augment(images(), keys=keys(epoch=1)), whole)
    assert not torch.equal(mw.Augment(ALONE, seed=1)(images(), keys=keys()), whole)


def test_a_plan_is_the_same_in_another_process():
    code = (
        "import numpy as np, mixwell as mw\n"
        "from mixwell.policy.presets import parse_policy\n"
        f"augment = mw.Augment(parse_policy({repr(SPICY)!r}), num_classes=3, seed=5)\n"
        "keys = mw.Keys(np.arange(5), epoch=0, progress=0.25)\n"
        "print(augment.plan([(17, 11)] * 5, keys).digest())\n"
    )
    path = {"PYTHONPATH": ":".join(p for p in sys.path if p), "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=path, check=True
    )
    assert done.stdout.strip() == spicy(seed=5).plan([(17, 11)] * 5, keys()).digest()


# One image


@pytest.mark.parametrize("form", ["tensor", "array", "PIL"])
def test_one_image_in_any_form(form):
    augment = mw.Augment(ALONE)
    given = {"tensor": lambda i: i, "array": hwc, "PIL": lambda i: Image.fromarray(hwc(i))}[form]
    key = mw.Key(index=2, copy=0, epoch=0, position=0, progress=0.25, rank=0)
    out = augment.one(given(images()[2]), key=key)
    wanted = augment(images(), keys=keys())[2]
    assert isinstance(out, np.ndarray) == (form == "array")
    assert torch.equal(torch.as_tensor(out), wanted.movedim(0, -1) if form == "array" else wanted)


def test_single_images_are_numbered_too():
    augment = mw.Augment(ALONE)
    found = torch.stack([augment.one(i) for i in images()])
    assert torch.equal(found, mw.Augment(ALONE)(images()))
    assert augment.state_dict()["position"] == 5


def test_one_image_of_a_mixing_policy_is_refused():
    with pytest.raises(mw.PolicyError, match=r"one image, and this policy mixes.*mixwell\.Collate"):
        spicy().one(images()[0])
    augment = spicy(eval_policy=mw.Policy(mw.CenterCrop(8))).eval()
    assert augment.one(images()[0]).shape == (3, 8, 8)


def test_inside_an_image_folder(tmp_path):
    for i, image in enumerate(images(4)):
        folder = tmp_path / "ab"[i % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(hwc(image)).save(folder / f"{i}.png")
    augment = mw.Augment(ALONE, mean=(0.5,) * 3, std=(0.5,) * 3)
    folder = ImageFolder(str(tmp_path), transform=augment.one)
    found = [folder[i] for i in range(4)]
    wanted = mw.Augment(ALONE, mean=(0.5,) * 3, std=(0.5,) * 3)(images(4)[[0, 2, 1, 3]])
    assert torch.equal(torch.stack([x for x, _ in found]), wanted)
    assert [y for _, y in found] == [0, 0, 1, 1]
