"""Boxes for the tests: hypothesis strategies, and the worked example of d2l.ai."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

TRUTH = torch.tensor([[0, 0.1, 0.08, 0.52, 0.92], [1, 0.55, 0.2, 0.9, 0.88]])
"""A dog (class 0) and a cat (class 1), xyxy."""

ANCHORS = torch.tensor(
    [
        [0, 0.1, 0.2, 0.3],
        [0.15, 0.2, 0.4, 0.4],
        [0.63, 0.05, 0.88, 0.98],
        [0.66, 0.45, 0.8, 0.8],
        [0.57, 0.3, 0.92, 0.9],
    ]
)

# Multiples of 1/8 make overlaps that are equal and that are exactly a threshold.
GRID = st.integers(0, 8).map(lambda n: n / 8)
FREE = st.floats(0, 1, allow_nan=False, width=32)


@st.composite
def boxes(draw, most: int = 6, least: int = 0, room: float = 0.0) -> list[list[float]]:
    """Lists of xyxy boxes, on a grid or not; `room` is the least width and height."""
    number = draw(st.sampled_from([GRID, FREE]))
    out = []
    for _ in range(draw(st.integers(least, most))):
        (x0, x1), (y0, y1) = (sorted((draw(number), draw(number))) for _ in range(2))
        out.append([x0, y0, x1 + room, y1 + room])
    return out


def tensor(rows: list[list[float]]) -> torch.Tensor:
    """float64 [n, 4], also where n is 0."""
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)


def random_boxes(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """float64 [*shape, 4] with centres in the image and sizes from 0.05 to 0.45."""
    source = torch.Generator().manual_seed(seed)
    centre = torch.rand((*shape, 2), generator=source, dtype=torch.float64)
    half = 0.025 + 0.2 * torch.rand((*shape, 2), generator=source, dtype=torch.float64)
    return torch.cat((centre - half, centre + half), dim=-1)
