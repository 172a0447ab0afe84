"""One image, two boxes, a mirror: what many tests of targets begin with."""

from __future__ import annotations

import numpy as np
import torch

import mixwell as mw

HW = (30, 40)
BOXES = np.array([(2, 3, 12, 20), (15, 5, 39, 9)], float)
FLIP = mw.Policy(mw.HorizontalFlip(p=1.0))
FLIPPED = np.array([(28, 3, 38, 20), (1, 5, 25, 9)], float)
IMAGE = torch.zeros(3, *HW, dtype=torch.uint8)


def flipped(target, policy=FLIP, **declared):
    """The target of one image behind a policy, and what was lost."""
    augment = mw.Augment(policy, **({"boxes": "xyxy"} | declared))
    _, (made,) = augment([IMAGE], [target], keys=mw.Keys(np.arange(1)))
    assert augment.scene is not None
    return made, dict(augment.lost)


def boxes_after(boxes, declared="xyxy", policy=FLIP):
    return flipped({"boxes": boxes}, policy, boxes=declared)[0]["boxes"]
