"""Where a result may differ from what it is compared with, by how much, and why.

Bit-exact is the default: a comparison that is not listed here uses `==`.

The key is (stage, dtype, against); the value is (atol, reason). `atol` is in the units of the
dtype: levels for integers, the 0 .. 1 range for floats.
"""

from __future__ import annotations

TOLERANCES: dict[tuple[str, str, str], tuple[float, str]] = {
    ("contrast pivot", "uint8", "pillow"): (
        1,
        "Pillow rounds each pixel's grey before the mean; ours is one rounded sum, so that the "
        "pivot follows from histograms alone",
    ),
    ("contrast", "uint8", "torchvision"): (
        3,
        "its pivot is an unrounded mean of greys rounded down: up to 1 level off, times "
        "|1 - factor|, here up to 2.7",
    ),
    ("contrast", "float32", "torchvision"): (
        3e-4,
        "its grey weights sum to 0.9999, ours to 1; times |1 - factor|, here up to 2.7",
    ),
    ("saturation", "uint8", "torchvision"): (
        3,
        "its grey is rounded down, Pillow's and ours to the nearest; times |1 - factor|, up to 2.7",
    ),
    ("saturation", "float32", "torchvision"): (
        3e-4,
        "its grey weights sum to 0.9999, ours to 1; times |1 - factor|, here up to 2.7",
    ),
    ("grayscale", "uint8", "torchvision"): (
        1,
        "its grey is rounded down, Pillow's and ours to the nearest",
    ),
    ("grayscale", "float32", "torchvision"): (1.1e-4, "its grey weights sum to 0.9999, ours to 1"),
    ("autocontrast", "uint8", "torchvision"): (
        1,
        "it stretches in float32, Pillow's tables and ours in float64, before truncation",
    ),
    ("tone", "float32", "uint8"): (
        1.2 / 255,
        "bytes truncate (under 1 level) and round greys and pivots (0.5, times 0.6 here); floats "
        "do neither",
    ),
    ("sharpness", "uint8", "torchvision"): (
        1,
        "it blends in another order, so float32 falls on the other side of a whole level",
    ),
    ("sharpness", "float32", "torchvision"): (
        1e-6,
        "the nine terms are added in another order; the factor, here up to 3.7, magnifies it",
    ),
    ("blur", "uint8", "real arithmetic"): (
        0.51,
        "rounding to a level is 0.5; the row kept in 1/64 level and weights in 2**-14 add the rest",
    ),
    ("blur", "float32", "real arithmetic"): (3e-7, "float32 weights and sums of up to 31 terms"),
    ("blur", "uint8", "torchvision"): (
        1,
        "it convolves once in float32; whole weights move results near a half to the other level",
    ),
    ("blur", "float32", "torchvision"): (
        4e-6,
        "its float32 softmax makes other weights and its 2-D sum has up to 961 terms (63 x 63: 3969)",
    ),
    ("noise", "float32", "real arithmetic"): (1e-7, "one float32 sum below 2"),
    ("noise", "uint8", "real arithmetic"): (0.501, "rounding to a level; std in 2**-12 level"),
    ("erase normalized", "float32", "real arithmetic"): (
        1e-6,
        "the test's own normalisation of values up to 5 rounds to float32",
    ),
}


def atol(stage: str, dtype: str, against: str) -> float:
    """The permitted distance; 0 unless the table has a row with its reason."""
    return TOLERANCES.get((stage, dtype, against), (0.0, ""))[0]
