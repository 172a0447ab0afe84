"""Faults in the benchmark for a GPU, and in what its trainings need."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

BENCH = ("tests/bench/test_gpu.py",)
FAST = ("tests/recipes/test_fast.py",)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "bench: a round on a device is not divided by its batches",
        "bench/gpu/measure.py",
        "return self.clock.ms(self._work) / self.count",
        "return self.clock.ms(self._work)",
        BENCH,
    ),
    Fault(
        "bench: wrong pixels are timed on a device",
        "bench/gpu/measure.py",
        'entry.row.status, entry.row.reason = "refused", str(error)',
        "return True",
        BENCH,
    ),
    Fault(
        "bench: the copy floor forgets what is read",
        "bench/gpu/suites.py",
        "case.side**2 * (1 + size)",
        "case.side**2 * size",
        BENCH,
    ),
    Fault(
        "bench: the data set on the device is not read beyond its first copy",
        "bench/gpu/given.py",
        "copy * self.batch + order], order % self.classes",
        "copy * self.batch], order % self.classes",
        BENCH,
    ),
    Fault(
        "bench: labels of folders are not counted",
        "bench/measure.py",
        'if case.kind == "folder":\n        check_folder',
        'if case.kind == "none":\n        check_folder',
        ("tests/bench/test_measure.py",),
    ),
    Fault(
        "bench: a difference is said of the form that came last",
        "bench/ops/__init__.py",
        "row.label = made[fastest], labels[fastest]",
        "row.label = made[fastest], labels[-1]",
        ("tests/bench/test_run.py",),
    ),
    Fault(
        "whitening: directions are not divided by their size",
        "recipes/models/whitening.py",
        ".clamp(min=0) + EPSILON).sqrt()",
        ".clamp(min=0) * 0 + EPSILON).sqrt()",
        FAST,
    ),
    Fault(
        "ghost norm: one group for all images",
        "recipes/models/resnet9_fast.py",
        "groups = max(1, len(x) // self.images)",
        "groups = 1",
        FAST,
    ),
    Fault(
        "ghost norm: forgets as often as there are groups",
        "recipes/models/resnet9_fast.py",
        "share = 1 - (1 - self.momentum) ** (1 / groups)",
        "share = self.momentum",
        FAST,
    ),
    Fault(
        "optim: biases learn like weights",
        "recipes/optim.py",
        "(1.0 if p.ndim > 1 else bias_lr)",
        "1.0",
        FAST,
    ),
)
