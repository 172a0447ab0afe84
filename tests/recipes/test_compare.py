"""Comparisons: the pairs are pairs, the report says what the CSV says, nothing is lost."""

import base64
import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

import mixwell as mw
from mixwell.recipes import compare as module
from mixwell.recipes import report
from mixwell.recipes.compare import CompareConfig, check_pairs, compare, summarise
from mixwell.recipes.grid import Candidate, check_names, expanded, named
from mixwell.recipes.stats import interval

CODE = "turn=Policy(Rotate(10))"


def settings(out, **changes):
    given = {
        "policies": ("none", CODE, "cutmix"),
        "seeds": (0, 1),
        "epochs": 2,
        "batch_size": 16,
        "train_fraction": 0.03,
        "devices": 1,
        "threads": 1,
        "quiet": True,
    }
    return CompareConfig(out=out, **(given | changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return compare(settings(tmp_path_factory.mktemp("compare")))


# ---- pairs -------------------------------------------------------------------------------------


def test_runs_of_a_seed_share_weights_and_order(finished):
    for what in ("initial_digest", "order_digest"):
        by_seed = {s: {r[what] for r in finished.rows if r["seed"] == s} for s in (0, 1)}
        assert all(len(values) == 1 for values in by_seed.values())
        assert by_seed[0] != by_seed[1]
    assert len({(r["policy"], r["train_loss"]) for r in finished.rows}) == 6


@pytest.mark.parametrize("what", ["initial_digest", "order_digest"])
def test_runs_that_are_no_pair_are_refused(finished, what):
    rows = [dict(row) for row in finished.rows]
    check_pairs(rows)
    rows[1][what] = "0" * 16
    with pytest.raises(mw.MixwellError, match="Runs of one seed must share"):
        check_pairs(rows)


def row(policy, seed, test):
    return {
        "policy": policy,
        "code": f"Policy({policy})",
        "seed": seed,
        "test_accuracy": test,
        "train_accuracy": 1.0,
        "images_per_second": 100.0 * (seed + 1),
    }


def test_summary_by_hand():
    rows = [row("none", s, a) for s, a in ((0, 0.80), (1, 0.90), (2, 0.70))]
    rows += [row("mixup", s, a) for s, a in ((0, 0.81), (1, 0.92), (2, 0.73))]
    base, mixup = summarise(rows, "none")
    assert base.difference is None
    # 1, 2 and 3 points: 2 on average, 1 deviation, 4.30265 / sqrt(3) = 2.48414
    assert mixup.difference.mean == pytest.approx(0.02)
    assert mixup.difference.low == pytest.approx(0.02 - 0.0248414, abs=1e-7)
    assert mixup.difference.high == pytest.approx(0.02 + 0.0248414, abs=1e-7)
    assert mixup.test.mean == pytest.approx(0.82)
    assert mixup.images_per_second == 200.0


def test_differences_are_over_shared_seeds_only():
    rows = [row("none", 0, 0.5), row("none", 1, 0.7), row("mixup", 1, 0.6), row("cutmix", 5, 0.9)]
    _, mixup, cutmix = summarise(rows, "none")
    assert (mixup.difference.n, mixup.difference.mean) == (1, pytest.approx(-0.1))
    assert cutmix.difference is None


# ---- going on ----------------------------------------------------------------------------------


def test_resume_trains_only_what_is_missing(tmp_path, monkeypatch, finished):
    trained = []
    original = module.train

    def stops(config, data, policy, **options):
        trained.append((repr(policy), options["seed"]))
        result = original(config, data, policy, **options)
        if len(trained) == 4:
            result.interrupted = True
        return result

    monkeypatch.setattr(module, "train", stops)
    part = compare(settings(tmp_path))
    assert part.interrupted
    assert len(part.rows) == 3  # one whole seed: pairs first
    assert "3 of 6 runs are finished" in (tmp_path / "report.md").read_text()
    assert "3 of 6 runs are finished" in (tmp_path / "report.html").read_text()
    before, trained[:] = list(trained), [("", 0)] * 10
    whole = compare(settings(tmp_path, resume=True))
    assert len(trained) == 13  # three more
    assert trained[10] == before[3]
    assert not whole.interrupted
    timing = ("seconds", "images_per_second")
    strip = [{k: v for k, v in r.items() if k not in timing} for r in whole.rows]
    assert strip == [{k: v for k, v in r.items() if k not in timing} for r in finished.rows]
    assert not list((tmp_path / "cells").glob("*.pt"))


def test_resume_with_other_settings_is_refused(finished):
    with pytest.raises(mw.DataError, match="epochs=3 instead of 2"):
        compare(replace(finished.config, epochs=3, resume=True))


def test_more_seeds_can_be_added(tmp_path):
    compare(settings(tmp_path, policies=("none",), seeds=(0,)))
    more = compare(settings(tmp_path, policies=("none", CODE), seeds=(0, 1), resume=True))
    assert [(r["policy"], r["seed"]) for r in more.rows] == [
        ("none", 0),
        ("turn", 0),
        ("none", 1),
        ("turn", 1),
    ]


def test_stopped_before_the_first_run_still_reports(tmp_path, monkeypatch):
    def stops(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train", stops)
    nothing = compare(settings(tmp_path))
    assert nothing.rows == []
    assert "No run is finished" in (tmp_path / "report.html").read_text()


def test_a_diverged_run_is_reported_and_the_others_go_on(tmp_path, monkeypatch):
    original = module.train

    def diverges(config, data, policy, **options):
        if policy.has_mix and options["seed"] == 0:
            raise FloatingPointError("loss was nan")
        return original(config, data, policy, **options)

    monkeypatch.setattr(module, "train", diverges)
    done = compare(settings(tmp_path))
    assert len(done.rows) == 5
    assert not done.interrupted
    assert "Failed: cutmix, seed 0: loss was nan" in (tmp_path / "report.md").read_text()


# ---- what is compared --------------------------------------------------------------------------


def test_grid_expands_ops_that_have_the_fields():
    policy = mw.Policy(mw.HorizontalFlip(), mw.RandAugment())
    made = expanded(Candidate("ra", policy), {"num_ops": [1, 2], "magnitude": [5, 9]})
    assert [c.name for c in made] == [
        "ra num_ops=1 magnitude=5",
        "ra num_ops=1 magnitude=9",
        "ra num_ops=2 magnitude=5",
        "ra num_ops=2 magnitude=9",
    ]
    expected = mw.Policy(mw.HorizontalFlip(), mw.RandAugment(num_ops=1, magnitude=9))
    assert repr(made[1].policy) == repr(expected)


def test_grid_reaches_ops_inside_ops():
    policy = mw.Policy(mw.Sometimes(mw.OneOf(mw.MixUp(alpha=1.0), mw.CutMix(alpha=1.0)), p=0.5))
    (made,) = expanded(Candidate("mix", policy), {"alpha": [0.3]})
    inner = mw.OneOf(mw.MixUp(alpha=0.3), mw.CutMix(alpha=0.3))
    assert repr(made.policy) == repr(mw.Policy(mw.Sometimes(inner, p=0.5)))


def test_grid_leaves_other_policies_alone_and_refuses_to_do_nothing(tmp_path):
    plain = Candidate("none", mw.Policy())
    assert expanded(plain, {"num_ops": [1, 2]}) == [plain]
    with pytest.raises(mw.PolicyError, match="needs a policy with an op that has these fields"):
        compare(settings(tmp_path, grid={"num_ops": [1, 2]}))


def test_names():
    assert named(CODE) == ("turn", "Policy(Rotate(10))")
    assert named("Policy(Rotate(degrees=10))")[0] == "Policy(Rotate(degrees=10))"
    assert named("none") == ("none", "none")
    same = [Candidate("a", mw.Policy()), Candidate("a", mw.Policy(mw.HorizontalFlip()))]
    with pytest.raises(mw.PolicyError, match="names of their own, got a twice"):
        check_names(same, None)
    with pytest.raises(mw.PolicyError, match="baseline must be one of the policies compared"):
        check_names(same[:1], "mixup")
    assert check_names(same[:1], None) == "a"


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="seeds must name each once, got 1, 1"):
        CompareConfig(seeds=(1, 1))
    with pytest.raises(ValueError, match="seeds must name at least one"):
        CompareConfig(seeds=())


# ---- the report --------------------------------------------------------------------------------


def csv_rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def markdown_table(text):
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in rows[2:]}


def test_report_has_the_csvs_numbers(finished):
    rows = csv_rows(finished.out / "results.csv")
    assert len(rows) == 6
    shown = markdown_table((finished.out / "report.md").read_text())
    assert set(shown) == {"none", "turn", "cutmix"}
    base = [float(r["test_accuracy"]) for r in rows if r["policy"] == "none"]
    for policy, (n, test, difference, train, speed) in shown.items():
        mine = [r for r in rows if r["policy"] == policy]
        accuracy = interval([float(r["test_accuracy"]) for r in mine])
        assert n == "2"
        assert test == f"{100 * accuracy.mean:.2f} ± {100 * accuracy.half:.2f}"
        clean = interval([float(r["train_accuracy"]) for r in mine])
        assert train == f"{100 * clean.mean:.2f} ± {100 * clean.half:.2f}"
        assert speed == f"{interval([float(r['images_per_second']) for r in mine]).mean:,.0f}"
        if policy == "none":
            assert difference == "baseline"
            continue
        expected = interval(
            [float(r["test_accuracy"]) - b for r, b in zip(mine, base, strict=True)]
        )
        numbers = [float(x.replace("−", "-")) for x in re.findall(r"[+−]?\d+\.\d\d", difference)]
        wanted = [100 * v for v in (expected.mean, expected.low, expected.high)]
        assert numbers == pytest.approx(wanted, abs=0.00501)  # two decimals shown


def test_json_and_csv_agree(finished):
    saved = json.loads((finished.out / "results.json").read_text())
    rows = csv_rows(finished.out / "results.csv")
    assert [{k: str(v) for k, v in row.items()} for row in saved["rows"]] == rows
    assert saved["finished"] == saved["planned"] == 6
    assert saved["settings"]["seeds"] == [0, 1]
    assert saved["environment"]["torch"] == torch.__version__


def test_page_lists_every_run(finished):
    text = (finished.out / "report.html").read_text()
    first = finished.rows[0]
    cells = [
        *("none", "0", f"{first['test_accuracy']:.2%}", f"{first['train_accuracy']:.2%}"),
        *(f"{first['mixed_accuracy']:.2%}", f"{first['train_loss']:.4f}"),
        *(f"{first['images_per_second']:,.0f}", f"{first['seconds']:.1f}"),
        *(first["initial_digest"][:8], first["order_digest"][:8]),
    ]
    assert "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" in text
    assert text.count(f"<td>{first['order_digest'][:8]}</td>") == 3


class _Links(HTMLParser):
    """Collects everything that a page would load, and checks that its tags are closed."""

    def __init__(self):
        super().__init__()
        self.loads, self.open, self.pictures = [], [], []

    def handle_starttag(self, tag, attrs):
        self.loads += [v for k, v in attrs if k in ("src", "href", "srcset")]
        if tag == "img":
            self.pictures.append(dict(attrs)["alt"])
        if tag not in ("meta", "img", "source", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_one_file_and_needs_no_other(finished):
    text = (finished.out / "report.html").read_text()
    page = _Links()
    page.feed(text)
    assert page.open == []
    assert len(page.loads) == 5  # the plot, light and dark, and a sheet for each policy
    for link in page.loads:
        kind, _, data = link.partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data, validate=True).startswith(b"\x89PNG")
    assert [f"samples of {name}" for name in ("none", "turn", "cutmix")] == page.pictures[1:]
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text
    for cells in report.table(finished):
        assert all(f"<td>{cell}</td>" in text or f">{cell}</td>" in text for cell in cells)


def test_page_escapes_what_users_wrote(finished):
    from mixwell.recipes import page
    from mixwell.recipes.config import subset
    from mixwell.recipes.data import load_dataset

    config = replace(finished.config, model="<script>alert(1)</script>")
    text = page.html(
        replace(finished, config=config), {"command": "<b>"}, subset(load_dataset("digits"), 0.03)
    )
    assert "<script>" not in text
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.010, 0.011, 0.012], "+1.10 points, 95 % interval +0.85 to +1.35; n = 3 seeds; better"),
        ([-0.010, -0.011, -0.012], "this augmentation loses here"),
        ([-0.010, 0.010, 0.010], "not distinguishable from none: the interval includes zero"),
        ([0.010], "+1.00 points; n = 1 seed; one seed, so no interval; this may well be chance."),
        ([0.010, 0.010], "the same difference in every seed"),
    ],
)
def test_words_follow_the_interval(finished, values, words):
    summary = replace(finished.summaries[1], difference=interval(values))
    ((name, text),) = report.findings(replace(finished, summaries=[summary]))
    assert name == "turn"
    assert words in text


