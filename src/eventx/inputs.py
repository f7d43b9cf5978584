"""What users name -> the texts in it, one at a time: files, folders, tables, web pages, packed or not.

What a file is, its first bytes and its name tell. A record that cannot be used is a `Failure`, and the others go on;
memory holds one document, or one batch of a table, whatever the size of the input. `reading` makes text of bytes.
"""

from __future__ import annotations

import csv
import fnmatch
import gzip
import io
import json
import lzma
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO

from eventx.reading import STDIN, Input, InputError, decode, quoted, read_bytes

Note = Callable[[str], None]
"""Called with a line that people should see: which fields were taken, which encoding."""
_TEXTS = (
    "text",
    "content",
    "body",
    "article",
    "article_text",
    "full_text",
    "fulltext",
    "maintext",
    "story",
    "article_content",
)
_IDS = ("id", "doc_id", "document_id", "article_id", "uuid", "guid", "url", "link")
_DATES = (
    "date",
    "published",
    "pub_date",
    "publish_date",
    "date_published",
    "publication_date",
    "created_at",
    "timestamp",
)
_TITLES = ("title", "headline")
_PLAIN = {".txt", ".text", ".md", ".markdown"}
_HTML = {".html", ".htm", ".xhtml"}
_LINES = {".jsonl", ".ndjson"}
_TABLES = {".csv", ".tsv"}
_PACKED = {".gz", ".xz", ".zst"}
_KNOWN = {*_PLAIN, *_HTML, *_LINES, *_TABLES, ".parquet"}
_MOST = 1 << 28
"""Bytes of text that one document may hold, unpacked: what is longer is no article, or a bomb."""
_DEEPEST = 3
"""How often a file may be packed in itself."""
_SNIFFED = 1 << 16
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Fields:
    """Which fields of a record hold what; "" leaves it to a guess by name.

    Attributes:
        text, id, date: names of columns, or of keys of JSON objects.
    """

    text: str = ""
    id: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """An input, or a record of one, that cannot be tagged: where it stands, and the reason in one line."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Options:
    """How inputs are read: fields of records, which names of a folder count, whether standard input is JSON Lines."""

    fields: Fields = field(default_factory=Fields)
    glob: str = ""
    note: Note = lambda line: None


def walk(
    sources: Sequence[str], options: Options | None = None, stdin: BinaryIO | None = None
) -> Iterator[Input | Failure]:
    """Yield the texts of all sources, in their order; folders recursively, their files by name.

    Args:
        sources: paths of files and folders, or `-` for standard input: text, or JSON Lines with a `text` each.
        options: see `Options`.
        stdin: what to read for `-`, by default the standard input of the process.
    """
    chosen = options or Options()
    for source in sources:
        for path in _files(source, chosen.glob):
            if isinstance(path, Failure):
                yield path
                continue
            try:
                yield from _open(path, chosen, stdin)
            except InputError as error:
                yield Failure(path, str(error))
            except (OSError, EOFError, lzma.LZMAError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
                reason = getattr(error, "strerror", None) or error
                yield Failure(path, f"{quoted(path)}: cannot be unpacked or read ({reason}); see that it is whole")


def count(sources: Sequence[str], glob: str = "") -> int | None:
    """Return how many documents there are, where each file is one; None where only reading tells."""
    total = 0
    for source in sources:
        for path in _files(source, glob):
            if isinstance(path, Failure) or path == STDIN or _suffixes(path)[0] not in _PLAIN | _HTML:
                return None
            total += 1
    return total


def _files(source: str, glob: str) -> Iterator[str | Failure]:
    """Yield the files of a source; of a folder those that can be read, or that fit a pattern."""
    if source == STDIN or not os.path.isdir(source):
        yield source
        return
    found = False
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            fits = _fits(os.path.relpath(path, source), glob) if glob else _suffixes(path)[0] in _KNOWN
            if fits and not name.startswith("."):
                found = True
                yield path
    if not found:
        wanted = f"files that fit {glob!r}" if glob else f"files that end in {', '.join(sorted(_KNOWN))}"
        yield Failure(source, f"{quoted(source)}: a folder without {wanted}; see what is there: ls -R {quoted(source)}")


def _fits(path: str, glob: str) -> bool:
    """Say whether a path below a folder fits a pattern, which may speak of its name alone."""
    return fnmatch.fnmatch(path, glob) or fnmatch.fnmatch(os.path.basename(path), glob)


def _suffixes(path: str) -> tuple[str, str]:
    """Return the ending of a file's name without those of packing, and the name without any of them."""
    name = Path(path)
    while name.suffix.lower() in _PACKED:
        name = name.with_suffix("")
    return name.suffix.lower(), name.stem


