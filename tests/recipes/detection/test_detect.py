"""Training a detector, its folder, and predicting with it; on digits of 64 px."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mixwell as mw
from mixwell import DataError
from mixwell.recipes.data.decode import decode_rgb
from mixwell.recipes.detection.config import DetectConfig, resolved
from mixwell.recipes.detection.data import EmbeddedDigits, TrainVal, read_coco
from mixwell.recipes.detection.detect import detect, line, load_data, policy_for, read_run
from mixwell.recipes.detection.evaluate import predictions
from mixwell.recipes.detection.feed import DetectionFeed, TrainView
from mixwell.recipes.detection.loop import make_fabric, train
from mixwell.recipes.detection.models import Built
from mixwell.recipes.detection.predict import load_detector, predict
from mixwell.recipes.result import weights_digest

CONFIG = resolved(
    DetectConfig(
        image_size=64,
        images=10,
        epochs=3,
        batch_size=4,
        policy="detect-mosaic",
        mixing_off=1,
        num_workers=0,
        threads=1,
        device="cpu",
        seed=3,
        quiet=True,
    )
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def fabric():
    return make_fabric(CONFIG)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run: its folder and its result."""
    folder = tmp_path_factory.mktemp("run") / "digits"
    return folder, detect(replace(CONFIG, out=folder))


class _StopsAfter:
    """An `on_epoch` that behaves like Ctrl-C right after an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def __call__(self, row):
        if row["epoch"] == self.epoch:
            raise KeyboardInterrupt


# ------------------------------------------------------------------ the loop


def test_resumed_is_uninterrupted(run, fabric, tmp_path):
    _, whole = run
    data, policy, path = load_data(CONFIG), policy_for(CONFIG), tmp_path / "checkpoint.pt"
    part = train(CONFIG, data, policy, checkpoint=path, on_epoch=_StopsAfter(2), fabric=fabric)
    assert (part.interrupted, part.epochs) == (True, 2)
    rest = train(CONFIG, data, policy, checkpoint=path, resume=True, fabric=fabric)
    assert weights_digest(rest.model) == weights_digest(whole.model)
    assert rest.order_digest == whole.order_digest
    assert rest.dropped == whole.dropped
    same = ("train_loss", "terms", "map", "dropped_by_reason")
    for one, other in zip(rest.history, whole.history, strict=True):
        assert {k: one[k] for k in same} == {k: other[k] for k in same}


def test_a_checkpoint_of_other_settings_is_refused(run, fabric):
    folder, _ = run
    other = replace(CONFIG, mixing_loss="sources")
    with pytest.raises(DataError, match="mixing_loss='sources' instead of 'box'"):
        train(
            other,
            load_data(other),
            policy_for(other),
            checkpoint=folder / "checkpoint.pt",
            resume=True,
            fabric=fabric,
        )


def test_seed_decides_weights_and_order_whatever_the_policy(run, fabric):
    _, first = run
    config = replace(CONFIG, policy="detect-none", epochs=1, mixing_off=0)
    other = train(config, load_data(config), policy_for(config), fabric=fabric)
    assert other.initial_digest == first.initial_digest
    assert other.history[0]["order"] == first.history[0]["order"]
    assert weights_digest(other.model) != weights_digest(first.model)


def test_callers_random_state_is_untouched(run, fabric):
    config = replace(CONFIG, epochs=1, mixing_off=0)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(config, load_data(config), policy_for(config), fabric=fabric)
    assert torch.equal(torch.rand(3), expected)


class Broken(torch.nn.Module):
    """Its loss is no number."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, images, targets):
        return {"all": self.weight.sum() * torch.nan}


def test_a_loss_that_is_no_number_stops_the_run(fabric):
    build = lambda: Built(Broken(), [], False)  # noqa: E731
    with pytest.raises(FloatingPointError, match=r"finite loss, got nan.*Lower lr \(0.002"):
        train(CONFIG, load_data(CONFIG), policy_for(CONFIG), build=build, fabric=fabric)


def boxes_learnt(config, epochs=1):
    """How many boxes of the last epoch get how far: read, dropped by reason, and left."""
    data = load_data(config).train
    feed = DetectionFeed(
        data,
        policy_for(config),
        masks=False,
        sampler=mw.KeyedSampler(len(data), epochs=epochs, shuffle=True, seed=config.seed),
        batch_size=2,
        num_workers=config.num_workers,
        device=torch.device("cpu"),
        seed=config.seed,
    )
    for epoch in range(epochs):
        left = sum(len(target["boxes"]) for _, some in feed.epoch(epoch) for target in some)
    read = sum(len(data.target(int(i))["boxes"]) for i in feed.order(epochs - 1))
    return read, feed.dropped, left


