"""Plots of a report as SVG, drawn by matplotlib. What is plotted comes as plain numbers; nothing here scores.

matplotlib is in the extra `plots`. Colours are those of the views; lines differ in their dashes too.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eventx.markup import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _GREY = "#0072B2", "#767676"
_DASHES = ("-", "--", "-.", ":", (0, (3, 1, 1, 1, 1, 1)))
_SIZE = (4.6, 3.6)


class PlotError(RuntimeError):
    """matplotlib is not installed; the message says how to get it."""


def precision_recall(curves: Mapping[str, Sequence[tuple[float, float, float]]]) -> str:
    """Draw precision against recall, a line a type; points are (score, precision, recall)."""
    figure, axes = _axes("recall", "precision")
    for at, (name, points) in enumerate(curves.items()):
        ink = "black" if name == "all" else _dark(colour(name))
        axes.plot(
            [recall for _, _, recall in points],
            [precision for _, precision, _ in points],
            color=ink,
            linestyle=_DASHES[at % len(_DASHES)],
            linewidth=2 if name == "all" else 1.4,
            label=name,
        )
    least = min([1.0, *(precision for line in curves.values() for _, precision, _ in line)])
    axes.set_xlim(0, 1.01)
    axes.set_ylim(max(0, least - 0.1), 1.02)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    return _svg(figure, "Precision and recall by type")


def reliability(points: Sequence[tuple[float, float, int]]) -> str:
    """Draw the share of right spans against their mean score; points are those of `metrics.reliability`."""
    figure, axes = _axes("mean score", "share right")
    axes.plot([0, 1], [0, 1], "--", color=_GREY, linewidth=1)
    axes.plot([mean for mean, _, _ in points], [share for _, share, _ in points], "o-", color=_BLUE, markersize=5)
    low = min([1.0, *(min(mean, share) for mean, share, _ in points)])
    axes.set_xlim(max(0, low - 0.1), 1.01)
    axes.set_ylim(max(0, low - 0.1), 1.02)
    return _svg(figure, "Reliability of the scores")


def learning_curve(points: Mapping[str, Sequence[tuple[int, float, float, float]]]) -> str:
    """Draw F1 against labelled documents (log scale), a line a type; points are (documents, mean, lowest, highest)."""
    figure, axes = _axes("labelled documents", "F1 on dev")
    ticks = sorted({documents for line in points.values() for documents, *_ in line})
    for at, (name, line) in enumerate(points.items()):
        ink = "black" if name == "all" else _dark(colour(name))
        sizes = [documents for documents, *_ in line]
        style: dict[str, Any] = {"color": ink, "linestyle": _DASHES[at % len(_DASHES)]}
        axes.plot(sizes, [mean for _, mean, _, _ in line], marker="o", markersize=3, linewidth=1.6, label=name, **style)
        axes.fill_between(
            sizes, [low for _, _, low, _ in line], [high for _, _, _, high in line], color=ink, alpha=0.12, lw=0
        )
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return _svg(figure, "F1 by number of labelled documents")


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    """Return an empty figure and its axes."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise PlotError('plots need matplotlib, which is not installed; type: pip install "eventx[plots]"') from None
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _svg(figure: Figure, title: str) -> str:
    """Return a figure as an `<svg>` element that says in words what it shows."""
    import matplotlib

    place = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "font.family": "sans-serif"}):
        figure.savefig(place, format="svg", metadata={"Date": None})
    drawn = place.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    return drawn.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)


def _dark(ink: str) -> str:
    """Return a colour dark enough for a line on white: yellow is not."""
    return "#B8A800" if ink == "#F0E442" else ink
