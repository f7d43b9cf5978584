"""The command line: one sub-command a verb, each a thin skin over a room. The only room that prints and exits.

Exit codes: 0 all went well; 1 something was found wrong or could not be read, the rest was done; 2 wrong usage; 3 no
usable model; 130 stopped by the keyboard.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from eventx.schema import Schema
    from eventx.spans import Document
    from eventx.tagger import Tagger

FAULTY, NO_MODEL, STOPPED = 1, 3, 130
_TOLD = 5
"""Failures of a long job that are told as they come; all are listed beside its output."""

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
        help="JSON Lines with a `text` each, plain, .xz or .gz; may be given several times.",
        show_default=False,
    ),
]
PartOption = Annotated[
    str, typer.Option("--part", help="Which part of the split to score: dev, test, train, written or fold-K.")
]
SchemaOption = Annotated[
    Path | None,
    typer.Option(
        "--schema", metavar="FILE", help="A schema file with types of your own; see docs/types.md.", show_default=False
    ),
]
SplitOption = Annotated[Path, typer.Option("--split", metavar="FILE", help="The split file.")]
SPLIT = Path("labels/split.tsv")


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
    tagger = _load(model, threads)
    keep = _keeper(tagger, types, modality, _least_score(tagger, min_score, min_precision))
    fields = inputs.Fields(text_field, id_field, date_field)
    options = inputs.Options(fields, glob, _say)

    def results(done: int = 0, last: str = "") -> Iterator[Any]:
        items = job.following(inputs.walk(files, options, sys.stdin.buffer), done, last)
        told = 0
        for result in job.tagged(items, tagger, model=model, workers=workers):
            if output is not None and isinstance(result, inputs.Failure) and told < _TOLD:
                _say(result.reason)
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
        _say(f"standard output cannot be written ({error.strerror})")
        raise typer.Exit(FAULTY) from None
    if failed:
        if len(files) > 1:
            _say(f"{len(failed)} inputs could not be tagged: {', '.join(map(_printable, failed))}")
        raise typer.Exit(FAULTY)


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

    paths = _label_files(files)
    if split is None and not files and SPLIT.is_file():
        split = SPLIT
    kinds = _schema(schema)
    faults = labels.check(paths, texts=_folder(texts), split=split, schema=kinds)
    for fault in faults:
        typer.echo(str(fault))
    if faults:
        _say(f"{len(faults)} faults in {len(paths)} label files")
        raise typer.Exit(FAULTY)
    read = {str(path): labels.read(path, texts=texts, need_text=False, schema=kinds) for path in paths}
    articles = [article for own in read.values() for article in own]
    unseen = sum(article.text is None for article in articles)
    mentions = sum(len(article.spans) for article in articles)
    line = f"no faults: {len(articles)} documents, {mentions} mentions"
    line += f"; split: {split}" if split else "; no split checked"
    typer.echo(line + (f"; {unseen} checked without their text (--texts DIR)" if unseen else ""))
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

    kinds, place = _schema(schema), _folder(texts)
    with _errors():
        paths = _label_files(files)
        articles = [a for path in paths for a in labels.read(path, texts=place, need_text=False, schema=kinds)]
        columns = labels.tally(articles, parting.read(split))
    names = sorted(columns, key=[*parting.PARTS, "seeds", "no part"].index)
    typer.echo(f"| | {' | '.join(names)} | all |\n|{'---|' * (len(names) + 2)}")
    for row in ("documents", "without events", "words", "mentions", *kinds.types, *MODALITIES):
        counts = [columns[name][row] for name in names]
        typer.echo(f"| {row} | {' | '.join(f'{count:,}' for count in counts)} | {sum(counts):,} |")


@app.command(
    epilog="**Examples**\n\n`eventx train configs/seeds.toml` # from the committed labels alone, in minutes\n\n"
    "`eventx train configs/news.toml --texts DIR` # everything; DIR holds the news texts\n\n"
    "`eventx train configs/news.toml --texts DIR --resume` # go on where it was stopped\n\n"
    "`eventx train configs/mine.toml --base news-small` # go on from the shipped model with labels of your own\n\n"
    "`eventx tag article.txt --model runs/seeds/model` # use the result"
)
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file; see configs/.")],
    texts: TextsOption = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="DIR",
            help="The run folder. Default: runs/ and the configuration's name.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of the run folder.")] = False,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="NAME|FOLDER",
            help="Begin with this model, or run, instead of the bare encoder.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train a model from labels and export it: the run folder's `model` is ready for `eventx tag --model`."""
    room = _room("train")
    place = run or Path("runs") / config.stem
    with _errors():
        settings = _room("recipe").TrainConfig.read(config)
        if base is not None:
            settings = replace(settings, base=str(_place_of(base)))
        learnt, dev = room.articles_of(settings, _folder(texts))
        mentions = sum(len(article.spans) for article in learnt)
        _say(f"training on {len(learnt)} documents with {mentions} mentions; dev: {len(dev)} documents; into {place}")
        history = room.train(settings, learnt, dev, place, resume=resume, report=_say)
        _say(f"trained in {history['seconds']:.0f} s")
        _export(place, place / "model", config.stem, learnt, dev)


