"""A linear probe, which fine-tuning must be measured against.

    python benchmarks/probe.py --data hymenoptera --model mobilenet_v2-tf \
        --weights mobilenet_v2_imagenet_int8.npz --sizes 160 224 256 288 \
        --out benchmarks/results/probe_hymenoptera.json

Logistic regression on what the loaded layers make of the unaugmented training images, prepared as
`mixwell train finetune` prepares the images that it measures. Ten times five folds of the training
images choose C by their likelihood; accuracies of every C are written, none is left out.
`tta` averages with the mirror image, as the recipe's `--tta` does; the probe is trained without.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import nn

from mixwell.bench.machine import describe
from mixwell.recipes.config import policies_for
from mixwell.recipes.data import load_dataset
from mixwell.recipes.feed import plain_batches
from mixwell.recipes.finetune import FinetuneConfig
from mixwell.recipes.models.pretrained import load_start

STRENGTHS = (100.0, 10.0, 1.0, 0.1, 0.01)
REPEATS, FOLDS = 10, 5


def main() -> None:
    """Measure all sizes, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="two classes")
    parser.add_argument("--model", default="mobilenet_v2-tf")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[224])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for size in options.sizes:
        config = FinetuneConfig(data="folder", data_dir=options.data, image_size=size)
        rows += probed(config, options.model, options.weights)
        for row in rows[-len(STRENGTHS) :]:
            print("  ".join(f"{k}: {v:.4g}" for k, v in row.items()), flush=True)
    if options.out is not None:
        settings = {
            "data": options.data.name,
            "model": options.model,
            "weights": Path(options.weights).name,
            "folds": f"{REPEATS} x {FOLDS}",
            "sizes": options.sizes,
        }
        result = {"settings": settings, "machine": describe(), "rows": rows}
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def probed(config: FinetuneConfig, model: str, weights: str) -> list[dict[str, Any]]:
    """One size: a row for each C."""
    data = load_dataset(config.data, config.data_dir, config.download)
    start = load_start(model, len(data.classes), weights)
    network = start.network().eval()
    for name in start.head:
        network.set_submodule(name, nn.Identity())
    _, policy = policies_for(config, data, config.policy)
    options = {
        "mean": start.mean or data.mean,
        "std": start.std or data.std,
        "num_classes": len(data.classes),
    }
    train, mirrored, labels = features(network, data.train, policy, options)
    test, test_mirrored, truth = features(network, data.test, policy, options)
    rows = []
    for c in STRENGTHS:
        folds, loss = np.zeros(2), 0.0
        for repeat in range(REPEATS):
            split = StratifiedKFold(FOLDS, shuffle=True, random_state=repeat)
            for fit, held in split.split(train, labels):
                plain = fitted(train[fit], labels[fit], c).decision_function
                scores, others = plain(train[held]), plain(mirrored[held])
                folds += hits(scores, others, labels[held])
                loss += np.logaddexp(0, -scores * (2 * labels[held] - 1)).sum()
        whole = fitted(train, labels, c).decision_function
        found = hits(whole(test), whole(test_mirrored), truth) / len(truth)
        folds, loss = folds / (REPEATS * len(labels)), loss / (REPEATS * len(labels))
        row: dict[str, Any] = {"size": config.image_size, "C": c, "folds_loss": float(loss)}
        row |= {"folds": folds[0], "folds_tta": folds[1], "test": found[0], "test_tta": found[1]}
        rows.append(row)
    return rows


@torch.no_grad()
def features(network: nn.Module, images: Any, policy: Any, options: dict[str, Any]) -> tuple:
    """Of the images and of their mirror images, each [N, F]; and the labels."""
    batches = plain_batches(
        images, policy, options, batch_size=32, num_workers=0, device=torch.device("cpu")
    )
    found = [(network(x), network(x.flip(-1)), y) for x, y in batches]
    return tuple(torch.cat(parts).numpy() for parts in zip(*found, strict=True))


def fitted(features: np.ndarray, labels: np.ndarray, c: float) -> LogisticRegression:
    """The probe."""
    return LogisticRegression(C=c, max_iter=5000).fit(features, labels)


def hits(scores: np.ndarray, mirrored: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many are right, without and with the mirror image."""
    right = [((s > 0) == labels).sum() for s in (scores, scores + mirrored)]
    return np.array(right, float)


if __name__ == "__main__":
    main()
