"""What an import loads, seen in fresh processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mixwell

HEAVY = {
    "torch",
    "torchvision",
    "numba",
    "triton",
    "PIL",
    "scipy",
    "sklearn",
    "matplotlib",
    "lightning",
    "timm",
    "cyclopts",
    "rich",
}
SEARCH = os.pathsep.join(
    [str(Path(mixwell.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
).strip(os.pathsep)


def run(code: str) -> str:
    """What a fresh Python prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": SEARCH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(code: str) -> set[str]:
    """Which heavy packages a piece of code loads."""
    after = run(f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))")
    return HEAVY & {name.split(".")[0] for name in json.loads(after.splitlines()[-1])}


LIGHT = {
    "the package": "import mixwell",
    "its names": "import mixwell; dir(mixwell); mixwell.__version__; mixwell.DataError",
    "plans and policies": "import mixwell.plan, mixwell.policy, mixwell.policy.presets",
    "a sampled plan": (
        "import mixwell as mw, numpy as np\n"
        "policy = mw.Policy(mw.RandomCrop(8), mw.RandAugment(), mw.GaussianNoise(), mw.CutMix())\n"
        "plan = policy.sample(np.full((4, 2), 8), keys=mw.Keys(np.arange(4)))\n"
        "repr(plan), plan.describe(0), plan.fused().digest(), plan.sources()"
    ),
    "policies as text": (
        "from mixwell.policy.presets import parse_policy\n"
        "from mixwell.policy import Policy\n"
        "Policy.from_toml(parse_policy('mixup').to_toml())"
    ),
}


@pytest.mark.parametrize("code", LIGHT.values(), ids=LIGHT)
def test_it_loads_nothing_heavy(code):
    assert loaded(code) == set()


def test_the_check_above_can_fail():
    assert "torch" in loaded("import mixwell; mixwell.render")
    assert loaded("import mixwell; import PIL") == {"PIL"}


@pytest.mark.parametrize("before", ["time", "time, numpy"])
def test_importing_takes_less_than_three_tenths_of_a_second(before):
    """Timed inside fresh processes, bare and where NumPy is loaded already; best of 3."""
    code = (
        f"import {before}\n"
        "start = time.perf_counter()\n"
        "import mixwell\n"
        "print(time.perf_counter() - start)"
    )
    assert min(float(run(code)) for _ in range(3)) < 0.3


ORDERS = {
    "the homes first": "import mixwell.render, mixwell.keyed",
    "through a neighbour": "mw.KeyedSampler, mw.Augment, mw.Collate",
}


@pytest.mark.parametrize("first", ORDERS.values(), ids=ORDERS)
def test_public_names_stay_what_they_are(first):
    """`render` and `keyed` have homes of the same name, which Python would put in their place."""
    code = (
        f"import mixwell as mw\n{first}\n"
        "assert mw.render.__module__ == 'mixwell.render' and callable(mw.render)\n"
        "assert isinstance(mw.keyed, type)\n"
        "from mixwell import keyed, render\n"
        "assert render is mw.render and keyed is mw.keyed\n"
        "import pickle\n"
        "assert pickle.loads(pickle.dumps((mw.keyed, mw.render))) == (mw.keyed, mw.render)\n"
        "import mixwell.render.images\n"
        "assert mw.render is render"
    )
    run(code)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'mixwell' has no attribute 'Mixup'"):
        mixwell.Mixup  # noqa: B018
    with pytest.raises(ImportError):
        from mixwell import Mixup  # noqa: F401  # pyright: ignore[reportAttributeAccessIssue]
