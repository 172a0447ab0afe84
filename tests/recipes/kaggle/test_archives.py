"""Archives that nobody vouches for: nothing outside the folder, no links, no bombs."""

from __future__ import annotations

import io
import stat
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from mixwell import DataError
from mixwell.recipes.kaggle.archives import is_archive, unpack
from mixwell.recipes.kaggle.guard import Limits

PNG = frozenset({".png"})
KINDS = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "7z")
Members = dict[str, bytes]


def pack(path: Path, members: Members, *, deflate: bool = False) -> Path:
    """An archive of the kind its name says, with any names."""
    if path.name.endswith(".zip"):
        how = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", how) as packed:
            for name, content in members.items():
                packed.writestr(zipfile.ZipInfo(name), content, compress_type=how)
    elif path.name.endswith(".7z"):
        py7zr = pytest.importorskip("py7zr")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(py7zr.SevenZipFile, "_sanitize_archive_arcname", lambda self, name: name)
            patch.setattr("py7zr.py7zr.check_archive_path", lambda name: True)
            with py7zr.SevenZipFile(path, "w") as packed:
                for name, content in members.items():
                    packed.writestr(content, name)
    else:
        mode = path.suffix[1:] if path.suffix != ".tar" else ""
        with tarfile.open(path, f"w:{mode}") as packed:  # type: ignore[call-overload]
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                packed.addfile(info, io.BytesIO(content))
    return path


def listing(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def refused(archive: Path, match: str, limits: Limits | None = None) -> None:
    """Unpacking fails with one clear error and leaves nothing behind, anywhere."""
    top = archive.parents[1]
    before = listing(top)
    with pytest.raises(DataError, match=match):
        unpack(archive, archive.parent / "out", suffixes=PNG, limits=limits)
    assert listing(top) == before


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Deep enough that ``../..`` stays below tmp_path."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    return inner


@pytest.mark.parametrize("kind", KINDS)
def test_files_come_out_as_they_went_in(home: Path, kind: str) -> None:
    members = {"train/1.png": b"one", "train/sub/2.PNG": b"two" * 5000, "3.png": b""}
    others = {"train/notes.txt": b"x", ".hidden/4.png": b"x", "__MACOSX/train/1.png": b"x"}
    archive = pack(home / f"any.{kind}", members | others)
    odd = archive.rename(home / "named-by-nobody")  # the first bytes tell
    done = unpack(odd, home / "out", suffixes=PNG)
    assert done.files == 3 and done.skipped == {"another kind of file": 1, "hidden": 2}
    written = {
        p: (home / "out" / p).read_bytes()
        for p in listing(home / "out")
        if (home / "out" / p).is_file()
    }
    assert written == members


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    ["../evil.png", "a/../../evil.png", "/evil.png", "..\\evil.png", "C:\\evil.png", "c:evil.png",
     "\\\\host\\share\\evil.png", "a/..", "bell\a.png", "n" * 300 + ".png"],
)  # fmt: skip
def test_no_name_leads_out(home: Path, kind: str, name: str) -> None:
    refused(pack(home / f"x.{kind}", {"good.png": b"x", name: b"x"}), "plain relative names")


def test_a_name_with_a_nul_is_refused(home: Path) -> None:
    archive = home / "x.zip"
    pack(archive, {"good.pngXevil": b"x"})
    archive.write_bytes(archive.read_bytes().replace(b"pngXevil", b"png\0evil"))
    refused(archive, "plain relative names|cannot be unpacked")


