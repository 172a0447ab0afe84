"""Networks to take features from: which layers, which weights, which normalisation.

VGG-19 stays the standard of this trade: its content layer is the last convolution of block 4, its
style layers the first of each block. Other networks serve too, with random weights as well; then
the picture follows textures less well, and the run says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from mixwell import DataError
from mixwell.recipes.models import build_model
from mixwell.recipes.models.mobilenet import MEAN, STD, mobilenet_v2
from mixwell.recipes.models.weights import SUFFIXES, State, read_weights
from mixwell.recipes.stylize.features import Features, on_meta

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RANDOM, IMAGENET = "random", "imagenet"


@dataclass(frozen=True)
class Taps:
    """Where a network is listened to.

    Args:
        content: names of content layers.
        style: names of style layers.
    """

    content: tuple[str, ...]
    style: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """A network whose layers are chosen.

    Args:
        taps: its layers.
        build: makes it, with fresh weights.
        mean: [3], what images in 0 .. 1 are normalised with.
        std: [3], the same.
    """

    taps: Taps
    build: Callable[[], nn.Module]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def _features(*numbers: int) -> tuple[str, ...]:
    return tuple(f"features.{number}" for number in numbers)


_MOBILE = Taps(_features(6), ("features.0.0", *_features(2, 4, 7)))
KNOWN: dict[str, Known] = {
    "vgg19": Known(
        Taps(_features(25), _features(0, 5, 10, 19, 28)), partial(build_model, "vgg19", 1000)
    ),
    "vgg16": Known(
        Taps(_features(21), _features(0, 5, 10, 17, 24)), partial(build_model, "vgg16", 1000)
    ),
    "mobilenet_v2": Known(_MOBILE, partial(build_model, "mobilenet_v2", 1000)),
    "mobilenet_v2-tf": Known(_MOBILE, partial(mobilenet_v2, 1000), MEAN, STD),
}
"""Networks for which no layers need be named. `mobilenet_v2-tf` is for weights trained by Keras."""


def build_features(
    name: str,
    weights: str = IMAGENET,
    *,
    content: Sequence[str] = (),
    style: Sequence[str] = (),
    seed: int = 0,
) -> tuple[Features, Taps]:
    """A frozen network that gives feature maps for style transfer.

    Args:
        name: one of `KNOWN`, or whatever `mixwell.recipes.models.build_model` knows, with layers.
        weights: "imagenet" (torchvision's default weights of that network, fetched unless they are
            there), the name of other weights that torchvision has for it, a file that
            `mixwell.recipes.models.weights.read_weights` reads, or "random".
        content: content layers; the network's usual ones when empty.
        style: style layers; the same.
        seed: of random weights.

    Returns:
        The features, and which layers are for what.

    Raises:
        ValueError: unknown network, layer or weights, or a network without usual layers.
        DataError: a file of weights that cannot be read or belongs to another network, or weights
            that cannot be fetched.
    """
    known = KNOWN.get(name)
    usual = known.taps if known else Taps((), ())
    taps = Taps(tuple(content) or usual.content, tuple(style) or usual.style)
    if not (taps.content and taps.style):
        raise ValueError(
            f"Layers must be named for {name!r}; they are known for {', '.join(KNOWN)}. "
            "Give --content-layers and --style-layers."
        )
    state = None if weights == RANDOM else _state(name, weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = known.build() if known else build_model(name, 1000)
    layers = (*taps.content, *taps.style)
    mean, std = (known.mean, known.std) if known else (IMAGENET_MEAN, IMAGENET_STD)
    features = Features(network, layers, mean=mean, std=std)
    _forget_unused(features)
    if state is not None:
        _load(network, state, f"{weights} for {name}")
    return features, taps


def _forget_unused(features: Features) -> None:
    """Give back the memory of what lies behind the last layer, such as VGG's classifier."""
    used: set[nn.Module] = set()
    modules = dict(features.network.named_modules())
    handles = [
        m.register_forward_pre_hook(lambda module, _: used.add(module)) for m in modules.values()
    ]
    with torch.no_grad():
        on_meta(features, torch.empty(1, 3, 224, 224, device="meta"))
    for handle in handles:
        handle.remove()
    idle = [k for k, m in modules.items() if k and used.isdisjoint(m.modules())]
    for name in idle:
        if name.rpartition(".")[0] not in idle:
            features.network.set_submodule(name, nn.Identity())


def _load(network: nn.Module, state: State, what: str) -> None:
    """Fill what is used of the network; what else the weights hold is not looked at."""
    own = network.state_dict()
    wrong = [k for k, v in own.items() if k not in state or state[k].shape != v.shape]
    wrong = [k for k in wrong if not k.endswith("num_batches_tracked")]
    if wrong:
        raise DataError(
            f"The layers used need weights of their network, got {len(wrong)} missing or of "
            f"another shape in {what} ({', '.join(wrong[:3])}, ...). Give the file of that network."
        )
    network.load_state_dict({k: state[k] for k in own if k in state}, strict=False)


def _state(name: str, weights: str) -> State:
    """A state dict by file or by torchvision's name."""
    if Path(weights).suffix in SUFFIXES or Path(weights).exists():
        return read_weights(weights)
    from torchvision.models import get_model_weights

    try:
        choices = get_model_weights(name.removeprefix("torchvision:"))
    except ValueError:
        raise ValueError(
            f"torchvision has no weights for {name!r}. Give a file (--weights FILE) or "
            "--weights random."
        ) from None
    names = [choice.name for choice in choices]
    if weights.lower() != IMAGENET and weights not in names:
        raise ValueError(
            f"Weights are a file, random, imagenet, or one of {', '.join(names)} for {name}, "
            f"got {weights!r}. Use one of these."
        )
    chosen = choices["DEFAULT" if weights.lower() == IMAGENET else weights]
    try:
        return dict(chosen.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        file = chosen.url.rsplit("/", 1)[-1]
        raise DataError(
            f"The weights {chosen} could not be fetched ({type(error).__name__}). Where there is "
            f"no network, copy {file} from a machine that has it (its torch.hub.get_dir() + "
            f"'/checkpoints') and give --weights {file}; or --weights random for a try."
        ) from None
