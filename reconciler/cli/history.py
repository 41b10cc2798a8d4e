"""`reconciler history`: what was done, and what components had been told at any time. It changes nothing."""

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import Session, format_option, pass_session, print_json, tasks_argument, warn
from reconciler.cli.table import print_table
from reconciler.cli.times import beginning, end
from reconciler.core.arrival import as_time
from reconciler.core.render.words import commit as commit_text
from reconciler.core.status import moment
from reconciler.model import Commit, Condition

if TYPE_CHECKING:
    from reconciler.config import Settings
    from reconciler.model import JournalEntry, Json
    from reconciler.ports import Wanted
    from reconciler.state.sqlite import SqliteStore

_LIMIT = 50
_PLAN_DIGITS = 12
_HEADS = ("at", "task", "what", "action", "outcome", "ticket", "revision", "plan", "commit", "detail")
_NAMED = (
    "target",
    "kind",
    "ref",
    "request",
    "message",
    "by",
    "reason",
    "from",
    "to",
    "until",
    "attempt",
    "forced",
    "names",
)
"""What the table says of a row's detail, in this order."""


@click.command()
@tasks_argument()
@click.option("--since", callback=beginning, metavar="TIME", help="Only rows of this time or later.")
@click.option("--until", callback=end, metavar="TIME", help="Only rows before this time; a date: of that day too.")
@click.option("--rev", metavar="REV", help="Only rows of this revision.")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice([condition.value for condition in Condition]),
    help="Only rows with this outcome; may be given more than once.",
)
@click.option("--limit", type=click.IntRange(min=1), help=f"At most so many rows.  [default: {_LIMIT}]")
@click.option(
    "--at", "at", metavar="REV", help="Print what components had been told when REV was the current revision."
)
@click.option("--verify", is_flag=True, help="Check the hash chain of the journal first.")
@format_option("text", "json")
@pass_session
def history(
    session: Session,
    task: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    rev: str | None,
    outcomes: tuple[str, ...],
    limit: int | None,
    at: str | None,
    verify: bool,
    format_: str,
) -> int:
    """Show what was done, newest first.

    TASK may be a folder of tasks; without one, rows of all tasks and of none are shown. With one, also those of rails
    that name it, and suspensions of all tasks, or of a label that it has. A TIME is a date or a time such
    as 2026-11-20 or 2026-11-20T21:00, in UTC unless it ends with a zone such as +01:00, or how long ago: 90m, 2h, 7d.
    REV is a revision or its beginning (four characters or more), or with source "git" any name of a commit.

    --at prints the whole configuration that each component had been told, without secrets: the state after all that
    was done until another revision became current.

    Every intent is written down before its call, every outcome after it, and nothing is changed afterwards; the
    daemon drops rows older than daemon.history_days. --verify exits 1 when a row was changed, removed or put in from
    outside.
    """
    from reconciler import wiring
    from reconciler.ports import Wanted

    filters = {"--since": since, "--until": until, "--rev": rev, "--outcome": outcomes, "--limit": limit}
    if at is not None and (given := [name for name, value in filters.items() if value]):
        raise click.UsageError(f"--at prints a whole state: it goes with TASK and --format, not with {given[0]}")
    settings = session.settings()
    store = wiring.open_store(settings, read_only=True)
    try:
        if verify:
            _verify(store)
        if at is not None:
            _print_told(session, settings, store, at, task, format_)
        else:
            names = tuple(name.rstrip("/") for name in task)
            revisions, also = _revisions(settings, store, rev), _several(settings, store, names)
            wanted = Wanted(names, since, until, revisions, outcomes, limit or _LIMIT, also)
            _print_rows(session, store, wanted, format_)
    finally:
        store.close()
    return 0


def _verify(store: "SqliteStore") -> None:
    intact, dropped = store.verify_journal(), store.dropped_rows()
    older = f"; {dropped:,} older ones were dropped (daemon.history_days)" if dropped else ""
    warn(f"journal intact: {intact:,} rows{older}")


def _revisions(settings: "Settings", store: "SqliteStore", rev: str | None) -> tuple[str, ...]:
    from reconciler.cli import past

    return () if rev is None else (past.revision(settings, store, "--rev", rev),)


def _several(settings: "Settings", store: "SqliteStore", names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of suspensions of several tasks that held these: of all, and of the labels that they have now."""
    from reconciler import wiring
    from reconciler.core.policy import ALL_TASKS, label_key
    from reconciler.errors import DesiredStateError

    held = store.wide_holds() if names else frozenset()
    worn = {ALL_TASKS}
    if held - worn:
        validator = wiring.validator(settings.literal_secrets)
        with suppress(DesiredStateError):  # then what they wear cannot be told
            files = wiring.source(settings, store)
            found = (validator.examine(one.read(), warnings=False).task for one in map(files.entry, names) if one)
            worn |= {label_key(f"{name}={text}") for task in found if task for name, text in task.labels}
    return tuple(sorted(held & worn))


def _print_told(
    session: Session, settings: "Settings", store: "SqliteStore", rev: str, tasks: tuple[str, ...], format_: str
) -> None:
    from reconciler.cli import past, told

    found = past.moment(settings, store, "--at", rev)
    if format_ == "json":
        told.print_as_json(store, found, tasks)
    else:
        told.print_as_text(session, store, found, tasks)


def _print_rows(session: Session, store: "SqliteStore", wanted: "Wanted", format_: str) -> None:
    rows = store.search(wanted)
    if wanted.tasks and all(entry.task in wanted.also for entry, _ in rows):
        names = " or ".join(f'"{name}"' for name in wanted.tasks)
        filtered = any((wanted.since, wanted.until, wanted.revisions, wanted.outcomes))
        warn(f"nothing{' like that' if filtered else ''} was recorded of a task named {names}")
    if format_ == "json":
        print_json({"version": 1, "entries": [_row(*row) for row in rows]})
    else:
        print_table(session, _HEADS, [_cells(*row) for row in rows])


def _cells(entry: "JournalEntry", commit: Commit | None) -> list[str]:
    from reconciler.cli.past import short

    ticket = "" if entry.ticket is None else str(entry.ticket)
    made = commit_text(commit) if commit else ""
    named = (entry.task, entry.kind, entry.action, entry.outcome, ticket, short(entry.revision))
    return [moment(entry.at), *named, entry.plan[:_PLAN_DIGITS], made, _detail(entry)]


def _row(entry: "JournalEntry", commit: Commit | None) -> "Json":
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
        "commit": _commit(commit) if commit else None,
        "detail": dict(entry.detail),
    }


def _commit(found: Commit) -> "Json":
    return {"id": found.id, "author": found.author, "at": found.at.isoformat(), "subject": found.subject}


def _positions(entry: "JournalEntry") -> dict[str, str]:
    """Where a reset takes its link from, and where to, as times."""
    found = {"from": entry.detail.get("position_before"), "to": entry.detail.get("start")}
    return {key: as_time(position) for key, position in found.items() if isinstance(position, int)}


def _detail(entry: "JournalEntry") -> str:
    from reconciler.cli.past import short

    detail = {**entry.detail, **_positions(entry)} if entry.kind == "reset" else entry.detail
    told = {key: detail[key] for key in _NAMED if detail.get(key)}
    if entry.kind == "head" and "from" in told:
        told["from"] = short(told["from"])
    if entry.kind == "target" and "kind" not in told:
        told["message"] = told.get("message", "can be used again")
    ends = [key for key in ("revoked", "expired") if entry.detail.get(key)]  # of an approval
    return "; ".join([*ends, *(f"{key}: {', '.join(v) if isinstance(v, list) else v}" for key, v in told.items())])
