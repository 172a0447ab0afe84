"""The loop, on a few digits and a network small enough for milliseconds."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import mixwell as mw
from mixwell.recipes import loop
from mixwell.recipes.classify import ClassifyConfig, classify
from mixwell.recipes.config import TrainConfig, policies_for, resolved, subset
from mixwell.recipes.data import ArraySet, TrainTest, load_dataset
from mixwell.recipes.loop import make_fabric, train
from mixwell.recipes.optim import AveragedWeights, build_optimizer, lr_factor
from mixwell.recipes.result import weights_digest

CONFIG = resolved(TrainConfig(epochs=4, batch_size=16, threads=1, devices=1))
MIXED = mw.Policy(mw.RandomCrop((8, 8), padding=1), mw.CutMix())


class Tiny(nn.Module):
    """A linear map with dropout, so that PyTorch's generator matters too."""

    def __init__(self, classes=10):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.linear = nn.Linear(192, classes)

    def forward(self, x):
        return self.linear(nn.functional.dropout(self.norm(x).flatten(1), 0.2, self.training))


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data():
    return subset(load_dataset("digits"), 0.05)


@pytest.fixture(scope="module")
def fabric():
    return make_fabric(CONFIG)


def run(data, fabric, policy=MIXED, config=CONFIG, **options):
    return train(config, data, policy, network=Tiny, fabric=fabric, **options)


