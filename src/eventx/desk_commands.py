"""Commands for desks: tag texts, show them in segments. A thin skin over the rooms."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventx.command import FAULTY, STOPPED, app, load_model, printable, say
from eventx.markup import counted

if TYPE_CHECKING:
    from eventx.spans import Document
    from eventx.tagger import Tagger

_TOLD = 5
"""Failures of a long job that are told as they come; all are listed beside its output."""


class Format(StrEnum):
    """How `eventx tag` prints or writes."""

    view = "view"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    html = "html"
    conll = "conll"
    brat = "brat"
    spacy = "spacy"


@app.command(
    epilog="**Examples**\n\n"
    "`eventx tag article.txt` # highlighted text and a table of its events\n\n"
    "`eventx tag news/ -o events.csv` # every text, page and table under a folder: a row an event\n\n"
    "`eventx tag articles.csv --text-field body -o events.parquet --workers 4` # long jobs; --resume goes on\n\n"
    "`eventx tag news/*.html -o events.html` # one page to read, filter and print\n\n"
    "`cat article.txt | eventx tag - --format jsonl` # from another program, to another program\n\n"
    "`eventx tag article.txt --min-precision 0.9 --types airstrike,flight` # fewer events, nine of ten right"
)
def tag(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|DIR...",
            help="Text, Markdown, HTML, JSON Lines, CSV, Parquet, also .gz, .xz, .zst; folders; - is standard input.",
        ),
    ],
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            help="view: for people. json: an array of documents. jsonl: a document a line. "
            "csv, parquet: a row an event. html: a page. conll (IOB2), brat, spacy (DocBin): for annotation tools.",
            show_default="by the output's ending; view",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="Write there; into a folder a file a document.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an output that was not finished.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that tag side by side.")] = 1,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FOLDER",
            help="A shipped model's name or a model folder.",
            show_default="news-small",
        ),
    ] = None,
    types: Annotated[
        str, typer.Option("--types", metavar="A,B", help="Only events of these types.", show_default=False)
    ] = "",
    modality: Annotated[
        str, typer.Option("--modality", metavar="A,B", help="Only events of these modalities.", show_default=False)
    ] = "",
    min_score: Annotated[
        float | None,
        typer.Option("--min-score", min=0, max=1, help="Leave out events that are less sure.", show_default=False),
    ] = None,
    min_precision: Annotated[
        float | None,
        typer.Option(
            "--min-precision",
            min=0,
            max=1,
            help="Leave out what is not sure enough for this share of right events, as measured on held-out articles.",
            show_default=False,
        ),
    ] = None,
    text_field: Annotated[
        str, typer.Option("--text-field", help="The field of a table or JSON record that holds the text.")
    ] = "",
    id_field: Annotated[str, typer.Option("--id-field", help="The field that names a record.")] = "",
    date_field: Annotated[str, typer.Option("--date-field", help="The field that holds its date.")] = "",
    glob: Annotated[str, typer.Option("--glob", help="Which files of a folder: '*.txt', '2016/*'.")] = "",
    with_text: Annotated[bool, typer.Option("--with-text", help="Put the texts into JSON.")] = False,
    threads: Annotated[int, typer.Option("--threads", min=0, help="Threads for the network; 0: as many as cores.")] = 0,
) -> None:
    """Mark the events of texts.

    Each event has a type, its trigger with exact character offsets, a confidence, and a modality: asserted, possible or
    negated. What cannot be read is named on standard error and the rest is tagged all the same; the exit code is then
    1. With --output what failed is listed beside it, in OUTPUT.failures.jsonl.
    """
    from eventx import inputs, job

    kind = _format_of(format, output)
    tagger = load_model(model, threads)
    keep = _keeper(tagger, types, modality, _least_score(tagger, min_score, min_precision))
    fields = inputs.Fields(text_field, id_field, date_field)
    options = inputs.Options(fields, glob, say)

    def results(done: int = 0, last: str = "") -> Iterator[Any]:
        items = job.following(inputs.walk(files, options, sys.stdin.buffer), done, last)
        told = 0
        for result in job.tagged(items, tagger, model=model, workers=workers):
            if output is not None and isinstance(result, inputs.Failure) and told < _TOLD:
                say(result.reason)
                told += 1
            yield result if isinstance(result, inputs.Failure) else keep(result)

    if output is not None:
        facts: dict[str, Any] = {
            "model": tagger.name,
            "inputs": files,
            "glob": glob,
            "fields": [text_field, id_field, date_field],
        }
        facts |= {"types": types, "modality": modality, "scores": [min_score, min_precision]}
        if output.endswith("/"):
            Path(output).mkdir(parents=True, exist_ok=True)
        _run_job(results, Path(output), kind, facts, force, resume, with_text, inputs.count(files, glob))
        return
    failed: list[str] = []
    documents = _told(results(), failed)
    try:
        if kind == "view":
            _print_views(documents, several=len(files) > 1 or not _is_file(files[0]))
        else:
            for piece in job.pieces(documents, kind, with_text=with_text):
                sys.stdout.write(piece)
                sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        say(f"standard output cannot be written ({error.strerror})")
        raise typer.Exit(FAULTY) from None
    if failed:
        if len(files) > 1:
            say(f"{counted(len(failed), 'input')} could not be tagged: {', '.join(map(printable, failed))}")
        raise typer.Exit(FAULTY)


@app.command(epilog="**Example**\n\n`eventx show article.txt`")
def show(files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Text files in UTF-8.")]) -> None:
    """Print a text in numbered segments, as annotators' notes count them."""
    from eventx import notes, reading

    failed = False
    for file in files:
        try:
            typer.echo(notes.show(reading.read_text(file).text), nl=False)
        except reading.InputError as error:
            say(str(error))
            failed = True
    if failed:
        raise typer.Exit(FAULTY)


