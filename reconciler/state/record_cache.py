"""All records in memory, of which only changed ones are read again: a daemon asks for all of them at every event.

Whatever changes a record, or an intent of its address, adds a row with that address to the journal in the same
transaction, whichever process it is. So the rows since the last look name all there is to read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from reconciler.model import Record
from reconciler.state.database import Database
from reconciler.state.rows import find_record, record_of


@dataclass(frozen=True, slots=True)
class _Seen:
    """The records at one moment; never changed, because callers keep them while others write."""

    end: tuple[Any, ...] | None  # sequence and hash of the newest journal row then; None when there was none
    records: MappingProxyType[str, Record]


class RecordCache:
    """What one store last saw; several threads may use it."""

    def __init__(self) -> None:
        self._seen: _Seen | None = None

    def records(self, database: Database) -> Mapping[str, Record]:
        """All records as they are now, `{Address.id: Record}`, sorted by address; the mapping never changes.

        Args:
            database: the same one at every call, outside a transaction.
        """
        seen = self._seen
        if seen is None or database.glance("journal_end") != seen.end:
            with database.reading():  # keeps other threads away from the cache, too
                seen = self._seen = _now(database, self._seen)
        return seen.records


def _now(database: Database, seen: _Seen | None) -> _Seen:
    end = database.row("journal_end")
    if seen is not None and seen.end is not None and _is_there(database, *seen.end):
        return _Seen(end, _updated(database, seen.records, seen.end[0]))
    return _Seen(end, MappingProxyType({row[0]: record_of(row) for row in database.rows("records")}))


def _is_there(database: Database, sequence: int, hash_: str) -> bool:
    """Whether a row seen before still is: not dropped since, nor of a journal that a backup replaced."""
    return database.row("journal_hash", sequence=sequence) == (hash_,)


def _updated(database: Database, before: MappingProxyType[str, Record], sequence: int) -> MappingProxyType[str, Record]:
    """The records with those read again that rows after *sequence* are about."""
    addresses = [address for (address,) in database.rows("addresses_after", sequence=sequence)]
    if not addresses:
        return before
    records = before.copy()
    for address in addresses:
        record = find_record(database, address)
        if record is None:
            records.pop(address, None)
        else:
            records[address] = record
    if all(address in before for address in addresses):
        return MappingProxyType(records)
    return MappingProxyType(dict(sorted(records.items())))
