"""The ledger of resets: how far each is, moved on by whoever expects it where it is.

Every function works inside a transaction of the caller. A move is made in one that writes, beside which there is no
other: of two who expect the same stage, one moves it on. Each move adds a journal row with the address, which
`row_cache` relies on. Nothing here knows which stage may follow which.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from reconciler.model import Action, ResetEntry, ResetKey, Stage
from reconciler.state import approvals, journal
from reconciler.state.database import Database
from reconciler.state.journal import Entry
from reconciler.state.row_cache import RowCache
from reconciler.state.rows import ticket_of, ticket_text, time_text

_NOT_ENDED = (Stage.PERHAPS_SENT, Stage.PENDING, Stage.STOPPING, Stage.SENDING)
"""Stages in which an approval counts: a call that certainly had no effect leads back to one of them."""


def find(database: Database, key: ResetKey) -> ResetEntry | None:
    """One row of the ledger; None when there is none."""
    row = database.row("reset", **_columns(key))
    return None if row is None else _entry(row)


def move(database: Database, now: datetime, entry: ResetEntry, expected: Stage | None) -> bool:
    """Write a row if its stage is the expected one (None: if there is none yet); False when it is not."""
    found = find(database, entry.key)
    if (found.stage if found else None) is not expected:
        return False
    database.run("add_reset" if found is None else "move_reset", **_columns(entry.key), **_values(entry))
    if entry.stage not in _NOT_ENDED:
        approvals.use_up(database, entry.address, entry.content_id)
    journal.append(database, now, _telling(entry))
    return True


def cache() -> RowCache[ResetKey, ResetEntry]:
    """The whole ledger in memory."""
    return RowCache("resets", "resets_of_address", _entry, lambda entry: entry.key)


def _telling(entry: ResetEntry) -> Entry:
    return Entry(
        kind="reset",
        task=entry.task,
        address=entry.address,
        action=Action.RESET.value,
        outcome=entry.stage.value,
        plan=entry.plan,
        ticket=entry.ticket,
        request_id=entry.request_id,
        detail={
            **_columns(entry.key),
            "start": entry.start_timestamp,
            "position_before": entry.position_before,
            "stopped": entry.stopped,
            "reason": entry.reason,
        },
    )


def _columns(key: ResetKey) -> dict[str, Any]:
    return {"target": key.target, "project": key.project, "reverse": key.reverse, "request": key.request}


def _values(entry: ResetEntry) -> dict[str, Any]:
    """The other columns, by name."""
    return {
        "digest": entry.digest,
        "task": entry.task,
        "address": entry.address,
        "start_timestamp": entry.start_timestamp,
        "stage": entry.stage.value,
        "since": time_text(entry.since),
        "reason": entry.reason,
        "position_before": entry.position_before,
        "stopped": entry.stopped,
        "plan": entry.plan,
        "content_id": entry.content_id,
        "ticket": ticket_text(entry.ticket),
        "request_id": entry.request_id,
    }


def _entry(row: Sequence[Any]) -> ResetEntry:
    """One row of the queries, whose columns have the order of the fields, those of the key first."""
    target, project, reverse, request, digest, task, address, start, stage, since, reason, before, stopped, *rest = row
    plan, content_id, ticket, request_id = rest
    return ResetEntry(
        ResetKey(target, project, bool(reverse), request),
        digest,
        task,
        address,
        start,
        Stage(stage),
        datetime.fromisoformat(since),
        reason,
        before,
        bool(stopped),
        plan,
        content_id,
        ticket_of(ticket),
        request_id,
    )
