"""Long work: many documents into one output that is whole, or goes on where it stopped.

While a job runs, every document stands as a line of `OUTPUT.partial` as soon as it is tagged; a document that cannot be
tagged stands there too, with its reason. At the end, or when the job is stopped, the output is made of these lines and
put in place at once. A line is written whole or cut off on going on, so whatever kills the process, no document is lost
that was counted, and none comes twice. Memory holds a few documents, however many there are.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import IO, Any

from eventx import writing
from eventx.inputs import Failure
from eventx.reading import Input
from eventx.spans import Document
from eventx.tagger import Tagger, load

FORMATS = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".html": "html",
    ".conll": "conll",
    ".spacy": "spacy",
}
"""Ending of an output's name -> its format; brat is a folder of .txt and .ann."""
BINARY = ("parquet", "spacy", "brat")
"""Formats that are no text to print."""
_AHEAD = 8
"""Documents that each worker may be ahead of the one written."""
_SYNC_SECONDS = 1.0
_ROWS = 4096
"""Rows of a group of a Parquet file."""


class JobError(RuntimeError):
    """A job that cannot begin, go on or end; the message says why and what to type."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a job ended: documents tagged, events in them, documents that failed."""

    documents: int
    events: int
    failed: int


def tagged(
    items: Iterable[Input | Failure], tagger: Tagger, *, model: str | None = None, workers: int = 1
) -> Iterator[Document | Failure]:
    """Yield the document of each input, in order; what cannot be read or tagged stays a failure.

    Args:
        items: texts and failures, as `inputs.walk` gives them.
        tagger: that tags where there is one worker.
        model: that workers load, as `tagger.load` takes it.
        workers: processes, each with a model of one thread.
    """
    if workers <= 1:
        yield from tagger.in_order(lambda item: item if isinstance(item, Failure) else _tag(tagger, item), items)
        return
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(model,)) as pool:
        waiting: deque[Failure | Future[Document | Failure]] = deque()
        source = iter(items)
        try:
            while True:
                for item in islice(source, max(0, _AHEAD * workers - len(waiting))):
                    waiting.append(item if isinstance(item, Failure) else pool.submit(_work, item))
                if not waiting:
                    return
                first = waiting.popleft()
                yield first if isinstance(first, Failure) else first.result()
        except BrokenProcessPool:
            raise JobError(
                "a worker died, perhaps for want of memory; what is done is kept: --resume with fewer --workers"
            ) from None
        finally:
            for each in waiting:
                if not isinstance(each, Failure):
                    each.cancel()


def run(
    results: Callable[[int, str], Iterator[Document | Failure]],
    output: Path,
    *,
    format: str,
    facts: dict[str, Any],
    resume: bool = False,
    force: bool = False,
    with_text: bool = False,
    report: Callable[[int], None] = lambda count: None,
) -> Done | None:
    """Write documents into an output; None if it is finished already.

    Args:
        results: from how many documents are done, and the source of the last, to those that follow; see `following`.
        output: the file to write, or, if it is a folder, a file a document in it.
        format: one of the values of `FORMATS`, or brat, which needs a folder; parquet and spacy need a file.
        facts: what decides the results; a job is only gone on with if they are the same.
        resume: go on with what stands in `OUTPUT.partial`.
        force: overwrite what is there.
        with_text: put the texts into JSON.
        report: called with how many documents are done, after each.

    Raises:
        JobError: if there is an output or an unfinished job and neither `resume` nor `force` says what to do; if the
            job to go on with is another one, or its inputs have changed.
        OSError: if the output cannot be written; what is done stays in `OUTPUT.partial`.
        KeyboardInterrupt: after the output was made of what is done.
    """
    partial = output.parent / f"{output.name}.partial"
    begun = partial.is_file()
    if not force and not (resume and begun):
        if begun:
            raise JobError(f"{partial}: an unfinished job; go on with --resume, or begin anew with --force")
        if output.is_file() or (output.is_dir() and any(output.iterdir())):
            if resume:
                return None
            raise JobError(f"{output}: is there already; --force overwrites it, or name another output")
    _writer(format)
    with _Store(partial, facts, resume=resume and begun) as store:
        try:
            for result in results(store.count, store.last):
                store.add(result)
                report(store.count)
        except KeyboardInterrupt:
            store.flush()
            _make(partial, output, format, with_text)
            raise
        store.flush()
    done = _make(partial, output, format, with_text)
    partial.unlink()
    return done