def _least_score(tagger: Tagger, min_score: float | None, min_precision: float | None) -> float:
    """Return the score that events need by the options of the command line."""
    from eventx.model import ModelError

    try:
        wanted = 0.0 if min_precision is None else tagger.config.score_for(min_precision)
    except ModelError as error:
        say(f"--min-precision {min_precision}: {error}")
        raise typer.Exit(2) from None
    return max(wanted, min_score or 0.0)


def _keeper(tagger: Tagger, types: str, modality: str, least: float) -> Any:
    """Return a function that leaves out of a document what the options of the command line do."""
    from eventx.schema import MODALITIES

    wanted = []
    for option, given, known in (("--types", types, tagger.config.types), ("--modality", modality, MODALITIES)):
        names = [name.strip() for name in given.split(",") if name.strip()]
        for name in names:
            if name not in known:
                say(f"{option}: no {name!r}; choose of {', '.join(known)}")
                raise typer.Exit(2)
        wanted.append(frozenset(names or known))

    def keep(document: Document) -> Document:
        events = tuple(
            e for e in document.events if e.score >= least and e.type in wanted[0] and e.modality in wanted[1]
        )
        return replace(document, events=events)

    return keep


def _format_of(format: Format | None, output: str | None) -> str:
    """Return the format that was asked for, or that the output's name tells."""
    from eventx.job import BINARY, FORMATS

    if output is None:
        if format in BINARY:
            say(
                f"{format} cannot be printed; write it: -o {'events/' if format is Format.brat else f'events.{format}'}"
            )
            raise typer.Exit(2)
        return format or Format.view
    folder = output.endswith("/") or os.path.isdir(output)
    kind = format or ("json" if folder else FORMATS.get(Path(output).suffix.lower()))
    if kind is None or kind is Format.view or (folder and kind in ("parquet", "spacy")):
        say(f"-o {output}: which format? end it in one of {', '.join(FORMATS)}, or name one with --format")
        raise typer.Exit(2)
    if kind == "brat" and not folder:
        say(f"-o {output}: brat is a folder of files; end it in a slash: -o {output}/")
        raise typer.Exit(2)
    return kind


def _run_job(
    results: Any,
    output: Path,
    kind: str,
    facts: dict[str, Any],
    force: bool,
    resume: bool,
    with_text: bool,
    total: int | None,
) -> None:
    """Write documents into an output, with a progress bar on a terminal, and say how it ended."""
    from eventx import job

    try:
        with _progress(total) as report:
            done = job.run(
                results,
                output,
                format=kind,
                facts=facts,
                resume=resume,
                force=force,
                with_text=with_text,
                report=report,
            )
    except KeyboardInterrupt:
        say(f"stopped; {output} holds what is done; go on: add --resume")
        raise typer.Exit(STOPPED) from None
    except job.JobError as error:
        say(str(error))
        raise typer.Exit(2) from None
    except OSError as error:
        say(f"{output}: cannot be written ({error.strerror or error}); what is done is kept: go on with --resume")
        raise typer.Exit(FAULTY) from None
    if done is None:
        say(f"{output}: finished already")
        return
    say(f"{output}: {counted(done.documents, 'document')}, {counted(done.events, 'event')}")
    if done.failed:
        say(f"could not be tagged: {done.failed:,}; why: {job.failures_of(output)}")
        raise typer.Exit(FAULTY)


@contextmanager
def _progress(total: int | None) -> Iterator[Any]:
    """Show how many documents are done, how many a second and how long it will take; on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("documents", total=total, rate="")

        def report(count: int) -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            bar.update(task, completed=count, rate=f"{speed:.1f}/s" if speed else "")

        yield report


def _told(results: Iterator[Any], failed: list[str]) -> Iterator[Document]:
    """Yield documents; say why others are none, and note them in `failed`."""
    from eventx.inputs import Failure

    for result in results:
        if isinstance(result, Failure):
            say(result.reason)
            failed.append(result.source)
        else:
            yield result


def _is_file(path: str) -> bool:
    """Say whether an input is one document."""
    return not os.path.isdir(path) and Path(path).suffix in ("", ".txt", ".md")


def _print_views(documents: Iterator[Document], *, several: bool) -> None:
    """Print each document for people, and a table over all of them if there are several."""
    from rich.console import Console

    from eventx import view

    console = Console(highlight=False)
    tallies = []
    for document in documents:
        view.show(document, console)
        tallies.append(view.Tally.of(document))
    if several and tallies:
        view.summary(tallies, console)
