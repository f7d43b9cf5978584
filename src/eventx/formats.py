"""Which label formats there are, how one is recognised, and the way from any of them to any other.

The project's own label files are the hub: every format reads to `labels.Article` and writes from it, or from whatever
else has an id, a text and spans (`spans.Annotated`). What a format looks like is known in its own room.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from eventx import brat, conll, docbin, doccano, labels, labelstudio, prodigy, spancsv, xmi
from eventx.labels import Article, LabelError
from eventx.marks import Door, file_name, read_text, text_of
from eventx.schema import Schema
from eventx.spans import Annotated

_LABELS = "labels"


@dataclass(frozen=True, slots=True)
class Format:
    """A label format.

    Attributes:
        name: as `--from` and `--to` have it.
        what: what its files are, in a few words.
        endings: of the names of its files, lower-case.
        read: path and door -> articles.
        write: documents, path and schema -> what people should know.
    """

    name: str
    what: str
    endings: tuple[str, ...]
    read: Callable[[Path, Door], list[Article]]
    write: Callable[[Iterable[Annotated], Path, Schema], list[str]]


def _plain(write: Callable[[Iterable[Annotated], Path], list[str]]) -> Callable[..., list[str]]:
    """Return a writer that needs no schema as one that is given it."""
    return lambda documents, path, schema: write(documents, path)


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("brat", "brat standoff, a folder of .txt and .ann", (".ann",), brat.read, brat.write),
        Format(
            "conll",
            "CoNLL columns, IOB2",
            (".conll", ".conllup", ".iob", ".iob2", ".bio"),
            conll.read,
            _plain(conll.write),
        ),
        Format(
            "bioes",
            "CoNLL columns, BIOES",
            (".bioes", ".iobes"),
            conll.read,
            _plain(partial(conll.write, scheme="BIOES")),
        ),
        Format("labelstudio", "Label Studio, JSON tasks", (".json",), labelstudio.read, labelstudio.write),
        Format("doccano", "doccano, JSON Lines", (".doccano.jsonl",), doccano.read, doccano.write),
        Format("prodigy", "Prodigy, JSON Lines", (".prodigy.jsonl",), prodigy.read, prodigy.write),
        Format("docbin", "spaCy's DocBin", (".spacy",), docbin.read, _plain(docbin.write)),
        Format("xmi", "UIMA CAS XMI (INCEpTION), a folder", (".xmi", ".zip"), xmi.read, _plain(xmi.write)),
        Format("csv", "CSV, a row a mark", (".csv",), spancsv.read, _plain(spancsv.write)),
    )
}
"""Every format but the project's own, which is `labels`."""
NAMES = (_LABELS, *FORMATS)


def read(name: str, path: Path, door: Door, *, texts: Path | None = None) -> list[Article]:
    """Read documents in a format.

    Args:
        name: of the format.
        path: the file or folder.
        door: the rules by which foreign marks become labels.
        texts: folder of `<id>.txt`, for label files that carry no text.

    Raises:
        LabelError: if something is faulty or two documents bear one id.
        MissingError: if the format needs a library that is not installed.
    """
    if not path.exists():
        raise LabelError(f"{path}: no such file or folder; name what to convert")
    if name == _LABELS:
        return labels.read(path, texts=texts, schema=door.schema)
    articles = FORMATS[name].read(path, door)
    twice = [name for name, count in Counter(article.id for article in articles).items() if count > 1]
    if twice:
        raise LabelError(
            f"{path}: {len(twice)} ids stand for several documents (first: {twice[0]!r}); rename all but one"
        )
    return articles


def write(
    name: str, documents: Sequence[Article], path: Path, schema: Schema, *, texts: Path | None = None
) -> list[str]:
    """Write documents in a format, and return what people should know of what was written.

    A label file carries no text: the texts are written into the folder `texts`, or, where none is named, into one that
    is called as the file is, which the labels then name.

    Raises:
        LabelError: if a format cannot hold a document, or a text file of another content is in the way.
        MissingError: if the format needs a library that is not installed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if name != _LABELS:
        return FORMATS[name].write(documents, path, schema)
    folder = texts or path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    kept = []
    for document in documents:
        place = folder / f"{file_name(document)}.txt"
        data = text_of(document).encode("utf-8")
        if place.is_file() and place.read_bytes() != data:
            raise LabelError(f"{place}: another text stands there; name another folder with --texts")
        place.write_bytes(data)
        kept.append(replace(document, file=None if texts else f"{folder.name}/{place.name}"))
    labels.write(kept, path)
    return [f"the texts are in {folder}" + (f"; read the labels with --texts {folder}" if texts else "")]


def guess_input(path: Path) -> tuple[str, str]:
    """Return the format of what is to be read, and what told it.

    Raises:
        LabelError: if nothing tells it.
    """
    if not path.exists():
        raise LabelError(f"{path}: no such file or folder; name what to convert")
    if path.is_dir():
        for ending, name in ((".ann", "brat"), (".xmi", "xmi"), (".zip", "xmi")):
            if any(path.rglob(f"*{ending}")):
                return name, f"{ending} files in it"
        raise LabelError(f"{path}: neither .ann nor .xmi files in this folder; say what it is with --from")
    if path.suffix.lower() == ".jsonl":
        return _guess_lines(path)
    return _by_ending(path, "--from")


def guess_output(path: Path) -> tuple[str, str]:
    """Return the format to write to a path, and what told it.

    Raises:
        LabelError: if nothing tells it.
    """
    if not path.suffix or path.is_dir():
        return "brat", "a folder"
    if path.suffix.lower() == ".jsonl" and not path.name.lower().endswith((".doccano.jsonl", ".prodigy.jsonl")):
        return _LABELS, "its ending"
    return _by_ending(path, "--to")


def _by_ending(path: Path, option: str) -> tuple[str, str]:
    """Return the format that a file's ending belongs to."""
    for each in FORMATS.values():
        if path.name.lower().endswith(each.endings):
            return each.name, "its ending"
    raise LabelError(f"{path}: no format has this ending; say which with {option}: {', '.join(NAMES)}")


def _guess_lines(path: Path) -> tuple[str, str]:
    """Return the format of a file in JSON Lines by its first object."""
    line = next((line for line in read_text(path).split("\n") if line.strip()), "")
    try:
        keys = set(json.loads(line))
    except (ValueError, TypeError):
        raise LabelError(f"{path}:1: not a JSON object; say what the file is with --from") from None
    if {"sha256", "spans"} <= keys:
        return _LABELS, "its first line"
    if keys & {"spans", "_task_hash", "tokens"}:
        return "prodigy", "its first line"
    if keys & {"label", "labels", "entities"}:
        return "doccano", "its first line"
    raise LabelError(f"{path}:1: an object with {', '.join(sorted(keys))}; say what the file is with --from")
