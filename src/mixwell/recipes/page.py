"""The report as one HTML file that needs nothing else: styles and pictures are inside."""

from __future__ import annotations

import base64
import html as markup
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

import mixwell as mw
from mixwell.recipes import report
from mixwell.recipes.data import TrainTest
from mixwell.recipes.plot import plot
from mixwell.recipes.settings import as_json
from mixwell.recipes.stats import verdict

if TYPE_CHECKING:
    from mixwell.recipes.compare import Comparison

STYLE = """
:root { color-scheme: light dark; --ink: #222; --faint: #6b6b6b; --rule: #e3e3e3;
  --paper: #fff; --card: #f7f7f8; --better: #0072b2; --worse: #c25500; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --faint: #a0a0a0;
  --rule: #31363d; --paper: #16191e; --card: #1e2228; --better: #56b4e9; --worse: #e8833a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 4rem; color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2.5rem 0 .75rem; }
.lead, figcaption, footer { color: var(--faint); }
.warn { border-left: 4px solid var(--worse); padding: .5rem 1rem; background: var(--card); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .75rem; text-align: right; border-bottom: 1px solid var(--rule);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { font-weight: 600; font-size: .85rem; color: var(--faint); }
.better { color: var(--better); } .worse { color: var(--worse); }
figure { margin: 1.25rem 0; } img { max-width: 100%; height: auto; display: block; }
.sheet { background: #fff; border: 1px solid var(--rule); border-radius: 8px; padding: .5rem; }
code, pre { font: .85em/1.5 ui-monospace, Menlo, Consolas, monospace; }
code { overflow-wrap: anywhere; }
pre { background: var(--card); border-radius: 8px; padding: 1rem; overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.25rem; margin: 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
details { margin: .75rem 0; } summary { cursor: pointer; }
li { margin: .35rem 0; }
"""

COLUMNS = {
    "policy": ("policy", ""),
    "seed": ("seed", ""),
    "test_accuracy": ("test", ".2%"),
    "train_accuracy": ("train", ".2%"),
    "mixed_accuracy": ("mixed", ".2%"),
    "train_loss": ("train loss", ".4f"),
    "images_per_second": ("images/s", ",.0f"),
    "seconds": ("seconds", ".1f"),
    "initial_digest": ("weights", ".8"),
    "order_digest": ("order", ".8"),
}
"""What the page shows of each run: heading and format."""


def html(comparison: Comparison, about: dict[str, str], data: TrainTest) -> str:
    """The whole page.

    Args:
        comparison: the finished runs; may be none.
        about: `report.environment`.
        data: for the sample pictures.
    """
    title = report.title(comparison)
    body = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="lead">{_text(_lead(comparison))}</p>',
        _warning(comparison),
        _figures(comparison),
        _findings(comparison),
        _list("How to read this", (_text(note) for note in report.notes(comparison))),
        _samples(comparison, data),
        _runs(comparison),
        _facts("Environment", about),
        _facts("Settings", {k: str(v) for k, v in as_json(comparison.config).items()}, fold=True),
        f"<footer><p>Made by mixwell {_text(mw.__version__)}.</p></footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return markup.escape(str(value))


def _lead(comparison: Comparison) -> str:
    config = comparison.config
    epochs = report.counted(config.epochs, "epoch")
    seeds = report.counted(len(config.seeds), "seed")
    return f"{config.model}, {epochs}, n = {seeds}, paired with {comparison.baseline}."


def _warning(comparison: Comparison) -> str:
    if not comparison.interrupted:
        return ""
    done = f"{len(comparison.rows)} of {comparison.planned} runs are finished."
    return f'<p class="warn">Stopped early: {done}</p>'


def _figures(comparison: Comparison) -> str:
    """The table and the plot."""
    if not comparison.rows:
        return "<p>No run is finished.</p>"
    head = "".join(f"<th>{_text(name)}</th>" for name in report.HEADER)
    rows = []
    for summary, cells in zip(comparison.summaries, report.table(comparison), strict=True):
        kind = verdict(summary.difference) if summary.difference else ""
        marked = [f"<td>{_text(cell)}</td>" for cell in cells]
        marked[3] = f'<td class="{kind}">{_text(cells[3])}</td>'
        rows.append(f"<tr>{''.join(marked)}</tr>")
    light, dark = _embedded(plot(comparison)), _embedded(plot(comparison, dark=True))
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'
        f'</table></div>\n<figure><picture><source media="(prefers-color-scheme: dark)" '
        f'srcset="{dark}"><img alt="Test accuracy of every run, and differences from '
        f'{_text(comparison.baseline)}" src="{light}"></picture></figure>'
    )


def _findings(comparison: Comparison) -> str:
    found = report.findings(comparison)
    items = (f"<strong>{_text(name)}</strong>: {_text(text)}" for name, text in found)
    return _list("What can be said", items) if found else ""


def _list(title: str, items: Iterable[str]) -> str:
    """A headed list; the items are markup already."""
    return f"<h2>{_text(title)}</h2><ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _samples(comparison: Comparison, data: TrainTest) -> str:
    """What each policy does to the same few training images."""
    rows = example_rows(data.train.labels)
    images = [data.train[i][0] for i in rows]
    labels = [int(data.train.labels[i]) for i in rows]
    parts = ["<h2>What the policies do</h2>"]
    for candidate in comparison.candidates:
        picture = _sheet(candidate.policy, images, labels, data.classes)
        parts.append(
            f"<details><summary><strong>{_text(candidate.name)}</strong> "
            f"<code>{_text(repr(candidate.policy))}</code></summary><figure>"
            f'<img class="sheet" loading="lazy" alt="samples of {_text(candidate.name)}" '
            f'src="{picture}"></figure></details>'
        )
    return "\n".join(parts).replace("<details>", "<details open>", 1)


def example_rows(labels: np.ndarray, count: int = 4) -> list[int]:
    """The first image of each of the first few classes.

    Args:
        labels: int64 [N].
        count: how many, at most.
    """
    return [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)[:count]]


def _sheet(policy: mw.Policy, images: list, labels: list[int], classes: tuple[str, ...]) -> str:
    from mixwell import viz

    data = io.BytesIO()
    viz.sheet(policy, images, labels, classes, copies=4).save(data, format="PNG", optimize=True)
    return _embedded(data.getvalue())


def _embedded(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _runs(comparison: Comparison) -> str:
    """Every run's numbers, as in results.csv."""
    if not comparison.rows:
        return ""
    head = "".join(f"<th>{_text(title)}</th>" for title, _ in COLUMNS.values())
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(_cell(row, name))}</td>" for name in COLUMNS) + "</tr>"
        for row in comparison.rows
    )
    return (
        "<h2>Every run</h2><p class='lead'>Test and train are accuracies on clean images, mixed is "
        "on augmented images with their mixed labels. Weights and order are the beginnings of "
        f'digests; results.csv has them whole.</p><div class="scroll"><table><thead><tr>{head}'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(row: dict, name: str) -> str:
    return format(row[name], COLUMNS[name][1])


def _facts(title: str, facts: dict[str, str], *, fold: bool = False) -> str:
    rows = "".join(f"<dt>{_text(k)}</dt><dd><code>{_text(v)}</code></dd>" for k, v in facts.items())
    if fold:
        return f"<details><summary>{_text(title)}</summary><dl>{rows}</dl></details>"
    return f"<h2>{_text(title)}</h2><dl>{rows}</dl>"
