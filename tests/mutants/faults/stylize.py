"""Faults in style transfer."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

HERE = "tests/recipes/stylize"
LOSSES = (f"{HERE}/test_losses.py",)
FEATURES = (f"{HERE}/test_features.py",)
NETWORKS = (f"{HERE}/test_networks.py",)
MEMORY = (f"{HERE}/test_memory.py",)
PAINT = (f"{HERE}/test_paint.py",)
RUN = (f"{HERE}/test_run.py",)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "stylize: a Gram matrix grows with the picture",
        "recipes/stylize/losses.py",
        "/ (channels * height * width)",
        "/ channels",
        LOSSES,
    ),
    Fault(
        "stylize: steps across counted twice, down never",
        "recipes/stylize/losses.py",
        "down = (image[:, :, 1:] - image[:, :, :-1]).abs()",
        "down = (image[:, :, :, 1:] - image[:, :, :, :-1]).abs()",
        LOSSES,
    ),
    Fault(
        "stylize: a side of one pixel is not a number",
        "recipes/stylize/losses.py",
        "for steps in (down, right) if steps.numel()]",
        "for steps in (down, right)]",
        LOSSES,
    ),
    Fault(
        "stylize: style weighs what content weighs",
        "recipes/stylize/losses.py",
        '"style": weights.style * style',
        '"style": weights.content * style',
        LOSSES,
    ),
    Fault(
        "stylize: in-place activations write over a layer",
        "recipes/stylize/features.py",
        "module.inplace = False",
        "module.inplace = True",
        FEATURES,
    ),
    Fault(
        "stylize: the whole network runs",
        "recipes/stylize/features.py",
        "if len(self._found) == len(self.layers):",
        "if len(self._found) > len(self.layers):",
        FEATURES,
    ),
    Fault(
        "stylize: a layer written over goes unnoticed",
        "recipes/stylize/features.py",
        "if tensor._version != version:",
        "if tensor._version < version:",
        FEATURES,
    ),
    Fault(
        "stylize: batch norms look at the picture",
        "recipes/stylize/features.py",
        "network.eval().requires_grad_(False)",
        "network.train().requires_grad_(False)",
        FEATURES,
    ),
    Fault(
        "stylize: content from the first convolution of block 4",
        "recipes/stylize/networks.py",
        "_features(25), _features(0, 5, 10, 19, 28)",
        "_features(19), _features(0, 5, 10, 19, 28)",
        FEATURES,
    ),
    Fault(
        "stylize: random weights follow the caller's generator",
        "recipes/stylize/networks.py",
        "torch.manual_seed(seed)",
        "pass",
        NETWORKS,
    ),
    Fault(
        "stylize: weights that lack a layer are taken",
        "recipes/stylize/networks.py",
        "if k not in state or state[k].shape != v.shape]",
        "if k in state and state[k].shape != v.shape]",
        NETWORKS,
    ),
    Fault(
        "stylize: indices of the pool forgotten",
        "recipes/stylize/memory.py",
        "backward = sum(tensor.nbytes for",
        "backward = sum(tensor.numel() * 4 for",
        MEMORY,
    ),
    Fault(
        "stylize: a picture that does not fit is painted",
        "recipes/stylize/memory.py",
        "if one > limit:",
        "if one > limit * GIB:",
        MEMORY,
    ),
    Fault(
        "stylize: pixels leave the range",
        "recipes/stylize/paint.py",
        "features.clamp_(image)",
        "pass",
        PAINT,
    ),
    Fault(
        "stylize: L-BFGS without room for its line search",
        "recipes/stylize/paint.py",
        "max_eval=26,",
        "max_eval=1,",
        PAINT,
    ),
    Fault(
        "stylize: L-BFGS on a picture as files are read",
        "recipes/stylize/paint.py",
        "clone(memory_format=torch.contiguous_format)",
        "clone()",
        PAINT,
    ),
    Fault(
        "stylize: the learning rate stays",
        "recipes/stylize/paint.py",
        "options.decay ** (step * 10 // options.steps)",
        "options.decay ** (step // (options.steps * 10))",
        PAINT,
    ),
    Fault(
        "stylize: each scale begins anew",
        "recipes/stylize/run.py",
        "if self.pixels is not None:\n            larger",
        "if self.pixels is None:\n            larger",
        RUN,
    ),
    Fault(
        "stylize: the style keeps its own size",
        "recipes/stylize/run.py",
        "factor = max(size) * share / max(height, width)",
        "factor = share",
        RUN,
    ),
    Fault(
        "stylize: losses of the picture before it was rounded",
        "recipes/stylize/run.py",
        "saved = as_pixels(picture, self.device)",
        "saved = self.pixels * 0.5",
        RUN,
    ),
)
