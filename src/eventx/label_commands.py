"""Commands for labels: check, count, split, compile, compare, convert. A thin skin over the rooms."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from eventx.command import (
    FAULTY,
    SPLIT,
    LabelsOption,
    SchemaOption,
    SplitOption,
    TextsOption,
    app,
    faults_told,
    folder_of,
    label_files,
    say,
    schema_of,
    sizes,
)
from eventx.markup import counted


@app.command(
    epilog="**Examples**\n\n`eventx check` # every label file under labels/ and the split\n\n"
    "`eventx check --texts DIR` # with the texts at hand, offsets are checked against them\n\n"
    "`eventx check --texts DIR --doubts` # and the labels that are unlike their fellows, the most suspect first"
)
def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Label files. Default: labels/*.jsonl.", show_default=False),
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option(
            "--split",
            metavar="FILE",
            help="The split file. Default: labels/split.tsv, unless label files are named.",
            show_default=False,
        ),
    ] = None,
    texts: TextsOption = None,
    schema: SchemaOption = None,
    doubts: Annotated[
        bool, typer.Option("--doubts", help="List likely mistakes too: marks that are unlike those of the same words.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many doubts to list.")] = 30,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write all doubts as JSON Lines, to review.", show_default=False
        ),
    ] = None,
) -> None:
    """List every fault of label files and their split, with file, line and what to do; exit code 1 if there is one.

    Doubts are no faults: places that may be right, worth a second look, the most suspect first.
    """
    from eventx import labels

    paths = label_files(files)
    if split is None and not files and SPLIT.is_file():
        split = SPLIT
    kinds = schema_of(schema)
    faults = labels.check(paths, texts=folder_of(texts), split=split, schema=kinds)
    for fault in faults:
        typer.echo(str(fault))
    if faults:
        say(f"{counted(len(faults), 'fault')} in {counted(len(paths), 'label file')}")
        raise typer.Exit(FAULTY)
    read = {str(path): labels.read(path, texts=texts, need_text=False, schema=kinds) for path in paths}
    articles = [article for own in read.values() for article in own]
    unseen = sum(article.text is None for article in articles)
    line = f"no faults: {sizes(articles)}"
    line += f"; split: {split}" if split else "; no split checked"
    typer.echo(line + (f"; {unseen:,} checked without their text (--texts DIR)" if unseen else ""))
    if doubts or output:
        _doubt(read, limit, output)


@app.command(epilog="**Example**\n\n`eventx tally --texts DIR` # with the texts at hand words are counted too")
def tally(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Label files. Default: labels/*.jsonl.", show_default=False),
    ] = None,
    split: SplitOption = SPLIT,
    texts: TextsOption = None,
    schema: SchemaOption = None,
) -> None:
    """Count documents, words and mentions by type and modality in each part of the split, as a Markdown table."""
    from eventx import labels
    from eventx import split as parting
    from eventx.schema import MODALITIES

    kinds, place = schema_of(schema), folder_of(texts)
    with faults_told():
        paths = label_files(files)
        articles = [a for path in paths for a in labels.read(path, texts=place, need_text=False, schema=kinds)]
        columns = labels.tally(articles, parting.read(split))
    names = sorted(columns, key=[*parting.PARTS, "seeds", "no part"].index)
    typer.echo(f"| | {' | '.join(names)} | all |\n|{'---|' * (len(names) + 2)}")
    for row in ("documents", "without events", "words", "mentions", *kinds.types, *MODALITIES):
        counts = [columns[name][row] for name in names]
        typer.echo(f"| {row} | {' | '.join(f'{count:,}' for count in counts)} | {sum(counts):,} |")


@app.command(
    "split",
    epilog="**Examples**\n\n`eventx split --texts DIR --held-out 150 --folds labels/seeds.jsonl`\n\n"
    "`eventx split --texts DIR --extend train` # labels came in; the parts stay as they are",
)
def make_split(
    labels: LabelsOption = None,
    texts: TextsOption = None,
    held_out: Annotated[int, typer.Option("--held-out", min=0, help="Documents in dev and in test, each.")] = 150,
    folds: Annotated[
        Path | None,
        typer.Option(
            "--folds", metavar="FILE", help="A label file whose documents become a fold each.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the draw.")] = 13,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The split file to write.")] = SPLIT,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing split.")] = False,
    extend: Annotated[
        str | None,
        typer.Option(
            "--extend",
            metavar="PART",
            help="Only add documents that the split lacks, to this part.",
            show_default=False,
        ),
    ] = None,
    schema: SchemaOption = None,
) -> None:
    """Draw a split by document and near-duplicate group. Documents marked `enriched` in their source only train."""
    from eventx import labels as room
    from eventx import split as parting

    with faults_told():
        if extend is None and output.exists() and not force:
            raise parting.SplitError(
                f"{output}: there is a split already; scores on another are not comparable; --force replaces it"
            )
        need, kinds, place = extend is None, schema_of(schema), folder_of(texts)
        files = label_files(labels)
        articles = [a for path in files for a in room.read(path, texts=place, need_text=need, schema=kinds)]
        every = {article.id: article.text for article in articles}
        barred: list[str] = []
        if extend is not None:
            made, barred = parting.extend(parting.read(output), every, extend)
        else:
            own = [article.id for article in room.read(folds, schema=kinds)] if folds else []
            only_train = [article.id for article in articles if article.source.get("enriched")]
            here = {name: text for name, text in every.items() if text is not None}
            made = parting.draw(here, held_out=held_out, folds=own, only_train=only_train, seed=seed)
        parting.write(made, output)
    parts = [assignment.part for assignment in made.values()]
    typer.echo(f"{output}: " + ", ".join(f"{name} {parts.count(name)}" for name in sorted(set(parts))))
    if barred:
        say(f"left out as near-duplicates of documents in other parts; drop their labels: {', '.join(barred)}")
        raise typer.Exit(FAULTY)


@app.command(
    "compile",
    epilog="**Example**\n\n`eventx show article.txt` numbers the segments; write `notes/article.tsv`; then\n\n"
    "`eventx compile notes --texts articles --output labels/mine.jsonl`",
)
def compile_notes(
    notes: Annotated[Path, typer.Argument(metavar="NOTES", help="Folder of notes, NAME.tsv for the text NAME.txt.")],
    texts: Annotated[Path, typer.Option("--texts", metavar="DIR", help="Folder of the texts.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The label file to write.")],
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources",
            metavar="FILE",
            help="JSON Lines with a `name` each: where the texts are from.",
            show_default=False,
        ),
    ] = None,
    carry: Annotated[
        bool, typer.Option("--carry", help="Name each text's place in the label file: the texts stand beside it.")
    ] = False,
) -> None:
    """Compile annotators' notes to a label file with exact offsets."""
    from eventx import labels
    from eventx import notes as room

    with faults_told():
        known = room.read_sources(sources) if sources else {}
        made = []
        for file in sorted(notes.glob("*.tsv")):
            text = texts / f"{file.stem}.txt"
            beside = Path(os.path.relpath(text, output.parent)).as_posix() if carry else None
            made.append(room.compile_notes(file, text, file=beside, source=known.get(file.stem)))
        if not made:
            raise labels.LabelError(f"{notes}: no notes there; expected NAME.tsv files")
        labels.write(made, output)
    typer.echo(f"{output}: {sizes(made)}")


