"""`mixwell policies`: the list, and one policy in forms that can be read back."""

from __future__ import annotations

import mixwell as mw
from mixwell.policy.presets import parse_policy, preset_names
from tests.cli.conftest import Run


def test_list_has_one_line_for_each(run: Run) -> None:
    lines = run("policies").out.splitlines()
    for name in preset_names():
        assert sum(line.split()[:1] == [name] for line in lines) == 1


def test_shown_code_and_toml_are_the_policy(run: Run) -> None:
    for name in preset_names():
        out = run("policies", "show", name, "--size", 64, "--no-flip").out
        code, toml = out.removeprefix("# as code\n").split("\n\n# as TOML\n")
        expected = parse_policy(name, 64, flip=False)
        assert parse_policy(code) == mw.Policy.from_toml(toml) == expected
