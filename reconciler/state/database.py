"""One SQLite connection: opened with care, migrated, shared by threads; it knows nothing of what the tables mean.

One connection behind a lock rather than one per thread: SQLite has one writer at a time anyway, every transaction
here takes milliseconds, and closing the store closes everything. Other processes read while one writes (WAL).
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reconciler.errors import MigrationError, StateStoreError
from reconciler.state.queries import MIGRATIONS, QUERIES
from reconciler.state.schema import check, migrate
from reconciler.state.sqlite_errors import mapped_errors, primary_code

WAL_LIMIT_BYTES = 8 * 1024 * 1024
"""What the write-ahead log is cut to when it starts again after a long reader let it grow; half of it is usual."""

_BUSY_S = 5.0


class Database:
    """A connection that several threads may use, one at a time.

    Args:
        path: shown in messages; the file itself unless the database is in memory.
        connection: in autocommit mode, checked and migrated.
        read_only: refuse to write.
        exists: whether there is a file; without one the database is empty and in memory.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, read_only: bool, exists: bool) -> None:
        self.path = path
        self.read_only = read_only
        self.exists = exists
        self._connection = connection
        self._lock = threading.RLock()
        self._file = _identity(path) if exists else None

    @contextmanager
    def reading(self) -> Iterator["Database"]:
        """Keep other threads out; statements inside see one state of the database."""
        with self._transaction("BEGIN"):
            yield self

    @contextmanager
    def writing(self) -> Iterator["Database"]:
        """One transaction: on disk when it ends, undone when anything is raised inside.

        Raises:
            StateStoreError: opened for reading only, the file is gone, or SQLite says no.
        """
        if self.read_only:
            raise StateStoreError(f"{self.path}: opened for reading only: nothing can be recorded")
        with mapped_errors(self.path):
            if _identity(self.path) != self._file:
                raise StateStoreError(f"{self.path}: was replaced while open: restart, so that nothing is lost")
        with self._transaction("BEGIN IMMEDIATE"):
            yield self

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._lock, mapped_errors(self.path):
            self._connection.execute(begin)
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite has undone it itself when the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    def glance(self, query: str, **values: object) -> tuple[Any, ...] | None:
        """First row of one statement that is a transaction by itself: for what is asked at every turn of a loop."""
        with self._lock, mapped_errors(self.path):
            return self.row(query, **values)

    def run(self, query: str, **values: object) -> int:
        """Execute a statement by its name; returns how many rows it changed."""
        return self._connection.execute(QUERIES[query], _bindable(values)).rowcount

    def run_many(self, query: str, values: Iterable[Mapping[str, object]]) -> None:
        """Execute a statement by its name once for each mapping."""
        self._connection.executemany(QUERIES[query], map(_bindable, values))

    def rows(self, query: str, **values: object) -> Iterator[tuple[Any, ...]]:
        """Rows of a statement by its name, as they are read."""
        return self._connection.execute(QUERIES[query], _bindable(values))

    def row(self, query: str, **values: object) -> tuple[Any, ...] | None:
        """First row of a statement by its name."""
        return next(self.rows(query, **values), None)

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        with self._lock, mapped_errors(self.path):
            self._connection.close()


def open_for_writing(path: Path) -> Database:
    """Open a database, made and migrated if need be.

    Args:
        path: the file; its directory is created with mode 0700, the file with 0600.

    Raises:
        MigrationError: it belongs to a newer release, or a migration failed.
        StateStoreError: it cannot be opened or written.
    """
    path = _real(path)
    with mapped_errors(path):
        _make_private_folder(path.parent)
        with _alone_in(path.parent):
            _create_private(path)
            connection = _connect(path, "mode=rw")
            try:
                check(connection, path)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
                migrate(connection, path)
                _try_writing(connection)
            except BaseException:
                connection.close()
                raise
    return Database(path, connection, read_only=False, exists=True)


def open_for_reading(path: Path) -> Database:
    """Open a database without creating one; a missing one is empty.

    Where the directory can be written, SQLite may leave an empty `-wal` and a `-shm` beside the file, which the next
    writer takes away: it is how readers stay right when a writer comes while they read.

    Raises:
        MigrationError: it belongs to another release.
        StateStoreError: it cannot be read.
    """
    path = _real(path)
    with mapped_errors(path):
        connection = _connect_existing(path)
        if connection is not None:
            return Database(path, connection, read_only=True, exists=True)
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        migrate(connection, path)
    return Database(path, connection, read_only=True, exists=False)


def _connect_existing(path: Path) -> sqlite3.Connection | None:
    """A checked connection for reading; None when there is no database yet.

    On a read-only file system SQLite cannot make the two files that it shares with writers. Then it is told that
    nobody writes, unless a log with changes not yet in the main file shows that this would be a lie.
    """
    if not path.exists():
        return None
    try:
        connection, version = _connect_checked(path, "mode=ro")
    except sqlite3.OperationalError as error:
        if primary_code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise StateStoreError(
                f"{path}: {log.name} holds changes that cannot be read without write access to the directory: "
                "copy both files to a directory of yours, or read as the owner"
            ) from error
        connection, version = _connect_checked(path, "mode=ro&immutable=1")
    if version == 0:
        connection.close()
        return None
    if version < len(MIGRATIONS):
        connection.close()
        raise MigrationError(
            f"{path}: written by an older release (schema {version}, expected {len(MIGRATIONS)}), and reading changes "
            "nothing: run `reconciler apply` or restart the daemon, which bring it up to date"
        )
    return connection


def _connect_checked(path: Path, mode: str) -> tuple[sqlite3.Connection, int]:
    connection = _connect(path, mode)
    try:
        return connection, check(connection, path)
    except BaseException:
        connection.close()
        raise


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.as_uri()}?{mode}"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)


def _try_writing(connection: sqlite3.Connection) -> None:
    """Fail now rather than at the first intent: SQLite opens a file that it may not write without a word."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("ROLLBACK")


def _real(path: Path) -> Path:
    """The file itself, so that all links to one database share its lock and its key."""
    return Path(os.path.realpath(path))


def _make_private_folder(folder: Path) -> None:
    """Make the folder of the store, and keep git from taking it in: it holds a key."""
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError), (folder / ".gitignore").open("x", encoding="utf-8") as file:
            file.write("*\n")


def _create_private(path: Path) -> None:
    """Make an empty file with mode 0600. One that exists is not touched: closing it would drop SQLite's locks."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep other processes from opening a store in this directory at the same time.

    Two processes that make one database, or switch it to WAL, at once would get SQLITE_BUSY whatever the timeout.
    The lock is on the directory itself: it leaves no file, and SQLite's own locks on the database are untouched.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _bindable(values: Mapping[str, object]) -> dict[str, object]:
    """The same values, with text that SQLite can hold: a server's broken characters must not lose an outcome."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in values.items()}


def printable(text: str) -> str:
    r"""The same text, with lone surrogates written out as `\udcff`."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
