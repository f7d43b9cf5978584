"""Label files: read, write, check, count, and take apart by a split. The only reader and writer of that format.

A label file is JSON Lines, a document a line:

    {"id": ..., "sha256": ..., "chars": ..., "file": ... | absent, "source": {...}, "spans": [
        {"start": ..., "end": ..., "label": ..., "modality": ..., "trigger": ...}, ...]}

`sha256` is of the text file's bytes, offsets are half-open characters of those bytes read as UTF-8 with nothing
changed. A document whose text stands beside its labels names it in `file` (relative to the label file); any other text
is looked for as `<id>.txt` in the folder that the caller names.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventx.schema import MODALITIES, SHIPPED, Schema
from eventx.spans import Span
from eventx.split import FOLD, Assignment, SplitError, near_duplicates
from eventx.split import read as read_split
from eventx.text import words


class LabelError(ValueError):
    """A label, split or text file that cannot be used; the message says where and what to do."""


@dataclass(frozen=True, slots=True)
class Article:
    """A document with its labels. `text` is None where only labels are at hand."""

    id: str
    sha256: str
    chars: int
    spans: tuple[Span, ...]
    triggers: tuple[str, ...]
    text: str | None = None
    file: str | None = None
    source: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the record that stands in a label file, without the text."""
        record: dict[str, Any] = {"id": self.id, "sha256": self.sha256, "chars": self.chars}
        if self.file is not None:
            record["file"] = self.file
        record["source"] = dict(self.source)
        record["spans"] = [
            {"start": s.start, "end": s.end, "label": s.label, "modality": s.modality, "trigger": trigger}
            for s, trigger in zip(self.spans, self.triggers, strict=True)
        ]
        return record


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in a label file: where it stands, what it is, what to do."""

    file: str
    line: int
    what: str
    remedy: str

    def __str__(self) -> str:
        """Return `file:line: what; remedy`."""
        return f"{self.file}:{self.line}: {self.what}; {self.remedy}"


def read(path: Path, *, texts: Path | None = None, need_text: bool = True, schema: Schema = SHIPPED) -> list[Article]:
    """Read a label file with its texts.

    Args:
        path: the label file.
        texts: folder of `<id>.txt` for the documents that name no file of their own.
        need_text: refuse documents whose text cannot be found; otherwise their `text` is None.
        schema: the types that spans may have.

    Raises:
        LabelError: at the first fault, as `check` would list it, or when a needed text is missing.
    """
    articles, faults = _scan(path, texts, schema)
    if faults:
        more = f" (and {len(faults) - 1} more: eventx check {path})" if len(faults) > 1 else ""
        raise LabelError(f"{faults[0]}{more}")
    missing = [article.id for _, article in articles if article.text is None]
    if missing and need_text:
        raise LabelError(
            f"{path}: the texts of {len(missing)} of {len(articles)} documents are not here (first: {missing[0]}); "
            f"name the folder that holds them as <id>.txt with --texts"
        )
    return [article for _, article in articles]


def write(articles: Iterable[Article], path: Path) -> None:
    """Write `articles` as a label file: their labels, not their texts."""
    lines = [json.dumps(article.to_dict(), ensure_ascii=False) for article in articles]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def check(
    paths: Sequence[Path], *, texts: Path | None = None, split: Path | None = None, schema: Schema = SHIPPED
) -> list[Fault]:
    """Return every fault of the label files `paths` and of their split, in file and line order.

    Documents whose text is at hand are checked against it; the others against their own numbers only.
    """
    faults: list[Fault] = []
    documents: list[tuple[str, int, Article]] = []
    for path in paths:
        articles, found = _scan(path, texts, schema)
        faults += found
        documents += [(str(path), line, article) for line, article in articles]
    first: dict[str, str] = {}
    for file, line, article in documents:
        where = first.setdefault(article.id, f"{file}:{line}")
        if where != f"{file}:{line}":
            faults.append(
                Fault(file, line, f"document {article.id!r} stands at {where} already", "drop one of the two")
            )
    if split is not None:
        faults += _check_split(documents, split)
    return faults


def part(articles: Iterable[Article], split: Mapping[str, Assignment], name: str) -> list[Article]:
    """Return the articles that `split` puts into the part `name`."""
    return [article for article in articles if article.id in split and split[article.id].part == name]


def read_parts(
    paths: Sequence[Path],
    split: Path,
    names: Iterable[str],
    *,
    texts: Path | None = None,
    schema: Schema = SHIPPED,
) -> dict[str, list[Article]]:
    """Read the articles of some parts of a split, with their texts; texts of other parts may be missing.

    Args:
        paths: label files.
        split: the split file.
        names: of the parts.
        texts: as for `read`.
        schema: as for `read`.

    Raises:
        LabelError: at the first fault, if a needed text is missing, or if a part has no document.
        SplitError: if the split cannot be read.
    """
    assigned = read_split(split)
    wanted = set(names)
    articles = [article for path in paths for article in read(path, texts=texts, need_text=False, schema=schema)]
    articles = [article for article in articles if article.id in assigned and assigned[article.id].part in wanted]
    missing = [article.id for article in articles if article.text is None]
    if missing:
        raise LabelError(
            f"the texts of {len(missing)} of {len(articles)} documents are not here (first: {missing[0]}); "
            f"name the folder that holds them as <id>.txt with --texts"
        )
    parts = {name: part(articles, assigned, name) for name in sorted(wanted)}
    for name, members in parts.items():
        if not members:
            known = ", ".join(sorted({entry.part for entry in assigned.values()}))
            raise LabelError(f"the part {name!r} of {split} has no document in the label files; its parts: {known}")
    return parts


def tally(articles: Iterable[Article], split: Mapping[str, Assignment]) -> dict[str, Counter[str]]:
    """Count documents, words and mentions by type and modality, a column a part of the split (all folds in one).

    Returns:
        part -> name -> count; the names are `documents`, `without events`, `words` (of texts at hand), `mentions`, the
        types and the modalities.
    """
    columns: dict[str, Counter[str]] = {}
    for article in articles:
        name = split[article.id].part if article.id in split else "no part"
        column = columns.setdefault("seeds" if name.startswith(FOLD) else name, Counter())
        column["documents"] += 1
        column["without events"] += not article.spans
        if article.text is not None:
            column["words"] += sum(article.text[start].isalnum() for start, _ in words(article.text))
        column["mentions"] += len(article.spans)
        column.update(span.label for span in article.spans)
        column.update(span.modality for span in article.spans)
    return columns


def digest(data: bytes) -> str:
    """Return the SHA-256 of a text file's bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _scan(path: Path, texts: Path | None, schema: Schema) -> tuple[list[tuple[int, Article]], list[Fault]]:
    """Read a label file leniently: the sound articles with their line numbers, and every fault."""
    articles: list[tuple[int, Article]] = []
    faults: list[Fault] = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # a trigger may hold what else ends a line
    except FileNotFoundError:
        return [], [Fault(str(path), 0, "no such label file", "name one that exists")]
    except (UnicodeDecodeError, IsADirectoryError):
        return [], [Fault(str(path), 0, "not a UTF-8 text file", "name a label file in JSON Lines")]
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        article, found = _parse(line, path, texts, schema)
        faults += [Fault(str(path), number, what, remedy) for what, remedy in found]
        if article is not None:
            articles.append((number, article))
    return articles, faults


