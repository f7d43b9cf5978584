"""The command line: its commands, and the way into it. Only the rooms of the command line print and exit."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from eventx import desk_commands, label_commands, review_commands, score_commands, train_commands  # noqa: F401 - they register themselves
from eventx.command import STOPPED, app, say


def main() -> NoReturn:
    """Run the command line."""
    try:
        app()
    except KeyboardInterrupt:
        say("stopped")
        sys.exit(STOPPED)
    sys.exit(0)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Take the options that belong to no sub-command."""
    if version:
        from eventx import __version__

        typer.echo(f"eventx {__version__}")
        raise typer.Exit
