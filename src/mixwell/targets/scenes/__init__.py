"""Targets with places: boxes, masks and keypoints, as a plan moves, cuts and mixes them."""

from mixwell.targets.scenes.form import SceneForm, scene_form
from mixwell.targets.scenes.options import Boxes, BoxFormat, Keypoints, MaskKind

__all__ = ["BoxFormat", "Boxes", "Keypoints", "MaskKind", "SceneForm", "scene_form"]
