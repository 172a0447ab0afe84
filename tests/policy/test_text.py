"""Policies as text: what is read, and that nothing is ever run."""

# ruff: noqa: E501  (tables: one text a line)
from __future__ import annotations

import pytest

from mixwell._errors import PolicyError
from mixwell.policy import HorizontalFlip, Invert, MixUp, OneOf, Policy, Rotate, Sometimes
from mixwell.policy.text import from_code, registry


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("Policy()", Policy()),
        ("  Policy(HorizontalFlip())\n", Policy(HorizontalFlip())),
        ("Rotate(30)", Policy(Rotate(30))),
        ("Policy(Rotate((-10, 20.5), fill=[1, 2, 3]))", Policy(Rotate((-10, 20.5), fill=(1, 2, 3)))),
        ("Policy(Rotate(degrees=-5))", Policy(Rotate(-5))),
        ("Sometimes(MixUp(0.2), min_batch=2)", Policy(Sometimes(MixUp(0.2), min_batch=2))),
        ("OneOf(Invert(), Rotate(5), weights=(1, 2))", Policy(OneOf(Invert(), Rotate(5), weights=(1, 2)))),
        ('Rotate(5, interp="nearest")', Policy(Rotate(5, interp="nearest"))),
    ],
)  # fmt: skip
def test_code_is_read(text, policy):
    assert from_code(text) == policy


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('echo')",
        "__import__('os')",
        "eval('1')",
        "Policy(__import__('os'))",
        "Rotate(__import__('os'))",
        "Rotate(eval('1'))",
        "Rotate(degrees=print('x'))",
        "mixwell.Rotate(5)",
        "Rotate.__class__(5)",
        "Rotate(5).__class__",
        "Rotate((5).__class__)",
        "Policy(*[Invert()])",
        "Policy(*(Invert() for _ in range(2)))",
        "Policy([Invert() for _ in range(2)])",
        "Rotate(**{'degrees': 5})",
        "Rotate(degrees=[v for v in (1, 2)])",
        "Rotate(lambda: 5)",
        "(lambda: Rotate(5))()",
        "Rotate(x := 5)",
        "Rotate(5 if True else 6)",
        "Rotate(5 * 6)",
        "Rotate(degrees)",
        "Rotate(f'{5}')",
        "Rotate('5'.upper())",
        "Rotate(5)[0]",
        "Rotate",
        "Policy",
        "Op()",
        "EditOp()",
        "object()",
        "Policy(Policy(Invert()))",
        "Policy(5)",
        "Policy(Invert(), p=0.5)",
        "Policy(ops=1)",
        "[Rotate(5)]",
        "Rotate(5); Invert()",
        "import os",
        "Rotate(5",
        "Rotate(5)\x00",
        "",
        "5",
        "Rotate()",
        "Rotate(5, 'nearest', 0, 1)",
        "Rotate(5, degrees=6)",
        "Rotate({1: 2})",
        "Rotate({1, 2})",
        "Rotate(None)",
        "Rotate(b'5')",
        "Rotate(1j)",
        "Rotate(...)",
        "Rotate(5, p='often')",
        "RandomCrop('8')",
        "Sometimes(5)",
        "OneOf(5)",
    ],
)
def test_anything_but_ops_and_literals_is_refused(text):
    with pytest.raises(PolicyError):
        from_code(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RandAugmnt()", "No op is called 'RandAugmnt'. Did you mean RandAugment?"),
        ("mixup()", "No op is called 'mixup'. Did you mean MixUp?"),
        ("Zzz()", "No op is called 'Zzz'."),
        ("Rotate(5, angle=6)", "Rotate has no field 'angle'; it has p, degrees, interp, fill."),
        ("Rotate(**{})", "Policy code cannot use **: 'Rotate(**{})'."),
        ("os.system(1)", "Policy code calls ops by their plain names, got 'os.system(1)'."),
        ("Rotate(x)", "Policy code takes ops and literal values, got 'x'."),
        ("Policy(Invert(), p=0.5)", "Policy takes ops and no options, got p."),
        ("Rotate(5", "Policy code does not parse: "),
        ("Rotate()", "Rotate: "),
    ],
)
def test_the_message_says_what_is_wrong(text, message):
    with pytest.raises(PolicyError) as error:
        from_code(text)
    assert str(error.value).startswith(message)


