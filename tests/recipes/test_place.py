"""`--resume` where there is nothing to resume."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixwell.recipes.place import place

MARKS = ("checkpoint.pt",)


@pytest.mark.parametrize("asked", [True, False])
def test_a_run_that_begins_although_resumed_is_said(
    asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("there") if asked else Path("runs") / "x"
    out = folder if asked else None
    assert place(out, "x", MARKS, resume=True, overwrite=False) == folder
    told = capsys.readouterr().err
    assert told == f"--resume: {folder} holds no finished work, so a new run begins there\n"

    for other in ({"quiet": True}, {"resume": False}):
        place(out, "x", MARKS, **{"resume": True, "overwrite": False} | other)
    folder.mkdir(parents=True)
    (folder / MARKS[0]).touch()
    place(out, "x", MARKS, resume=True, overwrite=False)
    assert capsys.readouterr().err == ""