@app.command(
    epilog="**Example**\n\n`eventx pretrain configs/pretrain.toml --unlabelled news.jsonl.xz --output runs/encoder`"
)
def pretrain(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file; see configs/.")],
    unlabelled: UnlabelledOption,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The encoder folder to write.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in it.")] = False,
) -> None:
    """Go on pre-training an encoder on unlabelled text; `eventx train` takes the folder as its `encoder`."""
    room = _room("pretrain")
    with _errors():
        settings = _room("recipe").PretrainConfig.read(config)
        corpus = _room("unlabelled").read(unlabelled, room.coding_of(settings))
        _say(f"pre-training on {len(corpus):,} documents with {int(corpus.bounds[-1]):,} tokens; into {output}")
        history = room.pretrain(settings, corpus, output, resume=resume, report=_say)
    _say(f"pre-trained in {history['seconds']:.0f} s; name it in a recipe: encoder = {str(output)!r}")


@app.command(
    epilog="**Example**\n\n`eventx distil configs/distil.toml --unlabelled news.jsonl.xz --texts DIR` # teachers: a run"
)
def distil(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file; see configs/.")],
    unlabelled: UnlabelledOption,
    texts: TextsOption = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="The run folder. Default: runs/ and the configuration's name."),
    ] = None,
) -> None:
    """Distil the members of a run into one network, through unlabelled text, and export it; what was begun goes on."""
    room, training = _room("distil"), _room("train")
    place = run or Path("runs") / config.stem
    with _errors():
        settings = _room("recipe").DistilConfig.read(config)
        teachers, taught = room.teachers_of(settings)
        learnt, dev = training.articles_of(taught, _folder(texts))
        corpus = _room("unlabelled").read(
            unlabelled, training.coding_of(taught), documents=settings.documents, seed=settings.seed
        )
        _say(f"distilling {len(teachers)} teachers on {len(corpus):,} unlabelled documents; into {place}")
        history = room.distil(settings, learnt, dev, corpus, place, report=_say)
        _say(f"distilled in {history['seconds']:.0f} s")
        _export(place, place / "model", config.stem, learnt, dev)


@app.command(
    epilog="**Example**\n\n"
    "`eventx crossfit configs/news.toml --texts DIR --jobs 2` # writes runs/news-folds/readings.jsonl"
)
def crossfit(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file; see configs/.")],
    texts: TextsOption = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="DIR",
            help="The run folder. Default: runs/, the configuration's name, -folds.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Folds by near-duplicate group.")] = 5,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Networks a fold.")] = 3,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Networks trained at a time.")] = 1,
) -> None:
    """Read every labelled article with networks that did not learn from it: where they dispute a label, look again.

    The recipe's train parts are folded; its dev part and `test` are read by the networks of all folds. What they say
    stands in readings.jsonl; the networks are kept, go on where they were stopped, and can teach `eventx distil`.
    """
    room = _room("crossfit")
    place = run or Path("runs") / f"{config.stem}-folds"
    with _errors():
        settings = _room("recipe").TrainConfig.read(config)
        readings, gold, learnt = room.of_recipe(
            settings, _folder(texts), keep=place, folds=folds, seeds=seeds, jobs=jobs, report=_say
        )
        room.write(readings, place / "readings.jsonl")
    from eventx import metrics

    found = metrics.count(gold[:learnt], [[span for span, _ in reading.ensemble] for reading in readings[:learnt]])
    typer.echo(f"{place / 'readings.jsonl'}: {len(readings)} documents; held-out F1 of the folded ones {found.f1:.4f}")


