"""When a revision was the current one, as the rows of the journal tell.

A commit is current from the row of kind "head" that follows it until the next one that follows another commit. Where
the desired state is a plain directory there are no such rows: a revision that has none is current from the first intent
or adoption that was made for it. It ends with the next "head" row of another revision, or with the first intent or
adoption for another one that has no such row either. Rows of other kinds carry the revision that their component was
last told, which says nothing about the time of the row. A revision that was current more than once counts for its last
time.

Every function works inside a transaction of the caller.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from reconciler.ports import Moment
from reconciler.state.database import Database

_LAST = "\U0010ffff"  # no text begins with more
_EVERY = 2**63 - 1  # no row has a larger number


def find(database: Database, revision: str) -> Moment | None:
    """The end of the last time in which a revision was current; None when no row tells of it."""
    begun = _number(database, "head_begun", revision=revision) or _number(database, "made_for", revision=revision)
    if begun is None:
        return None
    ended = _ended(database, revision, begun)
    sequence = (_number(database, "journal_last") or 0) if ended is None else ended - 1
    row = database.row("journal_time", sequence=sequence)
    return None if row is None else Moment(revision, sequence, datetime.fromisoformat(row[0]), current=ended is None)


def revisions(database: Database, beginning: str, limit: int) -> list[str]:
    """Revisions that begin like that, sorted, at most *limit*; each costs one look into an index, whatever its rows."""
    return list(islice(_revisions(database, beginning), limit))


def _ended(database: Database, revision: str, begun: int) -> int | None:
    """Number of the row that made another revision current, after the row *begun*; None when none did."""
    head = _number(database, "next_head", revision=revision, sequence=begun)
    last = _EVERY if head is None else head - 1
    made = _number(database, "made_for_another", revision=revision, sequence=begun, last=last)
    return head if made is None else made


def _number(database: Database, query: str, **values: object) -> int | None:
    (number,) = database.row(query, **values) or (None,)
    return None if number is None else int(number)


def _revisions(database: Database, beginning: str) -> Iterator[str]:
    (found,) = database.row("revision_from", least=beginning, end=beginning + _LAST) or (None,)
    while found is not None:
        yield found
        (found,) = database.row("revision_after", least=found, end=beginning + _LAST) or (None,)
