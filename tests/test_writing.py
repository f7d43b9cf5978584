"""`writing` and `view`: JSON comes back as it went, and the view says everything in words without obeying the text."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from rich.cells import cell_len
from rich.console import Console

from eventx.spans import Document, Event
from eventx.text import sentences
from eventx.view import Tally, show, summary
from eventx.writing import json_array, jsonl

NEWS = (
    "UN fears new attacks\r\n\r\nJets carried out [bold]airstrikes[/bold] on Sirte\u00a0[IS] \U0001f681 on Monday.\t"
    "Fighters could relocate and\nregroup elsewhere. Nobody laid down arms, the UN has warned."
)
MARKED = (
    ("attacks", "offensive", "possible"),
    ("airstrikes", "airstrike", "asserted"),
    ("relocate and\nregroup", "flight", "possible"),
    ("laid down arms", "surrender", "negated"),
    ("has warned", "warning", "asserted"),
)


def document(text: str, marked: tuple[tuple[str, str, str], ...] = (), id_: str = "news") -> Document:
    """Build a document whose triggers stand in `text` in the order of `marked`."""
    events: list[Event] = []
    for trigger, type_, modality in marked:
        start = text.index(trigger, events[-1].end if events else 0)
        sentence = next(span for span in sentences(text) if span[0] <= start < span[1])
        events.append(Event(type_, trigger, start, start + len(trigger), 0.875, modality, sentence))
    return Document(id_, text, tuple(events), f"{id_}.txt", "tiny", len(text))


def shown(doc: Document, width: int = 100, *, colour: bool = False, encoding: str = "utf-8") -> str:
    """Return what the view sends to a terminal."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="")
    show(doc, Console(file=file, width=width, force_terminal=colour, color_system="truecolor" if colour else None))
    file.flush()
    return raw.getvalue().decode(encoding)


def body(out: str) -> str:
    """Return the marked text out of a plain view."""
    return out.split("negated\n\n", 1)[1].rpartition("\n\ntype ")[0]


def test_json_round_trip() -> None:
    """A line of JSON and the text give the document back."""
    doc = document(NEWS, MARKED)
    line = jsonl(doc)
    assert line.endswith("}\n")
    assert "🚁" not in line  # the text is not in it
    assert Document.from_dict(json.loads(line), NEWS) == doc


def test_a_line_is_a_line_for_every_reader() -> None:
    """No character of a name or trigger ends a line, reaches a terminal as a control or fails to encode."""
    text = "he\u202e\u2066\u2028\u2029\u0085\x0b\x0c\x1c\x1b\x9b\x7f\r\nfled"
    doc = document(text, ((text, "flight", "asserted"),), "a\nb\udce9\u00e9")
    line = jsonl(doc)
    assert line.splitlines() == [line.removesuffix("\n")]
    assert line.removesuffix("\n").isprintable()
    assert "é" in line
    assert Document.from_dict(json.loads(line.encode("utf-8")), text) == doc


def test_json_array() -> None:
    """The pieces join to one array, a document a line, and none waits for a later document."""
    docs = [document(NEWS, MARKED, f"d{i}") for i in range(3)]
    for some in ([], docs[:1], docs):
        whole = "".join(json_array(some))
        assert whole.startswith("[")
        assert whole.endswith("]\n")
        assert [Document.from_dict(value, NEWS) for value in json.loads(whole)] == some
    taken: list[str] = []

    def source() -> Iterator[Document]:
        for doc in docs:
            taken.append(doc.id)
            yield doc

    pieces = json_array(source())
    assert '"d0"' in next(pieces)
    assert taken == ["d0"]


def test_json_refuses_what_is_not_json() -> None:
    """A score that is no number is an error, not `NaN` in a file."""
    doc = Document("a", "x", (Event("flight", "x", 0, 1, math.nan, "asserted", (0, 1)),))
    with pytest.raises(ValueError, match="not JSON compliant"):
        jsonl(doc)


def test_json_does_not_load_rich() -> None:
    """JSON output never pays for the terminal."""
    code = "import sys, eventx.writing as w; list(w.json_array([])); assert 'rich' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_view_marks_each_trigger_at_its_place(width: int) -> None:
    """Without its marks, the plain view is the text; each mark names type and modality in words."""
    out = shown(document(NEWS, MARKED), width)
    text = body(out)
    found = re.findall(r"«([^|»]*)\|([^»]*)»", text)
    labels = ["offensive?", "airstrike", "flight?", "not surrender", "warning"]
    assert [(" ".join(t.split()), " ".join(label.split())) for t, label in found] == [
        (" ".join(trigger.split()), label) for (trigger, _, _), label in zip(MARKED, labels, strict=True)
    ]
    assert re.sub(r"«([^|»]*)\|[^»]*»", r"\1", text).split() == NEWS.split()
    assert all(cell_len(line) <= width for line in out.splitlines())


