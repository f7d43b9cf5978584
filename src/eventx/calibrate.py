"""Held-out scores -> probabilities a type, thresholds a type, and the table from precision to score.

Fitting only; applying what was fitted is the tagger's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

TARGETS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
"""The precisions that the table tells a score for."""
_GAIN = 0.001
"""A type gets a threshold of its own only if F1 gains this much: less is chance on a few hundred documents."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A predicted span of a held-out text: its type, its score, and whether a gold span has its offsets and type."""

    label: str
    score: float
    right: bool


def fit(marked: Sequence[Marked], types: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Fit (slope, offset) on the log odds of raw scores of spans that training did not see, a type each (Platt 1999).

    One curve is fitted to all types, and each type's departure from it is shrunk towards nothing, the more the fewer
    spans of it there are (ridge).

    Args:
        marked: with raw scores in (0, 1).
        types: to give a curve each.

    Returns:
        The identity (1, 0) for all where there is nothing to learn from: under ten spans, or all right, or all wrong.
    """
    from sklearn.linear_model import LogisticRegression

    right = np.array([span.right for span in marked])
    if len(marked) < 10 or len(set(right.tolist())) < 2:
        return dict.fromkeys(types, (1.0, 0.0))
    clipped = np.clip([span.score for span in marked], 1e-6, 1 - 1e-6)
    odds = np.log(clipped / (1 - clipped))
    owns = np.array([[span.label == name for name in types] for span in marked], dtype=float)
    wide = 100.0  # leaves the common slope all but unpenalised
    features = np.hstack([wide * odds[:, None], owns, owns * odds[:, None]])
    model = LogisticRegression(C=1.0, max_iter=5000).fit(features, right)
    slope, weights = wide * model.coef_[0, 0], model.coef_[0, 1:]
    count = len(types)
    return {
        name: (
            round(float(slope + weights[count + at]), 4),
            round(float(model.intercept_[0] + weights[at]), 4),
        )
        for at, name in enumerate(types)
    }


def thresholds(marked: Sequence[Marked], types: Sequence[str], gold: int) -> dict[str, float]:
    """Return the score a type from which on events should be kept for the highest micro-F1.

    Args:
        marked: with calibrated scores.
        types: to give a threshold each.
        gold: how many gold spans there are.

    Returns:
        The best common threshold, midway between the last score kept and the first dropped (0.0 where all are kept); a
        type has another where that gains F1 beyond chance.
    """
    common = _best(marked, 0, 0, gold)[0]
    found = dict.fromkeys(types, common)
    for name in types:
        own = [span for span in marked if span.label == name]
        rest = [span for span in marked if span.label != name and span.score >= found[span.label]]
        hits = sum(span.right for span in rest)
        cut, best = _best(own, hits, len(rest), gold)
        kept = [span for span in own if span.score >= common]
        before = 2 * (hits + sum(span.right for span in kept)) / max(1, len(rest) + len(kept) + gold)
        if best >= before + _GAIN:
            found[name] = cut
    return found


def precision_table(marked: Sequence[Marked]) -> list[tuple[float, float]]:
    """Return (precision, score) pairs: the least score from which on spans of that precision or better are kept.

    A precision that no score reaches is left out.
    """
    ranked = sorted(marked, key=lambda span: -span.score)
    right = np.cumsum([span.right for span in ranked])
    precision = right / np.arange(1, len(ranked) + 1) if ranked else np.zeros(0)
    table = []
    for target in TARGETS:
        good = np.flatnonzero(precision >= target)
        good = good[good >= min(20, len(ranked)) - 1]  # fewer spans say nothing of a share
        if len(good):
            table.append((target, round(ranked[int(good[-1])].score, 4)))
    return table


def outside_bias(score: Callable[[float], float]) -> float:
    """Return what to add to the logit of O for the highest held-out F1: with weights on events too much is marked.

    Args:
        score: from a bias to F1.

    Returns:
        The middle of three neighbours with the highest mean: a single peak is chance.
    """
    grid = [0.25 * step for step in range(-2, 11)]
    found = np.array([score(bias) for bias in grid])
    smooth = (found[:-2] + found[1:-1] + found[2:]) / 3
    return grid[1 + int(smooth.argmax())]


def _best(marked: Sequence[Marked], hits: int, kept: int, gold: int) -> tuple[float, float]:
    """Return the cut with the highest F1, and that F1, where `kept` other spans with `hits` right ones stay anyway."""
    ranked = sorted(marked, key=lambda span: -span.score)
    best, cut = 2 * hits / max(1, kept + gold), 0
    for at, span in enumerate(ranked, 1):
        hits += span.right
        f1 = 2 * hits / (kept + at + gold)
        if f1 >= best:
            best, cut = f1, at
    if cut == len(ranked):
        return 0.0, best
    if cut == 0:
        return 1.0, best
    return round((ranked[cut - 1].score + ranked[cut].score) / 2, 4), best
