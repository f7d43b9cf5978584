"""CSV for spreadsheets: a row a mark with document, start, end, type, modality and trigger.

A document's text stands in the column `text` of its first row, and is empty in the rows that follow; a document without
marks has one row with its text alone.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable
from pathlib import Path

from eventx.labels import Article, LabelError
from eventx.marks import Door, Mark, read_text, text_of
from eventx.spans import Annotated

COLUMNS = ("document", "start", "end", "type", "modality", "trigger", "text")
_NEEDED = ("document", "start", "end", "type", "text")


def read(path: Path, door: Door | None = None) -> list[Article]:
    """Read a CSV file with the columns of `COLUMNS`, in any order; modality and trigger may be missing.

    Raises:
        LabelError: if a column is missing, an offset is no number, or a mark is faulty (`marks.Door`).
    """
    door = door or Door()
    limit = csv.field_size_limit(sys.maxsize)  # a text is one field
    try:
        rows = list(csv.reader(io.StringIO(read_text(path).removeprefix("\ufeff"), newline=""), strict=True))
    except csv.Error as error:
        raise LabelError(f"{path}: not CSV ({error})") from None
    finally:
        csv.field_size_limit(limit)
    header = rows[0] if rows else []
    lacking = [name for name in _NEEDED if name not in header]
    if lacking:
        raise LabelError(f"{path}:1: no column {', '.join(lacking)}; expected {', '.join(COLUMNS)}")
    texts: dict[str, str] = {}
    marks: dict[str, list[Mark]] = {}
    for number, fields in enumerate(rows[1:], 2):
        where = f"{path}: row {number}"
        if len(fields) != len(header):
            raise LabelError(f"{where}: {len(fields)} fields, expected {len(header)}")
        row = dict(zip(header, fields, strict=True))
        name = row["document"]
        texts[name] = texts.get(name) or row["text"]
        own = marks.setdefault(name, [])
        if row["start"] or row["end"] or row["type"]:
            try:
                pieces = ((int(row["start"]), int(row["end"])),)
            except ValueError:
                raise LabelError(f"{where}: {row['start']!r}:{row['end']!r} are no offsets; correct them") from None
            own.append(Mark(pieces, row["type"], row.get("modality") or "asserted", where, row.get("trigger") or None))
    return [door.article(name, texts[name], own) for name, own in marks.items()]


def write(documents: Iterable[Annotated], path: Path) -> list[str]:
    """Write a CSV file.

    Raises:
        LabelError: if a text is missing.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for document in documents:
        text = text_of(document)
        rows = [(s.start, s.end, s.label, s.modality, text[s.start : s.end]) for s in sorted(document.spans)]
        for at, row in enumerate(rows or [("",) * 5]):
            writer.writerow((document.id, *row, text if at == 0 else ""))
    path.write_bytes(out.getvalue().encode("utf-8"))
    return []
