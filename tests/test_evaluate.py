"""Reports: what a perfect, an empty and a half-right system score, and what the tables say."""

import dataclasses
import json

import pytest

pytest.importorskip("sklearn")

from eventx import calibrate, evaluate, labels
from eventx.spans import Span


@pytest.fixture(scope="module")
def articles(root):
    return labels.read(root / "labels" / "seeds.jsonl")


def test_perfect_and_empty_systems(articles):
    gold = {article.text: list(article.spans) for article in articles}
    systems = {"perfect": gold.__getitem__, "empty": lambda text: []}
    report = evaluate.evaluate(articles, systems, title="t", samples=50)
    perfect, empty = report.scores
    assert (perfect.exact.f1, perfect.span, perfect.overlap, perfect.modality) == (1, 1, 1, 1)
    assert perfect.interval == (1, 1)
    assert empty.exact.f1 == empty.modality == 0
    assert report.documents == 5
    assert report.mentions == 89


def test_a_tagger_gets_a_calibration_error(articles, tiny):
    (score,) = evaluate.evaluate(articles, {"tiny": tiny}, title="t", samples=50).scores
    assert 0 <= score.calibration_error <= 1
    assert score.exact.f1 > 0.9, "the tiny model knows the seeds by heart"


def test_tables_have_one_column_a_system(articles):
    report = evaluate.evaluate(articles, {"a": lambda text: [Span(0, 2, "flight")], "b": lambda text: []}, title="t")
    header, *rows = report.rows()
    assert all(len(row) == len(header) for row in rows)
    assert header == ["", "a", "b"]
    assert report.markdown().count("\n|") == 2 + len(rows)
    assert json.loads(json.dumps(report.to_dict()))["scores"][0]["system"] == "a"


def test_articles_without_text_are_refused(articles):
    with pytest.raises(ValueError, match="--texts"):
        evaluate.evaluate([dataclasses.replace(articles[0], text=None)], {}, title="t")


def test_calibration_finds_a_known_curve():
    import numpy as np

    rng = np.random.default_rng(0)
    raw = rng.uniform(0.01, 0.99, 20000)
    odds = np.log(raw / (1 - raw))
    right = rng.random(20000) < 1 / (1 + np.exp(-(0.6 * odds - 0.5)))
    slope, offset = calibrate.fit(list(raw), list(right))
    assert slope == pytest.approx(0.6, abs=0.05)
    assert offset == pytest.approx(-0.5, abs=0.05)
    assert calibrate.fit([0.5] * 3, [True] * 3) == (1.0, 0.0)


def test_the_threshold_maximises_f1():
    scores, right = [0.9, 0.8, 0.4, 0.3, 0.2], [True, True, False, True, False]
    assert calibrate.threshold(scores, right, gold=3) == 0.25
    assert calibrate.threshold(scores, right, gold=40) == 0.25
    assert calibrate.threshold([0.9, 0.1], [True, False], gold=1) == 0.5
    assert calibrate.threshold([0.9], [True], gold=1) == 0.0
    assert calibrate.threshold([], [], gold=1) == 0.0


@pytest.mark.slow
def test_leave_one_out_trains_on_the_others_only(root, monkeypatch):
    from eventx import recipe, train

    config = recipe.TrainConfig.read(root / "tests" / "data" / "tiny.toml")
    seen = []
    genuine = train.train

    def watched(config, articles, dev, run):
        seen.append([article.id for article in articles])
        return genuine(dataclasses.replace(config, epochs=1), articles, dev, run)

    monkeypatch.setattr(train, "train", watched)
    report = evaluate.leave_one_out(config, None)
    assert [len(ids) for ids in seen] == [4] * 5
    assert len({tuple(ids) for ids in seen}) == 5
    assert [score.system for score in report.scores] == ["model", "trigger lexicon", "linear on word features"]
