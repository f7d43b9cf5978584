"""Reports: what a perfect, an empty and a half-right system score, and what the tables say."""

import dataclasses
import io
import json

import pytest

pytest.importorskip("sklearn")

from rich.console import Console

from eventx import evaluate, labels, terminal
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
    assert report.markdown().count("\n|") >= 2 + len(rows)
    assert json.loads(json.dumps(report.to_dict()))["scores"][0]["system"] == "a"


def test_articles_without_text_are_refused(articles):
    with pytest.raises(ValueError, match="--texts"):
        evaluate.evaluate([dataclasses.replace(articles[0], text=None)], {"empty": lambda text: []}, title="t")
    with pytest.raises(ValueError, match="no article"):
        evaluate.evaluate([], {"empty": lambda text: []}, title="t")


def test_groups_add_up_to_the_whole(articles, tiny):
    (score,) = evaluate.evaluate(articles, {"tiny": tiny}, title="t", samples=50, train=articles).scores
    for grouping in {group.grouping for group in score.groups}:
        parts = [group for group in score.groups if group.grouping == grouping]
        assert sum(group.exact.gold for group in parts) == score.exact.gold
        assert sum(group.exact.predicted for group in parts) == score.exact.predicted
        if grouping != "modality":  # a hit may bear another modality
            assert sum(group.exact.hits for group in parts) == score.exact.hits


def test_a_second_reader_is_scored_on_what_was_read(articles):
    second = {articles[0].id: articles[0].spans, "another": ()}
    report = evaluate.evaluate(articles, {"empty": lambda text: []}, title="t", samples=50, second=second)
    assert (report.ceiling.documents, report.ceiling.reader, report.ceiling.systems) == (1, 1.0, {"empty": 0.0})


def test_a_type_has_the_interval_of_its_own_documents(articles):
    """Missing a type in one article leaves its interval wide, and those of other types at one."""
    gold = {article.text: list(article.spans) for article in articles}
    first = next(article.text for article in articles if any(span.label == "flight" for span in article.spans))

    def system(text):
        return [span for span in gold[text] if span.label != "flight" or text != first]

    (score,) = evaluate.evaluate(articles, {"half": system}, title="t", samples=200).scores
    low, high = score.by_type_intervals["flight"]
    assert low < score.by_type["flight"].f1 < high <= 1
    assert score.by_type_intervals["offensive"] == (1, 1)
    held = [article for article in articles if any(span.label == "flight" for span in article.spans)]
    (fewer,) = evaluate.evaluate(held, {"half": system}, title="t", samples=200).scores
    assert fewer.by_type_intervals["flight"] == (low, high), "articles without the type change nothing"
    assert score.to_dict()["by_type"]["flight"]["interval"] == [round(low, 4), round(high, 4)]
    report = evaluate.evaluate(articles, {"half": system}, title="t", samples=200)
    for width, shown in ((80, True), (40, False)):
        console = Console(width=width, file=io.StringIO())
        terminal.report(report, console)
        line = next(line for line in console.file.getvalue().splitlines() if "F1 flight" in line)
        assert (f"({low:.3f}-{high:.3f})" in line) == shown
