"""The command that reviews marks in a browser. A thin skin over the rooms."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from eventx.command import (
    FAULTY,
    SchemaOption,
    TextsOption,
    app,
    faults_told,
    folder_of,
    load_model,
    room_of,
    say,
    schema_of,
    sizes,
)
from eventx.markup import counted


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

    room = room_of("review", "review") if export is None else None
    with faults_told():
        place = reviewing.Desk(desk, schema_of(schema))
        if export is not None:
            _export_review(place, export)
            return
        if inputs:
            work, name = _review_work(inputs, texts, order, model, against, queue, schema)
            added = place.lay(work, order="queue" if queue else order, model=name)
            say(f"{desk}: {counted(added, 'document')} laid on the desk, {len(place)} lie there")
        if not len(place):
            raise reviewing.DeskError(f"{desk}: nothing to review; name a folder, texts or a label file")
    _serve(room, place, port, open_browser)


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
        articles += labels.read(Path(path), texts=folder_of(texts), schema=schema_of(schema))
    for item in reading.walk([path for path in inputs if not path.endswith(".jsonl")], reading.Options(note=say)):
        if isinstance(item, reading.Failure):
            say(item.reason)
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
    tagger = load_model(model)
    said = predictions.run(tagger, articles)
    other = predictions.run(load_model(against), articles) if against else None
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
    typer.echo(f"{output}: {sizes(made)}")


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
            say(f"--port {port}: cannot be had ({error.strerror}); name another, or 0 for any")
            raise typer.Exit(FAULTY) from None
        listening.listen()  # a browser that comes early waits
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/?token={token}"
        typer.echo(f"review at {address}\nstop with Ctrl-C; everything is saved as you go")
        if open_browser:
            webbrowser.open(address)
        server = uvicorn.Server(uvicorn.Config(room.application(desk, token), log_level="warning"))
        server.run(sockets=[listening])
    desk.close()
