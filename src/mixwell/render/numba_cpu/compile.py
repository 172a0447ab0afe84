"""How kernels are compiled: without the GIL, cached on disk, and told to the user while it happens.

A kernel is an entry point with explicit types; whatever it calls is compiled into it. The cache is
keyed by the text of all kernels, so that a change in any of them is a new kernel. Numba keeps the
cache beside the source or, where that cannot be written, in the user's cache directory; where
neither can, kernels are compiled anew in each process.
"""

from __future__ import annotations

import gc
import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, NullCache

from mixwell.render.numba_cpu.parts import PartCompiler

OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": False,
    "_nrt": False,
}
"""No fast-math: sums keep their order, and a product and a sum are rounded apart. No references are
counted: kernels allocate nothing, and their caller holds what they read. So no part returns an
array; it returns an address."""

_BARE: dict[str, Any] = {
    **OPTIONS,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": PartCompiler,
}

part: Callable[..., Any] = numba.njit(**_BARE)
"""A function that kernels call; compiled into each of them, and not to be called from Python."""

inlined: Callable[..., Any] = numba.njit(forceinline=True, **_BARE)
"""A part for the middle of a loop, which a call would keep from becoming vector instructions."""

PATIENCE_S = 2.0
"""Compiling that takes longer than this is told."""


def digest() -> str:
    """A fingerprint of the sources of all kernels."""
    hasher = hashlib.blake2b(digest_size=12)
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        hasher.update(file.read_bytes())
    return hasher.hexdigest()


class _Cache(FunctionCache):
    """Numba's cache on disk, keyed by the text of all kernels as well."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return (*super()._index_key(sig, codegen), digest())


@contextmanager
def _no_garbage() -> Iterator[None]:
    """No search for garbage: an eighth of compiling is spent on objects that are still needed."""
    held = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if held:
            gc.enable()


def kernel(*types: Any) -> Callable[[Callable], Callable]:
    """Decorates an entry point: compiled for these types at once, or taken from the disk."""

    def compiled(function: Callable) -> Callable:
        dispatcher: Any = numba.njit(**OPTIONS)(function)
        try:
            dispatcher._cache = _Cache(dispatcher.py_func)
        except RuntimeError:  # nowhere to write
            dispatcher._cache = NullCache()
        with _no_garbage():
            dispatcher.compile(types)
        dispatcher.disable_compile()
        return dispatcher

    return compiled


@contextmanager
def told() -> Iterator[None]:
    """Says on standard error that kernels are being compiled, if that takes long."""
    done = threading.Event()

    def tell() -> None:
        if not done.wait(PATIENCE_S):
            text = "mixwell: compiling its kernels, once on this machine; some twenty seconds ..."
            print(text, file=sys.stderr, flush=True)  # noqa: T201

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
