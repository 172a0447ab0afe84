"""Unpack zip, tar and 7z files that nobody vouches for.

The format is told by the first bytes, not by the name. Members are never given to an `extract`
of a library: each one passes a `Guard`, and its bytes are written to a new file by this module, no
more of them than announced, with no owner, mode or time taken over. Everything goes to a folder
beside the final one, which gets its name when all of it is there.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from mixwell import DataError
from mixwell.recipes.kaggle.guard import Guard, Kind, Limits

_CHUNK = 2**20
_NO_7Z = (
    "Opening {archive} needs the py7zr package, which is not installed. Run "
    "`pip install 'mixwell[kaggle]'`, or unpack the file with another tool and give the folder."
)
# What the readers raise on damaged, encrypted or unusual files, beside their own kinds of error.
_DAMAGED = (
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    AssertionError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)


@dataclass(frozen=True)
class Unpacked:
    """What became of an archive.

    Attributes:
        files: written.
        skipped: left out, by reason.
    """

    files: int
    skipped: dict[str, int]


def unpack(
    archive: Path, folder: Path, *, suffixes: frozenset[str], limits: Limits | None = None
) -> Unpacked:
    """Unpack the wanted files of an archive into a new folder.

    Args:
        archive: a zip, tar (plain, gz, bz2 or xz) or 7z file.
        folder: where to; must not exist.
        suffixes: of the wanted files, in lower case.
        limits: what it may unpack to.

    Raises:
        DataError: the file is no archive, damaged or encrypted, or a member is refused; nothing is
            kept then. Or the folder exists.
        ImportError: a 7z file, and py7zr is not installed.
    """
    if folder.exists():
        raise DataError(f"Unpacking needs a new folder, got {folder}. Name another or remove it.")
    reader = _reader(archive)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    guard = Guard(archive, part, suffixes, limits or Limits())
    try:
        reader(archive, guard)
        part.replace(folder)
    except (DataError, ImportError):
        raise
    except _DAMAGED as error:
        raise _unreadable(archive, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Unpacked(guard.files, guard.skipped)


def is_archive(path: Path) -> bool:
    """Whether a file begins, or is named, like one of the archives."""
    return path.is_file() and _find_reader(path) is not None


Reader = Callable[[Path, Guard], None]


def _reader(archive: Path) -> Reader:
    try:
        found = _find_reader(archive)
    except OSError as error:
        raise DataError(f"{archive} cannot be opened: {error.strerror}. Check the path.") from None
    if found is None:
        raise DataError(
            f"An archive must be a zip, tar or 7z file, got {archive}. Download it again or unpack "
            "it with another tool and give the folder."
        )
    return found


def _find_reader(archive: Path) -> Reader | None:
    with archive.open("rb") as file:
        head = file.read(512)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _read_zip
    if head.startswith(b"7z\xbc\xaf\x27\x1c"):
        return _read_7z
    for mark, opener in _PACKED.items():
        if head.startswith(mark):
            return lambda path, guard: _read_tar(path, guard, opener)
    if head[257:262] == b"ustar" or archive.suffix == ".tar":
        return lambda path, guard: _read_tar(path, guard, Path.open)
    return None


_PACKED: dict[bytes, Callable[[Path, str], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}


def _unreadable(archive: Path, error: Exception) -> DataError:
    locked = "encrypted" in str(error) or type(error).__name__ == "PasswordRequired"
    why = "it is encrypted" if locked else str(error) or type(error).__name__
    return DataError(
        f"{archive} cannot be unpacked: {why}. Download it again, or unpack it with another tool "
        "and give the folder."
    )


def _write(source: IO[bytes], path: Path, size: int, guard: Guard) -> None:
    """Write a member to a new file: the bytes announced, and no more."""
    with _new(path) as file:
        left = size
        while chunk := source.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise guard.refused("members of the size they announce", f"a longer {path.name!r}")
            file.write(chunk)
        if left:
            raise EOFError(f"{path.name!r} ends {left} bytes early")


def _new(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


# ------------------------------------------------------------------ zip


def _read_zip(archive: Path, guard: Guard) -> None:
    with zipfile.ZipFile(archive) as zipped:
        wanted = []
        for info in zipped.infolist():
            path = guard.admit(info.orig_filename, info.file_size, _zip_kind(info))
            if path is not None:
                wanted.append((info, path))
        for info, path in wanted:
            with zipped.open(info) as source:
                _write(source, path, info.file_size, guard)


def _zip_kind(info: zipfile.ZipInfo) -> Kind:
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode == stat.S_IFLNK:
        return "link"
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "special"
    return "folder" if info.is_dir() else "file"


# ------------------------------------------------------------------ tar


class _Bounded:
    """A file of which no more than a chunk is read at once.

    tarfile takes a header's word for how long a name or its attributes are, and reads all of it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= _CHUNK:
            raise ValueError(f"a header of {count} bytes")
        return self.file.read(count)


