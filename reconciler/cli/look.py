"""`reconciler status`, `explain`: what is, and why. They change nothing."""

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
from reconciler.core import limits, rails
from reconciler.core.status import State, TaskStatus, counted, moment
from reconciler.core.status import explain as sentence

if TYPE_CHECKING:
    from reconciler.cli.view import View, Viewer
    from reconciler.core.heads import Followed
    from reconciler.model import Json, Suspension


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
    is read; else the files and records of all tasks are compared, and those that are named are shown.

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
        if view.rails:
            warn(rails.line(view.rails))
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
    from reconciler.core.render.data import rail

    targets = [
        {"target": one.target, "kind": one.kind, "since": _iso(one.since), "message": one.message}
        for one in view.troubles
    ]
    return {
        "version": 1,
        "source": _source(view),
        "tasks": [status_row(one) for one in view.tasks],
        "targets": targets,
        "suspensions": [_suspension(key, one) for key, one in view.suspensions.items()],
        "lock": view.holder or None,
        "head": _head(view.followed),
        "rails": [rail(one) for one in view.rails],
    }


def _suspension(key: str, one: "Suspension") -> "Json":
    """A suspension by command: of a task, of those with a label, or of all."""
    from reconciler.core.policy import ALL_TASKS, label_of

    label = label_of(key)
    task = None if key.startswith(ALL_TASKS) else key
    return {"task": task, "label": label or None, "reason": one.reason, "until": _iso(one.until)}


def _head(followed: "Followed") -> "Json":
    head = followed.head
    if head is None:
        return None
    return {
        "ref": head.ref,
        "commit": {
            "id": head.commit.id,
            "author": head.commit.author,
            "at": head.commit.at.isoformat(),
            "subject": head.commit.subject,
        },
        "newest": head.newest or None,
        "kind": head.kind or None,
        "problem": head.problem or None,
        "since": _iso(followed.since),
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

    def told(one: TaskStatus) -> str:
        return sentence(replace(one, reason=limits.with_numbers(one.reason, view.limits)), now)

    _say_troubles(view)
    if format_ == "json":
        print_json(
            {
                "version": 1,
                "source": _source(view),
                "tasks": [{**status_row(one), "text": told(one)} for one in view.tasks],
            }
        )
    else:
        for one in view.tasks:
            click.echo(safe(told(one)))
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


def _time(at: datetime | None) -> str:
    return moment(at) if at else ""
