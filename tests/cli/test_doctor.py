"""`mixwell doctor`: it answers with what is missing, and never fails because of it."""

from __future__ import annotations

import sys
from importlib import metadata

import numpy as np
import pytest
import torch

from mixwell import doctor
from mixwell.render import BackendInfo
from tests.cli.conftest import Run


def test_diagnosis_of_this_machine() -> None:
    report = doctor.diagnose()
    assert report.ok
    versions = {v.name: v.version for v in report.versions}
    assert versions["numpy"] == np.__version__ and versions["mixwell"]
    assert report.devices[0].name == "cpu"
    assert "reference" in {b.name for b in report.backends if b.works}
    assert all(b.reason for b in report.backends if not b.works)
    assert int(report.threads["processors usable"]) >= 1


def test_tables_are_printed(run: Run) -> None:
    ran = run("doctor")
    assert ran.code == 0 and ran.err == ""
    for words in ("Packages", "torch", "Devices", "cpu", "Render backends", "reference", "Threads"):
        assert words in ran.out


def test_kernels_are_compiled_when_asked(run: Run) -> None:
    ran = run("doctor", "--compile")
    assert ran.code == 0
    assert "kernels for uint8 images: ready after" in ran.out
    assert "kernels for float32 images: ready after" in ran.out


def test_missing_extras_are_an_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name in ("timm", "matplotlib", "lightning", "scikit-learn", "numba", "triton"):
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    report = doctor.diagnose()
    assert report.ok
    assert {v.name for v in report.versions if v.version is None} >= {"timm", "matplotlib"}
    assert run("doctor").out.count("not installed") >= 4


def test_a_missing_requirement_is_a_problem(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = (*doctor._PACKAGES, ("surely-absent", "nothing", True))
    monkeypatch.setattr(doctor, "_PACKAGES", packages)
    ran = run("doctor")
    assert ran.code == 1
    assert ran.err.startswith("mixwell: surely-absent is not installed (nothing).")


def test_a_broken_requirement_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise OSError("libtorch.so: cannot open shared object file")

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    report = doctor.diagnose()
    assert not report.ok and "torch cannot be imported: OSError" in report.problems[0]
    assert report.devices == () and report.backends == ()


def test_mps_is_said_to_use_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    report = doctor.diagnose()
    assert {d.name: d.backend for d in report.devices}["mps"] == "reference"
    assert any("MPS" in hint and "reference backend" in hint for hint in report.hints)


@pytest.mark.parametrize(
    ("methods", "words"), [(["fork", "spawn"], "by fork"), (["spawn"], "__main__")]
)
def test_hint_fits_how_processes_start(
    monkeypatch: pytest.MonkeyPatch, methods: list[str], words: str
) -> None:
    monkeypatch.setattr(doctor.multiprocessing, "get_all_start_methods", lambda: methods)
    assert any(words in hint for hint in doctor.diagnose().hints)


def test_more_threads_than_processors_is_advised_against(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_processors", lambda: 1)
    monkeypatch.setattr(sys.modules["torch"], "get_num_threads", lambda: 16)
    assert any("OMP_NUM_THREADS=1" in hint for hint in doctor.diagnose().hints)


def test_a_backend_needs_its_device() -> None:
    triton = BackendInfo("triton", ("cuda", "xpu"), True)
    assert doctor._works(triton, {"cpu"}) == (False, "torch sees no cuda/xpu device")
    assert doctor._works(triton, {"cpu", "cuda"}) == (True, "")
    assert doctor._works(BackendInfo("reference", ("any",), True), {"mps"}) == (True, "")
    assert doctor._works(BackendInfo("numba", ("cpu",), False, "gone"), {"cpu"}) == (False, "gone")
