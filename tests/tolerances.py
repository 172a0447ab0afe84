"""Where a result may differ from what it is compared with, by how much, and why.

Bit-exact is the default: a comparison that is not listed here uses `==`.

The key is (stage, dtype, against); the value is (atol, reason). `atol` is in the units of the
dtype: levels for integers, the 0 .. 1 range for floats.
"""

from __future__ import annotations

_REAL = "real arithmetic"
_EIGHT_BITS = (
    "the position between two pixels is cut to 8 bits, up to 1/256 of the contrast for each axis"
)
_SIXTEEN_BITS = "a perspective's positions are cut to 16 fraction bits, its coefficients to 24"
_ITS_OWN = (
    "torchvision's kernels round in other places without AVX-512, and positions on some machines "
    "with it, so that its own results differ: positions by an ulp, one level in a million"
)
_SUM = "float32 weights sum to 1 within an ulp or two"

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
        "its float32 softmax makes other weights and its 2-D sum has up to 63 x 63 terms",
    ),
    ("noise", "float32", "real arithmetic"): (1e-7, "one float32 sum below 2"),
    ("noise", "uint8", "real arithmetic"): (0.501, "rounding to a level; std in 2**-12 level"),
    ("erase normalized", "float32", "real arithmetic"): (
        1e-6,
        "the test's own normalisation of values up to 5 rounds to float32",
    ),
    ("warp bilinear", "uint8", _REAL): (3, f"{_EIGHT_BITS}; both passes round to whole levels"),
    ("warp bilinear", "uint16", _REAL): (514, f"{_EIGHT_BITS}: 256 of 65536 levels"),
    ("warp bilinear", "float32", _REAL): (2e-7, "float32 against float64"),
    ("warp bicubic", "uint8", _REAL): (3, f"{_EIGHT_BITS}; weights have 11 bits"),
    ("warp bicubic", "uint16", _REAL): (770, f"{_EIGHT_BITS}; weights have 11 bits, slope 1.5"),
    ("warp bicubic", "float32", _REAL): (4e-7, "float32 against float64"),
    ("warp perspective", "uint8", _REAL): (3, f"{_EIGHT_BITS}; {_SIXTEEN_BITS}"),
    ("warp perspective", "uint16", _REAL): (770, f"{_EIGHT_BITS}; {_SIXTEEN_BITS}"),
    ("warp perspective", "float32", _REAL): (4e-5, _SIXTEEN_BITS),
    ("warp bilinear", "uint8", "Pillow"): (2, f"{_EIGHT_BITS}; Pillow computes in double"),
    ("tv_contrast", "float32", "torchvision"): (
        5e-7,
        "it sums greys in float32, in an order that depends on threads; ours is exact; times "
        "|1 - factor|, here up to 2.7",
    ),
    ("tv_contrast", "uint8", "torchvision"): (
        1,
        "in the last elements of a tensor, too few for a vector of 32, it rounds product and sum "
        "apart; of flat images this moves results off whole levels",
    ),
    ("tv_sharpness", "float32", "torchvision"): (
        7e-7,
        "for one channel its convolution adds the nine terms in an order of its own; times "
        "|1 - factor|, here up to 2.7",
    ),
    **{
        (stage, dtype, "torchvision on other machines"): (limit, _ITS_OWN)
        for stages, dtype, limit in (
            (("tv bilinear", "tv_contrast", "tv_saturation", "tv_sharpness"), "uint8", 1),
            (("tv_contrast", "tv_saturation", "tv_sharpness"), "float32", 1e-6),
            (("tv bilinear",), "float32", 2e-4),
        )
        for stage in stages
    },
    ("constant bicubic", "float32", "itself"): (2e-7, _SUM),
    ("constant resize", "float32", "itself"): (2e-7, _SUM),
    ("boxes", "px", "painted pixels"): (
        0.514,
        "a pixel is full from half a pixel inside an edge and empty half a pixel outside, so an "
        "edge read at half of the full level lies within 0.5 px; positions have 8 fraction bits, "
        "and an antialiasing filter is sampled at whole pixels, which moves an edge by 0.01 px",
    ),
    ("boxes, bicubic", "px", "painted pixels"): (
        0.594,
        "the same, and bicubic levels overshoot by 7 %, so half of the full level lies farther out",
    ),
    ("resize", "float32", _REAL): (4e-7, "float32 against float64"),
    ("resize", "uint8", "torchvision tensors"): (
        1,
        "torchvision gives its weights 15 bits at most, Pillow (and this) 22; 0.2 % of the levels",
    ),
}


def atol(stage: str, dtype: str, against: str) -> float:
    """The permitted distance; 0 unless the table has a row with its reason."""
    return TOLERANCES.get((stage, dtype, against), (0.0, ""))[0]
