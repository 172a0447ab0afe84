"""Faults in fine-tuning: weights from files, what is loaded, what learns when and how fast."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

MODELS = "recipes/models/"
MOBILENET = ("tests/recipes/test_mobilenet.py",)
WEIGHTS = ("tests/recipes/test_weights.py",)
PRETRAINED = ("tests/recipes/test_pretrained.py",)
TUNING = ("tests/recipes/test_tuning.py",)
FINETUNE = ("tests/recipes/test_finetune.py",)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "mobilenet: the odd pixel of padding stands in front",
        MODELS + "mobilenet.py",
        "(wide % 2, 1, high % 2, 1)",
        "(1, wide % 2, 1, high % 2)",
        MOBILENET,
    ),
    Fault(
        "mobilenet: padding of one axis for the other",
        MODELS + "mobilenet.py",
        "(wide % 2, 1, high % 2, 1)",
        "(high % 2, 1, wide % 2, 1)",
        MOBILENET,
    ),
    Fault(
        "mobilenet: a map is taken a block early",
        MODELS + "mobilenet.py",
        "_LAST_LAYERS = (3, 6, 13, 18)",
        "_LAST_LAYERS = (3, 6, 12, 18)",
        MOBILENET,
    ),
    Fault(
        "weights: a folded norm's variance does not make up for eps",
        MODELS + "weights.py",
        "torch.full((channels,), 1 - _NORM_EPS)",
        "torch.full((channels,), 4.0)",
        WEIGHTS,
    ),
    Fault(
        "weights: one scale too wide",
        MODELS + "weights.py",
        "scale.astype(np.float32).reshape(-1, *[1] * (weight.ndim - 1))",
        "scale.astype(np.float32).mean()",
        WEIGHTS,
    ),
    Fault(
        "weights: pickles are run",
        MODELS + "weights.py",
        'map_location="cpu", weights_only=True',
        'map_location="cpu", weights_only=False',
        WEIGHTS,
    ),
    Fault(
        "weights: a norm with statistics counts as folded",
        MODELS + "weights.py",
        "return bool(means) and idle and",
        "return bool(means) and",
        WEIGHTS,
    ),
    Fault(
        "pretrained: the head keeps what it was drawn as",
        MODELS + "pretrained.py",
        "nn.init.xavier_uniform_(value)",
        "nn.init.normal_(value)",
        PRETRAINED,
    ),
    Fault(
        "pretrained: missing parameters are let pass",
        MODELS + "pretrained.py",
        '(("missing", missing), ("unknown", unknown), ',
        '(("unknown", unknown), ',
        PRETRAINED,
    ),
    Fault(
        "pretrained: 8-bit weights under PyTorch's padding",
        MODELS + "pretrained.py",
        'path.suffix == ".npz" and',
        'path.suffix == ".npy" and',
        PRETRAINED,
    ),
    Fault(
        "stages: a stage for every part",
        "recipes/stages.py",
        "if holds and _shrinks(part):",
        "if holds:",
        TUNING,
    ),
    Fault(
        "tuning: rates fall towards the head",
        "recipes/tuning.py",
        "self.stage_decay ** (len(self.stages) - 1 - stage_of(name, self.stages))",
        "self.stage_decay ** stage_of(name, self.stages)",
        TUNING,
    ),
    Fault(
        "tuning: one stage too many is unfrozen",
        "recipes/tuning.py",
        "stage_of(name, self.stages) >= len(self.stages) - count",
        "stage_of(name, self.stages) >= len(self.stages) - 1 - count",
        TUNING,
    ),
    Fault(
        "tuning: frozen stages update their norms",
        "recipes/tuning.py",
        "if self.frozen_norms or not self.learns(name, epoch):",
        "if self.frozen_norms:",
        TUNING,
    ),
    Fault(
        "tuning: norms forget what they were loaded with",
        "recipes/tuning.py",
        "if self.frozen_norms or not self.learns(name, epoch):",
        "if not self.learns(name, epoch):",
        TUNING,
    ),
    Fault(
        "tuning: the schedule stops at its first entry",
        "recipes/tuning.py",
        "for start, count in reversed(self.schedule) if",
        "for start, count in self.schedule if",
        TUNING,
    ),
    Fault(
        "optim: groups forget their rates",
        "recipes/optim.py",
        'group["lr"] = lr * group.get("lr_scale", 1.0)',
        'group["lr"] = lr',
        TUNING,
    ),
    Fault(
        "loop: nothing is frozen after the first epoch",
        "recipes/loop.py",
        "            self.tuning.begin(self.network, number)",
        "            self.tuning.begin(self.network, 10**6)",
        FINETUNE,
    ),
    Fault(
        "gentle: mixing goes on to the end",
        "policy/presets.py",
        "Scheduled(mix, stop=0.75)",
        "Scheduled(mix)",
        FINETUNE,
    ),
    Fault(
        "compare: all weights begin like the first",
        "recipes/compare.py",
        "begin = self.begins[candidate.weights]",
        "begin = next(iter(self.begins.values()))",
        FINETUNE,
    ),
)
