"""What strengths mean in the native spaces, and the tables that say so."""

from __future__ import annotations

import numpy as np
import pytest

from mixwell._errors import PolicyError
from mixwell.policy.spaces import SPACES, show
from mixwell.policy.spaces.levels import levels
from tests.oracles import auto as oracle


@pytest.mark.parametrize(
    ("name", "bits", "px"),
    [
        ("mixwell-narrow", (8, 4), (10, 10)),
        ("mixwell-uniform", (8, 4), (0.45 * 90, 0.45 * 60)),
        ("pba", (4, 0), (10, 10)),
    ],
)
@pytest.mark.parametrize("top", [10, 30])
def test_levels_of_the_first_implementations(name, bits, px, top):
    """Every bin and both signs, against int() and plain formulas."""
    entries, size = SPACES[name].entries, np.array([[60, 90]])
    for op, entry in entries.items():
        if not entry.unit:
            continue
        for m in range(top + 1):
            for sign in (-1, 1):
                found = entry.level(np.array([m / top]), np.array([float(sign)]), size)[0]
                if (op, name) == ("Cutout", "pba"):
                    expected = int(m * 20 / top)
                elif (op, name) == ("Rotate", "mixwell-uniform"):
                    expected = sign * m * 30 / top  # strengths are no bins there
                else:
                    expected = oracle.first_level(op, m, top, (60, 90), bits=bits, px=px, sign=sign)
                assert found == pytest.approx(expected, abs=1e-9), (op, m, sign)


def test_a_spaces_levels_by_hand():
    """What the ops do to a 200 x 100 px image at magnitude 9 of 31."""
    table = levels(SPACES["mixwell"], 9, 31, (200, 100))
    assert table.headings == ("op", "unit", "m=0", "m=15", "m=30", "m=9")
    lines = {line[0]: line[1:] for line in table.lines}
    assert tuple(lines) == SPACES["mixwell"].names
    assert lines["Rotate"] == ("degrees", "0", "+-15", "+-30", "+-9")
    assert lines["TranslateX"] == ("px", "0", "+-22", "+-45", "+-13")
    assert lines["TranslateY"] == ("px", "0", "+-45", "+-90", "+-27")
    assert lines["Color"] == ("factor", "1", "0.55 or 1.45", "0.1 or 1.9", "0.73 or 1.27")
    assert lines["Posterize"] == ("bits", "8", "6", "4", "7")
    assert lines["Solarize"] == ("level", "255", "127.5", "0", "178.5")
    assert lines["Invert"] == ("", "-", "-", "-", "-")


@pytest.mark.parametrize("name", SPACES)
def test_every_space_can_be_shown(name):
    head, size, empty, *lines = show(name, size_hw=(1, 1)).splitlines()
    assert head == f"{name}: {SPACES[name].summary}" and not empty
    assert size == f"magnitudes of {SPACES[name].bins} bins, images of 1 x 1 px"
    assert tuple(line.split()[0] for line in lines[1:]) == SPACES[name].names
    assert not any(line != line.rstrip() for line in lines)


def test_what_timm_and_torchvision_mean_by_nine():
    theirs, timms = (show(name, 9).splitlines() for name in ("torchvision-pil", "timm"))
    assert next(line.split()[-1] for line in theirs if line.startswith("Rotate")) == "+-9"
    assert next(line.split()[-1] for line in timms if line.startswith("Rotate")) == "+-27"


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: show("timn"), "Did you mean timm"),
        (lambda: show("mixwell", 31), "Levels: magnitude must lie in 0 .. 30, got 31"),
        (lambda: show("mixwell", -1), "Levels: magnitude must lie in 0 .. 30, got -1"),
        (lambda: show("mixwell", bins=1), "Levels: bins must be at least 2, got 1"),
        (lambda: show("mixwell", size_hw=(0, 5)), "Levels: height must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_shown(call, rule):
    with pytest.raises(PolicyError) as error:
        call()
    assert rule in str(error.value)
