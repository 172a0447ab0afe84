"""AutoAugment of the TPU reference (tensorflow/tpu, EfficientNet), as an op.

    from mixwell.compat import tf_tpu
    policy = Policy(RandomResizedCrop(224), HorizontalFlip(), tf_tpu.auto_augment("v0"))

Table, levels and geometry are read from its source. TensorFlow is not at hand, so no pixels were
compared with it: what that leaves open stands in docs/concepts/profiles.md.
"""

from __future__ import annotations

from mixwell import policy as ops
from mixwell._errors import PolicyError
from mixwell.policy.spaces.timm import BINS

FILL = (128.0, 128.0, 128.0)
"""What shows outside the image."""


def auto_augment(name: str = "v0") -> ops.AutoAugment:
    """AutoAugment with the policy that the TPU reference calls v0.

    It is none of the paper's (arXiv 1805.09501). Translations reach 250 px, so magnitude 9 leaves
    nothing of a 224 px image; timm's "v0" turned them into shares of the side.

    Args:
        name: "v0".

    Raises:
        PolicyError: another name.
    """
    if name != "v0":
        raise PolicyError(f'compat.tf_tpu.auto_augment: the only policy is "v0", got {name!r}.')
    return ops.AutoAugment("tpu-v0", BINS, interp="nearest", fill=FILL, space="tf-tpu")