def test_boxes_that_augmentation_drops_are_counted():
    crop = replace(CONFIG, policy="Policy(CenterCrop(24))")
    read, dropped, left = boxes_learnt(crop)
    assert read == left + sum(dropped.values())
    assert dropped and set(dropped) <= {"outside", "min_visibility", "min_side"}
    whole = replace(CONFIG, policy="detect-none")
    read, dropped, left = boxes_learnt(whole)
    assert (read, dropped) == (left, Counter())


class Crowds:
    """Two images: an object and a crowd, a crowd alone."""

    kind, classes, category_ids = "made", ("a",), (1,)
    skipped: dict = {}  # noqa: RUF012
    notes: dict = {}  # noqa: RUF012

    def __len__(self):
        return 2

    def __getitem__(self, index):
        count = 2 - index
        boxes = torch.tensor([[0.0, 0, 8, 8], [2, 2, 9, 9]])[:count]
        return torch.zeros(3, 16, 16, dtype=torch.uint8), {
            "boxes": boxes,
            "labels": torch.ones(count, dtype=torch.int64),
            "iscrowd": torch.tensor([[0, 1], [1]][index]),
            "area": torch.ones(count),
            "image_id": index,
        }

    def target(self, index):
        return self[index][1]


def test_crowds_are_not_trained_on():
    view = TrainView(Crowds(), masks=False)
    counts = [len(view[i][1]["boxes"]) for i in range(2)]
    assert counts == [1, 0]
    assert set(view[0][1]) == {"boxes", "labels"}
    with pytest.raises(DataError, match="needs instance masks"):
        TrainView(Crowds(), masks=True)


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_what_workers_drop_is_counted_epoch_by_epoch():
    crop = replace(CONFIG, policy="Policy(RandomCrop(24))", num_workers=2)
    read, dropped, left = boxes_learnt(crop, epochs=2)
    assert dropped and read == left + sum(dropped.values())
    assert dropped == boxes_learnt(replace(crop, num_workers=0), epochs=2)[1]


# ------------------------------------------------------------------ the folder


def test_the_folder_holds_the_run(run):
    folder, result = run
    config, classes = read_run(folder)
    assert config == replace(CONFIG, out=None) and classes == tuple("0123456789")
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [int(row["dropped"]) for row in rows] == [row["dropped"] for row in result.history]
    told = json.loads((folder / "result.json").read_text())
    assert set(told["per_class"]) == set(classes) and told["map"] == result.measured.map
    assert json.loads((folder / "predictions.json").read_text()) is not None
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width > 200
    assert "mAP" in line(result.history[-1], 3)
    with pytest.raises(DataError, match="holds finished work"):
        detect(replace(CONFIG, out=folder))


def test_resuming_a_finished_run_changes_nothing(run, tmp_path):
    folder, result = run
    copy = shutil.copytree(folder, tmp_path / "copy")
    again = detect(replace(CONFIG, out=copy, resume=True))
    assert weights_digest(again.model) == weights_digest(result.model)
    assert again.measured == result.measured


def test_a_sheet_shows_the_truth_and_says_where_nothing_is_found(
    run, tmp_path, monkeypatch, capsys
):
    shown = []
    sheet = "mixwell.recipes.detection.detect.box_sheet"
    monkeypatch.setattr(
        sheet, lambda samples, *_, **more: shown.append((samples, more)) or Image.new("L", (1, 1))
    )
    out = shutil.copytree(run[0], tmp_path / "copy")
    settings = replace(CONFIG, out=out, resume=True, quiet=False)
    detect(replace(settings, score_threshold=1.0))
    (truth, found), more = shown[0][0][:2], shown[0][1]
    assert len(truth[1]["boxes"]) and not len(found[1]["boxes"])
    assert more["captions"][0] == "truth"
    assert more["captions"][1].startswith("nothing; best 0.")
    assert "no box on a validation image reaches the score of 1 (" in capsys.readouterr().err
    detect(replace(settings, score_threshold=0.0))
    assert "found" in shown[1][1]["captions"] and "reaches" not in capsys.readouterr().err


