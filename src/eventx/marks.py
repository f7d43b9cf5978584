"""What all converters share: marks as foreign files have them, the door through which they become labels, and tokens.

Foreign tools let marks be discontinuous, overlap, carry other names and count other units than characters; labels do
not. `Door.article` holds every rule of that passage. Which file has which shape is not known here.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from eventx.labels import Article, LabelError, digest
from eventx.schema import MODALITIES, SHIPPED, Schema
from eventx.spans import Annotated, Span
from eventx.text import words

COLOURS = ("#D55E00", "#56B4E9", "#009E73", "#F0E442", "#CC79A7", "#E69F00", "#0072B2", "#999999")
"""Of types, in their order, where a tool asks for them (Okabe and Ito)."""
_BLANKS = re.compile(r"\s+")
_LONGEST_NAME = 200


class MissingError(RuntimeError):
    """A library that a format needs and that is not installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark as a foreign file has it.

    Attributes:
        pieces: half-open offsets, one pair unless the mark is discontinuous.
        label: its type, by the file's name for it.
        modality: likewise.
        where: the place in the file, for errors.
        said: the marked text as the file gives it, blanks aside; None where it gives none.
    """

    pieces: tuple[tuple[int, int], ...]
    label: str
    modality: str
    where: str
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Door:
    """The rules by which foreign marks become labels.

    Attributes:
        schema: the types that labels may have.
        rename: foreign type -> type; "" leaves its marks out.
        skip: called with a line for each mark that labels cannot hold, which is then left out; None raises it.
    """

    schema: Schema = SHIPPED
    rename: Mapping[str, str] = field(default_factory=dict)
    skip: Callable[[str], None] | None = None

    def article(self, name: str, text: str, marks: Iterable[Mark]) -> Article:
        """Return a document's labels.

        Pieces with nothing but blanks between them are one mark, blanks at a mark's edges are left out, a mark that
        comes twice counts once. Offsets that fit the marked text only in UTF-16 units, or with CRLF counted as one
        character (as browsers count), are taken so. Of two overlapping marks the later one is at fault.

        Raises:
            LabelError: at the first mark that is discontinuous, outside the text, of another text than it says, of an
                unknown type or modality, or overlapping, unless `skip` takes them.
        """
        spans: list[Span] = []
        for mark in sorted(_recounted(text, list(marks)), key=lambda mark: mark.pieces):
            label = self.rename.get(mark.label, mark.label)
            if not label:
                continue
            try:
                span = self._span(text, replace(mark, label=label))
                if spans and span == spans[-1]:
                    continue
                if spans and span.start < spans[-1].end:
                    last = text[spans[-1].start : spans[-1].end]
                    raise LabelError(
                        f"{mark.where}: {text[span.start : span.end]!r} ({label}) at {span.start}:{span.end} overlaps "
                        f"{last!r} ({spans[-1].label}) at {spans[-1].start}:{spans[-1].end}; labels never overlap: "
                        f"keep one, or type --skip"
                    )
                spans.append(span)
            except LabelError as error:
                if self.skip is None:
                    raise
                self.skip(str(error))
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise LabelError(f"document {name!r}: its text holds half a character ({error.reason}); mend it") from None
        triggers = tuple(text[span.start : span.end] for span in spans)
        return Article(name, digest(data), len(text), tuple(spans), triggers, text)

    def _span(self, text: str, mark: Mark) -> Span:
        """Return a mark as a label's span, or raise what keeps it from being one."""
        for start, end in mark.pieces:
            if not 0 <= start < end <= len(text):
                raise LabelError(f"{mark.where}: {start}:{end} lies outside the text (0:{len(text)}); correct the file")
        start, end = mark.pieces[0][0], mark.pieces[-1][1]
        if not _says(mark, text):
            found = " ".join(text[low:high] for low, high in mark.pieces)
            raise LabelError(
                f"{mark.where}: the text has {found!r} at {start}:{end}, the file says {mark.said!r}; give the text "
                f"that was annotated"
            )
        if any(left[1] > right[0] or text[left[1] : right[0]].strip() for left, right in pairwise(mark.pieces)):
            raise LabelError(
                f"{mark.where}: a discontinuous mark ({len(mark.pieces)} pieces, {start}:{end}); labels are of one "
                f"piece: mark its main word, or type --skip"
            )
        marked = text[start:end]
        start, end = end - len(marked.lstrip()), start + len(marked.rstrip())
        if start >= end:
            raise LabelError(f"{mark.where}: nothing but blanks is marked at {mark.pieces[0][0]}; drop the mark")
        if mark.label not in self.schema.types:
            raise LabelError(
                f"{mark.where}: unknown type {mark.label!r}; type --rename {mark.label}=TYPE with one of "
                f"{', '.join(self.schema.types)}, --rename {mark.label}= to leave it out, or name a schema file that "
                f"has it with --schema"
            )
        if mark.modality not in MODALITIES:
            raise LabelError(f"{mark.where}: unknown modality {mark.modality!r}; use one of {', '.join(MODALITIES)}")
        return Span(start, end, mark.label, mark.modality)