@app.command(
    epilog="**Examples**\n\n`eventx agree labels/notes/first labels/notes/second --texts seeds`\n\n"
    "`eventx agree labels/news.jsonl labels/notes/second-news.jsonl` # label files need no texts"
)
def agree(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="One reader's folder of notes, or label file.")],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Another reader's.")],
    texts: TextsOption = None,
    schema: SchemaOption = None,
) -> None:
    """Print the agreement of two readers on the texts that both annotated."""
    from eventx import labels, metrics, notes

    kinds = schema_of(schema)

    def read(place: Path) -> dict[str, Any]:
        if place.suffix == ".jsonl":
            return {article.id: article.spans for article in labels.read(place, need_text=False, schema=kinds)}
        if texts is None:
            raise labels.LabelError(
                f"{place}: notes count segments of their texts; name the texts' folder with --texts"
            )
        return {
            file.stem: notes.compile_notes(file, texts / f"{file.stem}.txt").spans
            for file in sorted(place.glob("*.tsv"))
        }

    with faults_told():
        sides = [read(first), read(second)]
        names = sorted(sides[0].keys() & sides[1].keys())
        if not names:
            raise labels.LabelError(f"{first} and {second} have no document in common")
        one, two = ([side[name] for name in names] for side in sides)
    found = metrics.agreement(one, two)
    marked = [sum(map(len, side)) for side in (one, two)]
    typer.echo(f"{counted(len(names), 'document')}; mentions: {marked[0]} and {marked[1]}")
    typer.echo(f"span and type: F1 {found.exact:.3f}; span alone: F1 {found.span:.3f}")
    for name, value in found.by_type.items():
        typer.echo(f"  {name}: F1 {value:.3f}")
    typer.echo(f"modality: {found.modality[0]} of {found.modality[1]} equal")


