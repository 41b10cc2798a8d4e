"""Which commit of each ref is followed: the journal tells since when, so that its rows can be read by revision.

Every function works inside a transaction of the caller.
"""

from datetime import datetime

from reconciler.state import journal
from reconciler.state.database import Database
from reconciler.state.journal import Entry


def head(database: Database, ref: str) -> str:
    """Id of the commit of a ref that was followed last; "" when none was."""
    row = database.row("head", ref=ref)
    return "" if row is None else str(row[0])


def set_head(database: Database, now: datetime, ref: str, commit: str, reason: str) -> None:
    """Follow a commit from now on; the same one again writes nothing, unless another ref was followed meanwhile."""
    if database.row("newest_head") == (ref, commit):
        return
    detail = {"ref": ref, "from": head(database, ref), "reason": reason}
    begun = journal.append(database, now, Entry(kind="head", task="", revision=commit, detail=detail))
    database.run("set_head", ref=ref, revision=commit, begun=begun)
