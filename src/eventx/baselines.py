"""What a model has to beat: a list of trigger words, and a linear tagger over words. Both learn within minutes.

`Lexicon` needs nothing but counts; `Linear` needs scikit-learn, which is imported when it is fitted. Neither reads
context as an encoder does, neither is saved, and neither gives calibrated scores: they predict spans, to be scored by
`metrics` beside the model's. Files and splits are not known here.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby, pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eventx.encode import Floats, allowed, viterbi
from eventx.labels import Article, LabelError
from eventx.schema import TYPES, tags
from eventx.spans import Span, bio_to_spans, spans_to_bio
from eventx.text import sentences, words

Phrase = tuple[str, ...]
"""Lower-cased words, as `text.words` parts them."""
Offsets = Sequence[tuple[int, int]]

_FEATURES = 2**18
"""Columns that features are hashed into; four times as many gave the same F1 on dev and a third of the speed."""
_AROUND = 3
"""Words on each side whose place counts."""
_NEAR = 8
"""Words on each side, within the sentence, that count wherever they stand: `aircraft` tells what `strike` is."""
_PREFIXES = (3, 4, 5)
_SUFFIXES = (3, 4)
"""Lengths, in characters, of the beginnings and endings of a word that count by themselves."""
_EDGE = 4
"""Places in the sentence are told apart up to here."""
_EPOCHS = 6
_VISITS = 10_000
"""Few examples are visited again until this many visits are made; a file of fifty articles has more words than that."""
_STEP = 0.2
_PENALTY = 1e-7
"""Step and L2 penalty of the gradient descent, best on dev of the few tried."""
_LEAST = 1e-9
"""Probability of a tag that the training labels do not hold, in place of 0."""


class Classifier(Protocol):
    """What is asked of a fitted scikit-learn classifier."""

    classes_: NDArray[Any]

    def predict_proba(self, rows: Any) -> NDArray[np.float64]:
        """Return (rows, classes) probabilities."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a lexicon knows of a phrase.

    Attributes:
        label: the type that it is most often marked as.
        modality: the most common one where it is marked so.
        marked: how often it is marked so in the training texts.
        seen: how often it stands in them, marked or not.
    """

    label: str
    modality: str
    marked: int
    seen: int


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Triggers of the training labels that are mostly triggers, marked wherever they stand."""

    entries: Mapping[Phrase, Entry]

    @classmethod
    def fit(cls, articles: Sequence[Article], min_share: float = 0.5) -> Lexicon:
        """Count how often each trigger's words stand in the texts, and how often they are marked.

        Args:
            articles: with their texts.
            min_share: keep the phrases that are marked as their most common type in this share of their occurrences
                or more, from 0 to 1. Occurrences inside longer triggers count as unmarked.

        Raises:
            LabelError: if a text is missing.
            ValueError: if `min_share` is no share.
        """
        if not 0 <= min_share <= 1:
            raise ValueError(f"min_share is {min_share}; it must lie between 0 and 1, as 0.5 does")
        marked: defaultdict[Phrase, Counter[str]] = defaultdict(Counter)
        modalities: defaultdict[tuple[Phrase, str], Counter[str]] = defaultdict(Counter)
        for article in articles:
            text = _text(article)
            for span in article.spans:
                phrase = _phrase(text[span.start : span.end])
                marked[phrase][span.label] += 1
                modalities[phrase, span.label][span.modality] += 1
        by_first = _by_first(marked)
        seen: Counter[Phrase] = Counter()
        for article in articles:
            lower = _phrase(_text(article))
            for at in range(len(lower)):
                seen.update(_standing_at(lower, at, by_first))
        entries = {}
        for phrase, labels in marked.items():
            label, hits = labels.most_common(1)[0]
            if hits >= min_share * seen[phrase]:
                modality = modalities[phrase, label].most_common(1)[0][0]
                entries[phrase] = Entry(label, modality, hits, seen[phrase])
        return cls(entries)

    def predict(self, text: str) -> list[Span]:
        """Return the spans of known phrases in text order: leftmost first, the longest of those that begin there."""
        bounds = words(text)
        lower = [text[start:end].lower() for start, end in bounds]
        by_first = _by_first(self.entries)
        spans, at = [], 0
        while at < len(lower):
            phrase = max(_standing_at(lower, at, by_first), key=len, default=())
            if phrase:
                entry = self.entries[phrase]
                spans.append(Span(bounds[at][0], bounds[at + len(phrase) - 1][1], entry.label, entry.modality))
            at += max(1, len(phrase))
        return spans