def _writer(format: str) -> None:
    """Make sure that what writes a format is there, before hours of work."""
    if format == "parquet" and find_spec("pyarrow") is None:
        raise JobError('writing Parquet needs pyarrow, which is not installed; type: pip install "eventx[tables]"')
    if format == "spacy" and find_spec("spacy") is None:
        raise JobError('writing DocBin needs spaCy, which is not installed; type: pip install "eventx[convert]"')


def following(items: Iterable[Input | Failure], done: int, last: str) -> Iterator[Input | Failure]:
    """Yield the items behind those that are done.

    Raises:
        JobError: if the last of these is another one than it was: the inputs have changed.
    """
    source = iter(items)
    count, now = 0, ""
    for item in islice(source, done):
        count, now = count + 1, item.source
    if (count, now) != (done, last):
        there = now if count == done else "there are fewer"
        raise JobError(f"the inputs have changed: document {done:,} was {last}, now {there}; begin with --force")
    yield from source


class _Store:
    """The lines of a job under way: what decides it, then a line a document."""

    def __init__(self, place: Path, facts: dict[str, Any], *, resume: bool) -> None:
        self.count, self.last = 0, ""
        self._synced = time.monotonic()
        first = writing.json_line({"job": facts})
        if resume:
            end = self._whole(place, first)
            self._file: IO[bytes] = place.open("r+b")
            self._file.truncate(end)
            self._file.seek(end)
        else:
            end = 0
            place.parent.mkdir(parents=True, exist_ok=True)
            self._file = place.open("wb")
        if not end:  # also where a job was killed before its first line was out
            self._file.write(first.encode())
            self._file.flush()

    def __enter__(self) -> _Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _whole(self, place: Path, first: str) -> int:
        """Count the documents that stand whole; return where they end."""
        end = 0
        with place.open("rb") as lines:
            for number, line in enumerate(lines):
                if not line.endswith(b"\n"):
                    break
                if number == 0 and line.decode("utf-8", "replace") != first:
                    raise JobError(
                        f"{place}: was begun with another model, other inputs or options; go on with those, or begin "
                        "anew with --force"
                    )
                end += len(line)
                if number:
                    self.count += 1
                    value = json.loads(line)
                    self.last = value["source"] if "failed" in value else value["document"]["source"]
        return end

    def add(self, result: Document | Failure) -> None:
        """Write a document, or why there is none."""
        if isinstance(result, Failure):
            line: dict[str, Any] = {"source": result.source, "failed": result.reason}
        else:
            line = {"derived": result.derived, "document": result.to_dict(with_text=True)}
        self._file.write(writing.json_line(line).encode())
        self._file.flush()  # a killed process loses nothing that the system has
        self.count += 1
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def flush(self) -> None:
        """Make sure that what is written outlives the machine."""
        self._file.flush()
        os.fsync(self._file.fileno())


def _make(partial: Path, output: Path, format: str, with_text: bool) -> Done:
    """Make the output, and the list of failures, of what a job has done."""
    if output.is_dir():
        _write_each(_documents(partial), output, format, with_text)
    else:
        place = output.parent / f"{output.name}.writing"
        try:
            if format == "parquet":
                _write_parquet(_documents(partial), place)
            elif format == "spacy":
                from eventx import docbin

                docbin.write(_documents(partial), place)
            else:
                with place.open("w", encoding="utf-8", newline="") as file:
                    for piece in pieces(_documents(partial), format, with_text=with_text):
                        file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(place, output)
        finally:
            place.unlink(missing_ok=True)
    return _count(partial, failures_of(output))


def failures_of(output: Path) -> Path:
    """Return where the documents of an output that failed are listed."""
    return output / "failures.jsonl" if output.is_dir() else output.parent / f"{output.name}.failures.jsonl"


