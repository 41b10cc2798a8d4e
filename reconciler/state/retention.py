"""Dropping the old rows of the journal, from its beginning, so that the rest can still be verified.

The row dropped last becomes the anchor of the chain. Rows from the first open intent on stay, however old: they tell
what may have been called, and `attempts` looks them up. Intents that somebody set aside hold nothing back: their calls
are over long before their rows are old. With the rows goes what components had been told in their time, but for what
they still had been told at the first row that stays.
"""

import time
from collections.abc import Callable
from datetime import datetime

from reconciler.state import told
from reconciler.state.database import Database
from reconciler.state.rows import time_text

BATCH_ROWS = 5000
"""Rows of one transaction: a few dozen milliseconds, which others wait for at most."""

_PAUSE_S = 0.02  # neither SQLite's lock nor the threads' is fair: those who wait get their turn between batches


def prune(
    database: Database,
    before: datetime,
    *,
    batch_rows: int = BATCH_ROWS,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Drop rows older than *before*, batch by batch; returns how many.

    Args:
        database: outside a transaction.
        before: aware; rows of this moment stay. The first row that is not older ends it, whatever follows.
        batch_rows: most rows of one transaction.
        sleep: waits between two of them, seconds.
    """
    dropped = 0
    while rows := _drop(database, time_text(before), batch_rows):
        dropped += rows
        if rows < batch_rows:
            break
        sleep(_PAUSE_S)
    return dropped


def _drop(database: Database, before: str, batch_rows: int) -> int:
    with database.writing():
        last = database.row("last_droppable", before=before, rows=batch_rows)
        if last is None:
            return 0
        database.run("move_anchor", sequence=last[0], hash=last[1])
        told.drop_before(database, last[0] + 1)
        return database.run("drop_rows_up_to_the_anchor")
