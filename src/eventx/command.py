"""What the rooms of the command line share: the application, options, exit codes, and how faults are told.

Exit codes: 0 all went well; 1 something was found wrong or could not be read, the rest was done; 2 wrong usage; 3 no
usable model; 130 stopped by the keyboard.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventx.markup import counted

if TYPE_CHECKING:
    from eventx.labels import Article
    from eventx.schema import Schema
    from eventx.tagger import Tagger

FAULTY, NO_MODEL, STOPPED = 1, 3, 130
app = typer.Typer(
    name="eventx",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Mark offensives, airstrikes, flight, surrender and warnings in English conflict news.\n\n"
    "Start with `eventx tag FILE`. It works offline and reads the whole text.\n\n"
    "Exit codes: 0 all went well; 1 something was wrong or unreadable, the rest was done; 2 wrong usage; "
    "3 no usable model; 130 stopped.",
)
TextsOption = Annotated[
    Path | None,
    typer.Option(
        "--texts",
        metavar="DIR",
        help="Folder of the texts that label files do not carry, each as ID.txt.",
        show_default=False,
    ),
]
LabelsOption = Annotated[
    list[Path] | None,
    typer.Option("--labels", metavar="FILE", help="A label file; may be given several times. Default: labels/*.jsonl."),
]
UnlabelledOption = Annotated[
    list[Path],
    typer.Option(
        "--unlabelled",
        metavar="FILE",
        help="JSON Lines with a `text` each, plain, .xz or .gz, or an .npz made of them; may be given several times.",
        show_default=False,
    ),
]
PartOption = Annotated[
    str,
    typer.Option("--part", help="Which part of the split to score: dev, fresh, late, test, train, written or fold-K."),
]
SchemaOption = Annotated[
    Path | None,
    typer.Option(
        "--schema", metavar="FILE", help="A schema file with types of your own; see docs/types.md.", show_default=False
    ),
]
SplitOption = Annotated[Path, typer.Option("--split", metavar="FILE", help="The split file.")]
SPLIT = Path("labels/split.tsv")


def load_model(model: str | None, threads: int = 0) -> Tagger:
    """Load a model or leave with its exit code."""
    from eventx.model import ModelError
    from eventx.tagger import load

    try:
        return load(model, threads=threads)
    except ModelError as error:
        say(str(error))
        raise typer.Exit(NO_MODEL) from None


def console_of() -> Any:
    """Return a console on standard output."""
    from rich.console import Console

    return Console(highlight=False)


def label_files(files: list[Path] | None) -> list[Path]:
    """Return the label files given, or those under labels/."""
    found = list(files or sorted(Path("labels").glob("*.jsonl")))
    if not found:
        say("no label files under labels/; name them")
        raise typer.Exit(2)
    return found


def schema_of(path: Path | None) -> Schema:
    """Return the types that labels may have: those of a schema file, or the shipped ones."""
    from eventx.schema import SHIPPED, Schema

    with faults_told():
        return SHIPPED if path is None else Schema.read(path)


def folder_of(path: Path | None) -> Path | None:
    """Return a folder that an option named, if it is one."""
    if path is not None and not path.is_dir():
        say(f"--texts {path}: no such folder")
        raise typer.Exit(2)
    return path


def room_of(name: str, extra: str = "train") -> Any:
    """Import a room that needs the libraries of an extra, or say how to get them."""
    import importlib

    try:
        return importlib.import_module(f"eventx.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("eventx"):
            raise
        say(f'this needs {error.name}, which is not installed; type: pip install "eventx[{extra}]"')
        raise typer.Exit(2) from None


@contextmanager
def faults_told() -> Iterator[None]:
    """Turn the errors that users can cause into one line and an exit code; others are bugs and stay loud."""
    try:
        yield
    except OSError as error:
        say(str(error))
        raise typer.Exit(FAULTY) from None
    except (ValueError, RuntimeError) as error:
        if not type(error).__module__.startswith("eventx"):
            raise
        say(str(error))
        raise typer.Exit(FAULTY) from None


def say(line: str) -> None:
    """Print a line on standard error."""
    typer.echo(line, err=True)


def sizes(articles: Collection[Article]) -> str:
    """Return how many documents and mentions there are: `5 documents, 89 mentions`."""
    mentions = sum(len(article.spans) for article in articles)
    return f"{counted(len(articles), 'document')}, {counted(mentions, 'mention')}"


def printable(name: str) -> str:
    """Return a file's name as it can be shown on one line."""
    return name if name.isprintable() else repr(name)
