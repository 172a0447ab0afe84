"""Policies as text: TOML files, and the code that a policy prints as.

Both are read with literal values only: names must be ops, arguments must be literals. Nothing is
ever evaluated.
"""

from __future__ import annotations

import ast
import difflib
import tomllib
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from mixwell._errors import PolicyError
from mixwell.policy.base import Op, arguments, takes_ops
from mixwell.policy.policy import Policy
from mixwell.policy.ramp import Ramp

FORMAT = "mixwell-policy"
VERSION = 1


def registry() -> dict[str, type[Op]]:
    """Every op that text may name."""
    import mixwell.policy as home

    found = {name: getattr(home, name) for name in home.__all__}
    abstract = {"Op", "CompoundOp", "EditOp", "MixOp"}
    return {n: c for n, c in found.items() if n not in abstract and issubclass(c, Op)}


def to_toml(policy: Policy) -> str:
    """The policy as TOML: fields at their defaults are left out."""
    import tomli_w

    table = {"format": FORMAT, "version": VERSION, "ops": [_to_table(op) for op in policy.ops]}
    return tomli_w.dumps(table)


def from_toml(text: str) -> Policy:
    """Read a policy from TOML.

    Raises:
        PolicyError: not TOML, another format or version, an unknown op or field, a bad value.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"The policy is not valid TOML: {error}.") from None
    if table.get("format") != FORMAT or table.get("version") != VERSION:
        found = f"{table.get('format')!r} version {table.get('version')!r}"
        raise PolicyError(
            f"A policy file begins with format = {FORMAT!r}, version = {VERSION}; found {found}."
        )
    ops = table.get("ops", [])
    if not isinstance(ops, list):
        raise PolicyError(f"ops must be an array of tables, got {type(ops).__name__}.")
    return Policy(*(_from_table(op) for op in ops))


def from_code(text: str) -> Policy:
    """Read a policy from the code it prints as, e.g. `Policy(HorizontalFlip(), CutMix())`.

    Raises:
        PolicyError: not such a call, an unknown op or field, an argument that is no literal.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte
        raise PolicyError(f"Policy code does not parse: {error} in {text!r}.") from None
    built = _from_node(tree)
    return built if isinstance(built, Policy) else Policy(built)


def _to_table(op: Op | Ramp) -> dict[str, Any]:
    return {"name": type(op).__name__} | {k: _plain(v) for k, v in arguments(op).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Op | Ramp):
        return _to_table(value)
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _from_table(table: Any) -> Op:
    if not isinstance(table, dict) or not isinstance(table.get("name"), str):
        raise PolicyError(f'An op is a table with a name, like {{name = "MixUp"}}; got {table!r}.')
    values = {k: _from_plain(v) for k, v in table.items() if k != "name"}
    kind = registry().get(table["name"])
    positional = values.pop("ops", ()) if kind is not None and takes_ops(kind) else ()
    return _build(table["name"], positional, values)


def _from_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return _from_table(value)
    return tuple(_from_plain(v) for v in value) if isinstance(value, list) else value


def _from_node(node: ast.expr) -> Any:
    if not isinstance(node, ast.Call):
        return _literal(node)
    if not isinstance(node.func, ast.Name):
        raise PolicyError(f"Policy code calls ops by their plain names, got {ast.unparse(node)!r}.")
    if any(k.arg is None for k in node.keywords):
        raise PolicyError(f"Policy code cannot use **: {ast.unparse(node)!r}.")
    positional = tuple(_from_node(a) for a in node.args)
    values = {str(k.arg): _from_node(k.value) for k in node.keywords}
    if node.func.id == "Policy":
        if values:
            raise PolicyError(f"Policy takes ops and no options, got {', '.join(values)}.")
        return Policy(*positional)
    return _build(node.func.id, positional, values)


def _literal(node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        raise PolicyError(
            f"Policy code takes ops and literal values, got {ast.unparse(node)!r}."
        ) from None
    return tuple(value) if isinstance(value, list) else value


def _build(name: str, positional: tuple[Any, ...], values: dict[str, Any]) -> Any:
    known: dict[str, type[Op | Ramp]] = registry() | {"Ramp": Ramp}
    if name not in known:
        same = [known_name for known_name in known if known_name.lower() == name.lower()]
        close = same or difflib.get_close_matches(name, known, n=3)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise PolicyError(f"No op is called {name!r}.{hint}")
    make: Callable[..., Any] = known[name]
    kind = known[name]
    plain_ops = issubclass(kind, Op) and takes_ops(kind)
    names = [f.name for f in fields(known[name]) if f.name != "ops" or not plain_ops]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise PolicyError(f"{name} has no field {unknown[0]!r}; it has {', '.join(names)}.")
    try:
        return make(*positional, **values)
    except TypeError as error:
        raise PolicyError(f"{name}: {error}.") from None
