"""Who said that what may go: kept until it is used up, or has been over for a while.

Every function works inside a transaction of the caller. Each change adds a journal row with the address, which
`row_cache` relies on.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from reconciler.model import Approval
from reconciler.state import journal
from reconciler.state.database import Database
from reconciler.state.journal import Entry
from reconciler.state.row_cache import RowCache
from reconciler.state.rows import json_text, time_text

KEPT = timedelta(days=7)
"""How long an approval is kept after its end: so long it can be seen that there was one, and that it is over."""


def approve(database: Database, now: datetime, approval: Approval) -> None:
    """Record an approval, in place of an earlier one of the same content."""
    drop_expired(database, now)
    until = time_text(approval.until)
    database.run(
        "approve",
        content_id=approval.content_id,
        task=approval.task,
        address=approval.address,
        plan=approval.plan,
        action=approval.action,
        forced=json_text(approval.forced),
        reason=approval.reason,
        by=approval.by,
        at=time_text(approval.at),
        until=until,
    )
    detail = {"forced": list(approval.forced), "reason": approval.reason, "by": approval.by, "until": until}
    journal.append(database, now, _about(approval, detail))


def disapprove(database: Database, now: datetime, content_id: str, reason: str) -> bool:
    """Take an approval back; False, and no row, when there was none."""
    row = database.row("approval", content_id=content_id)
    if row is None:
        return False
    database.run("disapprove", content_id=content_id)
    journal.append(database, now, _about(_approval(row), {"revoked": True, "reason": reason}))
    return True


def use_up(database: Database, address: str, content_id: str) -> None:
    """Drop the approval of what was just carried out, or will be now; the caller adds the row of the journal."""
    database.run("use_up_approval", address=address, content_id=content_id)


def drop_expired(database: Database, now: datetime) -> None:
    """Drop approvals that ended `KEPT` ago."""
    for row in list(database.rows("approvals_until", end=time_text(now - KEPT))):
        database.run("disapprove", content_id=row[0])
        journal.append(database, now, _about(_approval(row), {"expired": True, "until": row[-1]}))


def cache() -> RowCache[str, Approval]:
    """All approvals in memory, `{Item.content_id: Approval}`."""
    return RowCache("approvals", "approvals_of_address", _approval, lambda approval: approval.content_id)


def _about(approval: Approval, detail: dict[str, Any]) -> Entry:
    return Entry(
        kind="approve",
        task=approval.task,
        address=approval.address,
        action=approval.action,
        plan=approval.plan,
        detail={"content": approval.content_id} | detail,
    )


def _approval(row: Sequence[Any]) -> Approval:
    """One row of the queries, whose columns have the order of the fields."""
    content_id, task, address, plan, action, forced, reason, by, at, until = row
    lifted = tuple(json.loads(forced))
    begins, ends = datetime.fromisoformat(at), datetime.fromisoformat(until)
    return Approval(content_id, task, address, plan, action, lifted, reason, by, begins, ends)
