"""What deciding costs: sampling a plan, beside rendering it, in one thread.

    python benchmarks/sampling.py --out benchmarks/results/sampling.json

Each round times `Augment.prepare` (sampling, fusing and checking) and then `Augment.render` of the
same plan, so that sampling finds the caches as a training loop leaves them. Images are noise: the
time does not depend on pixels, but on sizes.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mixwell as mw
from mixwell.bench.machine import describe

ROUNDS = 21
CROP, SMALL = (mw.RandomResizedCrop(224), mw.HorizontalFlip()), (mw.RandomCrop(32, padding=4),)
BOTH = mw.OneOf(mw.MixUp(), mw.CutMix())

CASES: dict[str, tuple[mw.Policy, tuple[int, int], int]] = {
    "224 px: crop, flip": (mw.Policy(*CROP), (375, 500), 128),
    "224 px: crop, flip, RandAugment, MixUp or CutMix": (
        mw.Policy(*CROP, mw.RandAugment(2, 9), BOTH),
        (375, 500),
        128,
    ),
    "224 px: crop, flip, RandAugment, MixUp or CutMix, batch of 256": (
        mw.Policy(*CROP, mw.RandAugment(2, 9), BOTH),
        (375, 500),
        256,
    ),
    "32 px: crop, flip, CutMix": (
        mw.Policy(*SMALL, mw.HorizontalFlip(), mw.CutMix()),
        (32, 32),
        512,
    ),
    "32 px: crop, flip, RandAugment, CutMix": (
        mw.Policy(*SMALL, mw.HorizontalFlip(), mw.RandAugment(2, 9), mw.CutMix()),
        (32, 32),
        512,
    ),
    "32 px: crop, flip, FMix": (
        mw.Policy(*SMALL, mw.HorizontalFlip(), mw.FMix()),
        (32, 32),
        512,
    ),
}


def main() -> None:
    """Time all cases, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    machine = describe()
    rows = [measured(name, *case) for name, case in CASES.items()]
    for row in rows:
        print("{case}: sampling {sampling_us:.1f} us, rendering {render_us:.1f} us".format(**row))
    if out is not None:
        settings = {"rounds": ROUNDS, "threads": 1}
        result = {"unit": "us/image", "settings": settings, "machine": machine, "rows": rows}
        out.write_text(json.dumps(result, indent=1) + "\n")


def measured(name: str, policy: mw.Policy, hw: tuple[int, int], batch: int) -> dict[str, Any]:
    """One case's medians and quartiles in us an image, of the rounds after the first three."""
    augment = mw.Augment(policy, num_classes=10, mean=(0.5,) * 3, std=(0.25,) * 3)
    images = torch.randint(0, 256, (batch, 3, *hw), dtype=torch.uint8)
    labels = torch.arange(batch) % 10
    seen = []
    for _ in range(ROUNDS + 3):
        begin = time.perf_counter()
        planned = augment.prepare(images, labels)
        middle = time.perf_counter()
        augment.render(planned)
        seen.append((middle - begin, time.perf_counter() - middle))
    times = 1e6 * np.array(seen[3:]) / batch
    row: dict[str, Any] = {"case": name, "batch": batch, "size_hw": list(hw)}
    for what, column in zip(("sampling", "render"), times.T, strict=True):
        low, middle, high = np.quantile(column, (0.25, 0.5, 0.75)).tolist()
        row |= {f"{what}_us": middle, f"{what}_us_p25": low, f"{what}_us_p75": high}
    return row


if __name__ == "__main__":
    main()
