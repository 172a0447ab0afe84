"""What will be done: plans are plain arrays, sampled from a policy or written by hand."""

from mixwell.plan.paste import paste_plan
from mixwell.plan.plan import Plan
from mixwell.plan.steps import Code, Edit, Interp, Mix, MixMode

__all__ = ["Code", "Edit", "Interp", "Mix", "MixMode", "Plan", "paste_plan"]
