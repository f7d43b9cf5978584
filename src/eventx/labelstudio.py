"""Label Studio: a JSON array of tasks as it exports them ("JSON"), and the configuration of a project for them.

A trigger is a region of the control `label`; its modality is the choice `modality` of the same region, left out where
it is asserted. On the way in any control of the type `labels` counts, whatever its name. Tasks keep the document's id
in `data.document`. Cancelled annotations are not read; where several people annotated a task, the one that is marked
as ground truth counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from eventx.labels import Article, LabelError
from eventx.marks import COLOURS, Door, Mark, read_text, text_of
from eventx.schema import MODALITIES, SHIPPED, Schema
from eventx.spans import Annotated


def read(path: Path, door: Door | None = None) -> list[Article]:
    """Read a file of tasks.

    Raises:
        LabelError: if it is no export of the kind "JSON", a task has no text or is annotated by several people, or a
            mark is faulty (`marks.Door`).
    """
    door = door or Door()
    try:
        tasks = json.loads(read_text(path))
    except ValueError as error:
        raise LabelError(f"{path}: not JSON ({error}); export the project as JSON") from None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) and "data" in task for task in tasks):
        raise LabelError(f"{path}: not an array of tasks with `data`; export as JSON, not JSON-MIN or another kind")
    return [_article(task, f"{path}: task {task.get('id', at)}", path, door) for at, task in enumerate(tasks, 1)]


def write(documents: Iterable[Annotated], path: Path, schema: Schema = SHIPPED) -> list[str]:
    """Write tasks to import, and beside them the project's configuration; return what people should know.

    Raises:
        LabelError: if a text is missing.
    """
    tasks = [task(document) for document in documents]
    path.write_text(json.dumps(tasks, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    place = path.with_suffix(".config.xml")
    place.write_text(configuration(schema), encoding="utf-8")
    return [f"paste {place} into the project's labelling interface (Code) before you import {path}"]


def task(document: Annotated) -> dict[str, Any]:
    """Return a document as a task with one annotation.

    Raises:
        LabelError: if its text is missing.
    """
    text = text_of(document)
    results = []
    for number, span in enumerate(sorted(document.spans), 1):
        where = {"id": f"m{number}", "to_name": "text", "origin": "manual"}
        value = {"start": span.start, "end": span.end, "text": text[span.start : span.end]}
        results.append({**where, "from_name": "label", "type": "labels", "value": {**value, "labels": [span.label]}})
        if span.modality != "asserted":
            choice = {**value, "choices": [span.modality]}
            results.append({**where, "from_name": "modality", "type": "choices", "value": choice})
    return {"data": {"text": text, "document": document.id}, "annotations": [{"result": results}]}


def configuration(schema: Schema) -> str:
    """Return a project's labelling configuration."""
    labels = [
        f"    <Label value={quoteattr(name)} background={quoteattr(COLOURS[at % len(COLOURS)])} "
        f"hint={quoteattr(schema.definitions[name])}/>"
        for at, name in enumerate(schema.types)
    ]
    chosen = ' selected="true"'
    choices = [
        f"    <Choice value={quoteattr(name)} hint={quoteattr(told)}{chosen if not at else ''}/>"
        for at, (name, told) in enumerate(MODALITIES.items())
    ]
    return "\n".join(
        [
            "<View>",
            '  <Labels name="label" toName="text">',
            *labels,
            "  </Labels>",
            '  <Text name="text" value="$text" granularity="word"/>',
            '  <Choices name="modality" toName="text" choice="single" perRegion="true" whenTagName="label">',
            *choices,
            "  </Choices>",
            "</View>",
            "",
        ]
    )


def _article(task: Mapping[str, Any], where: str, path: Path, door: Door) -> Article:
    """Return a task's labels."""
    data = task["data"]
    text = data.get("text") if isinstance(data, dict) else None
    if not isinstance(text, str):
        raise LabelError(f"{where}: no string `text` in its data; name the text's field $text in the configuration")
    name = str(data.get("document", f"{path.stem}-{task.get('id', 0)}"))
    done = [each for each in task.get("annotations", ()) if not each.get("was_cancelled")]
    done = [each for each in done if each.get("ground_truth")] or done
    if len(done) > 1:
        raise LabelError(
            f"{where}: {len(done)} people annotated it; mark one annotation as ground truth and export again"
        )
    try:
        return door.article(name, text, _marks(done[0]["result"] if done else [], where))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise LabelError(f"{where}: not a result of Label Studio ({type(error).__name__}: {error})") from None


def _marks(results: Iterable[Mapping[str, Any]], where: str) -> list[Mark]:
    """Return the regions of an annotation."""
    regions: dict[str, Mapping[str, Any]] = {}
    modality_of: dict[str, str] = {}
    for at, result in enumerate(results):
        name, value = str(result.get("id", f"#{at}")), result.get("value", {})
        if result.get("type") == "labels":
            regions[name] = value
        elif result.get("type") == "choices" and value["choices"][0] in MODALITIES:
            modality_of[name] = value["choices"][0]
    return [
        Mark(
            ((int(value["start"]), int(value["end"])),),
            value["labels"][0],
            modality_of.get(name, "asserted"),
            f"{where}, region {name}",
            value.get("text"),
        )
        for name, value in regions.items()
    ]
