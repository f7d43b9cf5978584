"""Commands that train: from labels, from unlabelled text, from other networks; and export. A thin skin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from eventx.command import (
    NO_MODEL,
    SPLIT,
    LabelsOption,
    SchemaOption,
    SplitOption,
    TextsOption,
    UnlabelledOption,
    app,
    faults_told,
    folder_of,
    label_files,
    room_of,
    say,
    schema_of,
    sizes,
)
from eventx.markup import counted


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
    room = room_of("train")
    place = run or Path("runs") / config.stem
    with faults_told():
        settings = room_of("recipe").TrainConfig.read(config)
        if base is not None:
            settings = replace(settings, base=str(_place_of(base, "--base ")))
        learnt, dev = room.articles_of(settings, folder_of(texts))
        say(f"training on {sizes(learnt)}; dev: {counted(len(dev), 'document')}; into {place}")
        history = room.train(settings, learnt, dev, place, resume=resume, report=say)
        say(f"trained in {history['seconds']:.0f} s")
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
    room = room_of("pretrain")
    with faults_told():
        settings = room_of("recipe").PretrainConfig.read(config)
        corpus = room_of("unlabelled").read(unlabelled, room.coding_of(settings))
        say(f"pre-training on {counted(len(corpus), 'document')} with {int(corpus.bounds[-1]):,} tokens; into {output}")
        history = room.pretrain(settings, corpus, output, resume=resume, report=say)
    say(f"pre-trained in {history['seconds']:.0f} s; name it in a recipe: encoder = {str(output)!r}")


@app.command(
    epilog="**Example**\n\n`eventx distil configs/distil.toml --unlabelled news.jsonl.xz --texts DIR` # teachers: runs"
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
    """Distil the networks of runs into one, through unlabelled text, and export it; what was begun goes on."""
    room = room_of("distil")
    place = run or Path("runs") / config.stem
    with faults_told():
        settings = room_of("recipe").DistilConfig.read(config)
        teachers = room.teachers_of(settings)
        taught = room.student_recipe(settings)
        learnt, dev = room_of("train").articles_of(taught, folder_of(texts))
        corpus = room_of("unlabelled").read(
            unlabelled, room_of("batches").coding_of(taught), documents=settings.documents, seed=settings.seed
        )
        of = f"{counted(len(teachers), 'teacher')} on {counted(len(corpus), 'unlabelled document')}"
        say(f"distilling {of}; into {place}")
        history = room.distil(settings, learnt, dev, corpus, place, report=say)
        say(f"distilled in {history['seconds']:.0f} s")
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
    room = room_of("crossfit")
    place = run or Path("runs") / f"{config.stem}-folds"
    with faults_told():
        settings = room_of("recipe").TrainConfig.read(config)
        readings, gold, learnt = room.of_recipe(
            settings, folder_of(texts), keep=place, folds=folds, seeds=seeds, jobs=jobs, report=say
        )
        room.write(readings, place / "readings.jsonl")
    from eventx import metrics

    found = metrics.count(gold[:learnt], [[span for span, _ in reading.ensemble] for reading in readings[:learnt]])
    read = f"{place / 'readings.jsonl'}: {counted(len(readings), 'document')}"
    typer.echo(f"{read}; held-out F1 of the folded ones {found.f1:.4f}")


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
    room = room_of("train")
    with faults_told():
        settings = room_of("runs").read_run(run)
        learnt, dev = room.articles_of(settings, folder_of(texts))
        _export(run, output, name or output.name, learnt, dev)


@app.command(
    epilog="**Examples**\n\n"
    "`eventx calibrate news-small --output models/mine --labels labels/mine.jsonl --part dev`\n\n"
    "`eventx calibrate news-small --output models/mine --texts DIR --part dev --part fresh` # on both together"
)
def calibrate(
    model: Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="The model whose scores to calibrate.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The model folder to write.")],
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="A part of the split to fit on; may be given several times. Default: dev."),
    ] = None,
    labels: LabelsOption = None,
    split: SplitOption = SPLIT,
    texts: TextsOption = None,
    window: Annotated[int | None, typer.Option("--window", min=8, help="Token ids in a window.")] = None,
    overlap: Annotated[int | None, typer.Option("--overlap", min=0, help="Tokens that windows share.")] = None,
    schema: SchemaOption = None,
) -> None:
    """Fit a model's calibration, thresholds and table of precisions anew, on labels it has not learnt from."""
    from eventx import labels as reading
    from eventx.tagger import load

    room = room_of("export")
    with faults_told():
        place = _place_of(model)
        wanted = dict.fromkeys(part or ["dev"])
        for name in sorted({*wanted} & {*load(place).config.learnt}):
            say(f"warning: {model} has learnt from the part {name!r}; what is fitted there is too sure of itself")
        parts = reading.read_parts(
            label_files(labels), split, {*wanted}, texts=folder_of(texts), schema=schema_of(schema)
        )
        held_out = [article for name in wanted for article in parts[name]]
        quality = room.recalibrate(place, output, held_out, window=window, overlap=overlap)
    typer.echo(
        f"{output}: F1 {quality.int8_f1:.4f} before thresholds; calibration error {quality.error_before:.3f} raw, "
        f"{quality.error_after:.3f} calibrated"
    )


def _export(run: Path, output: Path, name: str, learnt: list[Any], dev: list[Any]) -> None:
    """Export a run, checked and calibrated on its dev part, or only checked on what it learnt from."""
    quality = room_of("export").export(run, output, dev or learnt, name=name, calibrating=bool(dev), report=say)
    if dev:
        say(f"calibration error on dev: {quality.error_before:.3f} raw, {quality.error_after:.3f} calibrated")
    say(f"try it: eventx tag FILE --model {output}")


def _place_of(model: str, option: str = "") -> Path:
    """Return the folder of a model or a run; a fault names the option that asked for it."""
    from eventx.model import ModelError, find

    if (Path(model) / "network.safetensors").is_file():
        return Path(model)
    try:
        return find(model)
    except ModelError as error:
        say(f"{option}{error}")
        raise typer.Exit(NO_MODEL) from None