def test_one_seed_claims_nothing(tmp_path):
    alone = compare(settings(tmp_path, policies=("none", CODE), seeds=(0,), epochs=1))
    text = (tmp_path / "report.md").read_text()
    assert "(no interval)" in text
    assert "n = 1 seed: there are no intervals" in text
    assert "digits-net (26,266 parameters), 1 epoch, batch 16" in text
    assert ", 1 epoch, n = 1 seed, paired with none." in (tmp_path / "report.html").read_text()
    assert "±" not in text
    assert alone.summaries[1].difference.low is None


def test_report_says_how_little_data_was_used(finished):
    text = (finished.out / "report.md").read_text()
    assert "3 % of the set on purpose" in text
    assert "355 test images, so one image is 0.28 points" in text
    assert "n = 2 seeds" in text


def test_report_says_how_class_folders_were_split(tmp_path, finished):
    for i, name in enumerate("ab" * 5):
        (tmp_path / "images" / name).mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8, 3), i, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    images = {"data": "folder", "data_dir": tmp_path / "images", "image_size": 8, "num_workers": 0}
    images |= {"model": "digits-net", "train_fraction": None, "epochs": 1}
    split = compare(settings(tmp_path / "run", policies=("none",), seeds=(0,), **images))
    said = f"{tmp_path / 'images'} has no train/ and val/: every fifth image of each class"
    assert split.split.startswith(said)
    for name in ("report.md", "report.html", "results.json"):
        assert said in (split.out / name).read_text()
    assert json.loads((split.out / "results.json").read_text())["test_images"] == 2
    assert finished.split == "" and "no train/" not in (finished.out / "report.md").read_text()


@pytest.mark.parametrize(
    ("count", "data", "folder", "title"),
    [
        (1, "digits", None, "1 policy on digits"),
        (3, "digits", None, "3 policies on digits"),
        (2, "folder", "my photos", "2 policies on my photos"),
        (2, "cifar10", "anywhere", "2 policies on cifar10"),
    ],
)
def test_the_title_counts_and_names_the_data(finished, tmp_path, count, data, folder, title):
    where = None if folder is None else tmp_path / folder
    config = replace(finished.config, data=data, data_dir=where)
    several = finished.candidates[:1] * count
    assert report.title(replace(finished, config=config, candidates=several)) == title
