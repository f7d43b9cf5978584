"""Systems x labelled articles -> a report: scores with intervals, by type, beside baselines; as JSON, Markdown or rows.

A system is any function from a text to its spans. What a score is, `metrics` says; this room runs the systems, holds
out what must be held out, and lays the figures out. It prints nothing.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventx import metrics
from eventx.baselines import Lexicon, Linear
from eventx.labels import Article
from eventx.schema import TYPES
from eventx.spans import Span
from eventx.tagger import Tagger
from eventx.text import words

if TYPE_CHECKING:
    from eventx.recipe import TrainConfig

System = Callable[[str], Sequence[Span]]


@dataclass(frozen=True, slots=True)
class Score:
    """What one system scores on a set of articles; all but the counts are shares in [0, 1].

    Attributes:
        system: its name.
        exact: counts of spans right in offsets and type; their F1 is the headline.
        interval: 95% interval of that F1, by bootstrap over documents.
        span: F1 of offsets alone; overlap: F1 of the same type with at least one shared character.
        by_type: exact F1 of each type.
        modality: share of exactly found spans with the right modality.
        false_alarms: spans marked per 1,000 words in articles that hold no event; None without such articles.
        calibration_error: expected calibration error of the scores; None for a system without scores.
    """

    system: str
    exact: metrics.Counts
    interval: tuple[float, float]
    span: float
    overlap: float
    by_type: dict[str, metrics.Counts]
    modality: float
    false_alarms: float | None
    calibration_error: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the score as plain JSON values, rounded to four digits."""
        return {
            "system": self.system,
            "exact": _prf(self.exact),
            "interval": [round(value, 4) for value in self.interval],
            "span_f1": round(self.span, 4),
            "overlap_f1": round(self.overlap, 4),
            "by_type": {name: _prf(counts) for name, counts in self.by_type.items()},
            "modality": round(self.modality, 4),
            "false_alarms_per_1000_words": None if self.false_alarms is None else round(self.false_alarms, 3),
            "calibration_error": None if self.calibration_error is None else round(self.calibration_error, 4),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The scores of systems on the same articles."""

    title: str
    documents: int
    words: int
    mentions: int
    scores: tuple[Score, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "title": self.title,
            "documents": self.documents,
            "words": self.words,
            "mentions": self.mentions,
            "facts": dict(self.facts),
            "scores": [score.to_dict() for score in self.scores],
        }

    def rows(self) -> list[list[str]]:
        """Return the report as a table of strings: a header, then a row a measure with a cell a system."""
        own = sorted({name for score in self.scores for name in score.by_type} - TYPES.keys())
        types = [*TYPES, *own]
        columns = [_measures(types), *(_column(score, types) for score in self.scores)]
        return [["", *(score.system for score in self.scores)], *map(list, zip(*columns, strict=True))]

    def markdown(self) -> str:
        """Return the report as a Markdown table under a line that says what was scored."""
        header, *rows = self.rows()
        lines = [
            f"{self.title}: {self.documents} documents, {self.words:,} words, {self.mentions:,} mentions.",
            "",
            f"| {' | '.join(header)} |",
            f"|{'---|' * len(header)}",
            *(f"| {' | '.join(row)} |" for row in rows),
        ]
        return "\n".join(lines) + "\n"


def evaluate(
    articles: Sequence[Article],
    systems: Mapping[str, System | Tagger],
    *,
    title: str,
    samples: int = 1000,
    facts: Mapping[str, Any] | None = None,
) -> Report:
    """Score systems on labelled articles.

    Args:
        articles: with their texts; none that a system has learnt from.
        systems: name -> tagger, or function from text to spans.
        title: what is scored, for people.
        samples: of the bootstrap.
        facts: whatever else the report should say.

    Raises:
        ValueError: if there is no article, or one lacks its text.
    """
    if not articles or any(article.text is None for article in articles):
        raise ValueError("scoring needs articles with their texts; name the folder that holds them with --texts")
    texts = [article.text or "" for article in articles]
    gold = [article.spans for article in articles]
    scores = []
    for name, system in systems.items():
        if isinstance(system, Tagger):
            documents = list(system.pipe(texts))
            predicted: list[list[Span]] = [[event.span for event in document.events] for document in documents]
            certainty = [event.score for document in documents for event in document.events]
            error = _calibration_error(gold, predicted, certainty)
        else:
            predicted = [list(system(text)) for text in texts]
            error = None
        scores.append(score(name, gold, predicted, texts, samples=samples, calibration_error=error))
    mentions = sum(len(spans) for spans in gold)
    return Report(title, len(texts), sum(_count_words(text) for text in texts), mentions, tuple(scores), facts or {})


def score(
    system: str,
    gold: Sequence[Sequence[Span]],
    predicted: Sequence[Sequence[Span]],
    texts: Sequence[str],
    *,
    samples: int = 1000,
    calibration_error: float | None = None,
) -> Score:
    """Score predicted spans against gold ones, document by document."""
    right, found = metrics.modality(gold, predicted)
    without_events = any(not spans for spans in gold)
    counted = [_count_words(text) for text in texts]
    return Score(
        system=system,
        exact=metrics.count(gold, predicted),
        interval=metrics.interval(gold, predicted, samples=samples),
        span=metrics.count(gold, predicted, match="span").f1,
        overlap=metrics.count(gold, predicted, match="overlap").f1,
        by_type=metrics.by_type(gold, predicted),
        modality=right / found if found else 0.0,
        false_alarms=metrics.false_alarms_per_1000_words(gold, predicted, counted) if without_events else None,
        calibration_error=calibration_error,
    )


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
    from eventx import network, recipe, train

    if len(config.train) < 2:
        raise recipe.RecipeError("leaving one out needs two parts or more in train")
    names = ("model", "trigger lexicon", "linear on word features")
    predicted: dict[str, list[Sequence[Span]]] = {name: [] for name in names}
    gold: list[Sequence[Span]] = []
    all_texts: list[str] = []
    for held_out in config.train:
        others = dataclasses.replace(config, train=tuple(name for name in config.train if name != held_out), dev="")
        learnt, _ = train.articles_of(others, texts)
        scored, _ = train.articles_of(dataclasses.replace(config, train=(held_out,), dev=""), texts)
        with tempfile.TemporaryDirectory() as place:
            train.train(others, learnt, (), Path(place))
            net, coding = network.load(Path(place)), train.coding_of(config)
        systems: dict[str, System] = {"model": partial(train.predict, net, coding), **baselines(learnt)}
        for article in scored:
            text = article.text or ""
            all_texts.append(text)
            gold.append(article.spans)
            for name, system in systems.items():
                predicted[name].append(list(system(text)))
        size = len(scored)
        report(f"{held_out}: F1 {metrics.count(gold[-size:], predicted['model'][-size:]).f1:.3f} ({size} documents)")
    return Report(
        f"each of {', '.join(config.train)} held out in turn",
        len(all_texts),
        sum(_count_words(text) for text in all_texts),
        sum(len(spans) for spans in gold),
        tuple(score(name, gold, predicted[name], all_texts) for name in names),
    )


def _calibration_error(
    gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], certainty: Sequence[float]
) -> float | None:
    """Return the expected calibration error of the scores of predicted spans."""
    if not certainty:
        return None
    right = []
    for wanted, found in zip(gold, predicted, strict=True):
        exact = {(span.start, span.end, span.label) for span in wanted}
        right += [(span.start, span.end, span.label) in exact for span in found]
    return metrics.expected_calibration_error(certainty, right)


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
        "F1 of overlap",
        "modality right",
        "false alarms per 1,000 words",
        "calibration error (ECE)",
    ]


def _column(score: Score, types: Sequence[str]) -> list[str]:
    """Return a score's cells in the order of `_measures`."""
    counted = [score.by_type.get(name, metrics.Counts()) for name in types]
    return [
        f"{score.exact.f1:.3f} ({score.interval[0]:.3f}-{score.interval[1]:.3f})",
        f"{score.exact.precision:.3f} / {score.exact.recall:.3f}",
        *(f"{counts.f1:.3f}" if counts.gold or counts.predicted else "-" for counts in counted),
        f"{score.span:.3f}",
        f"{score.overlap:.3f}",
        f"{score.modality:.3f}",
        "-" if score.false_alarms is None else f"{score.false_alarms:.2f}",
        "-" if score.calibration_error is None else f"{score.calibration_error:.3f}",
    ]


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
