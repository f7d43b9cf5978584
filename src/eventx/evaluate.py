"""Systems x labelled articles -> a report: scores with intervals, by type and by group.

What a score is, `metrics` says; what a system says, `predictions`; what articles and mentions are grouped by, `groups`;
how a report is laid out, `report`. This room puts them together and holds out what must be held out.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventx import groups, metrics, predictions
from eventx.baselines import Lexicon, Linear
from eventx.labels import Article
from eventx.predictions import Prediction, System
from eventx.report import Ceiling, Group, Report, Score
from eventx.spans import Span
from eventx.tagger import Tagger
from eventx.text import words

if TYPE_CHECKING:
    from eventx.recipe import TrainConfig

_SAMPLES = 300
"""Of the bootstrap of a group."""
_FEW = 5
"""A type has no interval in fewer documents."""


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
    from eventx import batches, inference, network, recipe, train

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
        systems: dict[str, System] = {"model": partial(inference.predict, net, coding), **baselines(learnt)}
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


def _count_words(text: str) -> int:
    """Count the words of a text, punctuation marks left out."""
    return sum(text[start].isalnum() for start, _ in words(text))
