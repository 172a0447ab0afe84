"""Every exception that mixwell raises on purpose.

::

    MixwellError
    ├── PolicyError(ValueError)      a policy that cannot mean anything, or does not fit its use
    ├── PlanError(ValueError)        a plan whose arrays break a rule of the format
    ├── RenderError(ValueError)      images that do not fit the plan, or a dtype an op cannot take
    ├── BackendError(RuntimeError)   a backend was asked for by name and cannot serve here
    ├── TargetError(ValueError)      labels (or other targets) that do not fit the plan
    ├── KeyMissingError(RuntimeError)  samples arrived without their keys
    └── DataError(ValueError)        a data set that is missing, damaged or of the wrong layout

A message names the subject, the rule, the found value and the cure.
"""

from __future__ import annotations


class MixwellError(Exception):
    """Base of all mixwell errors."""


class PolicyError(MixwellError, ValueError):
    """A policy is malformed, or is used where it cannot work."""


class PlanError(MixwellError, ValueError):
    """A plan's arrays break an invariant, or a file is not a plan."""


class RenderError(MixwellError, ValueError):
    """Images and plan do not fit each other."""


class BackendError(MixwellError, RuntimeError):
    """An explicitly requested backend cannot serve."""


class TargetError(MixwellError, ValueError):
    """Targets and plan do not fit each other."""


class KeyMissingError(MixwellError, RuntimeError):
    """A batch carries no keys, so its augmentation cannot be determined."""


class DataError(MixwellError, ValueError):
    """A data set cannot be read as asked."""