@app.command(epilog="**Example**\n\n`eventx export runs/news --output models/news-small --texts DIR`")
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that training finished.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The model folder to write.")],
    texts: TextsOption = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The model's name. Default: the folder's.", show_default=False)
    ] = None,
) -> None:
    """Turn a trained run into an int8 model, calibrated on its dev part; refuse if int8 reads worse than float."""
    room = _room("train")
    with _errors():
        settings = room.read_run(run)
        learnt, dev = room.articles_of(settings, _folder(texts))
        _export(run, output, name or output.name, learnt, dev)


@app.command(
    epilog="**Examples**\n\n`eventx evaluate --part dev --texts DIR --baselines` # the shipped model and baselines\n\n"
    "`eventx evaluate --part dev --texts DIR --errors -o report` # what goes wrong, and report/report.html\n\n"
    "`eventx evaluate --part dev --texts DIR -m runs/a/model -m runs/b/model` # two models\n\n"
    "`eventx evaluate --leave-one-out configs/seeds.toml` # train on all articles but one, five times"
)
def evaluate(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FOLDER|FILE",
            help="A model, or a file of predictions; may be given several times.",
            show_default="news-small",
        ),
    ] = None,
    part: PartOption = "dev",
    labels: LabelsOption = None,
    split: SplitOption = SPLIT,
    texts: TextsOption = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Fit a lexicon and a linear tagger on train; score them too.")
    ] = False,
    errors: Annotated[bool, typer.Option("--errors", help="Show the errors of the first model by cause.")] = False,
    second: Annotated[
        Path,
        typer.Option("--second", metavar="FILE", help="Another reader's label file: how well people agree."),
    ] = Path("labels/notes/second-news.jsonl"),
    readings: Annotated[
        Path | None,
        typer.Option(
            "--readings",
            metavar="FILE",
            help="What `eventx crossfit` wrote: tells which errors all held-out networks share, against the label.",
            show_default=False,
        ),
    ] = None,
    curve: Annotated[
        Path | None,
        typer.Option(
            "--curve",
            metavar="FILE",
            help="What `benchmarks/sweep.py` wrote of numbers of documents: drawn as a learning curve.",
            show_default=False,
        ),
    ] = None,
    leave_one_out: Annotated[
        Path | None,
        typer.Option(
            "--leave-one-out",
            metavar="CONFIG",
            help="Train and score CONFIG with each of its parts held out.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|FILE",
            help="Write report.json, .md, .html and what each system said into DIR; or one FILE that ends so.",
            show_default=False,
        ),
    ] = None,
    schema: SchemaOption = None,
) -> None:
    """Score models on labelled articles: exact span and type micro-F1 with a 95% interval, and what lies behind it."""
    from eventx import terminal

    room = _room("evaluate")
    causes: dict[str, Any] = {}
    said: dict[str, Any] = {}
    with _errors():
        if leave_one_out is not None:
            settings = _room("recipe").TrainConfig.read(leave_one_out)
            report = room.leave_one_out(settings, _folder(texts), report=_say)
        else:
            articles, known, said = _said(
                model or [None], part, _label_files(labels), split, _folder(texts), baselines, schema
            )
            title = f"the part {part} of {split}"
            report = room.evaluate(articles, said, title=title, train=known, second=_second(second))
            if errors or output is not None:
                disputes = _disputes(readings)
                finder = _room("errors")
                for name in list(said)[: 1 if errors and output is None else None]:
                    listed = finder.find(articles, said[name], train=known, disputes=disputes)
                    causes[name] = finder.by_cause(listed, articles, said[name])
        if output is not None:
            _write_report(output, report, said, causes, _curve(curve))
    console = _console()
    terminal.report(report, console)
    if errors and causes:
        terminal.causes(next(iter(causes.values())), console)


