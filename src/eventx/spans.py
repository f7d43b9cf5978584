"""The nouns that cross every wall: `Span`, `Event`, `Document`, and the only BIO <-> span conversion.

All offsets are half-open, in characters (code points) of the text as it was given: `text[start:end]`.
This room does not know about tokens, files or models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A labelled stretch of text: half-open character offsets, an event type and its modality."""

    start: int
    end: int
    label: str
    modality: str = "asserted"


class Annotated(Protocol):
    """What labelled articles and tagged documents have in common; whatever writes spans takes this."""

    @property
    def id(self) -> str:
        """The document's name."""

    @property
    def text(self) -> str | None:
        """The text that offsets count in; None where it is not at hand."""

    @property
    def spans(self) -> Sequence[Span]:
        """The marks."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event that a model marked: `text[start:end] == trigger`.

    `score` is the calibrated probability that span and type are both right, in [0, 1]; `sentence` holds the
    half-open character offsets of the sentence around the trigger.
    """

    type: str
    trigger: str
    start: int
    end: int
    score: float
    modality: str
    sentence: tuple[int, int]

    @property
    def span(self) -> Span:
        """The event as a bare labelled span."""
        return Span(self.start, self.end, self.type, self.modality)

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain JSON values."""
        return {
            "type": self.type,
            "trigger": self.trigger,
            "start": self.start,
            "end": self.end,
            "score": self.score,
            "modality": self.modality,
            "sentence": {"start": self.sentence[0], "end": self.sentence[1]},
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Event:
        """Build an event from what `to_dict` gave.

        Raises:
            KeyError: if a field is missing.
        """
        sentence = value["sentence"]
        plain = {name: value[name] for name in ("type", "trigger", "start", "end", "score", "modality")}
        return cls(**plain, sentence=(sentence["start"], sentence["end"]))


@dataclass(frozen=True, slots=True)
class Document:
    """A text and the events a model marked in it, in text order and without overlap.

    `chars_read` says how many characters of `text` the model saw: always all of them, or there is a bug.
    """

    id: str
    text: str
    events: tuple[Event, ...]
    source: str = ""
    model: str = ""
    chars_read: int = 0

    @property
    def spans(self) -> tuple[Span, ...]:
        """The events as bare labelled spans."""
        return tuple(event.span for event in self.events)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as plain JSON values, without its text."""
        return {
            "id": self.id,
            "source": self.source,
            "chars": len(self.text),
            "chars_read": self.chars_read,
            "model": self.model,
            "events": [event.to_dict() for event in self.events],
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any], text: str) -> Document:
        """Build a document from what `to_dict` gave and the text it speaks of.

        Raises:
            KeyError: if a field is missing.
            ValueError: if `text` does not hold the triggers at their offsets.
        """
        events = tuple(Event.from_dict(event) for event in value["events"])
        for event in events:
            if text[event.start : event.end] != event.trigger:
                found = text[event.start : event.end]
                raise ValueError(
                    f"document {value['id']!r}: the text has {found!r} at {event.start}:{event.end}, the event says "
                    f"{event.trigger!r}; give the text that was tagged"
                )
        return cls(value["id"], text, events, value["source"], value["model"], value["chars_read"])


def spans_to_bio(spans: Iterable[Span], words: Sequence[tuple[int, int]]) -> list[str]:
    """Return one BIO tag a word for `spans`; a word belongs to the span that overlaps it.

    Args:
        spans: labelled spans without overlap.
        words: half-open character offsets, ascending, as `encode.words` gives them.
    """
    tags = ["O"] * len(words)
    at = 0
    for span in sorted(spans):
        while at < len(words) and words[at][1] <= span.start:
            at += 1
        prefix = "B"
        while at < len(words) and words[at][0] < span.end:
            tags[at] = f"{prefix}-{span.label}"
            prefix = "I"
            at += 1
    return tags


def bio_to_spans(tags: Sequence[str], words: Sequence[tuple[int, int]]) -> list[Span]:
    """Return the spans that BIO `tags` mark over `words`, in text order.

    An `I-` tag that continues nothing of its type opens a span: every tag sequence gives valid spans.
    """
    spans: list[Span] = []
    start, label = -1, ""
    for at, tag in enumerate([*tags, "O"]):
        if label and tag != f"I-{label}":
            spans.append(Span(words[start][0], words[at - 1][1], label))
            label = ""
        if not label and tag != "O":
            start, label = at, tag[2:]
    return spans
