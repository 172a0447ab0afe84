"""Networks for the recipes, by name.

The contract: :func:`build_model` returns a freshly initialised ``nn.Module`` that maps float
images ``[B, in_channels, H, W]`` to logits ``[B, num_classes]``, in training mode too; it downloads
nothing and loads no trained weights. :func:`load_start` does: by name or from a file, with a new
head. torchvision and timm are imported only when one of their models is asked for.
"""

from mixwell.recipes.models.byname import build_model, model_names
from mixwell.recipes.models.cifar_resnet import CifarResNet, ShortcutPad
from mixwell.recipes.models.pretrained import Start, load_start
from mixwell.recipes.models.resnet9 import ResNet9
from mixwell.recipes.models.resnet9_fast import FastResNet9
from mixwell.recipes.models.small import DigitsNet
from mixwell.recipes.models.whitening import whiten

__all__ = [
    "CifarResNet",
    "DigitsNet",
    "FastResNet9",
    "ResNet9",
    "ShortcutPad",
    "Start",
    "build_model",
    "load_start",
    "model_names",
    "whiten",
]
