"""Systems x labelled articles -> a report: scores with intervals, by type and by group, as JSON, Markdown or rows.

What a score is, `metrics` says; what a system says, `predictions`; what articles and mentions are grouped by, `groups`.
This room puts them together and holds out what must be held out. It prints and draws nothing.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventx import groups, metrics, predictions
from eventx.baselines import Lexicon, Linear
from eventx.labels import Article
from eventx.predictions import Prediction, System
from eventx.schema import TYPES
from eventx.spans import Span
from eventx.tagger import Tagger
from eventx.text import words

if TYPE_CHECKING:
    from eventx.recipe import TrainConfig

_SAMPLES = 300
"""Of the bootstrap of a group."""
_FEW = 5
"""A type has no interval in fewer documents."""


@dataclass(frozen=True, slots=True)
class Group:
    """The score of one group of documents or mentions.

    Attributes:
        grouping, name: what was grouped by, and which group this is.
        documents: that hold a gold span or a mark of it; of a group of documents, all of its.
        exact: counts of exact hits. interval: 95% interval of their F1, by bootstrap over the documents.
    """

    grouping: str
    name: str
    documents: int
    exact: metrics.Counts
    interval: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the group as plain JSON values."""
        return {
            "grouping": self.grouping,
            "name": self.name,
            "documents": self.documents,
            **_prf(self.exact),
            "interval": [round(value, 4) for value in self.interval],
        }


@dataclass(frozen=True, slots=True)
class Score:
    """What one system scores on a set of articles; all but the counts are shares in [0, 1].

    Attributes:
        system: its name.
        exact: counts of spans right in offsets and type; their F1 is the headline.
        interval: 95% interval of that F1, by bootstrap over documents.
        span: F1 of offsets alone; overlap: F1 of the same type with at least one shared character.
        given_span: share of spans with right offsets whose type is right too.
        by_type: exact counts of each type; presence: counts of documents that hold the type.
        by_type_intervals: 95% interval of each type's F1, by bootstrap over the documents that hold it or a mark of it;
            None where these are fewer than five, which tell too little of others.
        types: (gold type, predicted type) -> spans of the same offsets; "" is none.
        modality: share of exactly found spans with the right modality; modalities: (gold, predicted) -> spans.
        false_alarms: spans marked per 1,000 words in articles that hold no event; None without such articles.
        calibration_error: expected calibration error of the scores; None for a system without scores.
        reliability: see `metrics.reliability`; curves: type, or "all" -> see `metrics.precision_recall`.
        groups: scores by group.
    """

    system: str
    exact: metrics.Counts
    interval: tuple[float, float]
    span: float
    overlap: float
    given_span: float
    by_type: dict[str, metrics.Counts]
    by_type_intervals: dict[str, tuple[float, float] | None]
    presence: dict[str, metrics.Counts]
    types: dict[tuple[str, str], int]
    modality: float
    modalities: dict[tuple[str, str], int]
    false_alarms: float | None
    calibration_error: float | None = None
    reliability: tuple[tuple[float, float, int], ...] = ()
    curves: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()

    def types_with_intervals(self) -> list[tuple[str, metrics.Counts, tuple[float, float] | None]]:
        """Return (type, exact counts, interval of F1) of each type that either side has."""
        return [(name, counts, self.by_type_intervals[name]) for name, counts in self.by_type.items()]

    def to_dict(self) -> dict[str, Any]:
        """Return the score as plain JSON values, rounded to four digits."""
        return {
            "system": self.system,
            "exact": _prf(self.exact),
            "interval": [round(value, 4) for value in self.interval],
            "span_f1": round(self.span, 4),
            "type_given_span": round(self.given_span, 4),
            "overlap_f1": round(self.overlap, 4),
            "by_type": {
                name: {**_prf(counts), "interval": bounds and [round(value, 4) for value in bounds]}
                for name, counts, bounds in self.types_with_intervals()
            },
            "presence": {name: _prf(counts) for name, counts in self.presence.items()},
            "type_confusion": [[*pair, count] for pair, count in self.types.items()],
            "modality": round(self.modality, 4),
            "modality_confusion": [[*pair, count] for pair, count in self.modalities.items()],
            "false_alarms_per_1000_words": None if self.false_alarms is None else round(self.false_alarms, 3),
            "calibration_error": None if self.calibration_error is None else round(self.calibration_error, 4),
            "reliability": [[round(mean, 4), round(share, 4), size] for mean, share, size in self.reliability],
            "groups": [group.to_dict() for group in self.groups],
        }


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How a second reader of some of the articles does by the same scorer, and the systems on these articles alone."""

    documents: int
    reader: float
    by_type: dict[str, float]
    systems: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the ceiling as plain JSON values."""
        return {
            "documents": self.documents,
            "second_reader_f1": round(self.reader, 4),
            "by_type": {name: round(f1, 4) for name, f1 in self.by_type.items()},
            "systems": {name: round(f1, 4) for name, f1 in self.systems.items()},
        }

    def __str__(self) -> str:
        """Return the ceiling as a sentence."""
        systems = ", ".join(f"{name} {f1:.3f}" for name, f1 in self.systems.items())
        return f"a second reader of {self.documents} of these documents has F1 {self.reader:.3f} on them; {systems}"


