"""As much of a file's weights as fits a detector."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from mixwell import DataError
from mixwell.recipes.detection.data.files import shorten
from mixwell.recipes.models.named import DEFAULT, named_weights
from mixwell.recipes.models.weights import read_weights

NONE = "none"


class Loaded(NamedTuple):
    """What became of a file's weights.

    Attributes:
        taken: how many entries were loaded.
        kept: entries of the model that stayed as they were initialised.
        unused: entries of the file that the model has not, or in another shape.
    """

    taken: int
    kept: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        """One line for a person."""
        text = f"{self.taken} tensors loaded"
        if self.kept:
            text += f"; {len(self.kept)} stay as initialised ({shorten(self.kept, 2)})"
        if self.unused:
            text += f"; {len(self.unused)} of the file unused ({shorten(self.unused, 2)})"
        return text


def weights_of(model: str, weights: str) -> dict[str, Tensor]:
    """The weights that DEFAULT means for a classification model, or those of a file.

    Raises:
        DataError: there are none, they cannot be fetched, or the file cannot be read.
    """
    return named_weights(model, weights) if weights == DEFAULT else read_weights(weights)


def load_matching(model: nn.Module, state: dict[str, Tensor], what: str) -> Loaded:
    """Load the entries whose name and shape the model has; the others stay as they are.

    Args:
        model: changed in place.
        state: tensors by name.
        what: what they are, for an error.

    Raises:
        DataError: no weight fits.
    """
    own = model.state_dict()
    fits = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    if not any(value.ndim > 1 for value in fits.values()):
        raise DataError(
            f"{what} must fit {type(model).__name__}, whose weights are named like "
            f"{shorten(own, 2)}, got {shorten(state, 2)}. Give the weights of that network."
        )
    model.load_state_dict(fits, strict=False)
    kept = tuple(k for k in own if k not in fits and not k.endswith("num_batches_tracked"))
    return Loaded(len(fits), kept, tuple(k for k in state if k not in fits))