def _parse(line: str, path: Path, texts: Path | None, schema: Schema) -> tuple[Article | None, list[tuple[str, str]]]:
    """Turn one line into an article, with (what, remedy) of each fault."""
    try:
        record = json.loads(line)
        spans = tuple(Span(s["start"], s["end"], s["label"], s["modality"]) for s in record["spans"])
        triggers = tuple(s["trigger"] for s in record["spans"])
        article = Article(
            record["id"], record["sha256"], record["chars"], spans, triggers, None, record.get("file"), record["source"]
        )
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        return None, [(f"not a label record ({type(error).__name__}: {error})", "see labels/README.md for the format")]
    text, faults = _find_text(article, path, texts)
    sound = Article(article.id, article.sha256, article.chars, spans, triggers, text, article.file, article.source)
    return sound, [*faults, *_check_spans(sound, schema)]


def _find_text(article: Article, path: Path, texts: Path | None) -> tuple[str | None, list[tuple[str, str]]]:
    """Find an article's text: its own file, or `<id>.txt` under `texts`; None where it is not at hand."""
    if article.file is not None:
        place = path.parent / article.file
    elif texts is not None:
        place = texts / f"{article.id}.txt"
    else:
        return None, []
    try:
        data = place.read_bytes()
    except OSError:
        return None, [(f"document {article.id!r}: its text {place} cannot be read", "restore it or correct the path")]
    if digest(data) != article.sha256:
        what = (
            f"document {article.id!r}: {place} is not the text that was labelled (its digest is {digest(data)[:12]}…)"
        )
        return None, [(what, "restore the text, or label the new one afresh")]
    text = data.decode("utf-8")
    if len(text) != article.chars:
        return text, [(f"document {article.id!r}: chars is {article.chars}, the text has {len(text)}", "correct chars")]
    return text, []


