"""The desk of a reviewer: documents with marks in one SQLite file, where every act is kept at once and can be undone.

A mark is suggested by a model or a label until a person accepts, changes or adds it. An act changes the marks of one
document; the state before it is kept, so undoing is taking it back. The file is in WAL mode with full synchronisation:
a killed server loses nothing, and two windows cannot overwrite each other, for an act names the version it saw. Pages
and servers are not known here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from eventx.labels import Article
from eventx.predictions import Prediction
from eventx.schema import MODALITIES, Schema
from eventx.spans import Span
from eventx.text import words

Order = Literal["unsure", "disputed", "random", "given", "queue"]
ORDERS: dict[str, str] = {
    "unsure": "where the model is least sure of its marks, a word, first",
    "disputed": "where two models differ most, a word, first",
    "random": "drawn by lot",
    "given": "as they came",
    "queue": "as the queue of `eventx check --doubts` has them",
}
"""Order of the documents -> what it means; it is kept with the labels, so that scores on them stay honest."""
_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    place INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, sha256 TEXT NOT NULL, text TEXT NOT NULL, source TEXT NOT NULL,
    notes TEXT NOT NULL, marks TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS acts (
    number INTEGER PRIMARY KEY AUTOINCREMENT, place INTEGER NOT NULL, act TEXT NOT NULL, marks TEXT NOT NULL,
    done INTEGER NOT NULL, undone INTEGER NOT NULL DEFAULT 0, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
"""


class DeskError(ValueError):
    """A desk or an act that cannot be used; the message says what was expected."""


class StaleError(DeskError):
    """An act on a document that was changed meanwhile, in another window."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark on a text under review.

    Attributes:
        start, end: half-open character offsets, of whole words.
        label, modality: as in a label.
        by: who made it: `model`, `label` or `person`.
        accepted: whether a person has said that it is right.
        score: the model's; None where it gave none.
    """

    start: int
    end: int
    label: str
    modality: str
    by: str
    accepted: bool
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """A document as a reviewer sees it.

    Attributes:
        place: its number in the order of the desk, from 0.
        id, text: of the document. marks: in text order, without overlap.
        notes: places somebody wants looked at: start, end, why.
        version: counts its changes. done: whether the reviewer has finished it.
        undoable: how many acts can be taken back.
    """

    place: int
    id: str
    text: str
    marks: tuple[Mark, ...]
    notes: tuple[dict[str, Any], ...]
    version: int
    done: bool
    undoable: int


@dataclass(frozen=True, slots=True)
class Work:
    """A document to lay on a desk: its article, the marks to begin with, the notes on it."""

    article: Article
    marks: tuple[Mark, ...]
    notes: tuple[dict[str, Any], ...] = ()