@dataclass(frozen=True, slots=True)
class Report:
    """The scores of systems on the same articles."""

    title: str
    documents: int
    words: int
    mentions: int
    scores: tuple[Score, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    ceiling: Ceiling | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "title": self.title,
            "documents": self.documents,
            "words": self.words,
            "mentions": self.mentions,
            "facts": dict(self.facts),
            "ceiling": self.ceiling.to_dict() if self.ceiling else None,
            "scores": [score.to_dict() for score in self.scores],
        }

    def rows(self, *, type_intervals: bool = True) -> list[list[str]]:
        """Return the report as a table of strings: a header, then a row a measure with a cell a system.

        Args:
            type_intervals: whether F1 of a type stands with its interval.
        """
        own = sorted({name for score in self.scores for name in score.by_type} - TYPES.keys())
        types = [*TYPES, *own]
        columns = [_measures(types), *(_column(score, types, type_intervals) for score in self.scores)]
        return [["", *(score.system for score in self.scores)], *map(list, zip(*columns, strict=True))]

    def group_rows(self) -> list[list[str]]:
        """Return F1 by group as a table of strings: a header, then a row a group with a cell a system."""
        found = [{(g.grouping, g.name): g for g in score.groups} for score in self.scores]
        places = dict.fromkeys(place for each in found for place in each)
        rows = [["by", "group", "documents", "mentions", *(score.system for score in self.scores)]]
        for place in places:
            here = [each.get(place) for each in found]
            first = next(group for group in here if group)
            cells = [with_interval(g.exact.f1, g.interval) if g and g.exact.gold else "-" for g in here]
            rows.append([*place, f"{first.documents:,}", f"{first.exact.gold:,}", *cells])
        return rows

    def markdown(self) -> str:
        """Return the report as Markdown tables under a line that says what was scored."""
        parts = [
            f"{self.title}: {self.documents} documents, {self.words:,} words, {self.mentions:,} mentions.",
            _table(self.rows()),
        ]
        if self.ceiling:
            parts.append(f"For comparison {self.ceiling}.")
        if any(score.groups for score in self.scores):
            parts.append("Exact F1 by group, with 95% intervals:")
            parts.append(_table(self.group_rows()))
        return "\n\n".join(parts) + "\n"


