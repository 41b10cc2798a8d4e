"""Whose database a file is, and how it gets the present shape."""

import sqlite3
from contextlib import closing

import pytest

from reconciler.errors import MigrationError, StateStoreError
from reconciler.state import journal
from reconciler.state.database import Database
from reconciler.state.queries import MIGRATIONS
from reconciler.state.schema import check, migrate


def raw(path):
    return closing(sqlite3.connect(path, isolation_level=None))


def schema_of(path) -> list[object]:
    """Everything that SQLite knows of a database's shape."""
    with raw(path) as connection:
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
        return (
            pragmas + connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
        )


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_a_migrated_database_equals_a_fresh_one(tmp_path, open_store, version):
    fresh, migrated = tmp_path / "fresh.db", tmp_path / "migrated.db"
    with raw(migrated) as connection:
        migrate(connection, migrated, MIGRATIONS[:version])
    open_store(fresh)
    open_store(migrated)
    assert schema_of(migrated) == schema_of(fresh)


def test_only_missing_migrations_run(path, store):
    with raw(path) as connection:
        migrate(connection, path, [*MIGRATIONS, "CREATE TABLE later (x);"])
        migrate(connection, path, [*MIGRATIONS, "CREATE TABLE later (x);"])
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)


@pytest.mark.parametrize(
    "script", ["CREATE TABLE half (x); CREATE TABLE half (x);", "CREATE TABLE half (x); COMMIT; x"]
)
def test_a_failed_migration_says_so(path, store, script):
    with raw(path) as connection, pytest.raises(MigrationError, match=r"from schema \d+ to \d+ failed and was undone"):
        migrate(connection, path, [*MIGRATIONS, script])


def test_a_failed_migration_leaves_the_database_as_it_was(path, store):
    before = schema_of(path)
    with raw(path) as connection, pytest.raises(MigrationError):
        migrate(connection, path, [*MIGRATIONS, "CREATE TABLE half (x);", "nonsense;"])
    assert schema_of(path) == before


@pytest.mark.parametrize("read_only", [False, True], ids=["write", "read"])
def test_a_newer_database_is_refused_with_both_versions(store, open_store, path, read_only):
    newer, known = len(MIGRATIONS) + 1, len(MIGRATIONS)
    with raw(path) as connection:
        connection.execute(f"PRAGMA user_version = {newer}")
    with pytest.raises(
        MigrationError, match=rf"newer release \(schema {newer}; this one knows up to {known}\): install"
    ):
        open_store(read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True], ids=["write", "read"])
def test_another_programs_database_is_refused(tmp_path, open_store, read_only):
    path = tmp_path / "other.db"
    with raw(path) as connection:
        connection.execute("CREATE TABLE customers (name)")
    with pytest.raises(StateStoreError, match=r"found another program's: set `\[state\] url`"):
        open_store(path, read_only=read_only)


def test_reading_does_not_migrate_an_older_database(path, store, open_store):
    older = len(MIGRATIONS) - 1 or -1
    with raw(path) as connection:
        connection.execute(f"PRAGMA user_version = {older}")
    with pytest.raises(MigrationError, match=rf"older release \(schema {older}, expected {len(MIGRATIONS)}\)"):
        open_store(read_only=True)


def test_an_empty_database_has_version_zero(tmp_path):
    with raw(tmp_path / "empty.db") as connection:
        assert check(connection, tmp_path) == 0


def test_the_journal_of_an_older_release_is_still_sound(path, clock, open_store):
    path.parent.mkdir()
    with raw(path) as connection:
        migrate(connection, path, MIGRATIONS[:1])
        connection.execute("PRAGMA journal_mode = WAL")
        database = Database(path, connection, read_only=False, exists=True)
        for number in range(3):
            with database.writing():
                journal.append(database, clock(), journal.Entry("force", f"task {number}"))
    store = open_store()
    assert (store.verify_journal(), store.dropped_rows(), store.prune(clock())) == (3, 0, 2)
    assert store.verify_journal() == 1
