"""`reconciler status`, `explain`, `history`: what is, why, and what was done. They change nothing."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import (
    Session,
    complete_tasks,
    format_option,
    pass_session,
    print_json,
    tasks_argument,
    warn,
)
from reconciler.cli.table import print_table
from reconciler.core.status import State, TaskStatus, counted, moment
from reconciler.core.status import explain as sentence

if TYPE_CHECKING:
    from reconciler.cli.view import View, Viewer
    from reconciler.model import JournalEntry, Json

_PLAN_DIGITS = 12


@click.command()
@tasks_argument()
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in State]),
    help="Only tasks in this state; may be given more than once.",
)
@click.option("--watch", "watching", is_flag=True, help="Go on, and show what changes, until Ctrl-C.")
@format_option("text", "json")
@pass_session
def status(session: Session, task: tuple[str, ...], states: tuple[str, ...], watching: bool, format_: str) -> int:
    """Show the state of every task.

    States: synced, out-of-sync, applying, verifying, unconfirmed, failed, blocked, suspended, invalid, orphaned, each
    with since when, until when, why, and the next step. While a daemon runs, they are what it said last, and no file
    is read; else files and records are compared.

    --watch keeps a terminal up to date, the tasks first that somebody has to look at. Without a terminal it prints a
    line for each change; with --format json, one JSON object a line. Exits 0 whatever the states are.
    """
    from reconciler.cli.view import Viewer

    with Viewer(session.settings(), task) as viewer:
        viewer.check_names()
        if watching:
            _watch(session, viewer, states, format_)
            return 0
        whole = viewer.look()
    view = _only(whole, states)
    _say_troubles(view)
    if format_ == "json":
        print_json(_report(view))
    else:
        rows = [[s.task, s.state.value, _time(s.since), _time(s.until), s.reason, s.next_step] for s in view.tasks]
        print_table(session, ("task", "state", "since", "until", "why", "next"), rows)
        warn(view.source)
        warn(counted(whole.tasks))
    return 0


def _watch(session: Session, viewer: "Viewer", states: tuple[str, ...], format_: str) -> None:
    import os

    from reconciler.cli import live

    def look() -> "View":
        return _only(viewer.look(), states)

    if format_ == "text" and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        with live.Screen(colored=session.colored).open() as screen:
            live.watch(look, screen.show)
    else:
        live.watch(look, live.Lines(status_row if format_ == "json" else None).show)


def _only(view: "View", states: tuple[str, ...]) -> "View":
    return replace(view, tasks=tuple(one for one in view.tasks if one.state.value in states)) if states else view


def _say_troubles(view: "View") -> None:
    """What concerns all tasks."""
    for remark in view.remarks:
        warn(remark)
    for one in view.troubles:
        since = f" since {moment(one.since)}" if one.since else ""
        warn(f"target {one.target}: {one.kind}{since}: {one.message}")
    if view.holder and not view.by_daemon:
        warn(f"writer lock: held by {view.holder}")


def _source(view: "View") -> str:
    return "daemon" if view.by_daemon else "files"


def _report(view: "View") -> "Json":
    targets = [
        {"target": one.target, "kind": one.kind, "since": _iso(one.since), "message": one.message}
        for one in view.troubles
    ]
    return {
        "version": 1,
        "source": _source(view),
        "tasks": [status_row(one) for one in view.tasks],
        "targets": targets,
        "lock": view.holder or None,
    }


@click.command()
@click.argument("task", shell_complete=complete_tasks)
@format_option("text", "json")
@pass_session
def explain(session: Session, task: str, format_: str) -> int:
    """Say why nothing happens to a task, and what to do.

    One or two sentences: the state, since when, the reason, until when, the next step. TASK may be a folder of tasks.
    """
    from reconciler.cli.view import Viewer
    from reconciler.core.render.words import safe

    with Viewer(session.settings(), (task,)) as viewer:
        viewer.check_names()
        view = viewer.look()
    now = datetime.now(UTC)
    _say_troubles(view)
    if format_ == "json":
        print_json(
            {
                "version": 1,
                "source": _source(view),
                "tasks": [{**status_row(one), "text": sentence(one, now)} for one in view.tasks],
            }
        )
    else:
        for one in view.tasks:
            click.echo(safe(sentence(one, now)))
        warn(view.source)
    if not view.tasks:
        warn(
            f'the daemon has said nothing of "{task}" yet: it may be new, or just gone; reconciler sync asks it to look'
        )
    return 0


def status_row(one: TaskStatus) -> "dict[str, Json]":
    """A status as JSON."""
    return {
        "task": one.task,
        "state": one.state.value,
        "since": _iso(one.since),
        "reason": one.reason,
        "next": one.next_step or None,
        "until": _iso(one.until),
        "revision": one.revision or None,
        "ticket": one.ticket,
        "request_id": one.request_id,
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


@click.command()
@click.argument("task", required=False, shell_complete=complete_tasks)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many rows.")
@click.option("--verify", is_flag=True, help="Check the hash chain of the journal first.")
@format_option("text", "json")
@pass_session
def history(session: Session, task: str | None, limit: int, verify: bool, format_: str) -> int:
    """Show what was done, newest first.

    Every intent is written down before its call, every outcome after it, and nothing is changed afterwards; the
    daemon drops rows older than daemon.history_days. --verify exits 1 when a row was changed, removed or put in from
    outside.
    """
    from reconciler import wiring

    settings = session.settings()
    store = wiring.open_store(settings, read_only=True)
    try:
        if verify:
            intact, dropped = store.verify_journal(), store.dropped_rows()
            older = f"; {dropped:,} older ones were dropped (daemon.history_days)" if dropped else ""
            warn(f"journal intact: {intact:,} rows{older}")
        entries = store.history(task, limit)
        if task is not None and not entries:
            warn(f'nothing was recorded of a task named "{task}"')
    finally:
        store.close()
    if format_ == "json":
        print_json({"version": 1, "entries": [_history_row(entry) for entry in entries]})
    else:
        heads = ("at", "task", "what", "action", "outcome", "ticket", "revision", "plan", "detail")
        print_table(session, heads, map(_history_cells, entries))
    return 0


def _history_cells(entry: "JournalEntry") -> list[str]:
    ticket = "" if entry.ticket is None else str(entry.ticket)
    at, plan = moment(entry.at), entry.plan[:_PLAN_DIGITS]
    return [at, entry.task, entry.kind, entry.action, entry.outcome, ticket, entry.revision, plan, _detail(entry)]


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
    return moment(at) if at else ""