# ------------------------------------------------------------------ predicting


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Images of several sizes, one of them damaged; the good ones in order."""
    root = tmp_path_factory.mktemp("photos")
    paths = []
    for k, (height, width) in enumerate(((64, 64), (40, 90), (33, 17))):
        pixels, _ = EmbeddedDigits(3, "test", size_hw=(height, width))[k]
        path = root / ("b" if k else "a") / "photo.png"
        path = path.with_name(f"photo{k // 2}.png")
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())).save(path)
        paths.append(path)
    (root / "c.jpg").write_bytes(b"no image")
    return root, paths


def test_predictions_are_read_again_as_a_data_set(run, photos, tmp_path):
    folder, result = run
    root, paths = photos
    made = predict(folder, [root], tmp_path / "out", score_threshold=0.0, device="cpu")
    images = [torch.from_numpy(decode_rgb(path).transpose(2, 0, 1).copy()) for path in paths]
    found = predictions(result.model, images, side=64)
    data = read_coco(made.json, root)
    assert data.classes == tuple("0123456789") and not data.skipped
    assert [record.path for record in data.records] == paths
    for k, own in enumerate(found):
        target = data.target(k)
        torch.testing.assert_close(target["boxes"], own["boxes"], rtol=0, atol=1e-3)
        assert torch.equal(target["labels"], own["labels"])
    assert made.boxes == sum(len(own["labels"]) for own in found) == sum(made.by_class.values())
    assert made.boxes > 0
    assert list(made.skipped) == [str(root / "c.jpg")]
    sizes = []
    for path in made.pictures:
        with Image.open(path) as picture:
            sizes.append(picture.size)
    assert sizes == [(64, 64), (90, 40), (17, 33)]


def test_only_certain_boxes_are_written(run, photos, tmp_path):
    folder, _ = run
    options = {"score_threshold": 1.0, "pictures": False, "device": "cpu"}
    made = predict(folder, photos[1], tmp_path, **options)
    assert (made.boxes, made.pictures) == (0, ())
    content = json.loads(made.json.read_text())
    assert len(content["images"]) == 3 and content["annotations"] == []
    with pytest.raises(DataError, match="--overwrite"):
        predict(folder, photos[1], tmp_path, **options)
    again = [*photos[1], photos[0] / "b"]
    made = predict(folder, again, tmp_path, overwrite=True, **options)
    assert len(json.loads(made.json.read_text())["images"]) == 3  # each file once


def test_a_loaded_detector_is_the_trained_one(run):
    folder, result = run
    for run_or_checkpoint in (folder, folder / "checkpoint.pt"):
        assert weights_digest(load_detector(run_or_checkpoint)) == weights_digest(result.model)


def test_what_cannot_be_predicted_is_refused(run, tmp_path):
    folder, _ = run
    with pytest.raises(DataError, match="folder that `mixwell train detect` wrote"):
        predict(tmp_path, [folder])
    with pytest.raises(DataError, match="at least one image"):
        predict(folder, [tmp_path])
    (tmp_path / "config.json").write_text('{"recipe": "segment"}')
    with pytest.raises(DataError, match="`mixwell train detect`, got one of segment"):
        predict(tmp_path, [folder])
    with pytest.raises(DataError, match=r"no .*missing\.png"):
        predict(folder, [tmp_path / "missing.png"])
    with pytest.raises(DataError, match=r"0 \.\. 1, got 2"):
        predict(folder, [folder / "sheet.png"], score_threshold=2)
    broken = shutil.copytree(folder, tmp_path / "broken")
    about = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(about | {"classes": ["a", "b"]}))
    with pytest.raises(DataError, match="belong together"):
        load_detector(broken)


# ------------------------------------------------------------------ it learns


def overfitted(config, data):
    result = train(config, data, policy_for(config))
    assert result.measured is not None and result.measured.map_50 is not None
    return result.measured.map_50


def four_digits(side):
    digits = EmbeddedDigits(4, size_hw=(side, side), objects=(1, 2), scales=(0.4, 0.6), seed=1)
    return TrainVal(digits, digits, "four")


def learning(model, side, steps, **options):
    return resolved(
        DetectConfig(
            model=model,
            image_size=side,
            epochs=steps,
            batch_size=4,
            policy="detect-none",
            optimizer="adam",
            measure_every=steps,
            num_workers=0,
            device="cpu",
            **options,
        )
    )


def test_tiny_ssd_learns_four_images_by_heart():
    config = learning("tiny-ssd", 64, 80, lr=2e-3)
    assert overfitted(config, four_digits(64)) >= 0.9


BY_HEART = {
    "retinanet:resnet18": (60, 5e-4),
    "fcos:resnet18": (60, 5e-4),
    "ssdlite320_mobilenet_v2": (120, 2e-3),
}


@pytest.mark.slow
@pytest.mark.parametrize("model", BY_HEART)
def test_larger_detectors_learn_four_images_by_heart(model):
    steps, lr = BY_HEART[model]
    assert overfitted(learning(model, 128, steps, lr=lr), four_digits(128)) >= 0.9


def test_the_pictures_folder_is_named_after_the_settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    detect(replace(CONFIG, epochs=1, mixing_off=0, images=4, measure_every=1))
    (made,) = Path("runs").iterdir()
    assert made.name == "detect-embedded-tiny-ssd-detect-mosaic-adam-lr0.002-epochs1-seed3"
