"""`reset list`: the ledger of resets. What a person can say about one is left to `resolve` and `undo`."""

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.common import (
    Session,
    format_option,
    pass_session,
    print_json,
    tasks_argument,
    warn,
)
from reconciler.cli.resolve import resolve
from reconciler.cli.undo import undo

if TYPE_CHECKING:
    from reconciler.model import ResetEntry

_HEADS = ("task", "request", "stage", "since", "link", "to", "from", "ticket", "why")


@click.group()
def reset() -> None:
    """Show resets, say how one ended, or prepare to undo one."""


reset.add_command(resolve)
reset.add_command(undo)


@reset.command("list")
@tasks_argument()
@format_option("text", "json")
@pass_session
def list_(session: Session, task: tuple[str, ...], format_: str) -> int:
    """Show the ledger of resets, newest first.

    Every reset that was ever begun, or that somebody said something about, with the position to which it takes the link
    and the one from which it took it. Rows are never removed: each request is carried out once.
    """
    from reconciler import wiring
    from reconciler.cli.table import print_table
    from reconciler.cli.view import check_names
    from reconciler.reconcile import is_chosen

    settings = session.settings()
    with closing(wiring.open_store(settings, read_only=True)) as store:
        ledger = store.resets().values()
        check_names(settings, store, task, more=[entry.task for entry in ledger])
    chosen = [entry for entry in ledger if is_chosen(entry.task, task)]
    chosen.sort(key=lambda entry: (entry.since, entry.task, entry.key.request), reverse=True)
    if format_ == "json":
        print_json({"version": 1, "resets": [_row(entry) for entry in chosen]})
    else:
        print_table(session, _HEADS, [_cells(entry) for entry in chosen])
        warn("1 reset" if len(chosen) == 1 else f"{len(chosen):,} resets")
    return 0


def _cells(entry: "ResetEntry") -> list[str]:
    from reconciler.core.arrival import as_time
    from reconciler.core.status import moment

    before = "" if entry.position_before is None else as_time(entry.position_before)
    link = f"{entry.key.project} {_link(entry)}"
    ticket = "" if entry.ticket is None else str(entry.ticket)
    named = [moment(entry.since), link, as_time(entry.start_timestamp), before, ticket, entry.reason]
    return [entry.task, entry.key.request, entry.stage.value, *named]


def _link(entry: "ResetEntry") -> str:
    from reconciler.model import Link

    return Link.REVERSE.value if entry.key.reverse else Link.FORWARD.value


def _row(entry: "ResetEntry") -> dict[str, Any]:
    """A row of the ledger as JSON."""
    return {
        "task": entry.task,
        "request": entry.key.request,
        "stage": entry.stage.value,
        "since": entry.since.isoformat(),
        "target": entry.key.target,
        "project": entry.key.project,
        "link": _link(entry),
        "to": _time(entry.start_timestamp),
        "from": None if entry.position_before is None else _time(entry.position_before),
        "stopped": entry.stopped,
        "ticket": entry.ticket,
        "request_id": entry.request_id,
        "plan": entry.plan or None,
        "reason": entry.reason,
    }


def _time(unix_s: int) -> str:
    """A position as `reset.json` writes one: "2026-11-20T00:00:00Z"."""
    from reconciler.core.arrival import as_time

    return as_time(unix_s).replace(" ", "T")