@app.command(
    epilog="**Examples**\n\n`eventx convert labels/seeds.jsonl out/brat` # a folder that brat opens\n\n"
    "`eventx convert labels/news.jsonl news.spacy --texts DIR` # for `spacy train`\n\n"
    "`eventx convert project.json labels/mine.jsonl` # Label Studio's export to labels and texts\n\n"
    "`eventx convert ace.conll mine.jsonl --rename Attack=offensive --rename Person=` # other names\n\n"
    "Formats: labels, brat, conll, bioes, labelstudio, doccano, prodigy, docbin, xmi, csv; see docs/formats.md."
)
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The file or folder to read.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file or folder to write.")],
    from_: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="What IN is.", show_default="guessed")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="FORMAT", help="What OUT becomes.", show_default="by its name")
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            "--texts",
            metavar="DIR",
            help="Folder of the texts that label files do not carry, as ID.txt: read from it, or written into it.",
            show_default=False,
        ),
    ] = None,
    schema: SchemaOption = None,
    rename: Annotated[
        list[str] | None,
        typer.Option("--rename", metavar="OLD=NEW", help="A type's other name in IN; OLD= leaves its marks out."),
    ] = None,
    skip: Annotated[
        bool,
        typer.Option("--skip", help="Leave out marks that labels cannot hold, each named; the exit code is then 1."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what stands at OUT.")] = False,
) -> None:
    """Convert labels between formats; spans, types, modality and text stay what they are."""
    from eventx import formats, marks
    from eventx.labels import LabelError

    pairs = [pair.partition("=") for pair in rename or []]
    wrong = [name for name in (from_, to) if name is not None and name not in formats.NAMES]
    if wrong or not all(equals for _, equals, _ in pairs):
        say(f"{wrong[0]}: no such format; use one of {', '.join(formats.NAMES)}" if wrong else "--rename takes OLD=NEW")
        raise typer.Exit(2)
    skipped: list[str] = []
    kinds = schema_of(schema)
    with faults_told():
        reader, why = (from_, "as told") if from_ else formats.guess_input(source)
        writer, how = (to, "as told") if to else formats.guess_output(target)
        say(f"reading {source} as {reader} ({why}), writing {target} as {writer} ({how})")
        if not force and (target.is_file() or (target.is_dir() and any(target.iterdir()))):
            raise LabelError(f"{target}: there is something already; --force writes over it")
        renamed = {old: new for old, _, new in pairs}
        door = marks.Door(schema=kinds, rename=renamed, skip=skipped.append if skip else None)
        into = None if reader == "labels" else texts
        articles = formats.read(reader, source, door, texts=folder_of(texts) if into is None else None)
        told = formats.write(writer, articles, target, kinds, texts=into)
    for line in skipped:
        say(f"left out: {line}")
    typer.echo(f"{target}: {sizes(articles)}")
    for line in told:
        say(line)
    if skipped:
        say(f"{counted(len(skipped), 'mark')} left out")
        raise typer.Exit(FAULTY)


def _doubt(files: dict[str, list[Any]], limit: int, output: Path | None) -> None:
    """Print the most suspect labels, each in its sentence, and write all of them."""
    from rich.console import Console
    from rich.text import Text

    from eventx import doubts, view
    from eventx.spans import Event, Span

    found = doubts.find(files)
    console = Console(highlight=False)
    for number, doubt in enumerate(found[:limit], 1):
        shown = doubt.marked or doubt.suggested or Span(doubt.start, doubt.end, "")
        start, end = doubt.start - doubt.sentence[0], doubt.end - doubt.sentence[0]
        whole = (0, len(doubt.context))
        event = Event(shown.label, doubt.trigger, start, end, doubt.score, shown.modality, whole)
        marked = f"{doubt.marked.label}, {doubt.marked.modality}" if doubt.marked else "not marked"
        console.print()
        console.print(Text(f"{number}. {doubt.place}", "bold"), soft_wrap=True)
        console.print(Text(f"   {doubt.kind}: {marked}; {doubt.why}"), soft_wrap=True)
        console.print(Text("   ").append_text(view.passage(doubt.context, event, console, console.width - 3)))
    more = f"; the first {limit} are shown (--limit)" if len(found) > limit else ""
    typer.echo(f"\n{counted(len(found), 'doubt')}{more}")
    if output is not None:
        with faults_told():
            doubts.write(found, output)
        say(f"{output}: {counted(len(found), 'doubt')}")
