"""Errors of a system, one by one, by the cause that a program can tell, to see where work would pay most.

An error pairs a gold span and a predicted one that share a character, or stands alone: a miss or a false alarm. It gets
the first cause of `CAUSES` that fits. The cost of a cause is what exact micro-F1 would gain if its errors were mended.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventx import groups, metrics
from eventx.baselines import Lexicon
from eventx.labels import Article
from eventx.predictions import Prediction
from eventx.spans import Span
from eventx.text import sentences, words

CAUSES: dict[str, str] = {
    "type": "the words are right, their type is not",
    "boundary": "the type is right, the words are too many or too few",
    "boundary and type": "the marks only touch, and their types differ",
    "cut by a threshold": "the system thought of it, but was not sure enough",
    "headline": "in the headline, whose grammar is another",
    "verb beside its noun": "another word near it tells the same event; only one of them is marked",
    "no conflict in the text": "a false alarm in a text that holds no event: a foreign or figurative use",
    "usual word, other sense": "a false alarm on a word that is not marked most times it stands in the train part",
    "usual trigger": "a false alarm on a word that is often a trigger: context or state decides",
    "unseen words": "words that are no trigger in the train part",
    "rare trigger": "a trigger that stands up to four times in the labels of the train part",
    "possible or negated": "a miss of an event that did not take place",
    "usual words": "a miss of a trigger that the train part marks often: only context could tell",
}
"""Cause -> what it means; where several fit, the first one counts."""
_RARE = 4
_NEAR = 4
"""Words between a verb and the noun that tells the same event, at most."""


@dataclass(frozen=True, slots=True)
class Error:
    """One error in its sentence.

    Attributes:
        id: of the document.
        cause: a key of `CAUSES`; `detail` adds the two types of a confusion.
        gold, found: the label and the mark; None for a false alarm and for a miss.
        score: of the mark; None where there is none.
        disputed: whether all networks that did not learn from the document say what the system says: look at the label.
        sentence: half-open offsets of the sentence around it.
        text: of the document.
    """

    id: str
    cause: str
    detail: str
    gold: Span | None
    found: Span | None
    score: float | None
    disputed: bool
    sentence: tuple[int, int]
    text: str

    @property
    def place(self) -> tuple[int, int]:
        """The half-open offsets of the label and the mark together."""
        spans = [span for span in (self.gold, self.found) if span]
        return min(span.start for span in spans), max(span.end for span in spans)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain JSON values, without its text."""
        return {
            "id": self.id,
            "cause": self.cause,
            "detail": self.detail,
            "gold": dataclasses.asdict(self.gold) if self.gold else None,
            "found": dataclasses.asdict(self.found) if self.found else None,
            "score": self.score,
            "disputed": self.disputed,
        }


@dataclass(frozen=True, slots=True)
class Cause:
    """The errors of one cause, and what exact micro-F1 would gain if they were mended."""

    name: str
    errors: tuple[Error, ...]
    cost: float

    def to_dict(self) -> dict[str, Any]:
        """Return the cause as plain JSON values."""
        return {
            "cause": self.name,
            "meaning": CAUSES[self.name],
            "errors": len(self.errors),
            "disputed": sum(error.disputed for error in self.errors),
            "f1_gain_if_mended": round(self.cost, 4),
            "list": [error.to_dict() for error in self.errors],
        }


def find(
    articles: Sequence[Article],
    said: Sequence[Prediction],
    *,
    train: Iterable[Article] | None = None,
    disputes: Mapping[str, Sequence[Sequence[Span]]] | None = None,
) -> list[Error]:
    """List the errors of a system, document after document.

    Args:
        articles: labelled, with their texts.
        said: what the system said of them, in the same order.
        train: the labels that were learnt from; without them no cause speaks of seen or unseen words, and without their
            texts none of how often a word is marked.
        disputes: document id -> the spans of each network that did not learn from it, as cross-fitting gives them.

    Raises:
        ValueError: if articles and predictions are not as many.
    """
    known = list(train or ())
    with_text = [article for article in known if article.text is not None]
    lexicon = Lexicon.fit(with_text, min_share=0.0) if with_text else None
    counts = groups.triggers(known)
    found = []
    for article, each in zip(articles, said, strict=True):
        judge = _Judge(article, each, lexicon, counts if known else None, (disputes or {}).get(article.id, ()))
        found += [judge.error(gold, mark) for gold, mark in _pairs(article.spans, each.spans)]
    return found


def by_cause(errors: Iterable[Error], articles: Sequence[Article], said: Sequence[Prediction]) -> list[Cause]:
    """Group errors by cause, the most costly first."""
    counts = metrics.count([article.spans for article in articles], [each.spans for each in said])
    grouped: defaultdict[str, list[Error]] = defaultdict(list)
    for error in errors:
        grouped[error.cause].append(error)
    causes = []
    for name, those in grouped.items():
        mended = sum(error.gold is not None for error in those)
        dropped = sum(error.gold is None for error in those)
        added = sum(error.found is None for error in those)
        after = metrics.Counts(counts.hits + mended, counts.predicted - dropped + added, counts.gold)
        causes.append(Cause(name, tuple(those), after.f1 - counts.f1))
    return sorted(causes, key=lambda cause: -cause.cost)


