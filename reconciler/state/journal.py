"""The journal: what was intended, what came of it and who said otherwise; append-only and chained by hashes.

Every function works inside a transaction of the caller, so that a row stands or falls with what it reports. The
chain shows changes made from outside; it does not stop somebody who can rewrite all of it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.errors import StateStoreError
from reconciler.model import Json
from reconciler.state.database import Database, printable
from reconciler.state.rows import json_text, ticket_text, time_text

_FIRST = "0" * 64  # stands for the hash before the first row


@dataclass(frozen=True, slots=True)
class Entry:
    """A row before it has a number, a time and a hash."""

    kind: str
    task: str
    address: str = ""
    action: str = ""
    outcome: str = ""
    revision: str = ""
    plan: str = ""
    ticket: int | None = None
    request_id: str | None = None
    detail: Mapping[str, Json] = field(default_factory=dict)


def append(database: Database, at: datetime, entry: Entry) -> int:
    """Add a row; returns its sequence number, from 1."""
    last, previous = database.row("journal_end") or (0, _FIRST)
    sequence: int = last + 1
    values: dict[str, Any] = {
        "sequence": sequence,
        "at": time_text(at),
        "kind": entry.kind,
        "task": printable(entry.task),
        "address": printable(entry.address),
        "action": entry.action,
        "outcome": entry.outcome,
        "revision": printable(entry.revision),
        "plan": entry.plan,
        "ticket": ticket_text(entry.ticket),
        "request_id": None if entry.request_id is None else printable(entry.request_id),
        "detail": json_text(dict(entry.detail)),
    }
    database.run("journal_append", **values, hash=_chained(previous, tuple(values.values())))
    return sequence


def verify(database: Database) -> int:
    """Check the chain from the anchor to the last row ever written; returns the number of rows.

    Raises:
        StateStoreError: names the first sequence number that is not what was written.
    """
    dropped, previous = _anchor(database)
    sequence = dropped
    for *row, found in database.rows("journal_all"):
        sequence += 1
        if row[0] != sequence or found != _chained(previous, tuple(row)):
            raise _tampered(database, sequence, dropped)
        previous = found
    (last_ever,) = database.row("journal_last_ever") or (0,)
    if last_ever != sequence:
        raise _tampered(database, sequence + 1, dropped)
    return sequence - dropped


def dropped_rows(database: Database) -> int:
    """How many rows were dropped at the beginning, all in all."""
    return _anchor(database)[0]


def _anchor(database: Database) -> tuple[int, str]:
    """Sequence and hash of the row before the first one."""
    sequence, hash_ = database.row("anchor") or (0, _FIRST)
    return sequence, hash_


def _chained(previous: str, row: tuple[Any, ...]) -> str:
    """SHA-256 over the hash before and the row as a JSON array, hex."""
    return hashlib.sha256((previous + json_text(row)).encode("ascii")).hexdigest()


def _tampered(database: Database, sequence: int, dropped: int) -> StateStoreError:
    if dropped and sequence == dropped + 1:
        return StateStoreError(
            f"{database.path}: journal row {sequence} does not follow from the anchor, which stands for the {dropped} "
            "rows dropped before it: one of the two was changed, removed or put in from outside. Compare with a backup"
        )
    return StateStoreError(
        f"{database.path}: journal row {sequence} is not what was written: it was changed, removed or put in from "
        "outside; rows before it are sound. Compare with a backup"
    )
