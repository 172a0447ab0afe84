"""Plant one-line faults in a copy of the package and see which test catches each.

    python -m tests.mutants              all faults
    python -m tests.mutants cutmix rng   those whose name contains one of the words

A fault that no test catches, or whose text no longer stands in the source, is a failure. The
working tree is not touched.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.faults import FAULTS, Fault
from tests.tolerances import TOLERANCES

ROOT = Path(__file__).parents[2]


def main(words: list[str]) -> int:
    if any(word in ("-h", "--help") for word in words):
        print(__doc__)
        return 0
    chosen = [f for f in FAULTS if not words or any(word in f.name for word in words)]
    missed = []
    width = max(len(f.name) for f in chosen)
    for fault in chosen:
        start = time.perf_counter()
        caught = caught_by(fault)
        seconds = time.perf_counter() - start
        print(f"{fault.name:<{width}}  {caught or 'NOT CAUGHT'}  ({seconds:.0f} s)", flush=True)
        if caught is None:
            missed.append(fault)
    print(f"\n{len(chosen) - len(missed)} of {len(chosen)} faults caught.")
    if not words:
        print_oracles()
    return len(missed) > 0


def caught_by(fault: Fault) -> str | None:
    """The first test that fails with the fault planted, or None."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "mixwell"
        shutil.copytree(ROOT / "src" / "mixwell", package)
        plant(fault, package)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "--no-header",
            "-p",
            "no:cacheprovider",
        ]
        command += ["-W", "default", *fault.tests]
        env = os.environ | {
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    if done.returncode not in (0, 1, 2):
        raise SystemExit(f"{fault.name}: pytest did not run:\n{done.stdout}{done.stderr}")
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return found.group(1) if found and done.returncode != 0 else None


def plant(fault: Fault, package: Path) -> None:
    path = package / fault.file
    text = path.read_text()
    if text.count(fault.old) != 1:
        raise SystemExit(
            f"{fault.name}: {fault.old!r} stands {text.count(fault.old)} times in {fault.file}; "
            "it must stand there once. Bring tests/mutants/faults up to date."
        )
    path.write_text(text.replace(fault.old, fault.new))


def print_oracles() -> None:
    print("\nOracles (scalar loops that import nothing of mixwell):")
    for path in sorted((ROOT / "tests" / "oracles").glob("[a-z]*.py")):
        first = path.read_text().lstrip('"').splitlines()[0].strip('" ')
        print(f"  {path.stem:<10} {first}")
    print("\nWidest tolerance on uint8, in levels, and its reason:")
    rows = [(v, k) for k, v in TOLERANCES.items() if k[1] == "uint8"]
    (width, reason), (stage, _, against) = max(rows, key=lambda row: row[0][0])
    print(f"  {width:g}  {stage} against {against}: {reason}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
