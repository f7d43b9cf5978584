"""Calibration: known curves are found, thresholds serve F1, the table keeps what it says."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from eventx import calibrate
from eventx.calibrate import Marked


def drawn(count, slope, offset, label, seed):
    rng = np.random.default_rng(seed)
    raw = rng.uniform(0.01, 0.99, count)
    odds = np.log(raw / (1 - raw))
    right = rng.random(count) < 1 / (1 + np.exp(-(slope * odds + offset)))
    return [Marked(label, float(score), bool(hit)) for score, hit in zip(raw, right, strict=True)]


def test_a_known_curve_is_found_for_each_type():
    marked = drawn(20000, 0.6, -0.5, "a", 0) + drawn(20000, 1.2, 0.8, "b", 1)
    curves = calibrate.fit(marked, ["a", "b", "c"])
    assert curves["a"] == pytest.approx((0.6, -0.5), abs=0.06)
    assert curves["b"] == pytest.approx((1.2, 0.8), abs=0.06)


def test_a_rare_type_follows_the_others():
    marked = drawn(20000, 0.6, -0.5, "a", 0) + [Marked("b", 0.5, True)] * 3
    curves = calibrate.fit(marked, ["a", "b", "c"])
    assert curves["c"] == pytest.approx(curves["a"], abs=0.7)
    assert abs(curves["b"][1] - curves["c"][1]) < 1.5


def test_nothing_is_fitted_to_nothing():
    assert calibrate.fit([Marked("a", 0.5, True)] * 3, ["a"]) == {"a": (1.0, 0.0)}
    assert calibrate.fit([Marked("a", 0.5, True)] * 30, ["a"]) == {"a": (1.0, 0.0)}


def of(scores, right, label="a"):
    return [Marked(label, score, hit) for score, hit in zip(scores, right, strict=True)]


def test_the_threshold_maximises_f1():
    marked = of([0.9, 0.8, 0.4, 0.3, 0.2], [True, True, False, True, False])
    assert calibrate.thresholds(marked, ["a"], gold=3) == {"a": 0.25}
    assert calibrate.thresholds(marked, ["a"], gold=40) == {"a": 0.25}
    assert calibrate.thresholds(of([0.9, 0.1], [True, False]), ["a"], gold=1) == {"a": 0.5}
    assert calibrate.thresholds(of([0.9], [True]), ["a"], gold=1) == {"a": 0.0}
    assert calibrate.thresholds([], ["a"], gold=1) == {"a": 0.0}


def test_a_type_that_errs_more_gets_a_higher_threshold():
    good = of([0.9, 0.8, 0.7, 0.6, 0.5, 0.4] * 10, [True] * 60, "good")
    bad = of([0.95] * 5 + [0.6, 0.5] * 10, [True] * 5 + [False] * 20, "bad")
    cuts = calibrate.thresholds(good + bad, ["good", "bad"], gold=70)
    assert cuts["good"] < 0.4
    assert 0.6 < cuts["bad"] < 0.95


def test_the_table_keeps_its_precisions():
    marked = drawn(4000, 1.0, 0.0, "a", 3)
    table = calibrate.precision_table(marked)
    assert [share for share, _ in table] == sorted(share for share, _ in table)
    for share, score in table:
        kept = [span for span in marked if span.score >= score - 5e-5]
        assert np.mean([span.right for span in kept]) == pytest.approx(share, abs=0.01)
    assert calibrate.precision_table([]) == []
    assert calibrate.precision_table([Marked("a", 0.9, False)] * 50) == []


def test_the_bias_is_the_middle_of_the_best_stretch():
    assert calibrate.outside_bias(lambda bias: -abs(bias - 1.0)) == 1.0

    def peaked(bias):
        return 1.0 if bias == 2.0 else 0.9 if 0.25 <= bias <= 0.75 else 0.5

    assert calibrate.outside_bias(peaked) == 0.5
