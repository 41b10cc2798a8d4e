"""Whose database a file is, which shape it has, and how it gets the present one."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from reconciler.errors import MigrationError, StateStoreError
from reconciler.state.queries import MIGRATIONS

APPLICATION_ID = int.from_bytes(b"OMSR", "big")
"""What our databases carry in their header, so that another program's file is not taken for one."""


def check(connection: sqlite3.Connection, path: Path) -> int:
    """Schema version of a database; 0 for an empty one.

    Raises:
        StateStoreError: another program's database.
        MigrationError: a newer release's database.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StateStoreError(
            f"{path}: expected a database of reconciler, found another program's: "
            "set `[state] url` to a file of its own"
        )
    if version > len(MIGRATIONS):
        raise MigrationError(
            f"{path}: written by a newer release (schema {version}; this one knows up to {len(MIGRATIONS)}): install "
            "that release again, or restore the backup made before it"
        )
    return int(version)


def migrate(connection: sqlite3.Connection, path: Path, scripts: Sequence[str] = MIGRATIONS) -> None:
    """Run the migrations that are missing, all in one transaction; the caller keeps other processes away.

    Args:
        connection: in autocommit mode.
        path: shown in messages.
        scripts: all migrations in order, the first leads to version 1.

    Raises:
        MigrationError: a script failed; the database is as it was.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    missing = scripts[version:]
    if not missing:
        return
    try:
        connection.executescript(
            f"BEGIN EXCLUSIVE;\n{''.join(missing)}\nPRAGMA user_version = {len(scripts)};\nCOMMIT;"
        )
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise MigrationError(
            f"{path}: bringing it from schema {version} to {len(scripts)} failed and was undone ({error}): free some "
            "disk space if that is short, else report this as a defect"
        ) from error