@app.command(
    epilog="**Examples**\n\n`eventx compare news-small runs/mine/model --texts DIR` # on dev\n\n"
    "`eventx compare report/old.jsonl report/new.jsonl --texts DIR` # what `eventx evaluate -o report` kept"
)
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A model's name or folder, or a file of predictions.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    part: PartOption = "dev",
    labels: LabelsOption = None,
    split: SplitOption = SPLIT,
    texts: TextsOption = None,
    changes: Annotated[int, typer.Option("--changes", min=0, help="Mentions whose outcome changed to show.")] = 20,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Also write it as JSON.", show_default=False),
    ] = None,
    schema: SchemaOption = None,
) -> None:
    """Say whether model B is better than model A on the same articles, beyond chance, and where."""
    from eventx import terminal

    room = _room("compare")
    with _errors():
        articles, _, said = _said([a, b], part, _label_files(labels), split, _folder(texts), False, schema)
        if len(said) < 2:
            raise typer.BadParameter(f"{a} and {b} are one and the same; name two")
        found = room.compare(articles, *said.items())
        if output is not None:
            output.write_text(json.dumps(found.to_dict(), indent=1) + "\n", encoding="utf-8")
    terminal.comparison(found, _console(), changes)


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

    with _errors():
        if extend is None and output.exists() and not force:
            raise parting.SplitError(
                f"{output}: there is a split already; scores on another are not comparable; --force replaces it"
            )
        need, kinds, place = extend is None, _schema(schema), _folder(texts)
        files = _label_files(labels)
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
        _say(f"left out as near-duplicates of documents in other parts; drop their labels: {', '.join(barred)}")
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

    with _errors():
        known = room.read_sources(sources) if sources else {}
        made = []
        for file in sorted(notes.glob("*.tsv")):
            text = texts / f"{file.stem}.txt"
            beside = Path(os.path.relpath(text, output.parent)).as_posix() if carry else None
            made.append(room.compile_notes(file, text, file=beside, source=known.get(file.stem)))
        if not made:
            raise labels.LabelError(f"{notes}: no notes there; expected NAME.tsv files")
        labels.write(made, output)
    typer.echo(f"{output}: {len(made)} documents, {sum(len(article.spans) for article in made)} mentions")


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

    kinds = _schema(schema)

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

    with _errors():
        sides = [read(first), read(second)]
        names = sorted(sides[0].keys() & sides[1].keys())
        if not names:
            raise labels.LabelError(f"{first} and {second} have no document in common")
        one, two = ([side[name] for name in names] for side in sides)
    found = metrics.agreement(one, two)
    counted = [sum(map(len, side)) for side in (one, two)]
    typer.echo(f"{len(names)} documents; mentions: {counted[0]} and {counted[1]}")
    typer.echo(f"span and type: F1 {found.exact:.3f}; span alone: F1 {found.span:.3f}")
    for name, value in found.by_type.items():
        typer.echo(f"  {name}: F1 {value:.3f}")
    typer.echo(f"modality: {found.modality[0]} of {found.modality[1]} equal")


