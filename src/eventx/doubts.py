"""Labels that look like mistakes: places that are marked otherwise than most of their fellows, the most suspect first.

Five kinds: `twin`, the same words with the same words around them are marked otherwise in another place; `span`, a mark
that is longer or shorter than those of the same words; `modality`, one that its cue (could, to, if, not, refused,
denied ...) seldom goes with; `type`, a rare type for these words; `unmarked`, a trigger that is marked in most places
and not here. Only counts of the labels themselves are asked, each without the place in question: no model, nothing to
train. A doubt is a place to look at again, not an error.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventx.labels import Article
from eventx.spans import Span
from eventx.text import sentences, words

TRUST = {"twin": 0.9, "span": 0.9, "type": 0.6, "unmarked": 0.5, "modality": 0.3}
"""Kind -> how much its doubts count beside those of other kinds: chosen by what share of the first of each was right,
on labels with planted errors and on labels that had been read twice."""
Phrase = tuple[str, ...]
"""Lower-cased words, as `text.words` parts them."""

_LEAST = 4
"""Fewer fellows say nothing."""
_STRENGTH = 4.0
"""How many places of a context it takes to outweigh what is known without it."""
_CUES = frozenset(
    word
    for line in (
        "could may might would will can should shall must if unless whether to likely possible possibly perhaps",
        "potential plan plans planned planning intend intends intended want wants wanted hope hopes hoped aim",
        "aims aimed seek seeks sought seeking try tries tried trying attempt attempts attempted threaten",
        "threatens threatened threatening vow vows vowed pledge pledged promise promised order ordered orders",
        "urge urged urges urging call calls called calling demand demands demanded demanding fear fears feared",
        "risk risks prevent prevents preventing prevented stop stopped avoid avoided ready prepare prepares",
        "prepared preparing propose proposed consider considering capable able against not t never no without",
        "deny denies denied denying refuse refuses refused refusing fail fails failed failing unable reject",
        "rejects rejected cannot neither nor halt false",
    )
    for word in line.split()
)
"""Words before a trigger that its modality may hang on; what each says is counted."""
_REACH = 8
"""How many words before a trigger are searched for cues."""
_COMMON = 150
"""So many of the most frequent words are told apart beside a place; what others say of it is that they are rare."""
_NEAR = 4
"""How many words lie at most between a place and a mark near it."""
_AROUND = 3
"""How many words on each side make two places twins."""
_NEAREST = 2
"""How many cues are asked, the nearest first."""
_MARKED, _UNMARKED = "marked", "unmarked"


@dataclass(frozen=True, slots=True)
class Doubt:
    """A place whose label is unlike that of its fellows.

    Attributes:
        file: label file of the document.
        document: its id.
        kind: one of `TRUST`.
        score: how likely another label is by the counts, in [0, 1], among doubts of its kind; it is not calibrated.
        start: half-open character offsets of the place.
        end: likewise.
        trigger: the text there.
        marked: the mark that stands there; None where there is none.
        suggested: the mark that its fellows have; None where they have none.
        why: what the counts say, in a few words.
        sentence: half-open character offsets of the sentence around it.
        context: that sentence.
    """

    file: str
    document: str
    kind: str
    score: float
    start: int
    end: int
    trigger: str
    marked: Span | None
    suggested: Span | None
    why: str
    sentence: tuple[int, int]
    context: str

    @property
    def place(self) -> str:
        """Where it stands: file, document and half-open character offsets."""
        return f"{self.file}:{self.document}:{self.start}-{self.end}"

    def to_dict(self) -> dict[str, Any]:
        """Return the doubt as plain JSON values."""
        return {
            "file": self.file,
            "document": self.document,
            "kind": self.kind,
            "score": round(self.score, 4),
            "start": self.start,
            "end": self.end,
            "trigger": self.trigger,
            "marked": None if self.marked is None else _plain(self.marked),
            "suggested": None if self.suggested is None else _plain(self.suggested),
            "why": self.why,
            "sentence": {"start": self.sentence[0], "end": self.sentence[1]},
            "context": self.context,
        }


def write(found: Iterable[Doubt], path: Path) -> None:
    """Write doubts as JSON Lines, in their order: a queue to work through."""
    lines = [json.dumps(doubt.to_dict(), ensure_ascii=False) for doubt in found]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def find(files: Mapping[str, Sequence[Article]], *, least: float = 0.5) -> list[Doubt]:
    """Return the doubtful places of labelled articles, the most suspect first; one place has one doubt.

    Args:
        files: label file -> its articles; those without text are left out.
        least: the score that a doubt needs.
    """
    known = [(file, article) for file, own in files.items() for article in own if article.text is not None]
    read = [_Read.of(file, one) for file, one in sorted(known, key=lambda pair: (pair[0], pair[1].id))]
    found = [*_twins(read), *_spans(read), *_modalities(read), *_types(read), *_unmarked(read)]
    found.sort(key=lambda d: (-d.score * TRUST[d.kind], d.file, d.document, d.start, d.kind))
    seen: set[tuple[str, str, int]] = set()
    kept = []
    for doubt in found:
        place = (doubt.file, doubt.document, doubt.start if doubt.marked is None else doubt.marked.start)
        if doubt.score >= least and place not in seen:
            seen.add(place)
            kept.append(doubt)
    return kept


@dataclass(frozen=True, slots=True)
class _Read:
    """An article as words: their offsets, their lower-case forms, and its marks with the words that they cover."""

    file: str
    article: Article
    text: str
    bounds: list[tuple[int, int]]
    lower: list[str]
    marks: list[tuple[int, int, Span]]
    sentences: list[tuple[int, int]]

    @classmethod
    def of(cls, file: str, article: Article) -> _Read:
        """Part an article into words."""
        text = article.text or ""
        bounds = words(text)
        starts, ends = [start for start, _ in bounds], [end for _, end in bounds]
        marks = [(bisect_right(ends, s.start), bisect_left(starts, s.end), s) for s in sorted(article.spans)]
        lower = [text[start:end].lower() for start, end in bounds]
        return cls(file, article, text, bounds, lower, [mark for mark in marks if mark[0] < mark[1]], sentences(text))

    def phrase(self, low: int, high: int) -> Phrase:
        """Return the words from `low` to `high`."""
        return tuple(self.lower[low:high])

    def word(self, at: int) -> str:
        """Return a word, or nothing outside the text."""
        return self.lower[at] if 0 <= at < len(self.lower) else ""

    def around(self, low: int, high: int) -> set[str]:
        """Return the other words of a place's sentence."""
        start, end = self.sentence(self.bounds[low][0])
        first, last = bisect_left(self.bounds, (start,)), bisect_left(self.bounds, (end,))
        return {*self.lower[first:low], *self.lower[high:last]}

    def sentence(self, at: int) -> tuple[int, int]:
        """Return the offsets of the sentence that holds an offset."""
        return self.sentences[min(bisect_right(self.sentences, (at, len(self.text) + 1)), len(self.sentences)) - 1]

    def doubt(
        self, kind: str, score: float, low: int, high: int, marked: Span | None, suggested: Span | None, why: str
    ) -> Doubt:
        """Return a doubt about the words from `low` to `high`."""
        start, end = self.bounds[low][0], self.bounds[high - 1][1]
        sentence = self.sentence(start)
        return Doubt(
            self.file,
            self.article.id,
            kind,
            score,
            start,
            end,
            self.text[start:end],
            marked,
            suggested,
            why,
            sentence,
            self.text[slice(*sentence)],
        )


