"""A Lightning `Trainer` over a DataLoader whose workers augment, with keys from the sampler.

    python examples/lightning_trainer.py
    python examples/lightning_trainer.py --data cifar10 --data-dir DIR --model resnet20 --workers 2

On several devices give `KeyedSampler` rank= and world_size= (it slices the order itself, so
`use_distributed_sampler` stays off).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

import mixwell as mw
from mixwell.recipes.data import load_dataset
from mixwell.recipes.models import build_model


class Classifier(L.LightningModule):
    """Any network; soft labels in training, class numbers in validation."""

    def __init__(self, network: nn.Module, lr: float, steps: int) -> None:
        super().__init__()
        self.network, self.lr, self.steps = network, lr, steps
        self.losses: list[float] = []

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Images float [B, C, H, W], labels [B, K]."""
        images, labels = batch
        return F.cross_entropy(self.network(images), labels)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Remember the loss."""
        self.losses.append(float(outputs["loss"]))

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Accuracy on images as they are."""
        images, labels = batch
        right = (self.network(images).argmax(1) == labels).float().mean()
        self.log("test_accuracy", right, on_epoch=True, batch_size=len(images))

    def configure_optimizers(self) -> Any:
        """SGD, one cycle."""
        optimizer = torch.optim.SGD(self.parameters(), self.lr, momentum=0.9, nesterov=True)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def main(words: list[str] | None = None) -> dict[str, Any]:
    """Train, and measure on the test images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits", help="digits, cifar10 or cifar100")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--limit", type=int, help="training images used; all when left out")
    parser.add_argument("--model", default="digits-net")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    L.seed_everything(options.seed, verbose=False)
    data = load_dataset(options.data, options.data_dir)
    rows = torch.linspace(0, len(data.train) - 1, options.limit or len(data.train)).long().tolist()
    train = Subset(data.train, rows)  # type: ignore[arg-type]
    policy = mw.Policy(mw.RandomCrop(data.train[0][0].shape[1], padding=1), mw.MixUp(p=0.5))
    given = {"num_classes": len(data.train.classes), "mean": data.mean, "std": data.std}
    sampler = mw.KeyedSampler(train, epochs=options.epochs, shuffle=True, seed=options.seed)
    loader = DataLoader(
        mw.keyed(train),
        sampler=sampler,
        batch_size=options.batch_size,
        drop_last=True,
        collate_fn=mw.Collate(policy, seed=options.seed, **given),
        num_workers=options.workers,
        persistent_workers=options.workers > 0,
    )
    pixels = mw.Augment(mw.Policy(), **given)(data.test.tensor())
    test = TensorDataset(pixels, torch.from_numpy(data.test.labels))
    network = build_model(options.model, len(data.train.classes))
    model = Classifier(network, options.lr, options.epochs * len(loader))
    trainer = L.Trainer(
        max_epochs=options.epochs,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(model, loader)
    (measured,) = trainer.validate(model, DataLoader(test, batch_size=256), verbose=False)
    size = len(loader)
    means = [sum(model.losses[i : i + size]) / size for i in range(0, len(model.losses), size)]
    return {
        "train_loss": [round(value, 4) for value in means],
        "test_accuracy": round(measured["test_accuracy"], 4),
        "epochs_sampled": sampler.epoch,
    }


if __name__ == "__main__":
    print(json.dumps(main()))
