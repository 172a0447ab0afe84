"""The 200-epoch table: ResNet-18 on CIFAR-10 and CIFAR-100, plain and under four mixers.

    python -m benchmarks.gpu.table200 --out runs/table200 --data-dir DIR --download

Optimizer, schedule and batch are OpenMixup's (SGD, 0.1, momentum 0.9, decay 1e-4, cosine to zero,
batches of 100); every mixer has alpha 1 or its paper's range, and mixes every batch. Differences:
draws are for each image; OpenMixup's tables are made with its tool for the best epoch, these take
the last; the rate rises over the first twentieth here. Seeds come in turn, so that one of each row
is there first.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.gpu.runs import Experiment, main
from mixwell.recipes.config import TrainConfig

CONFIG = TrainConfig(
    data="cifar10",
    model="resnet18-cifar",
    epochs=200,
    batch_size=100,
    lr=0.1,
    weight_decay=1e-4,
    decay_all=True,
    schedule="cosine",
    measure_every=10,
    devices=1,
)
POLICIES = {
    "plain": "standard",
    "mixup": "standard + MixUp(alpha=1.0)",
    "cutmix": "standard + CutMix(alpha=1.0)",
    "resizemix": "standard + ResizeMix(scope=(0.1, 0.8))",
    "fmix": "standard + FMix(alpha=1.0)",
}
PUBLISHED = {
    "cifar10": {
        "plain": 94.87,
        "mixup": 95.70,
        "cutmix": 96.11,
        "resizemix": 96.16,
        "fmix": 96.17,
    },
    "cifar100": {"plain": 76.42, "mixup": 78.52, "cutmix": 79.45, "resizemix": 79.56},
}
"""OpenMixup's tables, ResNet-18, 200 epochs, %."""


def _beside(data: str, method: str) -> str:
    found = PUBLISHED[data].get(method)
    return f"OpenMixup {found:.2f} %" if found else "OpenMixup: not at hand"


EXPERIMENTS = tuple(
    Experiment(f"{data}-{method}", replace(CONFIG, data=data), policy, 3, _beside(data, method))
    for data in PUBLISHED
    for method, policy in POLICIES.items()
)

if __name__ == "__main__":
    raise SystemExit(main(EXPERIMENTS, "benchmarks.gpu.table200", __doc__ or ""))
