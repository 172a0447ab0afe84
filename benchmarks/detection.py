"""Finished runs of `mixwell train detect` as one file: every run's figures, mean and spread.

    python benchmarks/detection.py runs/a runs/b ... -o benchmarks/results/detection_raccoon.json

Runs that differ in nothing but the seed are one group. The spread is the standard deviation over
seeds (n - 1), and is left out for a single run.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from pathlib import Path

import torch

import mixwell

SHOWN = ("map", "map_50", "map_75", "per_class", "train_loss", "images_per_second", "seconds")
KEPT = (*SHOWN, "epochs", "parameters", "initial_digest", "order_digest", "dropped")
FREE = ("seed", "out", "measure_every", "resume", "overwrite", "quiet", "classes")
"""Settings in which runs of a group may differ."""


def main() -> None:
    """Read the folders and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--note", default="", help="what else a reader must know")
    options = parser.parse_args()
    groups: dict[str, list[tuple[dict, dict]]] = {}
    for folder in options.runs:
        config = json.loads((folder / "config.json").read_text())
        for name in ("data", "backbone_weights", "weights"):
            config[name] = Path(config[name]).name
        if config["data"] != "embedded":
            config.pop("images")  # not read
        shared = {k: v for k, v in config.items() if k not in FREE}
        result = json.loads((folder / "result.json").read_text())
        groups.setdefault(json.dumps(shared), []).append((config, result))
    written = {
        "machine": machine(),
        "note": options.note,
        "groups": [group(json.loads(shared), runs) for shared, runs in groups.items()],
    }
    options.output.write_text(json.dumps(written, indent=2) + "\n")
    for one in written["groups"]:
        print(one["settings"]["policy"], one["summary"])


def group(settings: dict, runs: list[tuple[dict, dict]]) -> dict:
    """One setting: its runs by seed, and mean and spread of what was measured."""
    runs = sorted(runs, key=lambda run: run[0]["seed"])
    told = [{"seed": c["seed"], **{k: r[k] for k in KEPT}} for c, r in runs]
    summary = {"n": len(runs)}
    for name in ("map", "map_50", "map_75", "train_loss", "seconds"):
        values = [run[name] for run in told]
        spread = statistics.stdev(values) if len(values) > 1 else None
        summary[name] = {"mean": statistics.mean(values), "sd": spread}
    classes = told[0]["per_class"]
    for name in classes if len(classes) > 1 else ():
        values = [run["per_class"][name] for run in told]
        spread = statistics.stdev(values) if len(values) > 1 else None
        summary[f"map of {name}"] = {"mean": statistics.mean(values), "sd": spread}
    return {"command": command(settings), "settings": settings, "runs": told, "summary": summary}


def command(settings: dict) -> str:
    """The call that makes such a run, SEED and data left to be filled in."""
    names = [
        *("data", "policy", "mixing_loss", "mixing_off", "model", "backbone_weights"),
        *("backbone_style", "trainable_layers", "image_size", "epochs", "batch_size"),
        *("optimizer", "lr", "measure_every", "num_workers", "threads", "device"),
    ]
    given = [n for n in names if settings.get(n) is not None and settings[n] != "none"]
    words = [f"--{n.replace('_', '-')} {settings[n]}" for n in given]
    return " ".join(["mixwell train detect", *words, "--seed SEED"])


def machine() -> dict[str, str]:
    """What the figures were measured with."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": f"{names[0]} ({len(names)} logical cores)" if names else platform.processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "mixwell": mixwell.__version__,
    }


if __name__ == "__main__":
    main()
