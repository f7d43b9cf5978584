"""UIMA CAS XMI, as INCEpTION and WebAnno take and give it: a folder (or zip) of `NAME.xmi` with `TypeSystem.xml`.

A trigger is an annotation of the span layer `webanno.custom.Event` with the features `value` (its type) and `modality`;
words and sentences come along, and the document's id in DocumentMetaData. On the way in named entities count where
that layer is missing. Offsets in the files are UTF-16 units; dkpro-cassis turns them into characters and back. Needs
it: `pip install "eventx[convert]"`.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from eventx.labels import Article, LabelError
from eventx.marks import Door, Mark, MissingError, file_name, text_of
from eventx.spans import Annotated
from eventx.text import sentences, words

LAYER = "webanno.custom.Event"
TYPE_SYSTEM = "TypeSystem.xml"
_ENTITY = "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"
_META = "de.tudarmstadt.ukp.dkpro.core.api.metadata.type.DocumentMetaData"
_SEGMENTATION = "de.tudarmstadt.ukp.dkpro.core.api.segmentation.type."
_STRING = "uima.cas.String"


def read(path: Path, door: Door | None = None) -> list[Article]:
    """Read the `.xmi` files of a folder or zip, or one of them, by the type system beside each or above it.

    Raises:
        LabelError: if there is none, a file is no CAS, it holds neither layer, or a mark is faulty (`marks.Door`).
        MissingError: if dkpro-cassis is not installed.
    """
    cassis = _cassis()
    door = door or Door()
    made: list[Article] = []
    systems: dict[bytes, Any] = {}
    for where, data, system in _files(path):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of features that are words of Python
                systems[system] = systems.get(system) or cassis.load_typesystem(io.BytesIO(system))
            cas = cassis.load_cas_from_xmi(io.BytesIO(data), typesystem=systems[system], lenient=True)
        except Exception as error:  # lxml and cassis raise classes of their own
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise LabelError(f"{where}: not a CAS of its {TYPE_SYSTEM} ({first}); export as UIMA CAS XMI") from None
        made.append(_article(cas, where, door))
    if not made:
        raise LabelError(f"{path}: no .xmi files in there; expected NAME.xmi and {TYPE_SYSTEM}")
    return made


def write(documents: Iterable[Annotated], path: Path) -> list[str]:
    """Write a folder of `.xmi` files with their type system; return what people should know.

    Raises:
        LabelError: if a text is missing or holds characters that XML cannot, or an id cannot name a file.
        MissingError: if dkpro-cassis is not installed.
    """
    system = _type_system()
    files = {f"{file_name(document)}.xmi": _cas(document, system).to_xmi() for document in documents}
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content.encode("utf-8"))
    system.to_xml(path / TYPE_SYSTEM)
    return [f"in INCEpTION make the layer Event by importing {path / TYPE_SYSTEM}, then import the .xmi files"]


def _type_system() -> Any:
    """Return the layer of events, and of DKPro's types what every import looks for."""
    system = _cassis().TypeSystem()
    annotation, document = "uima.tcas.Annotation", "uima.tcas.DocumentAnnotation"
    for name, above, features in (
        (LAYER, annotation, ("value", "modality")),
        (_META, document, ("documentTitle", "documentId", "documentUri", "collectionId", "documentBaseUri")),
        (_SEGMENTATION + "Sentence", annotation, ("id",)),
        (_SEGMENTATION + "Token", annotation, ("id",)),
    ):
        kind = system.create_type(name=name, supertypeName=above)
        for feature in features:
            system.create_feature(domainType=kind, name=feature, rangeType=_STRING)
    return system


def _cas(document: Annotated, system: Any) -> Any:
    """Return a document as a CAS."""
    text = text_of(document)
    bad = next((letter for letter in text if not _in_xml(letter)), None)
    if bad is not None:
        raise LabelError(
            f"document {document.id!r}: XML cannot hold its character {bad!r} at {text.index(bad)}; choose another "
            f"format"
        )
    cas = _cassis().Cas(typesystem=system)
    cas.sofa_string = text
    cas.sofa_mime = "text/plain"
    meta, layer = system.get_type(_META), system.get_type(LAYER)
    cas.add(meta(begin=0, end=len(text), language="en", documentTitle=document.id, documentId=document.id))
    for name, bounds in (("Sentence", sentences(text)), ("Token", words(text))):
        kind = system.get_type(_SEGMENTATION + name)
        cas.add_all([kind(begin=start, end=end) for start, end in bounds])
    cas.add_all([layer(begin=s.start, end=s.end, value=s.label, modality=s.modality) for s in sorted(document.spans)])
    return cas


def _article(cas: Any, where: str, door: Door) -> Article:
    """Return a CAS's labels."""
    text = cas.sofa_string
    if not isinstance(text, str):
        raise LabelError(f"{where}: it holds no text")
    known = [name for name in (LAYER, _ENTITY) if cas.typesystem.contains_type(name)]
    if not known:
        raise LabelError(f"{where}: neither the layer {LAYER} nor named entities in its {TYPE_SYSTEM}; make the layer")
    marks = []
    for each in cas.select(known[0]):
        modality = (each.modality if known[0] == LAYER else None) or "asserted"
        marks.append(Mark(((each.begin, each.end),), each.value or "", modality, f"{where}, annotation {each.xmiID}"))
    name = PurePosixPath(where.replace("\\", "/")).stem
    if cas.typesystem.contains_type(_META):
        own = [meta.documentId for meta in cas.select(_META) if getattr(meta, "documentId", None)]
        name = own[0].removesuffix(".txt") if own else name
    return door.article(name, text, marks)


def _files(path: Path) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield (name, `.xmi` bytes, type system bytes) of each document."""
    if path.is_dir():
        for inner in sorted(path.rglob("*.zip")):
            yield from _files(inner)
        files = {file.relative_to(path).as_posix(): file.read_bytes for file in path.rglob("*") if file.is_file()}
    elif zipfile.is_zipfile(path):
        archive = zipfile.ZipFile(path)
        files = {name: (lambda name=name: archive.read(name)) for name in archive.namelist()}  # type: ignore[misc]
    elif path.suffix == ".xmi":
        files = {file.name: file.read_bytes for file in (path, path.with_name(TYPE_SYSTEM)) if file.is_file()}
        path = path.parent
    else:
        raise LabelError(f"{path}: expected a folder or zip of .xmi files, or one of them")
    for name in sorted(files):
        if not name.endswith(".xmi"):
            continue
        where = f"{path}/{name}"
        places = [str(parent / TYPE_SYSTEM) for parent in PurePosixPath(name).parents]
        system = next((place for place in places if place in files), None)
        if system is None:
            raise LabelError(f"{where}: no {TYPE_SYSTEM} beside it or above it; INCEpTION's export holds one")
        yield where, files[name](), files[system]()


def _in_xml(letter: str) -> bool:
    """Say whether XML 1.0 can hold a character."""
    return letter in "\t\n\r" or " " <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd" or letter > "\uffff"


def _cassis() -> Any:
    """Return dkpro-cassis, or say how to get it."""
    try:
        import cassis
    except ModuleNotFoundError:
        raise MissingError(
            'CAS XMI needs dkpro-cassis, which is not installed; type: pip install "eventx[convert]"'
        ) from None
    return cassis
