"""CIFAR-10 in seconds and minutes: fast ResNet-9, ResNet-20, ResNet-18, plain and mixed.

    python -m benchmarks.gpu.cifar --out runs/gpu --data-dir DIR --download

Settings of `fast-*` follow 99991/cifar10-fast-simple (94.1 % in 10 epochs) and, for 15 epochs, add
width, alternating flips and a hidden square as in airbench96. Both differ from these in the padding
(colour, not reflection), in crops drawn for each image instead of each batch, and in a rate that
falls to zero. They are not tuned: no GPU was at hand when they were written.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.gpu.runs import Experiment, main
from mixwell.recipes.config import TrainConfig

FAST = TrainConfig(
    data="cifar10",
    model="resnet9-fast",
    whiten=True,
    epochs=10,
    batch_size=512,
    lr=1.0,
    bias_lr=64.0,
    weight_decay=5e-4,
    smoothing=0.2,
    ema=0.99,
    tta=True,
    precision="16-mixed",
    channels_last=True,
    measure_every=1000,
    devices=1,
)
LONGER = replace(FAST, model="resnet9-fast-wide", epochs=15)
RESNET20 = TrainConfig(
    data="cifar10", model="resnet20", epochs=15, batch_size=128, lr=0.3, devices=1
)
RESNET18 = replace(RESNET20, model="resnet18-cifar", epochs=10, lr=0.2)
RESNET18_30 = replace(RESNET18, epochs=30)

KERAS = "Keras's CutMix example: {} %; an under-tuned baseline"
D2L = "Dive into Deep Learning, flips alone: 85.1 %"

EXPERIMENTS = (
    Experiment("fast-10", FAST, "standard", 10, "goal ≥ 94.1; cifar10-fast-simple 94.10 ± 0.12 %"),
    Experiment("fast-15", LONGER, "airbench96", 10, "goal ≥ 95.0; airbench 95.01 %"),
    Experiment("resnet20-15-plain", RESNET20, "standard", 5, KERAS.format("10.00")),
    Experiment("resnet20-15-cutmix", RESNET20, "cutmix", 5, KERAS.format("71.08")),
    Experiment("resnet18-10-plain", RESNET18, "standard", 5, D2L),
    Experiment("resnet18-10-cutmix", RESNET18, "cutmix", 5, D2L),
    Experiment("resnet18-30-plain", RESNET18_30, "standard", 3),
    Experiment("resnet18-30-mixup", RESNET18_30, "mixup", 3),
    Experiment("resnet18-30-cutmix", RESNET18_30, "cutmix", 3),
)

if __name__ == "__main__":
    raise SystemExit(main(EXPERIMENTS, "benchmarks.gpu.cifar", __doc__ or ""))
