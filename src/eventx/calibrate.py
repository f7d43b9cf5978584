"""Held-out scores -> a calibration that makes them probabilities. Fitting only; applying it is the tagger's."""

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
