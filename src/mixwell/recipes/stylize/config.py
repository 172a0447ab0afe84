"""What a stylised picture is made of, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mixwell.recipes.settings import check_seed
from mixwell.recipes.stylize.networks import IMAGENET

_DEFAULT_LR = {"adam": 0.3, "lbfgs": 1.0}


@dataclass(frozen=True, kw_only=True)
class StylizeOptions:
    """How a picture is stylised.

    Args:
        size: longest side of the result, px; 0: the content picture's own.
        scales: the picture is painted at 1/2**(scales - 1) of the size first, then at twice that,
            and so on: large shapes of the style come from small pictures.
        style_scale: longest side of the style picture, as a share of the result's; larger makes
            larger strokes.
        start: begin from the content picture, or from noise.
        steps: of the optimizer, at each scale.
        optimizer: adam, or lbfgs (fewer, dearer steps).
        lr: learning rate; 0.3 for adam and 1 for lbfgs when left out.
        decay: factor on adam's learning rate after each tenth of the steps.
        content_weight: of the content loss.
        style_weight: of the style loss.
        tv_weight: of total variation: smoothness.
        network: vgg19, vgg16, mobilenet_v2, mobilenet_v2-tf, or another model with layers named.
        weights: imagenet (torchvision's), the name of other torchvision weights, a file, or random.
        content_layers: names of modules; the network's usual ones when left out.
        style_layers: the same.
        seed: of noise and of random weights, 0 .. 2**32 - 1.
        every: steps from one intermediate picture to the next; a tenth of the steps when left out,
            0 writes none.
        device: auto, cpu, cuda, ...
        memory_gib: memory that may be used, GiB; what is free when left out.
        threads: CPU threads of PyTorch; its own choice when left out.
        quiet: show nothing.
    """

    size: int = 512
    scales: int = 2
    style_scale: float = 1.0
    start: Literal["content", "noise"] = "content"
    steps: int = 250
    optimizer: Literal["adam", "lbfgs"] = "adam"
    lr: float | None = None
    decay: float = 0.8
    content_weight: float = 1.0
    style_weight: float = 1e3
    tv_weight: float = 10.0
    network: str = "vgg19"
    weights: str = IMAGENET
    content_layers: tuple[str, ...] = ()
    style_layers: tuple[str, ...] = ()
    seed: int = 0
    every: int | None = None
    device: str = "auto"
    memory_gib: float | None = None
    threads: int | None = None
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: a number is out of range.
        """
        check_seed(self.seed)
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name} must lie in {low:g} .. {high:g}, got {value}.")
        for name, known in (("start", ("content", "noise")), ("optimizer", tuple(_DEFAULT_LR))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {' or '.join(known)}, got {getattr(self, name)!r}.")
        if not self.content_weight + self.style_weight + self.tv_weight:
            raise ValueError("At least one loss must count, got weights of 0. Raise one of them.")

    @property
    def peak_lr(self) -> float:
        """The learning rate of the first step."""
        return _DEFAULT_LR[self.optimizer] if self.lr is None else self.lr

    @property
    def picture_every(self) -> int:
        """Steps from one intermediate picture to the next; 0: none."""
        return max(self.steps // 10, 1) if self.every is None else self.every


@dataclass(frozen=True, kw_only=True)
class StylizeConfig(StylizeOptions):
    """Which pictures; `StylizeOptions` has the rest.

    Args:
        content: the image file whose things stay.
        style: the image file whose colours and strokes they take.
        out: the image file to write; its losses, curves and settings go beside it.
    """

    content: Path
    style: Path
    out: Path = Path("stylized.png")


_RANGES = (
    ("size", 0, 65536),
    ("scales", 1, 10),
    ("style_scale", 1e-3, 1e3),
    ("steps", 1, 10_000_000),
    ("lr", 1e-12, 1e6),
    ("decay", 1e-6, 1.0),
    ("content_weight", 0.0, 1e12),
    ("style_weight", 0.0, 1e12),
    ("tv_weight", 0.0, 1e12),
    ("every", 0, 10_000_000),
    ("memory_gib", 0.0, 1e6),
    ("threads", 1, 4096),
)
