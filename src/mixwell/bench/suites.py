"""The suites: which cases they have, on which images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mixwell.bench import ops, stacks, startup
from mixwell.bench.base import Case
from mixwell.bench.images import jpeg_folder, photos
from mixwell.bench.jpeg import facts
from mixwell.bench.measure import Options, Say, measure
from mixwell.bench.opponents import opponent
from mixwell.bench.result import CaseResult

BOTH = ("mixup", "cutmix")
LOADERS = ("mixwell", "torchvision", "timm", "albumentations", "dali")
DEVICE = ("mixwell", "torchvision", "kornia", "dali")
BATCHED = ("mixwell", "torchvision", "timm", "albumentations", "kornia")


@dataclass(frozen=True)
class Context:
    """What a suite works with.

    Attributes:
        options: rounds and threads.
        images: the user's photographs, None for scikit-learn's.
        wanted: names of opponents; empty for all.
        scratch: a folder for files that go away afterwards.
        say: tells what is being done.
    """

    options: Options
    images: Path | None
    wanted: tuple[str, ...]
    scratch: Path
    say: Say

    def who(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those of a suite's opponents that are wanted."""
        return tuple(n for n in names if not self.wanted or n in self.wanted)


@dataclass(frozen=True)
class Suite:
    """A named group of cases.

    Attributes:
        name: as on the command line.
        what: one line about it.
        opponents: who can take part.
        run: does it.
        gpu: whether its batches lie on a device; on the CPU it can be rehearsed.
    """

    name: str
    what: str
    opponents: tuple[str, ...]
    run: Callable[[Suite, Context], list[CaseResult]]
    gpu: bool = False


def _decoded(suite: Suite, context: Context) -> list[CaseResult]:
    quick = context.options.quick
    if suite.name == "cifar":
        batch = 64 if quick else 512
        images = photos(batch, context.images, (32, 32))
        case = Case("cifar", "cifar", "batch", batch, 32, "padded", True, ("cutmix",), images)
    else:
        batch = 32 if quick else 128
        images = photos(batch, context.images)
        augmented = suite.name == "randaug"
        case = Case(suite.name, suite.name, "batch", batch, 224, "resized", augmented, BOTH, images)
    return [_timed(case, suite, context)]


def _folder(suite: Suite, context: Context) -> list[CaseResult]:
    large = suite.name == "photos"
    batch = 16 if context.options.quick else 64 if large else 128
    epoch = 2 if context.options.quick else 4
    target = context.scratch / suite.name
    context.say(f"{suite.name}: preparing {batch * epoch} JPEG files")
    jpeg_folder(target, batch * epoch, context.images, large=large)
    case = Case(
        suite=suite.name,
        name=suite.name,
        kind="folder",
        batch=batch,
        side=224,
        crop="resized",
        randaug=True,
        mixers=BOTH,
        folder=target,
        classes=8,
        epoch=epoch,
    )
    before = facts(case, context.options)
    result = _timed(case, suite, context)
    result.facts |= before
    return [result]


def _timed(case: Case, suite: Suite, context: Context) -> CaseResult:
    opponents = [opponent(name) for name in context.who(suite.opponents)]
    rows = measure(case, opponents, context.options, context.say)
    return CaseResult(suite.name, case.name, "ms/image", case.batch, rows)


def _ops(suite: Suite, context: Context) -> list[CaseResult]:
    side = int(suite.name.removeprefix("ops"))
    count = 4 if context.options.quick else 16
    images = photos(count, context.images, (side, side))
    names = context.who(suite.opponents)
    return list(ops.run(suite.name, images, names, context.options, context.say))


def _mix(suite: Suite, context: Context) -> list[CaseResult]:
    names = context.who(suite.opponents)
    return list(stacks.run(suite.name, context.images, names, context.options, context.say))


def _on_device(suite: Suite, context: Context) -> list[CaseResult]:
    from mixwell.bench.gpu.device import device_named
    from mixwell.bench.gpu.suites import run

    names, device = context.who(suite.opponents), device_named(context.options.device)
    return [run(suite.name, names, context.images, device, context.options, context.say)]


def _startup(suite: Suite, context: Context) -> list[CaseResult]:
    names = context.who(suite.opponents)
    return [startup.run(names, context.options, context.scratch, context.say)]


SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "randaug",
            "decoded 500x375 → RandomResizedCrop 224, flip, RandAugment(2, 9), MixUp/CutMix",
            BATCHED,
            _decoded,
        ),
        Suite("crop", "the same without RandAugment", BATCHED, _decoded),
        Suite("cifar", "32x32: pad-crop, flip, RandAugment(2, 9), CutMix", BATCHED, _decoded),
        Suite("ops224", "each op alone at 224 px, one thread", ops.OPPONENTS, _ops),
        Suite("ops512", "each op alone at 512 px, one thread", ops.OPPONENTS, _ops),
        Suite("mix", "MixUp and CutMix alone on batches of 224 px", stacks.OPPONENTS, _mix),
        Suite("jpeg", "a folder of JPEG files → the first suite's batch", LOADERS, _folder),
        Suite("photos", "the same from files of 2.8 megapixels, upscaled", LOADERS, _folder),
        Suite("startup", "import and first batch in a fresh process", startup.OPPONENTS, _startup),
        Suite(
            "gpu-randaug",
            "256 px on the device → RandomResizedCrop 224, flip, RandAugment(2, 9), MixUp/CutMix",
            DEVICE,
            _on_device,
            gpu=True,
        ),
        Suite("gpu-crop", "the same with a plain crop alone", DEVICE, _on_device, gpu=True),
        Suite(
            "gpu-cifar",
            "1024 of a data set on the device: pad-crop, flip, cutout, CutMix",
            DEVICE,
            _on_device,
            gpu=True,
        ),
    )
}
