"""What targets cost: many boxes an image through a plan, without pixels.

    python benchmarks/box_filtering.py --out benchmarks/results/boxes.json

Each case samples its plan once and then times `Augment.targets`, which moves, cuts, weighs and
filters the boxes and writes the dicts; sampling is timed apart. torchvision's tensors of boxes with
`SanitizeBoundingBoxes` stand beside the two cases that it can do, image by image. Processor time of
one thread, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

import mixwell as mw
from mixwell.bench.machine import describe

SIDE, BOXES, BATCH, ROUNDS = 640, 500, 16, 9

CASES: dict[str, tuple[mw.Policy, Callable[[], Any] | None]] = {
    "flip, crop": (
        mw.Policy(mw.HorizontalFlip(), mw.RandomCrop(512)),
        lambda: v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(512)]),
    ),
    "affine": (
        mw.Policy(mw.Affine(15.0, (0.1, 0.1), (0.8, 1.2))),
        lambda: v2.RandomAffine(15, (0.1, 0.1), (0.8, 1.2)),
    ),
    "RandAugment": (mw.Policy(mw.RandAugment()), None),
    "RandomIoUCrop": (mw.Policy(mw.RandomIoUCrop()), None),
    "MixUp": (mw.Policy(mw.MixUp(1.5)), None),
    "CutMix": (mw.Policy(mw.CutMix()), None),
    "affine, CutMix": (mw.Policy(mw.Affine(15.0, (0.1, 0.1), (0.8, 1.2)), mw.CutMix()), None),
    "Mosaic": (mw.Policy(mw.Mosaic(640)), None),
}


def main() -> None:
    """Time all cases, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    machine = describe()
    rows = [measured(name, policy, theirs) for name, (policy, theirs) in CASES.items()]
    settings = {"side_px": SIDE, "boxes": BOXES, "batch": BATCH, "rounds": ROUNDS, "threads": 1}
    for row in rows:
        print(
            "  ".join(f"{k}: {v:.3f}" if isinstance(v, float) else str(v) for k, v in row.items())
        )
    if out is not None:
        result = {
            "unit": "ms of one thread/image",
            "settings": settings,
            "machine": machine,
            "rows": rows,
        }
        out.write_text(json.dumps(result, indent=1) + "\n")


def measured(name: str, policy: mw.Policy, theirs: Callable[[], Any] | None) -> dict[str, Any]:
    """One case's median and quartiles in ms an image."""
    targets = [target_of(seed) for seed in range(BATCH)]
    augment = mw.Augment(policy, boxes="xyxy")
    sizes = np.full((BATCH, 2), SIDE)
    keys = mw.Keys(np.arange(BATCH))
    plan = augment.plan(sizes, keys, labels=targets)
    row: dict[str, Any] = {"case": name}
    for what, work in (
        ("targets", lambda: augment.targets(targets, plan)),
        ("sampling", lambda: augment.plan(sizes, keys, labels=targets)),
    ):
        row |= times_of(what, work)
    made = augment.targets(targets, plan)
    row["boxes_out"] = sum(len(target["boxes"]) for target in made) / BATCH
    if theirs is not None:
        moves, clean = theirs(), v2.SanitizeBoundingBoxes(min_size=1)
        some = [as_theirs(target) for target in targets]
        row |= times_of(
            "torchvision", lambda: [clean({**t, "boxes": moves(t["boxes"])}) for t in some]
        )
    return row


def times_of(what: str, work: Callable[[], Any]) -> dict[str, float]:
    """ms an image: median and quartiles of the rounds after the first two."""
    seen = []
    for _ in range(ROUNDS + 2):
        start = time.process_time()
        work()
        seen.append(1e3 * (time.process_time() - start) / BATCH)
    low, middle, high = np.quantile(seen[2:], (0.25, 0.5, 0.75)).tolist()
    return {what: middle, f"{what}_p25": low, f"{what}_p75": high}


def target_of(seed: int) -> dict[str, torch.Tensor]:
    """Boxes of 4 .. 100 px anywhere in the image, with labels and flags."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(4, 100, (BOXES, 2))
    corner = rng.uniform(0, SIDE - size)
    boxes = torch.from_numpy(np.concatenate([corner, corner + size], axis=1)).float()
    labels = torch.from_numpy(rng.integers(0, 80, BOXES))
    return {"boxes": boxes, "labels": labels, "iscrowd": torch.zeros(BOXES, dtype=torch.int64)}


def as_theirs(target: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The same with boxes that torchvision knows as such."""
    boxes = tv_tensors.BoundingBoxes(target["boxes"], format="XYXY", canvas_size=(SIDE, SIDE))
    return {**target, "boxes": boxes}


if __name__ == "__main__":
    main()
