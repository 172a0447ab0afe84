"""Models in, the same models out: their loss code is exchanged, nothing else.

A part of a model (its RPN, a head, itself) gets a subclass of its own class, by assignment to
`__class__`. Parameters, buffers, the names in the state dict, hooks and evaluation stay as they
are, and the model can be copied and pickled, since the subclasses stand at the top of their
modules.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, TypeVar, get_args

from torch import nn

from mixwell._errors import TargetError
from mixwell.targets.detectors.samples import Mode

Model = TypeVar("Model", bound=nn.Module)


class Part(NamedTuple):
    """A module of a model: where it is, torchvision's class, and the class that weighs."""

    path: str
    own: type[nn.Module]
    weighted: type[nn.Module]


def weighted_losses(model: Model, mode: Mode = "box") -> Model:
    """Make a torchvision detector's training losses use the weights of its targets.

    Call it on the bare model, before it is wrapped (DistributedDataParallel) or compiled.
    Where all weights of a batch are 1, or none are given, torchvision's own code runs.

    A target may hold, beside torchvision's entries:

    * `"weights"`: float [n], >= 0, of each box (missing: 1). Read by "box" and "global".
    * `"source"`: int64 [n], the image that each box came from; `"sources"`: int64 [S], the images
      in the mix; `"shares"`: float [S], their shares, which sum to 1. Read by "sources".

    Args:
        model: FasterRCNN, MaskRCNN, KeypointRCNN, RetinaNet, FCOS or SSD (SSDlite is one), with
            any backbone; it is changed in place. Called on a changed model again, the mode
            changes.
        mode: how a box's weight enters:

            * "box": it multiplies every loss term of its box. Negatives count 1, and losses are
              divided by the same counts as ever.
            * "sources": share times the loss against that source's boxes alone, summed over the
              sources; the network runs once. `"weights"` are not read.
            * "global": all terms of an image, its negatives included, are multiplied by the
              mean weight of its boxes (1 without boxes).

    Returns:
        the same model. Called with targets in training mode it returns torchvision's dict of
        losses, and raises TargetError if an entry above has a wrong length or value.

    Raises:
        TargetError: an unknown mode or model, or one whose parts are subclasses of torchvision's:
            their own loss code would be lost.

    References:
        Zhang, He, Zhang, Zhang, Xie, Li: Bag of Freebies for Training Object Detection Neural
        Networks. arXiv 1902.04103 (weights of mixed boxes).
    """
    if mode not in get_args(Mode):
        known = ", ".join(repr(m) for m in get_args(Mode))
        raise TargetError(f"mode must be one of {known}, got {mode!r}.")
    for module, part in _found(model):
        if part.weighted is not part.own:
            module.__class__ = part.weighted
            module.__dict__["loss_mode"] = mode
    return model


def unweighted_losses(model: Model) -> Model:
    """Undo `weighted_losses`: the model has torchvision's own losses again.

    Args:
        model: as `weighted_losses` takes it; one that was never changed stays as it is.

    Returns:
        the same model.

    Raises:
        TargetError: an unknown model.
    """
    for module, part in _found(model):
        module.__class__ = part.own
        module.__dict__.pop("loss_mode", None)
    return model


def _found(model: nn.Module) -> list[tuple[nn.Module, Part]]:
    """The parts of a model, each known to be torchvision's own or its weighted form."""
    parts = next((own for kind, own in _families().items() if isinstance(model, kind)), None)
    if parts is None:
        raise TargetError(
            "weighted_losses needs a torchvision FasterRCNN, MaskRCNN, KeypointRCNN, RetinaNet, "
            f"FCOS or SSD, got {type(model).__name__}. Give it the detector itself, before it is "
            "wrapped or compiled."
        )
    found = [(model.get_submodule(part.path), part) for part in parts]
    for module, part in found:
        if type(module) not in (part.own, part.weighted):
            name = f"model.{part.path}" if part.path else "the model"
            raise TargetError(
                f"weighted_losses needs torchvision's own {part.own.__name__} as {name}, got "
                f"{type(module).__name__}, whose losses may differ. Multiply its loss terms by "
                "the weights in its own code."
            )
    return found


@cache
def _families() -> dict[type[nn.Module], tuple[Part, ...]]:
    """For each kind of model its parts; loads torchvision's detectors."""
    from torchvision.models.detection import retinanet as tv
    from torchvision.models.detection.fcos import FCOS, FCOSHead
    from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
    from torchvision.models.detection.roi_heads import RoIHeads
    from torchvision.models.detection.rpn import RegionProposalNetwork
    from torchvision.models.detection.ssd import SSD

    from mixwell.targets.detectors import fcos, retinanet, roi_heads, rpn, ssd

    classes, boxes = tv.RetinaNetClassificationHead, tv.RetinaNetRegressionHead
    return {
        GeneralizedRCNN: (
            Part("rpn", RegionProposalNetwork, rpn.WeightedRPN),
            Part("roi_heads", RoIHeads, roi_heads.WeightedRoIHeads),
        ),
        tv.RetinaNet: (
            Part("", tv.RetinaNet, retinanet.WeightedRetinaNet),
            Part("head", tv.RetinaNetHead, retinanet.WeightedRetinaNetHead),
            Part("head.classification_head", classes, classes),
            Part("head.regression_head", boxes, boxes),
        ),
        FCOS: (
            Part("", FCOS, fcos.WeightedFCOS),
            Part("head", FCOSHead, fcos.WeightedFCOSHead),
        ),
        SSD: (Part("", SSD, ssd.WeightedSSD),),
    }