class Desk:
    """Documents under review, in one file."""

    def __init__(self, place: Path, schema: Schema) -> None:
        self.place, self.schema = place, schema
        self._base = sqlite3.connect(place, check_same_thread=False, isolation_level=None)
        try:
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            self._base.execute("PRAGMA busy_timeout = 5000")
            self._base.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            raise DeskError(f"{place}: not a desk ({error}); name another file with --desk") from None
        known = self.fact("version")
        if known is None:
            self._set("version", _VERSION)
        elif known != _VERSION:
            raise DeskError(f"{place}: a desk of version {known}, this program reads {_VERSION}; update eventx")

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def __len__(self) -> int:
        """Return how many documents lie on the desk."""
        return int(self._base.execute("SELECT count(*) FROM documents").fetchone()[0])

    def fact(self, name: str) -> Any:
        """Return what was noted under a name; None if nothing."""
        row = self._base.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def _set(self, name: str, value: Any) -> None:
        """Note something under a name."""
        self._base.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def lay(self, work: Iterable[Work], *, order: str, model: str) -> int:
        """Put documents on the desk, in this order, those that lie there already left as they are; return how many.

        Args:
            work: in the order of review.
            order: a key of `ORDERS`, kept with the labels.
            model: whose marks these are, likewise.

        Raises:
            DeskError: if a document has no text, or one of its id but another text lies there.
        """
        added = 0
        with self._whole():
            self._set("order", order)
            self._set("model", model)
            place = len(self)
            for each in work:
                article = each.article
                if article.text is None:
                    raise DeskError(f"document {article.id!r} has no text; name the folder of the texts with --texts")
                known = self._base.execute("SELECT sha256 FROM documents WHERE id = ?", (article.id,)).fetchone()
                if known:
                    if known[0] != article.sha256:
                        raise DeskError(
                            f"{self.place}: document {article.id!r} lies there with another text; name another --desk"
                        )
                    continue
                row = (place, article.id, article.sha256, article.text, json.dumps(dict(article.source)))
                self._base.execute(
                    "INSERT INTO documents (place, id, sha256, text, source, notes, marks) VALUES (?,?,?,?,?,?,?)",
                    (*row, json.dumps(list(each.notes)), _dump(each.marks)),
                )
                place, added = place + 1, added + 1
        return added

    def contents(self) -> list[dict[str, Any]]:
        """Return a line a document: place, id, how many marks, how many accepted, whether it is done."""
        rows = self._base.execute("SELECT place, id, marks, done FROM documents ORDER BY place")
        found = []
        for place, id_, marks, done in rows:
            each = _load(marks)
            accepted = sum(mark.accepted for mark in each)
            found.append({"place": place, "id": id_, "marks": len(each), "accepted": accepted, "done": bool(done)})
        return found

    def sheet(self, place: int) -> Sheet:
        """Return a document.

        Raises:
            DeskError: if there is none at that place.
        """
        row = self._base.execute(
            "SELECT id, text, marks, notes, version, done FROM documents WHERE place = ?", (place,)
        ).fetchone()
        if row is None:
            raise DeskError(f"there is no document {place}; the desk holds {len(self)}")
        undoable = self._base.execute("SELECT count(*) FROM acts WHERE place = ? AND undone = 0", (place,)).fetchone()[
            0
        ]
        id_, text, marks, notes, version, done = row
        return Sheet(place, id_, text, _load(marks), tuple(json.loads(notes)), version, bool(done), undoable)

    def act(self, place: int, version: int, act: Mapping[str, Any]) -> Sheet:
        """Change a document, and keep the change at once.

        Args:
            place: of the document.
            version: of the document that the reviewer saw.
            act: `do`, one of add, change, delete, accept, done, undone; `start` and `end` of the mark, or for add of
                the new one; and for add and change `label`, `modality`, `to` with a new start and end.

        Raises:
            StaleError: if the document was changed since.
            DeskError: if the act makes no sense: no such mark, an unknown type, marks that overlap, half a word.
        """
        with self._whole():
            sheet = self._fresh(place, version)
            marks, done = self._changed(sheet, act)
            self._base.execute(
                "INSERT INTO acts (place, act, marks, done) VALUES (?, ?, ?, ?)",
                (place, json.dumps(dict(act)), _dump(sheet.marks), sheet.done),
            )
            self._store(place, marks, done)
        return self.sheet(place)

    def undo(self, place: int, version: int) -> Sheet:
        """Take back the last act on a document that was not taken back yet.

        Raises:
            StaleError: as `act` does.
            DeskError: if there is none.
        """
        with self._whole():
            self._fresh(place, version)
            row = self._base.execute(
                "SELECT number, marks, done FROM acts WHERE place = ? AND undone = 0 ORDER BY number DESC LIMIT 1",
                (place,),
            ).fetchone()
            if row is None:
                raise DeskError("there is nothing to undo in this document")
            self._base.execute("UPDATE acts SET undone = 1 WHERE number = ?", (row[0],))
            self._store(place, _load(row[1]), bool(row[2]))
        return self.sheet(place)

    def export(self, *, only_done: bool = True) -> list[Article]:
        """Return the documents as labels, with how they were chosen and how much was changed in their source.

        Args:
            only_done: leave out documents that are not marked as done; otherwise their suggestions count as labels too.
        """
        order, model = self.fact("order"), self.fact("model")
        made = []
        for each in self.contents():
            if only_done and not each["done"]:
                continue
            sheet = self.sheet(each["place"])
            row = self._base.execute("SELECT sha256, source FROM documents WHERE place = ?", (sheet.place,)).fetchone()
            review = {"order": order, "place": sheet.place, "model": model, "acts": sheet.undoable}
            spans = tuple(Span(mark.start, mark.end, mark.label, mark.modality) for mark in sheet.marks)
            made.append(
                Article(
                    sheet.id,
                    row[0],
                    len(sheet.text),
                    spans,
                    tuple(sheet.text[span.start : span.end] for span in spans),
                    sheet.text,
                    None,
                    {**json.loads(row[1]), "review": review},
                )
            )
        return made

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Do several things or none."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")

    def _fresh(self, place: int, version: int) -> Sheet:
        """Return a document if it is still what the reviewer saw."""
        sheet = self.sheet(place)
        if sheet.version != version:
            raise StaleError(f"document {sheet.id!r} was changed in another window; look at it again")
        return sheet

    def _store(self, place: int, marks: Sequence[Mark], done: bool) -> None:
        """Write a document's marks."""
        self._base.execute(
            "UPDATE documents SET marks = ?, done = ?, version = version + 1 WHERE place = ?",
            (_dump(marks), done, place),
        )

    def _changed(self, sheet: Sheet, act: Mapping[str, Any]) -> tuple[tuple[Mark, ...], bool]:
        """Return what an act makes of a document's marks, and whether it is done then."""
        do = act.get("do")
        if do == "done":
            return tuple(replace(mark, accepted=True) for mark in sheet.marks), True
        if do == "undone":
            return sheet.marks, False
        place = (act.get("start"), act.get("end"))
        if do == "add":
            mark = Mark(*_offsets(place), *self._kind(act, None), "person", True)
            return self._checked(sheet, [*sheet.marks, mark]), sheet.done
        old = next((mark for mark in sheet.marks if (mark.start, mark.end) == place), None)
        if old is None:
            raise DeskError(f"there is no mark at {place[0]}-{place[1]}")
        others = [mark for mark in sheet.marks if mark is not old]
        if do == "delete":
            return tuple(others), sheet.done
        if do == "accept":
            return self._checked(sheet, [*others, replace(old, accepted=True)]), sheet.done
        if do == "change":
            start, end = _offsets(act.get("to") or (old.start, old.end))
            label, modality = self._kind(act, old)
            new = Mark(start, end, label, modality, "person", True)
            return self._checked(sheet, [*others, new]), sheet.done
        raise DeskError(f"an act {do!r} is not known; expected add, change, delete, accept, done or undone")

    def _kind(self, act: Mapping[str, Any], old: Mark | None) -> tuple[str, str]:
        """Return the type and modality that an act gives a mark."""
        label = act.get("label") or (old.label if old else "")
        modality = act.get("modality") or (old.modality if old else "asserted")
        if label not in self.schema.types:
            raise DeskError(f"there is no type {label!r}; choose of {', '.join(self.schema.types)}")
        if modality not in MODALITIES:
            raise DeskError(f"there is no modality {modality!r}; choose of {', '.join(MODALITIES)}")
        return cast(str, label), cast(str, modality)

    def _checked(self, sheet: Sheet, marks: Sequence[Mark]) -> tuple[Mark, ...]:
        """Return marks in text order if they are whole words and none touches another."""
        ordered = sorted(marks, key=lambda mark: mark.start)
        bounds = words(sheet.text)
        starts, ends = {start for start, _ in bounds}, {end for _, end in bounds}
        for at, mark in enumerate(ordered):
            if mark.start not in starts or mark.end not in ends or mark.end <= mark.start:
                raise DeskError(f"{mark.start}-{mark.end} are no whole words")
            if at and ordered[at - 1].end > mark.start:
                raise DeskError("two marks would overlap; delete or shorten one first")
        return tuple(ordered)


