"""brat standoff: a folder of `NAME.txt` and `NAME.ann`, with the `annotation.conf` that brat asks for.

A trigger is a text-bound annotation (T); its modality is the attribute `Modality`, left out where it is asserted. On
the way in an event (E) passes its attributes on to its trigger, the attributes `Negation` and `Speculation` mean
negated and possible, and relations, notes and other attributes are not read. A mark across line ends is written in
pieces, a line each, as brat's editor does. Offsets are characters; files of brat's own, which counts CRLF as one,
are understood.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from eventx.labels import Article, LabelError
from eventx.marks import Door, Mark, file_name, read_text, text_of
from eventx.schema import MODALITIES, SHIPPED, Schema
from eventx.spans import Annotated

_LINE = re.compile(r"[^\r\n]*[^\s]")
_SPLIT = re.compile(r"\s")
_BINARY = {"Negation": "negated", "Speculation": "possible"}
ATTRIBUTE = "Modality"


def read(path: Path, door: Door | None = None) -> list[Article]:
    """Read a folder of `.ann` files with their texts beside them, folders in it included, or one `.ann` file.

    A text without an `.ann` file was not annotated and is left out.

    Raises:
        LabelError: if there is none, a text is missing, or a line or mark is faulty (`marks.Door`).
    """
    files = sorted(path.rglob("*.ann")) if path.is_dir() else [path]
    if not files:
        raise LabelError(f"{path}: no .ann files in there; expected brat's NAME.txt and NAME.ann")
    door = door or Door()
    return [door.article(file.stem, read_text(file.with_suffix(".txt")), _marks(file)) for file in files]


def write(documents: Iterable[Annotated], path: Path, schema: Schema = SHIPPED) -> list[str]:
    """Write a folder that brat can open, and return what people should know of it.

    Raises:
        LabelError: if a text is missing, or an id cannot name a file.
    """
    files: dict[str, str] = {}
    crlf = 0
    for document in documents:
        text, name = text_of(document), file_name(document)
        crlf += "\r" in text
        files |= {f"{name}.txt": text, f"{name}.ann": standoff(document)}
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content.encode("utf-8"))
    (path / "annotation.conf").write_text(configuration(schema), encoding="utf-8")
    told = [f"copy {path} into brat's data folder; annotation.conf names the types and the modality"]
    if crlf:
        told.append(
            f"{crlf} texts hold carriage returns, which brat does not count: its marks will look shifted in them"
        )
    return told


def standoff(document: Annotated) -> str:
    """Return the `.ann` file of a document."""
    text = text_of(document)
    lines: list[str] = []
    attributes: list[str] = []
    for number, span in enumerate(sorted(document.spans), 1):
        pieces = [
            (span.start + match.end() - len(match.group().lstrip()), span.start + match.end())
            for match in _LINE.finditer(text[span.start : span.end])
        ]
        offsets = ";".join(f"{start} {end}" for start, end in pieces)
        said = _SPLIT.sub(" ", " ".join(text[start:end] for start, end in pieces))
        lines.append(f"T{number}\t{span.label} {offsets}\t{said}\n")
        if span.modality != "asserted":
            attributes.append(f"A{len(attributes) + 1}\t{ATTRIBUTE} T{number} {span.modality}\n")
    return "".join([*lines, *attributes])


def configuration(schema: Schema) -> str:
    """Return the `annotation.conf` of a schema."""
    values = "|".join(MODALITIES)
    return (
        "\n".join(
            [
                "[entities]",
                *schema.types,
                "[relations]",
                "[events]",
                "[attributes]",
                f"{ATTRIBUTE}\tArg:<ENTITY>, Value:{values}",
            ]
        )
        + "\n"
    )


def _marks(file: Path) -> list[Mark]:
    """Return the marks of an `.ann` file."""
    bound: dict[str, Mark] = {}
    trigger_of: dict[str, str] = {}
    modality_of: dict[str, str] = {}
    for number, line in enumerate(read_text(file).split("\n"), 1):
        where = f"{file}:{number}"
        fields = line.rstrip("\r").split("\t")
        try:
            if line.startswith("T"):
                label, _, offsets = fields[1].partition(" ")
                pairs = [piece.split() for piece in offsets.split(";")]
                pieces = tuple(sorted((int(start), int(end)) for start, end in pairs))
                bound[fields[0]] = Mark(pieces, label, "asserted", where, fields[2] if len(fields) > 2 else None)
            elif line.startswith("E"):
                trigger_of[fields[0]] = fields[1].split()[0].partition(":")[2]
            elif line.startswith(("A", "M")):
                name, target, *value = fields[1].split()
                if name == ATTRIBUTE and value:
                    modality_of[target] = value[0]
                elif name in _BINARY:
                    modality_of[target] = _BINARY[name]
        except (ValueError, IndexError):
            raise LabelError(f"{where}: {line!r} is not a line of brat standoff; correct it") from None
    for target, modality in modality_of.items():
        name = trigger_of.get(target, target)
        if name in bound:
            old = bound[name]
            bound[name] = Mark(old.pieces, old.label, modality, old.where, old.said)
    return list(bound.values())