class _StopsAfter:
    """An `on_epoch` that behaves like Ctrl-C right after an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def __call__(self, row):
        if row["epoch"] == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stop", [1, 3])
@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_resumed_is_uninterrupted(data, fabric, tmp_path, stop, ema, optimizer):
    config = replace(CONFIG, ema=ema, optimizer=optimizer, lr=0.01)
    whole = run(data, fabric, config=config, seed=3)
    path = tmp_path / "checkpoint.pt"
    part = run(data, fabric, config=config, seed=3, checkpoint=path, on_epoch=_StopsAfter(stop))
    assert part.interrupted
    assert part.epochs == stop
    rest = run(data, fabric, config=config, seed=3, checkpoint=path, resume=True)
    assert weights_digest(rest.model) == weights_digest(whole.model)
    assert rest.order_digest == whole.order_digest
    assert [r["train_loss"] for r in rest.history] == [r["train_loss"] for r in whole.history]
    assert not path.with_name("checkpoint.pt.new").exists()


def test_stopped_within_an_epoch_goes_on_from_the_last_whole_one(data, fabric, tmp_path):
    steps = []

    def on_step():
        steps.append(1)
        if len(steps) == 6:  # of 4 in an epoch
            raise KeyboardInterrupt

    whole = run(data, fabric)
    path = tmp_path / "checkpoint.pt"
    part = run(data, fabric, checkpoint=path, on_step=on_step)
    assert (part.interrupted, part.epochs) == (True, 1)
    rest = run(data, fabric, checkpoint=path, resume=True)
    assert weights_digest(rest.model) == weights_digest(whole.model)


def test_stopped_at_once_gives_an_empty_result(data, fabric):
    def on_step():
        raise KeyboardInterrupt

    part = run(data, fabric, on_step=on_step)
    assert (part.interrupted, part.epochs, part.images_per_second) == (True, 0, 0.0)
    assert json.loads(json.dumps(part.as_json(), allow_nan=False))["test_accuracy"] is None


def test_seed_decides_weights_and_order_whatever_the_policy(data, fabric):
    first, other = run(data, fabric), run(data, fabric, policy=mw.Policy())
    assert first.initial_digest == other.initial_digest
    assert first.order_digest == other.order_digest
    assert weights_digest(first.model) != weights_digest(other.model)
    reseeded = run(data, fabric, seed=1)
    assert reseeded.initial_digest != first.initial_digest
    assert reseeded.order_digest != first.order_digest


def test_recorded_order_is_what_was_trained_on(data, fabric, monkeypatch):
    seen = []
    original = mw.Augment.__call__

    def spy(self, images, labels=None, *, keys=None, **more):
        if self.policy == MIXED:
            seen.append(keys.index)
        return original(self, images, labels, keys=keys, **more)

    monkeypatch.setattr(mw.Augment, "__call__", spy)
    result = run(data, fabric)
    steps = len(seen) // 4
    orders = [np.concatenate(seen[i * steps : (i + 1) * steps]) for i in range(4)]
    recorded = [row["order"] for row in result.history]
    assert [loop.array_digest(order) for order in orders] == recorded
    assert len(set(recorded)) == 4


def test_callers_random_state_is_untouched(data, fabric):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(data, fabric)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("tta", [False, True])
@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_measured_accuracy_by_hand(data, fabric, tta, ema):
    config = replace(CONFIG, train_accuracy=True, tta=tta, ema=ema)
    result = run(data, fabric, config=config)
    model = result.model.eval()
    for images, found in ((data.test, result.test_accuracy), (data.train, result.train_accuracy)):
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (data.mean, data.std))
        pixels = (images.tensor().float() / 255 - mean) / std
        with torch.no_grad():
            logits = model(pixels) + (model(pixels.flip(3)) if tta else 0)
        hits = int((logits.argmax(1) == torch.from_numpy(images.labels)).sum())
        assert found == hits / len(images)
    assert 0 < result.mixed_accuracy < 1


def test_learns(data, fabric):
    result = run(data, fabric, policy=mw.Policy(), config=replace(CONFIG, epochs=10))
    assert result.test_accuracy > 0.8
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]


def test_measure_every_leaves_gaps_but_not_at_the_end(data, fabric):
    result = run(data, fabric, config=replace(CONFIG, measure_every=3))
    measured = [row["test_accuracy"] is not None for row in result.history]
    assert measured == [False, False, True, True]
    whole = run(data, fabric)
    assert result.test_accuracy == whole.test_accuracy


def test_bf16_and_bce_and_smoothing_train(data, fabric):
    config = replace(CONFIG, precision="bf16-mixed", loss="bce", smoothing=0.1, lr=0.5)
    result = run(data, make_fabric(config), policy=mw.Policy(), config=config)
    assert result.test_accuracy > 0.5
    assert result.model.linear.weight.dtype == torch.float32


def test_checkpoint_of_other_settings_is_refused(data, fabric, tmp_path):
    path = tmp_path / "checkpoint.pt"
    run(data, fabric, checkpoint=path)
    with pytest.raises(mw.DataError, match=r"momentum=0\.5 instead of 0\.9"):
        run(data, fabric, checkpoint=path, resume=True, config=replace(CONFIG, momentum=0.5))
    with pytest.raises(mw.DataError, match="policy="):
        run(data, fabric, checkpoint=path, resume=True, policy=mw.Policy())


def test_too_few_logits_are_refused(data, fabric):
    with pytest.raises(mw.DataError, match=r"one logit for each of 10 classes, got 3\. Build"):
        train(CONFIG, data, mw.Policy(), network=lambda: Tiny(3), fabric=fabric)


def test_one_class_is_refused(data, fabric):
    one = ArraySet(data.train.images[:4], np.zeros(4, np.int64), ("zero",))
    with pytest.raises(mw.DataError, match="at least 2 classes, got 1"):
        run(TrainTest(one, one, "mine", data.mean, data.std), fabric)


def test_several_sizes_are_refused(data, fabric):
    with pytest.raises(mw.PolicyError, match="images of one size"):
        run(data, fabric, policy=mw.Policy(mw.RandomCrop(6, p=0.5)))


def test_a_diverged_run_says_so(data, fabric):
    with pytest.raises(FloatingPointError, match="Lower lr"):
        run(data, fabric, config=replace(CONFIG, lr=1e3, schedule="constant", weight_decay=9.0))


def test_missing_folder_is_one_line(tmp_path):
    with pytest.raises(mw.DataError, match="needs train/ and val/") as caught:
        classify(ClassifyConfig(data="folder", data_dir=tmp_path / "absent", out=tmp_path))
    assert "\n" not in str(caught.value)


def test_classify_writes_the_run_and_resumes(tmp_path):
    out = tmp_path / "run"
    config = ClassifyConfig(
        train_fraction=0.05, epochs=2, batch_size=16, out=out, quiet=True, policy="mixup", devices=1
    )
    result = classify(config)
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["test_accuracy"]) for row in rows] == [
        row["test_accuracy"] for row in result.history
    ]
    saved = json.loads((out / "result.json").read_text())
    assert saved == json.loads(json.dumps(result.as_json()))
    settings = json.loads((out / "config.json").read_text())
    assert (settings["model"], settings["lr"], settings["policy"]) == ("digits-net", 0.1, "mixup")
    assert "MixUp" in settings["policy_code"]
    again = classify(replace(config, resume=True))
    assert weights_digest(again.model) == weights_digest(result.model)
    assert again.seconds == result.seconds  # nothing was left to train


def test_folder_of_images_trains(tmp_path):
    from PIL import Image

    for split, count in (("train", 6), ("val", 3)):
        for name, level in (("dark", 30), ("light", 220)):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                size = (20 + 3 * i, 31 - 2 * i)
                Image.new("RGB", size, (level, level, level + i)).save(folder / f"{i}.png")
    config = ClassifyConfig(
        data="folder",
        data_dir=tmp_path / "images",
        image_size=16,
        model="digits-net",
        policy="mixup",
        epochs=6,
        batch_size=4,
        num_workers=0,
        out=tmp_path / "run",
        quiet=True,
        devices=1,
    )
    assert classify(config).test_accuracy == 1.0


def test_presets_never_mirror_digits(data):
    policy, _ = policies_for(CONFIG, data, "standard")
    assert "Flip" not in repr(policy)


@pytest.mark.parametrize("preset", ["none", "standard", "cutmix", "Policy(HorizontalFlip())"])
@pytest.mark.parametrize("side", [64, 128])
def test_folder_images_are_scaled_not_just_cut(data, preset, side):
    folder = replace(data, train=[], test=[])
    config = resolved(TrainConfig(data="folder", image_size=side))
    policy, eval_policy = policies_for(config, folder, preset)
    first, size = policy.ops[0], (side, side)
    assert policy.out_size == eval_policy.out_size == size
    assert isinstance(first, mw.Resize | mw.RandomResizedCrop)


def test_subset_is_spread_and_keeps_every_class():
    whole = load_dataset("digits")
    part = subset(whole, 0.05)
    counts = np.bincount(part.train.labels, minlength=10)
    assert (counts == np.ceil(0.05 * np.bincount(whole.train.labels))).all()
    assert part.test is whole.test
    assert subset(whole, None) is whole


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        ("onecycle", {0.0: 0.1, 0.125: 0.55, 0.25: 1.0, 0.625: 0.5, 1.0: 0.0}),
        ("cosine", {0.0: 0.0, 0.05: 1.0, 0.525: 0.5, 1.0: 0.0}),
        ("step", {0.0: 1.0, 0.49: 1.0, 0.5: 0.1, 0.75: 0.01, 1.0: 0.01}),
        ("constant", {0.0: 1.0, 1.0: 1.0}),
    ],
)
def test_schedules_by_hand(schedule, points):
    for progress, expected in points.items():
        assert lr_factor(schedule, progress) == pytest.approx(expected, abs=1e-12)


def test_norms_and_biases_are_not_decayed():
    groups = build_optimizer(Tiny(), lr=0.1, weight_decay=0.5).param_groups
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(1, 0.5), (3, 0.0)]
    groups = build_optimizer(Tiny(), lr=0.1, weight_decay=0.5, decay_all=True).param_groups
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(4, 0.5)]


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="optimizer must be one of sgd"):
        build_optimizer(Tiny(), "lion", lr=0.1)
    with pytest.raises(ValueError, match="schedule must be one of onecycle"):
        lr_factor("linear", 0.5)
    with pytest.raises(ValueError, match=r"smoothing must lie in 0\.0 \.\. 1\.0, got 2"):
        TrainConfig(smoothing=2)


def test_averaged_weights_by_hand():
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
    average = AveragedWeights(model, 0.5)
    with torch.no_grad():
        model.weight.fill_(1.0)
    average.update(model)  # decay min(0.5, 1/10)
    assert float(average.module.weight) == pytest.approx(0.9)
    average.update(model)  # decay min(0.5, 2/11)
    assert float(average.module.weight) == pytest.approx(1 - 0.1 * 2 / 11)
    other = AveragedWeights(nn.Linear(1, 1, bias=False), 0.5)
    other.load_state_dict(average.state_dict())
    with torch.no_grad():
        model.weight.fill_(7.0)
    average.update(model)
    other.update(model)  # only with the restored count does it take the same step
    assert torch.equal(average.module.weight, other.module.weight)