def _pairs(gold: Sequence[Span], found: Sequence[Span]) -> list[tuple[Span | None, Span | None]]:
    """Pair labels and marks that share a character, each once, and leave the exact hits out; in text order."""
    wanted = {(span.start, span.end, span.label) for span in gold}
    hits = wanted & {(span.start, span.end, span.label) for span in found}
    left = [span for span in gold if (span.start, span.end, span.label) not in hits]
    right = [span for span in found if (span.start, span.end, span.label) not in hits]
    pairs: list[tuple[Span | None, Span | None]] = []
    free = list(right)
    for span in left:
        near = [mark for mark in free if mark.start < span.end and span.start < mark.end]
        best = max(near, key=lambda mark: min(mark.end, span.end) - max(mark.start, span.start), default=None)
        if best:
            free.remove(best)
        pairs.append((span, best))
    pairs += [(None, mark) for mark in free]
    return sorted(pairs, key=lambda pair: (pair[0] or pair[1] or Span(0, 0, "")).start)


@dataclass(frozen=True, slots=True)
class _Judge:
    """Tells the causes of one document's errors."""

    article: Article
    said: Prediction
    lexicon: Lexicon | None
    counts: Mapping[str, int] | None
    disputes: Sequence[Sequence[Span]]

    def error(self, gold: Span | None, found: Span | None) -> Error:
        """Return the error of a label and a mark, one of which may be None."""
        text = self.article.text or ""
        at = (gold or found or Span(0, 0, "")).start
        bounds = sentences(text)
        around = bounds[max(0, bisect_right([start for start, _ in bounds], at) - 1)] if bounds else (0, len(text))
        cause = self._cause(gold, found)
        detail = f"{gold.label} taken for {found.label}" if gold and found and gold.label != found.label else ""
        score = self.said.scores[self.said.spans.index(found)] if found and self.said.scores else None
        return Error(self.article.id, cause, detail, gold, found, score, self._disputed(gold, found), around, text)

    def _cause(self, gold: Span | None, found: Span | None) -> str:
        """Return the first cause that fits."""
        if gold and found:
            if (gold.start, gold.end) == (found.start, found.end):
                return "type"
            return "boundary" if gold.label == found.label else "boundary and type"
        span = gold or found
        if span is None:
            raise ValueError("an error needs a label or a mark")
        if gold and any((cut.start, cut.end, cut.label) == (gold.start, gold.end, gold.label) for cut in self.said.cut):
            return "cut by a threshold"
        if span.start < groups.headline_of(self.article.text or "")[1]:
            return "headline"
        if self._beside_another(span, found is not None):
            return "verb beside its noun"
        return self._miss(span) if gold else self._false_alarm(span)

    def _miss(self, span: Span) -> str:
        """Return the cause of a miss that nothing around it explains."""
        count = self._count(span)
        if count == 0:
            return "unseen words"
        if count is not None and count <= _RARE:
            return "rare trigger"
        return "possible or negated" if span.modality != "asserted" else "usual words"

    def _false_alarm(self, span: Span) -> str:
        """Return the cause of a false alarm that nothing around it explains."""
        if not self.article.spans:
            return "no conflict in the text"
        if self._count(span) == 0:
            return "unseen words"
        share = self._share(span)
        return "usual trigger" if share is None or share >= 0.5 else "usual word, other sense"

    def _count(self, span: Span) -> int | None:
        """Return how often the train part has these words as a trigger."""
        return None if self.counts is None else self.counts.get(groups.trigger_of(self.article, span), 0)

    def _share(self, span: Span) -> float | None:
        """Return in which share of their places in the train part these words are marked."""
        if self.lexicon is None:
            return None
        text = (self.article.text or "")[span.start : span.end]
        entry = self.lexicon.entries.get(tuple(text[start:end].lower() for start, end in words(text)))
        return entry.marked / entry.seen if entry and entry.seen else None

    def _beside_another(self, span: Span, is_mark: bool) -> bool:
        """Say whether a label (for a false alarm) or a mark (for a miss) of the type stands near in the sentence."""
        text = self.article.text or ""
        others = self.article.spans if is_mark else self.said.spans
        for other in others:
            between = text[min(span.end, other.end) : max(span.start, other.start)]
            apart = other.end <= span.start or span.end <= other.start
            near = len(words(between)) <= _NEAR and not set(between) & set(".;!?\n")
            if apart and near and other.label == span.label:
                return True
        return False

    def _disputed(self, gold: Span | None, found: Span | None) -> bool:
        """Say whether all held-out networks read the place as the system does, against the label."""
        if not self.disputes:
            return False

        def has(spans: Sequence[Span], span: Span) -> bool:
            return any((s.start, s.end, s.label) == (span.start, span.end, span.label) for s in spans)

        if found:
            return all(has(spans, found) for spans in self.disputes)
        return gold is not None and not any(
            s.start < gold.end and gold.start < s.end for spans in self.disputes for s in spans
        )
