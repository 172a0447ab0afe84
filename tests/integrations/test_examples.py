"""Every example runs as a person would run it, on a few hundred digits.

    pip install -e '.[test,integrations]' && pytest -m integrations

Each runs in a process of its own: Keras settles its back end when it is imported, and what other
libraries warn of is their affair.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integrations

EXAMPLES = Path(__file__).parents[2] / "examples"
LOOPS = {
    "jax_loop": ("jax", 0.5),
    "lightning_trainer": ("lightning", 0.5),
    "huggingface_trainer": ("transformers", 0.0),
    "timm_loop": ("timm", 0.5),
}
"""What each needs, and the test accuracy it must exceed: 150 steps are too few for a transformer,
whose loss falls but who still guesses (0.14 here)."""


def ran(name: str, *words: str, backend: str = "torch") -> dict[str, Any]:
    """What an example says in its last line."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *words],
        env=os.environ | {"KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"no {package}: unproven here: its example (pip install '.[integrations]')")


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_learns_digits(name):
    """Chance is 0.10; 600 digits and a few epochs bring the convolutions well above it."""
    package, least = LOOPS[name]
    need(package)
    made = ran(name, "--limit", "600", "--epochs", "8", "--batch-size", "32")
    assert len(made["train_loss"]) == 8
    assert made["train_loss"][-1] < made["train_loss"][0]
    assert made["test_accuracy"] > least, made
    assert made.get("epochs_sampled", 8) == 8


def test_keras_compares_from_identical_weights_on_either_back_end():
    """`Loader` feeds torch and `Augment` feeds JAX: pixels and labels are the same, bit for bit.

    One test, since it is the comparison that takes the time.
    """
    first_batches = []
    for backend, feed in (("torch", "loader"), ("jax", "augment")):
        need("keras")
        need(backend)
        words = ("--limit", "320", "--epochs", "2", "--feed", feed)
        made = ran("keras_cutmix", *words, backend=backend)
        assert (made["backend"], made["feed"]) == (backend, feed)
        none, cutmix = made["runs"]
        assert (none["policy"], cutmix["policy"]) == ("none", "cutmix")
        assert none["initial_weights"] == cutmix["initial_weights"]
        for run in (none, cutmix):
            assert all(math.isfinite(value) for value in run["train_loss"])
            assert run["train_loss"][1] < run["train_loss"][0]
            assert 0 <= run["test_accuracy"] <= 1
        assert none["first_batch"] != cutmix["first_batch"]
        first_batches.append([none["first_batch"], cutmix["first_batch"]])
    assert first_batches[0] == first_batches[1]