def text_of(document: Annotated) -> str:
    """Return a document's text.

    Raises:
        LabelError: if it is not at hand.
    """
    if document.text is None:
        raise LabelError(f"document {document.id!r}: its text is not here; name the folder that holds it with --texts")
    return document.text


def file_name(document: Annotated) -> str:
    """Return a document's id where it can name a file.

    Raises:
        LabelError: if it cannot.
    """
    name = document.id
    if (
        not name
        or name.startswith(".")
        or not name.isprintable()
        or len(name) > _LONGEST_NAME
        or set(name) & set("/\\")
    ):
        raise LabelError(f"document {name!r}: its id cannot name a file; give it one without / and \\, or use .jsonl")
    return name


def joined(span: Span) -> str:
    """Return type and modality as one name, for tools whose marks bear nothing but a name: `flight:possible`."""
    return span.label if span.modality == "asserted" else f"{span.label}:{span.modality}"


def parted(name: str) -> tuple[str, str]:
    """Return type and modality of what `joined` gave; a bare type is asserted."""
    label, colon, modality = name.rpartition(":")
    return (label, modality) if colon and modality in MODALITIES else (name, "asserted")


def tokens(document: Annotated) -> list[tuple[int, int]]:
    """Return the offsets of a document's words, cut where a span begins or ends, so that spans are whole tokens.

    Raises:
        LabelError: if spans overlap, or one does not begin and end at a letter or mark.
    """
    text = text_of(document)
    edges = sorted({edge for span in document.spans for edge in (span.start, span.end)})
    found: list[tuple[int, int]] = []
    for start, end in words(text):
        inside = edges[bisect_left(edges, start + 1) : bisect_left(edges, end)]
        found += pairwise([start, *inside, end])
    starts, ends = {start for start, _ in found}, {end for _, end in found}
    last = 0
    for span in sorted(document.spans):
        if span.start < last or span.start not in starts or span.end not in ends:
            what = "overlaps another mark" if span.start < last else "does not begin and end at a word"
            raise LabelError(
                f"document {document.id!r}: {text[span.start : span.end]!r} at {span.start}:{span.end} {what}, which "
                f"tags on words cannot say; correct it, or choose a format with offsets (jsonl, brat, csv)"
            )
        last = span.end
    return found


def covering(document: Annotated) -> list[tuple[int, int, bool]]:
    """Return (start, end, a space follows) of tokens that give back the whole text, as spaCy's do.

    Whatever stands between words beyond one space is a token of its own.

    Raises:
        LabelError: as `tokens` does.
    """
    text = text_of(document)
    found: list[tuple[int, int, bool]] = []
    at = 0
    for start, end in [*tokens(document), (len(text), len(text))]:
        if at < start:
            if found and text[at] == " ":
                found[-1] = (*found[-1][:2], True)
                at += 1
            if at < start:
                found.append((at, start, False))
        if start < end:
            found.append((start, end, False))
        at = end
    return found


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file:line, object) of a file in JSON Lines.

    Raises:
        LabelError: if a line is not a JSON object.
    """
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = json.loads(line)
        except ValueError as error:
            raise LabelError(f"{where}: not JSON ({error}); expected one JSON object a line") from None
        if not isinstance(value, dict):
            raise LabelError(f"{where}: {type(value).__name__} instead of an object; expected one JSON object a line")
        yield where, value


def read_text(path: Path) -> str:
    """Return a file's text with its line ends as they are.

    Raises:
        LabelError: if it is missing or not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise LabelError(f"{path}: not UTF-8 at byte {error.start}; convert it with iconv") from None
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror})") from None


def _says(mark: Mark, text: str) -> bool:
    """Say whether the text at a mark's offsets is what the file says, blanks aside."""
    if mark.said is None:
        return True
    found = "".join(text[start:end] for start, end in mark.pieces)
    return _BLANKS.sub("", found) == _BLANKS.sub("", mark.said)


def _recounted(text: str, marks: list[Mark]) -> list[Mark]:
    """Return marks with offsets in characters, whichever unit makes all of them fit what they say."""
    if all(_says(mark, text) for mark in marks):
        return marks
    for count in _COUNTS:
        place, at = {0: 0}, 0
        for number, units in enumerate(count(text), 1):
            at += units
            place[at] = number
        moved = [
            replace(mark, pieces=tuple((place.get(start, -1), place.get(end, -1)) for start, end in mark.pieces))
            for mark in marks
        ]
        if all(start >= 0 and end >= 0 for mark in moved for start, end in mark.pieces) and all(
            _says(mark, text) for mark in moved
        ):
            return moved
    return marks


def _utf16(text: str) -> list[int]:
    """Return how many UTF-16 units each character takes."""
    return [1 + (letter > "\uffff") for letter in text]


def _browser(text: str) -> list[int]:
    """Return how many characters each is for a browser, which turns CRLF into LF."""
    return [0 if pair == "\r\n" else 1 for pair in map("".join, zip(text, [*text[1:], ""], strict=True))]


def _script(text: str) -> list[int]:
    """Return how many UTF-16 units each character takes once CRLF is LF."""
    return [one * two for one, two in zip(_utf16(text), _browser(text), strict=True)]


_COUNTS: Sequence[Callable[[str], list[int]]] = (_utf16, _browser, _script)
