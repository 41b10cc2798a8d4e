"""Rows of the tables to values of the model and back."""

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeAlias

from reconciler.model import Condition, JournalEntry, Json, Record, Snapshot, TaskState
from reconciler.state.database import Database


def time_text(at: datetime) -> str:
    """UTC ISO text with microseconds: text order is time order."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def time_of(text: str | None) -> datetime | None:
    """Back from `time_text`: aware UTC."""
    return None if text is None else datetime.fromisoformat(text)


def json_text(value: Json) -> str:
    """Compact ASCII JSON, members sorted; what JSON does not know is written as text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def snapshot_values(snapshot: Snapshot) -> dict[str, str]:
    """Columns of a snapshot, by name."""
    return {
        "content": json_text(dict(snapshot.content)),
        "fingerprints": json_text(dict(snapshot.fingerprints)),
        "key_id": snapshot.key_id,
        "digest": snapshot.digest,
    }


def snapshot_of(row: tuple[Any, ...]) -> Snapshot:
    """(content, fingerprints, key_id, digest) as a snapshot."""
    content, fingerprints, key_id, digest = row
    return Snapshot(json.loads(content), json.loads(fingerprints), key_id, digest)


def ticket_text(ticket: int | None) -> str | None:
    """Tickets are kept as text: 64 bits of a server may be more than SQLite's."""
    return None if ticket is None else str(ticket)


def ticket_of(text: str | None) -> int | None:
    """Back from `ticket_text`."""
    return None if text is None else int(text)


def find_record(database: Database, address: str) -> Record | None:
    """What is known of one address, inside a transaction of the caller."""
    row = database.row("record", address=address)
    return None if row is None else record_of(row)


def record_of(row: Sequence[Any]) -> Record:
    """One row of the queries `record` and `records`, whose columns have the order of the fields."""
    return Record(*_read(row, _RECORD))


def entry_of(row: Sequence[Any]) -> JournalEntry:
    """One row of the journal, whose columns have the order of the fields."""
    return JournalEntry(*_read(row, _ENTRY))


def state_of(row: Sequence[Any]) -> TaskState:
    """One row of the query `states`, whose columns have the order of the fields."""
    return TaskState(*_read(row, _STATE))


def state_values(state: TaskState) -> dict[str, str | None]:
    """Columns of what was said of a task, by name."""
    return {
        "task": state.task,
        "state": state.state,
        "since": time_text(state.since),
        "reason": state.reason,
        "next_step": state.next_step,
        "until": None if state.until is None else time_text(state.until),
        "revision": state.revision,
        "ticket": ticket_text(state.ticket),
        "request_id": state.request_id,
        "content": state.content,
    }


_Readers: TypeAlias = tuple[tuple[int, Callable[[Any], Any]], ...]


def _readers(kind: type[Record | JournalEntry | TaskState], **readers: Callable[[Any], Any]) -> _Readers:
    """Which columns are not what the fields are, by position: 10,000 records are read at once."""
    names = [field.name for field in fields(kind)]
    return tuple((names.index(name), reader) for name, reader in readers.items())


def _read(row: Sequence[Any], readers: _Readers) -> list[Any]:
    values = list(row)
    for position, reader in readers:
        values[position] = reader(values[position])
    return values


_CONDITIONS = {condition.value: condition for condition in Condition}
_RECORD = _readers(
    Record,
    fingerprints=json.loads,
    applied_at=time_of,
    condition=_CONDITIONS.__getitem__,
    since=time_of,
    ticket=ticket_of,
)
_STATE = _readers(TaskState, since=time_of, until=time_of, ticket=ticket_of)
_ENTRY = _readers(JournalEntry, at=time_of, ticket=ticket_of, detail=json.loads)
