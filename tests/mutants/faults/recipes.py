"""Faults in recipes, the command line and pictures."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

OPS = ("tests/viz/test_ops.py",)
SETTINGS = ("tests/recipes/test_settings.py",)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "compare: interval from the normal distribution",
        "recipes/stats.py",
        "half = t_quantile((1 + level) / 2, n - 1)",
        "half = 1.96",
        ("tests/recipes/test_stats.py",),
    ),
    Fault(
        "viz: what is erased in normalised units is drawn black",
        "viz/samples.py",
        "np.asarray(image) * std + mean",
        "np.asarray(image) * std",
        OPS,
    ),
    Fault(
        "viz: schedules stand still in pictures of ops",
        "viz/ops.py",
        "progress=epoch / EPOCHS,",
        "progress=0.0,",
        OPS,
    ),
    Fault(
        "interrupt: a dropped Ctrl-C is forgotten",
        "recipes/interrupt.py",
        "self.asked = True",
        "self.asked = False",
        ("tests/recipes/test_interrupt.py",),
    ),
    Fault(
        "settings: shared defaults go before a recipe's own",
        "recipes/classify.py",
        "class ClassifyConfig(TrainConfig, RunConfig):",
        "class ClassifyConfig(RunConfig, TrainConfig):",
        SETTINGS,
    ),
    Fault(
        "settings: a word may always be left out",
        "recipes/settings.py",
        "value != getattr(type(config), name)",
        "value is not None",
        SETTINGS,
    ),
    Fault(
        "settings: one side of two is looked at",
        "recipes/settings.py",
        "each = value if isinstance(value, tuple) else (value,)",
        "each = value[:1] if isinstance(value, tuple) else (value,)",
        SETTINGS,
    ),
    Fault(
        "place: nothing to resume is not said",
        "recipes/place.py",
        "first_process() and not taken(folder, marks):",
        "first_process() and taken(folder, marks):",
        ("tests/recipes/test_place.py",),
    ),
    Fault(
        "predict: damaged EXIF blocks are warned of",
        "recipes/predicting.py",
        'warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)',
        'warnings.filterwarnings("always", "Corrupt EXIF data", UserWarning)',
        ("tests/recipes/test_predicting.py",),
    ),
)
