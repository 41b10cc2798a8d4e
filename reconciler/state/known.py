"""What is known of an address beside its attempts: what health showed, and what somebody said about it.

Every function works inside a transaction of the caller, and does nothing where there is no record: another process may
have dropped it a moment ago. Each change adds a journal row with the address, which `record_cache` relies on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import Action, Condition, Snapshot
from reconciler.state import journal, told
from reconciler.state.database import Database
from reconciler.state.journal import Entry
from reconciler.state.rows import find_record, snapshot_values, time_text


@dataclass(frozen=True, slots=True)
class Declared:
    """Content that somebody says is applied."""

    address: str
    task: str
    snapshot: Snapshot
    revision: str
    reason: str


def set_condition(database: Database, now: datetime, address: str, condition: Condition, reason: str) -> None:
    """Record what health showed; see `SqliteStore.set_condition`."""
    record = find_record(database, address)
    values = {"address": address, "condition": condition.value, "reason": reason, "now": time_text(now)}
    if record is None or not database.run("set_condition", **values):
        return
    entry = Entry(
        kind="health",
        task=record.task,
        address=address,
        outcome=condition.value,
        revision=record.revision,
        ticket=record.ticket,
        request_id=record.request_id,
        detail={"reason": reason},
    )
    journal.append(database, now, entry)


def set_component(database: Database, now: datetime, address: str, component: str) -> None:
    """Record the name that a component has by now; the same name again writes nothing."""
    record = find_record(database, address)
    if record is None or not database.run("set_component", address=address, component=component):
        return
    detail = {"from": record.component, "to": component}
    entry = Entry(kind="moved", task=record.task, address=address, revision=record.revision, detail=detail)
    journal.append(database, now, entry)


def adopt(database: Database, now: datetime, declared: Declared, digest_version: int) -> None:
    """Record content as applied; makes the record if there is none."""
    address = declared.address
    number = journal.append(database, now, _adopting(declared))
    told.end(database, number, address)
    values = snapshot_values(declared.snapshot)
    content = values.pop("content")
    database.run(
        "adopt",
        address=address,
        task=declared.task,
        digest_version=digest_version,
        revision=declared.revision,
        now=time_text(now),
        **values,
    )
    database.run("set_content", address=address, content=content)
    database.run("set_intents_aside", address=address)
    told.begin(database, number, address, Action.ADOPT.value, plan="")


def _adopting(declared: Declared) -> Entry:
    return Entry(
        kind="adopt",
        task=declared.task,
        address=declared.address,
        action=Action.ADOPT.value,
        outcome=Condition.SYNCED.value,
        revision=declared.revision,
        detail={"digest": declared.snapshot.digest, "reason": declared.reason},
    )


def refingerprint(database: Database, now: datetime, address: str, snapshot: Snapshot, digest_version: int) -> None:
    """Replace stored content by the same content in another form; nothing where none is stored."""
    values = snapshot_values(snapshot)
    content = values.pop("content")
    record = find_record(database, address)
    if record is None or not database.run("refingerprint", address=address, digest_version=digest_version, **values):
        return
    database.run("set_content", address=address, content=content)
    entry = Entry(
        kind="refingerprint",
        task=record.task,
        address=address,
        revision=record.revision,
        detail={"digest": snapshot.digest, "digest_version": digest_version, "key_id": snapshot.key_id},
    )
    journal.append(database, now, entry)


def take_over(database: Database, now: datetime, address: str, task: str) -> None:
    """Give the record of an address to another task."""
    record = find_record(database, address)
    if record is not None:
        database.run("take_over", address=address, task=task)
        database.run("move_suspension", task=task, before=record.task)
        detail = {"from": record.task}
        entry = Entry(kind="takeover", task=task, address=address, revision=record.revision, detail=detail)
        told.rename(database, journal.append(database, now, entry), address, task)


def forget(database: Database, now: datetime, address: str, said: Mapping[str, str]) -> None:
    """Drop a record with its content, its intents and approvals: what comes next is first sight. Resets stay.

    Args:
        database: within a transaction.
        now: aware.
        address: `Address.id`.
        said: for the journal: why, and by whom; what is empty was not said.
    """
    record = find_record(database, address)
    if record is not None:
        detail = {key: text for key, text in said.items() if text}
        entry = Entry(kind="forget", task=record.task, address=address, revision=record.revision, detail=detail)
        told.end(database, journal.append(database, now, entry), address)
        database.run("forget", address=address)
        database.run("drop_approvals_of_address", address=address)
