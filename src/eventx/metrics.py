"""Gold spans x predicted spans -> counts, precision, recall, F1, intervals: pure functions, no files, no models.

Unless a name says otherwise a hit is exact: the same offsets and the same type. Scores are micro-averaged over
mentions. A document is a sequence of spans without overlap; gold and predicted documents stand in the same order.
A share of nothing is 0.0, as seqeval and scikit-learn have it: with no span on either side F1 is 0.0. What a model is,
where its probabilities come from and how a report looks is not known here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eventx.schema import TYPES
from eventx.spans import Span

Spans = Sequence[Span]
Documents = Sequence[Spans]
Match = Literal["exact", "span", "overlap"]
"""A hit: the same offsets and type, the same offsets, or the same type and a shared character."""

_CELLS = 4_000_000
"""Most (samples x documents) cells drawn at a time: 32 MB of draws, however many documents there are."""
_TIE = 1e-12
"""Two differences of F1 that part by less are one: the same counts summed in another order."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many spans were predicted, how many are gold, and how many of both are one: all that P, R and F1 need.

    >>> both = Counts(hits=1, predicted=2, gold=4) + Counts(hits=1, predicted=0, gold=0)
    >>> both.precision, both.recall, round(both.f1, 3)
    (1.0, 0.5, 0.667)
    >>> Counts().f1
    0.0
    """

    hits: int = 0
    predicted: int = 0
    gold: int = 0

    @property
    def precision(self) -> float:
        """The share of the predicted spans that are hits; 0.0 where none is predicted."""
        return self.hits / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """The share of the gold spans that are hits; 0.0 where none is gold."""
        return self.hits / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0.0 where there is neither a gold nor a predicted span."""
        return 2 * self.hits / (self.predicted + self.gold) if self.predicted + self.gold else 0.0

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of both sets of documents together."""
        return Counts(self.hits + other.hits, self.predicted + other.predicted, self.gold + other.gold)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two annotators agree; nothing in it changes when they change places.

    Attributes:
        exact: micro F1 of offsets and type.
        span: micro F1 of offsets alone.
        by_type: type -> F1 of offsets and type.
        modality: (exact spans with equal modality, exact spans that both marked).
    """

    exact: float
    span: float
    by_type: dict[str, float]
    modality: tuple[int, int]


def count(gold: Documents, predicted: Documents, match: Match = "exact") -> Counts:
    """Count hits, predicted and gold spans over all documents (micro).

    Args:
        gold: the right spans, a sequence a document.
        predicted: the spans to judge, documents in the same order.
        match: what a hit is. "exact": the same offsets and type. "span": the same offsets. "overlap": the same type and
            at least one shared character, each span in at most one hit; spans of one side do not overlap each other, so
            that one sweep from left to right finds the most hits that any matching can have.

    Raises:
        ValueError: if the documents are not as many, spans of one side overlap, or `match` is another word.

    >>> gold = [[Span(0, 4, "flight"), Span(9, 20, "airstrike")]]
    >>> predicted = [[Span(0, 4, "warning"), Span(13, 20, "airstrike"), Span(30, 33, "flight")]]
    >>> count(gold, predicted)
    Counts(hits=0, predicted=3, gold=2)
    >>> count(gold, predicted, "span").hits, count(gold, predicted, "overlap").hits
    (1, 1)
    """
    return sum(_by_document(gold, predicted, match), start=Counts())


def by_type(gold: Documents, predicted: Documents) -> dict[str, Counts]:
    """Count exact hits of each type that either side uses: schema order first, then the alphabet.

    Raises:
        ValueError: as `count` does.

    >>> by_type([[Span(0, 4, "flight")]], [[Span(0, 4, "flight"), Span(5, 9, "airstrike")]])
    {'airstrike': Counts(hits=0, predicted=1, gold=0), 'flight': Counts(hits=1, predicted=1, gold=1)}
    """
    hits: Counter[str] = Counter()
    marked: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for left, right in _pairs(gold, predicted):
        hits.update(label for _, _, label in _exact(left) & _exact(right))
        marked.update(span.label for span in right)
        given.update(span.label for span in left)
    return {name: Counts(hits[name], marked[name], given[name]) for name in in_order(marked.keys() | given.keys())}


