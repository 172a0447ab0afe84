"""Plans in files: one npz with the arrays as they are and a JSON header; no pickle."""

from __future__ import annotations

import json
import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np

from mixwell._errors import PlanError
from mixwell._rng import Keys
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Edit, Mix

FORMAT = "mixwell-plan"
VERSION = 1
_KINDS = {"Edit": Edit, "Mix": Mix}


def save(plan: Plan, path: Path) -> None:
    """Write a plan; the file's name is used as given."""
    keys = plan.keys
    header = {
        "format": FORMAT,
        "version": VERSION,
        "steps": [type(step).__name__ for step in plan.steps],
        "seed": plan.seed,
        "policy_digest": plan.policy_digest,
        "digest": plan.digest(),
        "keys": keys and {n: getattr(keys, n) for n in ("epoch", "step", "rank", "progress")},
    }
    arrays = dict(plan.arrays())
    if keys is not None:
        arrays |= {"keys.index": keys.index, "keys.copy": keys.copy}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> Plan:
    """Read a plan and check it against the digest it was written with.

    Raises:
        PlanError: not a plan file, a newer version, or contents that differ from their digest.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays["header"].tobytes())
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise PlanError(f"{path} is not a mixwell plan file ({error}).") from None
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        found = f"{header.get('format')} version {header.get('version')}"
        raise PlanError(f"{path}: expected {FORMAT} version {VERSION}, found {found}.")
    try:
        plan = _assemble(header, arrays)
    except KeyError as error:
        raise PlanError(f"{path}: array {error} is missing.") from None
    if plan.digest() != header["digest"]:
        raise PlanError(f"{path}: contents do not match their digest; the file is damaged.")
    return plan


def _assemble(header: dict, arrays: dict[str, np.ndarray]) -> Plan:
    steps = []
    for i, name in enumerate(header["steps"]):
        kind = _KINDS[name]
        steps.append(kind(**{f.name: arrays[f"{i}.{name}.{f.name}"] for f in fields(kind)}))
    keys = header["keys"]
    if keys is not None:
        keys = Keys(arrays["keys.index"], arrays["keys.copy"], **keys)
    return Plan(
        in_hw=arrays["in_hw"],
        steps=tuple(steps),
        inputs=arrays["inputs"],
        seed=header["seed"],
        keys=keys,
        policy_digest=header["policy_digest"],
    )
