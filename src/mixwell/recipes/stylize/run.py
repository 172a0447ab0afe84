"""From two image files to a third.

::

    NAME.png              the picture
    NAME-losses.csv       one row for each step
    NAME-losses.png       the same as curves
    NAME-settings.json    every setting, sizes, seconds, and the losses of the picture as saved
    NAME-steps/           intermediate pictures
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import mixwell as mw
from mixwell import DataError
from mixwell.recipes.classify import cpu_threads, write_json, write_rows
from mixwell.recipes.data.decode import decode_rgb
from mixwell.recipes.interrupt import Interrupts
from mixwell.recipes.progress import Shown, waiting
from mixwell.recipes.stylize.config import StylizeConfig
from mixwell.recipes.stylize.features import Features
from mixwell.recipes.stylize.losses import Goal
from mixwell.recipes.stylize.memory import GIB, available_bytes, check_memory
from mixwell.recipes.stylize.networks import RANDOM, Taps, build_features
from mixwell.recipes.stylize.paint import Row, goal_of, measure, paint
from mixwell.recipes.stylize.plot import plot


@dataclass(frozen=True)
class Stylized:
    """What a run gave.

    Attributes:
        picture: uint8 [H, W, 3].
        losses: weighted losses of the picture as saved, in 8 bits, and their "total".
        rows: one for each step; losses of different scales are of different pictures.
        out: the picture's file.
        seconds: painting alone.
        needed_bytes: the memory that the largest scale was expected to need.
        interrupted: stopped by Ctrl-C; the picture is the last one painted.
    """

    picture: np.ndarray
    losses: Row
    rows: list[dict[str, Any]]
    out: Path
    seconds: float
    needed_bytes: int
    interrupted: bool


def stylize(config: StylizeConfig) -> Stylized:
    """Paint the things of one picture in the colours and strokes of another.

    Args:
        config: the pictures and the settings.

    Returns:
        The picture, its losses and where it is.

    Raises:
        DataError: an image or weights that cannot be read, a picture that is too large for the
            memory or too small for the network, or an output that is no image file.
        ValueError: unknown network, layer or weights.
        FloatingPointError: the loss is no longer a number.
        ImportError: matplotlib is not installed.
    """
    _check_out(config.out)
    content, style = decode_rgb(config.content), decode_rgb(config.style)
    sizes = scale_sizes(content.shape[0], content.shape[1], config.size, config.scales)
    device = torch.device(_device(config.device))
    with cpu_threads(config.threads):
        with waiting(f"preparing {config.network}", quiet=config.quiet):
            features, taps = build_features(
                config.network,
                config.weights,
                content=config.content_layers,
                style=config.style_layers,
                seed=config.seed,
            )
            features.to(device)
        needed = _check(features, sizes, style, config, device)
        work = _Work(config, features, taps, content, style, sizes, device)
        interrupted = work.run()
    return work.result(needed, interrupted)


class _Work:
    """Everything that lives as long as one picture is painted."""

    def __init__(
        self,
        config: StylizeConfig,
        features: Features,
        taps: Taps,
        content: np.ndarray,
        style: np.ndarray,
        sizes: Sequence[tuple[int, int]],
        device: torch.device,
    ) -> None:
        self.config, self.features, self.taps = config, features, taps
        self.content, self.style, self.sizes, self.device = content, style, sizes, device
        self.shown = Shown(config.steps, len(sizes), quiet=config.quiet)
        self.interrupts = Interrupts()
        self.rows: list[dict[str, Any]] = []
        self.pixels: Tensor | None = None
        self.goal: Goal | None = None
        self.seconds = 0.0
        self.steps = config.out.with_name(f"{config.out.stem}-steps")

    def run(self) -> bool:
        """Paint every scale; whether Ctrl-C ended it early."""
        begun = time.perf_counter()
        self._tell()
        try:
            with self.interrupts, self.shown.live():
                for scale, size in enumerate(self.sizes):
                    self._scale(scale, size)
        except KeyboardInterrupt:
            if self.pixels is None:
                raise
            return True
        finally:
            self.seconds = time.perf_counter() - begun
        return False

    def _tell(self) -> None:
        config = self.config
        if config.weights == RANDOM:
            self.shown.say(
                f"features: {config.network} with random weights (seed {config.seed}), not "
                "trained: colours and fine texture follow, strokes and shapes hardly"
            )
        else:
            self.shown.say(f"features: {config.network}, weights {config.weights}")

    def _scale(self, scale: int, size: tuple[int, int]) -> None:
        height, width = size
        self.shown.begin(f"{width} x {height} px")
        content = as_pixels(resized(self.content, size), self.device)
        style = resized(self.style, style_size(self.style, size, self.config.style_scale))
        goal = goal_of(self.features, self.taps, content, as_pixels(style, self.device))
        start = self._start(content)

        def on_step(row: Row, pixels: Tensor) -> None:
            self.interrupts.check()
            whole = {"scale": scale + 1, "width": width, "height": height, **row}
            self.rows.append(whole)
            self.pixels, self.goal = pixels, goal
            self.shown.step(whole)
            self._show(whole, pixels)

        self.pixels = paint(start, self.features, goal, self.config, on_step)

    def _start(self, content: Tensor) -> Tensor:
        if self.pixels is not None:
            larger = F.interpolate(
                self.pixels, size=tuple(content.shape[2:]), mode="bicubic", align_corners=False
            )
            return larger.clamp(0, 1)
        if self.config.start == "content":
            return content
        generator = torch.Generator().manual_seed(self.config.seed)
        return torch.rand(content.shape, generator=generator).to(self.device)

    def _show(self, row: dict[str, Any], pixels: Tensor) -> None:
        """An intermediate picture and a line, now and then."""
        every, step = self.config.picture_every, int(row["step"])
        if not every or (step % every and step != self.config.steps):
            return
        self.shown.say(
            f"{row['width']} x {row['height']} px  step {step:>{len(str(self.config.steps))}}/"
            f"{self.config.steps}  content {row['content']:.4g}  style {row['style']:.4g}  "
            f"tv {row['tv']:.4g}"
        )
        self.steps.mkdir(parents=True, exist_ok=True)
        save(as_bytes(pixels), self.steps / f"{row['scale']}-{step:05d}.png")

    def result(self, needed: int, interrupted: bool) -> Stylized:
        """Write the files."""
        assert self.pixels is not None and self.goal is not None
        picture, out = as_bytes(self.pixels), self.config.out
        saved = as_pixels(picture, self.device)
        losses = measure(saved, self.features, self.goal, self.config)
        save(picture, out)
        write_rows(out.with_name(f"{out.stem}-losses.csv"), self.rows)
        out.with_name(f"{out.stem}-losses.png").write_bytes(plot(self.rows))
        settings = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self.config).items()}
        done = Stylized(picture, losses, self.rows, out, self.seconds, needed, interrupted)
        figures = {
            "layers": asdict(self.taps),
            "width": picture.shape[1],
            "height": picture.shape[0],
            "steps_done": len(self.rows),
            "seconds": round(self.seconds, 2),
            "needed_gib": round(needed / GIB, 3),
            "interrupted": interrupted,
            "losses": losses,
        }
        write_json(out.with_name(f"{out.stem}-settings.json"), settings | figures)
        return done


def scale_sizes(height: int, width: int, size: int, scales: int) -> list[tuple[int, int]]:
    """Height and width in px at each scale, smallest first; repeated ones are left out.

    Args:
        height: of the content picture.
        width: of the content picture.
        size: longest side at the last scale; 0: as the content picture has it.
        scales: how many, each half of the next.
    """
    longest = size or max(height, width)
    found = []
    for scale in reversed(range(scales)):
        side = longest / 2**scale / max(height, width)
        found.append((max(round(height * side), 1), max(round(width * side), 1)))
    return list(dict.fromkeys(found))


def style_size(style: np.ndarray, size: tuple[int, int], share: float) -> tuple[int, int]:
    """Height and width that the style picture [H, W, 3] gets beside a picture of a size."""
    height, width = style.shape[:2]
    factor = max(size) * share / max(height, width)
    return max(round(height * factor), 1), max(round(width * factor), 1)


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 [H, W, 3] at another size, antialiased."""
    if image.shape[:2] == size:
        return image
    plan = mw.Policy(mw.Resize(size)).sample(
        np.array([image.shape[:2]]), keys=mw.Keys(np.zeros(1, np.int64))
    )
    return mw.render(image[None], plan, backend="reference")[0]


