"""What systems scored on the same articles: the figures, as JSON values, Markdown or rows of a table.

What a figure means, `metrics` says; `evaluate` makes them. This room holds them and lays them out, and prints nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventx import metrics
from eventx.markup import counted
from eventx.schema import TYPES


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

    @property
    def sizes(self) -> str:
        """How much was scored: `150 documents, 48,918 words, 963 mentions`."""
        parts = ((self.documents, "document"), (self.words, "word"), (self.mentions, "mention"))
        return ", ".join(counted(number, noun) for number, noun in parts)

    def markdown(self) -> str:
        """Return the report as Markdown tables under a line that says what was scored."""
        parts = [
            f"{self.title}: {self.sizes}.",
            _table(self.rows()),
        ]
        if self.ceiling:
            parts.append(f"For comparison {self.ceiling}.")
        if any(score.groups for score in self.scores):
            parts.append("Exact F1 by group, with 95% intervals:")
            parts.append(_table(self.group_rows()))
        return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of strings as a Markdown table, the first one its header."""
    header, *others = rows
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}", *(f"| {' | '.join(row)} |" for row in others)]
    return "\n".join(lines)


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
