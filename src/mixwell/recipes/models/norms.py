"""Batch norms that keep their statistics: until the next ``train()``, or for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from torchvision.ops.misc import FrozenBatchNorm2d


def pause_norms(network: nn.Module) -> None:
    """Put every batch norm into evaluation mode: it uses its stored statistics and keeps them.

    Undone by ``network.train()``, so to be called after it. Weight and bias still learn.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


class FrozenNorm(nn.BatchNorm2d):
    """A batch norm that keeps its statistics and its scale, in training too."""

    def train(self, mode: bool = True) -> FrozenNorm:
        """Stay in evaluation."""
        super().train(False)
        return self


def freeze_norms(network: nn.Module) -> int:
    """Hold every batch norm for good, weight and bias too; returns how many there are.

    Names in the state dict stay the same.
    """
    from torchvision.ops.misc import FrozenBatchNorm2d

    for name, norm in list(network.named_modules()):
        if isinstance(norm, FrozenBatchNorm2d):  # torchvision's own, without num_batches_tracked
            network.set_submodule(name, _thawed(norm))
    found = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in found:
        norm.__class__ = FrozenNorm
        norm.requires_grad_(False)
        norm.eval()
    return len(found)


def _thawed(norm: FrozenBatchNorm2d) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(norm.state_dict()["weight"].numel(), eps=norm.eps)
    made.load_state_dict(norm.state_dict(), strict=False)
    return made
