"""A table in memory of which only changed rows are read again: a daemon asks for all of them at every look.

Whatever changes a row adds one with its address to the journal in the same transaction, whichever process it is. So the
rows of the journal since the last look name all there is to read.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from reconciler.state.database import Database


class Addressed(Protocol):
    """What belongs to an address."""

    @property
    def address(self) -> str:
        """`Address.id`."""


K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Addressed)


@dataclass(frozen=True, slots=True)
class _Seen(Generic[K, V]):
    """The rows at one moment; never changed, because callers keep them while others write."""

    end: tuple[Any, ...] | None  # sequence and hash of the newest journal row then; None when there was none
    rows: MappingProxyType[K, V]


class RowCache(Generic[K, V]):
    """What one store last saw of a table; several threads may use it.

    Args:
        every: name of the query of all rows, in order.
        of_address: name of the query of those of one `:address`.
        read: one row of either as a value.
        key: of a value.
    """

    def __init__(
        self, every: str, of_address: str, read: Callable[[tuple[Any, ...]], V], key: Callable[[V], K]
    ) -> None:
        self._every = every
        self._of_address = of_address
        self._read = read
        self._key = key
        self._seen: _Seen[K, V] | None = None

    def rows(self, database: Database) -> Mapping[K, V]:
        """All rows as they are now; the mapping never changes.

        Args:
            database: the same one at every call, outside a transaction.
        """
        seen = self._seen
        if seen is None or database.glance("journal_end") != seen.end:
            with database.reading():  # keeps other threads away from what was seen, too
                seen = self._seen = self._now(database)
        return seen.rows

    def _now(self, database: Database) -> _Seen[K, V]:
        end = database.row("journal_end")
        if self._seen is None or not _is_there(database, self._seen.end):
            return _Seen(end, MappingProxyType(self._all(database)))
        return _Seen(end, self._updated(database, self._seen))

    def _all(self, database: Database) -> dict[K, V]:
        values = map(self._read, database.rows(self._every))
        return {self._key(value): value for value in values}

    def _updated(self, database: Database, seen: _Seen[K, V]) -> MappingProxyType[K, V]:
        """The rows with those read again that the journal is about since."""
        after = 0 if seen.end is None else seen.end[0]
        addresses = {address for (address,) in database.rows("addresses_after", sequence=after)}
        before = {key: value for key, value in seen.rows.items() if value.address in addresses}
        now = {self._key(v): v for address in addresses for v in self._of(database, address)}
        if before == now:
            return seen.rows
        return MappingProxyType({key: value for key, value in seen.rows.items() if key not in before} | now)

    def _of(self, database: Database, address: str) -> list[V]:
        return [self._read(row) for row in database.rows(self._of_address, address=address)]


def _is_there(database: Database, end: tuple[Any, ...] | None) -> bool:
    """Whether a row seen before still is: not dropped since, nor of a journal that a backup replaced."""
    return end is not None and database.row("journal_hash", sequence=end[0]) == (end[1],)