@app.command(epilog="**Example**\n\n`eventx show article.txt`")
def show(files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Text files in UTF-8.")]) -> None:
    """Print a text in numbered segments, as annotators' notes count them."""
    from eventx import notes, reading

    failed = False
    for file in files:
        try:
            typer.echo(notes.show(reading.read_text(file).text), nl=False)
        except reading.InputError as error:
            _say(str(error))
            failed = True
    if failed:
        raise typer.Exit(FAULTY)


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
        _say(
            f"{wrong[0]}: no such format; use one of {', '.join(formats.NAMES)}" if wrong else "--rename takes OLD=NEW"
        )
        raise typer.Exit(2)
    skipped: list[str] = []
    kinds = _schema(schema)
    with _errors():
        reader, why = (from_, "as told") if from_ else formats.guess_input(source)
        writer, how = (to, "as told") if to else formats.guess_output(target)
        _say(f"reading {source} as {reader} ({why}), writing {target} as {writer} ({how})")
        if not force and (target.is_file() or (target.is_dir() and any(target.iterdir()))):
            raise LabelError(f"{target}: there is something already; --force writes over it")
        renamed = {old: new for old, _, new in pairs}
        door = marks.Door(schema=kinds, rename=renamed, skip=skipped.append if skip else None)
        into = None if reader == "labels" else texts
        articles = formats.read(reader, source, door, texts=_folder(texts) if into is None else None)
        told = formats.write(writer, articles, target, kinds, texts=into)
    for line in skipped:
        _say(f"left out: {line}")
    typer.echo(f"{target}: {len(articles)} documents, {sum(len(article.spans) for article in articles)} mentions")
    for line in told:
        _say(line)
    if skipped:
        _say(f"{len(skipped)} marks left out")
        raise typer.Exit(FAULTY)


@app.command(
    epilog="**Examples**\n\n`eventx review news/` # the model's marks on each text of a folder, least sure first\n\n"
    "`eventx review labels/mine.jsonl --texts DIR --queue queue.jsonl` # labels, doubtful ones first\n\n"
    "`eventx review` # go on; `eventx review --export labels/mine.jsonl` # what is done, as labels"
)
def review(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DIR|FILE]...", help="Texts, folders of them, or label files (.jsonl).", show_default=False
        ),
    ] = None,
    texts: TextsOption = None,
    desk: Annotated[Path, typer.Option("--desk", metavar="FILE", help="Where everything is kept.")] = Path(
        "review.sqlite"
    ),
    order: Annotated[
        str, typer.Option("--order", help="Of the documents: unsure, disputed, random, given or queue.")
    ] = "unsure",
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME|FOLDER", help="Whose marks.", show_default="news-small"),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="NAME|FOLDER", help="A second model, for the order disputed.", show_default=False
        ),
    ] = None,
    queue: Annotated[
        Path | None,
        typer.Option(
            "--queue",
            metavar="FILE",
            help="What `eventx check --doubts -o FILE` wrote: only these.",
            show_default=False,
        ),
    ] = None,
    schema: SchemaOption = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write what is done as labels, and stop.", show_default=False),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 0,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Correct a model's marks, or labels, in a browser on this machine; every act is saved at once.

    The page is for this machine alone, and its address holds a token. Stop the server with Ctrl-C, and start it again
    to go on.
    """
    from eventx import reviewing

    room = _room("review", "review") if export is None else None
    with _errors():
        place = reviewing.Desk(desk, _schema(schema))
        if export is not None:
            _export_review(place, export)
            return
        if inputs:
            work, name = _review_work(inputs, texts, order, model, against, queue, schema)
            added = place.lay(work, order="queue" if queue else order, model=name)
            _say(f"{desk}: {added} documents laid on the desk, {len(place)} lie there")
        if not len(place):
            raise reviewing.DeskError(f"{desk}: nothing to review; name a folder, texts or a label file")
    _serve(room, place, port, open_browser)


def main() -> NoReturn:
    """Run the command line."""
    try:
        app()
    except KeyboardInterrupt:
        _say("stopped")
        sys.exit(STOPPED)
    sys.exit(0)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Take the options that belong to no sub-command."""
    if version:
        from eventx import __version__

        typer.echo(f"eventx {__version__}")
        raise typer.Exit


def _load(model: str | None, threads: int = 0) -> Tagger:
    """Load a model or leave with its exit code."""
    from eventx.tagger import ModelError, load

    try:
        return load(model, threads=threads)
    except ModelError as error:
        _say(str(error))
        raise typer.Exit(NO_MODEL) from None


def _place_of(model: str) -> Path:
    """Return the folder of a model or a run."""
    from eventx.tagger import ModelError, find

    if (Path(model) / "network.safetensors").is_file():
        return Path(model)
    try:
        return find(model)
    except ModelError as error:
        _say(f"--base {error}")
        raise typer.Exit(NO_MODEL) from None


