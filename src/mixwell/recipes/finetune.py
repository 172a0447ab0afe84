"""Fine-tune a trained network on other classes, and write the run to a folder.

The folder is that of `classify`. What differs is where the network begins (`models.pretrained`),
which of its layers learn when (`tuning`), and a gentle policy (the preset `finetune`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mixwell.recipes.classify import Beginning, ClassifyConfig, one_run, run_name
from mixwell.recipes.config import sensible_model
from mixwell.recipes.data import TrainTest
from mixwell.recipes.loop import Result
from mixwell.recipes.models.named import DEFAULT
from mixwell.recipes.models.pretrained import Start, load_start
from mixwell.recipes.settings import OptimizerName
from mixwell.recipes.tuning import Tuning, TuningConfig, make_tuning, resolved_tuning


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(TuningConfig, ClassifyConfig):
    """Settings of one fine-tuning; `TuningConfig` and `ClassifyConfig` have the others.

    Args:
        policy: finetune (a mild crop, a mirror image, MixUp of alpha 0.2 for three images of ten,
            off in the last quarter), a preset's name, a TOML file's path, or code such as
            ``"Policy(CutMix())"``.
        model: any of torchvision by name, or timm:NAME; mobilenet_v2-tf for weights from
            TensorFlow; torchvision:resnet18 for folders when left out.
        weights: DEFAULT or another name that torchvision or timm gives to weights of the model; a
            file (.pth, .safetensors, or .npz with 8-bit weights); or none, to train from scratch.
        optimizer: adamw, sgd (Nesterov) or adam. AdamW's steps do not depend on the scale of the
            loaded weights, which differs from file to file.
        epochs: passes over the training images; 10 when left out.
        lr: peak learning rate of loaded layers; when left out that of training from scratch,
            divided by head_lr: 1e-4 with adamw.
    """

    policy: str = "finetune"
    optimizer: OptimizerName = "adamw"
    weights: str = DEFAULT


def finetune(config: FinetuneConfig) -> Result:
    """Fine-tune a classifier.

    Args:
        config: the settings; fields left at None are filled in.

    Returns:
        The figures and the network. After Ctrl-C, those of the finished epochs.

    Raises:
        DataError: the weights are missing, unfit or cannot be fetched (the message says how to
            bring a file along), or as `classify`.
        PolicyError, ImportError: as `classify`.
    """
    config = resolved_tuning(config)
    source = Path(config.weights).stem

    def begin(data: TrainTest) -> Beginning:
        start = start_for(config, data, config.weights)
        return beginning(start, data, make_tuning(start, config))

    return one_run(config, run_name(config, f"from-{source}"), begin)


def start_for(config: TuningConfig, data: TrainTest, weights: str) -> Start:
    """The initial weights for a data set's classes.

    Args:
        config: names the model.
        data: has the classes.
        weights: a name, a file or none.

    Raises:
        DataError: the weights are missing, unfit or cannot be fetched.
    """
    model = config.model or sensible_model(config.data)
    return load_start(model, len(data.classes), weights)


def beginning(start: Start, data: TrainTest, tuning: Tuning) -> Beginning:
    """What a training from these weights begins with: images normalised as the weights expect.

    Args:
        start: the initial weights.
        data: the images.
        tuning: of the same network.
    """
    if start.mean and start.std:
        data = replace(data, mean=start.mean, std=start.std)
    return Beginning(data, start.network, tuning, tuning.summary())
