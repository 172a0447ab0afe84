"""Pictures that show what a policy does: contact sheets, gradations, label bars, boxes, curves.

Every function returns a PIL image. Pillow alone draws them; only the curves ask for matplotlib,
when they are drawn.
"""

from mixwell.viz.bars import label_bar
from mixwell.viz.boxes import box_sheet, draw_boxes
from mixwell.viz.curves import LiveCurves, curves
from mixwell.viz.gradation import gradation, gradation_plan
from mixwell.viz.layout import grid
from mixwell.viz.masks import mask_sheet
from mixwell.viz.sheet import sheet

__all__ = [
    "LiveCurves",
    "box_sheet",
    "curves",
    "draw_boxes",
    "gradation",
    "gradation_plan",
    "grid",
    "label_bar",
    "mask_sheet",
    "sheet",
]
