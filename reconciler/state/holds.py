"""What keeps tasks and targets back: suspensions, troubles of targets, components that did not come back healthy.

Every function works inside a transaction of the caller.
"""

from collections.abc import Mapping
from datetime import datetime

from reconciler.model import Suspension
from reconciler.state import journal
from reconciler.state.database import Database
from reconciler.state.journal import Entry
from reconciler.state.rows import time_of, time_text


def suspend(database: Database, now: datetime, task: str, suspension: Suspension, by: str) -> None:
    """Record a suspension, in place of an earlier one."""
    until = None if suspension.until is None else time_text(suspension.until)
    database.run("suspend", task=task, reason=suspension.reason, until=until)
    detail = {"reason": suspension.reason, "until": until} | ({"by": by} if by else {})
    entry = Entry(kind="suspend", task=task, detail=detail)
    journal.append(database, now, entry)


def resume(database: Database, now: datetime, task: str, by: str) -> bool:
    """Take a suspension back; False, and no row, when there was none."""
    found = database.run("resume", task=task) > 0
    if found:
        journal.append(database, now, Entry(kind="resume", task=task, detail={"by": by} if by else {}))
    return found


def suspensions(database: Database) -> Mapping[str, Suspension]:
    """`{task: Suspension}`, with "*" for all."""
    return {task: Suspension(reason, time_of(until)) for task, reason, until in database.rows("suspensions")}


def target_trouble(database: Database) -> Mapping[str, tuple[str, str]]:
    """`{target: (kind, message)}`."""
    return {target: (kind, message) for target, kind, message in database.rows("target_trouble")}


def set_target_trouble(database: Database, target: str, kind: str, message: str) -> None:
    """Remember a trouble in place of an earlier one; kind "" clears it."""
    if kind:
        database.run("set_target_trouble", target=target, kind=kind, message=message)
    else:
        database.run("clear_target_trouble", target=target)


def release_target(database: Database, now: datetime, target: str, reason: str) -> bool:
    """Clear a target's trouble and count its unhealthy components anew; False when it had no trouble.

    It is remembered even then: what went wrong before may be about to stop the target.
    """
    found = database.run("clear_target_trouble", target=target) > 0
    database.run("release_target", target=target, now=time_text(now))
    journal.append(database, now, Entry(kind="release", task="", detail={"target": target, "reason": reason}))
    return found


def unhealthy(database: Database, target: str, since: datetime) -> Mapping[str, str]:
    """`{task: what was seen}`, see `ports.StateStore.unhealthy`.

    What counts is when a component was first seen in its present condition: a later look at the same one, with other
    words, is no new failure.
    """
    return dict(database.rows("unhealthy", target=target, since=time_text(since)))
