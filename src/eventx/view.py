"""Documents on a terminal: the marked text, a table of its events, a summary of several.

The view never sends a text's control characters to the terminal, says in words whatever it says in colour, and prints
to the console that the caller gives. `rich` is imported where it is needed, so nothing else waits for it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventx.markup import colour, counted, label
from eventx.schema import MODALITIES, TYPES
from eventx.spans import Document, Event

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_INK = {"asserted": "bold", "possible": "bold italic underline", "negated": "bold strike"}
# Control characters become their pictures, and what reorders a line or hides in it U+FFFD; line ends stay line ends.
_SHOWN: dict[int, int | str | None] = {
    **{code: 0x2400 + code for code in range(32)},
    **dict.fromkeys([*range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], 0xFFFD),
    0x7F: 0x2421,
    **dict.fromkeys([0x0A, 0x85, 0x2028, 0x2029], "\n"),
    0x09: "\t",
    0xFEFF: None,
}
# Cells between columns, the most a type and a modality take, the fewest a sentence is worth showing in.
_GAP = 2
_TYPE_CELLS = 16
_MODALITY_CELLS = 20
_SENTENCE_CELLS = 16
# At 80 and at 136 columns or more: what a trigger takes is lost to its sentence.
_TRIGGER_CELLS = (16, 40)


@dataclass(frozen=True, slots=True)
class Tally:
    """What a summary keeps of a document: its id, its events by type (no zeros), its characters."""

    id: str
    counts: dict[str, int]
    chars: int

    @classmethod
    def of(cls, document: Document) -> Tally:
        """Count the events of `document`."""
        return cls(document.id, dict(Counter(event.type for event in document.events)), len(document.text))


def show(document: Document, console: Console) -> None:
    """Show the text with its events marked, then a table of them.

    The text is wrapped to the console's width and readable without colour: `«trigger|type»` where the event is
    asserted, `«trigger|type?»` where it is possible, `«trigger|not type»` where it is negated.
    """
    from rich.rule import Rule

    pen = _Pen.of(console)
    console.print(Rule(characters=pen.rule, style="dim"))
    console.print(_header(document, pen), highlight=False)
    if document.events:
        console.print(_legend(pen), highlight=False)
    console.print()
    console.print(_marked(document, pen), highlight=False)
    console.print()
    if document.events:
        console.print(_table(document, pen, console.width))
        console.print()
    console.print(_totals(document, pen), highlight=False)


def passage(text: str, event: Event, console: Console, width: int) -> Text:
    """Return as much of an event's sentence as fits `width` cells, on one line, its trigger marked."""
    return _sentence(text, event, _Pen.of(console), width)


def summary(documents: Sequence[Tally], console: Console) -> None:
    """Show a table of several documents, a row each, with their events by type, and the totals."""
    from rich.rule import Rule
    from rich.text import Text

    pen = _Pen.of(console)
    total: Counter[str] = Counter()
    for tally in documents:
        total.update(tally.counts)
    types = _in_order(total, TYPES)
    table = _plain_table()
    table.add_column("document", overflow="fold")
    for name in (*types, "all"):
        table.add_column(Text(pen.line(name)), justify="right", overflow="fold")
    for tally in documents:
        numbers = [*(tally.counts.get(name, 0) for name in types), sum(tally.counts.values())]
        table.add_row(Text(pen.line(tally.id)), *(Text(f"{n:,}") if n else Text("-", "dim") for n in numbers))
    console.print(Rule(characters=pen.rule, style="dim"))
    console.print(table)
    console.print()
    chars = sum(tally.chars for tally in documents)
    told = f"{counted(len(documents), 'document')}, {counted(chars, 'character')}, "
    console.print(Text(told).append_text(_by_type(total, pen)), highlight=False)


@dataclass(frozen=True, slots=True)
class _Pen:
    """What a console can show: its encoding, the marks around a trigger and for what is left out, the rule's."""

    encoding: str
    open: str
    close: str
    left_out: str
    rule: str

    @classmethod
    def of(cls, console: Console) -> _Pen:
        """Choose marks that the console's encoding holds."""
        for marks in (("«", "»", "…", "─"), ("<<", ">>", "...", "-")):
            pen = cls(console.encoding, *marks)
            if pen.lines("".join(marks)) == "".join(marks):
                break
        return pen

    def lines(self, text: str) -> str:
        """Return `text` safe to print: line ends unified, controls as pictures, what cannot be encoded as `?`."""
        shown = text.replace("\r\n", "\n").replace("\r", "\n").translate(_SHOWN)
        return shown.encode(self.encoding, "replace").decode(self.encoding)

    def line(self, text: str) -> str:
        """Return `text` safe to print and on one line."""
        return re.sub(r"\s+", " ", self.lines(text))

    def head(self, text: str, width: int) -> str:
        """Return `text`, or the whole words of its beginning that fit `width` cells."""
        from rich.cells import cell_len, set_cell_size

        if cell_len(text) <= width:
            return text
        if width < len(self.left_out):
            return ""
        kept = set_cell_size(text, width - len(self.left_out))
        if " " in kept and not text[len(kept) : len(kept) + 1].isspace():
            kept = kept.rpartition(" ")[0]
        return kept.rstrip() + self.left_out

    def tail(self, text: str, width: int) -> str:
        """Return `text`, or the whole words of its end that fit `width` cells."""
        return self.head(text[::-1], width)[::-1]


def _header(document: Document, pen: _Pen) -> Text:
    """Return the line that says which document this is, how much of it was read and how many events it holds."""
    from rich.text import Text

    read, chars = document.chars_read, len(document.text)
    header = Text(overflow="fold").append(pen.line(document.id), "bold").append(": ")
    if read == chars:
        header.append(f"{counted(chars, 'character')} read")
    else:
        header.append(f"only {read:,} of {counted(chars, 'character')} read", "bold reverse")
    header.append(f", {counted(len(document.events), 'event')} found")
    return header