def evaluate(
    articles: Sequence[Article],
    systems: Mapping[str, System | Tagger | Sequence[Prediction]],
    *,
    title: str,
    samples: int = 1000,
    facts: Mapping[str, Any] | None = None,
    train: Sequence[Article] | None = None,
    second: Mapping[str, Sequence[Span]] | None = None,
) -> Report:
    """Score systems on labelled articles.

    Args:
        articles: with their texts; none that a system has learnt from.
        systems: name -> tagger, function from text to spans, or what it said of these articles.
        title: what is scored, for people.
        samples: of the bootstrap.
        facts: whatever else the report should say.
        train: what the systems learnt from; with it triggers are grouped by whether it holds them.
        second: document id -> spans of another reader.

    Raises:
        ValueError: if there is no article, or one lacks its text.
    """
    if not articles:
        raise ValueError("there is no article to score; name a part of the split that holds some")
    gold = [article.spans for article in articles]
    said = {
        name: predictions.run(system, articles) if callable(system) or isinstance(system, Tagger) else list(system)
        for name, system in systems.items()
    }
    scores = [
        score(name, articles, found, samples=samples, mention_groups=groups.of_mentions(train))
        for name, found in said.items()
    ]
    return Report(
        title,
        len(articles),
        sum(_count_words(article.text or "") for article in articles),
        sum(map(len, gold)),
        tuple(scores),
        facts or {},
        _ceiling(articles, said, second) if second else None,
    )


def score(
    system: str,
    articles: Sequence[Article],
    said: Sequence[Prediction],
    *,
    samples: int = 1000,
    mention_groups: Mapping[str, groups.MentionGroup] | None = None,
) -> Score:
    """Score what a system said of articles against their labels, document by document."""
    gold, predicted = [article.spans for article in articles], [each.spans for each in said]
    right, found = metrics.modality(gold, predicted)
    exact, span = metrics.count(gold, predicted), metrics.count(gold, predicted, match="span")
    certainty = [score for each in said for score in each.scores]
    scored = len(certainty) == exact.predicted and bool(certainty)
    hits = hits_of(gold, predicted)
    by_type = metrics.by_type(gold, predicted)
    return Score(
        system=system,
        exact=exact,
        interval=metrics.interval(gold, predicted, samples=samples),
        span=span.f1,
        overlap=metrics.count(gold, predicted, match="overlap").f1,
        given_span=exact.hits / span.hits if span.hits else 0.0,
        by_type=by_type,
        by_type_intervals={name: _type_interval(gold, predicted, name, samples) for name in by_type},
        presence=metrics.presence(gold, predicted),
        types=metrics.type_confusion(gold, predicted),
        modality=right / found if found else 0.0,
        modalities=metrics.modality_confusion(gold, predicted),
        false_alarms=_false_alarms(articles, gold, predicted),
        calibration_error=metrics.expected_calibration_error(certainty, hits) if scored else None,
        reliability=tuple(metrics.reliability(certainty, hits)) if scored else (),
        curves=_curves(gold, predicted, certainty, hits) if scored else {},
        groups=_groups(articles, gold, predicted, mention_groups) if mention_groups is not None else (),
    )


def _type_interval(
    gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], name: str, samples: int
) -> tuple[float, float] | None:
    """Return the interval of a type's F1 over the documents in which either side has it, None for few of them."""
    both = [
        tuple([span for span in side if span.label == name] for side in pair)
        for pair in zip(gold, predicted, strict=True)
    ]
    held = [pair for pair in both if any(pair)]
    if len(held) < _FEW:
        return None
    return metrics.interval([wanted for wanted, _ in held], [found for _, found in held], samples=samples)


def hits_of(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]) -> list[bool]:
    """Return for each predicted span, document after document, whether it is an exact hit."""
    right = []
    for wanted, found in zip(gold, predicted, strict=True):
        exact = {(span.start, span.end, span.label) for span in wanted}
        right += [(span.start, span.end, span.label) in exact for span in found]
    return right


