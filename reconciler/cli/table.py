"""Tables for people, on a terminal of any width or on none."""

import shutil
import sys
from collections.abc import Iterable, Sequence

import click

from reconciler.cli.common import Session
from reconciler.core.status import State

STYLES = {
    State.SYNCED.value: "green",
    State.FAILED.value: "red",
    State.INVALID.value: "red",
    State.UNCONFIRMED.value: "yellow",
    State.BLOCKED.value: "yellow",
    State.OUT_OF_SYNC.value: "yellow",
}
"""{word: colour}."""

_HEAD_CELLS = 3  # of a row that is printed as a block: they stand on its first line


def print_table(session: Session, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; where it does not fit a terminal, a block a row."""
    from reconciler.core.render.words import safe

    cells = [[safe(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if width is not None and sum(widths) + 2 * len(widths) > width:
        for row in cells:
            _print_block(session, heads, row)
        return
    click.echo(click.style(_line(heads, widths), bold=True), color=session.colored)
    for row in cells:
        padded = [cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)]
        styled = [click.style(text, fg=STYLES.get(cell)) for text, cell in zip(padded, row, strict=True)]
        click.echo("  ".join(styled if session.colored else padded).rstrip())


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _print_block(session: Session, heads: Sequence[str], row: Sequence[str]) -> None:
    """The short cells on one line, the long ones below it, whole: names and commands are there to be copied."""
    short = [click.style(cell, fg=STYLES.get(cell)) for cell in row[:_HEAD_CELLS] if cell]
    click.echo("  ".join(short), color=session.colored)
    for head, cell in zip(heads[_HEAD_CELLS:], row[_HEAD_CELLS:], strict=True):
        if cell:
            click.echo(f"    {head}: {cell}")
