"""Held-out scores -> probabilities, and the threshold under which events cost more F1 than they bring.

Fitting only; applying both is the tagger's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def fit(scores: Sequence[float], right: Sequence[bool]) -> tuple[float, float]:
    """Fit (slope, offset) on the log odds of raw scores of spans that training did not see (Platt 1999).

    Args:
        scores: raw scores in (0, 1), one a predicted span.
        right: whether that span is a gold one, offsets and type.

    Returns:
        The identity (1, 0) where there is nothing to learn from: under ten spans, or all of them right or wrong.
    """
    from sklearn.linear_model import LogisticRegression

    if len(scores) < 10 or len(set(right)) < 2:
        return 1.0, 0.0
    clipped = np.clip(np.asarray(scores, dtype=float), 1e-6, 1 - 1e-6)
    odds = np.log(clipped / (1 - clipped))[:, None]
    model = LogisticRegression(C=1e3).fit(odds, np.asarray(right))
    return round(float(model.coef_[0, 0]), 4), round(float(model.intercept_[0]), 4)


def threshold(scores: Sequence[float], right: Sequence[bool], gold: int) -> float:
    """Return the score from which on events should be kept for the highest F1.

    Args:
        scores: of spans that training did not see, calibrated.
        right: whether that span is a gold one.
        gold: how many gold spans there are.

    Returns:
        Midway between the last score kept and the first dropped; 0.0 where all are kept.
    """
    order = sorted(range(len(scores)), key=lambda at: -scores[at])
    best, hits, cut = 0.0, 0, len(order)
    for kept, at in enumerate(order, 1):
        hits += right[at]
        f1 = 2 * hits / (kept + gold)
        if f1 >= best:
            best, cut = f1, kept
    if cut == len(order):
        return 0.0
    return round((scores[order[cut - 1]] + scores[order[cut]]) / 2, 4)