def in_order(types: Iterable[str]) -> list[str]:
    """Return types in the order of the schema, those it lacks behind them by the alphabet."""
    seen = set(types)
    return [*(name for name in TYPES if name in seen), *sorted(seen - TYPES.keys())]


def modality_confusion(gold: Documents, predicted: Documents) -> dict[tuple[str, str], int]:
    """Return (gold modality, predicted modality) -> how many of the exactly found spans have them; no zeros.

    Raises:
        ValueError: as `count` does.

    >>> modality_confusion([[Span(0, 4, "flight", "negated")]], [[Span(0, 4, "flight")]])
    {('negated', 'asserted'): 1}
    """
    confusion: Counter[tuple[str, str]] = Counter()
    for left, right in _pairs(gold, predicted):
        modality_of = {(span.start, span.end, span.label): span.modality for span in right}
        for span in left:
            found = modality_of.get((span.start, span.end, span.label))
            if found is not None:
                confusion[span.modality, found] += 1
    return dict(sorted(confusion.items()))


def modality(gold: Documents, predicted: Documents) -> tuple[int, int]:
    """Return (right, found): of the exactly found spans, how many also bear the right modality.

    Raises:
        ValueError: as `count` does.

    >>> gold = [[Span(0, 4, "flight"), Span(5, 9, "flight"), Span(10, 12, "warning")]]
    >>> modality(gold, [[Span(0, 4, "flight", "possible"), Span(5, 9, "flight")]])
    (1, 2)
    """
    confusion = modality_confusion(gold, predicted)
    return sum(seen for (left, right), seen in confusion.items() if left == right), sum(confusion.values())


def presence(gold: Documents, predicted: Documents) -> dict[str, Counts]:
    """Count documents instead of spans: is there an event of the type in it at all? Schema order, then the alphabet.

    Raises:
        ValueError: as `count` does.

    >>> presence([[Span(0, 4, "flight")], []], [[Span(6, 9, "flight"), Span(10, 12, "flight")], []])
    {'flight': Counts(hits=1, predicted=1, gold=1)}
    """
    totals: dict[str, Counts] = {}
    for wanted, found in _pairs(gold, predicted):
        left, right = {span.label for span in wanted}, {span.label for span in found}
        for name in left | right:
            seen = Counts(int(name in left and name in right), int(name in right), int(name in left))
            totals[name] = totals.get(name, Counts()) + seen
    return {name: totals[name] for name in in_order(totals)}


def type_confusion(gold: Documents, predicted: Documents) -> dict[tuple[str, str], int]:
    """Return (gold type, predicted type) -> how many spans with the same offsets on both sides have them; no zeros.

    A gold span whose offsets nobody marked counts under (type, ""), a predicted one that is not gold under ("", type).

    Raises:
        ValueError: as `count` does.

    >>> type_confusion([[Span(0, 4, "airstrike"), Span(5, 9, "flight")]], [[Span(0, 4, "offensive")]])
    {('airstrike', 'offensive'): 1, ('flight', ''): 1}
    """
    confusion: Counter[tuple[str, str]] = Counter()
    for left, right in _pairs(gold, predicted):
        wanted = {(span.start, span.end): span.label for span in left}
        found = {(span.start, span.end): span.label for span in right}
        confusion.update((wanted.get(place, ""), found.get(place, "")) for place in wanted.keys() | found.keys())
    return dict(sorted(confusion.items()))


def precision_recall(scores: Sequence[float], right: Sequence[bool], gold: int) -> list[tuple[float, float, float]]:
    """Return (score, precision, recall) of keeping the spans from each score on, scores descending.

    Args:
        scores: of the predicted spans.
        right: whether each is an exact hit.
        gold: how many gold spans there are.

    Raises:
        ValueError: if there are not as many answers as scores.

    >>> precision_recall([0.9, 0.5, 0.9], [True, True, False], 4)
    [(0.9, 0.5, 0.25), (0.5, 0.6666666666666666, 0.5)]
    """
    if len(scores) != len(right):
        raise ValueError(f"{len(scores)} scores, but {len(right)} answers; give one answer a score")
    points, hits = [], 0
    ranked = sorted(zip(scores, right, strict=True), key=lambda pair: -pair[0])
    for at, (score, good) in enumerate(ranked, 1):
        hits += good
        if at == len(ranked) or ranked[at][0] != score:
            points.append((score, hits / at, hits / gold if gold else 0.0))
    return points


