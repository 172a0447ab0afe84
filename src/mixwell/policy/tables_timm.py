"""timm's tables for AutoAugment, with the names of its space.

"original" and "originalr" are the paper's ImageNet table with two ways of counting posterize's
bits; "v0" and "v0r" come from the TPU implementation of EfficientNet; "3a" is DeiT III's
3-Augment (arXiv 2204.07118).
"""

from __future__ import annotations

from mixwell.policy.tables import IMAGENET, Table, parsed


def _renamed(table: Table, **names: str) -> Table:
    return tuple(tuple((names.get(n, n), p, m) for n, p, m in sub) for sub in table)


V0 = parsed("""
Equalize 0.8 1, ShearY 0.8 4
Color 0.4 9, Equalize 0.6 3
Color 0.4 1, Rotate 0.6 8
Solarize 0.8 3, Equalize 0.4 7
Solarize 0.4 2, Solarize 0.6 2
Color 0.2 0, Equalize 0.8 8
Equalize 0.4 8, SolarizeAdd 0.8 3
ShearX 0.2 9, Rotate 0.6 8
Color 0.6 1, Equalize 1.0 2
Invert 0.4 9, Rotate 0.6 0
Equalize 1.0 9, ShearY 0.6 3
Color 0.4 7, Equalize 0.6 0
Posterize 0.4 6, AutoContrast 0.4 7
Solarize 0.6 8, Color 0.6 9
Solarize 0.2 4, Rotate 0.8 9
Rotate 1.0 7, TranslateYRel 0.8 9
ShearX 0.0 0, Solarize 0.8 4
ShearY 0.8 0, Color 0.6 4
Color 1.0 0, Rotate 0.6 2
Equalize 0.8 4, Equalize 0.0 8
Equalize 1.0 4, AutoContrast 0.6 2
ShearY 0.4 7, SolarizeAdd 0.6 7
Posterize 0.8 2, Solarize 0.6 10
Solarize 0.6 8, Equalize 0.6 1
Color 0.8 6, Rotate 0.4 5
""")

THREE = parsed("""
Solarize 1.0 5
Desaturate 1.0 10
GaussianBlurRand 1.0 10
""")

TIMM_TABLES: dict[str, Table] = {
    "original": _renamed(IMAGENET, Posterize="PosterizeOriginal"),
    "originalr": _renamed(IMAGENET, Posterize="PosterizeIncreasing"),
    "v0": V0,
    "v0r": _renamed(V0, Posterize="PosterizeIncreasing"),
    "3a": THREE,
    "tpu-v0": _renamed(V0, TranslateYRel="TranslateY"),
}
"""Tables for `AutoAugment(name, num_magnitude_bins=11, space="timm-all")`; the space of "tpu-v0" is
"tf-tpu"."""
