"""What a member of an archive must be before a byte of it is written.

An archive from elsewhere may name files outside its folder, links that lead there, devices, more
files than a disk can hold, or a few kilobytes that unpack to terabytes. All of these are refused
with the member's name; nothing of the archive is kept then.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from mixwell import DataError

Kind = Literal["file", "folder", "link", "special"]

_DRIVE = re.compile(r"^[A-Za-z]:")
_LONGEST_PART = 255
_RATIO_FROM = 64 * 2**20
"""Bytes from which the ratio counts: a few small images may well pack to nothing."""
_SPARE = 256 * 2**20
"""Bytes left free on the disk."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much an archive may unpack to.

    Args:
        files: most members.
        total_bytes: most bytes of all members together, those left out included.
        file_bytes: most bytes of one member.
        ratio: most bytes unpacked for one packed, once 64 MiB are exceeded.
    """

    files: int = 2_000_000
    total_bytes: int = 256 * 2**30
    file_bytes: int = 2**30
    ratio: float = 200.0


@dataclass
class Guard:
    """Admits the members of one archive, one by one.

    Args:
        archive: the file, for messages and for its size.
        folder: where the members go.
        suffixes: of the files that are wanted, in lower case; others are counted and left out.
        limits: what the archive may unpack to.

    Attributes:
        files: wanted files so far.
        skipped: files left out so far, by reason.
    """

    archive: Path
    folder: Path
    suffixes: frozenset[str]
    limits: Limits
    files: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Ask for the room there is."""
        self._packed = max(self.archive.stat().st_size, 1)
        self._room = shutil.disk_usage(self.folder).free - _SPARE
        self._members = self._bytes = 0
        self._taken: set[PurePosixPath] = set()

    def admit(self, name: str, size: int, kind: Kind) -> Path | None:
        """Where a member's bytes go, or None when it is a folder or not wanted.

        Args:
            name: as the archive has it.
            size: bytes it says it has.
            kind: what it is.

        Raises:
            DataError: the member is refused.
        """
        self._members += 1
        if self._members > self.limits.files:
            rule = f"at most {self.limits.files:,} members"
            raise self.refused(rule, "more", "max_files (--max-files)")
        path = self._safe(name)
        if kind == "folder":
            return None
        if kind != "file":
            raise self.refused("files and folders only", f"the {kind} {name!r}")
        self._count(name, size)
        reason = self._unwanted(path)
        if reason:
            self.skipped[reason] = self.skipped.get(reason, 0) + 1
            return None
        if path in self._taken:
            raise self.refused("each file once", f"{name!r} twice")
        self._taken.add(path)
        self.files += 1
        return self.folder / path

    def _safe(self, name: str) -> PurePosixPath:
        """The name as a path that stays inside; backslashes separate, as on Windows."""
        text = name.replace("\\", "/")
        path = PurePosixPath(text)
        outside = path.is_absolute() or ".." in path.parts or _DRIVE.match(text)
        strange = not path.parts or any(ord(letter) < 32 for letter in text)
        if outside or strange or any(len(p.encode()) > _LONGEST_PART for p in path.parts):
            raise self.refused("plain relative names", f"{name[:200]!r}")
        return path

    def _count(self, name: str, size: int) -> None:
        limits = self.limits
        if not 0 <= size <= limits.file_bytes:
            raise self.refused(
                f"files of at most {_mib(limits.file_bytes)}", f"{name!r} of {_mib(size)}"
            )
        self._bytes += size
        if self._bytes > limits.total_bytes:
            rule = f"at most {_mib(limits.total_bytes)} unpacked"
            raise self.refused(rule, "more", "max_gib (--max-gib)")
        if self._bytes > max(_RATIO_FROM, limits.ratio * self._packed):
            raise self.refused(
                f"at most {limits.ratio:g} bytes for each of its own",
                f"{_mib(self._bytes)} and more from {_mib(self._packed)}",
                "max_ratio (--max-ratio)",
            )
        if self._bytes > self._room:
            raise self.refused(f"{_mib(self._room)}, the free room on the disk", "more")

    def _unwanted(self, path: PurePosixPath) -> str:
        if any(part.startswith((".", "__MACOSX")) for part in path.parts):
            return "hidden"
        return "" if path.suffix.lower() in self.suffixes else "another kind of file"

    def refused(self, rule: str, found: str, cure: str = "") -> DataError:
        """The error that a member ends in."""
        raised = f" Raise {cure} if the archive is right." if cure else ""
        return DataError(
            f"Unpacking {self.archive} allows {rule}, got {found}. Nothing was kept; unpack the "
            f"archive yourself if you trust it, and give the folder.{raised}"
        )


def _mib(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB" if count >= 2**20 else f"{count:,} bytes"
