"""The planted faults stay plantable: each one's text stands in the source exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.faults import FAULTS, Fault

SOURCE = Path(__file__).parents[1] / "src" / "mixwell"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_can_be_planted(fault: Fault) -> None:
    text = (SOURCE / fault.file).read_text()
    assert text.count(fault.old) == 1, f"{fault.old!r} stands {text.count(fault.old)} times"
    assert fault.new != fault.old
    compile(text.replace(fault.old, fault.new), fault.file, "exec")


def test_there_are_at_least_twenty_faults_with_names_of_their_own() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(names) >= 20
    assert len(set(names)) == len(names)
