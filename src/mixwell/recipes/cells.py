"""The runs of a comparison that are finished, kept so that it can go on after an interruption."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

import mixwell as mw
from mixwell.recipes.classify import write_json
from mixwell.recipes.config import TrainConfig
from mixwell.recipes.grid import Candidate
from mixwell.recipes.settings import as_json


class Cells:
    """Finished runs, one file each, written whole or not at all."""

    def __init__(self, folder: Path, resume: bool, chief: bool) -> None:
        self.folder, self.resume, self.chief = folder, resume, chief

    def path(self, candidate: Candidate, seed: int, suffix: str) -> Path:
        """Where a cell's file is; the digest tells apart policies whose names look alike."""
        slug = "".join(c if c.isalnum() or c in "+-" else "_" for c in candidate.name)[:60]
        digest = candidate.policy.digest()[:8]
        if candidate.weights:
            digest += "-" + hashlib.blake2b(candidate.weights.encode(), digest_size=4).hexdigest()
        return self.folder / f"{slug}-{digest}-seed{seed}{suffix}"

    def load(self, candidate: Candidate, seed: int, config: TrainConfig) -> dict | None:
        """A cell finished before with these settings, or None."""
        path = self.path(candidate, seed, ".json")
        if not self.resume or not path.exists():
            return None
        try:
            saved = json.loads(path.read_text())
            settings, row = saved["settings"], saved["row"] | {"policy": candidate.name}
        except (ValueError, KeyError, TypeError):
            raise mw.DataError(
                f"{path} is damaged; delete it or leave out resume (--resume)."
            ) from None
        ours = _settings(config)
        if settings != ours:
            name = next(k for k in ours if settings.get(k) != ours[k])
            raise mw.DataError(
                f"A comparison can be resumed with its own settings only, got {name}="
                f"{ours[name]!r} instead of {settings.get(name)!r} in {path}. Use the same "
                "settings or another folder."
            )
        return row

    def save(self, candidate: Candidate, seed: int, config: TrainConfig, row: dict) -> None:
        """Keep a finished cell; its checkpoint is no longer needed."""
        if not self.chief:
            return
        path = self.path(candidate, seed, ".json")
        fresh = path.with_suffix(".new")
        write_json(fresh, {"settings": _settings(config), "row": row})
        fresh.replace(path)
        self.path(candidate, seed, ".pt").unlink(missing_ok=True)


_NOT_TRAINING = {
    "policies",
    "seeds",
    "grid",
    "baseline",
    "weights",
    "out",
    "resume",
    "overwrite",
    "quiet",
}
_FREE = {"data_dir", "download", "num_workers", "threads", "devices", "num_nodes"}


def _settings(config: TrainConfig) -> dict[str, Any]:
    """What two cells must share to stand in one table."""
    shared = {k: v for k, v in as_json(config).items() if k not in _NOT_TRAINING | _FREE}
    return shared | {"mixwell": mw.__version__, "torch": torch.__version__}
