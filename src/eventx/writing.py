"""Documents -> JSON, JSON Lines, CSV, HTML and rows of a table: how results leave.

JSON holds offsets into a text, and the text itself only where it is asked for or stands nowhere else; every JSON line
is one line for every reader. Nothing here opens files, prints or knows about models.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from eventx import markup
from eventx.schema import TYPES
from eventx.spans import Document

# Legal in JSON, but some readers end a line there, obey them or cannot encode them.
_NOT_IN_A_LINE = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_PAGE = (
    "body{font:16px/1.6 Georgia,serif;color:#111;background:#fff;max-width:46rem;margin:0 auto;padding:0 1rem}"
    "header{position:sticky;top:0;background:#fff;padding:.6rem 0;border-bottom:1px solid #ccc;font-family:sans-serif}"
    "header label{margin-right:.6rem;cursor:pointer}"
    "article{margin:1.5rem 0;padding-bottom:1rem;border-bottom:1px solid #ddd}"
    "@media print{header{position:static}mark{-webkit-print-color-adjust:exact;print-color-adjust:exact}"
    "article{break-inside:auto}}"
)


def jsonl(document: Document, *, with_text: bool = False) -> str:
    """Return `document.to_dict()` as one line of JSON with its line end.

    Raises:
        ValueError: if a score is not a finite number.
    """
    return json_line(document.to_dict(with_text=with_text))


def json_line(value: Mapping[str, Any]) -> str:
    """Return plain values as JSON without a character that ends a line for anybody, with its line end.

    Raises:
        ValueError: if a number is not finite.
    """
    plain = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _NOT_IN_A_LINE.sub(lambda match: f"\\u{ord(match.group()):04x}", plain) + "\n"


def json_array(documents: Iterable[Document], *, with_text: bool = False) -> Iterator[str]:
    """Yield the pieces of one JSON array, a document a line, each as soon as its document is there.

    Raises:
        ValueError: if a score is not a finite number.
    """
    before = "[\n"
    for document in documents:
        yield before + jsonl(document, with_text=with_text)[:-1]
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


COLUMNS = {
    "document": str,
    "source": str,
    "date": str,
    "type": str,
    "trigger": str,
    "modality": str,
    "cue": str,
    "score": float,
    "start": int,
    "end": int,
    "sentence": str,
}
"""Columns of a table of events, a row an event -> the kind of their values."""


def rows(document: Document) -> Iterator[dict[str, Any]]:
    """Yield the events of a document as rows of a table, by `COLUMNS`."""
    text = document.text
    for event in document.events:
        yield {
            "document": document.id,
            "source": document.source,
            "date": document.date,
            "type": event.type,
            "trigger": event.trigger,
            "modality": event.modality,
            "cue": text[slice(*event.cue)] if event.cue else "",
            "score": event.score,
            "start": event.start,
            "end": event.end,
            "sentence": text[slice(*event.sentence)],
        }


def csv_table(documents: Iterable[Document]) -> Iterator[str]:
    """Yield the lines of a CSV table of events (RFC 4180), header first; no cell is a formula for a spreadsheet."""
    line = io.StringIO(newline="")
    writer = csv.DictWriter(line, list(COLUMNS), lineterminator="\r\n")
    writer.writeheader()
    for document in documents:
        yield line.getvalue()
        line.seek(0)
        line.truncate()
        for row in rows(document):
            writer.writerow({name: _tame(value) if isinstance(value, str) else value for name, value in row.items()})
    yield line.getvalue()


def html_page(documents: Iterable[Document], types: Iterable[str] = TYPES) -> Iterator[str]:
    """Yield the pieces of one HTML page: each text with its events marked, to filter by type, to read and to print.

    The page needs nothing else and runs no script; the boxes that hide a type are plain CSS.
    """
    names = list(types)
    boxes = "".join(
        f'<input type="checkbox" id="t{at}" checked><label for="t{at}">'
        f"{markup.mark(name, markup.Place(0, 0, name, 'asserted'), named=False)}</label> "
        for at, name in enumerate(names)
    )
    hidden = "".join(
        f"body:has(#t{at}:not(:checked)) main mark.{name}{{background:none!important;border:0!important;"
        f"text-decoration:none!important}}body:has(#t{at}:not(:checked)) main mark.{name} sub{{display:none}}"
        for at, name in enumerate(names)
    )
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Events</title><style>{_PAGE}{hidden}</style></head>\n<body>\n<header>{boxes}"
        "<small>possible events on a dashed line, negated ones struck through, their cue underlined</small>"
        "</header>\n<main>\n"
    )
    for document in documents:
        yield f"<article>{document.to_html()}</article>\n"
    yield "</main>\n</body></html>\n"


def _tame(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: one that begins so gets a quote before it."""
    risky = cell.startswith(("=", "+", "@", "\t", "\r")) or (cell.startswith("-") and not cell[1:2].isspace())
    return f"'{cell}" if risky else cell