def _legend(pen: _Pen) -> Text:
    """Return the line that explains the marks."""
    from rich.text import Text

    legend = Text()
    for modality, ink in _INK.items():
        legend.append("   " if legend else "")
        _mark(legend, "trigger", label("type", modality), ink, pen)
        legend.append(f" {modality}", "dim")
    return legend


def _marked(document: Document, pen: _Pen) -> Text:
    """Return the text with each event marked."""
    from rich.text import Text

    marked = Text(overflow="fold")
    at = 0
    cues = sorted({event.cue for event in document.events if event.cue})
    for event in document.events:
        _between(marked, document.text, (at, event.start), cues, pen)
        named = pen.line(label(event.type, event.modality))
        _mark(marked, event.trigger, named, _style(event.type, event.modality), pen)
        at = event.end
    _between(marked, document.text, (at, len(document.text)), cues, pen)
    marked.rstrip()
    return marked


def _between(marked: Text, text: str, part: tuple[int, int], cues: Iterable[tuple[int, int]], pen: _Pen) -> None:
    """Append a part of the text without events to `marked`, its cues underlined."""
    at, end = part
    for low, high in cues:
        if at <= low and high <= end:
            marked.append(pen.lines(text[at:low]))
            marked.append(pen.lines(text[low:high]), "underline")
            at = high
    marked.append(pen.lines(text[at:end]))


def _mark(text: Text, trigger: str, label: str, style: str, pen: _Pen) -> None:
    """Append a trigger with its label to `text`."""
    text.append(pen.open, "dim")
    text.append(pen.lines(trigger), style)
    text.append(f"|{label}{pen.close}", "dim")


def _style(type_: str, modality: str) -> str:
    """Return the rich style of an event."""
    return f"{_INK.get(modality, 'bold')} #000000 on {colour(type_)}"


def _plain_table() -> Table:
    """Return an empty table with nothing but a line under its head."""
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0), header_style="bold")


def _table(document: Document, pen: _Pen, width: int) -> Table:
    """Return the events, one a row, with as much of their sentences as fits `width` cells."""
    from rich.cells import cell_len
    from rich.text import Text

    heads = ("type", "trigger", "modality", "score", "offset")
    rows = [
        (
            pen.head(pen.line(event.type), _TYPE_CELLS),
            pen.head(pen.line(event.trigger), min(max(_TRIGGER_CELLS[0], width // 2 - 28), _TRIGGER_CELLS[1])),
            pen.head(pen.line(_modality(document.text, event)), _MODALITY_CELLS),
            f"{event.score:.2f}",
            f"{event.start}-{event.end}",
        )
        for event in document.events
    ]
    taken = sum(max(map(cell_len, column)) + _GAP for column in zip(heads, *rows, strict=True))
    room = width - taken
    table = _plain_table()
    for head in heads:
        table.add_column(head, justify="right" if head in ("score", "offset") else "left", overflow="fold")
    if room >= _SENTENCE_CELLS:
        table.add_column("sentence", no_wrap=True, overflow="crop")
    for event, row in zip(document.events, rows, strict=True):
        type_, *others = map(Text, row)
        type_.stylize(_style(event.type, "asserted"))
        cells = [type_, *others]
        if room >= _SENTENCE_CELLS:
            cells.append(_sentence(document.text, event, pen, room))
        table.add_row(*cells)
    return table


def _modality(text: str, event: Event) -> str:
    """Return an event's modality with its cue: `possible (could)`."""
    return f"{event.modality} ({text[slice(*event.cue)]})" if event.cue else event.modality


def _sentence(text: str, event: Event, pen: _Pen, width: int) -> Text:
    """Return the words around a trigger that fit `width` cells, on one line."""
    from rich.cells import cell_len
    from rich.text import Text

    start, end = event.sentence
    before = pen.line(text[start : event.start]).lstrip()
    after = pen.line(text[event.end : end]).rstrip()
    trigger = pen.head(pen.line(event.trigger), width - len(pen.open + pen.close))
    room = width - cell_len(pen.open + trigger + pen.close)
    left = min(cell_len(before), max(room // 2, room - cell_len(after)))
    sentence = Text(pen.tail(before, left))
    sentence.append(pen.open, "dim")
    sentence.append(trigger, _style(event.type, event.modality))
    sentence.append(pen.close, "dim")
    return sentence.append(pen.head(after, room - left))


def _totals(document: Document, pen: _Pen) -> Text:
    """Return the line that counts a document's events by type and modality."""
    from rich.text import Text

    if not document.events:
        return Text("No events found in this text.", "bold")
    totals = _by_type(Counter(event.type for event in document.events), pen)
    modalities = Counter(event.modality for event in document.events if event.modality != "asserted")
    if modalities:
        words = (f"{modalities[name]:,} {pen.line(name)}" for name in _in_order(modalities, MODALITIES))
        totals.append(f" ({', '.join(words)})")
    return totals


def _by_type(counts: Mapping[str, int], pen: _Pen) -> Text:
    """Return event counts as words: `3 events: 2 offensive, 1 flight`."""
    from rich.text import Text

    words = Text(counted(sum(counts.values()), "event"))
    for number, name in enumerate(_in_order(counts, TYPES)):
        words.append(", " if number else ": ")
        words.append(f"{counts[name]:,} ")
        words.append(pen.line(name), _style(name, "asserted"))
    return words


def _in_order(names: Iterable[str], schema: Iterable[str]) -> list[str]:
    """Return names in the order of the schema, those it lacks behind them by the alphabet."""
    known = list(schema)
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))