def _twins(read: Sequence[_Read]) -> Iterator[Doubt]:
    """Yield the places whose words stand elsewhere between the same words, and are marked otherwise there."""
    known = {one.phrase(low, high) for one in read for low, high, _ in one.marks}
    longest = max(map(len, known), default=0)
    groups: defaultdict[tuple[Phrase, int], list[tuple[_Read, int, int, Span | None]]] = defaultdict(list)
    for one in read:
        mark_of = {(low, high): span for low, high, span in one.marks}
        taken = {at for low, high, _ in one.marks for at in range(low, high)}
        for low in range(_AROUND, len(one.lower) - _AROUND):
            for high in range(low + 1, min(low + longest, len(one.lower) - _AROUND) + 1):
                free = taken.isdisjoint(range(low, high))
                if ((low, high) in mark_of or free) and one.phrase(low, high) in known:
                    key = (one.phrase(low - _AROUND, high + _AROUND), high - low)
                    groups[key].append((one, low, high, mark_of.get((low, high))))
    for places in groups.values():
        kinds = [None if span is None else (span.label, span.modality) for *_, span in places]
        counts = Counter(kinds)
        if len(counts) == 1:
            continue
        most = max(counts, key=lambda kind: (counts[kind], kind is not None, kinds.index(kind)))
        twin, at, _, wanted = places[kinds.index(most)]
        for (one, low, high, span), kind in zip(places, kinds, strict=True):
            if kind == most:
                continue
            start, end = one.bounds[low][0], one.bounds[high - 1][1]
            suggested = None if wanted is None else Span(start, end, wanted.label, wanted.modality)
            told = "not marked" if wanted is None else f"{wanted.label}, {wanted.modality}"
            why = f"the same words are {told} in {twin.article.id}:{twin.bounds[at][0]}"
            yield one.doubt("twin", 1 - 0.25 / counts[most], low, high, span, suggested, why)


