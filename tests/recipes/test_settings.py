"""What the settings of every training share."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from mixwell.recipes.classify import ClassifyConfig
from mixwell.recipes.config import TrainConfig
from mixwell.recipes.detection.config import DetectConfig
from mixwell.recipes.finetune import FinetuneConfig
from mixwell.recipes.segmentation.config import SegmentConfig
from mixwell.recipes.settings import LearningConfig, as_json, check_ranges, completed, from_json

CONFIGS = (TrainConfig, ClassifyConfig, FinetuneConfig, DetectConfig, SegmentConfig)


@pytest.mark.parametrize(
    ("kind", "optimizer", "schedule", "batch_size"),
    [
        (TrainConfig, "sgd", None, None),
        (ClassifyConfig, "sgd", None, None),
        (FinetuneConfig, "adamw", None, None),
        (DetectConfig, None, "cosine", None),
        (SegmentConfig, "adamw", "cosine", 8),
    ],
)
def test_a_recipes_own_defaults_go_before_the_shared_ones(
    kind: type[LearningConfig], optimizer: str, schedule: str, batch_size: int
) -> None:
    made = kind()
    assert (made.optimizer, made.schedule, made.batch_size) == (optimizer, schedule, batch_size)
    assert (made.momentum, made.num_workers, made.threads) == (0.9, 2, None)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"optimizer": "lion"}, "optimizer must be one of sgd, adam, adamw, got 'lion'"),
        ({"schedule": "cosin"}, "schedule must be one of onecycle, cosine, step, constant"),
        ({"momentum": 1.5}, r"momentum must lie in 0\.0 \.\. 1\.0, got 1\.5"),
        ({"epochs": 0}, r"epochs must lie in 1 \.\. 100000, got 0"),
        ({"threads": 0}, r"threads must lie in 1 \.\. 4096"),
    ],
)
def test_every_recipe_refuses_what_means_nothing(kind, values, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        kind(**values)


@pytest.mark.parametrize("kind", [ClassifyConfig, FinetuneConfig, DetectConfig, SegmentConfig])
def test_every_run_has_a_seed_that_generators_take(kind) -> None:
    with pytest.raises(ValueError, match=r"seed must lie in 0 \.\. 4294967295"):
        kind(seed=2**32)


def test_a_word_that_is_not_known_is_left_out_only_where_that_is_the_default() -> None:
    assert DetectConfig(optimizer=None).optimizer is None
    with pytest.raises(ValueError, match="optimizer must be one of"):
        SegmentConfig(optimizer=None)  # type: ignore[arg-type]


@dataclasses.dataclass
class Sides:
    size: tuple[int, int] | None


def test_each_number_of_a_tuple_is_looked_at() -> None:
    check_ranges(Sides(None), [("size", 8, 16)])
    check_ranges(Sides((8, 16)), [("size", 8, 16)])
    with pytest.raises(ValueError, match=r"size must lie in 8 \.\. 16, got \(8, 17\)"):
        check_ranges(Sides((8, 17)), [("size", 8, 16)])


def test_what_is_said_stays() -> None:
    made = completed(DetectConfig(epochs=3), {"epochs": 5, "lr": 0.1})
    assert (made.epochs, made.lr) == (3, 0.1)


@pytest.mark.parametrize("kind", [ClassifyConfig, DetectConfig, SegmentConfig])
def test_settings_survive_json_without_their_folder(kind) -> None:
    made = kind(lr=0.25, out=Path("runs/x"), seed=5)
    values = json.loads(json.dumps(as_json(made)))
    assert values["out"] == str(Path("runs/x"))
    assert from_json(kind, values | {"classes": ["a"]}) == dataclasses.replace(made, out=None)
