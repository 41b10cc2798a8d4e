"""The one place where sqlite3's and the file system's exceptions become `StateStoreError`s that say what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.errors import StateStoreError

_RESTORE = (
    "restore the last backup, or move the file away and run `reconciler adopt --all`, which records the present files "
    "as applied without calling anything"
)

_ADVICE = {
    sqlite3.SQLITE_NOTADB: f"expected a SQLite database, found something else: {_RESTORE}",
    sqlite3.SQLITE_CORRUPT: f"the database is damaged: {_RESTORE}",
    sqlite3.SQLITE_FULL: "the disk is full: free some space; nothing is called until the store can be written",
    sqlite3.SQLITE_READONLY: "cannot be written: check owner and mode of the file and of its directory, and the mount",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that it is a file, and owner and mode of it and of its directory",
    sqlite3.SQLITE_IOERR: "reading or writing failed: check the disk and its free space",
    sqlite3.SQLITE_BUSY: "another process keeps the database busy: see who has it open (`fuser`) and try again",
}


@contextmanager
def mapped_errors(path: Path) -> Iterator[None]:
    """Turn sqlite3's and the operating system's exceptions into `StateStoreError`.

    Args:
        path: the file that the work inside is about, named in the message.

    Raises:
        StateStoreError: which file, what was found, what to do.
    """
    try:
        yield
    except sqlite3.Error as error:
        found = getattr(error, "sqlite_errorname", type(error).__name__)
        advice = _ADVICE.get(primary_code(error), "SQLite refused: this is a defect, or the file was changed by hand")
        raise StateStoreError(f"{path}: {advice} ({found}: {error})") from error
    except OSError as error:
        file = error.filename or path
        advice = "check owner, mode and free space of it and of its directory"
        raise StateStoreError(f"{path}: {error.strerror}: '{file}': {advice}") from error


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension; -1 for errors of the sqlite3 module itself."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & 0xFF if code >= 0 else -1