def _unmarked(read: Sequence[_Read]) -> Iterator[Doubt]:
    """Yield the places of known triggers that bear no mark though most of their fellows do."""
    types: defaultdict[Phrase, Counter[str]] = defaultdict(Counter)
    modality_of: defaultdict[Phrase, Counter[str]] = defaultdict(Counter)
    for one in read:
        for low, high, span in one.marks:
            types[one.phrase(low, high)][span.label] += 1
            modality_of[one.phrase(low, high)][span.modality] += 1
    known = {
        phrase: kinds for phrase, kinds in types.items() if kinds.total() >= _LEAST and any(map(str.isalnum, phrase))
    }
    places = [list(_places(one, known)) for one in read]
    whole: defaultdict[Phrase, Counter[str]] = defaultdict(Counter)
    beside: defaultdict[tuple[object, ...], Counter[str]] = defaultdict(Counter)
    common = {word for word, _ in Counter(word for one in read for word in one.lower).most_common(_COMMON)}
    for one, own in zip(read, places, strict=True):
        for low, high, state in own:
            phrase = one.phrase(low, high)
            whole[phrase][state] += 1
            beside[_others(one, low, high)][state] += 1
            for key in _place_contexts(one, low, high, common):
                beside[(phrase, *key)][state] += 1
    base = _share(Counter(state for own in places for _, _, state in own), "", (_MARKED, _UNMARKED))
    for one, own in zip(read, places, strict=True):
        here = Counter(state for _, _, state in own)
        for low, high, state in own:
            phrase = one.phrase(low, high)
            if state == _MARKED or whole[phrase][_MARKED] * 2 < whole[phrase].total():
                continue
            prior = _share(whole[phrase], state, (_MARKED, _UNMARKED))
            contexts = [(beside[(phrase, *key)], prior) for key in _place_contexts(one, low, high, common)]
            others = beside[_others(one, low, high)]
            score = _blend(prior, [*contexts, (here, base), (others, base)], state)[_MARKED]
            label, modality = types[phrase].most_common(1)[0][0], modality_of[phrase].most_common(1)[0][0]
            suggested = Span(one.bounds[low][0], one.bounds[high - 1][1], label, modality)
            why = f"{whole[phrase][_MARKED]} of {whole[phrase].total() - 1} elsewhere are marked, {label}"
            yield one.doubt("unmarked", score, low, high, None, suggested, why)


def _places(one: _Read, known: Mapping[Phrase, object]) -> Iterator[tuple[int, int, str]]:
    """Yield where known phrases stand, marked as they are or free of any mark; the longest first at each word."""
    longest = max(map(len, known), default=0)
    exact = {(low, high) for low, high, _ in one.marks}
    taken = {at for low, high, _ in one.marks for at in range(low, high)}
    at = 0
    while at < len(one.lower):
        step = 1
        for size in range(min(longest, len(one.lower) - at), 0, -1):
            if one.phrase(at, at + size) in known:
                if (at, at + size) in exact:
                    yield at, at + size, _MARKED
                elif taken.isdisjoint(range(at, at + size)):
                    yield at, at + size, _UNMARKED
                else:
                    continue
                step = size
                break
        at += step


def _place_contexts(one: _Read, low: int, high: int, common: Container[str]) -> list[tuple[str, str]]:
    """Return what tells whether a place is marked, besides its words: what stands beside it, its form, its company."""
    left, right = one.word(low - 1), one.word(high)
    capital = "upper" if one.text[one.bounds[low][0]].isupper() else "lower"
    return [
        *_neighbours(one, low, high),
        ("before", left if left in common else "rare"),
        ("after", right if right in common else "rare"),
        ("form", capital),
        _company(one, low, high),
    ]


