"""From intent to outcome: which contents a component may have, and how often it was tried.

Every function works inside a transaction of the caller. An intent is open while its effect is unknown; the content of
the component is then last-applied or that of any open intent. The count of attempts is the number of newest open
intents of one content, so an attempt that died with its program counts like one without an answer.
"""

from datetime import datetime
from typing import Any

from reconciler.errors import StateStoreError
from reconciler.model import Commit, Condition, Intent, JournalEntry, Outcome, Record
from reconciler.state import journal, told
from reconciler.state.database import Database
from reconciler.state.journal import Entry
from reconciler.state.rows import entry_of, find_record, snapshot_values, ticket_text, time_text

_RETRIED = frozenset((Condition.FAILED, Condition.RETRYING, Condition.UNKNOWN, Condition.APPLYING))


def begin(database: Database, now: datetime, intent: Intent, digest_version: int) -> int:
    """Open an intent; returns its number, which is that of its journal row."""
    number = journal.append(database, now, _announcing(intent))
    told.rename(database, number, intent.address, intent.task)
    database.run(
        "start_attempt",
        address=intent.address,
        task=intent.task,
        attempted=intent.request_digest,
        digest_version=digest_version,
        now=time_text(now),
        component=intent.component,
        status_before=intent.status_before,
    )
    database.run("drop_closed_intents", address=intent.address)
    database.run(
        "add_intent",
        number=number,
        address=intent.address,
        revision=intent.revision,
        digest_version=digest_version,
        attempted=intent.request_digest,
        content_id=intent.content_id,
        **snapshot_values(intent.after),
    )
    database.run("count_attempts", address=intent.address, attempted=intent.request_digest)
    return number


def conclude(database: Database, now: datetime, number: int, outcome: Outcome) -> None:
    """End an attempt; see `SqliteStore.conclude`.

    Raises:
        StateStoreError: no intent has this number.
    """
    begun = database.row("journal_row", sequence=number)
    if begun is None or (entry := entry_of(begun)).kind != "intent":
        raise StateStoreError(f"{database.path}: no intent has the number {number}: nothing was concluded")
    concluded = journal.append(database, now, _concluding(entry, outcome))
    row = database.row("intent", number=number)
    if row is None:
        return
    if outcome.accepted:
        told.end(database, concluded, entry.address)
        _accept(database, now, number, row, outcome)
        told.begin(database, concluded, entry.address, entry.action, entry.plan)
    else:
        _end_unaccepted(database, now, number, row, outcome)


def retry(database: Database, now: datetime, address: str) -> None:
    """Clear what keeps an address from being tried; see `SqliteStore.retry`."""
    record = find_record(database, address)
    if record is None:
        return
    after = _after_retry(record)
    if record.condition in _RETRIED:
        database.run("uncount_intents", address=address)
        database.run(
            "retry",
            address=address,
            condition=after.value,
            reason="a retry was asked for",
            now=time_text(now),
            keep_attempted=after is not Condition.RETRYING,
        )
    entry = Entry(kind="retry", task=record.task, address=address, revision=record.revision)
    journal.append(database, now, entry)


def _after_retry(record: Record) -> Condition:
    if record.condition not in _RETRIED:
        return record.condition
    if record.open_intents:
        return Condition.UNKNOWN
    return Condition.RETRYING if record.digest is None else Condition.UNCONFIRMED


def _accept(database: Database, now: datetime, number: int, row: tuple[Any, ...], outcome: Outcome) -> None:
    address, revision, content, fingerprints, key_id, digest, digest_version, attempted = row
    database.run(
        "set_applied",
        address=address,
        revision=revision,
        fingerprints=fingerprints,
        key_id=key_id,
        digest=digest,
        digest_version=digest_version,
        attempted=attempted,
        now=time_text(now),
        condition=outcome.condition.value,
        reason=outcome.message,
        ticket=ticket_text(outcome.ticket),
        request_id=outcome.request_id,
    )
    database.run("set_content", address=address, content=content)
    database.run("use_up_approvals_of_intents", address=address, number=number)
    database.run("close_intents_up_to", address=address, number=number)


def _end_unaccepted(database: Database, now: datetime, number: int, row: tuple[Any, ...], outcome: Outcome) -> None:
    address, attempted = row[0], row[7]
    database.run("reopen_intent" if outcome.condition is Condition.UNKNOWN else "close_intent", number=number)
    database.run(
        "end_attempt",
        address=address,
        condition=outcome.condition.value,
        reason=outcome.message,
        now=time_text(now),
        attempted=attempted,
    )
    database.run("count_attempts", address=address, attempted=attempted)


def _announcing(intent: Intent) -> Entry:
    return Entry(
        kind="intent",
        task=intent.task,
        address=intent.address,
        action=intent.action,
        outcome=Condition.APPLYING.value,
        revision=intent.revision,
        plan=intent.plan,
        detail={
            "item": intent.item,
            "request": intent.request_digest,
            "attempt": intent.attempt,
            "digest": intent.after.digest,
            "forced": intent.forced,
            "reason": intent.reason,
        }
        | ({"content": intent.content_id} if intent.content_id else {})
        | ({} if intent.commit is None else {"commit": _commit(intent.commit)}),
    )


def _commit(commit: Commit) -> dict[str, str]:
    return {"id": commit.id, "author": commit.author, "at": commit.at.isoformat(), "subject": commit.subject}


def _concluding(begun: JournalEntry, outcome: Outcome) -> Entry:
    return Entry(
        kind="outcome",
        task=begun.task,
        address=begun.address,
        action=begun.action,
        outcome=outcome.condition.value,
        revision=begun.revision,
        plan=begun.plan,
        ticket=outcome.ticket,
        request_id=outcome.request_id,
        detail={"intent": begun.sequence, "message": outcome.message},
    )
