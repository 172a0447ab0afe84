"""Prediction in tiles, and the figures, against oracles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mixwell import DataError
from mixwell.recipes.segmentation.measure import Confusion
from mixwell.recipes.segmentation.tiles import predict_tiled
from tests.oracles import segmentation as oracle

CLASSES = ("a", "b", "c", "d")


def each_pixel(tiles: Tensor) -> Tensor:
    """Two logits that depend on nothing but their pixel."""
    assert tiles.shape[-2] % 32 == tiles.shape[-1] % 32 == 0
    return torch.cat([tiles * 2, 1 - tiles], dim=1)


def of_the_tile(tiles: Tensor) -> Tensor:
    """Logits that depend on where in the tile they are, and on the tile's mean."""
    rows = torch.arange(tiles.shape[-2]).float()[:, None] / 7
    columns = torch.arange(tiles.shape[-1]).float() / 5
    return tiles[:, :1] * tiles.mean((1, 2, 3))[:, None, None, None] + rows + columns**2


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 150),
    st.integers(1, 150),
    st.sampled_from([(32, 32), (32, 96), (64, 64), (512, 512)]),
    st.floats(0, 0.9),
)
def test_what_depends_on_the_pixel_alone_does_not_see_tiles(height, width, tile, overlap) -> None:
    images = torch.rand(2, 1, height, width)
    found = predict_tiled(each_pixel, images, tile=tile, overlap=overlap, batch_size=3)
    torch.testing.assert_close(found, torch.cat([images * 2, 1 - images], dim=1))


def test_logits_are_averaged_where_tiles_overlap() -> None:
    image = torch.rand(1, 1, 80, 96)
    found = predict_tiled(of_the_tile, image, tile=(64, 32), overlap=0.25)
    wanted = oracle.tiled(
        lambda tile: of_the_tile(torch.from_numpy(tile)[None])[0].numpy(),
        image[0].numpy(),
        (64, 32),
        [0, 16],
        [0, 21, 43, 64],
    )
    np.testing.assert_allclose(found[0].numpy(), wanted, atol=1e-5)


def test_tiles_share_at_least_the_overlap() -> None:
    seen: list[tuple[int, ...]] = []

    def network(tiles: Tensor) -> Tensor:
        seen.extend(tiles[:, 0, 0, 0].int().tolist())
        return tiles

    columns = torch.arange(200.0).expand(1, 1, 32, 200)
    predict_tiled(network, columns, tile=(32, 64), overlap=0.5)
    assert seen[0] == 0 and seen[-1] == 200 - 64
    assert max(np.diff(seen)) <= 32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile": (32, 40)}, "multiples of 32 px, got 32 x 40"),
        ({"tile": (0, 32)}, "multiples of 32 px"),
        ({"overlap": 1.0}, "overlap must lie"),
        ({"images": torch.zeros(1, 3, 0, 5)}, r"with pixels, got \[1, 3, 0, 5\]"),
        ({"images": torch.zeros(0, 3, 8, 8)}, r"got \[0, 3, 8, 8\]"),
    ],
)
def test_what_cannot_be_tiled(change, message: str) -> None:
    images = change.pop("images", torch.zeros(1, 3, 8, 8))
    with pytest.raises(DataError, match=message):
        predict_tiled(each_pixel, images, **change)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(0, 6), st.integers(1, 4))
def test_figures_against_the_oracle(seed: int, batch: int, height: int, known: int) -> None:
    draw = np.random.default_rng(seed)
    predicted = draw.integers(0, known, (batch, height, 5))
    truth = draw.choice([*range(known), 255], (batch, height, 5))
    confusion = Confusion(CLASSES)
    for one, other in zip(predicted, truth, strict=True):
        confusion.add(torch.from_numpy(one)[None], torch.from_numpy(other)[None])
    found = confusion.measured()
    accuracy, mean, each = oracle.measures(predicted, truth, len(CLASSES), 255)
    assert found.pixel_accuracy == pytest.approx(accuracy)
    assert found.mean_iou == pytest.approx(mean)
    assert list(found.per_class.values()) == pytest.approx(each)
    assert (found.images, found.pixels) == (batch, int((truth != 255).sum()))


def test_figures_of_another_size_are_refused() -> None:
    with pytest.raises(DataError, match=r"one size, got \[1, 4, 4\] and \[1, 8, 8\]"):
        Confusion(CLASSES).add(torch.zeros(1, 4, 4), torch.zeros(1, 8, 8))