def _neighbours(one: _Read, low: int, high: int) -> list[tuple[str, str]]:
    """Return the words on both sides of a place."""
    return [("left", one.word(low - 1)), ("right", one.word(high))]


def _others(one: _Read, low: int, high: int) -> tuple[object, ...]:
    """Return how many marks the document has elsewhere, in three steps: without any it may not be about war."""
    count = sum((first, last) != (low, high) for first, last, _ in one.marks)
    return ("others", min(count, 3))


def _company(one: _Read, low: int, high: int) -> tuple[str, str]:
    """Return whether another mark stands near a place, in its sentence: of an event told twice one word is marked."""
    start, end = one.sentence(one.bounds[low][0])
    near = [
        span
        for first, last, span in one.marks
        if (first, last) != (low, high) and start <= span.start < end and first - high >= -_NEAR and low - last <= _NEAR
    ]
    return ("company", "near" if near else "alone")


def _spans(read: Sequence[_Read]) -> Iterator[Doubt]:
    """Yield the marks that are a word longer or shorter than most marks of the same words."""
    whole: Counter[Phrase] = Counter()
    part: Counter[tuple[Phrase, str]] = Counter()
    for one in read:
        for low, high, _ in one.marks:
            whole[one.phrase(low, high)] += 1
            part.update((one.phrase(*wide), side) for side, wide in _wider(one, low, high))
    for one in read:
        for low, high, span in one.marks:
            best = (0.0, low, high, "")
            for side, wide in _wider(one, low, high):
                longer, shorter = whole[one.phrase(*wide)], part[one.phrase(*wide), side] - 1
                score = longer / (longer + shorter + 0.5)
                why = f"{longer} of {longer + shorter} elsewhere mark {' '.join(one.phrase(*wide))!r}"
                best = max(best, (score, *wide, why)) if longer >= _LEAST else best
            for side, narrow in (("left", (low + 1, high)), ("right", (low, high - 1))):
                if narrow[0] < narrow[1]:
                    longer, shorter = whole[one.phrase(low, high)] - 1, part[one.phrase(low, high), side]
                    score = shorter / (longer + shorter + 0.5)
                    why = f"{shorter} of {longer + shorter} elsewhere mark {' '.join(one.phrase(*narrow))!r} alone"
                    best = max(best, (score, *narrow, why)) if shorter >= _LEAST else best
            score, first, last, why = best
            if score:
                suggested = Span(one.bounds[first][0], one.bounds[last - 1][1], span.label, span.modality)
                yield one.doubt("span", score, low, high, span, suggested, why)


