"""The nouns that cross every wall: `Span`, `Event`, `Document`, and the only BIO <-> span conversion.

All offsets are half-open, in characters (code points) of the text as it was given: `text[start:end]`.
This room does not know about tokens, files or models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

from eventx import markup


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
    half-open character offsets of the sentence around the trigger; `cue` those of the word that makes the event
    possible or negated, where one could be told.
    """

    type: str
    trigger: str
    start: int
    end: int
    score: float
    modality: str
    sentence: tuple[int, int]
    cue: tuple[int, int] | None = None

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
            "cue": {"start": self.cue[0], "end": self.cue[1]} if self.cue else None,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Event:
        """Build an event from what `to_dict` gave.

        Raises:
            KeyError: if a field is missing.
        """
        sentence, cue = value["sentence"], value.get("cue")
        plain = {name: value[name] for name in ("type", "trigger", "start", "end", "score", "modality")}
        where = (cue["start"], cue["end"]) if cue else None
        return cls(**plain, sentence=(sentence["start"], sentence["end"]), cue=where)


@dataclass(frozen=True, slots=True)
class Document:
    """A text and the events a model marked in it, in text order and without overlap.

    `chars_read` says how many characters of `text` the model saw: always all of them, or there is a bug. `date` and
    `title` are those that the input tells, `encoding` that of its file ("" for UTF-8); `derived` says that the text was
    taken out of something, a web page or a field of a table, so that the offsets need it beside them.
    """

    id: str
    text: str
    events: tuple[Event, ...]
    source: str = ""
    model: str = ""
    chars_read: int = 0
    date: str = ""
    title: str = ""
    encoding: str = ""
    derived: bool = False

    @property
    def spans(self) -> tuple[Span, ...]:
        """The events as bare labelled spans."""
        return tuple(event.span for event in self.events)

    def _repr_html_(self) -> str:
        """Return the text with its events marked, and what the marks mean, as notebooks show it."""
        types = dict.fromkeys(event.type for event in self.events)
        return f"<div>{markup.legend(types) if types else ''}{self.to_html()}</div>"

    def to_html(self) -> str:
        """Return the text with its events marked as HTML, under a line that says which document it is."""
        places = [
            markup.Place(e.start, e.end, e.type, e.modality, f"{e.type}, {e.modality}, {e.score:.2f}", e.cue)
            for e in self.events
        ]
        told = [self.date] if self.date else []
        told += [markup.counted(len(self.events), "event"), f"{markup.counted(self.chars_read, 'character')} read"]
        head = f"<b>{escape(self.id)}</b> <small>{escape(', '.join(told))}</small>"
        return f"<div>{head}</div>{markup.text(self.text, places)}"

    def to_dict(self, *, with_text: bool = False) -> dict[str, Any]:
        """Return the document as plain JSON values, with its text if that is asked for, or `derived`."""
        told = {name: getattr(self, name) for name in ("date", "title", "encoding") if getattr(self, name)}
        return {
            "id": self.id,
            "source": self.source,
            **told,
            "chars": len(self.text),
            "chars_read": self.chars_read,
            "model": self.model,
            "events": [event.to_dict() for event in self.events],
            **({"text": self.text} if with_text or self.derived else {}),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any], text: str | None = None) -> Document:
        """Build a document from what `to_dict` gave and the text it speaks of, unless that stands in it.

        Raises:
            KeyError: if a field is missing, or the text.
            ValueError: if `text` does not hold the triggers at their offsets.
        """
        events = tuple(Event.from_dict(event) for event in value["events"])
        derived = text is None
        text = value["text"] if text is None else text
        for event in events:
            if text[event.start : event.end] != event.trigger:
                found = text[event.start : event.end]
                raise ValueError(
                    f"document {value['id']!r}: the text has {found!r} at {event.start}:{event.end}, the event says "
                    f"{event.trigger!r}; give the text that was tagged"
                )
        told = {name: value.get(name, "") for name in ("date", "title", "encoding")}
        return cls(
            value["id"], text, events, value["source"], value["model"], value["chars_read"], **told, derived=derived
        )


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
