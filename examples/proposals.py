"""Where objects might be: selective search, written out, and a plain grid of windows.

    python examples/proposals.py photo.jpg

A proposal function takes a uint8 image [3, H, W] and gives boxes [N, 4], xyxy px; `rcnn.py` takes
any. Selective search begins with the segments of a graph over pixels, merges the two most similar
neighbours again and again, and proposes the bounding box of every region that ever existed. Left
out of the paper: texture among the similarities (colour, size and fill are here), other colour
spaces, and the ranking by random numbers.

References:
    Felzenszwalb, Huttenlocher, "Efficient Graph-Based Image Segmentation", IJCV 2004.
    Uijlings, van de Sande, Gevers, Smeulders, "Selective Search for Object Recognition", IJCV 2013.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

BINS = 16
"""Of a region's histogram, for each channel."""


def selective_search(
    image: Tensor, *, scales: tuple[float, ...] = (100.0, 300.0), min_side: int = 8
) -> Tensor:
    """Bounding boxes of regions, from single segments to the whole image.

    Args:
        image: uint8 [3, H, W].
        scales: how readily neighbouring pixels join a segment; a search is made with each.
        min_side: px; smaller boxes are left out.

    Returns:
        float32 [N, 4], xyxy px, each once.
    """
    if min(image.shape[1:]) < max(min_side, 3):
        return torch.zeros(0, 4)
    smooth = gaussian_blur(image.float(), kernel_size=[5, 5], sigma=[0.8, 0.8])
    pixels = smooth.permute(1, 2, 0).contiguous().numpy()
    found = [box for scale in scales for box in _search(pixels, scale)]
    boxes = torch.tensor(np.unique(np.array(found), axis=0), dtype=torch.float32)
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes[(sides >= min_side).all(1)]


