"""docs/migrate.md: its new sides run, and its old sides where the library is installed."""

from __future__ import annotations

import ast
import importlib.util
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

import mixwell as mw
from mixwell.policy.base import Op
from tests.test_docs import surroundings

PAGE = Path(__file__).parents[1] / "docs" / "migrate.md"
LIBRARIES = ("albumentations", "keras", "kornia", "timm", "torchvision")


class Pair(NamedTuple):
    """An old side and the new side behind it, under the heading that they stand under."""

    title: str
    old: str
    new: str

    @property
    def needs(self) -> list[str]:
        """The libraries that the old side imports."""
        return libraries(self.old)


def libraries(text: str) -> list[str]:
    found = set()
    for node in ast.walk(ast.parse(text)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found |= {name.split(".")[0] for name in names}
    return sorted(found & set(LIBRARIES))


def pairs() -> list[Pair]:
    found = []
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.M)[1:]:
        title = section.splitlines()[0]
        blocks = re.findall(r"```(py|python)\n(.*?)```", section, re.S)
        kinds = [kind for kind, _ in blocks]
        assert kinds == ["py", "python"] * (len(kinds) // 2), f"{title}: {kinds}"
        texts = [text for _, text in blocks]
        found += [Pair(title, *both) for both in zip(texts[::2], texts[1::2], strict=True)]
    return found


PAIRS = pairs()
IDS = [f"{pair.title}-{'-'.join(pair.needs) or 'torch'}" for pair in PAIRS]


def run(text: str) -> dict[str, object]:
    """A block in the surroundings of all pages; batches are small and workers none."""
    text = re.sub(r"num_workers=\d+", "num_workers=0", text)
    text = text.replace("batch_size=128", "batch_size=6")
    text = text.replace("persistent_workers=True", "persistent_workers=False")
    text = text.replace("sampler.batches(128)", "sampler.batches(6)")
    names = surroundings() | {"TensorDataset": TensorDataset}
    names["image"] = np.zeros((40, 40, 3), np.uint8)
    exec(compile(text, "docs/migrate.md", "exec"), names)
    return names


def pair_of(title: str, library: str) -> Pair:
    (found,) = (p for p in PAIRS if p.title == title and library in p.needs)
    return found


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
def test_the_old_side_runs(pair, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")  # its default needs TensorFlow
    ast.parse(pair.old)
    absent = [name for name in pair.needs if importlib.util.find_spec(name) is None]
    if absent:
        pytest.skip(f"no {', '.join(absent)}: unproven here: that {pair.title!r}, old side, runs")
    with warnings.catch_warnings():  # what a library deprecates in users' code is its own affair
        warnings.simplefilter("ignore", DeprecationWarning)
        run(pair.old)


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
def test_the_new_side_runs_and_gives_batches(pair):
    names = run(pair.new)
    if "loader" in names:
        x, y = next(iter(names["loader"]))
        assert x.shape[:2] == (6, 3) and y.shape == (6, 10)
        torch.testing.assert_close(y.sum(dim=1), torch.ones(6))
    policies = [value for value in names.values() if isinstance(value, mw.Policy)]
    for policy in policies:
        assert mw.Policy.from_toml(policy.to_toml()) == policy


def test_every_library_and_task_is_there():
    seen = {name for pair in PAIRS for name in pair.needs}
    assert seen == set(LIBRARIES)
    titles = list(dict.fromkeys(pair.title for pair in PAIRS))
    assert len(titles) == 8 and len(PAIRS) >= 18
    first = [pair.needs for pair in PAIRS if pair.title == titles[0]]
    assert first == [["torchvision"], ["timm"], ["albumentations"], ["kornia"], ["keras"]]


def test_the_old_sides_of_torchvision_are_run_here():
    """What the tests above may skip is never torchvision, which the project's tests need."""
    assert importlib.util.find_spec("torchvision") is not None


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_evaluation_has_the_same_pixels(library):
    pytest.importorskip(library, reason=f"no {library}: unproven here: its evaluation's pixels")
    pair = pair_of("Evaluation", library)
    old, new = run(pair.old)["old"], run(pair.new)["new"]
    assert isinstance(new, mw.Policy)
    if library == "timm":  # its last two steps make a normalised tensor
        from torchvision.transforms import Compose

        old = Compose(old.transforms[:2])
    pixels = np.random.default_rng(0).integers(0, 256, (300, 401, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    (made,) = mw.render([pixels], new.sample(np.array([[300, 401]]), keys=mw.Keys(np.arange(1))))
    assert np.array_equal(np.asarray(old(image)), np.asarray(made))


def test_erasing_and_mixing_ops_are_the_library_s():
    names = run(pair_of("MixUp and CutMix", "timm").new)
    assert "TimmMixup(mixup_alpha=0.8, cutmix_alpha=1.0" in repr(names["policy"])
    assert float(names["y"].min()) >= 0.1 / 10 - 1e-6  # label smoothing
    names = run(pair_of("RandomErasing", "torchvision").new)
    assert names["policy"].ops[-1] == mw.RandomErasing(value="pixel", units="normalized", p=0.25)


def test_the_schedule_ends_before_the_last_fifteen_epochs():
    policy = run(pair_of("Turning mixing off for the last epochs", "timm").new)["policy"]
    assert isinstance(policy, mw.Policy)

    def mixed(epoch: int) -> bool:
        keys = mw.Keys(np.arange(64), epoch=epoch, progress=epoch / 90, epochs=90)
        rows, shares = policy.sample(np.full((64, 2), 32), keys=keys).sources()
        return bool((np.sort(shares, axis=1)[:, :-1] > 0).any()) and rows.shape[1] > 1

    assert mixed(74) and not mixed(75) and not mixed(89)


def test_names_in_the_table_of_strings_are_code():
    table = re.findall(r"^\| .* \|$", PAGE.read_text(), re.M)
    cells = [cell for line in table for cell in re.findall(r"`((?:mw|tv|timm)\.[^`]+)`", line)]
    assert len(cells) >= 9
    from mixwell.compat import timm
    from mixwell.compat import torchvision as tv

    for cell in cells:
        assert isinstance(eval(cell, {"mw": mw, "tv": tv, "timm": timm}), Op), cell
