"""Errors: every miss and false alarm is told once, by the right cause; comparisons tell every change once."""

import hashlib

import pytest

from eventx import compare, errors, groups, metrics
from eventx.labels import Article
from eventx.predictions import Prediction
from eventx.spans import Span


def article(text: str, *marks: tuple[str, str] | tuple[str, str, str], id: str = "a") -> Article:
    """Return an article with the first place of each word marked."""
    spans = tuple(sorted(Span(text.index(w[0]), text.index(w[0]) + len(w[0]), *w[1:]) for w in marks))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Article(id, digest, len(text), spans, tuple(text[s.start : s.end] for s in spans), text)


TRAIN = [
    article(
        "They fled. They attacked. The strike came. He voiced concern.", ("fled", "flight"), ("attacked", "offensive")
    )
] * 6


def causes(gold: Article, *marks: tuple[str, str], cut=(), train=TRAIN, disputes=None) -> list[str]:
    """Return the causes of the errors of a system that marks these words."""
    marked = article(gold.text, *marks).spans
    dropped = article(gold.text, *cut).spans
    said = [Prediction("a", gold.sha256, marked, tuple([0.5] * len(marked)), dropped)]
    return [error.cause for error in errors.find([gold], said, train=train, disputes=disputes)]


@pytest.mark.parametrize(
    ("gold", "marks", "wanted"),
    [
        (article("Troops attacked it.", ("attacked", "offensive")), [("attacked", "airstrike")], ["type"]),
        (article("Troops took over it.", ("took over", "offensive")), [("took", "offensive")], ["boundary"]),
        (article("Troops took over it.", ("took over", "offensive")), [("took", "flight")], ["boundary and type"]),
        (article("News\nTroops stormed it.", ("stormed", "offensive")), [], ["unseen words"]),
        (article("Troops storm it\nThey waited.", ("storm", "offensive")), [], ["headline"]),
        (article("They fled.", ("fled", "flight")), [], ["usual words"]),
        (article("They would have fled.", ("fled", "flight", "possible")), [], ["possible or negated"]),
        (article("The actor attacked it."), [("attacked", "offensive")], ["no conflict in the text"]),
        (
            article("They fled. A strike of miners began.", ("fled", "flight")),
            [("fled", "flight"), ("strike", "airstrike")],
            ["unseen words"],
        ),
        (
            article("They launched an attack.", ("attack", "offensive")),
            [("attack", "offensive"), ("launched", "offensive")],
            ["verb beside its noun"],
        ),
    ],
)
def test_the_cause(gold, marks, wanted):
    assert causes(gold, *marks) == wanted


def test_what_a_threshold_left_out_is_told():
    gold = article("They stormed it.", ("stormed", "offensive"))
    assert causes(gold, cut=[("stormed", "offensive")]) == ["cut by a threshold"]


def test_a_word_that_is_mostly_not_marked_has_another_sense():
    seen = article("A strike. A strike. A strike hit it.", ("hit", "airstrike"))
    marked = article("The strike.", ("strike", "airstrike"))
    gold = article("They fled. A strike of miners began.", ("fled", "flight"))
    assert causes(gold, ("fled", "flight"), ("strike", "airstrike"), train=[seen, marked]) == [
        "usual word, other sense"
    ]


def test_an_error_that_all_held_out_networks_share_disputes_the_label():
    gold = article("They stormed it.", ("stormed", "offensive"))
    said = [Prediction("a", gold.sha256, ())]
    for networks, wanted in (([[], []], True), ([[], list(gold.spans)], False), ([], False)):
        (error,) = errors.find([gold], said, disputes={"a": networks})
        assert error.disputed is wanted


def test_mending_every_cause_gives_a_perfect_score(root, tiny):
    from eventx import labels, predictions

    articles = labels.read(root / "labels" / "written.jsonl")[:40]
    said = predictions.run(tiny, articles)
    found = errors.by_cause(errors.find(articles, said), articles, said)
    counts = metrics.count([a.spans for a in articles], [s.spans for s in said])
    listed = [error for cause in found for error in cause.errors]
    assert sum(error.gold is not None for error in listed) == counts.gold - counts.hits
    assert sum(error.found is not None for error in listed) == counts.predicted - counts.hits
    assert all(cause.cost > 0 for cause in found)
    assert [cause.cost for cause in found] == sorted((cause.cost for cause in found), reverse=True)


def test_a_comparison_tells_every_change_once():
    gold = [
        article("They fled and attacked it.", ("fled", "flight"), ("attacked", "offensive")),
        article("Nothing fled."),
    ]
    fled, attacked = gold[0].spans
    alarm = article("Nothing fled.", ("fled", "flight")).spans
    a = [Prediction("a", "", (fled,)), Prediction("b", "", alarm)]
    b = [Prediction("a", "", (fled, attacked)), Prediction("b", "", ())]
    found = compare.compare(gold, ("one", a), ("two", b))
    assert (found.first.f1, found.second.f1) == (0.5, 1.0)
    assert found.difference == 0.5
    assert found.wins == {"offensive": 1, "flight": 0}
    assert found.losses == {"offensive": 0, "flight": 0}
    assert found.alarms == {"offensive": (0, 0), "flight": (1, 0)}
    assert [change.won for change in found.changes] == [True, True]
    back = compare.compare(gold, ("two", b), ("one", a))
    assert (back.difference, back.p, back.wins) == (-0.5, found.p, found.losses)
    assert compare.compare(gold, ("one", a), ("again", a)).changes == ()


def test_groups_of_triggers_and_places():
    rules = groups.of_mentions(TRAIN)
    text = article("Troops storm it\nThey fled. " + "x " * 40, ("storm", "offensive"), ("fled", "flight"))
    assert [rules["trigger"](text, span) for span in text.spans] == ["never seen", "seen 5 times or more"]
    assert [rules["position"](text, span) for span in text.spans] == ["headline", "first third"]
