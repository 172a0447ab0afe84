"""Suite `mix`: MixUp and CutMix of a whole batch, nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mixwell as mw
from mixwell.bench import mixers
from mixwell.bench.base import MEAN, STD, Batch, Case, library
from mixwell.bench.check import Refused, check_mixed
from mixwell.bench.images import photos
from mixwell.bench.machine import copy_gb_s, version
from mixwell.bench.measure import FAILURES, Options, Say, told
from mixwell.bench.pools import chw, finished, torch_threads
from mixwell.bench.result import CaseResult, Row, Times

OPPONENTS = ("mixwell", "torchvision", "timm", "kornia", "torch")
PACKAGES = {name: name for name in OPPONENTS}
SHARED = "one draw per batch"

Mix = Callable[[torch.Tensor, torch.Tensor], tuple[Any, Any]]


def run(
    suite: str, folder: Path | None, names: tuple[str, ...], options: Options, say: Say
) -> Iterator[CaseResult]:
    """MixUp and CutMix: float32 in 0 .. 1 to the same, uint8 to normalised float32."""
    batch = 16 if options.quick else 256
    images = torch.stack([chw(image) for image in photos(batch, folder, (224, 224))])
    labels = torch.arange(batch)
    for kind in ("mixup", "cutmix"):
        for dtype in ("float32", "uint8"):
            case = Case(suite, f"{kind} {dtype}", "mix", batch, 224, mixers=(kind,))
            given = images if dtype == "uint8" else images.float().div_(255)
            yield _case(case, kind, given, labels, names, options, say)


def _case(
    case: Case,
    kind: str,
    given: torch.Tensor,
    labels: torch.Tensor,
    names: tuple[str, ...],
    options: Options,
    say: Say,
) -> CaseResult:
    say(f"{case.suite}: {case.name}")
    rows: list[Row] = []
    ready: list[tuple[Row, Mix]] = []
    for name in names:
        release = version(PACKAGES[name])
        if not release:
            rows.append(told(name))
            continue
        for label, make in makers(name, kind).items():
            row = Row(name, release, label)
            rows.append(row)
            try:
                mix = (
                    from_uint8(name, make(case.classes)) if _is_uint8(given) else make(case.classes)
                )
                _check(mix, given, labels, case)
                ready.append((row, mix))
            except Refused as error:
                row.status, row.reason = "refused", str(error)
            except FAILURES as error:
                row.status, row.reason = "failed", f"{type(error).__name__}: {error}"[:200]
    facts = {}
    for threads in options.widths:
        facts[f"copy_gb_s_{threads}"] = copy = copy_gb_s(threads, 64 if options.quick else 256)
        _rounds(case, ready, given, labels, threads, copy, options)
    return CaseResult(case.suite, case.name, "ms/image", case.batch, rows, facts)


def _check(mix: Mix, given: torch.Tensor, labels: torch.Tensor, case: Case) -> None:
    x, y = mix(given.clone(), labels)
    if not _is_uint8(given) and isinstance(x, torch.Tensor):
        x = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    check_mixed(Batch(x, y), case)


def _rounds(
    case: Case,
    ready: list[tuple[Row, Mix]],
    given: torch.Tensor,
    labels: torch.Tensor,
    threads: int,
    copy: float,
    options: Options,
) -> None:
    """Time all in turns; every call gets the same numbers, copied back outside the clock."""
    work = given.clone()
    seen: list[list[float]] = [[] for _ in ready]
    with torch_threads(threads):
        for r in range(-1, options.rounds):
            for k in range(len(ready)):
                at = (k + r) % len(ready)
                work.copy_(given)
                start = time.perf_counter()
                made = ready[at][1](work, labels)
                seconds = time.perf_counter() - start
                del made
                if r >= 0:
                    seen[at].append(1e3 * seconds / case.batch)
    # The least that must move: the batch read once and a float32 batch written once.
    moved = (given[0].nbytes + 4 * given[0].numel()) / 1e9
    for (row, _), values in zip(ready, seen, strict=True):
        row.times.append(Times(threads, None, values, _settings(row)))
        speed = moved / (float(np.median(values)) / 1e3)
        row.extra |= {f"gb_s_{threads}": speed, f"share_of_copy_{threads}": speed / copy}


def _settings(row: Row) -> str:
    return row.label or "draws for each image, a new batch"


def _is_uint8(x: torch.Tensor) -> bool:
    return x.dtype == torch.uint8


def makers(name: str, kind: str) -> dict[str, Callable[[int], Mix]]:
    """An opponent's mixers by label: whether draws are shared, whether the input is changed."""
    if name == "mixwell":
        return {"": lambda classes: _ours(kind, classes)}
    if name == "torchvision":
        return {SHARED: lambda classes: mixers.torchvision_mixer(kind, classes)}
    if name == "timm":
        return {
            "in place": lambda classes: mixers.timm_mixer(kind, classes, "elem"),
            f"{SHARED}, in place": lambda classes: mixers.timm_mixer(kind, classes),
        }
    if name == "torch":
        return {f"{SHARED}, in place": lambda classes: mixers.plain_mixer(kind, classes)}
    return {
        "one place per batch" if kind == "cutmix" else "": lambda classes: _kornia(kind, classes)
    }


def _ours(kind: str, classes: int) -> Mix:
    policy = mw.Policy(mw.MixUp() if kind == "mixup" else mw.CutMix())
    plain = mw.Augment(policy, num_classes=classes)
    normalised = mw.Augment(policy, num_classes=classes, mean=MEAN, std=STD)

    def mix(x: torch.Tensor, y: torch.Tensor) -> tuple[Any, Any]:
        return (normalised if x.dtype == torch.uint8 else plain)(x, y)

    return mix


def _kornia(kind: str, classes: int) -> Mix:
    K = library("kornia.augmentation")
    if kind == "mixup":
        made: Any = K.RandomMixUpV2(p=1.0, data_keys=["input", "class"])
    else:
        made = K.RandomCutMixV2(p=1.0, data_keys=["input", "class"], use_correct_lambda=True)

    def mix(x: torch.Tensor, y: torch.Tensor) -> tuple[Any, Any]:
        with torch.no_grad():
            images, packed = made(x, y)
        packed = packed.reshape(-1, 3)
        one, other, lam = packed[:, 0].long(), packed[:, 1].long(), packed[:, 2].float()
        soft = torch.zeros(len(x), classes)
        # kornia's number is the partner's weight, in CutMix its area.
        soft.scatter_add_(1, one[:, None], 1 - lam[:, None])
        return images, soft.scatter_add_(1, other[:, None], lam[:, None])

    return mix


def from_uint8(name: str, mix: Mix) -> Mix:
    """Others take floats: they are given the batch normalised, inside the clock."""
    if name == "mixwell":
        return mix
    return lambda x, y: mix(finished(x, y).x, y)