def as_pixels(image: np.ndarray, device: torch.device) -> Tensor:
    """uint8 [H, W, 3] as float32 [1, 3, H, W] in 0 .. 1."""
    return torch.from_numpy(image.copy()).to(device).permute(2, 0, 1)[None].float() / 255


def as_bytes(pixels: Tensor) -> np.ndarray:
    """Float [1, 3, H, W] in 0 .. 1 as uint8 [H, W, 3], rounded."""
    return (pixels[0].detach() * 255).round().byte().permute(1, 2, 0).cpu().numpy()


def save(image: np.ndarray, path: Path) -> None:
    """Write uint8 [H, W, 3] to an image file, whole or not at all."""
    data = io.BytesIO()
    kind = Image.registered_extensions()[path.suffix.lower()]
    options = {"quality": 95} if kind == "JPEG" else {}
    Image.fromarray(image).save(data, format=kind, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.getvalue())


def _check(
    features: Features,
    sizes: Sequence[tuple[int, int]],
    style: np.ndarray,
    config: StylizeConfig,
    device: torch.device,
) -> int:
    """Look at sizes and memory before the first step; the bytes of the largest scale."""
    for size in sizes:
        features.check_size(*size)
        features.check_size(*style_size(style, size, config.style_scale))
    gib = config.memory_gib
    limit = available_bytes(device) if gib is None else int(gib * GIB)
    beside = style_size(style, sizes[-1], config.style_scale)
    return check_memory(features, sizes[-1], beside, optimizer=config.optimizer, limit=limit)


def _check_out(out: Path) -> None:
    kinds: Callable[[], dict[str, str]] = Image.registered_extensions
    if kinds().get(out.suffix.lower()) not in ("PNG", "JPEG", "WEBP", "TIFF", "BMP"):
        raise DataError(f"The picture must be .png, .jpg or the like, got {out}. Rename it.")
    if out.is_dir():
        raise DataError(f"The picture must be a file, got the folder {out}. Rename it.")


def _device(name: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