def _open(path: str, options: Options, stdin: BinaryIO | None) -> Iterator[Input | Failure]:
    """Yield the texts of one file."""
    ending, stem = _suffixes(path) if path != STDIN else ("", "stdin")
    if path == STDIN:
        data = read_bytes(path, stdin)
        if _looks_like_lines(data):
            yield from _lines(io.BytesIO(data), path, options)
        elif _looks_like_html(data):
            yield _html(data, path, stem)
        else:
            yield _plain(data, path, stem, options)
        return
    if ending == ".parquet":
        yield from _parquet(path, options)
        return
    if ending in _LINES | _TABLES:
        with _unpacked(path) as stream:
            yield from (_lines if ending in _LINES else _table)(stream, path, options)
        return
    with _unpacked(path) as stream:
        data = stream.read(_MOST + 1)
    if len(data) > _MOST:
        raise InputError(
            f"{quoted(path)}: more than {_MOST >> 20} MB of text, expected an article; part it into documents"
        )
    yield _html(data, path, stem) if ending in _HTML or _looks_like_html(data) else _plain(data, path, stem, options)


@contextmanager
def _unpacked(path: str) -> Iterator[IO[bytes]]:
    """Give a file's bytes as a stream that can be peeked into, unpacked as often as it is packed."""
    with ExitStack() as opened:
        if not os.path.isfile(path):
            yield io.BytesIO(read_bytes(path))  # says what is wrong; or it is a pipe
            return
        try:
            stream: Any = opened.enter_context(open(path, "rb"))
        except OSError:
            yield io.BytesIO(read_bytes(path))
            return
        for depth in range(_DEEPEST + 1):
            opener = _packer(stream.peek(8)[:8])
            if opener is None:
                yield stream
                return
            if depth == _DEEPEST:
                raise InputError(f"{quoted(path)}: packed more than {_DEEPEST} times, expected text; unpack it first")
            stream = opened.enter_context(opener(stream))
            if not hasattr(stream, "peek"):
                stream = opened.enter_context(io.BufferedReader(stream))


def _packer(head: bytes) -> Callable[[Any], IO[bytes]] | None:
    """Return what unpacks bytes that begin so."""
    if head.startswith(b"\x1f\x8b"):
        return lambda stream: gzip.GzipFile(fileobj=stream, mode="rb")  # type: ignore[return-value]
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        try:
            import zstandard
        except ModuleNotFoundError:
            raise InputError('packed with zstandard; to read it: pip install "eventx[tables]"') from None
        return lambda stream: zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
    return None


def _plain(data: bytes, path: str, stem: str, options: Options) -> Input:
    """Return a text file."""
    text, encoding = decode(data, path)
    if encoding:
        options.note(f"{'standard input' if path == STDIN else quoted(path)}: read as {encoding}")
    return Input(stem, path, text, encoding=encoding)


def _looks_like_html(data: bytes) -> bool:
    """Say whether bytes begin as a web page does."""
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html")) or (head.startswith(b"<?xml") and b"<html" in head)


def _looks_like_lines(data: bytes) -> bool:
    """Say whether bytes begin with a line that is a JSON object."""
    line = data[: data.find(b"\n") if b"\n" in data else None].strip(b"\xef\xbb\xbf \t\r")
    if not line.startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _html(data: bytes, path: str, stem: str) -> Input:
    """Return the main text of a web page, its title before it, with its date."""
    name = "standard input" if path == STDIN else quoted(path)
    try:
        import trafilatura
    except ImportError:  # also where a library of its own is missing
        raise InputError(f'{name}: a web page; to read it: pip install "eventx[web]"') from None
    try:
        page = trafilatura.bare_extraction(data, with_metadata=True, include_comments=False)
    except Exception as error:  # lxml and the parsers below raise classes of their own on hostile pages
        raise InputError(f"{name}: a web page that cannot be read ({type(error).__name__}); save its text") from None
    text = str(getattr(page, "text", "") or "")
    title, date = str(getattr(page, "title", "") or ""), str(getattr(page, "date", "") or "")
    if not text.strip():
        raise InputError(f"{name}: a web page without a main text; save the article's text in a .txt file")
    if title and title not in text[: 2 * len(title)]:
        text = f"{title}\n\n{text}"
    return Input(stem, path, text, date=date, title=title, derived=True)


def _lines(stream: IO[bytes], path: str, options: Options) -> Iterator[Input | Failure]:
    """Yield the records of JSON Lines."""
    told: dict[str, str] | None = None
    name = "standard input" if path == STDIN else quoted(path)
    empty = True
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        empty = False
        try:
            value = json.loads(line)
            if not isinstance(value, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError) as error:
            yield Failure(f"{path}#{number}", f"{name}:{number}: not a JSON object ({_brief(error)}); correct the line")
            continue
        if told is None:
            told = _choose(value, options, name)
        yield _record(value, told, path, number, f"{name}:{number}")
    if empty:
        raise InputError(f"{name}: empty, nothing to tag; expected JSON Lines with a text each")