def _check_spans(article: Article, schema: Schema) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with each span of an article, and with their order."""
    edges = words(article.text) if article.text is not None else []
    starts, ends = {start for start, _ in edges}, {end for _, end in edges}
    last_end, last_trigger = 0, ""
    for span, trigger in sorted(zip(article.spans, article.triggers, strict=True), key=lambda pair: pair[0].start):
        name = f"document {article.id!r}: {trigger!r} at {span.start}:{span.end}"
        if not (
            isinstance(span.start, int) and isinstance(span.end, int) and 0 <= span.start < span.end <= article.chars
        ):
            yield f"{name} lies outside the text (0:{article.chars})", "correct start and end"
            continue
        if span.label not in schema.types:
            remedy = f"use one of {', '.join(schema.types)}, or add it to a schema file and name that with --schema"
            yield f"{name} has the unknown type {span.label!r}", remedy
        if span.modality not in MODALITIES:
            yield f"{name} has the unknown modality {span.modality!r}", f"use one of {', '.join(MODALITIES)}"
        if trigger != trigger.strip():
            yield f"{name} has blanks at its edge", "move start or end to the word"
        if len(trigger) != span.end - span.start:
            yield f"{name} is {len(trigger)} characters long, its offsets span {span.end - span.start}", "correct them"
        elif article.text is not None and article.text[span.start : span.end] != trigger:
            yield f"{name}: the text has {article.text[span.start : span.end]!r} there", "correct start and end"
        elif (
            article.text is not None and trigger == trigger.strip() and not (span.start in starts and span.end in ends)
        ):
            yield f"{name} cuts a word", "move start and end to word boundaries"
        if span.start < last_end:
            yield f"{name} overlaps {last_trigger!r}", "keep one mark; triggers never overlap"
        last_end, last_trigger = max(last_end, span.end), trigger


def _check_split(documents: Sequence[tuple[str, int, Article]], path: Path) -> Iterator[Fault]:
    """Yield what is wrong with a split: strangers, the unassigned, and duplicates on both sides of a wall."""
    try:
        split = read_split(path)
    except (OSError, SplitError) as error:
        yield Fault(str(path), 0, str(error), "restore the split file")
        return
    lines = {name: number for number, name in enumerate(split, 2)}
    ids = {article.id for _, _, article in documents}
    for name in split.keys() - ids:
        yield Fault(str(path), lines[name], f"document {name!r} is in no label file", "drop the line")
    part_of_group: dict[str, str] = {}
    part_of_digest: dict[str, tuple[str, str]] = {}
    texts: dict[str, str] = {}
    for file, line, article in documents:
        if article.id not in split:
            yield Fault(file, line, f"document {article.id!r} has no part in {path}", "add it, or run eventx split")
            continue
        entry = split[article.id]
        other = part_of_group.setdefault(entry.group, entry.part)
        if other != entry.part:
            what = f"group {entry.group!r} stands in {other} and, with {article.id!r}, in {entry.part}"
            yield Fault(str(path), lines[article.id], what, "put near-duplicates into one part")
        twin, twin_part = part_of_digest.setdefault(article.sha256, (article.id, entry.part))
        if twin_part != entry.part:
            what = f"document {article.id!r} ({entry.part}) has the very text of {twin!r} ({twin_part})"
            yield Fault(file, line, what, "put them into one part")
        if article.text is not None:
            texts[article.id] = article.text
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name, group in near_duplicates(texts).items():
        groups[group].append(name)
    for names in groups.values():
        if len({split[name].part for name in names}) > 1:
            listed = ", ".join(f"{name} ({split[name].part})" for name in sorted(names))
            yield Fault(
                str(path), lines[min(names)], f"near-duplicates across parts: {listed}", "put them into one part"
            )
