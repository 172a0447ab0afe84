"""What bounds a loader: decoding and rendering by themselves, in one thread."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import mixwell as mw
from mixwell.bench.base import MEAN, STD, Case, library
from mixwell.bench.measure import Options
from mixwell.bench.opponents import mixwell as ours
from mixwell.bench.pools import torch_threads

MOST_FILES = 64


def facts(case: Case, options: Options) -> dict[str, Any]:
    """ms/image in one thread of each decoder and of mixwell's render, and the bound from them.

    The bound is (decode + render) / threads with the fastest whole decode: a loader that decodes
    at a smaller scale may come out below it.
    """
    assert case.folder is not None
    files = sorted(case.folder.rglob("*.jpg"))[:MOST_FILES]
    data = [path.read_bytes() for path in files]
    decode = {name: _ms(read, data, options.rounds) for name, read in decoders().items()}
    render = _render_ms(case, data, options.rounds)
    return {
        "files": len(list(case.folder.rglob("*.jpg"))),
        "kilobytes": round(float(np.mean([len(d) for d in data])) / 1e3, 1),
        "megapixels": round(float(np.mean([_pixels(p) for p in files])) / 1e6, 3),
        "decode_ms": decode,
        "render_ms": render,
        "bound_ms": (min(decode.values()) + render) / options.threads,
    }


def decoders() -> dict[str, Callable[[bytes], Any]]:
    """Whole decodes to RGB, by library."""
    found: dict[str, Callable[[bytes], Any]] = {"pillow": _pillow}
    if util.find_spec("simplejpeg") is not None:
        simplejpeg = library("simplejpeg")
        found["simplejpeg"] = lambda data: simplejpeg.decode_jpeg(data, fastdct=False)
    if util.find_spec("cv2") is not None:
        cv2 = library("cv2")
        flag = getattr(cv2, "IMREAD_COLOR_RGB", cv2.IMREAD_COLOR)
        found["opencv"] = lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    return found


def _pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _pixels(path: Path) -> int:
    with Image.open(path) as image:
        return image.width * image.height


def _ms(read: Callable[[bytes], Any], data: list[bytes], rounds: int) -> float:
    seen = []
    for _ in range(max(2, min(rounds, 5))):
        start = time.perf_counter()
        for item in data:
            read(item)
        seen.append(time.perf_counter() - start)
    return 1e3 * float(np.median(seen)) / len(data)


def _render_ms(case: Case, data: list[bytes], rounds: int) -> float:
    """mixwell's own part: the policy on decoded images, mixing and labels included."""
    images = [torch.tensor(_pillow(item)).permute(2, 0, 1) for item in data]
    policy = ours.policy(case, True)
    augment = mw.Augment(policy, num_classes=case.classes, mean=MEAN, std=STD)
    labels = torch.arange(len(images)) % case.classes
    seen = []
    with torch_threads(1):
        for _ in range(1 + max(2, min(rounds, 5))):
            start = time.perf_counter()
            augment(images, labels)
            seen.append(time.perf_counter() - start)
    return 1e3 * float(np.median(seen[1:])) / len(images)
