"""Small torchvision detectors, batches of targets, and what a run of them gives."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torchvision.models.detection import FCOS, FasterRCNN, KeypointRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead

CHANNELS, CLASSES, KEYPOINTS = 32, 3, 2


class Backbone(nn.Module):
    """Two levels, of strides 8 and 16."""

    def __init__(self, out_channels):
        super().__init__()
        self.first = nn.Conv2d(3, CHANNELS, 8, stride=8)
        self.second = nn.Conv2d(CHANNELS, CHANNELS, 2, stride=2)
        self.out_channels = out_channels
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        first = self.first(x).relu()
        return OrderedDict([("0", first), ("1", self.second(first).relu())])


def rcnn(cls=FasterRCNN, *, sampled=16, **options):
    """`sampled`: the anchors and proposals of an image that count; above 1000 all of them do."""
    return cls(
        Backbone(CHANNELS),
        min_size=64,
        max_size=96,
        rpn_anchor_generator=AnchorGenerator(((12, 24), (36, 48)), ((1.0,), (1.0,))),
        rpn_pre_nms_top_n_train=60,
        rpn_post_nms_top_n_train=30,
        rpn_batch_size_per_image=2 * sampled,
        box_batch_size_per_image=sampled,
        box_fg_iou_thresh=0.4,
        box_bg_iou_thresh=0.4,
        box_head=TwoMLPHead(CHANNELS * 49, 16),
        box_predictor=FastRCNNPredictor(16, CLASSES),
        **options,
    )


def mask_rcnn(**options):
    return rcnn(
        MaskRCNN,
        mask_head=MaskRCNNHeads(CHANNELS, (8,), 1),
        mask_predictor=MaskRCNNPredictor(8, 8, CLASSES),
        **options,
    )


def keypoint_rcnn(**options):
    return rcnn(
        KeypointRCNN,
        keypoint_head=KeypointRCNNHeads(CHANNELS, (8,)),
        keypoint_predictor=KeypointRCNNPredictor(8, KEYPOINTS),
        **options,
    )


def retinanet(loss="l1"):
    anchors = AnchorGenerator(((12, 20), (28, 40)), ((1.0,), (1.0,)))
    model = RetinaNet(
        Backbone(CHANNELS), CLASSES, min_size=64, max_size=96, anchor_generator=anchors
    )
    model.head.regression_head._loss_type = loss
    return model


def fcos():
    anchors = AnchorGenerator(((8,), (16,)), ((1.0,), (1.0,)))
    return FCOS(Backbone(CHANNELS), CLASSES, min_size=64, max_size=96, anchor_generator=anchors)


def ssd(**options):
    anchors = DefaultBoxGenerator([[2], [2]], scales=[0.2, 0.4, 0.6])
    return SSD(Backbone([CHANNELS] * 2), anchors, (64, 64), CLASSES, **options)


def ssdlite():
    anchors = DefaultBoxGenerator([[2], [2]], scales=[0.2, 0.4, 0.6])
    head = SSDLiteHead([CHANNELS] * 2, anchors.num_anchors_per_location(), CLASSES, nn.BatchNorm2d)
    return SSD(Backbone([CHANNELS] * 2), anchors, (64, 64), CLASSES, head=head)


MODELS = {
    "faster_rcnn": rcnn,
    "mask_rcnn": mask_rcnn,
    "keypoint_rcnn": keypoint_rcnn,
    "retinanet": retinanet,
    "fcos": fcos,
    "ssd": ssd,
    "ssdlite": ssdlite,
}


def built(make, **options):
    """A model in training mode, the same at each call; scores are spread, so that NMS differs."""
    torch.manual_seed(0)
    model = make(**options).train()
    for name, p in model.named_parameters():
        if "head" in name and p.ndim > 1:
            nn.init.normal_(p, std=0.05)
    return model


SIZES = [(48, 64), (64, 64), (64, 50)]
BOXES = [
    [(4, 6, 20, 22), (22, 20, 44, 44), (30, 4, 60, 30)],
    [],
    [(10, 12, 40, 46)],
]


def images(seed=0, sizes=SIZES):
    g = torch.Generator().manual_seed(seed)
    return [torch.rand(3, *size, generator=g) for size in sizes]


def target(boxes, size, **entries):
    """A target with masks (an ellipse's worth of its box) and keypoints (one is out of sight)."""
    n = len(boxes)
    masks = torch.zeros((n, *size), dtype=torch.uint8)
    keypoints = torch.zeros((n, KEYPOINTS, 3))
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        masks[i, y0 + 2 : y1, x0 : x1 - 3] = 1
        keypoints[i, 0] = torch.tensor([x0 + 3, y0 + 5, 1])
        keypoints[i, 1] = torch.tensor([x1 - 4, y1 - 6, i % 2])
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(n, 4),
        "labels": torch.arange(n) % (CLASSES - 1) + 1,
        "masks": masks,
        "keypoints": keypoints,
        **entries,
    }


def targets(weights=None, boxes=BOXES, sizes=SIZES):
    made = [target(own, size) for own, size in zip(boxes, sizes, strict=True)]
    for one, w in zip(made, weights or [None] * len(made), strict=True):
        if w is not None:
            one["weights"] = torch.as_tensor(w, dtype=torch.float32)
    return made


def run(model, batch, seed=1, pictures=None):
    """The losses and the gradients of all parameters; samplers are seeded."""
    model.zero_grad()
    torch.manual_seed(seed)
    losses = model(images() if pictures is None else pictures, batch)
    sum(losses.values()).backward()
    none = torch.zeros(())
    grads = {k: none if p.grad is None else p.grad.clone() for k, p in model.named_parameters()}
    return {k: v.detach() for k, v in losses.items()}, grads


def same(found, expected, *, rtol=0.0, atol=0.0):
    """Equal names and numbers, of `run`."""
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            torch.testing.assert_close(
                one[name], other[name], rtol=rtol, atol=atol, msg=lambda m, n=name: f"{n}: {m}"
            )


def combined(parts):
    """The sum of (factor, run) pairs."""
    return tuple(
        {k: sum(f * run[i][k] for f, run in parts) for k in parts[0][1][i]} for i in range(2)
    )
