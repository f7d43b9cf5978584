"""A report as one HTML page that needs nothing else: no script, no request; for wide screens, narrow ones and paper.

The page quotes sentences of the texts it speaks of: it may be shared as far as they may.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise

from eventx import plots
from eventx.compare import Change
from eventx.errors import CAUSES, Cause, Error
from eventx.markup import colour
from eventx.metrics import Counts
from eventx.report import Report, Score, with_interval
from eventx.schema import MODALITIES, TYPES

_SHOWN = 12
"""Errors that are shown of a cause."""
_AROUND = 90
"""Characters shown on each side of an error, at most."""
_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto; max-width: 76rem;
  padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; } p { margin: .4rem 0; max-width: 50rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: .4rem 0; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #e5e5e5; overflow-wrap: normal; }
th { font-weight: 600; vertical-align: bottom; } td:first-child, th:first-child, .left { text-align: left; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; flex: 1 1 18rem; max-width: 28rem; }
figure svg { width: 100%; height: auto; } figcaption { font-size: .85rem; color: #555; }
.bar { display: inline-block; height: .7em; background: #0072B2; vertical-align: baseline; }
mark { color: #000; padding: 0 .15em; border-radius: 2px; } u { text-decoration-thickness: 2px; font-weight: 600; }
ul.errors { list-style: none; padding: 0; margin: .3rem 0; } ul.errors li { margin: .35rem 0; }
small, .dim { color: #555; } details > summary { cursor: pointer; }
@media print { details { display: block; } body { font-size: 11px; } }
"""


