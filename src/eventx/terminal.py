"""Reports, errors and comparisons on a terminal, printed to the console that the caller gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventx.compare import Change, Comparison
from eventx.errors import CAUSES, Cause, Error
from eventx.markup import counted
from eventx.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

_EXAMPLES = 3
_FIRST, _CELL = 28, 21
"""Characters that a report's first column, and a cell with an interval, take."""
_LEFT, _RIGHT = 60, 40
"""Characters shown before and behind a place, at most."""


def report(report: Report, console: Console) -> None:
    """Print a report as a table: a row a measure, a column a system."""
    from rich.table import Table

    header, *rows = report.rows(type_intervals=console.width >= _FIRST + _CELL * len(report.scores))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, name in enumerate(header):
        table.add_column(name, justify="left" if at == 0 else "right")
    for row in rows:
        table.add_row(*(cell.replace("**", "") for cell in row))
    console.print(f"{report.title}: {report.sizes}\n")
    console.print(table)
    console.print("\nexact: the same offsets and type; interval: bootstrap over documents; modality: of exact spans")
    if report.ceiling:
        console.print(f"for comparison {report.ceiling}", soft_wrap=True)


def causes(found: Sequence[Cause], console: Console) -> None:
    """Print errors by cause, the most costly first, with three of each in context."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", title="errors by cause", title_justify="left")
    for name in ("cause", "errors", "label disputed", "F1 gain if mended"):
        table.add_column(name, justify="left" if name == "cause" else "right")
    for cause in found:
        disputed = sum(error.disputed for error in cause.errors)
        table.add_row(cause.name, str(len(cause.errors)), str(disputed), f"{cause.cost:.4f}")
    console.print()
    console.print(table)
    for cause in found:
        console.print(Text(f"\n{cause.name}: {CAUSES[cause.name]}", "bold"))
        for error in cause.errors[:_EXAMPLES]:
            gold = f"label {error.gold.label}" if error.gold else "no label"
            mark = f"mark {error.found.label}" if error.found else "no mark"
            score = f" {error.score:.2f}" if error.score is not None else ""
            console.print(Text(f"  {error.id}  {gold}, {mark}{score}: {_context(error)}"), soft_wrap=True)


def comparison(found: Comparison, console: Console, changes: int) -> None:
    """Print a comparison: the difference, wins and losses by type, and mentions whose outcome changed, in context."""
    from rich.table import Table
    from rich.text import Text

    console.print(f"{counted(found.documents, 'document')}; {found}", soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("type", "found by B alone", "found by A alone", "false by B alone", "false by A alone"):
        table.add_column(name, justify="left" if name == "type" else "right")
    for name in found.wins:
        of_a, of_b = found.alarms[name]
        table.add_row(name, *(str(n) for n in (found.wins[name], found.losses[name], of_b, of_a)))
    console.print()
    console.print(table)
    step = max(1, len(found.changes) // max(1, changes))
    shown = found.changes[::step][:changes]
    if shown:
        console.print(
            f"\n{len(shown)} of {len(found.changes)} places whose outcome changed, A: {found.a}, B: {found.b}"
        )
    for change in shown:
        said = [
            f"{name} {span.label if span else 'nothing'}" for name, span in (("A", change.first), ("B", change.second))
        ]
        gold = change.gold.label if change.gold else "nothing"
        line = f"  {'+' if change.won else '-'} {change.id}  label {gold}; {'; '.join(said)}: {_context(change)}"
        console.print(Text(line), soft_wrap=True)


def _context(place: Error | Change) -> str:
    """Return the words around an error or a change, on one line, the place in double angle brackets."""
    low, high = place.place
    left, right = max(min(place.sentence[0], low), low - _LEFT), min(max(place.sentence[1], high), high + _RIGHT)
    shown = f"{place.text[left:low]}«{place.text[low:high]}»{place.text[high:right]}"
    return " ".join("".join(letter if letter.isprintable() else " " for letter in shown).split())
