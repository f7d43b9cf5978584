"""Annotators' notes: what a reader writes while reading, compiled to exact offsets. The only reader of that format.

A notes file is `NAME.tsv` for the text `NAME.txt`, one trigger a line, fields parted by tabs or ` | `:

    SEGMENT | TRIGGER | TYPE | MODALITY

Segments are counted from 1 as `text.segments` yields them. A trigger that stands several times in a segment is taken in
order, one occurrence a line, passing over those within what earlier lines mark (`attack` in a marked `counter-attack`);
`TRIGGER#2` names the second of all. Lines that begin with # are remarks, and a file of remarks
alone is an article without events. Modality defaults to asserted.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from eventx.labels import Article, LabelError, digest
from eventx.spans import Span
from eventx.text import segments


def compile_notes(notes: Path, text: Path, *, file: str | None = None, source: dict[str, Any] | None = None) -> Article:
    """Compile one notes file against its text.

    Args:
        notes: the notes file.
        text: the text file; read as UTF-8, nothing changed.
        file: the text's place relative to the label file, where the text is to be named there.
        source: where the text is from, as the label file is to say it.

    Raises:
        LabelError: naming the line of the notes that does not fit the text.
    """
    data = text.read_bytes()
    content = data.decode("utf-8")
    bounds = list(segments(content))
    spans: list[tuple[Span, str]] = []
    for number, line in enumerate(notes.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in (line.split("\t") if "\t" in line else line.split("|"))]
        if len(fields) not in (3, 4) or not fields[0].isdigit() or not 1 <= int(fields[0]) <= len(bounds):
            raise LabelError(
                f"{notes}:{number}: {line!r} is not SEGMENT | TRIGGER | TYPE | MODALITY with a segment from 1 to "
                f"{len(bounds)}; see eventx show {text}"
            )
        segment = int(fields[0])
        numbered = re.fullmatch(r"(.+)#(\d+)", fields[1])
        trigger, nth = (numbered[1], int(numbered[2])) if numbered else (fields[1], None)
        start, end = bounds[segment - 1]
        found = re.finditer(rf"(?<!\w){re.escape(trigger)}(?!\w)", content[start:end])
        places = [start + match.start() for match in found]
        free = [at for at in places if not any(s.start < at + len(trigger) and at < s.end for s, _ in spans)]
        wanted = free[:1] if nth is None else places[nth - 1 : nth] if nth else []
        if not wanted:
            raise LabelError(
                f"{notes}:{number}: {trigger!r} stands {len(places)} time(s) as whole words in segment {segment}, "
                f"{len(places) - len(free)} of them marked already; "
                + ("the notes ask for one more" if nth is None else f"the notes ask for number {nth}")
                + "; correct the line"
            )
        if wanted[0] not in free:
            raise LabelError(
                f"{notes}:{number}: number {nth} of {trigger!r} in segment {segment} is marked already, or within what "
                "is; triggers never overlap; name another"
            )
        at = wanted[0]
        spans.append((Span(at, at + len(trigger), fields[2], fields[3] if len(fields) == 4 else "asserted"), trigger))
    spans.sort()
    return Article(
        id=text.stem,
        sha256=digest(data),
        chars=len(content),
        spans=tuple(span for span, _ in spans),
        triggers=tuple(trigger for _, trigger in spans),
        text=content,
        file=file,
        source=source or {},
    )


def read_sources(path: Path) -> dict[str, dict[str, Any]]:
    """Read where texts are from: JSON Lines with a `name` each; titles are left out, they are the texts' own words.

    Raises:
        LabelError: if a line is not a JSON object with a name.
    """
    known: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
            name = record.pop("name")
        except (ValueError, KeyError, AttributeError, TypeError):
            raise LabelError(f"{path}:{number}: not a JSON object with a `name`; correct the line") from None
        known[name] = {key: value for key, value in record.items() if key not in ("title", "sha256")}
    return known


def show(text: str) -> str:
    """Return a text's segments, each on its own line behind its number."""
    return "".join(f"{number}\t{text[start:end].strip()}\n" for number, (start, end) in enumerate(segments(text), 1))
