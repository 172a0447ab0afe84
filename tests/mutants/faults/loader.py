"""Faults in decoding, scaled plans and the Loader."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

DECODE = ("tests/test_decode.py",)
REDUCED = ("tests/plan/test_reduced.py",)
LOADER = ("tests/test_loader.py",)
ERRORS = ("tests/test_loader_errors.py",)
LIFE = ("tests/test_loader_life.py",)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "decode: orientation 6 turned the wrong way",
        "decode/__init__.py",
        "columns = -1 if orientation in (2, 3, 6, 7) else 1",
        "columns = -1 if orientation in (2, 3, 7, 8) else 1",
        DECODE,
    ),
    Fault(
        "decode: damaged JPEG data are tolerated",
        "decode/jpeg.py",
        "strict=True,",
        "strict=False,",
        DECODE,
    ),
    Fault(
        "decode: fast upsampling",
        "decode/jpeg.py",
        "fastupsample=False,",
        "fastupsample=True,",
        DECODE,
    ),
    Fault(
        "decode: 16 bits are clipped",
        "decode/other.py",
        "((levels + 128) // 257)",
        "np.minimum(levels, 255)",
        DECODE,
    ),
    Fault(
        "decode: a PNG's header decodes its pixels",
        "decode/other.py",
        'whole = image.format != "PNG" or b"eXIf" in data',
        "whole = True",
        DECODE,
    ),
    Fault(
        "decode: bombs are counted by one side",
        "decode/header.py",
        "width * height > max_pixels:",
        "width > max_pixels:",
        DECODE,
    ),
    Fault(
        "reduced: the looser of two axes decides",
        "plan/reduced.py",
        "room = np.minimum(",
        "room = np.maximum(",
        REDUCED,
    ),
    Fault(
        "reduced: sizes round down",
        "plan/reduced.py",
        "in_hw[small] = -(-plan.in_hw[small] // by)",
        "in_hw[small] = plan.in_hw[small] // by",
        REDUCED,
    ),
    Fault(
        "reduced: the far edge is forgotten",
        "plan/reduced.py",
        "0 if far_hw is None else np.asarray(far_hw)[small]",
        "0",
        REDUCED,
    ),
    Fault(
        "reduced: any first op is taken for a resize",
        "plan/reduced.py",
        "edit.code[np.arange(edit.rows), first] == Code.RESIZE",
        "edit.code[np.arange(edit.rows), first] != Code.NOTHING",
        REDUCED,
    ),
    Fault(
        "loader: normalised erasing is rendered to uint8",
        "loading/pixels.py",
        "        if columns.any():\n",
        "        if False:\n",
        LOADER,
    ),
    Fault(
        "loader: heads are normalised before they are mixed",
        "loading/pixels.py",
        "final=not self.tail, stack=out is not None",
        "final=True, stack=out is not None",
        LOADER,
    ),
    Fault(
        "loader: partners come image by image",
        "loading/batches.py",
        "place = place.reshape(1 + partners.shape[1], len(keys))",
        "place = place.reshape(len(keys), 1 + partners.shape[1]).T",
        LOADER,
    ),
    Fault(
        "loader: a subset's indices are ignored",
        "loading/sources.py",
        "at = rows if self.rows is None else self.rows[rows]",
        "at = rows",
        LOADER,
    ),
    Fault(
        "loader: a folder with transforms is read without them",
        "loading/sources.py",
        "return usual and dataset.loader is folder.default_loader and _untouched(dataset)",
        "return usual and dataset.loader is folder.default_loader",
        LOADER,
    ),
    Fault(
        "loader: files are never decoded smaller",
        "loading/pixels.py",
        "factor = np.where(can, reduction(plan), factor)",
        "factor = np.where(can, factor, factor)",
        LOADER,
    ),
    Fault(
        "loader: skipped samples are not told",
        "loading/loader.py",
        "skipped += made.skipped",
        "skipped += ()",
        ERRORS,
    ),
    Fault(
        "loader: every error is skipped",
        "loading/batches.py",
        "or not isinstance(error, self.options.errors)",
        "or False",
        ERRORS,
    ),
    Fault(
        "loader: the state counts delivered rows, not the sampler's",
        "loading/loader.py",
        'state["position"] += made.rows',
        'state["position"] += made.rows - len(made.skipped)',
        ERRORS,
    ),
    Fault(
        "loader: a break is the end of the epoch",
        "loading/loader.py",
        "where = self._under_way or self.sampler.state_dict()",
        "where = self.sampler.state_dict()",
        LIFE,
    ),
    Fault(
        "loader: places counted from a data set's end are taken as they are",
        "loading/sources.py",
        "np.where(rows < 0, rows + len(inner), rows)",
        "rows",
        LOADER,
    ),
    Fault(
        "loader: a state of another order is taken",
        "loading/loader.py",
        '"order_seed": getattr(sampler, "seed", 0),',
        '"order_seed": 0,',
        LIFE,
    ),
    Fault(
        "loader: a state of another number of processes is taken",
        "loading/loader.py",
        '"world_size": sampler.world_size,',
        '"world_size": 1,',
        LIFE,
    ),
    Fault(
        "loader: results of a step are mixed up",
        "loading/flow.py",
        "            job.results[at] = result\n",
        "            job.results[-1 - at] = result\n",
        LIFE,
    ),
    Fault(
        "loader: a batch too many is read ahead",
        "loading/loader.py",
        "ahead=self.prefetch + self.num_threads)",
        "ahead=self.prefetch + self.num_threads + 1)",
        LIFE,
    ),
    Fault(
        "loader: rows on a device are named on the CPU",
        "loading/sources.py",
        "torch.from_numpy(at).to(self.images.device)",
        "torch.from_numpy(at)",
        ("tests/test_resident.py",),
    ),
    Fault(
        "loader: nobody waits for images that are being made",
        "loading/output.py",
        "    stream.wait_stream(torch.cuda.current_stream(images.device))\n",
        "",
        ("tests/test_resident.py",),
    ),
    Fault(
        "loader: a path with a NUL byte names no file",
        "loading/sources.py",
        "except ValueError as error:  # such",
        "except ZeroDivisionError as error:  # such",
        ERRORS,
    ),
    Fault(
        "loader: labels keep their byte order",
        "loading/sources.py",
        "torch.from_numpy(native(labels))",
        "torch.from_numpy(labels)",
        ERRORS,
    ),
)
