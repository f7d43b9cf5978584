"""Commands that score: evaluate models, compare two. A thin skin over the rooms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from eventx.command import (
    SPLIT,
    LabelsOption,
    PartOption,
    SchemaOption,
    SplitOption,
    TextsOption,
    app,
    console_of,
    faults_told,
    folder_of,
    label_files,
    load_model,
    room_of,
    say,
    schema_of,
)


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

    room = room_of("evaluate")
    causes: dict[str, Any] = {}
    said: dict[str, Any] = {}
    with faults_told():
        if leave_one_out is not None:
            settings = room_of("recipe").TrainConfig.read(leave_one_out)
            report = room.leave_one_out(settings, folder_of(texts), report=say)
        else:
            articles, known, said = _said(
                model or [None], part, label_files(labels), split, folder_of(texts), baselines, schema
            )
            title = f"the part {part} of {split}"
            report = room.evaluate(articles, said, title=title, train=known, second=_second(second))
            if errors or output is not None:
                disputes = _disputes(readings)
                finder = room_of("errors")
                for name in list(said)[: 1 if errors and output is None else None]:
                    listed = finder.find(articles, said[name], train=known, disputes=disputes)
                    causes[name] = finder.by_cause(listed, articles, said[name])
        if output is not None:
            _write_report(output, report, said, causes, _curve(curve))
    console = console_of()
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

    room = room_of("compare")
    with faults_told():
        articles, _, said = _said([a, b], part, label_files(labels), split, folder_of(texts), False, schema)
        if len(said) < 2:
            raise typer.BadParameter(f"{a} and {b} are one and the same; name two")
        found = room.compare(articles, *said.items())
        if output is not None:
            output.write_text(json.dumps(found.to_dict(), indent=1) + "\n", encoding="utf-8")
    terminal.comparison(found, console_of(), changes)


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

    predictions = room_of("predictions")
    if with_baselines and part == "train":
        raise labels.LabelError("--baselines are fitted on the part 'train'; score them on another part")
    taggers = {model: load_model(model) for model in models if model is None or not model.endswith(".jsonl")}
    kinds = schema_of(schema)
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
            say(f"warning: {tagger.name} has learnt from the part {part!r}; its score there says little")
        said[tagger.name] = predictions.run(tagger, parts[part])
    if with_baselines:
        said |= {
            name: predictions.run(system, parts[part]) for name, system in room_of("evaluate").baselines(known).items()
        }
    return parts[part], known, said


def _second(path: Path) -> dict[str, Any] | None:
    """Return another reader's spans by document, if the file is there."""
    from eventx import labels

    return {a.id: a.spans for a in labels.read(path, need_text=False)} if path.is_file() else None


def _disputes(path: Path | None) -> dict[str, Any] | None:
    """Return the spans of each held-out network by document."""
    if path is None:
        return None
    readings = room_of("crossfit").read(path)
    return {reading.id: [[span for span, _ in spans] for spans in reading.seeds] for reading in readings}


def _curve(path: Path | None) -> dict[str, Any] | None:
    """Return a learning curve from the runs of a sweep."""
    return room_of("curve").read(path) if path is not None else None


def _write_report(output: Path, report: Any, said: dict[str, Any], causes: dict[str, Any], curve: Any) -> None:
    """Write a report: one file by its suffix, or a folder with all of them and what each system said."""
    plain = report.to_dict() | {"errors": {name: [cause.to_dict() for cause in each] for name, each in causes.items()}}
    if output.suffix == ".md":
        output.write_text(report.markdown(), encoding="utf-8")
    elif output.suffix == ".json":
        del plain["errors"]
        output.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    elif output.suffix == ".html":
        output.write_text(room_of("page").render(report, causes=causes, curve=curve), encoding="utf-8")
    else:
        page = room_of("page").render(report, causes=causes, curve=curve)
        output.mkdir(parents=True, exist_ok=True)
        (output / "report.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
        (output / "report.md").write_text(report.markdown(), encoding="utf-8")
        (output / "report.html").write_text(page, encoding="utf-8")
        for name, predictions in said.items():
            room_of("predictions").write(predictions, output / f"{name.replace(' ', '-')}.jsonl")
        say(f"written: {output}/report.html, .md, .json and what each system said")
