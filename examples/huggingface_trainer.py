"""A Hugging Face `Trainer` and a small ViT, mixed in the collate function.

    python examples/huggingface_trainer.py
    python examples/huggingface_trainer.py --data cifar10 --data-dir DIR --epochs 15

Samples are dicts with `pixel_values` and `labels`, and so are the batches: `Collate` keeps the
structure. The one thing to override is the data loader, so that samples bring their keys.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification, set_seed

import mixwell as mw
from mixwell.recipes.data import load_dataset


class Dicts(Dataset):
    """uint8 images [C, H, W] and class numbers, under the names that transformers uses."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"pixel_values": self.images[index], "labels": int(self.labels[index])}


class MixingTrainer(Trainer):
    """A Trainer whose training samples bring keys and meet `mixing` in the collate function."""

    mixing: mw.Collate

    def get_train_dataloader(self) -> DataLoader:
        """Keyed samples; each pass is the next epoch."""
        args, data = self.args, self.train_dataset
        epochs = int(args.num_train_epochs)
        return DataLoader(
            mw.keyed(data),
            sampler=mw.KeyedSampler(data, epochs=epochs, shuffle=True, seed=args.seed),
            batch_size=args.train_batch_size,
            drop_last=True,
            collate_fn=self.mixing,
            num_workers=args.dataloader_num_workers,
        )


def loss(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
    """Cross entropy: soft labels in training, class numbers in evaluation."""
    return F.cross_entropy(outputs.logits, labels)


def small_vit(side: int, classes: int) -> ViTForImageClassification:
    """Freshly initialised: 4 layers of width 64."""
    return ViTForImageClassification(
        ViTConfig(
            image_size=side,
            patch_size=max(side // 8, 1),
            num_labels=classes,
            hidden_size=64,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=128,
        )
    )


def main(words: list[str] | None = None) -> dict[str, Any]:
    """Train, and measure on the test images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits", help="digits, cifar10 or cifar100")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--limit", type=int, help="training images used; all when left out")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    set_seed(options.seed)
    data = load_dataset(options.data, options.data_dir)
    rows = torch.linspace(0, len(data.train) - 1, options.limit or len(data.train)).long()
    train = Dicts(data.train.tensor()[rows], torch.from_numpy(data.train.labels)[rows])
    given = {"num_classes": len(data.train.classes), "mean": data.mean, "std": data.std}
    side = data.train.images.shape[1]
    policy = mw.Policy(mw.RandomCrop(side, padding=1), mw.OneOf(mw.MixUp(), mw.CutMix(), p=0.5))
    pixels = mw.Augment(mw.Policy(), **given)(data.test.tensor())
    with tempfile.TemporaryDirectory() as folder:
        trainer = MixingTrainer(
            model=small_vit(side, len(data.train.classes)),
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=options.epochs,
                per_device_train_batch_size=options.batch_size,
                per_device_eval_batch_size=256,
                learning_rate=options.lr,
                lr_scheduler_type="cosine",
                logging_strategy="epoch",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                remove_unused_columns=False,
                seed=options.seed,
            ),
            train_dataset=train,
            eval_dataset=Dicts(pixels, torch.from_numpy(data.test.labels)),
            compute_loss_func=loss,
            compute_metrics=lambda p: {"accuracy": (p.predictions.argmax(1) == p.label_ids).mean()},
        )
        trainer.mixing = mw.Collate(policy, seed=options.seed, **given)
        trainer.train()
        measured = trainer.evaluate()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return {
        "train_loss": [round(float(value), 4) for value in losses],
        "test_accuracy": round(float(measured["eval_accuracy"]), 4),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