def _least_score(tagger: Tagger, min_score: float | None, min_precision: float | None) -> float:
    """Return the score that events need by the options of the command line."""
    from eventx.tagger import ModelError

    try:
        wanted = 0.0 if min_precision is None else tagger.config.score_for(min_precision)
    except ModelError as error:
        _say(f"--min-precision {min_precision}: {error}")
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
                _say(f"{option}: no {name!r}; choose of {', '.join(known)}")
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
            _say(
                f"{format} cannot be printed; write it: -o {'events/' if format is Format.brat else f'events.{format}'}"
            )
            raise typer.Exit(2)
        return format or Format.view
    folder = output.endswith("/") or os.path.isdir(output)
    kind = format or ("json" if folder else FORMATS.get(Path(output).suffix.lower()))
    if kind is None or kind is Format.view or (folder and kind in ("parquet", "spacy")):
        _say(f"-o {output}: which format? end it in one of {', '.join(FORMATS)}, or name one with --format")
        raise typer.Exit(2)
    if kind == "brat" and not folder:
        _say(f"-o {output}: brat is a folder of files; end it in a slash: -o {output}/")
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
        _say(f"stopped; {output} holds what is done; go on: add --resume")
        raise typer.Exit(STOPPED) from None
    except job.JobError as error:
        _say(str(error))
        raise typer.Exit(2) from None
    except OSError as error:
        _say(f"{output}: cannot be written ({error.strerror or error}); what is done is kept: go on with --resume")
        raise typer.Exit(FAULTY) from None
    if done is None:
        _say(f"{output}: finished already")
        return
    _say(f"{output}: {done.documents:,} documents, {done.events:,} events")
    if done.failed:
        _say(f"could not be tagged: {done.failed:,}; why: {job.failures_of(output)}")
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
            _say(result.reason)
            failed.append(result.source)
        else:
            yield result


def _is_file(path: str) -> bool:
    """Say whether an input is one document."""
    return not os.path.isdir(path) and Path(path).suffix in ("", ".txt", ".md")


def _print_views(documents: Iterator[Document], *, several: bool) -> None:
    """Print each document for people, and a table over all of them if there are several."""
    from rich.console import Console

    from eventx import writing

    console = Console(highlight=False)
    tallies = []
    for document in documents:
        writing.view(document, console)
        tallies.append(writing.Tally.of(document))
    if several and tallies:
        writing.summary(tallies, console)


def _doubt(files: dict[str, list[Any]], limit: int, output: Path | None) -> None:
    """Print the most suspect labels, each in its sentence, and write all of them."""
    from rich.console import Console
    from rich.text import Text

    from eventx import doubts, writing
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
        console.print(Text("   ").append_text(writing.passage(doubt.context, event, console, console.width - 3)))
    more = f"; the first {limit} are shown (--limit)" if len(found) > limit else ""
    typer.echo(f"\n{len(found)} doubts{more}")
    if output is not None:
        with _errors():
            doubts.write(found, output)
        _say(f"{output}: {len(found)} doubts")


def _said(
    models: list[Any],
    part: str,
    files: list[Path],
    split: Path,
    texts: Path | None,
    with_baselines: bool,
    schema: Path | None,
) -> tuple[list[Any], list[Any] | None, dict[str, Any]]:
    """Return the articles of a part, those of train if at hand, and what each system says of the part."""
    from eventx import labels

    predictions = _room("predictions")
    if with_baselines and part == "train":
        raise labels.LabelError("--baselines are fitted on the part 'train'; score them on another part")
    taggers = {model: _load(model) for model in models if model is None or not model.endswith(".jsonl")}
    kinds = _schema(schema)
    if schema is None:
        kinds = kinds.with_types(name for tagger in taggers.values() for name in tagger.config.types)
    parts = labels.read_parts(files, split, {part}, texts=texts, schema=kinds)
    try:
        known = labels.read_parts(files, split, {"train"}, texts=texts, schema=kinds)["train"]
    except labels.LabelError:
        if with_baselines:
            raise
        known = None
    said: dict[str, Any] = {}
    for model in models:
        if model not in taggers:
            said[Path(model).stem] = predictions.read(Path(model), parts[part])
            continue
        tagger = taggers[model]
        if part in tagger.config.learnt:
            _say(f"warning: {tagger.name} has learnt from the part {part!r}; its score there says little")
        said[tagger.name] = predictions.run(tagger, parts[part])
    if with_baselines:
        said |= {
            name: predictions.run(system, parts[part]) for name, system in _room("evaluate").baselines(known).items()
        }
    return parts[part], known, said


