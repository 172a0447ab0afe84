"""Plans in files: exact, versioned, and damaged files are told from good ones."""

from __future__ import annotations

import io
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from mixwell._errors import PlanError
from mixwell._rng import Keys
from mixwell.plan import Edit, Mix, Plan
from mixwell.policy import (
    CutMix,
    FMix,
    GaussianNoise,
    MixUp,
    OneOf,
    Policy,
    RandAugment,
    RandomCrop,
)
from tests.plan.strategies import long_plan

KEYS = Keys([4, 9, 4, 2**32 - 1], [0, 0, 1, 65535], epoch=3, step=8, rank=1, progress=1 / 3)


def sampled() -> Plan:
    policy = Policy(
        RandomCrop(16, padding=2), RandAugment(), GaussianNoise(), OneOf(MixUp(), CutMix())
    )
    return policy.sample(np.full((4, 2), 16), keys=KEYS, seed=2**64 - 1)


def same(a: Plan, b: Plan) -> bool:
    """Equal in every array, dtype and word of provenance."""
    ours, theirs = list(a.arrays()), list(b.arrays())
    assert [name for name, _ in ours] == [name for name, _ in theirs]
    for (name, x), (_, y) in zip(ours, theirs, strict=True):
        assert x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes(), name
    assert (a.seed, a.policy_digest, a.keys is None) == (b.seed, b.policy_digest, b.keys is None)
    if a.keys is not None and b.keys is not None:
        for f in fields(Keys):
            assert np.array_equal(getattr(a.keys, f.name), getattr(b.keys, f.name)), f.name
    return a.digest() == b.digest()


def masked_mix() -> Plan:
    policy = Policy(OneOf(FMix(max_soft=0.2), CutMix(label="lambda"), MixUp()))
    return policy.sample(np.full((9, 2), (16, 11)), keys=Keys(np.arange(9)))


EMPTY = np.zeros((0, 2), np.int32)
PLANS = {
    "sampled": sampled(),
    "fused": sampled().fused(),
    "by hand": long_plan(),
    "a part": long_plan()[[2, 1]],
    "masks and labels": masked_mix(),
    "no steps": Plan([(3, 4)], inputs=[7]),
    "no rows": Plan(EMPTY, (Edit.nothing(EMPTY, 2), Mix.identity(EMPTY)), keys=Keys([])),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_plan_comes_back_as_it_was(plan, tmp_path):
    path = tmp_path / "some.plan"
    plan.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["some.plan"]  # the name as given
    assert same(Plan.load(path), plan)
    assert same(Plan.load(str(path)), plan)


def test_special_numbers_survive(tmp_path):
    plan = long_plan()
    plan.steps[0].param[0, 1, 11] = -0.0
    plan.steps[0].param[1, 1, 10] = 5e-324
    plan.save(tmp_path / "p")
    loaded = Plan.load(tmp_path / "p").steps[0]
    assert isinstance(loaded, Edit)
    assert loaded.param.tobytes() == plan.steps[0].param.tobytes()


def test_files_of_version_1_are_read(tmp_path):
    """They hold neither masks nor labels."""
    for name, plan in PLANS.items():
        path = rewritten(plan, tmp_path / "p", header={"version": 1})
        assert same(Plan.load(path), plan), name


def test_a_lost_mask_is_noticed(tmp_path):
    path = rewritten(masked_mix(), tmp_path / "p", drop=["0.Mix.mask"])
    with pytest.raises(PlanError, match="MASK and UNMASK need a mask"):
        Plan.load(path)
    path = rewritten(masked_mix(), tmp_path / "p", drop=["0.Mix.label"])
    with pytest.raises(PlanError, match="do not match their digest"):
        Plan.load(path)


def test_a_file_holds_no_pickle(tmp_path):
    sampled().save(tmp_path / "p")
    with np.load(tmp_path / "p", allow_pickle=False) as file:
        header = json.loads(file["header"].tobytes())
        assert all(file[name].dtype != object for name in file.files)
    assert header["format"] == "mixwell-plan" and header["version"] == 2
    assert header["steps"] == ["Edit", "Mix"]


# ------------------------------------------------------------------------------ damaged files


def rewritten(plan: Plan, path: Path, *, header: dict | None = None, drop=(), **arrays) -> Path:
    """A plan's file with some header entries or arrays changed."""
    plan.save(path)
    with np.load(path) as file:
        held = {name: file[name] for name in file.files}
    changed = json.loads(held["header"].tobytes()) | (header or {})
    held["header"] = np.frombuffer(json.dumps(changed).encode(), np.uint8)
    held |= {name.replace("__", "."): value for name, value in arrays.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, **{n: v for n, v in held.items() if n not in drop})  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ({"version": 3}, "expected mixwell-plan up to version 2, found mixwell-plan version 3"),
        ({"version": "1"}, "found mixwell-plan version 1"),
        ({"format": "other"}, "found other version 2"),
        ({"digest": "0" * 32}, "contents do not match their digest"),
        ({"steps": ["Edit", "Warp", "Edit"]}, "unknown kind of step 'Warp'"),
        ({"steps": ["Edit", "Mix"]}, "contents do not match their digest"),
    ],
)
def test_a_wrong_header_is_refused(header, found, tmp_path):
    path = rewritten(long_plan(), tmp_path / "p", header=header)
    with pytest.raises(PlanError) as error:
        Plan.load(path)
    assert str(path) in str(error.value) and found in str(error.value)


