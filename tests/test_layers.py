"""The direction of imports, read from the source: lower layers know nothing of higher ones.

The layers are the picture in the design document; the missing edge between `policy` and `render`
is what makes a plan sufficient.
"""

from __future__ import annotations

import ast
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import mixwell

SOURCE = Path(mixwell.__file__).parent

LAYERS: dict[str, tuple[int, str]] = {
    "_errors": (0, "basics"),
    "_beta": (0, "basics"),
    "_philox": (0, "basics"),
    "_rng": (0, "basics"),
    "_bytes": (0, "basics"),
    "plan": (1, "plan"),
    "policy": (2, "policy"),
    "render": (2, "render"),
    "decode": (2, "decode"),
    "targets": (3, "targets"),
    "anchors": (3, "anchors"),
    "samples": (4, "facade"),
    "batches": (4, "facade"),
    "keyed": (4, "facade"),
    "repeated": (4, "facade"),
    "augment": (4, "facade"),
    "collate": (4, "facade"),
    "loading": (4, "facade"),
    "compat": (3, "compat"),
    "viz": (4, "viz"),
    "recipes": (5, "recipes"),
    "preview": (6, "outside"),
    "preview_boxes": (6, "outside"),
    "doctor": (6, "outside"),
    "bench": (6, "outside"),
    "cli": (6, "outside"),
    "__main__": (6, "outside"),
}
"""Layer and group of each top-level module: imports go down, or stay within the group."""

ROOT_LAYER = 4
"""`mixwell` itself hands out the facade, so only what lies above that may import it."""

NUMPY_ONLY = {"basics", "plan", "policy", "compat"}
ALLOWED_BELOW = {"numpy", "tomli_w"} | set(sys.stdlib_module_names)

RECIPES_MAY_USE = (
    "mixwell.anchors",
    "mixwell.policy.presets",
    "mixwell.recipes",
    "mixwell.targets",
    "mixwell.viz",
)
"""Beside the names in `mixwell.__all__`."""


class Import(NamedTuple):
    """`from module import name` (name "" for a plain import) in a file."""

    file: str
    line: int
    module: str
    name: str


def imports_of(file: Path, root: Path) -> list[Import]:
    """Every import of a file, inside functions and under TYPE_CHECKING too."""
    where = file.relative_to(root).as_posix()
    return [Import(where, *found) for found in imports_in(file.read_text())]


