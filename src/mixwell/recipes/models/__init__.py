"""Networks for the recipes, by name.

The contract: :func:`build_model` returns a freshly initialised ``nn.Module`` that maps float
images ``[B, in_channels, H, W]`` to logits ``[B, num_classes]``, in training mode too. Nothing is
downloaded and no pretrained weights are loaded. torchvision and timm are imported only when one of
their models is asked for.
"""

from mixwell.recipes.models.byname import build_model, model_names
from mixwell.recipes.models.cifar_resnet import CifarResNet, ShortcutPad
from mixwell.recipes.models.resnet9 import ResNet9
from mixwell.recipes.models.small import DigitsNet

__all__ = [
    "CifarResNet",
    "DigitsNet",
    "ResNet9",
    "ShortcutPad",
    "build_model",
    "model_names",
]
