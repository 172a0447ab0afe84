"""`Loader`: augmented batches from threads of one process."""

from __future__ import annotations

import copy
import os
import warnings
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Literal, cast

import torch

from mixwell._errors import PolicyError
from mixwell.augment import Augment
from mixwell.decode import CHANNELS, Mode, default_max_pixels
from mixwell.keyed import EpochSampler, KeyedSampler
from mixwell.loading.batches import Maker, Options, Skipped
from mixwell.loading.flow import Flow
from mixwell.loading.output import Sender, stream_behind
from mixwell.loading.sources import Arrays, Samples, Source, source_of
from mixwell.policy.policy import Policy

_DEFAULT: Any = object()
RESIDENT_BYTES = 4 << 30
"""The largest data set that moves to a GPU without being asked to."""
_CHOICES = {
    "decode": ("scaled", "full"),
    "mode": tuple(CHANNELS),
    "on_error": ("raise", "skip"),
    "output": ("torch", "numpy"),
}


class Loader:
    """Reads, decodes, augments and labels batches in threads; one iteration is one epoch.

        loader = Loader(ImageFolder(root), policy, batch_size=128, epochs=15, shuffle=True,
                        num_classes=1000, mean=MEAN, std=STD)
        for epoch in range(15):
            for x, y in loader:
                ...

    With `decode="full"` it yields what a DataLoader with `keyed`, `KeyedSampler` and `Collate`
    yields, bit for bit, for any number of threads. Data sets:

    * torchvision's `ImageFolder` (default loader, no transforms), or a sequence of pairs
      (path, label) or (path, target): files are read and decoded here, and turned upright by EXIF;
    * (images, labels) in memory, uint8 [N, H, W, C] arrays or [N, C, H, W] tensors, or
      torchvision's CIFAR and MNIST without transforms: indexed a batch at a time;
    * a `Subset` of these;
    * any other map-style data set: `dataset[index]` is called in several threads at once, so it
      must allow that; samples may have any structure that `Collate` takes.

    Args:
        dataset: see above.
        policy: a Policy, with the options of `Augment` behind it; or an `Augment`, as it is now.
        batch_size: samples of a batch; the last one may be smaller.
        num_threads: worker threads; None: the cores that this process may use.
        seed: of the order, and of the draws if `policy` is a Policy.
        shuffle: a new order each epoch.
        drop_last: leave out a last batch that is smaller.
        epochs: epochs of the whole training, for the progress that schedules read.
        prefetch: batches that may be ready while one is used; besides, each thread may have begun
            one.
        device: where batches go; a CUDA device gets them from page-locked memory, on a stream of
            its own. None: the GPU on which a data set of arrays lies, else the CPU.
        resident: render arrays where they lie, none copied together first; on a CUDA device the
            whole data set is moved there, once, and threads render batches on a stream of their
            own. None: where `device` is one and the images lie on it, or are bytes, at most 4 GiB.
        rank: of this process; it takes every world_size-th sample of the global order.
        world_size: number of processes.
        sampler: another order, such as `RepeatedAugmentation(...)`; then leave out shuffle,
            epochs, rank and world_size.
        decode: "scaled" decodes JPEG files at the smallest of 1/1, 1/2, 1/4, 1/8 that a policy
            beginning with a crop or a resize cannot tell from more pixels than it needs; faster,
            and a little smoother; "full" always decodes every pixel, as other loaders do.
        mode: channels of decoded files: "RGB", "L" or "RGBA"; see `mixwell.decode`.
        max_pixels: files that claim more are refused; default `decode.default_max_pixels()`.
        on_error: "raise", or "skip": samples that cannot be read are left out before the batch is
            planned, never replaced; `skipped` names them.
        output: "torch", or "numpy": arrays with the channels last, for Keras and JAX.
        **options: see `Augment`.

    Attributes:
        skipped: what the current or last iteration left out.

    Raises:
        PolicyError: options that do not fit each other.
    """

    def __init__(
        self,
        dataset: Any,
        policy: Policy | Augment,
        *,
        batch_size: int,
        num_threads: int | None = None,
        seed: int = 0,
        shuffle: bool = False,
        drop_last: bool = False,
        epochs: int = 1,
        prefetch: int = 2,
        device: torch.device | str | None = None,
        resident: bool | None = None,
        rank: int = 0,
        world_size: int = 1,
        sampler: EpochSampler | None = None,
        decode: Literal["scaled", "full"] = "scaled",
        mode: Mode = "RGB",
        max_pixels: int | None = _DEFAULT,
        on_error: Literal["raise", "skip"] = "raise",
        output: Literal["torch", "numpy"] = "torch",
        **options: Any,
    ) -> None:
        """Look at the data set and check the options; threads start with an iteration."""
        _check(decode=decode, mode=mode, on_error=on_error, output=output)
        _check_counts(batch_size=batch_size, num_threads=num_threads, prefetch=prefetch)
        self.batch_size, self.drop_last, self.prefetch = batch_size, drop_last, prefetch
        self.num_threads = usable_cores() if num_threads is None else num_threads
        self.device = _device(device, output)
        self.augment = _augment(policy, seed, output, options)
        self.dataset, self._source = dataset, source_of(dataset)
        if isinstance(self._source, Arrays) and not self._source.images.is_cpu:
            if device is None and output == "torch":
                self.device = _gpu(self._source.images)
            elif self.device is None:
                self._source = self._source.on(torch.device("cpu"), resident=False)
        if self.augment.fields is not None and not isinstance(self._source, Samples):
            raise _wrong("fields= describe samples; files and arrays are images and labels already")
        if sampler is None:
            order: dict[str, Any] = {"epochs": epochs, "shuffle": shuffle, "seed": seed}
            sampler = KeyedSampler(len(self._source), **order, rank=rank, world_size=world_size)
        elif not isinstance(sampler, EpochSampler):
            raise _wrong(f"sampler must be an EpochSampler, got {type(sampler).__name__}")
        elif shuffle or epochs != 1 or rank != 0 or world_size != 1:
            raise _wrong("a sampler has its own shuffle, epochs, rank and world_size")
        self.sampler = sampler
        limit = default_max_pixels() if max_pixels is _DEFAULT else max_pixels
        pinned = self.device is not None and self.device.type == "cuda"
        if _stays(resident, self._source, self.device, output):
            self._source = cast(Arrays, self._source).on(self.device)
        stream = _own_stream(self._source, self.device)
        chosen = Options(decode, mode, limit, on_error, output, pinned, stream)
        self._maker = Maker(self._source, self.augment, chosen)
        self.skipped: list[Skipped] = []
        self._under_way: dict[str, int] | None = None
        self._flows: weakref.WeakSet[Flow] = weakref.WeakSet()

    def __len__(self) -> int:
        """Batches that the next iteration yields, if none is skipped as a whole."""
        count = len(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        """The next epoch: batches as `Collate` returns them, (images, targets) for pairs."""
        epoch, position = self.sampler.epoch, self.sampler.state_dict()["position"]
        state = self._under_way = {"epoch": epoch, "position": position}
        self.skipped = skipped = []
        batches = self.sampler.batches(self.batch_size, drop_last=self.drop_last)
        send = Sender(self.device) if self._maker.options.pinned and self.device else None
        if self._maker.options.stream is not None:  # images may have been written to meanwhile
            self._maker.options.stream.wait_stream(torch.cuda.current_stream(self.device))
        jobs = map(self._maker.job, batches)
        flow = Flow(jobs, threads=self.num_threads, ahead=self.prefetch + self.num_threads)
        self._flows.add(flow)
        with closing(flow):
            for made in flow:
                state["position"] += made.rows
                skipped += made.skipped
                if made.batch is not None:
                    yield made.batch if send is None else send(made.batch, made.ready)
                del made  # while the next is awaited, no batch is held here
        if self._under_way is state:
            self._under_way = None
        _tell(skipped, epoch)

    @property
    def lost(self) -> Counter[str]:
        """How many boxes and other things with a place were left out so far, by reason.

        Batches that were made ahead and never used are counted with the rest.
        """
        return self.augment.lost

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration this epoch, from its beginning."""
        self._under_way = None
        self.sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where training stands: by the batches that were handed out, not those made ahead.

        After a `break`, the interrupted epoch and how far it was used, until the next iteration
        begins.
        """
        where = self._under_way or self.sampler.state_dict()
        return {**where, **self._settings()}

    def _settings(self) -> dict[str, Any]:
        """What must be as it was for batches to be as they were; the rank is not among it, since
        all ranks have used equally much."""
        sampler = self.sampler
        order = {
            name: getattr(sampler, name)
            for name in ("shuffle", "repeats", "layout")
            if hasattr(sampler, name)
        }
        return {
            "seed": self.augment.seed,
            "batch_size": self.batch_size,
            "length": len(self._source),
            "world_size": sampler.world_size,
            "sampler": type(sampler).__name__,
            "order_seed": getattr(sampler, "seed", 0),
            **order,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`: the next iteration yields exactly the remaining batches.

        Raises:
            PolicyError: the state belongs to another seed, order, batch size, number of processes
                or length of data.
        """
        for name, mine in self._settings().items():
            if state.get(name) != mine:
                raise _wrong(
                    f"the state was made with {name} {state.get(name)}, this Loader has {mine}; "
                    "going on would change the batches"
                )
        self._under_way = None
        self.sampler.resume(state["epoch"], state["position"])

    def close(self) -> None:
        """End every iteration that is still under way; its threads are gone on return."""
        for flow in list(self._flows):
            flow.close()

    def __enter__(self) -> Loader:
        """For `with Loader(...) as loader`."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _wrong(text: str) -> PolicyError:
    return PolicyError(f"Loader: {text}.")


def _check(**chosen: str) -> None:
    for name, value in chosen.items():
        if value not in _CHOICES[name]:
            raise _wrong(f"{name} must be one of {list(_CHOICES[name])}, got {value!r}")


def _check_counts(**counts: int | None) -> None:
    for name, count in counts.items():
        least = 0 if name == "prefetch" else 1
        if count is not None and count < least:
            raise _wrong(f"{name} must be at least {least}, got {count}")


def _augment(policy: Policy | Augment, seed: int, output: str, options: dict) -> Augment:
    """The Augment to use, a copy that a later `eval()` does not reach, as in `Collate`."""
    if isinstance(policy, Augment) and options:
        raise _wrong(f"options {sorted(options)} belong to the Augment that was given")
    made = policy if isinstance(policy, Augment) else Augment(policy, seed=seed, **options)
    if output == "numpy" and made.dtype is not None and "bfloat16" in str(made.dtype):
        raise _wrong("NumPy has no bfloat16; use dtype=float32 or output='torch'")
    return copy.copy(made)


def _device(device: torch.device | str | None, output: str) -> torch.device | None:
    found = None if device is None else torch.device(device)
    if found is None or found.type == "cpu":
        return None
    if found.type != "cuda":
        raise _wrong(f"device must be the CPU or a CUDA device, got {found}")
    if output == "numpy":
        raise _wrong(f"NumPy arrays cannot lie on {found}; leave out device=")
    if not torch.cuda.is_available():
        raise _wrong(f"device {found} needs CUDA, which torch does not find here")
    return found


def _stays(resident: bool | None, source: Source, device: torch.device | None, output: str) -> bool:
    """Whether images are rendered where they lie."""
    if resident is None:
        if not isinstance(source, Arrays) or device is None:
            return False
        small = source.images.dtype == torch.uint8 and source.images.nbytes <= RESIDENT_BYTES
        return small or _lie_on(source.images, device)
    if resident and (not isinstance(source, Arrays) or output == "numpy"):
        raise _wrong("resident=True needs a data set of arrays and output='torch'")
    return resident


def _gpu(images: torch.Tensor) -> torch.device | None:
    return images.device if images.is_cuda else None


def _lie_on(images: torch.Tensor, device: torch.device) -> bool:
    """Whether images are on a device already; one without a number is any of its type."""
    same = images.device.type == device.type
    return same and device.index in (None, images.device.index)


def _own_stream(source: Source, device: torch.device | None) -> torch.cuda.Stream | None:
    """What renders images that lie on the GPU on which batches are made."""
    if device is None or not isinstance(source, Arrays) or not _lie_on(source.images, device):
        return None
    return stream_behind(source.images)


def _tell(skipped: list[Skipped], epoch: int) -> None:
    """One warning at the end of an epoch in which something was skipped."""
    if skipped:
        first = skipped[0]
        warnings.warn(
            f"Loader left out {len(skipped)} samples in epoch {epoch}; the first is sample "
            f"{first.index}: {first.reason} See Loader.skipped for the others.",
            RuntimeWarning,
            stacklevel=3,
        )
