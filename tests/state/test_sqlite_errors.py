"""Which words a foreign exception becomes."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.errors import StateStoreError
from reconciler.state.sqlite_errors import mapped_errors

PATH = Path("state/reconciler.db")


def test_a_full_database_asks_for_space():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count = 1")
        with (
            pytest.raises(StateStoreError, match=r"^state/reconciler\.db: the disk is full: free some space"),
            mapped_errors(PATH),
        ):
            connection.execute("CREATE TABLE t (x)")


def test_a_read_only_database_asks_for_its_owner_and_mode():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA query_only = ON")
        with pytest.raises(StateStoreError, match="cannot be written: check owner and mode"), mapped_errors(PATH):
            connection.execute("CREATE TABLE t (x)")


def test_what_is_not_foreseen_names_sqlites_own_code():
    defect = pytest.raises(StateStoreError, match=r"this is a defect.*\(SQLITE_ERROR: no such table: t\)")
    with closing(sqlite3.connect(":memory:")) as connection, defect, mapped_errors(PATH):
        connection.execute("SELECT * FROM t")


def test_an_operating_systems_error_names_the_file():
    with pytest.raises(StateStoreError, match="No such file or directory: '/nowhere/at/all'"), mapped_errors(PATH):
        Path("/nowhere/at/all").read_bytes()


def test_other_exceptions_pass():
    with pytest.raises(ZeroDivisionError), mapped_errors(PATH):
        raise ZeroDivisionError