def _read_tar(archive: Path, guard: Guard, opener: Callable[[Path, str], Any]) -> None:
    """Members as they come: each is judged before the file is read on."""
    with (
        opener(archive, "rb") as file,
        tarfile.open(fileobj=_Bounded(file), mode="r:") as tar,  # type: ignore[call-overload]
    ):
        while (member := tar.next()) is not None:
            path = guard.admit(member.name, member.size, _tar_kind(member))
            if path is not None:
                source = tar.extractfile(member)
                assert source is not None
                _write(source, path, member.size, guard)
            tar.members.clear()  # 300,000 of them would take as much memory as their images


def _tar_kind(member: tarfile.TarInfo) -> Kind:
    if member.issym() or member.islnk():
        return "link"
    if member.isdir():
        return "folder"
    return "file" if member.isreg() and not member.issparse() else "special"


# ------------------------------------------------------------------ 7z


def _read_7z(archive: Path, guard: Guard) -> None:
    try:
        import py7zr
        from py7zr.exceptions import ArchiveError, PasswordRequired
    except ImportError:
        raise ImportError(_NO_7Z.format(archive=archive)) from None
    try:
        # An open file, not a path: then py7zr starts no threads, and errors arrive here.
        with archive.open("rb") as file, py7zr.SevenZipFile(file) as packed:
            wanted: dict[str, tuple[Path, int]] = {}
            names = []
            for info in packed.list():
                path = guard.admit(info.filename, info.uncompressed or 0, _7z_kind(info))
                if path is not None:
                    names.append(info.filename)
                    wanted[_key(info.filename)] = (path, info.uncompressed or 0)
            if names:
                _extract_7z(packed, names, wanted, guard)
    except (ArchiveError, PasswordRequired) as error:
        raise _unreadable(archive, error) from None


def _extract_7z(
    packed: Any, names: list[str], wanted: dict[str, tuple[Path, int]], guard: Guard
) -> None:
    """py7zr decompresses and asks for a writer for each file; ours counts what it is given."""
    from py7zr.io import Py7zIO, WriterFactory

    opened: list[Any] = []

    class Writer(Py7zIO):
        def __init__(self, path: Path, size: int) -> None:
            self.path, self.left = path, size
            self.file = _new(path)
            opened.append(self)

        def write(self, s: bytes | bytearray) -> int:
            self.left -= len(s)
            if self.left < 0:
                name = self.path.name
                raise guard.refused("members of the size they announce", f"a longer {name!r}")
            return self.file.write(s)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0  # asked for once, after the last byte

        def flush(self) -> None:
            self.file.flush()

        def size(self) -> int:
            return self.file.tell()

    class Factory(WriterFactory):
        def create(self, filename: str) -> Py7zIO:
            found = wanted.get(_key(filename))
            if found is None:
                raise guard.refused("the files that were listed", f"{filename!r}")
            finish()
            return Writer(*found)

    def finish() -> None:
        """Close what was written: py7zr's older versions do not say when a file has ended."""
        while opened:
            writer = opened.pop()
            writer.file.close()
            if writer.left:
                raise EOFError(f"{writer.path.name!r} ends {writer.left} bytes early")

    try:
        packed.extract(targets=names, factory=Factory())
        finish()
    finally:
        for writer in opened:
            writer.file.close()


def _key(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def _7z_kind(info: Any) -> Kind:
    if info.is_symlink:
        return "link"
    if info.is_directory:
        return "folder"
    return "file" if info.is_file else "special"
