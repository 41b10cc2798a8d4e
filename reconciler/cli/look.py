"""`reconciler status`, `explain`, `history`: what is, why, and what was done. They change nothing."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import (
    Session,
    check_tasks,
    complete_tasks,
    format_option,
    pass_session,
    print_json,
    tasks_argument,
    warn,
)

if TYPE_CHECKING:
    from reconciler.core.status import TaskStatus
    from reconciler.model import JournalEntry, Json

_HEAD_CELLS = 3  # of a row that is printed as a block: they stand on its first line
_STYLES = {
    "synced": "green",
    "failed": "red",
    "invalid": "red",
    "unconfirmed": "yellow",
    "blocked": "yellow",
    "out-of-sync": "yellow",
}


@click.command()
@tasks_argument()
@format_option("text", "json")
@pass_session
def status(session: Session, task: tuple[str, ...], format_: str) -> int:
    """Show the state of every task.

    States: synced, out-of-sync, applying, verifying, unconfirmed, failed, blocked, suspended, invalid, orphaned, each
    with since when, why, and the next step. Exits 0 whatever they are.
    """
    found, holder, troubles = _statuses(session, task)
    if format_ == "json":
        rows = [_status_row(one) for one in found]
        targets = [{"target": name, "kind": kind, "message": text} for name, (kind, text) in troubles.items()]
        print_json({"version": 1, "tasks": rows, "targets": targets, "lock": holder or None})
        return 0
    rows = [[s.task, s.state.value, _time(s.since), s.reason, s.next_step] for s in found]
    _table(session, ("task", "state", "since", "why", "next"), rows)
    for name, (kind, text) in troubles.items():
        warn(f"target {name}: {kind}: {text}")
    if holder:
        warn(f"writer lock: held by {holder}")
    return 0


@click.command()
@click.argument("task", shell_complete=complete_tasks)
@format_option("text", "json")
@pass_session
def explain(session: Session, task: str, format_: str) -> int:
    """Say why nothing happens to a task, and what to do.

    One or two sentences: the state, since when, the reason, until when, the next step.
    """
    from reconciler.core.render.words import safe
    from reconciler.core.status import explain as sentence

    found, _, _ = _statuses(session, (task,))
    if format_ == "json":
        print_json({"version": 1, "tasks": [{**_status_row(one), "text": sentence(one)} for one in found]})
    else:
        for one in found:
            click.echo(safe(sentence(one)))
    return 0


def _statuses(session: Session, tasks: tuple[str, ...]) -> "tuple[list[TaskStatus], str, dict[str, tuple[str, str]]]":
    from reconciler import wiring
    from reconciler.core.status import status_of

    settings = session.settings()
    store = wiring.open_store(settings, read_only=True)
    try:
        check_tasks(settings, store, tasks)
        survey = wiring.reconciler(settings, store).survey(settings.policy, tasks)
        records = store.records()
        holder = store.holder()
        troubles = dict(store.target_trouble())
    finally:
        store.close()
    for remark in survey.plan.remarks:
        warn(remark)
    calling = holder is not None
    found = [
        status_of(item, records.get(item.address), calling=calling, trouble=troubles.get(item.target, ("", ""))[1])
        for item in survey.plan.items
    ]
    return found, str(holder) if holder else "", troubles


def _status_row(one: "TaskStatus") -> "Json":
    return {
        "task": one.task,
        "state": one.state.value,
        "since": one.since.isoformat() if one.since else None,
        "reason": one.reason,
        "next": one.next_step or None,
        "until": one.until.isoformat() if one.until else None,
        "revision": one.revision or None,
        "ticket": one.ticket,
        "request_id": one.request_id,
    }


@click.command()
@click.argument("task", required=False, shell_complete=complete_tasks)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many rows.")
@click.option("--verify", is_flag=True, help="Check the hash chain of the whole journal first.")
@format_option("text", "json")
@pass_session
def history(session: Session, task: str | None, limit: int, verify: bool, format_: str) -> int:
    """Show what was done, newest first.

    Every intent is written down before its call, every outcome after it; nothing is ever removed. --verify exits 1
    when a row was changed, removed or put in from outside.
    """
    from reconciler import wiring

    settings = session.settings()
    store = wiring.open_store(settings, read_only=True)
    try:
        if verify:
            warn(f"journal intact: {store.verify_journal()} rows")
        entries = store.history(task, limit)
        if task is not None and not entries:
            warn(f'nothing was recorded of a task named "{task}"')
    finally:
        store.close()
    if format_ == "json":
        print_json({"version": 1, "entries": [_history_row(entry) for entry in entries]})
    else:
        rows = [[_time(e.at), e.task, e.kind, e.action, e.outcome, str(e.ticket or ""), _detail(e)] for e in entries]
        _table(session, ("at", "task", "what", "action", "outcome", "ticket", "detail"), rows)
    return 0


def _history_row(entry: "JournalEntry") -> "Json":
    return {
        "at": entry.at.isoformat(),
        "task": entry.task,
        "action": entry.action or entry.kind,
        "outcome": entry.outcome or None,
        "revision": entry.revision or None,
        "plan": entry.plan or None,
        "ticket": entry.ticket,
        "request_id": entry.request_id,
        "kind": entry.kind,
        "detail": dict(entry.detail),
    }


def _detail(entry: "JournalEntry") -> str:
    named = ("message", "reason", "from", "until", "attempt", "forced")
    told = {key: entry.detail[key] for key in named if entry.detail.get(key)}
    return "; ".join(f"{key}: {', '.join(v) if isinstance(v, list) else v}" for key, v in told.items())


def _time(at: datetime | None) -> str:
    return at.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z") if at else ""


def _table(session: Session, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
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
        styled = [click.style(text, fg=_STYLES.get(cell)) for text, cell in zip(padded, row, strict=True)]
        click.echo("  ".join(styled if session.colored else padded).rstrip())


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _print_block(session: Session, heads: Sequence[str], row: Sequence[str]) -> None:
    """The short cells on one line, the long ones below it, whole: names and commands are there to be copied."""
    short = [click.style(cell, fg=_STYLES.get(cell)) for cell in row[:_HEAD_CELLS] if cell]
    click.echo("  ".join(short), color=session.colored)
    for head, cell in zip(heads[_HEAD_CELLS:], row[_HEAD_CELLS:], strict=True):
        if cell:
            click.echo(f"    {head}: {cell}")
