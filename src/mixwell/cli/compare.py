"""`mixwell compare`: several policies, several seeds, one report."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from mixwell.cli import console
from mixwell.cli.data_argument import resolve_data, tell_split
from mixwell.cli.lists import parse_grid, parse_seeds, split_commas
from mixwell.cli.options import DATA, Special, config_of, options_of
from mixwell.recipes.compare import CompareConfig
from mixwell.recipes.compare import compare as run

_SPECIAL = {
    "data": DATA,
    "policies": Special(
        list[str],
        CompareConfig.policies,
        'presets\' names, TOML files, or code such as "Policy(CutMix())"; with spaces or commas '
        "between them.",
    ),
    "weights": Special(
        list[str],
        (),
        "initial weights to compare: none (from scratch), DEFAULT or another name that torchvision "
        "or timm gives to weights of the model, or a file, such as keras=weights.npz; with spaces "
        "or commas between them.",
    ),
    "seeds": Special(
        list[str],
        tuple(map(str, CompareConfig.seeds)),
        "one run of each policy for each; with spaces or commas between them.",
    ),
    "grid": Special(
        list[str],
        (),
        "values for fields of ops, such as num_ops=1,2,3 magnitude=5,9,14; each policy with an op "
        "that has these fields is compared in all their combinations.",
    ),
}
Options = options_of(CompareConfig, special=_SPECIAL)
_DEFAULTS = Options()


def compare(*, options: Annotated[Options, Parameter(name="*")] = _DEFAULTS) -> int:  # type: ignore[valid-type]
    """Train several policies from the same weights and compare them."""
    data, data_dir = resolve_data(options.data, options.data_dir, options.download)
    if not options.quiet:
        tell_split(data, data_dir)
    config = config_of(
        CompareConfig,
        options,
        data=data,
        data_dir=data_dir,
        policies=tuple(split_commas(options.policies)),
        weights=tuple(split_commas(options.weights)),
        seeds=parse_seeds(options.seeds),
        grid=parse_grid(options.grid),
    )
    with console.keeping(config.out or "runs"):
        comparison = run(config)
    if comparison.interrupted:
        return console.kept(comparison.out)
    if comparison.failed:
        count = f"{len(comparison.failed)} of {comparison.planned} runs"
        console.tell(f"{count} failed; first {comparison.failed[0]}")
    return 1 if comparison.failed or not comparison.rows else 0
