"""What each component had been told, from one row of the journal to another, so that any past moment can be asked for.

The present content of an address stands in `contents` alone. When something takes its place, it is put away:
compressed, and equal contents once. Every function works inside a transaction of the caller, which also writes the
journal row.
"""

import hashlib
import json
import zlib
from datetime import datetime
from typing import Any

from reconciler.errors import StateStoreError
from reconciler.model import Sections
from reconciler.ports import Told
from reconciler.state import journal
from reconciler.state.database import Database
from reconciler.state.rows import ticket_of

_LEVEL = 6  # of zlib: 9 takes twice the time for 1 % less


def end(database: Database, sequence: int, address: str) -> bool:
    """Put away what an address was told until a row of the journal, before it is replaced; False when it was nothing.

    Args:
        database: where `contents` still has that content.
        sequence: number of the row.
        address: `Address.id`.
    """
    if database.row("told_now", address=address) is None:
        return False
    (content,) = database.row("content", address=address) or ("{}",)
    database.run("end_told", address=address, ended=sequence, content=_kept(database, content))
    return True


def begin(database: Database, sequence: int, address: str, action: str, plan: str) -> None:
    """An address was told what `records` and `contents` have by now.

    Args:
        database: where they are up to date, and what was told before has ended.
        sequence: number of the row of the journal.
        address: `Address.id`.
        action: what told it.
        plan: id of the plan; "" for none.
    """
    database.run("begin_told", begun=sequence, address=address, action=action, plan=plan)


def rename(database: Database, sequence: int, address: str, task: str) -> None:
    """From a row of the journal on, what an address was told belongs to another task."""
    row = database.row("told_now", address=address)
    if row is not None and row[0] != task:
        end(database, sequence, address)
        database.run("rename_told", address=address, begun=sequence, task=task)


def at(database: Database, sequence: int) -> list[Told]:
    """What every address had been told when a row of the journal was the newest, sorted by task and address.

    Raises:
        StateStoreError: that is not known, because contents were not kept then, or are not any more.
    """
    begun, since = database.row("told_whole_from") or (0, "")
    if sequence < begun:
        raise StateStoreError(
            f"{database.path}: what components had been told is kept since {_readable(since)}, when this store was "
            "brought up to date by a release that keeps it: it is not known for an earlier moment"
        )
    dropped = journal.dropped_rows(database)
    if dropped and sequence <= dropped:
        raise StateStoreError(
            f"{database.path}: row {sequence} of the journal was dropped (daemon.history_days), and with it what "
            f"components had been told then: ask for a moment after row {dropped}"
        )
    return [_told(row) for row in database.rows("told_at", sequence=sequence)]


def content(database: Database, told: Told) -> Sections | None:
    """The four files of something told, canonical, without secrets; None when it was dropped meanwhile."""
    row = database.row("told_content", number=told.number)
    if row is None:
        return None
    sections: Sections = json.loads(row[0] if isinstance(row[0], str) else zlib.decompress(row[0]))
    return sections


def drop_before(database: Database, sequence: int) -> None:
    """Drop what ended before a row of the journal, or with it, and contents that nothing refers to any more."""
    contents = [{"id": id_} for (id_,) in database.rows("contents_of_ended", sequence=sequence)]
    if contents:
        database.run("drop_ended", sequence=sequence)
        database.run_many("drop_content_without_use", contents)


def _kept(database: Database, text: str) -> int:
    """Number of a content among those put away."""
    plain = text.encode("ascii")
    digest = hashlib.sha256(plain).digest()
    if database.row("kept_content", digest=digest) is None:
        database.run("keep_content", digest=digest, content=zlib.compress(plain, _LEVEL))
    (number,) = database.row("kept_content", digest=digest) or (0,)
    return int(number)


def _told(row: tuple[Any, ...]) -> Told:
    number, address, task, component, at, action, revision, plan, ticket = row
    when = datetime.fromisoformat(at)
    return Told(number, address, task, component, when, action, revision, plan, ticket_of(ticket))


def _readable(text: str) -> str:
    return f"{text[:19].replace('T', ' ')}Z"
