"""Faults in competitions: archives, splits, submissions."""

from __future__ import annotations

from tests.mutants.faults.fault import Fault

HOME = "recipes/kaggle/"
ARCHIVES = ("tests/recipes/kaggle/test_archives.py",)
PREPARE = ("tests/recipes/kaggle/test_prepare.py",)
SEARCH = ("tests/recipes/kaggle/test_search.py",)
SUBMISSION = ("tests/recipes/kaggle/test_submission.py",)
SUBMIT = ("tests/recipes/kaggle/test_submit.py",)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "kaggle: archives may climb out by ..",
        HOME + "guard.py",
        'path.is_absolute() or ".." in path.parts or',
        "path.is_absolute() or",
        ARCHIVES,
    ),
    Fault(
        "kaggle: backslashes are letters",
        HOME + "guard.py",
        'text = name.replace("\\\\", "/")',
        "text = name",
        ARCHIVES,
    ),
    Fault(
        "kaggle: links in archives pass for files",
        HOME + "guard.py",
        'if kind != "file":',
        'if kind == "special":',
        ARCHIVES,
    ),
    Fault(
        "kaggle: bytes of an archive are not summed",
        HOME + "guard.py",
        "self._bytes += size",
        "self._bytes = size",
        ARCHIVES,
    ),
    Fault(
        "kaggle: the mode of a zip's member is not looked at",
        HOME + "archives.py",
        "mode = stat.S_IFMT(info.external_attr >> 16)",
        "mode = 0",
        ARCHIVES,
    ),
    Fault(
        "kaggle: a tar's headers may have any length",
        HOME + "archives.py",
        "if not 0 <= count <= _CHUNK:",
        "if count < 0:",
        ARCHIVES,
    ),
    Fault(
        "kaggle: what was unpacked before a refusal is kept",
        HOME + "archives.py",
        "    finally:\n        shutil.rmtree(part, ignore_errors=True)",
        "    finally:\n        pass",
        ARCHIVES,
    ),
    Fault(
        "kaggle: the split follows the order of the rows",
        HOME + "split.py",
        "key=lambda key: _lot(key, seed)",
        "key=lambda key: _lot(str(keys.index(key)), seed)",
        PREPARE,
    ),
    Fault(
        "kaggle: a class may go to validation whole",
        HOME + "split.py",
        "1), len(keys) - 1)",
        "1), len(keys))",
        PREPARE,
    ),
    Fault(
        "kaggle: two files of one name, the later one wins",
        HOME + "files.py",
        "twice = twice or (key, named[key], file)",
        "twice = None",
        PREPARE,
    ),
    Fault(
        "kaggle: probabilities in the order of the classes",
        HOME + "submission.py",
        'return [f"{of[name]:.6f}" for name in self.columns[1:]]',
        'return [f"{of[name]:.6f}" for name in self.classes]',
        SUBMISSION,
    ),
    Fault(
        "kaggle: ids that nobody asked for are let through",
        HOME + "submission.py",
        "unknown.append(key)",
        "pass",
        SUBMISSION,
    ),
    Fault(
        "kaggle: rows of a submission by luck of sorting",
        HOME + "submit.py",
        'ids = (row.id for row in competition.rows("test"))',
        'ids = sorted(row.id for row in competition.rows("test"))',
        SUBMIT,
    ),
    Fault(
        "kaggle: all batches are kept until the end",
        HOME + "predict.py",
        "for pixels, damaged in batches:",
        "for pixels, damaged in list(batches):",
        SUBMIT,
    ),
    Fault(
        "kaggle: mirror images are not mirrored",
        HOME + "predict.py",
        "self.network(pixels.flip(-1)).double()",
        "self.network(pixels).double()",
        SUBMIT,
    ),
    Fault(
        "kaggle: the worst settings are chosen",
        HOME + "search.py",
        "best = max(self.tried",
        "best = min(self.tried",
        SEARCH,
    ),
    Fault(
        "kaggle: the last training leaves the validation images out",
        HOME + "search.py",
        'data = _pair(self.competition, ("train", "valid"), ("valid",))',
        'data = _pair(self.competition, ("train",), ("valid",))',
        SEARCH,
    ),
    Fault(
        "kaggle: a table of ids alone is looked into for labels",
        HOME + "tables.py",
        "if not others or (label_column is None and len(others) > 1):",
        "if label_column is None and len(others) != 1:",
        SUBMISSION,
    ),
    Fault(
        "kaggle: one column is taken for ids and labels",
        HOME + "tables.py",
        "if label_at == id_at:",
        "if label_at == id_at and id_column is not None:",
        SUBMISSION,
    ),
)