def _review_work(
    inputs: list[str],
    texts: Path | None,
    order: str,
    model: str | None,
    against: str | None,
    queue: Path | None,
    schema: Path | None,
) -> tuple[list[Any], str]:
    """Return the documents to review, in their order, and the name of the model whose marks they bear."""
    from eventx import inputs as reading
    from eventx import labels, predictions, reviewing

    articles: list[Any] = []
    for path in [path for path in inputs if path.endswith(".jsonl")]:
        articles += labels.read(Path(path), texts=_folder(texts), schema=_schema(schema))
    for item in reading.walk([path for path in inputs if not path.endswith(".jsonl")], reading.Options(note=_say)):
        if isinstance(item, reading.Failure):
            _say(item.reason)
            continue
        told = {"source": item.source, "date": item.date, "title": item.title}
        articles.append(
            reviewing.article_of(item.id, item.text, {name: value for name, value in told.items() if value})
        )
    notes: dict[str, list[dict[str, Any]]] = {}
    if queue is not None:
        for line in queue.read_text(encoding="utf-8").splitlines():
            doubt = json.loads(line)
            place = {"start": doubt["start"], "end": doubt["end"], "why": f"{doubt['trigger']}: {doubt['why']}"}
            notes.setdefault(doubt["document"], []).append(place)
        return reviewing.works(articles, None, order="queue", notes=notes), ""
    tagger = _load(model)
    said = predictions.run(tagger, articles)
    other = predictions.run(_load(against), articles) if against else None
    return reviewing.works(articles, said, order=order, against=other), tagger.name


def _export_review(desk: Any, output: Path) -> None:
    """Write what is done as a label file, with the texts beside it."""
    from eventx import labels

    folder = output.parent / f"{output.stem}-texts"
    made = []
    for article in desk.export():
        source = Path(str(article.source.get("source", "")))
        same = source.is_file() and labels.digest(source.read_bytes()) == article.sha256
        place = source if same else folder / f"{article.id}.txt"
        if not same and article.source.get("unlabelled_id") is None and "corpus" not in article.source:
            folder.mkdir(parents=True, exist_ok=True)
            place.write_bytes((article.text or "").encode())
        here = same or place.is_file()
        made.append(replace(article, file=Path(os.path.relpath(place, output.parent)).as_posix() if here else None))
    output.parent.mkdir(parents=True, exist_ok=True)
    labels.write(made, output)
    typer.echo(f"{output}: {len(made)} documents, {sum(len(article.spans) for article in made)} mentions")


def _serve(room: Any, desk: Any, port: int, open_browser: bool) -> None:
    """Serve the review page on this machine until the keyboard stops it."""
    import secrets
    import socket
    import webbrowser

    import uvicorn

    token = secrets.token_urlsafe(18)
    with socket.socket() as listening:
        try:
            listening.bind(("127.0.0.1", port))
        except OSError as error:
            _say(f"--port {port}: cannot be had ({error.strerror}); name another, or 0 for any")
            raise typer.Exit(FAULTY) from None
        listening.listen()  # a browser that comes early waits
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/?token={token}"
        typer.echo(f"review at {address}\nstop with Ctrl-C; everything is saved as you go")
        if open_browser:
            webbrowser.open(address)
        server = uvicorn.Server(uvicorn.Config(room.application(desk, token), log_level="warning"))
        server.run(sockets=[listening])
    desk.close()


