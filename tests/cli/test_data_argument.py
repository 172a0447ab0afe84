"""`--data`: names, folders, and what a folder is found to hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixwell import DataError
from mixwell.cli.data_argument import detect, resolve_data, tell_split
from mixwell.recipes.data.cifar_names import CIFAR10_CLASSES
from tests.data import shared_data


def made(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.touch()
    return root


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["data_batch_1", "test_batch"], "cifar10"),
        (["cifar-10-batches-py/data_batch_1"], "cifar10"),
        (["cifar-10-batches-bin/data_batch_1.bin"], "cifar10"),
        (["data_batch_1.webp", "train_labels.u8"], "cifar10"),
        (["cifar-100-python/train"], "cifar100"),
        (["train", "test", "meta"], "cifar100"),
        (["train.bin", "test.bin"], "cifar100"),
        (["train/cats/a.jpg", "val/cats/b.jpg"], "folder"),
        ([f"{s}/{c}/a.png" for s in ("train", "test") for c in CIFAR10_CLASSES], "cifar10"),
    ],
)
def test_a_folder_tells_what_it_holds(tmp_path: Path, names: list[str], kind: str) -> None:
    root = made(tmp_path, *names)
    assert detect(root) == kind
    assert resolve_data(str(root), None) == (kind, root)
    assert resolve_data(None, root) == (kind, root)


def test_real_folders_are_known() -> None:
    unproven = "that the published layouts are recognised"
    assert detect(shared_data("cifar10", unproven)) == "cifar10"
    assert detect(shared_data("hymenoptera", unproven)) == "folder"


def test_class_folders_alone_are_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "a/1.png", "b/2.png")
    assert resolve_data(str(tmp_path), None) == ("folder", tmp_path)
    tell_split("folder", tmp_path)
    said = capsys.readouterr().out
    assert "every fifth image of each class" in said and said.count("\n") == 1
    made(tmp_path, "train/a/1.png", "val/a/1.png")
    tell_split("folder", tmp_path)
    tell_split("digits", None)
    assert capsys.readouterr().out == ""


def test_a_download_needs_no_folder_yet(tmp_path: Path) -> None:
    new = tmp_path / "new"
    assert resolve_data("cifar10", None, download=True) == ("cifar10", None)
    assert resolve_data("cifar10", new, download=True) == ("cifar10", new)


@pytest.mark.parametrize("made_already", [False, True])
@pytest.mark.parametrize("option", ["data", "data_dir"])
def test_a_download_needs_a_name(tmp_path: Path, option: str, made_already: bool) -> None:
    new = tmp_path / "new"
    if made_already:
        new.mkdir()
    given = (str(new), None) if option == "data" else (None, new)
    with pytest.raises(DataError, match=f"--data cifar10 --data-dir {new} --download"):
        resolve_data(*given, download=True)


def test_a_download_of_a_misspelt_name_is_told_the_right_one() -> None:
    with pytest.raises(DataError, match="Did you mean cifar10"):
        resolve_data("cifr10", None, download=True)


def test_names_are_taken_as_they_are(tmp_path: Path) -> None:
    assert resolve_data(None, None) == ("digits", None)
    assert resolve_data("cifar10", tmp_path) == ("cifar10", tmp_path)


@pytest.mark.parametrize(
    ("data", "data_dir", "message"),
    [
        ("cifr10", None, "Did you mean cifar10?"),
        ("absent/folder", None, "must be an existing folder or one of"),
        ("{tmp}/file", None, "got the file"),
        ("{tmp}", "{tmp}", "Give the folder once"),
        ("{tmp}", None, "holds neither CIFAR nor"),
        (None, "{tmp}/absent", "There is no folder"),
        (None, "{tmp}/file", "must be a folder"),
    ],
)
def test_what_is_no_data_set_is_refused(
    tmp_path: Path, data: str | None, data_dir: str | None, message: str
) -> None:
    made(tmp_path, "file")
    with pytest.raises(DataError, match=message.replace("?", r"\?")):
        resolve_data(
            data.format(tmp=tmp_path) if data else None,
            Path(data_dir.format(tmp=tmp_path)) if data_dir else None,
        )