def baselines(articles: Sequence[Article], *, seed: int = 0) -> dict[str, System]:
    """Return what a model has to beat, fitted on `articles`: a trigger lexicon and a linear tagger on word features."""
    return {
        "trigger lexicon": Lexicon.fit(articles).predict,
        "linear on word features": Linear.fit(articles, seed=seed).predict,
    }


def leave_one_out(
    config: TrainConfig, texts: Path | None, *, report: Callable[[str], None] = lambda line: None
) -> Report:
    """Score a training configuration by cross-validation: each of its parts held out in turn, all scored together.

    Args:
        config: whose `train` parts are the folds; a `dev` part is not used.
        texts: folder of the texts that the label files do not name.
        report: called with a line a fold.

    Raises:
        LabelError: as `train.articles_of` does.
        RecipeError: likewise; and if there are fewer than two parts.
    """
    from eventx import batches, network, recipe, train

    if len(config.train) < 2:
        raise recipe.RecipeError("leaving one out needs two parts or more in train")
    names = ("model", "trigger lexicon", "linear on word features")
    said: dict[str, list[Prediction]] = {name: [] for name in names}
    every: list[Article] = []
    for held_out in config.train:
        others = dataclasses.replace(config, train=tuple(name for name in config.train if name != held_out), dev="")
        learnt, _ = train.articles_of(others, texts)
        scored, _ = train.articles_of(dataclasses.replace(config, train=(held_out,), dev=""), texts)
        with tempfile.TemporaryDirectory() as place:
            train.train(others, learnt, (), Path(place))
            net, coding = network.load(Path(place)), batches.coding_of(config)
        systems: dict[str, System] = {"model": partial(train.predict, net, coding), **baselines(learnt)}
        every += scored
        for name, system in systems.items():
            said[name] += predictions.run(system, scored)
        size = len(scored)
        found = [prediction.spans for prediction in said["model"][-size:]]
        report(f"{held_out}: F1 {metrics.count([a.spans for a in scored], found).f1:.3f} ({size} documents)")
    return Report(
        f"each of {', '.join(config.train)} held out in turn",
        len(every),
        sum(_count_words(article.text or "") for article in every),
        sum(len(article.spans) for article in every),
        tuple(score(name, every, said[name]) for name in names),
    )


def _ceiling(
    articles: Sequence[Article], said: Mapping[str, Sequence[Prediction]], second: Mapping[str, Sequence[Span]]
) -> Ceiling | None:
    """Score a second reader, and the systems, on the articles that both readers read."""
    both = [at for at, article in enumerate(articles) if article.id in second]
    if not both:
        return None
    gold = [articles[at].spans for at in both]
    reader = [second[articles[at].id] for at in both]
    return Ceiling(
        len(both),
        metrics.count(gold, reader).f1,
        {name: counts.f1 for name, counts in metrics.by_type(gold, reader).items()},
        {name: metrics.count(gold, [found[at].spans for at in both]).f1 for name, found in said.items()},
    )


def _groups(
    articles: Sequence[Article],
    gold: Sequence[Sequence[Span]],
    predicted: Sequence[Sequence[Span]],
    mention_groups: Mapping[str, groups.MentionGroup],
) -> tuple[Group, ...]:
    """Score each group of documents and of mentions; a grouping that all fall into one group of says nothing."""
    found = []
    for grouping, names in groups.of_documents(articles).items():
        order = sorted(set(names), key=lambda name: (name == "others", -names.count(name), name))
        for name in order if len(order) > 1 else []:
            at = [number for number, each in enumerate(names) if each == name]
            left, right = [gold[number] for number in at], [predicted[number] for number in at]
            found.append(_group(grouping, name, len(at), left, right))
    for grouping, rule in mention_groups.items():
        parted, marked = groups.divide(articles, gold, rule), groups.divide(articles, predicted, rule)
        none: list[list[Span]] = [[] for _ in articles]
        for name in sorted(parted.keys() | marked.keys()):
            mine, its = parted.get(name, none), marked.get(name, none)
            at = [number for number in range(len(articles)) if mine[number] or its[number]]
            found.append(_group(grouping, name, len(at), [mine[n] for n in at], [its[n] for n in at]))
    return tuple(found)


