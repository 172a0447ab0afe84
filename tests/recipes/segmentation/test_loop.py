"""Training segmentation networks: what is promised of runs, and what a folder holds afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mixwell as mw
from mixwell.recipes.segmentation import loop
from mixwell.recipes.segmentation.config import SegmentConfig, resolved
from mixwell.recipes.segmentation.data import load_folder
from mixwell.recipes.segmentation.fcn import FCN
from mixwell.recipes.segmentation.loop import PlainCollate, predictions, train
from mixwell.recipes.segmentation.models import Built
from mixwell.recipes.segmentation.policies import SUMMARIES, segmentation_policy
from mixwell.recipes.segmentation.segment import load_segmenter, segment
from mixwell.recipes.settings import as_json, from_json
from mixwell.targets import LayeredMasks
from tests.recipes.segmentation.files import pairs

CROP = (24, 32)


def tiny(name: str, num_classes: int, **_: object) -> Built:
    """A network that learns stripes of colour in a second."""
    convolution = torch.nn.Conv2d(3, 8, 2, 2)
    network = FCN(torch.nn.Sequential(convolution, torch.nn.ReLU()), 8, 2, num_classes)
    return Built(network.train(), (0.5,) * 3, (0.5,) * 3, loaded=False)


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "build_segmenter", tiny)
    monkeypatch.setattr("mixwell.recipes.segmentation.segment.build_segmenter", tiny)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pairs(tmp_path / "set/train/images", tmp_path / "set/train/masks", 6)
    pairs(tmp_path / "set/val/images", tmp_path / "set/val/masks", 2, start=7)
    return tmp_path / "set"


def config(folder: Path, **changes) -> SegmentConfig:
    quick = {"epochs": 3, "batch_size": 3, "num_workers": 0, "lr": 0.02, "precision": "32-true"}
    plain = {"crop": CROP, "tile": (32, 32), "quiet": True, "measure_every": 1, "pictures": 2}
    return resolved(SegmentConfig(data=str(folder), **(quick | plain | changes)))


def run(folder: Path, policy: str = "segment-plain", **changes) -> loop.SegmentResult:
    made = config(folder, **changes)
    more = {k: changes.pop(k) for k in ("checkpoint", "resume") if k in changes}
    return train(made, load_folder(folder), segmentation_policy(policy, CROP), **more)


def weights(result: loop.SegmentResult) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in result.model.parameters()])


def test_it_learns_colours(small_network: None, folder: Path) -> None:
    result = run(folder, epochs=15)
    assert result.measured is not None and result.train_loss is not None
    assert result.measured.pixel_accuracy > 0.9 and result.measured.mean_iou > 0.8
    assert result.train_loss < result.history[0]["train_loss"]
    assert result.measured.images == 2 and result.epochs == 15


@pytest.mark.parametrize("policy", SUMMARIES)
def test_every_ready_made_policy_trains(small_network: None, folder: Path, policy: str) -> None:
    result = run(folder, policy, epochs=1)
    assert result.train_loss is not None and np.isfinite(result.train_loss)


def test_equal_seeds_begin_alike_whatever_the_policy(small_network: None, folder: Path) -> None:
    one, other = run(folder, epochs=1), run(folder, "segment-cutmix", epochs=1)
    assert one.initial_digest == other.initial_digest and one.order_digest == other.order_digest
    assert run(folder, epochs=1, seed=1).initial_digest != one.initial_digest
    assert torch.equal(weights(one), weights(run(folder, epochs=1)))


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    small_network: None, folder: Path, tmp_path: Path
) -> None:
    whole = run(folder)
    data, policy = load_folder(folder), segmentation_policy("segment-plain", CROP)
    made, file = config(folder), tmp_path / "c.pt"
    steps = 0

    def stop() -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise KeyboardInterrupt

    first = train(made, data, policy, checkpoint=file, on_step=stop)
    assert first.interrupted and first.epochs == 1
    second = train(made, data, policy, checkpoint=file, resume=True)
    assert torch.equal(weights(second), weights(whole)) and second.epochs == 3
    with pytest.raises(mw.DataError, match="own settings only, got batch_size=2"):
        train(replace(made, batch_size=2), data, policy, checkpoint=file, resume=True)


def test_layers_only_where_a_batch_needs_them(folder: Path) -> None:
    data = load_folder(folder).train
    samples = [mw.keyed(data)[key] for key in mw.KeyedSampler(len(data), epochs=1)]
    for policy, layered in ((mw.Policy(mw.CutMix()), False), (mw.Policy(mw.MixUp()), True)):
        _, masks = PlainCollate(mw.Collate(policy, masks="layers"))(samples)
        assert isinstance(masks, LayeredMasks) == layered


def test_measuring_at_another_size(small_network: None, folder: Path) -> None:
    made = config(folder, resize=(48, 80))
    built = tiny("", 3)
    for image, truth, found in predictions(built, load_folder(folder).val, made):
        assert image.shape[1:] == truth.shape == found.shape == (48, 80)
        assert set(truth.unique().tolist()) <= {0, 1, 2}


def test_a_folder_of_a_run(small_network: None, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = segment(config(folder, out=out, epochs=2))
    names = {path.name for path in out.iterdir()}
    assert names == {"config.json", "history.csv", "result.json", "pictures.png", "checkpoint.pt"}
    written = json.loads((out / "result.json").read_text())
    assert result.measured is not None
    assert written["mean_iou"] == result.measured.mean_iou and written["epochs"] == 2
    assert len((out / "history.csv").read_text().splitlines()) == 3
    with Image.open(out / "pictures.png") as picture:
        assert picture.width > 3 * 32
    built, again, classes = load_segmenter(out)
    theirs = result.model.state_dict()
    assert all(torch.equal(v, theirs[k]) for k, v in built.model.state_dict().items())
    assert again.crop == CROP and again.data == str(folder) and not built.model.training
    assert classes == ("0", "1", "2")
    with pytest.raises(mw.DataError, match="a folder without one"):
        segment(config(folder, out=out))


def test_small_images_are_padded_or_dropped(
    small_network: None, folder: Path, tmp_path: Path
) -> None:
    pairs(folder / "train/images", folder / "train/masks", 2, start=20, size_hw=(9, 40))
    kept = segment(config(folder, epochs=1, out=tmp_path / "pad", pictures=0))
    assert kept.skipped == {} and len(kept.history) == 1
    dropped = segment(config(folder, epochs=1, small="drop", out=tmp_path / "drop", pictures=0))
    assert dropped.skipped == {"smaller than the crop": 2}
    with pytest.raises(mw.DataError, match="got none among 8"):
        segment(config(folder, small="drop", crop=(400, 400), out=tmp_path / "none"))
    resize = {"small": "drop", "resize": (30, 20), "epochs": 1, "pictures": 0}
    with pytest.raises(mw.DataError, match="resize makes all of them 30 x 20 px"):
        segment(config(folder, **resize, out=tmp_path / "none"))
    assert segment(config(folder, **resize, crop=(30, 20), out=tmp_path / "one")).skipped == {}


def test_norms_that_know_nothing_are_held_in_training(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    held: list[bool] = []

    def folded(name: str, num_classes: int, **_: object) -> Built:
        layers = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 2, 2), torch.nn.BatchNorm2d(8))
        layers[1].register_forward_pre_hook(lambda layer, _: held.append(not layer.training))
        network = FCN(layers, 8, 2, num_classes).train()
        return Built(network, (0.5,) * 3, (0.5,) * 3, loaded=True, folded=True)

    monkeypatch.setattr(loop, "build_segmenter", folded)
    run(folder, epochs=1, freeze_norms=False)
    assert held and all(held)


def test_the_head_learns_faster_than_a_loaded_backbone(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(loop, "build_segmenter", tiny)
    seen: dict[float, float] = {}
    step = torch.optim.AdamW.step

    def spy(self, *args, **options):
        for group in self.param_groups:
            seen[group["lr_scale"]] = group["lr"]
        return step(self, *args, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    run(folder, epochs=1, head_lr=10.0, schedule="constant")
    assert seen == pytest.approx({1.0: 0.02, 10.0: 0.2})


# ------------------------------------------------------------------------------ plain values


def test_configs_survive_json() -> None:
    made = resolved(SegmentConfig(data="x", resize=(96, 128)))
    assert from_json(SegmentConfig, json.loads(json.dumps(as_json(made)))) == made
    assert made.crop == (96, 128) and made.head_lr == 1.0 and not made.freeze_norms
    loaded = resolved(SegmentConfig(weights="w.pth"))
    assert loaded.head_lr == 10.0 and loaded.freeze_norms and loaded.lr == 1e-4
    assert loaded.crop == (128, 128) and loaded.stride == 8
    assert made.stride is None and resolved(SegmentConfig(model="fcn_resnet50")).stride is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop": (4, 64)}, r"crop must lie in 8 \.\. 8192, got \(4, 64\)"),
        ({"tile": (32, 40)}, "multiples of 32 px"),
        ({"small": "skip"}, "small must be one of pad, drop"),
        ({"smoothing": 2.0}, "smoothing must lie"),
        ({"seed": -1}, "seed must lie"),
    ],
)
def test_values_that_mean_nothing(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentConfig(**change)


@pytest.mark.parametrize("flip", [True, False])
def test_policies_never_rescale_unless_asked(flip: bool) -> None:
    for name in SUMMARIES:
        policy = segmentation_policy(name, CROP, flip=flip)
        assert policy.out_size == CROP
        assert ("Resize" in repr(policy)) == (name == "segment-scale")
        assert "HorizontalFlip" not in repr(policy) or flip
    resized = segmentation_policy("segment-plain", CROP, resize=(48, 64))
    assert repr(resized).startswith("Policy(Resize((48, 64)), RandomCrop((24, 32)")


def test_policies_of_ones_own() -> None:
    code = "Policy(RandomCrop(16, pad_if_needed=True), CutMix())"
    assert repr(segmentation_policy(code, CROP)) == code
    with pytest.raises(mw.PolicyError, match="which may give several"):
        segmentation_policy("Policy(HorizontalFlip())", CROP)
    with pytest.raises(mw.PolicyError, match="is one of segment-none"):
        segmentation_policy("standard", CROP)
