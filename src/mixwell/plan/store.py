"""Plans in files: one npz with the arrays as they are and a JSON header; no pickle."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from dataclasses import MISSING, fields
from pathlib import Path

import numpy as np

from mixwell._errors import PlanError, PolicyError
from mixwell._rng import Keys
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Edit, Mix

FORMAT = "mixwell-plan"
VERSION = 2
"""Version 1 had no masks and no labels in a `Mix`; it is still read."""
_KINDS = {"Edit": Edit, "Mix": Mix}


def save(plan: Plan, path: Path) -> None:
    """Write a plan; the file's name is used as given."""
    keys = plan.keys
    who = None
    if keys is not None:
        who = {name: getattr(keys, name) for name in ("epoch", "step", "rank", "epochs")}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "steps": [type(step).__name__ for step in plan.steps],
        "seed": plan.seed,
        "policy_digest": plan.policy_digest,
        "digest": plan.digest(),
        "keys": who,
    }
    arrays = dict(plan.arrays())
    if keys is not None:
        arrays |= {"keys.index": keys.index, "keys.copy": keys.copy}
        if keys.progress is not None:
            arrays["keys.progress"] = np.asarray(keys.progress)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> Plan:
    """Read a plan and check it against the digest it was written with.

    Raises:
        PlanError: not a plan file, a newer version, or contents that differ from their digest.
    """
    header, arrays = _read(path)
    if header.get("format") != FORMAT or header.get("version") not in range(1, VERSION + 1):
        found = f"{header.get('format')} version {header.get('version')}"
        raise PlanError(f"{path}: expected {FORMAT} up to version {VERSION}, found {found}.")
    try:
        plan = _assemble(header, arrays)
        intact = plan.digest() == header["digest"]
    except KeyError as error:
        raise PlanError(f"{path}: array or header entry {error} is missing.") from None
    except (PlanError, PolicyError, TypeError) as error:
        raise PlanError(f"{path}: {error}") from None
    if not intact:
        raise PlanError(f"{path}: contents do not match their digest; the file is damaged.")
    return plan


_DAMAGE = (
    ValueError,
    KeyError,
    EOFError,
    OSError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""What the readers of zip, npy and JSON raise when they meet damage."""


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Header and arrays of a file that looks like a plan's."""
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file):  # np.load would also take a single array, or a pickle
                file.seek(0)
            held = np.load(file, allow_pickle=False)
            arrays = {name: held[name] for name in held.files}
            header = json.loads(arrays["header"].tobytes())
        except _DAMAGE as error:
            raise PlanError(f"{path} is not a mixwell plan file ({error}).") from None
    if not isinstance(header, dict):
        raise PlanError(f"{path} is not a mixwell plan file (its header is no table).")
    return header, arrays


def _assemble(header: dict, arrays: dict[str, np.ndarray]) -> Plan:
    steps = []
    for i, name in enumerate(header["steps"]):
        if name not in _KINDS:
            raise PlanError(f"unknown kind of step {name!r}.")
        kind = _KINDS[name]
        held = {f.name: f"{i}.{name}.{f.name}" for f in fields(kind)}
        needed = {f.name for f in fields(kind) if f.default is MISSING}
        there = {k: at for k, at in held.items() if k in needed or at in arrays}
        steps.append(kind(**{k: arrays[at] for k, at in there.items()}))
    keys = header["keys"]
    if keys is not None:
        progress = arrays.get("keys.progress")
        keys = Keys(arrays["keys.index"], arrays["keys.copy"], progress=progress, **keys)
    return Plan(
        in_hw=arrays["in_hw"],
        steps=tuple(steps),
        inputs=arrays["inputs"],
        seed=header["seed"],
        keys=keys,
        policy_digest=header["policy_digest"],
    )