def _group(
    grouping: str, name: str, documents: int, gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]
) -> Group:
    """Score one group."""
    interval = metrics.interval(gold, predicted, samples=_SAMPLES)
    return Group(grouping, name, documents, metrics.count(gold, predicted), interval)


def _curves(
    gold: Sequence[Sequence[Span]],
    predicted: Sequence[Sequence[Span]],
    certainty: Sequence[float],
    hits: Sequence[bool],
) -> dict[str, list[tuple[float, float, float]]]:
    """Return precision and recall by score, for each type and for all."""
    labels = [span.label for spans in predicted for span in spans]
    wanted = [span.label for spans in gold for span in spans]
    made = {"all": metrics.precision_recall(certainty, hits, len(wanted))}
    for name in metrics.in_order(wanted):
        own = [at for at, label in enumerate(labels) if label == name]
        made[name] = metrics.precision_recall(
            [certainty[at] for at in own], [hits[at] for at in own], wanted.count(name)
        )
    return made


def _false_alarms(
    articles: Sequence[Article], gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]
) -> float | None:
    """Return the false alarms per 1,000 words of articles without events; None without such articles."""
    counted = [_count_words(article.text or "") for article in articles]
    if not any(size for size, spans in zip(counted, gold, strict=True) if not spans):
        return None
    return metrics.false_alarms_per_1000_words(gold, predicted, counted)


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of strings as a Markdown table, the first one its header."""
    header, *others = rows
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}", *(f"| {' | '.join(row)} |" for row in others)]
    return "\n".join(lines)


def _count_words(text: str) -> int:
    """Count the words of a text, punctuation marks left out."""
    return sum(text[start].isalnum() for start, _ in words(text))


def _measures(types: Sequence[str]) -> list[str]:
    """Return the names of a report's rows."""
    return [
        "**exact F1** (95% interval)",
        "precision / recall",
        *(f"F1 {name}" for name in types),
        "F1 of spans alone",
        "type right, of right spans",
        "F1 of overlap",
        "F1 of presence in a document",
        "modality right",
        "false alarms per 1,000 words",
        "calibration error (ECE)",
    ]


def _column(score: Score, types: Sequence[str], type_intervals: bool) -> list[str]:
    """Return a score's cells in the order of `_measures`."""
    bounds = {name: interval if type_intervals else None for name, interval in score.by_type_intervals.items()}
    return [
        with_interval(score.exact.f1, score.interval),
        f"{score.exact.precision:.3f} / {score.exact.recall:.3f}",
        *(with_interval(score.by_type[name].f1, bounds[name]) if name in bounds else "-" for name in types),
        f"{score.span:.3f}",
        f"{score.given_span:.3f}",
        f"{score.overlap:.3f}",
        f"{sum(score.presence.values(), start=metrics.Counts()).f1:.3f}",
        f"{score.modality:.3f}",
        "-" if score.false_alarms is None else f"{score.false_alarms:.2f}",
        "-" if score.calibration_error is None else f"{score.calibration_error:.3f}",
    ]


def with_interval(f1: float, interval: tuple[float, float] | None) -> str:
    """Return an F1 with its interval, if it has one, for people."""
    return f"{f1:.3f} ({interval[0]:.3f}-{interval[1]:.3f})" if interval else f"{f1:.3f}"


def _prf(counts: metrics.Counts) -> dict[str, float | int]:
    """Return counts with precision, recall and F1, rounded to four digits."""
    return {
        "f1": round(counts.f1, 4),
        "precision": round(counts.precision, 4),
        "recall": round(counts.recall, 4),
        "hits": counts.hits,
        "predicted": counts.predicted,
        "gold": counts.gold,
    }
