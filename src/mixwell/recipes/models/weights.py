"""Weights from a local file: PyTorch's, safetensors', and arrays of 8-bit weights in an npz.

Nothing is unpickled but tensors (``weights_only=True``), and nothing is downloaded.

The 8-bit format: for a layer ``NAME``, ``NAME.weight`` int8, ``NAME.scale`` float32 with one number
for each output channel, and ``NAME.bias`` where the layer has one. A ``bias`` without a ``weight``
beside it is a batch norm that was folded into the convolution before it: it becomes a batch norm
that does nothing but add the bias. Such a batch norm does not know the statistics of what it sees,
so it must be left frozen (`norm_is_folded` tells).
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mixwell import DataError

State = dict[str, Tensor]
PICKLED = (".pth", ".pt", ".th", ".ckpt", ".bin", ".tar")
SUFFIXES = (*PICKLED, ".safetensors", ".npz")
# Where training scripts put the weights among other things in one file.
_INSIDE = ("state_dict", "model_state_dict", "model", "network")
_WRAPPERS = ("module.", "_orig_mod.")
_NORM_EPS = 1e-5  # of nn.BatchNorm2d


def read_weights(path: str | Path) -> State:
    """Read a state dict.

    Args:
        path: a ``.pth`` (or .pt, .th, .ckpt, .bin, .tar) of PyTorch, a ``.safetensors``, or an
            ``.npz`` of 8-bit weights. Of a checkpoint that holds more, the part named
            ``state_dict``, ``model_state_dict``, ``model`` or ``network`` is taken; a prefix
            ``module.`` or ``_orig_mod.``, left by a wrapper, is removed.

    Returns:
        Tensors on the CPU by name.

    Raises:
        DataError: the file is missing, damaged, of another kind, or holds no tensors.
        ImportError: a ``.safetensors`` and safetensors is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"Weights need an existing file, got {path}. Check the path.")
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix == ".safetensors":
        return _unwrapped(_read_safetensors(path))
    if path.suffix in PICKLED:
        return _unwrapped(_read_pickled(path))
    raise DataError(
        f"Weights are read from {', '.join(SUFFIXES)}, got {path.name}. "
        "Save them with torch.save(model.state_dict(), 'weights.pth')."
    )


def norm_is_folded(state: Mapping[str, Tensor]) -> bool:
    """Whether the batch norms hold no statistics: every mean is 0 and every variance 1.

    True of weights whose batch norms were folded away, and of a network never trained. False where
    there is no batch norm.

    Args:
        state: a network's state dict.
    """
    means = [v for k, v in state.items() if k.endswith(".running_mean")]
    variances = [v for k, v in state.items() if k.endswith(".running_var")]
    idle = not any(mean.any() for mean in means)
    return bool(means) and idle and all(((v - 1).abs() <= 2 * _NORM_EPS).all() for v in variances)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"Weights need a readable file, got {type(error).__name__} for {path}: {error}. "
        "Get it again, or save it with torch.save(model.state_dict(), 'weights.pth')."
    )


def _read_pickled(path: Path) -> State:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise _damaged(path, error) from None
    while isinstance(found, dict):
        inside = next((found[k] for k in _INSIDE if isinstance(found.get(k), dict)), None)
        if inside is None:
            break
        found = inside
    return _only_tensors(found, path)


def _read_safetensors(path: Path) -> State:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise ImportError(
            "A .safetensors file needs the safetensors package, which is not installed. "
            "Run `pip install safetensors`."
        ) from None
    try:
        return _only_tensors(load_file(path), path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None


def _only_tensors(found: object, path: Path) -> State:
    items = found.items() if isinstance(found, dict) else ()
    tensors = {str(name): value for name, value in items if isinstance(value, Tensor)}
    if not tensors:
        raise DataError(
            f"A weights file holds tensors by name, got {type(found).__name__} without any in "
            f"{path}. Save it with torch.save(model.state_dict(), 'weights.pth')."
        )
    return tensors


def _unwrapped(state: State) -> State:
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _read_npz(path: Path) -> State:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from None
    state: State = {}
    for name, array in arrays.items():
        layer, _, kind = name.rpartition(".")
        if kind == "weight":
            state[name] = _dequantised(array, arrays.get(f"{layer}.scale"), name, path)
        elif kind == "bias":
            state[name] = torch.from_numpy(array)
            if f"{layer}.weight" not in arrays:
                state |= _idle_norm(layer, len(array))
    if not state:
        raise DataError(
            f"An npz of weights holds NAME.weight, NAME.scale and NAME.bias, got "
            f"{', '.join(list(arrays)[:4]) or 'nothing'} in {path}. Save a .pth instead."
        )
    return state


def _dequantised(weight: np.ndarray, scale: np.ndarray | None, name: str, path: Path) -> Tensor:
    if weight.dtype != np.int8 or scale is None or scale.shape != weight.shape[:1]:
        found = "no scale" if scale is None else f"scale {list(scale.shape)}"
        raise DataError(
            f"An npz of weights needs int8 weights with one scale for each output channel, got "
            f"{name} {weight.dtype}{list(weight.shape)} and {found} in {path}. "
            "Save a .pth instead."
        )
    wide = scale.astype(np.float32).reshape(-1, *[1] * (weight.ndim - 1))
    return torch.from_numpy(weight.astype(np.float32) * wide)


def _idle_norm(layer: str, channels: int) -> State:
    """A batch norm that adds its bias: the variance makes up for eps, so that x / 1 is exact."""
    return {
        f"{layer}.weight": torch.ones(channels),
        f"{layer}.running_mean": torch.zeros(channels),
        f"{layer}.running_var": torch.full((channels,), 1 - _NORM_EPS),
        f"{layer}.num_batches_tracked": torch.tensor(0),
    }