def grid(image: Tensor, *, sides: tuple[int, ...] = (24, 36, 48), step: float = 0.25) -> Tensor:
    """Windows of some sides, a share of their side apart; no look at the pixels.

    Args:
        image: uint8 [3, H, W].
        sides: px; also at 2:3, taller than wide.
        step: from one to the next, as a share of the side.

    Returns:
        float32 [N, 4], xyxy px.
    """
    height, width = image.shape[1:]
    boxes = []
    for side in sides:
        for w, h in ((side, side), (side * 2 // 3, side)):
            hop = max(1, round(step * side))
            y, x = np.mgrid[0 : height - h + 1 : hop, 0 : width - w + 1 : hop]
            boxes.append(np.stack([x, y, x + w, y + h], axis=-1).reshape(-1, 4))
    return torch.from_numpy(np.concatenate(boxes)).float()


@dataclass
class Region:
    """A part of the image that holds together."""

    size: int
    box: np.ndarray  # x0, y0, x1, y1
    histogram: np.ndarray  # sums to 1
    neighbours: set[int]


def _search(pixels: np.ndarray, scale: float) -> list[np.ndarray]:
    """The boxes of all regions, of which the most similar neighbours merge until one is left."""
    segments = segment(pixels, scale)
    regions = dict(enumerate(_regions(pixels, segments)))
    boxes = [region.box for region in regions.values()]
    area = segments.size
    alike = {
        (i, j): similarity(regions[i], regions[j], area)
        for i, region in regions.items()
        for j in region.neighbours
        if i < j
    }
    while alike:
        i, j = max(alike, key=alike.__getitem__)
        new = len(boxes)
        regions[new] = merged = _merged(regions, i, j)
        boxes.append(merged.box)
        alike = {pair: value for pair, value in alike.items() if not {i, j} & {*pair}}
        for k in merged.neighbours:
            regions[k].neighbours -= {i, j}
            regions[k].neighbours.add(new)
            alike[k, new] = similarity(regions[k], merged, area)
        del regions[i], regions[j]
    return boxes


def similarity(a: Region, b: Region, area: int) -> float:
    """0 .. 3: how alike the colours are, how small both are, how well they fill one box."""
    low, high = np.minimum(a.box[:2], b.box[:2]), np.maximum(a.box[2:], b.box[2:])
    colour = float(np.minimum(a.histogram, b.histogram).sum())
    size = 1 - (a.size + b.size) / area
    fill = 1 - (float(np.prod(high - low)) - a.size - b.size) / area
    return colour + size + fill


def _merged(regions: dict[int, Region], i: int, j: int) -> Region:
    a, b = regions[i], regions[j]
    size = a.size + b.size
    return Region(
        size,
        np.concatenate([np.minimum(a.box[:2], b.box[:2]), np.maximum(a.box[2:], b.box[2:])]),
        (a.size * a.histogram + b.size * b.histogram) / size,
        (a.neighbours | b.neighbours) - {i, j},
    )


def _regions(pixels: np.ndarray, segments: np.ndarray) -> list[Region]:
    """The segments 0, 1, ... as regions, each knowing those beside and below it."""
    count = int(segments.max()) + 1
    bins = (
        np.minimum((pixels * (BINS / 256)).astype(np.int64), BINS - 1) + BINS * segments[..., None]
    )
    channels = [np.bincount(bins[..., c].ravel(), minlength=BINS * count) for c in range(3)]
    histograms = np.concatenate([c.reshape(count, BINS) for c in channels], axis=1)
    sizes = np.bincount(segments.ravel())
    boxes = np.tile(np.array([*segments.shape[::-1], 0, 0]), (count, 1))
    y, x = np.indices(segments.shape)
    for side, (join, place) in enumerate(
        ((np.minimum, x), (np.minimum, y), (np.maximum, x + 1), (np.maximum, y + 1))
    ):
        join.at(boxes[:, side], segments.ravel(), place.ravel())
    made = [
        Region(int(size), box, histogram / (3 * size), set())
        for size, box, histogram in zip(sizes, boxes, histograms, strict=True)
    ]
    for one, other in ((segments[:, 1:], segments[:, :-1]), (segments[1:], segments[:-1])):
        pairs = np.stack([one[one != other], other[one != other]], axis=1)
        for i, j in np.unique(pairs, axis=0).tolist():
            made[i].neighbours.add(j)
            made[j].neighbours.add(i)
    return made


def segment(pixels: np.ndarray, scale: float, *, min_size: int = 20) -> np.ndarray:
    """Segments of a graph over pixels.

    Neighbours join, the most alike first, unless they differ by more than both segments do inside
    plus `scale` / size.

    Args:
        pixels: float32 [H, W, 3], 0 .. 255.
        scale: larger gives larger segments.
        min_size: px; smaller segments join a neighbour in the end.

    Returns:
        int64 [H, W]: numbers 0, 1, ... in the order of the segments' first pixels.
    """
    height, width = pixels.shape[:2]
    number = np.arange(height * width).reshape(height, width)
    ends, lengths = [], []
    for one, other in (
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[1:], np.s_[:-1]),
        (np.s_[1:, 1:], np.s_[:-1, :-1]),
        (np.s_[1:, :-1], np.s_[:-1, 1:]),
    ):
        ends.append(np.stack([number[one].ravel(), number[other].ravel()], axis=1))
        lengths.append(np.linalg.norm(pixels[one] - pixels[other], axis=2).ravel())
    edges, length = np.concatenate(ends), np.concatenate(lengths)
    order = np.argsort(length, kind="stable")
    roots = _joined(edges[order], length[order], height * width, scale, min_size)
    _, first, label = np.unique(roots, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return rank[label].reshape(height, width)


@numba.njit
def _joined(
    edges: np.ndarray, length: np.ndarray, count: int, scale: float, min_size: int
) -> np.ndarray:
    """The root of each pixel, after joining along the edges, the shortest first."""
    parent, size = np.arange(count), np.ones(count)
    limit = np.full(count, scale)
    for last in (False, True):
        for k in range(len(edges)):
            a, b = edges[k]
            while parent[a] != a:
                parent[a] = parent[parent[a]]
                a = parent[a]
            while parent[b] != b:
                parent[b] = parent[parent[b]]
                b = parent[b]
            small = size[a] < min_size or size[b] < min_size
            alike = length[k] <= limit[a] and length[k] <= limit[b]
            if a != b and ((last and small) or (not last and alike)):
                parent[b] = a
                size[a] += size[b]
                limit[a] = length[k] + scale / size[a]
    for k in range(count):
        while parent[k] != parent[parent[k]]:
            parent[k] = parent[parent[k]]
    return parent


if __name__ == "__main__":
    from torchvision.io import read_file
    from torchvision.io.image import decode_image

    print(len(selective_search(decode_image(read_file(sys.argv[1])))), "boxes")
