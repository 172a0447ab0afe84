"""Weights from files, and as much of them as fits.

A file is PyTorch's (.pth, .pt: a state dict, alone, or as "state_dict" or "model" of a dict, such
as this recipe's checkpoints), or NumPy's (.npz: arrays by name; int8 weights with scales and
folded batch norms too). Nothing in a file is executed.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mixwell import DataError
from mixwell.recipes.detection.data.files import shorten
from mixwell.recipes.detection.mobilenet import folded

_HOMES = ("state_dict", "model")


class Loaded(NamedTuple):
    """What became of a file's weights.

    Attributes:
        taken: how many entries were loaded.
        kept: entries of the model that stayed as they were initialised.
        unused: entries of the file that the model has not, or in another shape.
    """

    taken: int
    kept: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        """One line for a person."""
        text = f"{self.taken} tensors loaded"
        if self.kept:
            text += f"; {len(self.kept)} stay as initialised ({shorten(self.kept, 2)})"
        if self.unused:
            text += f"; {len(self.unused)} of the file unused ({shorten(self.unused, 2)})"
        return text


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """A file's tensors by name.

    Raises:
        DataError: it is missing, damaged, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"Weights are none, DEFAULT or a file, got no file {path}. Check the path.")
    try:
        found = _arrays(path) if path.suffix == ".npz" else _checkpoint(path)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        why = str(error).strip().splitlines() or [""]
        raise DataError(
            f"A file of weights must be a state dict (.pth) or arrays (.npz) without code, got "
            f"{type(error).__name__} for {path}: {why[0]}. Save model.state_dict() alone."
        ) from None
    except zipfile.BadZipFile:
        raise DataError(f"A .npz file must be whole, got a damaged one: {path}.") from None
    if not found or not all(isinstance(value, Tensor) for value in found.values()):
        kinds = sorted({type(value).__name__ for value in found.values()})
        raise DataError(
            f"A file of weights must hold tensors by name, got {shorten(kinds)} in {path}. Save "
            "model.state_dict()."
        )
    return {name.removeprefix("module."): value for name, value in found.items()}


def load_matching(model: nn.Module, state: dict[str, Tensor], what: str) -> Loaded:
    """Load the entries whose name and shape the model has; the others stay as they are.

    Args:
        model: changed in place.
        state: tensors by name.
        what: what they are, for an error.

    Raises:
        DataError: no weight fits.
    """
    own = model.state_dict()
    fits = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    if not any(value.ndim > 1 for value in fits.values()):
        raise DataError(
            f"{what} must fit {type(model).__name__}, whose weights are named like "
            f"{shorten(own, 2)}, got {shorten(state, 2)}. Give the weights of that network."
        )
    model.load_state_dict(fits, strict=False)
    kept = tuple(k for k in own if k not in fits and not k.endswith("num_batches_tracked"))
    return Loaded(len(fits), kept, tuple(k for k in state if k not in fits))


def _arrays(path: Path) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as file:
        parts = {name: torch.from_numpy(file[name]) for name in file.files}
    return folded(parts) if any(name.endswith(".scale") for name in parts) else parts


def _checkpoint(path: Path) -> dict[str, Any]:
    content = torch.load(path, map_location="cpu", weights_only=True)
    for home in _HOMES:
        if isinstance(content, dict) and isinstance(content.get(home), dict):
            return content[home]
    return content if isinstance(content, dict) else {"": content}
