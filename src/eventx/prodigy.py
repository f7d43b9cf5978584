"""Prodigy: JSON Lines with `text`, `tokens` and `spans`, as `ner.manual` takes them and `db-out` gives them.

A span's modality stands beside its label (`"modality": "possible"`), or in it where people chose it in the interface:
`flight:possible`. The document's id is kept in `meta.id`. Examples that were rejected or ignored are not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eventx.labels import Article, LabelError
from eventx.marks import Door, Mark, covering, json_lines, parted, text_of
from eventx.schema import SHIPPED, Schema
from eventx.spans import Annotated


def read(path: Path, door: Door | None = None) -> list[Article]:
    """Read examples of Prodigy.

    Raises:
        LabelError: if a line has another shape, or a mark is faulty (`marks.Door`).
    """
    door = door or Door()
    return [
        _article(value, where, path, door)
        for where, value in json_lines(path)
        if value.get("answer", "accept") == "accept"
    ]


def write(documents: Iterable[Annotated], path: Path, schema: Schema = SHIPPED) -> list[str]:
    """Write examples for Prodigy; return what people should know.

    Raises:
        LabelError: if a text is missing, or spans overlap or are no whole words.
    """
    lines = [json.dumps(record(document), ensure_ascii=False) + "\n" for document in documents]
    path.write_bytes("".join(lines).encode("utf-8"))
    return [f"type: prodigy ner.manual DATASET blank:en {path} --label {','.join(schema.types)}"]


def record(document: Annotated) -> dict[str, Any]:
    """Return a document as an example of Prodigy's.

    Raises:
        LabelError: as `write` does.
    """
    text = text_of(document)
    rows = covering(document)
    first = {start: at for at, (start, _, _) in enumerate(rows)}
    last = {end: at for at, (_, end, _) in enumerate(rows)}
    return {
        "text": text,
        "tokens": [
            {"text": text[start:end], "start": start, "end": end, "id": at, "ws": space}
            for at, (start, end, space) in enumerate(rows)
        ],
        "spans": [
            {
                "start": span.start,
                "end": span.end,
                "token_start": first[span.start],
                "token_end": last[span.end],
                "label": span.label,
                "modality": span.modality,
            }
            for span in sorted(document.spans)
        ],
        "meta": {"id": document.id},
        "answer": "accept",
    }


def _article(value: Mapping[str, Any], where: str, path: Path, door: Door) -> Article:
    """Return a line's labels."""
    meta = value.get("meta")
    own = meta.get("id") if isinstance(meta, dict) else None
    name = str(own) if own is not None else f"{path.stem}-{where.rpartition(':')[2]}"
    try:
        marks = []
        for span in value.get("spans") or ():
            label, modality = parted(str(span["label"]))
            said = span.get("text")
            pieces = ((int(span["start"]), int(span["end"])),)
            marks.append(Mark(pieces, label, str(span.get("modality", modality)), where, said))
        text = value["text"]
    except (KeyError, TypeError, ValueError, AttributeError):
        text = None
    if not isinstance(text, str):
        raise LabelError(f'{where}: expected Prodigy\'s {{"text": ..., "spans": [{{"start", "end", "label"}}, ...]}}')
    return door.article(name, text, marks)
