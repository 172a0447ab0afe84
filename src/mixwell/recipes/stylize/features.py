"""Feature maps of a network's inner layers, by name, and nothing computed behind the last one."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mixwell import DataError


class _Enough(Exception):
    """Every layer asked for has been seen: the rest of the network need not run."""


class Features(nn.Module):
    """A frozen network that gives its inner layers' outputs.

    In-place activations are made to write elsewhere: they would change a convolution's output
    before it is looked at.

    Args:
        network: maps normalised float [B, 3, H, W] to anything; put into evaluation mode, frozen.
        layers: names of its modules, as in `network.named_modules()`.
        mean: [3], of images in 0 .. 1.
        std: [3], the same.

    Raises:
        ValueError: no layer, or one that the network does not have.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str],
        *,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.layers = tuple(dict.fromkeys(layers))
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.mean: Tensor
        self.std: Tensor
        self._found: dict[str, tuple[Tensor, int]] = {}
        modules = dict(network.named_modules())
        for name in self.layers:
            if not name or name not in modules:
                raise _unknown(name, list(modules))
            modules[name].register_forward_hook(self._keep(name))
        if not self.layers:
            raise ValueError("Features need at least one layer, got none. Name one.")
        for module in modules.values():
            if getattr(module, "inplace", False):
                module.inplace = False  # type: ignore[assignment]

    def _keep(self, name: str):
        def hook(module: nn.Module, inputs: tuple, output: object) -> None:
            if not isinstance(output, Tensor) or output.ndim != 4:
                shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
                raise ValueError(
                    f"A layer must give maps [B, C, H, W], got {shape} from {name}. "
                    "Choose another layer."
                )
            self._found[name] = output, output._version
            if len(self._found) == len(self.layers):
                raise _Enough

        return hook

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Feature maps by layer.

        Args:
            image: as `normalized` gives it, float [B, 3, H, W].

        Raises:
            ValueError: the network does not come to a layer, or writes into its output.
        """
        self._found = {}
        try:
            self.network(image)
        except _Enough:
            pass
        found, self._found = self._found, {}
        for name in self.layers:
            if name not in found:
                raise ValueError(f"The network never ran its layer {name}. Choose another layer.")
            tensor, version = found[name]
            if tensor._version != version:
                raise ValueError(
                    f"The network writes into the output of its layer {name}, so that its values "
                    "are lost. Choose the layer behind it."
                )
        return {name: found[name][0] for name in self.layers}

    def normalized(self, pixels: Tensor) -> Tensor:
        """Pixels in 0 .. 1 as the network takes them."""
        return (pixels - self.mean) / self.std

    def pixels(self, image: Tensor) -> Tensor:
        """The way back: what the network takes as pixels in 0 .. 1, not clamped."""
        return image * self.std + self.mean

    def clamp_(self, image: Tensor) -> None:
        """Bring what the network takes back to what pixels can show, in place."""
        low, high = self.normalized(torch.zeros_like(self.mean)), self.normalized(1 + 0 * self.mean)
        image.copy_(torch.minimum(torch.maximum(image, low), high))

    def check_size(self, height: int, width: int) -> None:
        """Make sure that an image of this size comes through.

        Raises:
            DataError: it is too small.
        """
        try:
            with torch.no_grad():
                on_meta(self, torch.empty(1, 3, height, width, device="meta"))
        except RuntimeError as error:
            why = str(error).splitlines()[0].rstrip(".")
            raise DataError(
                f"The picture must be large enough for the layers, got {width} x {height} px: "
                f"{why}. Use a larger size (--size), fewer scales, or earlier layers."
            ) from None


def shapes_of(features: Features) -> dict[str, Tensor]:
    """The weights' shapes alone, on the meta device, by name."""
    tensors = [*features.named_parameters(), *features.named_buffers()]
    return {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}


def on_meta(
    features: Features, image: Tensor, shapes: dict[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """The feature maps' shapes alone, for a tensor on the meta device: no pixel is computed."""
    shapes = shapes_of(features) if shapes is None else shapes
    return torch.func.functional_call(features, shapes, (image,))


def _unknown(name: str, known: list[str]) -> ValueError:
    close = difflib.get_close_matches(name, known, n=4, cutoff=0.4)
    hint = f"Close names: {', '.join(close)}." if close else f"Names: {', '.join(known[1:9])}, ..."
    return ValueError(f"The network has no layer {name!r}. {hint}")
