"""Rows match ids by name, damaged images are named, and memory does not grow with their number."""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
import sys
import weakref
from collections import Counter
from pathlib import Path

import pytest
import torch

import mixwell as mw
from mixwell import DataError
from mixwell.recipes.kaggle import submit as home
from mixwell.recipes.kaggle.competition import Competition, read_competition
from mixwell.recipes.kaggle.config import PrepareConfig
from mixwell.recipes.kaggle.predict import Predictor, UnlabelledImages
from mixwell.recipes.kaggle.prepare import prepare
from mixwell.recipes.kaggle.submit import SubmitConfig, submit
from tests.recipes.kaggle.made import CLASSES, ReadsRed, colour, competition, label_of, read, table

QUICK = {"num_workers": 0, "quiet": True, "threads": 1}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return competition(tmp_path / "comp", test=25)


@pytest.fixture
def run(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A "trained" run whose network reads the red channel."""
    made = prepare(source, PrepareConfig(out=tmp_path / "prepared", quiet=True)).competition
    monkeypatch.setattr(home, "build_model", lambda name, classes: ReadsRed())
    return trained(tmp_path / "run", made)


def trained(run: Path, made: Competition, eval_policy: str = "Policy()") -> Path:
    run.mkdir()
    about = {
        "competition": str(made.folder),
        "form": dataclasses.asdict(made.form),
        "model": "reads-red",
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "size_hw": made.size_hw,
        "eval_policy": eval_policy,
        "tta": False,
    }
    (run / "model.json").write_text(json.dumps(about))
    torch.save({}, run / "model.pt")
    return run


def predicted(run: Path) -> dict[str, str]:
    return dict(read(run / "submission.csv")[1:])


TRUTH = {str(i): label_of(i) for i in range(1, 26)}


def test_each_id_gets_the_class_of_its_own_image(run: Path, source: Path) -> None:
    done = submit(run, SubmitConfig(batch_size=4, **QUICK))
    assert predicted(run) == TRUTH
    assert done.rows == 25 and done.checked and done.damaged == []
    assert done.predicted == Counter(TRUTH.values())
    asked = [row[0] for row in read(source / "sampleSubmission.csv")]
    assert [row[0] for row in read(run / "submission.csv")] == asked  # heading included


def test_the_order_of_index_and_files_does_not_matter(run: Path, tmp_path: Path) -> None:
    index = tmp_path / "prepared" / "index.csv"
    head, *rows = read(index)
    random.Random(0).shuffle(rows)
    table(index, [head, *rows])
    submit(run, SubmitConfig(batch_size=7, **QUICK))
    assert predicted(run) == TRUTH


def test_with_workers(run: Path) -> None:
    submit(run, SubmitConfig(batch_size=4, **QUICK | {"num_workers": 2}))
    assert predicted(run) == TRUTH


def test_images_of_another_size_are_resized(run: Path, source: Path) -> None:
    colour(source / "test" / "3.png", "cat", (19, 31))
    submit(run, SubmitConfig(**QUICK))
    assert predicted(run) == TRUTH | {"3": "cat"}


def test_photographs_go_through_the_measuring_policy(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colour(source / "train" / "1.png", "bee", (9, 12))
    made = prepare(source, PrepareConfig(out=tmp_path / "p", quiet=True)).competition
    monkeypatch.setattr(home, "build_model", lambda name, classes: ReadsRed())
    run = trained(tmp_path / "r", made, "Policy(Resize((12, 12)), CenterCrop((8, 8)))")
    submit(run, SubmitConfig(**QUICK))
    assert predicted(run) == TRUTH


def test_a_damaged_image_is_named(run: Path, source: Path) -> None:
    for name in ("7", "11"):
        (source / "test" / f"{name}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"damaged ones for 11, 7.*--unreadable prior"):
        submit(run, SubmitConfig(**QUICK))
    assert not (run / "submission.csv").exists()


def test_or_gets_the_shares_of_the_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = competition(tmp_path / "comp", train=9)
    rows = read(source / "trainLabels.csv")
    rows = [rows[0], *([key, "bee" if int(key) > 4 else label] for key, label in rows[1:])]
    table(source / "trainLabels.csv", rows)
    asked = [(i, 0, 0, 0) for i in range(1, 13)]
    table(source / "sampleSubmission.csv", [("id", *reversed(CLASSES)), *asked])
    (source / "test" / "2.png").write_bytes(b"no image")
    made = prepare(source, PrepareConfig(out=tmp_path / "p", quiet=True)).competition
    monkeypatch.setattr(home, "build_model", lambda name, classes: ReadsRed())
    run = trained(tmp_path / "r", made)
    done = submit(run, SubmitConfig(unreadable="prior", batch_size=5, **QUICK))
    counts = Counter(label for _, label in rows[1:])
    found = {row[0]: [float(v) for v in row[1:]] for row in read(run / "submission.csv")[1:]}
    assert done.damaged == ["2"]
    assert found["2"] == pytest.approx([counts[name] / 9 for name in reversed(CLASSES)], abs=1e-6)
    for key, shares in found.items():
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        if key != "2":
            assert CLASSES[::-1][shares.index(max(shares))] == label_of(int(key))


def test_nothing_is_written_over_unasked(run: Path) -> None:
    (run / "submission.csv").write_text("mine")
    with pytest.raises(DataError, match="--overwrite"):
        submit(run, SubmitConfig(**QUICK))
    assert (run / "submission.csv").read_text() == "mine"
    submit(run, SubmitConfig(overwrite=True, **QUICK))
    assert predicted(run) == TRUTH


def test_a_moved_competition_is_named(run: Path, tmp_path: Path) -> None:
    (tmp_path / "prepared").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="A prepared competition needs"):
        submit(run, SubmitConfig(**QUICK))
    submit(run, SubmitConfig(competition=tmp_path / "elsewhere", **QUICK))
    assert predicted(run) == TRUTH


def test_another_competition_is_refused(run: Path, tmp_path: Path) -> None:
    two = competition(tmp_path / "two", classes=CLASSES[:2])
    prepare(two, PrepareConfig(out=tmp_path / "p2", quiet=True))
    with pytest.raises(DataError, match="the classes it was trained on"):
        submit(run, SubmitConfig(competition=tmp_path / "p2", **QUICK))


@pytest.mark.parametrize("name", ["model.pt", "model.json"])
def test_an_unfinished_run_is_refused(run: Path, name: str) -> None:
    (run / name).write_bytes(b"{}")
    with pytest.raises(DataError, match="is damaged"):
        submit(run, SubmitConfig(**QUICK))
    (run / name).unlink()
    with pytest.raises(DataError, match="mixwell kaggle train"):
        submit(run, SubmitConfig(**QUICK))


def test_mirror_images_are_averaged(tmp_path: Path) -> None:
    """A network that looks at the left edge sees the right one too."""

    class LeftEdge(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            red = images[:, 0, :, 0].mean(1)
            return torch.stack([red, torch.zeros_like(red)], 1)

    path = colour(tmp_path / "x.png", "ant")
    from PIL import Image

    image = Image.open(path)
    for y in range(8):
        image.putpixel((7, y), (255, 0, 0))
    image.save(path)
    shares = {}
    for tta in (False, True):
        predictor = Predictor(
            network=LeftEdge(),
            policy=mw.Policy(),
            mean=(0.0,) * 3,
            std=(1.0,) * 3,
            tta=tta,
            num_workers=0,
            device=torch.device("cpu"),
        )
        (rows, damaged), *_ = predictor.batches([str(path)])
        shares[tta] = rows[0, 0]
        assert not damaged.any()
    left, right = 20 / 255, 1.0
    sigmoid = torch.sigmoid(torch.tensor([left, (left + right) / 2], dtype=torch.float64))
    assert [shares[False], shares[True]] == pytest.approx(sigmoid.tolist(), abs=1e-6)


# ------------------------------------------------------------------ bounded memory


class Alive:
    """Counts tensors of one kind that exist at one time."""

    def __init__(self) -> None:
        self.seen: list[weakref.ref[torch.Tensor]] = []
        self.most = 0

    def note(self, tensor: torch.Tensor) -> None:
        self.seen = [ref for ref in self.seen if ref() is not None] + [weakref.ref(tensor)]
        self.most = max(self.most, len(self.seen))


def alive_at_once(monkeypatch: pytest.MonkeyPatch, path: Path, count: int) -> tuple[int, int, int]:
    """The most decoded images, batches of pixels and rows of probabilities at one time."""
    images, batches, shares = Alive(), Alive(), Alive()
    decode = UnlabelledImages.__getitem__

    def watched(self: UnlabelledImages, index: int) -> tuple[torch.Tensor, int]:
        image, flag = decode(self, index)
        images.note(image)
        return image, flag

    class Watched(ReadsRed):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            batches.note(pixels)
            logits = super().forward(pixels)
            shares.note(logits)
            return logits

    with monkeypatch.context() as patch:
        patch.setattr(UnlabelledImages, "__getitem__", watched)
        predictor = Predictor(
            network=Watched(),
            policy=mw.Policy(mw.Resize((8, 8))),
            mean=(0.0,) * 3,
            std=(1.0,) * 3,
            batch_size=8,
            num_workers=0,
            device=torch.device("cpu"),
        )
        seen = sum(len(rows) for rows, _ in predictor.batches([str(path)] * count))
    assert seen == count
    return images.most, batches.most, shares.most


def test_only_a_batch_or_two_exist_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = colour(tmp_path / "x.png", "bee")
    few, many = (alive_at_once(monkeypatch, path, count) for count in (40, 400))
    assert few == many
    images, batches, shares = many
    assert images <= 16 and batches <= 2 and shares <= 2


_PEAK = """
import resource, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from mixwell.recipes.kaggle import submit as home
from tests.recipes.kaggle.made import ReadsRed
home.build_model = lambda name, classes: ReadsRed()
config = home.SubmitConfig(num_workers=0, quiet=True, out=Path(sys.argv[2]), threads=1)
home.submit(Path(sys.argv[1]), config)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_peak_memory_hardly_grows(run: Path, tmp_path: Path) -> None:
    """Ten times the images, at most 20 MiB more: their ids and paths. Decoded they were 3 GiB."""
    source = tmp_path / "comp"
    photo = colour(source / "test" / "big.png", "ant", (256, 256))
    peaks = []
    for count in (2000, 20000):
        index, sample = tmp_path / "prepared" / "index.csv", tmp_path / "prepared" / "sample.csv"
        head, *rows = read(index)
        kept = [row for row in rows if row[3] != "test"]
        table(index, [head, *kept, *((f"i{i}", str(photo), "", "test") for i in range(count))])
        table(sample, [("id", "label"), *((f"i{i}", "ant") for i in range(count))])
        about = json.loads((tmp_path / "prepared" / "competition.json").read_text())
        about["counts"]["test"] = count
        (tmp_path / "prepared" / "competition.json").write_text(json.dumps(about))
        assert read_competition(tmp_path / "prepared").counts["test"] == count
        words = [sys.executable, "-c", _PEAK, str(run), str(tmp_path / f"{count}.csv")]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] - peaks[0] <= 20, peaks
