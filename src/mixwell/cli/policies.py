"""`mixwell policies`: the ready-made policies, one line each, or one of them in full."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from mixwell.cli import console

app = App(name="policies", help="List the ready-made policies.")


@app.default
def list_policies() -> None:
    """List the ready-made policies, one line each."""
    from mixwell.policy.presets import preset_names, preset_summary

    shown = console.table("policy", "what it does")
    for name in preset_names():
        shown.add_row(name, preset_summary(name))
    out = console.standard()
    out.print(shown)
    out.print("\n[dim]mixwell policies show NAME prints one as code and as TOML.[/dim]")


@app.command
def show(
    name: str,
    /,
    *,
    size: Annotated[int, Parameter(help="Side of the images in px.")] = 32,
    flip: Annotated[bool, Parameter(help="Whether mirror images keep their label.")] = True,
) -> None:
    """Print a policy as code and as TOML.

    Args:
        name: A preset's name, a TOML file, or code such as "Policy(CutMix())".
    """
    from mixwell.policy.presets import parse_policy

    policy = parse_policy(name, size, flip=flip)
    print(f"# as code\n{policy!r}\n\n# as TOML\n{policy.to_toml().rstrip()}")
