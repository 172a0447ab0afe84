"""The documentation's Python runs, its links lead somewhere, and its commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import mixwell as mw

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language: str) -> list[pytest.param]:
    found = []
    for page in PAGES:
        for i, text in enumerate(re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)):
            found.append(pytest.param(text, id=f"{page.stem}-{i}"))
    return found


def surroundings() -> dict[str, object]:
    """What the pages take for granted: a data set, a model, and the names introduced before."""
    images = torch.randint(0, 256, (256, 3, 32, 32), dtype=torch.uint8)
    labels = torch.arange(256) % 10
    statistics = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
    policy = mw.Policy(mw.HorizontalFlip(), mw.CutMix())
    boxes = {"boxes": torch.tensor([[10.0, 20.0, 60.0, 90.0]]), "labels": torch.tensor([1])}
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    return {
        "dataset": TensorDataset(images, labels),
        "pictures": [torch.zeros(3, 120, 160, dtype=torch.uint8) for _ in range(2)],
        "targets": [boxes, none],
        "images": images,
        "labels": labels,
        "keys": mw.Keys(np.arange(256)),
        "model": nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)),
        "MEAN": statistics[0],
        "STD": statistics[1],
        "policy": policy,
        "augment": mw.Augment(policy, num_classes=10, mean=statistics[0], std=statistics[1]),
        "DataLoader": DataLoader,
        "torch": torch,
        "mw": mw,
    }


@pytest.mark.parametrize("text", blocks("python"))
def test_python_runs(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Workers are proven in test_workers.py; here they would only cost time.
    text = re.sub(r"num_workers=\d+", "num_workers=0", text)
    text = text.replace("persistent_workers=True", "persistent_workers=False")
    exec(compile(text, "docs", "exec"), surroundings())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_nothing_is_left_to_fill_in(page: Path) -> None:
    assert "PLACEHOLDER" not in page.read_text(), page.name


def commands() -> list[str]:
    found = set()
    for page in PAGES:
        text = page.read_text()
        lines = [
            line for block in re.findall(r"```\n(.*?)```", text, re.S) for line in block.split("\n")
        ]
        lines += re.findall(r"`(mixwell [^`]+)`", text)
        for line in lines:
            for part in line.split("&&"):
                if part.strip().startswith("mixwell "):
                    found.add(part.split("#")[0].strip())
    return sorted(found)


@pytest.mark.parametrize("command", commands())
def test_command_and_its_options_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    from mixwell.cli import main

    words = shlex.split(command.replace("…", ""))[1:]
    known = {"train", "classify", "compare", "preview", "policies", "show", "levels", "doctor"}
    known |= {"stylize"}
    known |= {"kaggle", "prepare", "submit", "check", "export"}
    known |= {"sheet", "bench", "segment", "finetune", "detect", "predict"}
    path = []
    for word in words:
        if word not in known:
            break
        path.append(word)
    assert path, f"{command!r} names no command"
    assert main([*path, "--help"]) == 0
    help_text = capsys.readouterr().out
    for option in (word for word in words if word.startswith("-")):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", help_text), (command, option)


def test_the_collected_commands_are_not_none() -> None:
    assert len(commands()) >= 8
    assert len(blocks("python")) >= 6
