"""Predictions: what a system says is kept and read again unchanged, and not for another text."""

import dataclasses

import pytest

from eventx import labels, predictions
from eventx.spans import Span


@pytest.fixture(scope="module")
def articles(root):
    return labels.read(root / "labels" / "seeds.jsonl")


def test_they_are_read_as_written(articles, tiny, tmp_path):
    said = predictions.run(tiny, articles)
    assert all(len(each.spans) == len(each.scores) for each in said)
    predictions.write(said, tmp_path / "a.jsonl")
    assert predictions.read(tmp_path / "a.jsonl", articles) == said
    assert predictions.read(tmp_path / "a.jsonl", articles[:2]) == said[:2]


def test_what_a_threshold_cuts_is_kept_apart(articles, tiny):
    config = dataclasses.replace(tiny.config, thresholds=dict.fromkeys(tiny.config.types, 0.9))
    strict = type(tiny)(config, tiny._coding, tiny._session)
    for each, loose in zip(predictions.run(strict, articles), predictions.run(tiny, articles), strict=True):
        assert not set(each.spans) & set(each.cut)
        assert set(each.spans) | set(each.cut) >= set(loose.spans)


def test_other_documents_and_texts_are_refused(articles, tmp_path):
    said = [predictions.Prediction(articles[0].id, articles[0].sha256, (Span(0, 2, "flight"),))]
    predictions.write(said, tmp_path / "a.jsonl")
    with pytest.raises(predictions.PredictionError, match="says nothing of document"):
        predictions.read(tmp_path / "a.jsonl", articles)
    with pytest.raises(predictions.PredictionError, match="another text"):
        predictions.read(tmp_path / "a.jsonl", [dataclasses.replace(articles[0], sha256="0" * 64)])
    (tmp_path / "b.jsonl").write_text("{}\n")
    with pytest.raises(predictions.PredictionError, match=r"b\.jsonl:1: not a line of predictions"):
        predictions.read(tmp_path / "b.jsonl", articles)
    with pytest.raises(predictions.PredictionError, match="cannot be read"):
        predictions.read(tmp_path / "none.jsonl", articles)
