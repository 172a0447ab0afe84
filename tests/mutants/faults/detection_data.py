"""Faults in detection data sets and in drawn boxes."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

HOME = "tests/recipes/detection/"
DATA = "recipes/detection/data/"
SEGMENTS = (HOME + "test_data_segments.py",)
COCO = (HOME + "test_data_coco.py",)
VOC = (HOME + "test_data_voc.py",)
YOLO = (HOME + "test_data_yolo.py",)
EMBEDDED = (HOME + "test_data_embedded.py",)
BYNAME = (HOME + "test_data_byname.py",)
BOXES = ("tests/viz/test_boxes.py",)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "detection data: runs go along the rows",
        DATA + "segments.py",
        ".reshape(width, height).T)",
        ".reshape(height, width))",
        SEGMENTS,
    ),
    Fault(
        "detection data: differences of compressed runs begin one count early",
        DATA + "segments.py",
        "if len(counts) > 2 else value",
        "if len(counts) > 1 else value",
        SEGMENTS,
    ),
    Fault(
        "detection data: compressed runs have no sign",
        DATA + "segments.py",
        "            value -= 1 << shift",
        "            value -= 0",
        SEGMENTS,
    ),
    Fault(
        "detection data: outlines are filled by pixel corners",
        DATA + "segments.py",
        "np.ceil(crossing - 0.5)",
        "np.ceil(crossing)",
        SEGMENTS,
    ),
    Fault(
        "detection data: outlines of one object exclude each other",
        DATA + "segments.py",
        "left : left + columns - 1] |= inside",
        "left : left + columns - 1] ^= inside",
        SEGMENTS,
    ),
    Fault(
        "detection data: boxes without area are kept",
        DATA + "sets.py",
        "if x1 <= x0 or y1 <= y0:",
        "if x1 < x0 or y1 < y0:",
        COCO,
    ),
    Fault(
        "detection data: the area of the file is forgotten",
        DATA + "sets.py",
        "e if t.area is None else t.area",
        "e",
        COCO,
    ),
    Fault(
        "detection data: clipped boxes are not noted",
        DATA + "sets.py",
        "                ledger.note(CLIPPED, thing.name)",
        "                pass",
        VOC,
    ),
    Fault(
        "detection data: sizes are not compared",
        DATA + "sets.py",
        "if pixels.shape[:2] != record.size_hw:",
        "if False:",
        COCO,
    ),
    Fault(
        "detection data: coco boxes are taken for corners",
        DATA + "coco.py",
        "(x, y, x + width, y + height)",
        "(x, y, width, height)",
        COCO,
    ),
    Fault(
        "detection data: coco labels follow the file's order of categories",
        DATA + "coco.py",
        "enumerate(sorted(named), 1)",
        "enumerate(named, 1)",
        COCO,
    ),
    Fault(
        "detection data: results name labels instead of categories",
        DATA + "coco_write.py",
        "return data.category_ids[label - 1]",
        "return label",
        COCO,
    ),
    Fault(
        "detection data: results are written as corners",
        DATA + "coco_write.py",
        "wide[:, 2:] - wide[:, :2]",
        "wide[:, 2:]",
        COCO,
    ),
    Fault(
        "detection data: voc counts pixels from 0",
        DATA + "voc.py",
        "first = 1 if one_based else 0",
        "first = 0",
        VOC,
    ),
    Fault(
        "detection data: clicks are objects of one pixel",
        DATA + "voc.py",
        "        if x1 <= x0 or y1 <= y0:",
        "        if x1 < x0 or y1 < y0:",
        VOC,
    ),
    Fault(
        "detection data: voc splits number classes by themselves",
        DATA + "byname.py",
        'options = {"classes": voc.voc_classes(folders.values())} | options',
        "options = dict(options)",
        BYNAME,
    ),
    Fault(
        "detection data: document types are read",
        DATA + "voc.py",
        '        raise DataError(f"document type {name!r}")',
        "        return None",
        VOC,
    ),
    Fault(
        "detection data: height and width of yolo exchanged",
        DATA + "yolo.py",
        "    height, width = size_hw\n",
        "    width, height = size_hw\n",
        YOLO,
    ),
    Fault(
        "detection data: yolo classes count from 1",
        DATA + "yolo.py",
        "return Thing(index + 1, (*box,",
        "return Thing(index, (*box,",
        YOLO,
    ),
    Fault(
        "detection data: images without label file are not noted",
        DATA + "yolo.py",
        "        ledger.note(NO_LABELS, picture.name)",
        "        pass",
        YOLO,
    ),
    Fault(
        "detection data: comments are part of yaml's values",
        DATA + "small_yaml.py",
        "            return raw[:i]",
        "            return raw",
        YOLO,
    ),
    Fault(
        "detection data: train and test draw the same numbers",
        DATA + "embedded.py",
        "np.array([0, 0, 0, PARTS.index(self.part)], np.uint64)",
        "np.array([0, 0, 0, 0], np.uint64)",
        EMBEDDED,
    ),
    Fault(
        "detection data: train and test show the same digits",
        DATA + "embedded.py",
        'data.train if part == "train" else data.test',
        "data.train",
        EMBEDDED,
    ),
    Fault(
        "detection data: boxes of digits end a pixel early",
        DATA + "embedded.py",
        "columns[-1] + 1, rows[-1] + 1\n        return",
        "columns[-1] + 1, rows[-1]\n        return",
        EMBEDDED,
    ),
    Fault(
        "detection data: digits are hidden as it comes",
        DATA + "embedded.py",
        "if self._hides_too_much(window, mask):",
        "if False:",
        EMBEDDED,
    ),
    Fault(
        "detection data: a split depends on the order of files",
        DATA + "byname.py",
        'f"{seed}/{name}".encode()).digest() for name in names]',
        'f"{seed}/{i}".encode()).digest() for i, name in enumerate(names)]',
        BYNAME,
    ),
    Fault(
        "viz boxes: outlines reach a pixel too far",
        "viz/boxes.py",
        "return x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)",
        "return x0, y0, max(x1, x0), max(y1, y0)",
        BOXES,
    ),
    Fault(
        "viz boxes: enlarged images keep the boxes of small ones",
        "viz/boxes.py",
        "_Sketch(large, large.width / flat.width, large.height / flat.height)",
        "_Sketch(large, 1.0, 1.0)",
        BOXES,
    ),
    Fault(
        "viz boxes: class names are one off",
        "viz/boxes.py",
        "str(classes[label - 1])",
        "str(classes[label - 2])",
        BOXES,
    ),
    Fault(
        "viz boxes: unlabelled keypoints are drawn",
        "viz/boxes.py",
        "if how <= 0 or",
        "if how < 0 or",
        BOXES,
    ),
)