@dataclass(frozen=True, slots=True)
class Linear:
    """Logistic regression of each word's tag from the words around it, decoded as the model's scores are.

    Attributes:
        types: in the order of the tag ids.
        tagger: features of a word -> its tag.
        modality: features of a span -> its modality.
    """

    types: tuple[str, ...]
    tagger: Classifier
    modality: Classifier

    @classmethod
    def fit(cls, articles: Sequence[Article], seed: int = 0) -> Linear:
        """Learn the tags of words, then the modality of marked spans.

        Args:
            articles: with their texts; words outside every span are examples too.
            seed: of the order in which examples are visited; the same seed gives the same tagger.

        Raises:
            LabelError: if a text is missing, or no article holds an event.
            RuntimeError: if scikit-learn is not installed.
        """
        if not any(article.spans for article in articles):
            raise LabelError(f"none of the {len(articles)} articles holds an event to learn from; give some that do")
        texts = [(_text(article), sorted(article.spans)) for article in articles]
        parted = [(text, words(text), spans) for text, spans in texts]
        tagger = _classifier(
            (row for text, bounds, _ in parted for row in _word_features(text, bounds)),
            [tag for _, bounds, spans in parted for tag in spans_to_bio(spans, bounds)],
            seed,
        )
        modality = _classifier(
            (row for text, bounds, spans in parted for row in _span_features(text, bounds, spans)),
            [span.modality for _, _, spans in parted for span in spans],
            seed,
        )
        own = sorted({span.label for _, _, spans in parted for span in spans} - TYPES.keys())
        return cls((*TYPES, *own), tagger, modality)

    def predict(self, text: str) -> list[Span]:
        """Return the spans of the best valid tag path, in text order, each with its likeliest modality."""
        bounds = words(text)
        if not bounds:
            return []
        names = tags(self.types)
        scores = _log_probabilities(self.tagger, _hashed(_word_features(text, bounds)), names)
        path = viterbi(scores, allowed(self.types))
        spans = bio_to_spans([names[tag] for tag in path], bounds)
        if not spans:
            return []
        chosen = self.modality.predict_proba(_hashed(_span_features(text, bounds, spans))).argmax(axis=1)
        return [
            Span(span.start, span.end, span.label, str(self.modality.classes_[at]))
            for span, at in zip(spans, chosen, strict=True)
        ]


def _text(article: Article) -> str:
    """Return an article's text, or say that it is missing."""
    if article.text is None:
        raise LabelError(f"document {article.id!r}: its text is needed to learn from; name the folder with --texts")
    return article.text


def _phrase(text: str) -> Phrase:
    """Return the lower-cased words of a text."""
    return tuple(text[start:end].lower() for start, end in words(text))


def _by_first(phrases: Mapping[Phrase, object]) -> dict[str, list[Phrase]]:
    """Group phrases by their first word."""
    groups: defaultdict[str, list[Phrase]] = defaultdict(list)
    for phrase in phrases:
        groups[phrase[0]].append(phrase)
    return dict(groups)


def _standing_at(lower: Sequence[str], at: int, by_first: Mapping[str, Sequence[Phrase]]) -> Iterator[Phrase]:
    """Yield the phrases that begin with the word `at`."""
    for phrase in by_first.get(lower[at], ()):
        if tuple(lower[at : at + len(phrase)]) == phrase:
            yield phrase


def _word_features(text: str, bounds: Offsets) -> list[list[str]]:
    """Return what the tag of each word is read from: its form, the words around it, its place in the sentence."""
    forms = [text[start:end] for start, end in bounds]
    pad = [""] * _AROUND
    lower = [*pad, *(form.lower() for form in forms), *pad]
    rows = []
    for at, (form, (place, length)) in enumerate(zip(forms, _places(text, bounds), strict=True), _AROUND):
        word, left, right = lower[at], lower[at - 1], lower[at + 1]
        row = ["bias", f"word={word}", f"shape={_shape(form)}", f"all={left} {word} {right}"]
        row += [f"place={min(place, _EDGE)}", f"left={min(length - place, _EDGE)}"]
        row += [f"prefix={word[:size]}" for size in _PREFIXES]
        row += [f"suffix={word[-size:]}" for size in _SUFFIXES]
        row += [f"-suffix={left[-_SUFFIXES[0] :]}", f"+suffix={right[-_SUFFIXES[0] :]}"]
        row += [f"{step}={lower[at + step]}" for step in range(-_AROUND, _AROUND + 1) if step]
        row += [f"{step}&={lower[at + step]} {lower[at + step + 1]}" for step in range(-2, 2)]
        around = [
            *lower[max(at - place, at - _NEAR) : at],
            *lower[at + 1 : min(at - place + length, at + _NEAR + 1)],
        ]
        row += [f"near={other}" for other in dict.fromkeys(around)]
        rows.append(row)
    return rows