def _table(stream: IO[bytes], path: str, options: Options) -> Iterator[Input | Failure]:
    """Yield the rows of a CSV file with a header line."""
    name = quoted(path)
    head = stream.peek(_SNIFFED)[:_SNIFFED] if hasattr(stream, "peek") else b""
    encoding = decode(head, path)[1] if head and not _utf8_so_far(head) else ""
    if encoding:
        options.note(f"{name}: read as {encoding}")
    lines = io.TextIOWrapper(stream, encoding=encoding or "utf-8-sig", newline="")
    shown = head.decode(encoding or "utf-8-sig", "ignore")
    csv.field_size_limit(min(sys.maxsize, _MOST))
    rows = csv.reader(lines, delimiter=_delimiter(shown, path), strict=True)
    header: list[str] = []
    told: dict[str, str] = {}
    number = 0
    try:
        for number, row in enumerate(rows):
            if not header:
                header = [cell.strip() for cell in row]
                told = _choose(dict.fromkeys(header, ""), options, name)
                continue
            if row and len(row) != len(header):
                what = f"{len(row)} fields, the header has {len(header)}"
                yield Failure(f"{path}#{number}", f"{name}: row {number} has {what}; correct its quotes")
            elif row:
                yield _record(dict(zip(header, row, strict=True)), told, path, number, f"{name}: row {number}")
    except (csv.Error, UnicodeDecodeError) as error:
        why = f"row {number + 1 if header else 1} cannot be read ({_brief(error)}); what follows it is lost"
        yield Failure(path, f"{name}: {why}: correct its quotes, or save it as UTF-8")
    finally:
        lines.detach()  # the stream is closed by who opened it
    if not header:
        raise InputError(f"{name}: empty, nothing to tag; expected a header line and rows")


def _utf8_so_far(head: bytes) -> bool:
    """Say whether the beginning of a file is UTF-8, but for a character that its end may cut."""
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3
    return True


def _delimiter(head: str, path: str) -> str:
    """Return what parts the fields of a table: what stands most often in its header line."""
    if path.lower().split(".gz")[0].endswith(".tsv"):
        return "\t"
    first = head.split("\n", 1)[0]
    return max(",;\t|", key=first.count) if any(mark in first for mark in ",;\t|") else ","


def _parquet(path: str, options: Options) -> Iterator[Input | Failure]:
    """Yield the rows of a Parquet file."""
    name = quoted(path)
    try:
        import pyarrow
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise InputError(f'{name}: a Parquet file; to read it: pip install "eventx[tables]"') from None
    if not os.path.isfile(path):
        read_bytes(path)  # says what is wrong
    try:
        with pq.ParquetFile(path) as file:
            columns = list(file.schema_arrow.names)
            told = _choose(dict.fromkeys(columns, ""), options, name)
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH, columns=sorted(set(told.values()))):
                for row in batch.to_pylist():
                    number += 1
                    yield _record(row, told, path, number, f"{name}: row {number}")
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{name}: not a whole Parquet file ({_brief(error)}); write it again") from None


def _choose(record: Mapping[str, Any], options: Options, name: str) -> dict[str, str]:
    """Return which field of a record holds text, id, date and title; say aloud what was guessed.

    Raises:
        InputError: if a named field is not there, or none looks like the text.
    """
    fields, keys = options.fields, list(record)
    chosen: dict[str, str] = {}
    for role, asked, usual in (("text", fields.text, _TEXTS), ("id", fields.id, _IDS), ("date", fields.date, _DATES)):
        if asked and asked not in record:
            have = ", ".join(map(repr, keys)) or "none"
            raise InputError(f"{name}: no field {asked!r}; it has {have}: name one with --{role}-field")
        found = asked or _guess(keys, usual)
        if found:
            chosen[role] = found
    if title := _guess(keys, _TITLES):
        chosen["title"] = title
    if "text" not in chosen:
        have = ", ".join(map(repr, keys)) or "none"
        raise InputError(f"{name}: no field that looks like the text; it has {have}: name it with --text-field")
    guessed = [f"{role} from {chosen[role]!r}" for role in ("text", "id", "date") if role in chosen]
    options.note(f"{name}: {', '.join(guessed)}")
    return chosen


def _guess(keys: Sequence[str], usual: Sequence[str]) -> str:
    """Return the key that has one of the usual names, whatever its case; "" if none."""
    lower = {key.lower().strip().replace(" ", "_").replace("-", "_"): key for key in reversed(keys)}
    return next((lower[name] for name in usual if name in lower), "")


def _record(record: Mapping[str, Any], told: Mapping[str, str], path: str, number: int, name: str) -> Input | Failure:
    """Return a record as a text to tag."""
    source = f"{path}#{number}"
    text = record.get(told["text"])
    if not isinstance(text, str) or not text.strip():
        what = "no text" if text is None or isinstance(text, str) else f"{type(text).__name__}, not text,"
        return Failure(source, f"{name}: {what} in the field {told['text']!r}; leave it out, or name another field")
    given = (record.get(told[role]) if role in told else None for role in ("id", "date", "title"))
    id_, date, title = ("" if value is None else str(value) for value in given)
    stem = "stdin" if path == STDIN else _suffixes(path)[1]
    # Lone surrogates, which JSON can hold, are no characters.
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return Input(id_ or f"{stem}-{number}", source, clean, date=date, title=title, derived=True)


def _brief(error: Exception) -> str:
    """Return an error's words on one line, not too many of them."""
    return " ".join(str(error).split())[:120]
