"""Finding rows of the journal among a million: each question is answered by the index that leaves the fewest rows.

Every function works inside a transaction of the caller.
"""

from collections.abc import Iterator
from datetime import datetime
from heapq import nlargest
from itertools import product

from reconciler.model import Commit, JournalEntry, Json
from reconciler.ports import Wanted
from reconciler.state.database import Database
from reconciler.state.rows import entry_of, ticket_text, time_text

_NEWEST = 2**63 - 1  # no row has a larger number
_NO_TASK = ("", "", "\U0010ffff")


def find(database: Database, wanted: Wanted) -> list[tuple[JournalEntry, Commit | None]]:
    """Newest rows first, each with the commit of its attempt."""
    numbers = nlargest(wanted.limit, set(_numbers(database, wanted)))
    rows = (database.row("journal_row", sequence=number) for number in numbers)
    entries = [entry_of(row) for row in rows if row is not None]
    return [(entry, _commit(database, entry)) for entry in entries]


def wide_holds(database: Database) -> frozenset[str]:
    """What rows have in place of a task that mean several."""
    return frozenset(name for (name,) in database.rows("wide_holds"))


def intent_of_plan(database: Database, plan: str) -> JournalEntry | None:
    """The newest attempt of a plan, by its id or the beginning of it."""
    row = database.row("intent_of_plan", plan=plan)
    return None if row is None else entry_of(row)


def _numbers(database: Database, wanted: Wanted) -> Iterator[int]:
    """Numbers of the newest rows for each task, revision and outcome: more than wanted, all in all.

    A rail's row is of no task, and names those that it held; it is about no revision, and no outcome.
    """
    between = _between(database, wanted)
    tasks = [*map(_range, wanted.tasks), *((name, name, f"{name}/") for name in wanted.also)] or [_NO_TASK]
    for (task, low, high), revision, outcome in product(tasks, wanted.revisions or ("",), wanted.outcomes or ("",)):
        values = {"task": task, "task_low": low, "task_high": high, "revision": revision, "outcome": outcome}
        for (number,) in database.rows(_query(task, revision, outcome), limit=wanted.limit, **values, **between):
            yield number
    if wanted.revisions or wanted.outcomes:
        return
    for name in wanted.tasks:
        task, _, high = _range(name)
        for (number,) in database.rows("numbers_of_rails", limit=wanted.limit, task=task, task_high=high, **between):
            yield number


def _query(task: str, revision: str, outcome: str) -> str:
    if revision:
        return "numbers_of_revision"
    if outcome:
        return "numbers_of_outcome"
    return "numbers_of_tasks" if task else "numbers"


def _range(name: str) -> tuple[str, str, str]:
    """A task; the least and the end of a range that has it and what lies below it ("0" follows "/")."""
    task = name.rstrip("/")
    return task, task, f"{task}0"


def _between(database: Database, wanted: Wanted) -> dict[str, int | str | None]:
    """Times, and the numbers of the first and the last row that may be of that time.

    Rows are in the order of time, but for those written after a clock was set back: so the numbers narrow the search,
    and the times decide.
    """
    since = None if wanted.since is None else time_text(wanted.since)
    until = None if wanted.until is None else time_text(wanted.until)
    first = 0 if since is None else _number(database, "first_since", since)
    last = _NEWEST if until is None else _number(database, "last_until", until)
    if first is None or last is None:
        first, last = _NEWEST, 0  # no row is of that time
    return {"since": since, "until": until, "first": first, "last": last}


def _number(database: Database, query: str, at: str) -> int | None:
    (number,) = database.row(query, at=at) or (None,)
    return None if number is None else int(number)


def _commit(database: Database, entry: JournalEntry) -> Commit | None:
    """The last commit that had touched the task's directory when the attempt began that a row is about."""
    if entry.kind == "health" and entry.ticket is not None:
        values = {"task": entry.task, "address": entry.address, "ticket": ticket_text(entry.ticket)}
        row = database.row("outcome_of_ticket", sequence=entry.sequence, **values)
        return None if row is None else _commit(database, entry_of(row))
    if entry.kind == "outcome":
        row = database.row("journal_row", sequence=entry.detail.get("intent"))
        return None if row is None else _commit_of(entry_of(row).detail.get("commit"))
    return _commit_of(entry.detail.get("commit")) if entry.kind == "intent" else None


def _commit_of(written: Json) -> Commit | None:
    if written is None:
        return None
    return Commit(written["id"], written["author"], datetime.fromisoformat(written["at"]), written["subject"])
