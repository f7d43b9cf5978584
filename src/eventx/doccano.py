"""doccano: JSON Lines with `text` and `label`, [start, end, type] each, and the labels to import.

doccano's marks bear nothing but a name, so a modality other than asserted stands in it: `flight:possible`. The
document's id is kept in `document`, which doccano carries along as metadata. Exports with relations (`entities`) and
those of older versions (`labels`) are read too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eventx.labels import Article, LabelError
from eventx.marks import COLOURS, Door, Mark, joined, json_lines, parted, text_of
from eventx.schema import MODALITIES, SHIPPED, Schema
from eventx.spans import Annotated, Span


def read(path: Path, door: Door | None = None) -> list[Article]:
    """Read an export of a sequence labelling project.

    Raises:
        LabelError: if a line has another shape, or a mark is faulty (`marks.Door`).
    """
    door = door or Door()
    return [_article(value, where, path, door) for where, value in json_lines(path)]


def write(documents: Iterable[Annotated], path: Path, schema: Schema = SHIPPED) -> list[str]:
    """Write a file to import, and beside it the labels; return what people should know.

    Raises:
        LabelError: if a text is missing.
    """
    lines = [json.dumps(record(document), ensure_ascii=False) + "\n" for document in documents]
    path.write_bytes("".join(lines).encode("utf-8"))
    place = path.with_suffix(".labels.json")
    names = [joined(Span(0, 1, name, modality)) for name in schema.types for modality in MODALITIES]
    own = [
        {"text": name, "background_color": COLOURS[at // len(MODALITIES) % len(COLOURS)], "text_color": "#000000"}
        for at, name in enumerate(names)
    ]
    place.write_text(json.dumps(own, indent=1) + "\n", encoding="utf-8")
    return [f"import {place} as the project's labels, then {path} as JSONL with the columns text and label"]


def record(document: Annotated) -> dict[str, Any]:
    """Return a document as an object of doccano's.

    Raises:
        LabelError: if its text is missing.
    """
    marks = [[span.start, span.end, joined(span)] for span in sorted(document.spans)]
    return {"text": text_of(document), "label": marks, "document": document.id}


def _article(value: Mapping[str, Any], where: str, path: Path, door: Door) -> Article:
    """Return a line's labels."""
    text = value.get("text", value.get("data"))
    name = str(value.get("document", f"{path.stem}-{value.get('id', where.rpartition(':')[2])}"))
    try:
        if "entities" in value:
            rows = [(each["start_offset"], each["end_offset"], each["label"]) for each in value["entities"]]
        else:
            rows = [(start, end, label) for start, end, label in value["label" if "label" in value else "labels"]]
        marks = [Mark(((int(start), int(end)),), *parted(str(label)), where) for start, end, label in rows]
    except (KeyError, TypeError, ValueError):
        marks = None
    if marks is None or not isinstance(text, str):
        raise LabelError(f'{where}: expected doccano\'s {{"text": ..., "label": [[start, end, type], ...]}}')
    return door.article(name, text, marks)
