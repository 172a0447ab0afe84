"""A network that starts from trained weights, with a new head for other classes.

Weights come by a name of the library that the model is from, or from a local file. By name they are
downloaded where the library does not have them yet; where it cannot, the error says how to bring a
file along.

Which layers are the head is not guessed from names: they are the layers whose parameters change
shape with the number of classes.

References:
    Xavier Glorot, Yoshua Bengio. Understanding the difficulty of training deep feedforward neural
    networks. 2010 (the head's initial weights; no arXiv number).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from mixwell import DataError
from mixwell.recipes.models.byname import MOBILENET_TF, build_model
from mixwell.recipes.models.named import input_stats, named_weights
from mixwell.recipes.models.weights import SUFFIXES, State, norm_is_folded, read_weights

SCRATCH = "none"
"""The name of no weights at all."""
# Branches that torchvision's files hold and that are left out of the network.
_AUXILIARY = {
    "googlenet": ("aux1.", "aux2."),
    "inception_v3": ("AuxLogits.",),
}
# torchvision's weights of these were trained on x / 127.5 - 1, and the network converts.
_CONVERTS_INPUT = ("googlenet", "inception_v3")


@dataclass(frozen=True)
class Start:
    """Initial weights: where a network begins.

    Attributes:
        model: the network's name.
        num_classes: number of logits.
        weights: where the weights are from: a name, a file, or ``"none"``.
        head: names of the layers that are new; all others are loaded. Empty where none are loaded.
        folded: whether the loaded batch norms hold no statistics (see `norm_is_folded`).
        mean: what images in [0, 1] are normalised with, or None: as the data set says.
        std: the same.
    """

    model: str
    num_classes: int
    weights: str = SCRATCH
    head: tuple[str, ...] = ()
    folded: bool = False
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    state: State | None = field(default=None, repr=False, compare=False)

    @property
    def scratch(self) -> bool:
        """Whether nothing is loaded."""
        return self.state is None

    def network(self, *, as_loaded: bool = False) -> nn.Module:
        """A network that begins here; what is not loaded is drawn from PyTorch's generator.

        Args:
            as_loaded: build one without weights as with them, for those of a run that had some.
        """
        network = build_model(self.model, self.num_classes)
        if converts_input(self.model) and (as_loaded or not self.scratch):
            network.transform_input = True  # type: ignore[assignment]
        if self.state is None:
            return network
        network.load_state_dict(self.state, strict=False)  # what is missing was checked before
        for name in self.head:
            _draw(network.get_submodule(name))
        return network


def load_start(model: str, num_classes: int, weights: str | Path = SCRATCH) -> Start:
    """Read the weights that a network begins with.

    Args:
        model: a name that `build_model` knows.
        num_classes: number of logits, >= 1.
        weights: ``"none"``; ``"DEFAULT"`` or another name of the model's library (torchvision:
            ``"IMAGENET1K_V1"``; timm: a tag such as ``"a1_in1k"``); or a file that `read_weights`
            reads.

    Raises:
        ValueError: no such model.
        DataError: no such weights, weights of another network, or a download that failed.
        ImportError: the library or safetensors is not installed.
    """
    text = str(weights)
    head = head_of(model)
    mean, std = input_stats(model) or (None, None)
    if text == SCRATCH:
        return Start(model, num_classes, mean=mean, std=std)
    state = _read(model, text)
    return Start(
        model,
        num_classes,
        text,
        head,
        norm_is_folded(state),
        mean,
        std,
        _fitting(model, state, head, text),
    )


def _read(model: str, weights: str) -> State:
    path = Path(weights)
    if path.suffix not in SUFFIXES and not path.is_file() and len(path.parts) == 1:
        return named_weights(model, weights)
    if path.suffix == ".npz" and _plain(model) == "mobilenet_v2":
        raise DataError(
            f"8-bit weights of MobileNetV2 need TensorFlow's padding, got the model {model}, which "
            f"pads as PyTorch and would lose accuracy. Use --model {MOBILENET_TF}."
        )
    return read_weights(path)


def converts_input(model: str) -> bool:
    """Whether torchvision's weights of this network read images in [-1, 1], not normalised ones."""
    return _plain(model) in _CONVERTS_INPUT


def _plain(model: str) -> str:
    return model.removeprefix("torchvision:")


def head_of(model: str) -> tuple[str, ...]:
    """Names of the layers whose size depends on the number of classes, in order.

    Args:
        model: a name that `build_model` knows.

    Raises:
        ValueError: no such model.
    """
    two, three = shapes_of(model, 2), shapes_of(model, 3)
    layers = [name.rpartition(".")[0] for name in two if two[name] != three.get(name)]
    return tuple(dict.fromkeys(layers))


def shapes_of(model: str, num_classes: int) -> dict[str, torch.Size]:
    """Shapes of a network's parameters and buffers by name.

    Args:
        model: a name that `build_model` knows.
        num_classes: number of logits, >= 1.
    """
    network = without_memory(lambda: build_model(model, num_classes))
    return {name: value.shape for name, value in network.state_dict().items()}


def without_memory(build: Callable[[], nn.Module]) -> nn.Module:
    """A network without numbers in it, where its initialisation allows.

    Args:
        build: builds the network. PyTorch's generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return build()
        except (NotImplementedError, RuntimeError):  # an initialisation that looks at numbers
            return build()


def _fitting(model: str, state: State, head: tuple[str, ...], source: str) -> State:
    """The part of the state that the network takes, after making sure that it is all of it."""
    own = shapes_of(model, 2)
    heads = tuple(f"{name}." for name in head)
    ignored = heads + _AUXILIARY.get(_plain(model), ())
    given = {k: v for k, v in state.items() if not k.startswith(ignored)}
    wanted = {k: v for k, v in own.items() if not k.startswith(heads)}
    missing = [k for k in wanted if k not in given and not k.endswith("num_batches_tracked")]
    unknown = [k for k in given if k not in wanted]
    resized = [k for k in given if k in wanted and given[k].shape != wanted[k]]
    for what, names in (("missing", missing), ("unknown", unknown), ("of another size", resized)):
        if names:
            raise DataError(
                f"Weights must be those of the model {model}, got {len(names)} of {len(wanted)} "
                f"parameters {what} in {source} ({', '.join(names[:3])}). "
                + _cure(model, own, state)
            )
    return given


def _cure(model: str, own: dict[str, torch.Size], state: State) -> str:
    if not own.keys() & state.keys():
        return f"The names have nothing in common: name another --model than {model}."
    return "Name the --model that was trained, or give its own weights."


def _draw(layer: nn.Module) -> None:
    """Xavier's uniform weights, biases 0."""
    with torch.no_grad():
        for name, value in layer.named_parameters(recurse=False):
            if name == "bias" or value.ndim < 2:
                value.zero_()
            else:
                nn.init.xavier_uniform_(value)