def test_nothing_is_run(monkeypatch, capsys):
    """The two ways by which text could become behaviour are watched while it is read."""

    def evaluated(*args):
        raise AssertionError("evaluated")

    monkeypatch.setattr("builtins.eval", evaluated)
    monkeypatch.setattr("builtins.exec", evaluated)
    for text in ("Rotate(print('ran'))", "print('ran')", "Rotate([print('ran')])"):
        with pytest.raises(PolicyError):
            from_code(text)
    assert from_code("Rotate(5)") == Policy(Rotate(5))
    assert capsys.readouterr().out == ""


def test_the_registry_holds_concrete_ops_only():
    assert not {"Op", "EditOp", "MixOp", "Policy"} & set(registry())
    assert registry()["Rotate"] is Rotate


# --------------------------------------------------------------------------------------- TOML

HEAD = 'format = "mixwell-policy"\nversion = 1\n'


def test_a_toml_file_may_be_written_by_hand():
    text = (
        HEAD
        + """
[[ops]]
name = "RandomCrop"
size = 32
padding = 4

[[ops]]
name = "Sometimes"
p = 1.0
min_batch = 2

[ops.op]
name = "OneOf"
weights = [1, 3]
ops = [{name = "MixUp", alpha = 0.8}, {name = "CutMix"}]
"""
    )
    assert repr(Policy.from_toml(text)) == (
        "Policy(RandomCrop(32, padding=4), "
        "Sometimes(OneOf(MixUp(alpha=0.8), CutMix(), weights=(1, 3)), min_batch=2, p=1.0))"
    )


def test_defaults_are_left_out_of_the_file():
    assert (
        Policy(Rotate(30)).to_toml()
        == HEAD + 'ops = [\n    { name = "Rotate", degrees = 30 },\n]\n'
    )
    assert Policy.from_toml(HEAD) == Policy()
    assert Policy.from_toml(Policy().to_toml()) == Policy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ops = [", "The policy is not valid TOML: "),
        ("", "A policy file begins with format = 'mixwell-policy', version = 1; found None"),
        (HEAD.replace("1", "2"), "found 'mixwell-policy' version 2"),
        (HEAD.replace("policy", "plan"), "found 'mixwell-plan' version 1"),
        (HEAD + "ops = 3", "ops must be an array of tables, got int"),
        (HEAD + "ops = [3]", "An op is a table with a name"),
        (HEAD + "ops = [{degrees = 3}]", "An op is a table with a name"),
        (HEAD + "ops = [{name = 3}]", "An op is a table with a name"),
        (HEAD + 'ops = [{name = "Rotat", degrees = 3}]', "Did you mean Rotate"),
        (HEAD + 'ops = [{name = "Rotate", angle = 3}]', "Rotate has no field 'angle'"),
        (HEAD + 'ops = [{name = "Rotate"}]', "Rotate: "),
        (HEAD + 'ops = [{name = "Rotate", degrees = "3"}]', "degrees must be a number or"),
        (HEAD + 'ops = [{name = "Rotate", degrees = ["a", "b"]}]', "degrees must be a number or"),
        (HEAD + 'ops = [{name = "Rotate", degrees = 1979-05-27}]', "degrees must be a number or"),
        (HEAD + 'ops = [{name = "OneOf", ops = 3}]', "OneOf: "),
        (HEAD + 'ops = [{name = "OneOf", ops = [3]}]', "OneOf: takes one or more ops"),
        (HEAD + 'ops = [{name = "Sometimes", op = {name = "Zzz"}}]', "No op is called 'Zzz'"),
        (HEAD + 'ops = [{name = "__import__", x = "os"}]', "No op is called '__import__'"),
        (HEAD + 'ops = [{name = "Policy"}]', "No op is called 'Policy'"),
        (HEAD + 'ops = [{name = "MixUp", p = 2}]', "MixUp: p must lie in 0 .. 1, got 2"),
    ],
)
def test_a_wrong_file_is_refused(text, message):
    with pytest.raises(PolicyError) as error:
        Policy.from_toml(text)
    assert message in str(error.value)