def test_a_changed_array_is_noticed(tmp_path):
    path = rewritten(long_plan(), tmp_path / "p", inputs=np.array([40, 10, 30, 21]))
    with pytest.raises(PlanError, match="do not match their digest; the file is damaged"):
        Plan.load(path)


def test_a_missing_array_is_named(tmp_path):
    path = rewritten(long_plan(), tmp_path / "p", drop=("1.Mix.weight",))
    with pytest.raises(PlanError, match=r"array .*'1\.Mix\.weight' is missing"):
        Plan.load(path)


def test_an_array_that_breaks_a_rule_is_refused(tmp_path):
    path = rewritten(long_plan(), tmp_path / "p", **{"1__Mix__mode": np.full((4, 2), 9, np.uint8)})
    with pytest.raises(PlanError, match="unknown mode"):
        Plan.load(path)


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(3))
    return file.getvalue()


def _npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _header(value: object) -> bytes:
    return _npz(header=np.frombuffer(json.dumps(value).encode(), np.uint8))


OTHER_FILES = {
    "empty": b"",
    "text": b"Policy(MixUp())",
    "one array": _npy(),
    "arrays": _npz(images=np.zeros(3)),
    "not JSON": _npz(header=np.frombuffer(b"{", np.uint8)),
    "not UTF-8": _npz(header=np.frombuffer(b"\xff\xff", np.uint8)),
    "a list": _header([1, 2]),
    "no fields": _header({"format": "mixwell-plan", "version": 1}),
    "pickle": _npz(header=np.array([{}], dtype=object)),
}


@pytest.mark.parametrize("content", OTHER_FILES.values(), ids=OTHER_FILES)
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "p.plan"
    path.write_bytes(content)
    with pytest.raises(PlanError) as error:
        Plan.load(path)
    assert "p.plan" in str(error.value)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Plan.load(tmp_path / "none.plan")


def test_no_damage_goes_unnoticed(tmp_path):
    """Every 13th byte is changed and the file cut in many places: an error, or the same plan.

    A few bytes of a zip file mean nothing (times, attributes); those may change unseen.
    """
    plan = replace(long_plan(), seed=5, keys=Keys([40, 10, 30, 20], epoch=2))
    path = tmp_path / "p"
    plan.save(path)
    good = path.read_bytes()
    damaged = [good[:n] for n in range(0, len(good), 97)]
    for at in range(0, len(good), 13):
        damaged += [good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :] for flip in (0x01, 0xFF)]
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            loaded = Plan.load(path)
        except PlanError:
            refused += 1
        else:
            assert same(loaded, plan)
    assert refused > 0.6 * len(damaged)
