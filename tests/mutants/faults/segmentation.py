"""Faults in class maps and in the segmentation recipe."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

MAPS = ("tests/targets/test_class_maps.py",)
HOME = "tests/recipes/segmentation/"
DATA = (HOME + "test_data.py",)
FCN = (HOME + "test_fcn.py",)
TILES = (HOME + "test_tiles.py",)
PREDICT = (HOME + "test_predict.py",)
LOOP = (HOME + "test_loop.py",)
RECIPE = "recipes/segmentation/"
PICTURES = ("tests/viz/test_masks.py",)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "class maps: what is covered stays",
        "targets/scenes/layers.py",
        "                layer.classes[here] = ignore_index",
        "                pass",
        MAPS,
    ),
    Fault(
        "class maps: shares of chained blends are the last one's",
        "targets/scenes/layers.py",
        "Layer(layer.share * share, shown)",
        "Layer(share, shown)",
        MAPS,
    ),
    Fault(
        "class maps: layers of any share become one",
        "targets/scenes/layers.py",
        "if layer.share == new.share and",
        "if",
        MAPS,
    ),
    Fault(
        "class maps: layers all move like the first row",
        "targets/scenes/layers.py",
        "moved_classes(edit.take(row),",
        "moved_classes(edit.take(row * 0),",
        MAPS,
    ),
    Fault(
        "class maps: pixels of unknown class weigh",
        "targets/pixels.py",
        "mass = mass + (share * known).sum()\n    return reduced(loss",
        "mass = mass + (share * torch.ones_like(known)).sum()\n    return reduced(loss",
        MAPS,
    ),
    Fault(
        "class maps: shares do not weigh the loss",
        "targets/pixels.py",
        "loss = loss + (share * each).sum()",
        "loss = loss + each.sum()",
        MAPS,
    ),
    Fault(
        "class maps: accuracy forgets shares",
        "targets/pixels.py",
        "found == classes))).sum()",
        "found != classes))).sum()",
        MAPS,
    ),
    Fault(
        "classmix: the ignored class is one of them",
        "policy/classmix.py",
        "[classes[classes >= 0] for",
        "[classes for",
        MAPS,
    ),
    Fault(
        "classmix: parts are rounded up",
        "policy/classmix.py",
        "[: int(self.part * len(classes))]",
        "[: int(self.part * len(classes) + 0.999)]",
        MAPS,
    ),
    Fault(
        "classmix: the first classes are taken, whatever is drawn",
        "policy/classmix.py",
        "classes[np.argsort(luck[b, : len(classes)])]",
        "classes",
        MAPS,
    ),
    Fault(
        "classmix: classes are those before the steps",
        "targets/scenes/form.py",
        "heaviest(maps, steps, self.ignore_index)",
        "heaviest(maps, (), self.ignore_index)",
        MAPS,
    ),
    Fault(
        "segmentation data: a class that does not count keeps its number",
        RECIPE + "data/sets.py",
        "table[kept] = np.arange(len(kept))",
        "table[kept] = kept",
        DATA,
    ),
    Fault(
        "segmentation data: unknown values are ignored",
        RECIPE + "data/sets.py",
        "        if len(unknown):",
        "        if False:",
        DATA,
    ),
    Fault(
        "segmentation data: near colours will do",
        RECIPE + "data/sets.py",
        "    if strange.any():",
        "    if False:",
        DATA,
    ),
    Fault(
        "segmentation data: small images are kept",
        RECIPE + "data/sets.py",
        "fits = [height >= size_hw[0] and",
        "fits = [True or height >= size_hw[0] and",
        DATA,
    ),
    Fault(
        "segmentation data: bits of voc's colours from the lowest",
        RECIPE + "data/palette.py",
        "on << (7 - bit)",
        "on << bit",
        DATA,
    ),
    Fault(
        "segmentation data: digits are one off",
        RECIPE + "data/embedded.py",
        "classes[mask != 0] = label",
        "classes[mask != 0] = label - 1",
        DATA,
    ),
    Fault(
        "fcn: the tent stands half a pixel off",
        RECIPE + "fcn.py",
        "torch.arange(side) + 0.5 - stride",
        "torch.arange(side) + 1.0 - stride",
        FCN,
    ),
    Fault(
        "fcn: classes mix from the start",
        RECIPE + "fcn.py",
        "weight[own, own] = along",
        "weight[:] = along",
        FCN,
    ),
    Fault(
        "fcn: logits keep the padding",
        RECIPE + "fcn.py",
        "[..., :height, :width]",
        "[..., :, :]",
        FCN,
    ),
    Fault(
        "tiles: logits are added up",
        RECIPE + "tiles.py",
        "(total / count)",
        "(total / count.clamp(max=1))",
        TILES,
    ),
    Fault(
        "tiles: the overlap is not kept",
        RECIPE + "tiles.py",
        "int(side * (1 - overlap))",
        "side",
        TILES,
    ),
    Fault(
        "figures: the union counts the hits twice",
        RECIPE + "measure.py",
        "self.counts.sum(1).double() - right",
        "self.counts.sum(1).double()",
        TILES,
    ),
    Fault(
        "figures: absent classes have IoU 0",
        RECIPE + "measure.py",
        "iou[there].mean()",
        "iou.mean()",
        TILES,
    ),
    Fault(
        "segmentation: folded norms learn",
        RECIPE + "loop.py",
        "if self.config.freeze_norms or self.built.folded:",
        "if self.config.freeze_norms:",
        LOOP,
    ),
    Fault(
        "segmentation: the head learns like the backbone",
        RECIPE + "loop.py",
        "1.0 if built.is_backbone(name) else scale",
        "1.0",
        LOOP,
    ),
    Fault(
        "segmentation: measured at the files' size whatever is asked",
        RECIPE + "loop.py",
        "mw.Policy(mw.Resize(config.resize)) if config.resize else mw.Policy()",
        "mw.Policy()",
        LOOP,
    ),
    Fault(
        "predict: a resized image's classes have its size",
        RECIPE + "predict.py",
        'logits = F.interpolate(logits, image.shape[1:], mode="bilinear", align_corners=False)',
        "pass",
        PREDICT,
    ),
    Fault(
        "predict: masks lose the palette",
        RECIPE + "predict.py",
        "    mask.putpalette(class_colors().reshape(-1).tolist())",
        "    pass",
        PREDICT,
    ),
    Fault(
        "predict: masks of files of one stem are one file",
        RECIPE + "predict.py",
        "count[path.with_suffix('')] == 1",
        "True",
        PREDICT,
    ),
    Fault(
        "predict: images are not normalised",
        RECIPE + "models.py",
        "(pixels.float() / 255 - mean[:, None, None]) / std[:, None, None]",
        "pixels.float() / 255",
        PREDICT,
    ),
    Fault(
        "predict: a file that is named twice is two",
        "recipes/predicting.py",
        "once.setdefault(_whole(path), path)",
        "once[path] = path",
        PREDICT,
    ),
    Fault(
        "predict: any run will do",
        "recipes/runs.py",
        "    if found not in known:",
        "    if False:",
        PREDICT,
    ),
    Fault(
        "pictures: ignored pixels look like class 0",
        "viz/masks.py",
        "    pixels[array == ignore_index] = style.PAPER",
        "    pass",
        PICTURES,
    ),
)
