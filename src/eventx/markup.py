"""What all views share: texts with marked places as HTML, their colours and legend, counted nouns.

The colours are Okabe and Ito's, which the colour-blind tell apart; a modality shows in its line and in words, so
nothing is said by colour alone. Everything is styled in place: a fragment looks the same in a notebook and in a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = {
    "offensive": "#D55E00",
    "airstrike": "#56B4E9",
    "flight": "#009E73",
    "surrender": "#F0E442",
    "warning": "#CC79A7",
}
"""Event type -> its colour in every view, page and plot; black on them is readable."""
OTHER_COLOUR = "#E69F00"
_LINES = {
    "asserted": "",
    "possible": "border-bottom:2px dashed #000;",
    "negated": "text-decoration:line-through;",
}
_LABELS = {"asserted": "{}", "possible": "{}?", "negated": "not {}"}


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 event`, `2,544 characters`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


@dataclass(frozen=True, slots=True)
class Place:
    """A marked stretch of text: half-open character offsets, type, modality, what to say on pointing at it, its cue."""

    start: int
    end: int
    type: str
    modality: str
    title: str = ""
    cue: tuple[int, int] | None = None


def colour(type_: str) -> str:
    """Return a type's colour."""
    return COLOURS.get(type_, OTHER_COLOUR)


def label(type_: str, modality: str) -> str:
    """Return type and modality in a word or two: `flight`, `flight?`, `not flight`."""
    return _LABELS[modality].format(type_) if modality in _LABELS else f"{type_}, {modality}"


def mark(words: str, place: Place, *, named: bool = True) -> str:
    """Return marked words as HTML, with their label if they are to be `named`."""
    style = (
        f"background:{colour(place.type)};color:#000;padding:0 .15em;border-radius:3px;{_LINES.get(place.modality, '')}"
    )
    title = f' title="{escape(place.title)}"' if place.title else ""
    told = escape(label(place.type, place.modality)) if named else ""
    tail = f'<sub style="font-size:.7em;vertical-align:baseline"> {told}</sub>' if told else ""
    kind = escape(f"{place.type} {place.modality}")
    return f'<mark class="{kind}" style="{style}"{title}>{escape(words)}{tail}</mark>'


def text(words: str, places: Sequence[Place]) -> str:
    """Return a text as HTML with its places marked and their cues underlined; line ends stay line ends.

    Args:
        words: the text.
        places: in text order and without overlap.
    """
    cues = sorted({place.cue for place in places if place.cue})
    pieces, at = [], 0
    for place in places:
        pieces.append(_between(words, (at, place.start), cues))
        pieces.append(mark(words[place.start : place.end], place))
        at = place.end
    pieces.append(_between(words, (at, len(words)), cues))
    return f'<div style="white-space:pre-wrap;overflow-wrap:anywhere">{"".join(pieces)}</div>'


def legend(types: Iterable[str]) -> str:
    """Return the line that explains colours and lines."""
    kinds = " ".join(mark("trigger", Place(0, 0, name, "asserted")) for name in types)
    manners = " ".join(f'<span style="{line}">{name}</span>' for name, line in _LINES.items() if line)
    return f'<div style="margin:.3em 0"><small>{kinds} &nbsp; {manners} &nbsp; <u>its cue</u></small></div>'


def _between(words: str, part: tuple[int, int], cues: Iterable[tuple[int, int]]) -> str:
    """Return a stretch without marks, its cues underlined."""
    at, end = part
    pieces = []
    for low, high in cues:
        if at <= low and high <= end:
            pieces += [escape(words[at:low]), f"<u>{escape(words[low:high])}</u>"]
            at = high
    return "".join([*pieces, escape(words[at:end])])
