"""What the daemon said: of each task for `status` and for its own next start, and of each edge to each channel.

None of it is in the journal: it can be made again from what is.
"""

from collections.abc import Iterable, Mapping

from reconciler.model import TaskState
from reconciler.state.database import Database
from reconciler.state.rows import state_of, state_values


def states(database: Database) -> Mapping[str, TaskState]:
    """`{task: TaskState}`, sorted by task; inside a transaction of the caller."""
    return {row[0]: state_of(row) for row in database.rows("states")}


def put_states(database: Database, changed: Iterable[TaskState], gone: Iterable[str]) -> None:
    """Replace the states of some tasks and drop those of others, in one transaction if there are any.

    Args:
        database: outside a transaction.
        changed: a task that is gone as well stays with this.
        gone: names of tasks; those without a state are passed over.
    """
    rows = [state_values(state) for state in changed]
    names = [{"task": task} for task in gone]
    if rows or names:
        with database.writing():
            database.run_many("drop_state", names)
            database.run_many("put_state", rows)


def notified(database: Database, channel: str) -> Mapping[str, str]:
    """`{subject: mark}`, sorted by subject; inside a transaction of the caller."""
    return dict(database.rows("notified", channel=channel))


def set_notified(database: Database, channel: str, subject: str, mark: str) -> None:
    """Remember a mark, or forget the subject when it is empty; inside a transaction of the caller."""
    if mark:
        database.run("set_notified", channel=channel, subject=subject, mark=mark)
    else:
        database.run("forget_notified", channel=channel, subject=subject)