def _span_features(text: str, bounds: Offsets, spans: Sequence[Span]) -> list[list[str]]:
    """Return what the modality of each span is read from, in text order: its words, its type, the words around it."""
    lower = [text[start:end].lower() for start, end in bounds]
    places = _places(text, bounds)
    starts, ends = [start for start, _ in bounds], [end for _, end in bounds]
    rows = []
    for span in sorted(spans):
        at, end = bisect_right(ends, span.start), bisect_left(starts, span.end)
        place, length = places[at]
        before = lower[max(at - place, at - _NEAR) : at]
        after = lower[end : min(end + _AROUND, at - place + length)]
        row = ["bias", f"type={span.label}", f"trigger={' '.join(lower[at:end])}"]
        row += [f"suffix={word[-_SUFFIXES[0] :]}" for word in lower[at:end]]
        row += [f"before={word}" for word in before]
        row += [f"-{step}={word}" for step, word in enumerate(reversed(before), 1)]
        row += [f"-{step}&={one} {two}" for step, (one, two) in enumerate(pairwise(reversed(before)), 1)]
        row += [f"+{step}={word}" for step, word in enumerate(after, 1)]
        rows.append(row)
    return rows


def _places(text: str, bounds: Offsets) -> list[tuple[int, int]]:
    """Return for each word (its number in its sentence from 0, the words of the sentence)."""
    ends = np.array([end for _, end in sentences(text)])
    sentence_of = np.searchsorted(ends, [start for start, _ in bounds], side="right")
    _, length = np.unique(sentence_of, return_counts=True)
    return [(at, int(size)) for size in length for at in range(size)]


def _shape(form: str) -> str:
    """Return a word's shape: its letters and digits as X, x or d, runs of one kind as one."""
    kinds = ["X" if mark.isupper() else "x" if mark.islower() else "d" if mark.isdigit() else mark for mark in form]
    return "".join(kind for kind, _ in groupby(kinds))


def _classifier(rows: Iterable[Sequence[str]], targets: Sequence[str], seed: int) -> Classifier:
    """Fit a linear classifier of features; where the targets are all one, it knows nothing but that one.

    Averaged stochastic gradient descent (Polyak and Juditsky 1992), a logistic regression a class; the first third of
    the visits is left out of the average. L-BFGS took three times as long on our labels and was not there yet.
    """
    if len(set(targets)) == 1:
        model = _sklearn("dummy").DummyClassifier(strategy="prior")
    else:
        epochs = max(_EPOCHS, math.ceil(_VISITS / len(targets)))
        model = _sklearn("linear_model").SGDClassifier(
            loss="log_loss",
            alpha=_PENALTY,
            learning_rate="constant",
            eta0=_STEP,
            max_iter=epochs,
            tol=None,
            average=epochs * len(targets) // 3,
            random_state=seed,
        )
    fitted: Classifier = model.fit(_hashed(rows), targets)
    return fitted


def _hashed(rows: Iterable[Sequence[str]]) -> Any:
    """Return (rows, features) counts of features, sparse."""
    hasher = _sklearn("feature_extraction").FeatureHasher(_FEATURES, input_type="string", alternate_sign=False)
    return hasher.transform(rows)


def _log_probabilities(model: Classifier, rows: Any, names: Sequence[str]) -> Floats:
    """Return (rows, names) log probabilities, whatever classes the model has met and in whatever order."""
    scores = np.full((rows.shape[0], len(names)), _LEAST)
    scores[:, [names.index(str(name)) for name in model.classes_]] = model.predict_proba(rows)
    return np.log(np.maximum(scores, _LEAST)).astype(np.float32)


def _sklearn(room: str) -> Any:
    """Import a room of scikit-learn, or say how to install it."""
    try:
        return import_module(f"sklearn.{room}")
    except ModuleNotFoundError as error:
        raise RuntimeError('the linear baseline needs scikit-learn: pip install "eventx[train]"') from error
