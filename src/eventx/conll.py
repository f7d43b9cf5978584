r"""CoNLL columns: a word a line, its tag in the last column, in IOB2 or BIOES; an empty line ends a sentence.

The files name their columns as CoNLL-U Plus does, `# global.columns = FORM MISC MODALITY EVENT`, and keep the text as
UDPipe does: `SpaceAfter=No` and `SpacesAfter=\s\n` in MISC, so that offsets come back exactly. A document begins with
`# newdoc id = NAME`. Files without such comments are read too: the first column is the word, the last the tag, words
are joined by a space and sentences by a line end; `-DOCSTART-` begins a document. IOB1, IOB2, BIOES and BILOU are all
understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from eventx.labels import Article, LabelError
from eventx.marks import Door, Mark, read_text, text_of, tokens
from eventx.spans import Annotated, bio_to_spans, spans_to_bio
from eventx.text import sentences

COLUMNS = ("FORM", "MISC", "MODALITY", "EVENT")
_HEADER, _DOCUMENT, _BEFORE = "# global.columns = ", "# newdoc id = ", "# spaces_before = "
_ESCAPES = {" ": "\\s", "\t": "\\t", "\r": "\\r", "\n": "\\n", "|": "\\p", "\\": "\\\\"}
_PLAIN = {mark: letter for letter, mark in _ESCAPES.items()}
_ESCAPED = re.compile(r"\\(?:u[0-9a-f]{4}|U[0-9a-f]{8}|.)")
_TAG = re.compile(r"O|[BILUES]-.+")
_BIO = {"S": "B", "U": "B", "E": "I", "L": "I", "B": "B", "I": "I"}


def read(path: Path, door: Door | None = None) -> list[Article]:
    """Read a CoNLL file.

    Raises:
        LabelError: if a line has no tag, a tag is none, or a mark is faulty (`marks.Door`).
    """
    door = door or Door()
    reader = _Reader(path, door)
    for number, line in enumerate(read_text(path).split("\n"), 1):
        reader.take(number, line.rstrip("\r"))
    reader.close()
    if not reader.articles:
        raise LabelError(f"{path}: no words in it; expected a word and its tag a line")
    return reader.articles


def write(documents: Iterable[Annotated], path: Path, *, scheme: str = "IOB2") -> list[str]:
    """Write a CoNLL file in the scheme IOB2 or BIOES.

    Raises:
        LabelError: if a text is missing, or spans overlap or are no whole words.
    """
    path.write_bytes("".join(pieces(documents, scheme=scheme)).encode("utf-8"))
    return []


def pieces(documents: Iterable[Annotated], *, scheme: str = "IOB2") -> Iterator[str]:
    """Yield the pieces of a CoNLL file: its header, then a document each.

    Raises:
        LabelError: as `write` does.
    """
    yield _HEADER + " ".join(COLUMNS) + "\n"
    for document in documents:
        yield lines(document, scheme=scheme)


def lines(document: Annotated, *, scheme: str = "IOB2") -> str:
    """Return a document's lines, without the header that names the columns.

    Raises:
        LabelError: as `write` does.
    """
    text = text_of(document)
    bounds = tokens(document)
    tags = spans_to_bio(document.spans, bounds)
    if scheme == "BIOES":
        tags = bioes(tags)
    modality_of = {at: span.modality for span in document.spans for at in range(span.start, span.end)}
    breaks = {start for start, _ in sentences(text)} - {at for s in document.spans for at in range(s.start + 1, s.end)}
    made = [_DOCUMENT + _escape(document.id, keep=" |") + "\n"]
    before = text[: bounds[0][0]] if bounds else text
    if before:
        made.append(_BEFORE + _escape(before) + "\n")
    afters = [text[left[1] : right[0]] for left, right in pairwise([*bounds, (len(text), len(text))])]
    for at, ((start, end), after, tag) in enumerate(zip(bounds, afters, tags, strict=True)):
        if at and start in breaks:
            made.append("\n")
        space = "_" if after == " " else f"SpacesAfter={_escape(after)}" if after else "SpaceAfter=No"
        made.append(f"{text[start:end]}\t{space}\t{modality_of[start] if tag != 'O' else '_'}\t{tag}\n")
    return "".join([*made, "\n"])


def bioes(tags: Sequence[str]) -> list[str]:
    """Turn valid BIO tags into BIOES tags.

    >>> bioes(["B-a", "I-a", "B-a", "O"])
    ['B-a', 'E-a', 'S-a', 'O']
    """
    made = []
    for tag, after in pairwise([*tags, "O"]):
        last = tag != "O" and after != f"I-{tag[2:]}"
        made.append({"B": "S", "I": "E"}[tag[0]] + tag[1:] if last else tag)
    return made


class _Reader:
    """Takes the lines of a file one at a time and gathers its articles."""

    def __init__(self, path: Path, door: Door) -> None:
        self.path, self.door = path, door
        self.articles: list[Article] = []
        self.columns: list[str] | None = None
        self.count = self.width = 0
        self._begin(None)

    def _begin(self, name: str | None) -> None:
        """Begin a document."""
        self.name, self.text, self.gap = name, "", ""
        self.bounds: list[tuple[int, int]] = []
        self.tags: list[str] = []
        self.rows: list[tuple[int, str]] = []

    def take(self, number: int, line: str) -> None:
        """Take one line."""
        if line.startswith(_HEADER):
            self.columns = line[len(_HEADER) :].split()
        elif line.startswith(_DOCUMENT):
            self.close()
            self._begin(_unescape(line[len(_DOCUMENT) :]))
        elif line.startswith(_BEFORE):
            self.text = _unescape(line[len(_BEFORE) :])
        elif line.startswith("-DOCSTART-"):
            self.close()
            self._begin(None)
        elif not line.strip():
            self.gap = self.gap if self._exact() else "\n"
        else:
            fields = line.split("\t") if "\t" in line else line.split()
            comment = line.startswith("# ") and not (len(fields) == self.width and _TAG.fullmatch(fields[-1]))
            if not comment:
                self._word(number, fields)

    def _word(self, number: int, fields: list[str]) -> None:
        """Take the fields of one word."""
        where = f"{self.path}:{number}"
        names = self.columns or ["FORM", *[""] * (len(fields) - 2), "EVENT"]
        if len(fields) < 2 or len(fields) != len(names):
            wanted = len(names) if self.columns else "2 or more"
            raise LabelError(f"{where}: {len(fields)} columns, expected {wanted}: a word first, its tag last")
        self.width = len(fields)
        row = dict(zip(names, fields, strict=True))
        tag, form = row.get("EVENT", fields[-1]), row.get("FORM", fields[0])
        if not _TAG.fullmatch(tag):
            raise LabelError(f"{where}: {tag!r} is no tag; expected O, B-TYPE or I-TYPE (or S-, E-) in the last column")
        self.text += self.gap if self.bounds else ""
        self.bounds.append((len(self.text), len(self.text) + len(form)))
        self.text += form
        self.tags.append(tag if tag == "O" else _BIO[tag[0]] + tag[1:])
        self.rows.append((number, row.get("MODALITY", "_")))
        self.gap = " "
        if row.get("MISC", "_") != "_":
            spaces = dict(pair.split("=", 1) for pair in row["MISC"].split("|") if "=" in pair)
            self.gap = "" if spaces.get("SpaceAfter") == "No" else " "
            self.gap = _unescape(spaces["SpacesAfter"]) if "SpacesAfter" in spaces else self.gap

    def _exact(self) -> bool:
        """Say whether the file tells what stands between words."""
        return self.columns is not None and "MISC" in self.columns

    def close(self) -> None:
        """End the document that was begun, if there is something in it."""
        if not self.bounds and self.name is None:
            return
        self.count += 1
        if self._exact():
            self.text += self.gap if self.bounds else ""
        name = self.name if self.name is not None else f"{self.path.stem}-{self.count}"
        row_of = {start: row for (start, _), row in zip(self.bounds, self.rows, strict=True)}
        marks = []
        for span in bio_to_spans(self.tags, self.bounds):
            number, modality = row_of[span.start]
            modality = "asserted" if modality == "_" else modality
            marks.append(Mark(((span.start, span.end),), span.label, modality, f"{self.path}:{number}"))
        self.articles.append(self.door.article(name, self.text, marks))
        self._begin(None)


def _escape(text: str, keep: str = "") -> str:
    """Return blanks as UDPipe writes them, and what else does not print by its number."""

    def one(letter: str) -> str:
        if letter in keep:
            return letter
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        if letter.isprintable():
            return letter
        return f"\\u{ord(letter):04x}" if letter <= "\uffff" else f"\\U{ord(letter):08x}"

    return "".join(map(one, text))


def _unescape(text: str) -> str:
    """Return the text that `_escape` was given."""

    def one(match: re.Match[str]) -> str:
        mark = match.group()
        return _PLAIN.get(mark) or (chr(int(mark[2:], 16)) if mark[1] in "uU" and len(mark) > 2 else mark)

    return _ESCAPED.sub(one, text)
