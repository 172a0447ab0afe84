"""Pictures of class maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixwell import TargetError
from mixwell.viz import mask_sheet, style


def test_every_pixel_has_the_colour_of_its_class() -> None:
    image = torch.zeros(3, 4, 6, dtype=torch.uint8)
    truth = torch.arange(24).reshape(4, 6) % 3
    truth[0, 0] = 255
    sheet = mask_sheet([(image, truth)], ["a", "b", "c"], side=6)
    gap = style.GAP
    left = 2 * gap + max(6, style.text_width("", style.SMALL))
    pixels = np.asarray(sheet)[gap : gap + 4, left : left + 6]
    wanted = np.array([style.class_color(k) for k in range(3)])[truth.numpy() % 255]
    wanted[0, 0] = style.PAPER
    assert (pixels == wanted).all()


def test_the_legend_names_what_is_shown() -> None:
    image, classes = np.zeros((30, 40, 3), np.uint8), np.zeros((30, 40), np.int64)
    few = mask_sheet([(image, classes)], ["road", "sky"], side=40)
    classes[:3] = 1
    more = mask_sheet([(image, classes)], ["road", "sky"], side=40)
    colored = {tuple(c) for c in np.asarray(few).reshape(-1, 3).tolist()}
    assert style.class_color(1) not in colored and style.class_color(0) in colored
    below = np.asarray(more)[-40:].reshape(-1, 3)
    assert (below == style.class_color(1)).all(axis=1).any()


def test_maps_that_do_not_fit() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    with pytest.raises(TargetError, match=r"shape \[4, 6\] of its image, got int64 \[6, 4\]"):
        mask_sheet([(image, np.zeros((6, 4), np.int64))], ["a"])
    with pytest.raises(TargetError, match=r"0 \.\. 0, got 0 \.\. 3"):
        mask_sheet([(image, np.eye(4, 6, dtype=np.int64) * 3)], ["a"])