@cache
def imports_in(text: str) -> list[tuple[int, str, str]]:
    """(line, module, name) of every import in a source text."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found += [(node.lineno, module, alias.name) for alias in node.names]
    return found


def top_of(found: Import, root: Path) -> str:
    """The top-level module of mixwell that an import reaches; "" for the package itself."""
    parts = found.module.split(".")
    if len(parts) > 1:
        return parts[1]
    is_module = (root / found.name).is_dir() or (root / f"{found.name}.py").is_file()
    public = found.name in mixwell.__all__  # `render` and `keyed` are public names as well
    return found.name if found.name and is_module and not public else ""


def violations(root: Path) -> list[str]:
    """Every import that goes the wrong way, in words."""
    out = []
    for file in sorted(root.rglob("*.py")):
        home = file.relative_to(root).parts[0].removesuffix(".py")
        if home == "__init__":
            continue
        if home not in LAYERS:
            out.append(f"{home} has no layer: give it one in tests/test_layers.py")
            continue
        for found in imports_of(file, root):
            problem = wrong(home, found, root)
            if problem:
                out.append(f"{found.file}:{found.line} imports {found.module}: {problem}")
    return out


def wrong(home: str, found: Import, root: Path) -> str:
    """What is wrong with one import, or ""."""
    layer, group = LAYERS[home]
    if found.module.startswith("."):
        return "imports are absolute"
    package = found.module.split(".")[0]
    if package != "mixwell":
        outside = group in NUMPY_ONLY and package not in ALLOWED_BELOW
        return f"{group} needs NumPy and the standard library only" if outside else ""
    if group == "recipes":
        return "" if is_public(found, root) else "recipes use the public API only"
    top = top_of(found, root)
    if top == "":
        return "" if layer > ROOT_LAYER else f"the package itself stands above {group}"
    if top not in LAYERS:
        return f"mixwell.{top} has no layer"
    other, other_group = LAYERS[top]
    down = other < layer or other_group == group
    return "" if down else f"{group} (layer {layer}) may not know {other_group} (layer {other})"


def is_public(found: Import, root: Path) -> bool:
    """Whether a recipe may import this."""
    if found.module == "mixwell":
        return found.name in ("", *mixwell.__all__) or f"mixwell.{found.name}" in RECIPES_MAY_USE
    home = next((m for m in RECIPES_MAY_USE if f"{found.module}.".startswith(f"{m}.")), None)
    if home is None or home == "mixwell.recipes":
        return home is not None
    return found.module == home and not found.name.startswith("_")


def test_imports_go_down():
    assert violations(SOURCE) == []


def test_the_package_itself_imports_nothing_until_asked():
    body = ast.parse((SOURCE / "__init__.py").read_text()).body
    eager = [n for n in body if isinstance(n, ast.Import | ast.ImportFrom)]
    modules = {a.name for n in eager if isinstance(n, ast.Import) for a in n.names}
    modules |= {str(n.module) for n in eager if isinstance(n, ast.ImportFrom)}
    assert {m.split(".")[0] for m in modules} <= set(sys.stdlib_module_names)


def test_recipes_touch_public_names_only():
    """`import mixwell as mw` alone would let any attribute through."""
    for file in sorted((SOURCE / "recipes").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                known = node.value.id != "mw" or node.attr in mixwell.__all__
                assert known, f"{file.name}:{node.lineno} uses mw.{node.attr}"


def test_policy_and_render_do_not_know_each_other():
    """Said once more in plain words, whatever the table of layers becomes."""
    for one, other in (("policy", "render"), ("render", "policy")):
        for file in sorted((SOURCE / one).rglob("*.py")):
            modules = {found.module for found in imports_of(file, SOURCE)}
            assert not any(f"{m}.".startswith(f"mixwell.{other}.") for m in modules), file


def test_anchors_know_errors_only():
    """They are tools on boxes, of use without a plan."""
    for file in sorted((SOURCE / "anchors").rglob("*.py")):
        tops = {
            top_of(f, SOURCE) for f in imports_of(file, SOURCE) if f.module.startswith("mixwell")
        }
        assert tops <= {"_errors", "anchors"}, file


def test_compat_knows_policies_only():
    """Not even the renderers, which lie below it: its functions return ops."""
    for file in sorted((SOURCE / "compat").rglob("*.py")):
        tops = {
            top_of(f, SOURCE) for f in imports_of(file, SOURCE) if f.module.startswith("mixwell")
        }
        assert tops <= {"policy", "plan", "_errors", "compat"}, file


# ------------------------------------------------------------------ the checker can fail

PLANTED = {
    "a policy renders": ("policy/mix.py", "from mixwell.render import render"),
    "a renderer samples": ("render/select.py", "from mixwell.policy.base import Op"),
    "a plan knows policies": ("plan/plan.py", "import mixwell.policy"),
    "inside a function": ("plan/words.py", "def f():\n    from mixwell.targets import bce"),
    "for types only": ("plan/check.py", "if TYPE_CHECKING:\n    from mixwell.policy import Policy"),
    "basics know plans": ("_rng.py", "from mixwell.plan import Plan"),
    "torch below": ("policy/tone.py", "def f():\n    import torch"),
    "PIL below": ("plan/geometry.py", "from PIL import Image"),
    "compat needs its library": ("compat/torchvision.py", "from torchvision.transforms import v2"),
    "a policy knows compat": ("policy/mix.py", "from mixwell.compat import torchvision"),
    "scipy below": ("_beta.py", "from scipy import special"),
    "targets know the facade": ("targets/labels.py", "from mixwell.augment import Augment"),
    "the facade knows recipes": ("augment.py", "from mixwell.recipes.loop import train"),
    "viz knows the facade": ("viz/sheet.py", "from mixwell.collate import Collate"),
    "the root from below": ("targets/losses.py", "import mixwell as mw"),
    "a root name from below": ("render/taps.py", "from mixwell import Plan"),
    "recipes use the command line": ("recipes/loop.py", "from mixwell.cli import main"),
    "recipes use the outside": ("recipes/loop.py", "from mixwell import preview"),
    "recipes use a private module": ("recipes/loop.py", "from mixwell._rng import Draws"),
    "recipes use a private name": ("recipes/loop.py", "from mixwell.targets import _x"),
    "recipes reach into a home": ("recipes/loop.py", "from mixwell.targets.labels import Sources"),
    "recipes use policy.base": ("recipes/loop.py", "from mixwell.policy.base import Rows"),
    "relative": ("plan/plan.py", "from . import steps"),
    "a module without a layer": ("orphan.py", "import os"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("layers") / "mixwell"
    shutil.copytree(SOURCE, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


@pytest.mark.parametrize(("where", "line"), PLANTED.values(), ids=PLANTED)
def test_a_planted_import_is_found(copy, where, line):
    before = violations(copy)
    file = copy / where
    text = file.read_text() if file.exists() else None
    file.write_text(f"{text or ''}\n\n{line}\n")
    try:
        found = [v for v in violations(copy) if v not in before]
    finally:
        file.unlink() if text is None else file.write_text(text)
    assert len(found) == 1 and (where in found[0] or "orphan has no layer" in found[0])