def zip_of_kind(path: Path, mode: int, content: bytes = b"/etc/passwd") -> Path:
    info = zipfile.ZipInfo("link.png")
    info.create_system, info.external_attr = 3, (mode | 0o777) << 16
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(info, content)
    return path


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_a_zip_brings_no_links_or_devices(home: Path, mode: int) -> None:
    refused(zip_of_kind(home / "x.zip", mode), "files and folders only")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_a_tar_brings_no_links_or_devices(home: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("link.png")
    info.type, info.linkname = kind, "/etc/passwd"
    with tarfile.open(home / "x.tar", "w") as packed:
        packed.addfile(info)
    refused(home / "x.tar", "files and folders only")


def test_a_7z_brings_no_links(home: Path) -> None:
    py7zr = pytest.importorskip("py7zr")
    (home / "target").write_bytes(b"x")
    (home / "link.png").symlink_to(home / "target")
    with py7zr.SevenZipFile(home / "x.7z", "w") as packed:
        packed.write(home / "link.png", "link.png")
    refused(home / "x.7z", "files and folders only")


def test_a_link_out_does_not_redirect_a_later_file(home: Path) -> None:
    link = tarfile.TarInfo("a.png")
    link.type, link.linkname = tarfile.SYMTYPE, "../.."
    inside = tarfile.TarInfo("a.png/evil.png")
    with tarfile.open(home / "x.tar", "w") as packed:
        packed.addfile(link)
        packed.addfile(inside)
    refused(home / "x.tar", "files and folders only")


@pytest.mark.parametrize("kind", KINDS)
def test_limits(home: Path, kind: str) -> None:
    archive = pack(home / f"x.{kind}", {f"{i}.png": bytes(100) for i in range(10)})
    refused(archive, "at most 9 members.*--max-files", Limits(files=9))
    refused(archive, "at most 999 bytes unpacked.*--max-gib", Limits(total_bytes=999))
    refused(archive, "files of at most 99 bytes", Limits(file_bytes=99))
    exact = Limits(files=10, total_bytes=1000, file_bytes=100)
    assert unpack(archive, home / "out", suffixes=PNG, limits=exact).files == 10


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_refused_by_its_ratio(home: Path, kind: str) -> None:
    half = bytes(2**25 + 1)  # two of them exceed the 64 MiB from which the ratio counts
    archive = pack(home / f"x.{kind}", {"1.png": half, "2.png": half}, deflate=True)
    assert archive.stat().st_size < 2**20
    refused(archive, "200 bytes for each of its own.*--max-ratio")


def test_unwanted_members_count_too(home: Path) -> None:
    """They must be unpacked to be passed over in a tar or a solid 7z file."""
    refused(pack(home / "x.tar", {"x.bin": bytes(100)}), "at most", Limits(total_bytes=99))


def test_a_full_disk_is_foreseen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(home / "x.zip", {"1.png": bytes(100)})
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("U", (), {"free": 2**28 + 99}))
    refused(archive, "free room on the disk")


def test_a_long_header_of_a_tar_is_not_read(home: Path) -> None:
    """tarfile would read all that a header announces, into memory."""
    info = tarfile.TarInfo("x.png")
    info.pax_headers = {"comment": "x" * 2**21}
    with tarfile.open(home / "x.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as packed:
        packed.addfile(info)
    refused(home / "x.tar.gz", "a header of 2")


def test_a_sparse_file_is_refused(home: Path) -> None:
    info = tarfile.TarInfo("x.png")
    info.type = tarfile.GNUTYPE_SPARSE
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    raw[483:495] = b"00000001000\0"  # its real size
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    (home / "x.tar").write_bytes(bytes(raw) + bytes(1024))
    refused(home / "x.tar", "files and folders only|cannot be unpacked")


@pytest.mark.parametrize("kind", ["zip", "tar", "7z"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_comes_once(home: Path, kind: str) -> None:
    refused(pack(home / f"x.{kind}", {"a/x.png": b"1", "a/./x.png": b"2"}), "once|plain|cannot")


def test_a_zip_that_lies_about_a_size_is_refused(home: Path) -> None:
    archive = pack(home / "x.zip", {"x.png": b"y" * 1000})
    size = (1000).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(size, (10).to_bytes(4, "little")))
    refused(archive, "cannot be unpacked|announce")


def test_an_encrypted_zip_says_so(home: Path) -> None:
    archive = pack(home / "x.zip", {"x.png": b"y"})
    raw = bytearray(archive.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(raw)
    refused(archive, "encrypted")


@pytest.mark.parametrize("kind", KINDS)
def test_damage_anywhere_ends_in_our_error_or_in_whole_files(home: Path, kind: str) -> None:
    content = b"".join(i.to_bytes(2, "big") for i in range(300))
    whole = pack(home / f"x.{kind}", {"a/1.png": content, "2.png": content[::-1]}).read_bytes()
    before = listing(home.parents[1])
    for at in range(0, len(whole), max(1, len(whole) // 15)):
        for broken in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]):
            (home / f"x.{kind}").write_bytes(broken)
            try:
                unpack(home / f"x.{kind}", home / "out", suffixes=PNG)
            except DataError:
                assert listing(home.parents[1]) == before
            else:
                assert all(p.startswith("out") for p in listing(home) - {f"x.{kind}"})
                for path in sorted((home / "out").rglob("*"), reverse=True):
                    path.unlink() if path.is_file() else path.rmdir()
                (home / "out").rmdir()


def test_no_archive(home: Path) -> None:
    plain = home / "x.zip"
    plain.write_bytes(b"no archive at all")
    refused(plain, "must be a zip, tar or 7z file")
    refused(home / "absent.zip", "cannot be opened")
    assert not is_archive(plain) and not is_archive(home)


def test_a_folder_that_exists_is_left_alone(home: Path) -> None:
    archive = pack(home / "x.zip", {"1.png": b"x"})
    (home / "out").mkdir()
    refused(archive, "needs a new folder")


def test_without_py7zr_the_cure_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(home / "x.7z", {"1.png": b"x"})
    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(ImportError, match=r"pip install 'mixwell\[kaggle\]'"):
        unpack(archive, home / "out", suffixes=PNG)
    assert listing(home) == {"x.7z"}
