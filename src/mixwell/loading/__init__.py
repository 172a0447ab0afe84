"""`Loader`: reads, decodes, augments and labels batches in threads of one process."""

from __future__ import annotations

from mixwell.loading.batches import Skipped
from mixwell.loading.loader import Loader

__all__ = ["Loader", "Skipped"]