def false_alarms_per_1000_words(gold: Documents, predicted: Documents, words: Sequence[int]) -> float:
    """Return the predicted spans per 1000 words of the documents that have no gold event.

    Args:
        gold: the right spans, a sequence a document.
        predicted: the spans to judge, documents in the same order.
        words: how many words each document has.

    Raises:
        ValueError: as `count` does; and if no document without events holds a word, since no rate is then defined.

    >>> false_alarms_per_1000_words([[], [Span(0, 4, "flight")]], [[Span(0, 4, "flight")], []], [250, 900])
    4.0
    """
    if len(words) != len(gold):
        raise ValueError(f"{len(gold)} documents, but word counts of {len(words)}; give one count a document")
    alarms = total = 0
    for (left, right), size in zip(_pairs(gold, predicted), words, strict=True):
        if not left:
            alarms += len(right)
            total += size
    if not total:
        raise ValueError(
            f"none of the {len(gold)} documents is without gold events and has words, so there is no rate of false "
            f"alarms; give documents that report no event"
        )
    return 1000 * alarms / total


def interval(
    gold: Documents,
    predicted: Documents,
    *,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    match: Match = "exact",
) -> tuple[float, float]:
    """Return the (low, high) bounds of micro F1: percentile bootstrap over documents (Efron 1979).

    Documents, not spans, are drawn with replacement, for the mentions of one article stand and fall together.

    Args:
        gold: the right spans, a sequence a document.
        predicted: the spans to judge, documents in the same order.
        samples: how often as many documents as there are are drawn.
        level: the share of the samples between the bounds, in (0, 1).
        seed: of the draw; the same seed gives the same bounds.
        match: what a hit is, as in `count`.

    Raises:
        ValueError: as `count` does; if there is no document, `samples` is under 1 or `level` not inside (0, 1).

    >>> interval([[Span(0, 4, "flight")]] * 3, [[Span(0, 4, "flight")]] * 3)
    (1.0, 1.0)
    """
    if not 0 < level < 1:
        raise ValueError(f"a level of {level} is no share of samples; it must lie between 0 and 1, as 0.95 does")
    counts = _table(_by_document(gold, predicted, match))
    rng = np.random.default_rng(seed)
    scores = np.concatenate(
        [
            _f1(rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=rows) @ counts)
            for rows in _chunks(samples, len(counts))
        ]
    )
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def difference_interval(
    gold: Documents, a: Documents, b: Documents, *, samples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the (low, high) bounds of exact micro F1 of `b` less that of `a`: paired bootstrap over documents.

    Both systems are scored on the same draw of documents (Berg-Kirkpatrick et al. 2012); the rest is as in `interval`.

    Raises:
        ValueError: as `interval` does.

    >>> difference_interval([[Span(0, 4, "flight")]] * 3, [[]] * 3, [[Span(0, 4, "flight")]] * 3)
    (1.0, 1.0)
    """
    if not 0 < level < 1:
        raise ValueError(f"a level of {level} is no share of samples; it must lie between 0 and 1, as 0.95 does")
    left, right = _table(_by_document(gold, a, "exact")), _table(_by_document(gold, b, "exact"))
    rng = np.random.default_rng(seed)
    apart = []
    for rows in _chunks(samples, len(left)):
        drawn = rng.multinomial(len(left), np.full(len(left), 1 / len(left)), size=rows)
        apart.append(_f1(drawn @ right) - _f1(drawn @ left))
    low, high = np.quantile(np.concatenate(apart), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def permutation_p(gold: Documents, a: Documents, b: Documents, *, samples: int = 10_000, seed: int = 0) -> float:
    """Return the two-sided p of the difference in exact micro F1 between the systems `a` and `b`.

    Paired approximate randomisation (Noreen 1989): each document's two outputs change places with probability 1/2; with
    r of n samples at least as far apart as the systems are, p = (r + 1) / (n + 1).

    Args:
        gold: the right spans, a sequence a document.
        a: what one system predicts, documents in the same order.
        b: what the other predicts.
        samples: how often the outputs are shuffled; the smallest p is 1 / (samples + 1).
        seed: of the shuffling; the same seed gives the same p.

    Raises:
        ValueError: as `count` does; if there is no document or `samples` is under 1.

    >>> permutation_p([[Span(0, 4, "flight")]], [[Span(0, 4, "flight")]], [[]], samples=99)
    1.0
    """
    left, right = _table(_by_document(gold, a, "exact")), _table(_by_document(gold, b, "exact"))
    both, change = left.sum(axis=0) + right.sum(axis=0), right - left
    # Documents on which the systems score the same need no coin: changing places changes nothing.
    change = change[change.any(axis=1)]
    apart = abs(_f1(left.sum(axis=0)) - _f1(right.sum(axis=0)))
    rng = np.random.default_rng(seed)
    as_far = 0
    for rows in _chunks(samples, len(left)):
        swapped = left.sum(axis=0) + rng.integers(0, 2, size=(rows, len(change))) @ change
        as_far += int((abs(_f1(swapped) - _f1(both - swapped)) >= apart - _TIE).sum())
    return (as_far + 1) / (samples + 1)


def reliability(scores: Sequence[float], right: Sequence[bool], bins: int = 10) -> list[tuple[float, float, int]]:
    """Return the points of a reliability diagram: (mean score, share right, count) of each bin, scores ascending.

    Bins are of equal mass (Nguyen and O'Connor 2015), as nearly as ties let them be: equal scores are never parted, so
    the order of the documents does not matter. There may be fewer than `bins` of them; no score, no bin.

    Args:
        scores: probabilities that a prediction is right.
        right: whether it is.
        bins: how many bins to aim at.

    Raises:
        ValueError: if there are not as many answers as scores, or `bins` is under 1.

    >>> reliability([0.1, 0.3, 0.8, 1.0], [False, True, True, True], bins=2)
    [(0.2, 0.5, 2), (0.9, 1.0, 2)]
    """
    if len(scores) != len(right):
        raise ValueError(f"{len(scores)} scores, but {len(right)} answers; give one answer a score")
    if bins < 1:
        raise ValueError(f"{bins} bins cannot hold scores; give 1 or more")
    if not len(scores):
        return []
    given = np.asarray(scores, dtype=float)
    order = np.argsort(given, kind="stable")
    ranked, truth = given[order], np.asarray(right, dtype=float)[order]
    starts = np.searchsorted(ranked, ranked[np.arange(bins) * len(ranked) // bins])
    edges = [*np.unique(starts).tolist(), len(ranked)]
    return [
        (float(ranked[low:high].mean()), float(truth[low:high].mean()), high - low) for low, high in pairwise(edges)
    ]


def expected_calibration_error(scores: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Return the mean distance between score and share right over the bins of `reliability`, weighted by their counts.

    0.0 is perfect; the measure of Naeini et al. (2015), over bins of equal mass.

    Raises:
        ValueError: as `reliability` does; and if there is no score, since nothing can be said of none.

    >>> round(expected_calibration_error([0.1, 0.3, 0.8, 1.0], [False, True, True, True], bins=2), 6)
    0.2
    """
    if not len(scores):
        raise ValueError("no score, so there is no calibration to measure; give one score at least")
    points = reliability(scores, right, bins)
    return sum(size * abs(mean - share) for mean, share, size in points) / len(scores)


def agreement(a: Documents, b: Documents) -> Agreement:
    """Measure how far two annotators of the same documents agree; F1 is symmetric, neither need be the right one.

    Raises:
        ValueError: as `count` does.

    >>> one, two = [[Span(0, 4, "flight"), Span(5, 9, "warning")]], [[Span(0, 4, "flight"), Span(5, 9, "offensive")]]
    >>> agreement(one, two)
    Agreement(exact=0.5, span=1.0, by_type={'offensive': 0.0, 'flight': 1.0, 'warning': 0.0}, modality=(1, 1))
    """
    types = {name: counts.f1 for name, counts in by_type(a, b).items()}
    return Agreement(count(a, b).f1, count(a, b, "span").f1, types, modality(a, b))


def _pairs(gold: Documents, predicted: Documents) -> Iterator[tuple[Spans, Spans]]:
    """Yield each document's gold and predicted spans, checked: as many documents, no overlap within a side."""
    if len(gold) != len(predicted):
        raise ValueError(
            f"{len(gold)} gold documents, but {len(predicted)} predicted ones; give both in the same order, with an "
            f"empty sequence for a document without events"
        )
    for at, (left, right) in enumerate(zip(gold, predicted, strict=True)):
        for side, spans in (("gold", left), ("predicted", right)):
            for one, two in pairwise(sorted(spans)):
                if two.start < one.end:
                    raise ValueError(
                        f"document {at} (from 0): the {side} spans {one.start}:{one.end} ({one.label}) and "
                        f"{two.start}:{two.end} ({two.label}) overlap; keep one of them"
                    )
        yield left, right


def _exact(spans: Spans) -> set[tuple[int, int, str]]:
    """Return what has to be equal in an exact hit."""
    return {(span.start, span.end, span.label) for span in spans}


def _exact_hits(gold: Spans, predicted: Spans) -> int:
    """Count the spans of one document that both sides mark with the same type."""
    return len(_exact(gold) & _exact(predicted))


def _span_hits(gold: Spans, predicted: Spans) -> int:
    """Count the spans of one document that both sides mark, whatever the type."""
    return len({(span.start, span.end) for span in gold} & {(span.start, span.end) for span in predicted})


def _overlap_hits(gold: Spans, predicted: Spans) -> int:
    """Count the most one-to-one pairs of one document's spans that share a type and a character.

    Of the first gold and the first predicted span of a type, if they overlap, at most one overlaps anything else, so
    pairing them loses nothing; if not, the one that ends first overlaps nothing.
    """
    hits = 0
    for label in {span.label for span in gold}:
        left = sorted((span.start, span.end) for span in gold if span.label == label)
        right = sorted((span.start, span.end) for span in predicted if span.label == label)
        i = j = 0
        while i < len(left) and j < len(right):
            if max(left[i][0], right[j][0]) < min(left[i][1], right[j][1]):
                hits, i, j = hits + 1, i + 1, j + 1
            elif left[i][1] <= right[j][1]:
                i += 1
            else:
                j += 1
    return hits


_HITS: dict[Match, Callable[[Spans, Spans], int]] = {
    "exact": _exact_hits,
    "span": _span_hits,
    "overlap": _overlap_hits,
}


def _by_document(gold: Documents, predicted: Documents, match: Match) -> list[Counts]:
    """Count each document by itself."""
    if match not in _HITS:
        raise ValueError(f"{match!r} is no way to match spans; use one of {', '.join(_HITS)}")
    hits = _HITS[match]
    return [Counts(hits(left, right), len(right), len(left)) for left, right in _pairs(gold, predicted)]


def _table(counts: Sequence[Counts]) -> NDArray[np.int64]:
    """Return (documents, 3) hits, predicted and gold."""
    if not counts:
        raise ValueError("no document to draw from; give one at least")
    return np.array([(each.hits, each.predicted, each.gold) for each in counts], dtype=np.int64)


def _f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return F1 of (..., 3) hits, predicted and gold; 0.0 where there is no span at all."""
    spans = counts[..., 1] + counts[..., 2]
    result: NDArray[np.float64] = 2 * counts[..., 0] / np.maximum(spans, 1)
    return result


def _chunks(samples: int, documents: int) -> Iterator[int]:
    """Yield how many samples to draw at a time, so that the draws fit into memory."""
    if samples < 1:
        raise ValueError(f"{samples} samples say nothing; draw 1 or more")
    most = max(1, _CELLS // documents)
    for start in range(0, samples, most):
        yield min(most, samples - start)
