"""Faults in detectors: models, loop, measuring, predicting."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

HOME = "recipes/detection/"
MODELS = ("tests/recipes/detection/test_models.py",)
EVALUATE = ("tests/recipes/detection/test_evaluate.py",)
DETECT = ("tests/recipes/detection/test_detect.py",)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "tiny-ssd: negatives of a share count 1",
        HOME + "tiny.py",
        "torch.where(wanted.classes > 0, wanted.weights, background)",
        "wanted.weights",
        MODELS,
    ),
    Fault(
        "tiny-ssd: weights are not read",
        HOME + "tiny.py",
        '[t["weights"] for t in one]',
        "None",
        MODELS,
    ),
    Fault(
        "tiny-ssd: labels count from 0",
        HOME + "tiny.py",
        "labels = own[:, 0].long() + 1",
        "labels = own[:, 0].long()",
        MODELS,
    ),
    Fault(
        "mobilenet: the high map misses a block",
        HOME + "mobilenet.py",
        "nn.Sequential(*rest, *blocks[15:])",
        "nn.Sequential(*rest, *blocks[16:])",
        MODELS,
    ),
    Fault(
        "mobilenet: the first stages learn instead of the last",
        HOME + "mobilenet.py",
        "[*self.low, self.high][: STAGES - trainable_layers]",
        "[*self.low, self.high][STAGES - trainable_layers :]",
        MODELS,
    ),
    Fault(
        "held norms move in training",
        "recipes/models/norms.py",
        "super().train(False)",
        "super().train(mode)",
        MODELS,
    ),
    Fault(
        "norms of new layers are held too",
        HOME + "models.py",
        "if not whole and isinstance(home, mobilenet.Maps):",
        "if False:",
        MODELS,
    ),
    Fault(
        "folded batch norms may learn",
        HOME + "models.py",
        "if norm_is_folded(state) and not config.freeze_norm:",
        "if False:",
        MODELS,
    ),
    Fault(
        "backbones: a stage gives the map before its last block",
        HOME + "backbones.py",
        "if not strides or stride > strides[-1]:",
        "if not strides or stride >= strides[-1]:",
        MODELS,
    ),
    Fault(
        "weights of another shape are counted as loaded",
        HOME + "weights.py",
        "k in own and own[k].shape == v.shape",
        "k in own",
        MODELS,
    ),
    Fault(
        "predictions stay in px of the model's square",
        HOME + "evaluate.py",
        "scale = torch.tensor([width, height, width, height]) / side",
        "scale = torch.ones(4)",
        EVALUATE,
    ),
    Fault(
        "width and height of predictions are swapped",
        HOME + "evaluate.py",
        "torch.tensor([width, height, width, height]) / side",
        "torch.tensor([height, width, height, width]) / side",
        EVALUATE,
    ),
    Fault(
        "difficult objects count as missed",
        HOME + "evaluate.py",
        'if "difficult" in target:',
        "if False:",
        EVALUATE,
    ),
    Fault(
        "nothing to find is an average precision of -1",
        HOME + "evaluate.py",
        "return None if number < 0 else number",
        "return number",
        EVALUATE,
    ),
    Fault(
        "classes are named one off",
        HOME + "evaluate.py",
        "for k, name in enumerate(classes, 1)",
        "for k, name in enumerate(classes)",
        EVALUATE,
    ),
    Fault(
        "crowds are trained on",
        HOME + "feed.py",
        'single = target["iscrowd"] == 0',
        'single = target["iscrowd"] >= 0',
        DETECT,
    ),
    Fault(
        "dropped boxes of an epoch add up over epochs",
        HOME + "feed.py",
        "self.dropped = self.collate.lost - before",
        "self.dropped = self.collate.lost",
        DETECT,
    ),
    Fault(
        "a resumed run forgets the optimizer",
        HOME + "loop.py",
        '{"model": self.model, "optimizer": self.optimizer}',
        '{"model": self.model}',
        DETECT,
    ),
    Fault(
        "the learning rate of a resumed run starts anew",
        HOME + "loop.py",
        "number * self.feed.steps + step",
        "step",
        DETECT,
    ),
    Fault(
        "another loss may resume a checkpoint",
        HOME + "loop.py",
        '*("quiet", "out", "resume", "overwrite"),',
        '*("quiet", "out", "resume", "overwrite", "mixing_loss"),',
        DETECT,
    ),
    Fault(
        "predict writes corners as width and height",
        HOME + "predict.py",
        "box = [x0, y0, x1 - x0, y1 - y0]",
        "box = [x0, y0, x1, y1]",
        DETECT,
    ),
    Fault(
        "predict writes uncertain boxes",
        HOME + "predict.py",
        "own = certain(own, least)",
        "own = dict(own)",
        DETECT,
    ),
    Fault(
        "session: another seed for the epochs of a resumed run",
        "recipes/session.py",
        "number = len(self.history)",
        "number, _ = 0, len(self.history)",
        ("tests/recipes/test_loop.py",),
    ),
    Fault(
        "detect-copypaste: an image alone is refused",
        HOME + "policies.py",
        "_mixed(mw.CopyPaste(), frame, p=0.5)",
        "mw.CopyPaste(p=0.5)",
        ("tests/recipes/detection/test_policies.py",),
    ),
    Fault(
        "average precision: crowds are counted as objects to find",
        HOME + "evaluate.py",
        "objects += int((~ignored).sum())",
        "objects += len(ignored)",
        EVALUATE,
    ),
    Fault(
        "sheet of a detector: the truth is not shown where nothing is found",
        HOME + "detect.py",
        'captions += ["truth", caption(own, least)]',
        'captions += ["truth", caption(own, 0.0)]',
        ("tests/recipes/detection/test_detect.py",),
    ),
    Fault(
        "boxes: names cover one another",
        "viz/boxes.py",
        "return across and one[1] < other[3] and other[1] < one[3]",
        "return across and one[1] < other[3] < one[1]",
        ("tests/viz/test_boxes.py",),
    ),
    Fault(
        "backbone: loaded GoogLeNet reads images as they are",
        HOME + "backbones.py",
        "first = Converted(loaded is not None) if converts_input(name) else None",
        "first = Converted(False) if converts_input(name) else None",
        ("tests/recipes/detection/test_converted.py",),
    ),
)