def test_view_head_table_and_totals() -> None:
    """The head counts characters and events, the table has a row an event, the last line the totals."""
    out = shown(document(NEWS, MARKED))
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[1] == f"news: {len(NEWS)} characters read, 5 events found"
    assert lines[2] == "«trigger|type» asserted   «trigger|type?» possible   «trigger|not type» negated"
    rows = [line.split() for line in lines[-7:-2]]
    assert [(row[0], row[-1]) for row in rows] == [
        ("offensive", "«attacks»"),
        ("airstrike", "on…"),
        ("flight", "regroup»"),
        ("surrender", "has…"),
        ("warning", "warned»."),
    ]
    start = NEWS.index("airstrikes")
    assert rows[1][1:5] == ["airstrikes", "asserted", "0.88", f"{start}-{start + 10}"]
    assert lines[-1] == ("5 events: 1 offensive, 1 airstrike, 1 flight, 1 surrender, 1 warning (2 possible, 1 negated)")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_table_has_one_line_a_row(width: int) -> None:
    """Long triggers and sentences are shortened around the trigger, never wrapped."""
    gave = "gave themselves and their weapons up"
    text = f"{NEWS} After {'long hours of talks ' * 9} the men {gave}, they {gave}, {'x' * 300} fled {'🚁' * 90}."
    doc = document(text, (*MARKED, (gave, "surrender", "asserted"), ("fled", "flight", "asserted")))
    table = shown(doc, width).rpartition("\n\ntype ")[2].split("\n\n")[0].splitlines()
    assert len(table) == 2 + len(doc.events)
    assert [line.split()[0] for line in table[2:]] == [event.type for event in doc.events]
    if width >= 80:
        assert all("»" in line for line in table[2:])


def test_view_without_events() -> None:
    """A text without events is shown, and said to hold none."""
    out = shown(document("Talks were held.\n\n\n"))
    assert [line.strip() for line in out.splitlines()[1:]] == [
        "news: 19 characters read, 0 events found",
        "",
        "Talks were held.",
        "",
        "No events found in this text.",
    ]


def test_view_tells_when_text_was_left_unread() -> None:
    """A document that was not read whole says so."""
    doc = document("Talks were held.")
    assert "only 4 of 16 characters read" in shown(Document("a", doc.text, (), chars_read=4))


@pytest.mark.parametrize("colour", [False, True])
def test_view_obeys_no_text(colour: bool) -> None:
    """Escape sequences, markup and reordering marks of a text, trigger or name are shown, not obeyed."""
    evil = "\x1b[2J\x1b]0;owned\x07 [red]a[/red] :smile: \u202edesrever\u202c \x9b31m \x00\x08 \u2066x\u2069 a\rb"
    text = f"\ufeff{evil} they fled{evil} שלום"
    doc = document(text, (("fled" + evil, "flight", "asserted"),), evil)
    out = shown(doc, 200, colour=colour)
    unstyled = re.sub(r"\x1b\[[\d;]*m", "", out)
    assert all(letter.isprintable() or letter == "\n" for letter in unstyled)
    assert "␛[2J␛]0;owned␇ [red]a[/red] :smile:" in unstyled
    assert "שלום" in unstyled
    assert "«fled␛[2J" in unstyled
    assert bool(colour) == ("\x1b" in out)


def test_view_in_colour_has_a_colour_a_type() -> None:
    """Each type has its own colour, a new type one too, and the words stay."""
    out = shown(document(NEWS, MARKED), colour=True)
    for colour in ("213;94;0", "86;180;233", "0;158;115", "240;228;66", "204;121;167"):
        assert f"48;2;{colour}" in out
    assert "flight?" in out
    other = shown(document("He was arrested.", (("arrested", "arrest", "doubted"),)))
    assert "«arrested|arrest, doubted»" in other
    assert "1 event: 1 arrest (1 doubted)" in other


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_view_fits_the_encoding(encoding: str) -> None:
    """A terminal that cannot show a character gets `?`, not an exception."""
    out = shown(document(NEWS, MARKED), encoding=encoding)
    assert ("«attacks|offensive?»" if encoding == "utf-8" else "<<attacks|offensive?>>") in out
    assert ("🚁" if encoding == "utf-8" else "[IS] ? on Monday") in out
    shown(document("\ud800 was hit", (("hit", "airstrike", "asserted"),)))


@pytest.mark.parametrize("width", [1, 10, 30, 45])
def test_view_survives_narrow_terminals(width: int) -> None:
    """A narrow terminal loses the sentences, not the view."""
    out = shown(document(NEWS, MARKED), width)
    assert "sentence" not in out


def test_summary() -> None:
    """The summary has a row a document, a column a type that occurs, and the totals."""
    docs = [document(NEWS, MARKED[:3], "one"), document("Talks were held.", (), "t\x1bwo\n[b]")]
    tallies = [Tally.of(doc) for doc in docs]
    assert tallies[0] == Tally("one", {"offensive": 1, "airstrike": 1, "flight": 1}, len(NEWS))
    out = io.StringIO()
    summary(tallies, Console(file=out, width=80))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[1].split() == ["document", "offensive", "airstrike", "flight", "all"]
    assert lines[3].split() == ["one", "1", "1", "1", "3"]
    assert lines[4].split() == ["t␛wo", "[b]", "-", "-", "-", "-"]
    assert lines[-1] == f"2 documents, {len(NEWS) + 16} characters, 3 events: 1 offensive, 1 airstrike, 1 flight"
    summary([Tally("a", {"[i]new": 1}, 9)], Console(file=out, width=80))
    assert "document  [i]new  all" in out.getvalue()
    summary([], Console(file=io.StringIO(), width=80))
