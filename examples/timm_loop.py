"""A training loop in timm's style; timm's `Mixup`, RandAugment and erasing come from the policy.

    python examples/timm_loop.py
    python examples/timm_loop.py --data cifar10 --data-dir DIR --size 32 --model resnet18

timm's own strings and arguments keep their meaning (`mixwell.compat.timm`); its loss, optimizer,
schedule, averaged weights and meters are used as they are.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import timm
import torch
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import AverageMeter, ModelEmaV3, accuracy

import mixwell as mw
from mixwell.compat import timm as as_timm
from mixwell.recipes.data import load_dataset


def policy_of(size: int) -> mw.Policy:
    """timm's recipe in its own words."""
    return mw.Policy(
        mw.RandomResizedCrop(size, scale=(0.6, 1.0)),
        as_timm.auto_augment("rand-m5-n1-mstd0.5-inc1"),
        as_timm.mixup(mixup_alpha=0.2, cutmix_alpha=1.0, prob=0.5),
        as_timm.random_erasing(0.1, mode="pixel"),
    )


def main(words: list[str] | None = None) -> dict[str, Any]:
    """Train, and measure on the test images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits", help="digits, cifar10 or cifar100")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--limit", type=int, help="training images used; all when left out")
    parser.add_argument("--model", default="test_resnet")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    torch.manual_seed(options.seed)
    data = load_dataset(options.data, options.data_dir)
    rows = torch.linspace(0, len(data.train) - 1, options.limit or len(data.train)).long().numpy()
    given = {"num_classes": len(data.train.classes), "mean": data.mean, "std": data.std}
    resize = mw.Policy(mw.Resize((options.size, options.size)))
    augment = mw.Augment(policy_of(options.size), eval_policy=resize, seed=options.seed, **given)
    loader = mw.Loader(
        (data.train.images[rows], data.train.labels[rows]),
        augment,
        batch_size=options.batch_size,
        epochs=options.epochs,
        shuffle=True,
        drop_last=True,
        seed=options.seed,
    )
    model = timm.create_model(options.model, pretrained=False, num_classes=given["num_classes"])
    optimizer = create_optimizer_v2(model, "adamw", lr=options.lr, weight_decay=0.05)
    steps = options.epochs * len(loader)
    schedule = CosineLRScheduler(optimizer, steps, warmup_t=steps // 10, t_in_epochs=False)
    averaged = ModelEmaV3(model, decay=0.99, use_warmup=True)
    criterion, updates, history = SoftTargetCrossEntropy(), 0, []
    for _ in range(options.epochs):
        model.train()
        meter = AverageMeter()
        for images, targets in loader:
            loss = criterion(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            updates += 1
            schedule.step_update(updates)
            averaged.update(model, step=updates)
            meter.update(loss.item(), len(images))
        history.append(meter.avg)
    augment.eval()
    model.eval()
    labels = torch.from_numpy(data.test.labels)
    with torch.no_grad():
        pixels, _ = augment(data.test.tensor(), labels)
        (plain,) = accuracy(model(pixels), labels)
        (smooth,) = accuracy(averaged.module.eval()(pixels), labels)
    return {
        "train_loss": [round(value, 4) for value in history],
        "test_accuracy": round(float(plain) / 100, 4),
        "averaged_test_accuracy": round(float(smooth) / 100, 4),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
