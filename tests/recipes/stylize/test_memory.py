"""Memory is foreseen, and a picture that does not fit is refused with a size that does."""

from __future__ import annotations

import re

import pytest
import torch

from mixwell import DataError
from mixwell.recipes.stylize import needed_bytes
from mixwell.recipes.stylize.memory import GIB, available_bytes, check_memory
from tests.recipes.stylize.cases import small_features


def test_it_counts_what_autograd_keeps():
    """By hand, in float32: the layers' maps twice (kept, and their goals or gradients), ReLU's and
    the pool's outputs, the pool's indices in int64; 4 of the largest maps; 5 pictures; weights,
    mean and std."""
    features = small_features()
    full, half = 32 * 48, 16 * 24
    maps = 6 * full + 8 * half
    floats = 2 * maps + 6 * full + 6 * half + 4 * 6 * full + 5 * 3 * full
    floats += sum(p.numel() for p in features.parameters()) + 6
    assert needed_bytes(features, 32, 48) == 4 * floats + 8 * 6 * half


def test_it_grows_with_the_area():
    features = small_features()
    small, large = needed_bytes(features, 64, 64), needed_bytes(features, 128, 256)
    assert small * 7.5 < large < small * 8.001


def test_lbfgs_remembers_more():
    features = small_features()
    extra = needed_bytes(features, 64, 64, optimizer="lbfgs") - needed_bytes(features, 64, 64)
    assert extra == 21 * 3 * 64 * 64 * 4


def test_too_large_a_picture_is_refused_with_a_size_that_fits():
    features = small_features()
    limit = needed_bytes(features, 300, 400)
    assert check_memory(features, (300, 400), (40, 30), optimizer="adam", limit=limit) == limit
    with pytest.raises(DataError, match=r"got 800 x 600 px.*--memory-gib") as refused:
        check_memory(features, (600, 800), (40, 30), optimizer="adam", limit=limit)
    found = re.search(r"--size (\d+) or less", str(refused.value))
    assert found is not None
    longest = int(found[1])
    assert 360 <= longest <= 400
    assert needed_bytes(features, longest * 3 // 4, longest) <= limit


def test_the_style_picture_has_to_fit_too():
    features = small_features()
    looked_at = needed_bytes(features, 600, 800, optimizer=None)
    assert looked_at < needed_bytes(features, 600, 800)
    assert check_memory(features, (30, 40), (600, 800), optimizer="adam", limit=looked_at)
    with pytest.raises(DataError, match=r"The style picture .* 800 x 600 px.*--style-scale"):
        check_memory(features, (30, 40), (600, 800), optimizer="adam", limit=looked_at - 1)


def test_this_machine_has_some_memory():
    assert available_bytes(torch.device("cpu")) > GIB / 8