def pieces(documents: Iterable[Document], format: str, *, with_text: bool = False) -> Iterator[str]:
    """Yield the pieces of documents in a format that is text.

    Raises:
        JobError: if it is none.
    """
    if format == "jsonl":
        return (writing.jsonl(document, with_text=with_text) for document in documents)
    if format == "json":
        return writing.json_array(documents, with_text=with_text)
    if format == "csv":
        return writing.csv_table(documents)
    if format == "html":
        return writing.html_page(documents)
    if format == "conll":
        from eventx import conll

        return conll.pieces(documents)
    raise JobError(f"{format}: cannot be written there; name a file that ends in one of {', '.join(FORMATS)}")


def _documents(partial: Path) -> Iterator[Document]:
    """Yield the documents of a job under way."""
    for value in _lines(partial):
        if "document" in value:
            yield replace(Document.from_dict(value["document"]), derived=value["derived"])


def _lines(partial: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole lines of a job under way, but for the first."""
    with partial.open(encoding="utf-8", newline="\n") as lines:
        for line in islice(lines, 1, None):
            if line.endswith("\n"):
                yield json.loads(line)


def _count(partial: Path, failures: Path) -> Done:
    """Count what a job has done, and list its failures in a file, if there are any."""
    documents = events = failed = 0
    failures.unlink(missing_ok=True)
    for value in _lines(partial):
        if "document" in value:
            documents += 1
            events += len(value["document"]["events"])
        else:
            failed += 1
            with failures.open("a", encoding="utf-8") as file:
                file.write(writing.json_line({"source": value["source"], "reason": value["failed"]}))
    return Done(documents, events, failed)


def _write_each(documents: Iterable[Document], folder: Path, format: str, with_text: bool) -> None:
    """Write a file a document into a folder, named by its id."""
    taken = {"failures"}
    counts: dict[str, int] = {}
    for document in documents:
        name = stem = re.sub(r"[^\w.-]+", "_", document.id).strip("._")[:120] or "document"
        while stem.casefold() in taken:
            counts[name] = counts.get(name, 1) + 1
            stem = f"{name}-{counts[name]}"
        taken.add(stem.casefold())
        if format == "brat":
            from eventx import brat

            (folder / f"{stem}.txt").write_text(document.text, encoding="utf-8", newline="")
            (folder / f"{stem}.ann").write_text(brat.standoff(document), encoding="utf-8", newline="")
            continue
        ending = next(ending for ending, kind in FORMATS.items() if kind == format)
        place = folder / f"{stem}{ending}"
        text = "".join(pieces([document], format, with_text=with_text))
        place.write_text(text, encoding="utf-8", newline="")


def _write_parquet(documents: Iterable[Document], place: Path) -> None:
    """Write a Parquet table of events, a row an event."""
    import pyarrow
    import pyarrow.parquet as pq

    kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in writing.COLUMNS.items()])
    rows = (row for document in documents for row in writing.rows(document))
    with pq.ParquetWriter(place, schema) as file:
        while some := list(islice(rows, _ROWS)):
            file.write_table(pyarrow.Table.from_pylist(some, schema=schema))


def _tag(tagger: Tagger, item: Input) -> Document | Failure:
    """Tag one text; whatever goes wrong with it concerns it alone."""
    try:
        document = tagger.tag(item.text, id=item.id, source=item.source)
    except Exception as error:  # a fault of ours or of the runtime in one document must not end a job of many
        words = " ".join(str(error).split())[:200]
        return Failure(item.source, f"{item.source}: could not be tagged ({type(error).__name__}: {words}); report it")
    return replace(document, date=item.date, title=item.title, encoding=item.encoding, derived=item.derived)


_TAGGER: Tagger | None = None
"""The model of a worker process."""


def _begin(model: str | None) -> None:
    """Load a worker's model; the keyboard stops the main process, and a worker ends with it however that ends."""
    import signal
    import threading

    global _TAGGER  # noqa: PLW0603 - a worker process has one model
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _TAGGER = load(model, threads=1)


def _end_with_parent() -> None:
    """End this process when the main one is gone: a queue tells nobody that its other end was killed."""
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(item: Input) -> Document | Failure:
    """Tag one text in a worker."""
    if _TAGGER is None:
        raise JobError("a worker has no model")
    return _tag(_TAGGER, item)