def _second(path: Path) -> dict[str, Any] | None:
    """Return another reader's spans by document, if the file is there."""
    from eventx import labels

    return {a.id: a.spans for a in labels.read(path, need_text=False)} if path.is_file() else None


def _disputes(path: Path | None) -> dict[str, Any] | None:
    """Return the spans of each held-out network by document."""
    if path is None:
        return None
    readings = _room("crossfit").read(path)
    return {reading.id: [[span for span, _ in spans] for spans in reading.seeds] for reading in readings}


def _curve(path: Path | None) -> dict[str, Any] | None:
    """Return a learning curve from the runs of a sweep."""
    return _room("curve").read(path) if path is not None else None


def _write_report(output: Path, report: Any, said: dict[str, Any], causes: dict[str, Any], curve: Any) -> None:
    """Write a report: one file by its suffix, or a folder with all of them and what each system said."""
    plain = report.to_dict() | {"errors": {name: [cause.to_dict() for cause in each] for name, each in causes.items()}}
    if output.suffix == ".md":
        output.write_text(report.markdown(), encoding="utf-8")
    elif output.suffix == ".json":
        del plain["errors"]
        output.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    elif output.suffix == ".html":
        output.write_text(_room("page").render(report, causes=causes, curve=curve), encoding="utf-8")
    else:
        page = _room("page").render(report, causes=causes, curve=curve)
        output.mkdir(parents=True, exist_ok=True)
        (output / "report.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
        (output / "report.md").write_text(report.markdown(), encoding="utf-8")
        (output / "report.html").write_text(page, encoding="utf-8")
        for name, predictions in said.items():
            _room("predictions").write(predictions, output / f"{name.replace(' ', '-')}.jsonl")
        _say(f"written: {output}/report.html, .md, .json and what each system said")


def _export(run: Path, output: Path, name: str, learnt: list[Any], dev: list[Any]) -> None:
    """Export a run, checked and calibrated on its dev part, or only checked on what it learnt from."""
    quality = _room("export").export(run, output, dev or learnt, name=name, calibrating=bool(dev), report=_say)
    if dev:
        _say(f"calibration error on dev: {quality.error_before:.3f} raw, {quality.error_after:.3f} calibrated")
    _say(f"try it: eventx tag FILE --model {output}")


def _console() -> Any:
    """Return a console on standard output."""
    from rich.console import Console

    return Console(highlight=False)


def _label_files(files: list[Path] | None) -> list[Path]:
    """Return the label files given, or those under labels/."""
    found = list(files or sorted(Path("labels").glob("*.jsonl")))
    if not found:
        _say("no label files under labels/; name them")
        raise typer.Exit(2)
    return found


def _schema(path: Path | None) -> Schema:
    """Return the types that labels may have: those of a schema file, or the shipped ones."""
    from eventx.schema import SHIPPED, Schema

    with _errors():
        return SHIPPED if path is None else Schema.read(path)


def _folder(path: Path | None) -> Path | None:
    """Return a folder that an option named, if it is one."""
    if path is not None and not path.is_dir():
        _say(f"--texts {path}: no such folder")
        raise typer.Exit(2)
    return path


def _room(name: str, extra: str = "train") -> Any:
    """Import a room that needs the libraries of an extra, or say how to get them."""
    import importlib

    try:
        return importlib.import_module(f"eventx.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("eventx"):
            raise
        _say(f'this needs {error.name}, which is not installed; type: pip install "eventx[{extra}]"')
        raise typer.Exit(2) from None


@contextmanager
def _errors() -> Iterator[None]:
    """Turn the errors that users can cause into one line and an exit code; others are bugs and stay loud."""
    try:
        yield
    except OSError as error:
        _say(str(error))
        raise typer.Exit(FAULTY) from None
    except (ValueError, RuntimeError) as error:
        if not type(error).__module__.startswith("eventx"):
            raise
        _say(str(error))
        raise typer.Exit(FAULTY) from None


def _say(line: str) -> None:
    """Print a line on standard error."""
    typer.echo(line, err=True)


def _printable(name: str) -> str:
    """Return a file's name as it can be shown on one line."""
    return name if name.isprintable() else repr(name)
