"""Two systems on the same articles: whether one is better beyond chance, where, and on which mentions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eventx import metrics
from eventx.labels import Article
from eventx.predictions import Prediction
from eventx.spans import Span
from eventx.text import sentences

_SAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Change:
    """A place where one system is right and the other is not.

    Attributes:
        id, text: of the document.
        gold: the label; None where the place is a false alarm of one of them.
        first, second: what each marks there; None if nothing.
        won: whether the second is the right one.
        sentence: half-open offsets.
    """

    id: str
    text: str
    gold: Span | None
    first: Span | None
    second: Span | None
    won: bool
    sentence: tuple[int, int]

    @property
    def place(self) -> tuple[int, int]:
        """The half-open offsets of the label and both marks together."""
        spans = [span for span in (self.gold, self.first, self.second) if span]
        return min(span.start for span in spans), max(span.end for span in spans)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems, paired over documents; `b` less `a`.

    Attributes:
        a, b: their names. documents: how many articles.
        first, second: exact counts of each.
        difference: exact micro-F1 of `b` less that of `a`; interval: its 95% bounds, paired bootstrap over documents.
        p: two-sided, by approximate randomisation over documents.
        wins, losses: type -> labels that only `b` finds, that only `a` finds.
        alarms: type -> (false alarms of `a` alone, of `b` alone).
        changes: every place whose outcome changed, in document order.
    """

    a: str
    b: str
    documents: int
    first: metrics.Counts
    second: metrics.Counts
    difference: float
    interval: tuple[float, float]
    p: float
    wins: dict[str, int]
    losses: dict[str, int]
    alarms: dict[str, tuple[int, int]]
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        """Return the comparison as a sentence."""
        low, high = self.interval
        sure = "beyond chance" if self.p < 0.05 else "no more than chance may do"
        return (
            f"{self.b} F1 {self.second.f1:.4f}, {self.a} F1 {self.first.f1:.4f}: {self.difference:+.4f} "
            f"({low:+.4f} to {high:+.4f}), p = {self.p:.4f}: {sure}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON values, without text."""
        return {
            "a": self.a,
            "b": self.b,
            "documents": self.documents,
            "f1": [round(self.first.f1, 4), round(self.second.f1, 4)],
            "difference": round(self.difference, 4),
            "interval": [round(bound, 4) for bound in self.interval],
            "p": round(self.p, 5),
            "wins": self.wins,
            "losses": self.losses,
            "false_alarms": {name: list(pair) for name, pair in self.alarms.items()},
            "changes": [
                {
                    "id": change.id,
                    "won": change.won,
                    **{
                        name: [span.start, span.end, span.label] if span else None
                        for name, span in (("gold", change.gold), ("a", change.first), ("b", change.second))
                    },
                }
                for change in self.changes
            ],
        }


def compare(
    articles: Sequence[Article], a: tuple[str, Sequence[Prediction]], b: tuple[str, Sequence[Prediction]]
) -> Comparison:
    """Compare what two systems said of the same labelled articles.

    Args:
        articles: with their texts; none that a system has learnt from.
        a: name and predictions, in the order of the articles.
        b: likewise, of the other system.

    Raises:
        ValueError: if articles and predictions are not as many.
    """
    gold = [article.spans for article in articles]
    one, two = ([each.spans for each in said] for _, said in (a, b))
    first, second = metrics.count(gold, one), metrics.count(gold, two)
    changes = [
        change
        for article, left, right in zip(articles, one, two, strict=True)
        for change in _changes(article, left, right)
    ]
    found = [change for change in changes if change.gold]
    alarms = [change for change in changes if not change.gold]
    types = metrics.in_order(
        {change.gold.label for change in found if change.gold}
        | {span.label for change in alarms for span in (change.first, change.second) if span}
    )
    return Comparison(
        a[0],
        b[0],
        len(articles),
        first,
        second,
        second.f1 - first.f1,
        metrics.difference_interval(gold, one, two),
        metrics.permutation_p(gold, one, two, samples=_SAMPLES),
        {name: sum(c.won for c in found if c.gold and c.gold.label == name) for name in types},
        {name: sum(not c.won for c in found if c.gold and c.gold.label == name) for name in types},
        {
            name: (
                sum(c.won for c in alarms if c.first and c.first.label == name),
                sum(not c.won for c in alarms if c.second and c.second.label == name),
            )
            for name in types
        },
        tuple(changes),
    )


def _changes(article: Article, one: Sequence[Span], two: Sequence[Span]) -> list[Change]:
    """List the places of an article where exactly one of two systems is right."""
    text = article.text or ""
    bounds = sentences(text)

    def key(span: Span) -> tuple[int, int, str]:
        return span.start, span.end, span.label

    def near(spans: Sequence[Span], span: Span) -> Span | None:
        exact = [other for other in spans if key(other) == key(span)]
        touching = [other for other in spans if other.start < span.end and span.start < other.end]
        return next(iter([*exact, *touching]), None)

    def around(span: Span) -> tuple[int, int]:
        return max((each for each in bounds if each[0] <= span.start), default=(0, len(text)))

    left, right = ({key(span) for span in spans} for spans in (one, two))
    made = [
        Change(article.id, text, span, near(one, span), near(two, span), key(span) in right, around(span))
        for span in article.spans
        if (key(span) in left) != (key(span) in right)
    ]
    for mine, others, won in ((one, two, True), (two, one, False)):
        for span in mine:
            # A mark that touches a label is told with that label; where both are wrong nobody wins.
            if not near(article.spans, span) and not near(others, span):
                first, second = (span, None) if won else (None, span)
                made.append(Change(article.id, text, None, first, second, won, around(span)))
    return sorted(made, key=lambda change: change.place)