def render(
    report: Report,
    *,
    causes: Mapping[str, Sequence[Cause]] | None = None,
    curve: Mapping[str, Sequence[tuple[int, float, float, float]]] | None = None,
) -> str:
    """Return the page of a report.

    Args:
        report: what was scored.
        causes: system -> its errors by cause.
        curve: a learning curve, as `plots.learning_curve` takes it.

    Raises:
        PlotError: if matplotlib is not installed.
    """
    parts = [f"<h1>{escape(report.title)}</h1>"]
    parts.append(
        f"<p>{report.sizes}. A hit has the same offsets and the same type; scores are micro-averaged over mentions, "
        "intervals are 95% from a bootstrap over documents.</p>"
    )
    parts.append(_table(report.rows()))
    if report.ceiling:
        parts.append(f"<p>For comparison {escape(str(report.ceiling))}.</p>")
    for score in report.scores:
        parts += _system(score, (causes or {}).get(score.system, ()))
    if curve:
        parts += [
            "<h2>Learning curve</h2>",
            '<div class="plots">',
            _figure(plots.learning_curve(curve), "Mean of several seeds; the band is the lowest to the highest."),
            "</div>",
        ]
    if any(score.groups for score in report.scores):
        parts += ["<h2>By group</h2>", _table(report.group_rows(), left=2)]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(report.title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _system(score: Score, causes: Sequence[Cause]) -> Iterable[str]:
    """Yield the parts that tell of one system."""
    yield f"<h2>{escape(score.system)}</h2>"
    yield _types(score)
    if score.curves:
        yield '<div class="plots">'
        yield _figure(
            plots.precision_recall(score.curves), "Precision and recall as events under a score are left out."
        )
        error = "" if score.calibration_error is None else f" Calibration error {score.calibration_error:.3f}."
        yield _figure(
            plots.reliability(score.reliability),
            f"Share right against mean score, in bins of equal size; a calibrated system lies on the dashes.{error}",
        )
        yield "</div>"
    yield "<h3>Types: label (row) against mark (column), spans with the same offsets</h3>"
    yield _confusion(score.types, TYPES, none=("nothing there", "missed"))
    yield "<h3>Modality: label (row) against mark (column), exactly found spans</h3>"
    yield _confusion(score.modalities, MODALITIES)
    if causes:
        yield "<h3>Errors by cause, the most costly first</h3>"
        yield "<p>F1 gain: what exact F1 would gain if all errors of the cause were mended.</p>"
        yield _causes(causes)
        for cause in causes:
            yield _examples(cause)


def _types(score: Score) -> str:
    """Return the table of scores by type."""
    rows = [["type", "labels", "marks", "precision", "recall", "F1 (95% interval)", "F1 of presence"]]
    for name, counts, interval in score.types_with_intervals():
        there = score.presence.get(name, Counts())
        rows.append(
            [
                name,
                f"{counts.gold:,}",
                f"{counts.predicted:,}",
                f"{counts.precision:.3f}",
                f"{counts.recall:.3f}",
                with_interval(counts.f1, interval),
                f"{there.f1:.3f}",
            ]
        )
    return _table(rows)


def _confusion(cells: Mapping[tuple[str, str], int], known: Iterable[str], none: tuple[str, str] | None = None) -> str:
    """Return a confusion matrix as a table, darker where a row has more; `none` names the empty row and column."""
    order = list(known)
    names = [*order, *sorted({name for pair in cells for name in pair if name} - set(order))]
    sides = [*names, ""] if none else names
    head = "".join(f"<th>{escape(name or (none or ('', ''))[1])}</th>" for name in sides)
    rows = []
    for wanted in sides:
        numbers = [cells.get((wanted, found), 0) for found in sides]
        total = sum(numbers)
        shown = "".join(_cell(number, total) for number in numbers)
        rows.append(f"<tr><th>{escape(wanted or (none or ('', ''))[0])}</th>{shown}</tr>")
    return f'<div class="scroll"><table><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'


def _cell(number: int, total: int) -> str:
    """Return a cell of a confusion matrix."""
    share = number / total if total else 0.0
    ink = "#fff" if share > 0.6 else "#000"
    style = f"background:rgba(0,114,178,{share:.2f});color:{ink}" if number else "color:#767676"
    return f'<td style="{style}">{number:,}</td>'


def _causes(causes: Sequence[Cause]) -> str:
    """Return the table of causes."""
    most = max((cause.cost for cause in causes), default=1.0) or 1.0
    rows = []
    for cause in causes:
        bar = f'<span class="bar" style="width:{5 * max(0.0, cause.cost) / most:.2f}rem"></span>'
        disputed = sum(error.disputed for error in cause.errors)
        rows.append(
            f"<tr><td>{escape(cause.name)}</td><td>{len(cause.errors):,}</td><td>{disputed:,}</td><td>{cause.cost:.4f}</td>"
            f'<td class="left">{bar}</td><td class="left"><small>{escape(CAUSES[cause.name])}</small></td></tr>'
        )
    head = (
        "<tr><th>cause</th><th>errors</th><th>label disputed</th><th>F1 gain</th><th></th>"
        '<th class="left">what it is</th></tr>'
    )
    return f'<div class="scroll"><table>{head}{"".join(rows)}</table></div>'


def _examples(cause: Cause) -> str:
    """Return the first errors of a cause, each in its sentence."""
    shown = "".join(f"<li>{_error(error)}</li>" for error in cause.errors[:_SHOWN])
    more = len(cause.errors) - _SHOWN
    rest = f"<p><small>and {more:,} more in report.json</small></p>" if more > 0 else ""
    return (
        f"<details><summary>{escape(cause.name)}: {len(cause.errors):,}</summary>"
        f'<ul class="errors">{shown}</ul>{rest}</details>'
    )


def _error(error: Error) -> str:
    """Return an error in its sentence: the label underlined, the mark in the colour of its type."""
    gold = f"label {escape(error.gold.label)}" if error.gold else "no label"
    found = f"mark {escape(error.found.label)}" if error.found else "no mark"
    score = f" {error.score:.2f}" if error.score is not None else ""
    return f"{in_context(error)}<br><small>{escape(error.id)}: {gold}, {found}{score}</small>"


def in_context(place: Error | Change) -> str:
    """Return the words around an error or a change as HTML: the label underlined, the last mark in its colour."""
    found = place.found if isinstance(place, Error) else place.second or place.first
    low, high = place.place
    left = max(min(place.sentence[0], low), low - _AROUND)
    right = min(max(place.sentence[1], high), high + _AROUND)
    edges = sorted({left, right, *(edge for span in (place.gold, found) if span for edge in (span.start, span.end))})
    pieces = ["…" if left > place.sentence[0] else ""]
    for start, end in pairwise(edges):
        piece = escape(place.text[start:end])
        if place.gold and place.gold.start <= start < place.gold.end:
            piece = f"<u>{piece}</u>"
        if found and found.start <= start < found.end:
            piece = f'<mark style="background:{colour(found.label)}">{piece}</mark>'
        pieces.append(piece)
    return "".join(pieces) + ("…" if right < place.sentence[1] else "")


def _figure(svg: str, caption: str) -> str:
    """Return a plot with its caption."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _table(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return rows of strings as an HTML table, the first one its header; the first `left` columns are words."""
    header, *others = rows

    def cells(row: Sequence[str], tag: str) -> str:
        plain = [escape(cell.replace("**", "")) for cell in row]
        return "".join(f"<{tag}{' class=left' if at < left else ''}>{cell}</{tag}>" for at, cell in enumerate(plain))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in others)
    return f'<div class="scroll"><table><tr>{cells(header, "th")}</tr>{body}</table></div>'
