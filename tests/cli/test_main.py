"""The command line as a whole: help, versions, exit codes, and how it fails."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import mixwell
from mixwell.cli import console, main
from tests.cli.conftest import Run

COMMANDS = ("compare", "doctor", "policies", "preview", "train")


def python(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


def test_help_lists_every_command(run: Run) -> None:
    ran = run("--help")
    assert ran.code == 0 and ran.err == ""
    assert all(command in ran.out for command in COMMANDS)


def test_help_and_version_load_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from mixwell.cli import main; a = main(['--help']); b = main(['--version']);"
        "heavy = {'torch', 'numpy', 'PIL', 'matplotlib'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else a + b)"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert mixwell.__version__ in done.stdout


def test_that_test_could_fail() -> None:
    code = "import sys; from mixwell.cli import main; main(['policies', 'show', 'none']);"
    done = python("-c", code + "sys.exit('numpy' in sys.modules)")
    assert done.returncode == 1


def test_version(run: Run) -> None:
    assert run("--version").out.strip() == mixwell.__version__


def test_the_package_is_the_command_too() -> None:
    done = python("-m", "mixwell", "--version")
    assert (done.returncode, done.stdout.strip()) == (0, mixwell.__version__), done.stderr
    refused = python("-m", "mixwell", "train", "nosuch")
    assert refused.returncode == 2 and "nosuch" in refused.stderr


@pytest.mark.parametrize(
    "command", [("train", "classify"), ("compare",), ("preview",), ("policies",)]
)
def test_each_command_has_help(run: Run, command: tuple[str, ...]) -> None:
    ran = run(*command, "--help")
    assert ran.code == 0 and "Usage: mixwell " + command[0] in ran.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trane"], "trane"),
        (["train", "clasify"], "clasify"),
        (["preview"], "POLICY"),
        (["policies", "shwo"], "unexpected argument: shwo"),
        (["train", "classify", "--epoch", "3"], "Did you mean --epochs?"),
        (["train", "classify", "--epochs", "many"], 'unable to convert "many" into int'),
        (["train", "classify", "--optimizer", "sdg"], 'Did you mean "sgd"?'),
        (["train", "classify", "--lr"], "--lr requires an argument"),
        (["compare", "--loss", "mse"], "mse"),
    ],
)
def test_bad_usage_ends_in_one_line_and_code_2(run: Run, words: list[str], message: str) -> None:
    ran = run(*words)
    assert ran.code == 2
    assert_one_line(ran.err, message)


def test_traceback_on_request(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Traceback" not in run("policies", "show", "nope").err
    monkeypatch.setenv("MIXWELL_TRACEBACK", "1")
    ran = run("policies", "show", "nope")
    assert ran.code == 1 and "Traceback" in ran.err
    assert ran.err.splitlines()[-1].startswith("mixwell: No preset is called 'nope'")
    monkeypatch.setenv("MIXWELL_TRACEBACK", "0")
    assert "Traceback" not in run("policies", "show", "nope").err


def test_process_exits_with_the_code() -> None:
    call = "import sys; from mixwell.cli import main; sys.exit(main())"
    done = python("-c", call, "policies", "show", "cutmx")
    assert done.returncode == 1 and done.stdout == ""
    assert_one_line(done.stderr, "Did you mean cutmix?")


def test_reader_that_leaves_early_is_no_error() -> None:
    call = f"{sys.executable} -c 'from mixwell.cli import main; main()' policies | head -0"
    done = subprocess.run(["sh", "-c", call], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_mistakes_of_ours_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    import mixwell.policy.presets as presets

    monkeypatch.setattr(presets, "preset_summary", lambda name: {}[name])
    with pytest.raises(KeyError):
        main(["policies"])


def test_message_from_a_loader_worker_is_cut_to_its_cause() -> None:
    text = (
        "Caught DataError in DataLoader worker process 0.\nOriginal Traceback (most recent call "
        'last):\n  File "x.py", line 1, in f\nmixwell._errors.DataError: Bad file: a.png: cut.\n'
    )
    assert console.one_line(mixwell.DataError(text)) == "Bad file: a.png: cut."


def test_system_errors_name_the_file() -> None:
    error = PermissionError(13, "Permission denied", "runs/x")
    assert console.one_line(error) == "runs/x: Permission denied."


def assert_one_line(err: str, message: str) -> None:
    """Exactly one line of our own on standard error, with the message in it."""
    assert len(err.splitlines()) == 1, err
    assert err.startswith("mixwell: ") and message in err
