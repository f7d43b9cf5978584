"""spaCy's `DocBin` (`.spacy`): triggers are `doc.ents`, so that `spacy train` learns them as they are.

The modality of each stands in the span group `modality`, a span a trigger with the modality as its label; the
document's id in `doc.user_data["id"]`. On the way in a document without entities may hold its spans in the group `sc`
(span categorisation). Tokens are the words of `text.words` and whatever stands between them, so that `doc.text` is the
text to the last blank. Needs spaCy: `pip install "eventx[convert]"`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventx.labels import Article, LabelError
from eventx.marks import Door, Mark, MissingError, covering, text_of
from eventx.spans import Annotated

if TYPE_CHECKING:
    from spacy.tokens import Doc
    from spacy.vocab import Vocab

MODALITY, SPANCAT = "modality", "sc"


def read(path: Path, door: Door | None = None) -> list[Article]:
    """Read a DocBin.

    Raises:
        LabelError: if the file is none, or a mark is faulty (`marks.Door`).
        MissingError: if spaCy is not installed.
    """
    tokens, vocab = _spacy()
    door = door or Door()
    if not path.is_file():
        raise LabelError(f"{path}: no such file")
    try:
        docs = list(tokens.DocBin().from_disk(path).get_docs(vocab))
    except Exception as error:  # zlib, msgpack and spaCy raise classes of their own
        raise LabelError(
            f"{path}: not a DocBin ({type(error).__name__}); expected what spaCy's DocBin.to_disk wrote"
        ) from None
    made = []
    for number, doc in enumerate(docs, 1):
        name = str(doc.user_data.get("id", f"{path.stem}-{number}"))
        made.append(door.article(name, doc.text, _marks(doc, f"{path}: document {name}")))
    return made


def write(documents: Iterable[Annotated], path: Path) -> list[str]:
    """Write a DocBin.

    Raises:
        LabelError: if a text is missing, or spans overlap or are no whole words.
        MissingError: if spaCy is not installed.
    """
    tokens, vocab = _spacy()
    tokens.DocBin(docs=[doc(document, vocab) for document in documents], store_user_data=True).to_disk(path)
    return []


def doc(document: Annotated, vocab: Vocab) -> Doc:
    """Return a document as spaCy's.

    Raises:
        LabelError: as `write` does.
        MissingError: if spaCy is not installed.
    """
    tokens, _ = _spacy()
    text, rows = text_of(document), covering(document)
    first = {start: at for at, (start, _, _) in enumerate(rows)}
    last = {end: at + 1 for at, (_, end, _) in enumerate(rows)}
    made: Doc = tokens.Doc(
        vocab, words=[text[start:end] for start, end, _ in rows], spaces=[space for _, _, space in rows]
    )
    spans = sorted(document.spans)
    made.set_ents([tokens.Span(made, first[span.start], last[span.end], span.label) for span in spans])
    made.spans[MODALITY] = [tokens.Span(made, first[s.start], last[s.end], s.modality) for s in spans]
    made.user_data["id"] = document.id
    return made


def _marks(doc: Doc, where: str) -> list[Mark]:
    """Return the marks of a document of spaCy's."""
    groups = {str(name): list(group) for name, group in doc.spans.items()}
    modality_of = {(span.start_char, span.end_char): span.label_ for span in groups.get(MODALITY, ())}
    found = list(doc.ents) or groups.get(SPANCAT, [])
    return [
        Mark(
            ((span.start_char, span.end_char),),
            span.label_,
            modality_of.get((span.start_char, span.end_char), "asserted"),
            where,
        )
        for span in found
    ]


def _spacy() -> tuple[Any, Any]:
    """Return spaCy's tokens and an empty vocabulary, or say how to get them."""
    try:
        from spacy import tokens
        from spacy.vocab import Vocab
    except ModuleNotFoundError:
        raise MissingError(
            'a DocBin needs spaCy, which is not installed; type: pip install "eventx[convert]"'
        ) from None
    return tokens, Vocab()
