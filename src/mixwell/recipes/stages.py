"""A network cut into stages, from the image on, for freezing and for rates that differ by depth.

The parts of a network are its blocks, found by opening containers (and any module that holds more
than half of the parameters). A new stage begins at each part that makes the image smaller by a
convolution or a pool with a stride; ResNets and MobileNets have five. A network that does so
at fewer than two places behind its first layer, such as a vision transformer, is cut into four
stages with equally many blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from torch import nn

Stages = tuple[tuple[str, ...], ...]
_STRIDED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
_FEWEST = 3
_QUARTERS = 4


def stages_of(network: nn.Module, head: Sequence[str] = ()) -> Stages:
    """Names of the parts of each stage, the first nearest to the image.

    Args:
        network: any network whose modules are registered in the order in which they are used.
        head: names of layers that belong to no stage.

    Returns:
        At least one stage where anything but the head has parameters, each with parameters.
    """
    total = _size(network)
    parts = [
        (name, part) for name, part in _parts(network, "", total) if not _within(name, tuple(head))
    ]
    stages: list[list[str]] = [[]]
    holds = False
    for name, part in parts:
        if holds and _shrinks(part):
            stages.append([])
            holds = False
        if _size(part):
            stages[-1].append(name)
            holds = True
    stages = [stage for stage in stages if stage]
    if len(stages) < _FEWEST:
        stages = _equal([name for stage in stages for name in stage])
    return tuple(tuple(stage) for stage in stages)


def stage_of(name: str, stages: Stages) -> int:
    """The stage that a parameter, buffer or module belongs to.

    What lies in no part, such as a position embedding, belongs to the first stage.

    Args:
        name: as in ``named_parameters``.
        stages: of `stages_of`.
    """
    for index, parts in enumerate(stages):
        if _within(name, parts):
            return index
    return 0


def _within(name: str, parts: Sequence[str]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def _parts(module: nn.Module, prefix: str, total: int) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        full = f"{prefix}{name}"
        container = isinstance(child, nn.Sequential | nn.ModuleList)
        most = 2 * _size(child) > total and any(_size(part) for part in child.children())
        if (container or most) and next(child.children(), None) is not None:
            yield from _parts(child, f"{full}.", total)
        else:
            yield full, child


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _shrinks(part: nn.Module) -> bool:
    return any(_stride(m) > 1 for m in part.modules() if isinstance(m, _STRIDED))


def _stride(module: nn.Module) -> int:
    stride = getattr(module, "stride", 1)
    return max(stride) if isinstance(stride, tuple) else int(stride or 1)


def _equal(names: list[str]) -> list[list[str]]:
    count = min(_QUARTERS, len(names))
    cuts = [len(names) * i // max(count, 1) for i in range(count + 1)]
    return [names[low:high] for low, high in pairwise(cuts)]
