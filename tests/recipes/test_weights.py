"""Weights from files: every format, every wrong file, and nothing unpickled but tensors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from mixwell import DataError
from mixwell.recipes.models.weights import norm_is_folded, read_weights


def state() -> dict[str, torch.Tensor]:
    return {"conv.weight": torch.randn(2, 3, 1, 1), "conv.bias": torch.randn(2)}


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[k], wanted[k]) for k in wanted)


@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict", "model", "network"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_pytorch_files_are_unwrapped(tmp_path: Path, key: str | None, prefix: str) -> None:
    wanted = state()
    held = {prefix + name: value for name, value in wanted.items()}
    torch.save(held if key is None else {key: held, "epoch": 3}, tmp_path / "w.pth")
    assert same(read_weights(tmp_path / "w.pth"), wanted)


def test_a_prefix_of_some_names_only_is_kept(tmp_path: Path) -> None:
    wanted = {"module.a": torch.ones(1), "b": torch.ones(1)}
    torch.save(wanted, tmp_path / "w.pt")
    assert same(read_weights(tmp_path / "w.pt"), wanted)


def test_safetensors_are_read(tmp_path: Path) -> None:
    wanted = state()
    save_file(wanted, tmp_path / "w.safetensors")
    assert same(read_weights(tmp_path / "w.safetensors"), wanted)


class Harm:
    """What a hostile pickle does when it is loaded."""

    def __reduce__(self):
        return (os.mkdir, ("harmed",))


def test_a_hostile_pickle_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Harm()}, "w.pth")
    with pytest.raises(DataError, match=r"readable file, got UnpicklingError for w\.pth"):
        read_weights("w.pth")
    assert not Path("harmed").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".npz"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 broken"])
def test_a_damaged_file_is_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"broken{suffix}"):
        read_weights(path)


def test_a_missing_file_an_unknown_kind_and_a_file_without_tensors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="existing file, got"):
        read_weights(tmp_path / "none.pth")
    (tmp_path / "w.h5").touch()
    with pytest.raises(DataError, match=r"are read from \.pth, .*, got w\.h5"):
        read_weights(tmp_path / "w.h5")
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="holds tensors by name, got dict without any"):
        read_weights(tmp_path / "w.pth")


# ---- 8-bit arrays ------------------------------------------------------------------------------


def quantised(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 with one scale for each output channel, rounded to nearest, in plain loops."""
    codes = np.zeros(weight.shape, np.int8)
    scales = np.zeros(len(weight), np.float32)
    for channel, values in enumerate(weight):
        scales[channel] = max(np.abs(values).max(), 1e-6) / 127
        codes[channel] = np.round(values / scales[channel])
    return codes, scales


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**16))
def test_eight_bits_are_within_half_a_step(tmp_path_factory, out: int, into: int, seed: int):
    weight = np.random.default_rng(seed).normal(size=(out, into, 3, 3)).astype(np.float32)
    codes, scales = quantised(weight)
    path = tmp_path_factory.mktemp("npz") / "w.npz"
    np.savez(path, **{"a.0.weight": codes, "a.0.scale": scales, "a.1.bias": np.zeros(out, "f4")})
    found = read_weights(path)["a.0.weight"].numpy()
    assert found.dtype == np.float32
    assert (np.abs(found - weight) <= 0.501 * scales[:, None, None, None]).all()


def test_a_folded_norm_adds_its_bias_and_nothing_else(tmp_path: Path) -> None:
    codes, scales = quantised(np.random.default_rng(0).normal(size=(4, 3, 1, 1)))
    bias = np.arange(4, dtype=np.float32)
    np.savez(tmp_path / "w.npz", **{"0.weight": codes, "0.scale": scales, "1.bias": bias})
    found = read_weights(tmp_path / "w.npz")
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)).eval()
    network.load_state_dict(found)
    images = torch.randn(2, 3, 5, 5)
    wanted = torch.einsum("oi,bihw->bohw", found["0.weight"][:, :, 0, 0], images)
    wanted = wanted + torch.from_numpy(bias)[:, None, None]
    torch.testing.assert_close(network(images), wanted, rtol=1e-5, atol=1e-6)
    assert norm_is_folded(found)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a.weight": np.zeros((2, 2), np.int8)}, "int8 weights with one scale .* no scale"),
        (
            {"a.weight": np.zeros((2, 2), np.int8), "a.scale": np.ones(3, "f4")},
            r"got a\.weight int8\[2, 2\] and scale \[3\]",
        ),
        ({"a.weight": np.zeros((2, 2), "f4"), "a.scale": np.ones(2, "f4")}, "weight float32"),
        ({"x": np.zeros(2)}, "holds NAME.weight, NAME.scale and NAME.bias, got x"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path: Path, arrays, message: str) -> None:
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_weights(tmp_path / "w.npz")


def test_norms_with_statistics_are_not_folded() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    assert norm_is_folded(network.state_dict())
    assert not norm_is_folded(nn.Linear(2, 2).state_dict())
    network.train()
    network(torch.randn(4, 3, 5, 5))
    assert not norm_is_folded(network.state_dict())