def works(
    articles: Sequence[Article],
    said: Sequence[Prediction] | None,
    *,
    order: str,
    against: Sequence[Prediction] | None = None,
    notes: Mapping[str, Sequence[dict[str, Any]]] | None = None,
    seed: int = 0,
) -> list[Work]:
    """Return documents in the order of review, with the marks to begin with: the labels', or else the model's.

    Args:
        articles: with their texts; their labels, if they have any, are what is reviewed.
        said: what the model says of each; None where labels alone are reviewed.
        order: a key of `ORDERS`.
        against: what a second model says, for the order `disputed`.
        notes: document id -> places that somebody wants looked at.
        seed: of the order `random`.

    Raises:
        DeskError: if the order needs a model, a second one, or notes that are not there.
    """
    sizes = [max(1, len(words(article.text or ""))) for article in articles]
    if order in ("unsure", "disputed") and said is None:
        raise DeskError(f"the order {order!r} needs a model; choose another order")
    if order == "unsure" and said is not None:
        doubt = [sum(min(s, 1 - s) for s in each.scores) / size for each, size in zip(said, sizes, strict=True)]
    elif order == "disputed":
        if against is None or said is None:
            raise DeskError("the order 'disputed' needs a second model; name it with --against")
        doubt = [
            len(_keys(one.spans) ^ _keys(two.spans)) / size for one, two, size in zip(said, against, sizes, strict=True)
        ]
    elif order == "random":
        lots = random.Random(seed)
        doubt = [lots.random() for _ in articles]
    elif order == "queue":
        first = {name: -at for at, name in enumerate(notes or {})}
        doubt = [float(first.get(article.id, -len(articles) - 1)) for article in articles]
    elif order == "given":
        doubt = [0.0] * len(articles)
    else:
        raise DeskError(f"there is no order {order!r}; choose of {', '.join(ORDERS)}")
    made = []
    for at, article in enumerate(articles):
        if article.spans or said is None:
            marks = [Mark(s.start, s.end, s.label, s.modality, "label", False) for s in article.spans]
        else:
            scores = said[at].scores or (None,) * len(said[at].spans)
            marks = [
                Mark(s.start, s.end, s.label, s.modality, "model", False, score)
                for s, score in zip(said[at].spans, scores, strict=True)
            ]
        made.append(Work(article, tuple(marks), tuple((notes or {}).get(article.id, ()))))
    kept = [at for at in range(len(made)) if order != "queue" or made[at].notes]
    return [made[at] for at in sorted(kept, key=lambda at: -doubt[at])]


def article_of(id_: str, text: str, source: Mapping[str, Any]) -> Article:
    """Return a text that was not labelled yet as an article."""
    return Article(id_, hashlib.sha256(text.encode()).hexdigest(), len(text), (), (), text, None, dict(source))


def _keys(spans: Iterable[Span]) -> set[tuple[int, int, str]]:
    """Return what two models can differ in."""
    return {(span.start, span.end, span.label) for span in spans}


def _offsets(pair: Any) -> tuple[int, int]:
    """Return two offsets that came from outside."""
    start, end = pair
    if not isinstance(start, int) or not isinstance(end, int):
        raise DeskError("a mark needs a start and an end, in characters")
    return start, end


def _dump(marks: Iterable[Mark]) -> str:
    """Return marks as JSON."""
    return json.dumps([asdict(mark) for mark in marks])


def _load(text: str) -> tuple[Mark, ...]:
    """Return the marks that `_dump` wrote."""
    return tuple(Mark(**value) for value in json.loads(text))