def _wider(one: _Read, low: int, high: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the ways to make a mark a free word longer."""
    taken = {at for first, last, _ in one.marks for at in range(first, last)}
    for side, at, wide in (("left", low - 1, (low - 1, high)), ("right", high, (low, high + 1))):
        if one.word(at)[:1].isalnum() and at not in taken:
            yield side, wide


def _types(read: Sequence[_Read]) -> Iterator[Doubt]:
    """Yield the marks of a rare type for their words, what stands beside them and the word that speaks most for it."""
    whole: defaultdict[Phrase, Counter[str]] = defaultdict(Counter)
    beside: defaultdict[tuple[object, ...], Counter[str]] = defaultdict(Counter)
    with_word: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in read:
        for low, high, span in one.marks:
            phrase = one.phrase(low, high)
            whole[phrase][span.label] += 1
            for word in one.around(low, high):
                with_word[word][span.label] += 1
            for key in _type_contexts(one, low, high):
                beside[(phrase, *key)][span.label] += 1
    every = sum(whole.values(), start=Counter())
    names = sorted(every)
    base = _share(every, "", names)
    for one in read:
        here = Counter(span.label for _, _, span in one.marks)
        for low, high, span in one.marks:
            phrase = one.phrase(low, high)
            if whole[phrase].total() <= _LEAST:
                continue
            prior = _share(whole[phrase], span.label, names)
            contexts = [(beside[(phrase, *key)], prior) for key in _type_contexts(one, low, high)]
            near = [with_word[word] for word in one.around(low, high) if with_word[word].total() > _LEAST]
            speaks = max(near, key=lambda counts: (counts[span.label] - 1) / counts.total(), default=Counter())
            said = _blend(prior, [*contexts, (here, base), (speaks, base)], span.label)
            label = max((name for name in names if name != span.label), key=lambda name: said[name], default="")
            if label:
                why = f"{whole[phrase][label]} of {whole[phrase].total() - 1} elsewhere are {label}"
                suggested = Span(span.start, span.end, label, span.modality)
                yield one.doubt("type", said[label], low, high, span, suggested, why)


def _type_contexts(one: _Read, low: int, high: int) -> list[tuple[object, ...]]:
    """Return what the type of a mark is read from, besides its words."""
    return [*_neighbours(one, low, high), ("document", one.file, one.article.id)]


def _modalities(read: Sequence[_Read]) -> Iterator[Doubt]:
    """Yield the marks that lack the modality that mostly goes with their cues.

    A mark that is possible or negated without a cue was made so on purpose; what is overlooked is a cue.
    """
    of_type: defaultdict[str, Counter[str]] = defaultdict(Counter)
    whole: defaultdict[tuple[object, ...], Counter[str]] = defaultdict(Counter)
    for one in read:
        for low, high, span in one.marks:
            of_type[span.label][span.modality] += 1
            for key in _modality_contexts(one, low, high, span):
                whole[key][span.modality] += 1
    names = ["negated", "possible", "asserted"]
    for one in read:
        for low, high, span in one.marks:
            keys = _modality_contexts(one, low, high, span)
            contexts = [whole[key] for key in keys]
            prior = _share(of_type[span.label], span.modality, names)
            said = _blend(prior, [(counts, prior) for counts in contexts], span.modality)
            others = names[: names.index(span.modality)]
            modality = max(others, key=lambda name: said[name], default="")
            key, counts = max(
                zip(keys[1:], contexts[1:], strict=True),
                key=lambda pair: pair[1][modality] / pair[1].total(),
                default=(("cue", ""), Counter()),
            )
            if not modality or counts.total() <= _LEAST or counts[modality] * 2 < counts.total():
                continue
            why = f"after {key[1]!r} {key[2]}, {counts[modality]} of {counts.total() - 1} elsewhere are {modality}"
            suggested = Span(span.start, span.end, span.label, modality)
            yield one.doubt("modality", said[modality], low, high, span, suggested, why)


def _modality_contexts(one: _Read, low: int, high: int, span: Span) -> list[tuple[object, ...]]:
    """Return what the modality of a mark is read from: its words, and the nearest cues before it."""
    start = one.sentence(span.start)[0]
    cues = []
    for back in range(1, min(_REACH, low) + 1):
        word, (offset, _) = one.word(low - back), one.bounds[low - back]
        if offset < start or word in ";:":
            break
        if word in _CUES and not (word == "to" and back > 2):
            far = "next to it" if back == 1 else "near it" if back <= 3 else "before it"
            # After `to` it is the word before that tells: managed to, tried to.
            said = {"t": "not", "to": f"{one.word(low - back - 1)} to"}.get(word, word)
            cues.append(("cue", said, far, span.label == "warning"))
    return [("words", one.phrase(low, high)), *cues[:_NEAREST]]


def _share(counts: Counter[str], own: str, names: Iterable[str]) -> dict[str, float]:
    """Return the smoothed share of each class among a place's fellows: the counts without itself."""
    fellows = {name: counts[name] - (name == own) for name in names}
    total = sum(fellows.values())
    return {name: (count + 0.5) / (total + 0.5 * len(fellows)) for name, count in fellows.items()}


def _blend(
    prior: Mapping[str, float], contexts: Sequence[tuple[Counter[str], Mapping[str, float]]], own: str
) -> dict[str, float]:
    """Return the probability of each class from a prior and what fellows in the same contexts have (naive Bayes).

    Args:
        prior: probability of each class among all fellows.
        contexts: counts of classes in each context, the place itself included, and their shares without the context.
        own: the class of the place, which is taken out of every count.
    """
    logs = {name: math.log(share) for name, share in prior.items()}
    for counts, base in contexts:
        fellows = counts.total() - (counts[own] > 0)
        for name, share in base.items():
            count = max(0, counts[name] - (name == own))
            logs[name] += math.log((count + _STRENGTH * share) / (fellows + _STRENGTH) / share)
    most = max(logs.values())
    total = sum(math.exp(value - most) for value in logs.values())
    return {name: math.exp(value - most) / total for name, value in logs.items()}


def _plain(span: Span) -> dict[str, Any]:
    """Return a span as plain JSON values."""
    return {"start": span.start, "end": span.end, "label": span.label, "modality": span.modality}
