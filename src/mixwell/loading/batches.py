"""How one batch is made, for each kind of source: jobs for `mixwell.loading.flow`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from mixwell._errors import DataError
from mixwell._rng import Keys
from mixwell.augment import Augment
from mixwell.collate import Collate
from mixwell.decode import Mode
from mixwell.keyed import Key, KeyedSample
from mixwell.loading.flow import Steps
from mixwell.loading.output import arrays_of, as_array, planned_as, put_on
from mixwell.loading.pixels import Work, work_for
from mixwell.loading.sources import Arrays, File, Files, Samples, Source

READ_ROWS = 16
"""Samples that one task reads."""


class Skipped(NamedTuple):
    """A sample that was left out.

    Attributes:
        index: in the data set.
        name: of its file, "" where the data set has none.
        reason: what was wrong with it.
    """

    index: int
    name: str
    reason: str


class Made(NamedTuple):
    """A finished batch.

    Attributes:
        batch: what the user gets; None if every sample was skipped.
        rows: samples that the sampler gave.
        skipped: those that are not in it, and partners that could not serve.
        ready: when its images are there, if a stream of their own makes them.
    """

    batch: Any
    rows: int
    skipped: tuple[Skipped, ...] = ()
    ready: torch.cuda.Event | None = None


@dataclass(frozen=True)
class Options:
    """What the Loader was asked for, beside the Augment's options; see `Loader`.

    `stream` is where threads render a data set that lies on a GPU.
    """

    decode: Literal["scaled", "full"] = "scaled"
    mode: Mode = "RGB"
    max_pixels: int | None = None
    on_error: Literal["raise", "skip"] = "raise"
    output: Literal["torch", "numpy"] = "torch"
    pinned: bool = False
    stream: torch.cuda.Stream | None = None
    errors: tuple[type[BaseException], ...] = field(default=(DataError, OSError, SyntaxError))


@dataclass(frozen=True, eq=False)
class Maker:
    """Makes batches of a source by an Augment's policy."""

    source: Source
    augment: Augment
    options: Options

    def job(self, keys: Keys) -> Callable[[], Any]:
        """The job that makes the batch of some keys."""
        if isinstance(self.source, Files):
            return partial(self._from_files, self.source, keys)
        if isinstance(self.source, Arrays):
            return partial(self._from_arrays, self.source, keys)
        return partial(self._from_samples, self.source, keys)

    @property
    def stack(self) -> bool:
        """Whether batches are one tensor: known from the policy, as in `Collate`."""
        return self.augment.out_size != "variable"

    def partners(self, keys: Keys) -> np.ndarray:
        """int64 [N, extra]: samples that the batch's own mix with."""
        policy = self.augment.active
        if not policy.extra:
            return np.zeros((len(keys), 0), np.int64)
        return policy.partner_indices(keys, len(self.source), seed=self.augment.seed)

    def _made(self, batch: Any, rows: int, skipped: Iterable[Skipped] = ()) -> Made:
        batch = put_on(batch, numpy=self.options.output == "numpy", pinned=self.options.pinned)
        return Made(batch, rows, tuple(skipped))

    # Arrays

    def _from_arrays(self, source: Arrays, keys: Keys) -> Made:
        stream = self.options.stream
        if stream is None:
            return self._of_arrays(source, keys)
        with torch.cuda.stream(stream):
            return self._of_arrays(source, keys)._replace(ready=stream.record_event())

    def _of_arrays(self, source: Arrays, keys: Keys) -> Made:
        partners = self.partners(keys)
        rows = np.concatenate([keys.index, partners.T.ravel()])
        numpy = self.options.output == "numpy"
        images = source.images_of(rows)
        labels = source.labels_of(rows, numpy=numpy, apart=self.augment.scene is not None)
        planned = self.augment.prepare(
            as_array(images) if numpy and not source.resident else images,
            labels,
            keys=keys,
            partners=partners if partners.shape[1] else None,
            stack=self.stack,
        )
        return self._made(self.augment.finish(planned), len(keys))

    # Files

    def _from_files(self, source: Files, keys: Keys) -> Steps:
        partners = self.partners(keys)
        rows = np.concatenate([keys.index, partners.T.ravel()])
        wanted, place = np.unique(rows, return_inverse=True)
        read = partial(self._read_files, source)
        found = yield [partial(read, some) for some in _chunks(wanted)]
        files = [file for part in found for file in part]
        own = np.arange(len(keys))
        place = place.reshape(1 + partners.shape[1], len(keys))
        while True:
            own = self._sound(own, [[files[i] for i in place[:, b]] for b in own.tolist()])
            if not len(own):
                return self._made(None, len(keys), _skipped(files))
            part = [files[i] for i in place[:, own].ravel()]
            labels, plan = self._plan_files(source, part, keys.take(own), partners[own])
            work = self._work(part, plan)
            done = yield [partial(work.run, group, self.augment) for group in work.groups()]
            if not any(file.error for file in part):
                break
        images = work.finished(done, self.augment)
        images = arrays_of(images) if self.options.output == "numpy" else images
        how = {"training": self.augment.training, "stack": bool(self.stack)}
        targets = self.augment.targets(labels, plan, **how)
        return self._made((images, targets), len(keys), _skipped(files))

    def _read_files(self, source: Files, rows: np.ndarray) -> list[File]:
        files = []
        for row in rows.tolist():
            file = source.read(row, self.options.max_pixels)
            if self.options.on_error == "raise":
                _raise_error(file)
            files.append(file)
        return files

    def _sound(self, own: np.ndarray, needed: list[list[File]]) -> np.ndarray:
        """Outputs all of whose files can serve; the others are left out, or raise."""
        if self.options.on_error == "raise":
            for file in (file for group in needed for file in group):
                _raise_error(file)
        good = [all(file.error is None for file in group) for group in needed]
        return own[np.array(good, bool)]

    def _plan_files(
        self, source: Files, files: list[File], keys: Keys, partners: np.ndarray
    ) -> tuple[Any, Any]:
        """Labels and plan for whole images."""
        rows = np.array([file.index for file in files], np.int64)
        numpy, apart = self.options.output == "numpy", self.augment.scene is not None
        labels = source.labels_of(rows, numpy=numpy, apart=apart)
        sizes = [(f.header.height, f.header.width) for f in files if f.header is not None]
        some = partners if partners.shape[1] else None
        return labels, self.augment.plan(sizes, keys, labels=labels, partners=some)

    def _work(self, files: list[File], plan: Any) -> Work:
        scaled = self.options.decode == "scaled"
        options: dict[str, Any] = {"mode": self.options.mode, "stack": self.stack}
        return work_for(files, plan, self.augment, scaled=scaled, **options)

    # Any data set

    def _from_samples(self, source: Samples, keys: Keys) -> Steps:
        partners = self.partners(keys)
        rows = np.column_stack([keys.index, partners])
        found = yield [partial(self._read_samples, source, some) for some in _chunks(rows)]
        read = [sample for part in found for sample in part]
        skipped = [skip for skip in read if isinstance(skip, Skipped)]
        names = _key_rows(keys)
        samples = [
            KeyedSample(got[0], names[b], tuple(got[1:]), tuple(partners[b].tolist()))
            for b, got in enumerate(read)
            if not isinstance(got, Skipped)
        ]
        if not samples:
            return self._made(None, len(keys), skipped)
        planned = Collate(self.augment, render="later", stack=self.stack)(samples)
        planned = planned_as(planned, numpy=self.options.output == "numpy")
        return self._made(self.augment.finish(planned), len(keys), skipped)

    def _read_samples(self, source: Samples, rows: np.ndarray) -> list[list[Any] | Skipped]:
        """For each row its sample and partners, or why they cannot be had."""
        return [self._read_row(source, row) for row in rows.tolist()]

    def _read_row(self, source: Samples, row: list[int]) -> list[Any] | Skipped:
        got: list[Any] = []
        for index in row:
            try:
                got.append(source.dataset[index])
            except Exception as error:
                error.add_note(f"(mixwell.Loader, while reading sample {index} of the data set)")
                if self.options.on_error == "raise" or not isinstance(error, self.options.errors):
                    raise
                return Skipped(index, "", f"{type(error).__name__}: {error}")
        return got


def _raise_error(file: File) -> None:
    if file.error is not None:
        file.error.add_note(f"(mixwell.Loader, sample {file.index} of the data set)")
        raise file.error


def _chunks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[at : at + READ_ROWS] for at in range(0, len(rows), READ_ROWS)]


def _skipped(files: list[File]) -> list[Skipped]:
    return [Skipped(f.index, f.name, str(f.error)) for f in files if f.error is not None]


def _key_rows(keys: Keys) -> list[Key]:
    """The keys of a batch one by one, as `Collate` takes them."""
    progress = np.broadcast_to(np.asarray(keys.progress, np.float64), keys.index.shape)
    numbers = zip(keys.index.tolist(), keys.copy.tolist(), progress.tolist(), strict=True)
    return [
        Key(index, copy, keys.epoch, keys.step + b, time, keys.rank, keys.epochs)
        for b, (index, copy, time) in enumerate(numbers)
    ]
