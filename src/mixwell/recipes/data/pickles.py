"""Read the pickled CIFAR batches without ever running what a pickle asks for.

A pickle may name any function and call it. This reader answers the few names that a dictionary of
byte arrays needs with stand-ins of its own - NumPy's unpickling code is not called either - and
refuses all others.
"""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from mixwell import DataError

# What a damaged or hostile pickle makes the unpickler raise, besides UnpicklingError.
_PICKLE_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    MemoryError,
)


def read_pickled_dict(path: Path) -> dict[str, Any]:
    """Read a pickled dictionary that holds only plain Python values and uint8 arrays.

    Accepts pickles written by Python 2 (as published) and 3, and by NumPy 1 and 2.

    Args:
        path: the file.

    Returns:
        The dictionary; byte-string keys become ``str``, arrays become uint8 ``np.ndarray``.

    Raises:
        DataError: the file is truncated, is no pickled dictionary, or names anything but arrays.
    """
    try:
        loaded = _ArrayUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        if not isinstance(loaded, dict):
            raise ValueError(f"it holds a {type(loaded).__name__}, not a dict")
        return {_text(key): _array(value) for key, value in loaded.items()}
    except _PICKLE_ERRORS as error:
        raise DataError(
            f"{path} cannot be read as a pickled batch: {error or type(error).__name__}. "
            "Copy or download the file again."
        ) from None


def _text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)


def _array(value: Any) -> Any:
    return value.to_numpy() if isinstance(value, _PickledArray) else value


class _PickledArray:
    """Collects what a pickle says about an array; :meth:`to_numpy` checks it."""

    def __init__(self) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def to_numpy(self) -> np.ndarray:
        """The array; ``ValueError`` unless it is uint8, row by row and complete."""
        if len(self.state) != 5:
            raise ValueError("an array has no contents")
        _, shape, dtype, is_fortran, raw = self.state
        if not isinstance(dtype, _PickledDType) or dtype.code not in ("u1", "uint8", "|u1"):
            raise ValueError("an array is not uint8")
        raw = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
        if is_fortran or math.prod(shape) != len(raw):
            raise ValueError(f"an array of shape {shape} has {len(raw)} bytes, or is not row-major")
        return np.frombuffer(raw, np.uint8).reshape(shape)


class _PickledDType:
    def __init__(self, code: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like: no matter for bytes."""


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickler whose every nameable thing is a bound method or a string of this module.

    Neither accepts new attributes, so that a pickle cannot leave anything behind.
    """

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}".replace("numpy._core.", "numpy.core.")
        known = {
            "numpy.core.multiarray._reconstruct": self._reconstruct,
            "numpy.core.numeric._frombuffer": self._frombuffer,
            "numpy.ndarray": "ndarray",
            "numpy.dtype": self._dtype,
            "_codecs.encode": self._encode,
        }
        if full not in known:
            raise pickle.UnpicklingError(f"it asks for {full}, which no CIFAR batch contains")
        return known[full]

    def _reconstruct(self, *_: Any) -> _PickledArray:
        return _PickledArray()

    def _frombuffer(self, raw: Any, dtype: Any, shape: Any, order: str) -> _PickledArray:
        array = _PickledArray()
        array.state = (1, shape, dtype, order != "C", raw)
        return array

    def _dtype(self, code: Any, *_: Any) -> _PickledDType:
        return _PickledDType(code)

    def _encode(self, text: str, encoding: str) -> bytes:
        """How Python 3 writes bytes for Python 2; always Latin-1."""
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
        return text.encode("latin1")
