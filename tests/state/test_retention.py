"""Dropping old rows of the journal."""

import signal
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from reconciler.errors import StateStoreError
from reconciler.model import Condition, Outcome
from reconciler.state import retention
from reconciler.state.database import open_for_writing

ACCEPTED = Outcome(Condition.VERIFYING, "", 77, "req-1")
UNKNOWN = Outcome(Condition.UNKNOWN, "read timeout")
HOUR = timedelta(hours=1)


@pytest.fixture
def noted(store):
    """A store with six rows, one second after the other."""
    for number in range(1, 7):
        store.note("force", f"task {number}", {})
    return store


@pytest.fixture
def outside(path):
    """Run a statement as somebody who took the triggers away."""

    def run(statement: str) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute(statement)

    return run


def sequences(store) -> list[int]:
    return [entry.sequence for entry in store.rows_after(0)]


def test_rows_older_than_a_moment_go_and_the_rest_is_sound(noted):
    before = noted.history("task 4", 1)[0].at
    assert noted.prune(before) == 3
    assert (sequences(noted), noted.verify_journal(), noted.dropped_rows()) == ([4, 5, 6], 3, 3)


def test_pruning_again_drops_nothing_more(noted):
    before = noted.history("task 4", 1)[0].at
    assert [noted.prune(before), noted.prune(before)] == [3, 0]


def test_pruning_goes_on_where_it_ended(noted, clock):
    noted.prune(noted.history("task 3", 1)[0].at)
    noted.note("force", "task 7", {})
    assert noted.prune(noted.history("task 6", 1)[0].at) == 3
    assert (sequences(noted), noted.verify_journal(), noted.dropped_rows()) == ([6, 7], 2, 5)


def test_the_newest_row_stays_and_is_followed_by_its_next_number(noted, clock):
    assert noted.prune(clock() + HOUR) == 5
    noted.note("force", "task 7", {})
    assert (sequences(noted), noted.verify_journal()) == ([6, 7], 2)


def test_an_empty_journal_has_nothing_to_prune(store, clock):
    assert (store.prune(clock()), store.verify_journal(), store.dropped_rows()) == (0, 0, 0)


def test_a_row_of_the_future_ends_it(store, clock):
    store.note("force", "task 1", {})
    clock.at += HOUR
    store.note("force", "task 2", {})
    clock.at -= HOUR
    for number in (3, 4):
        store.note("force", f"task {number}", {})
    assert store.prune(clock()) == 1
    assert sequences(store) == [2, 3, 4]


def test_an_open_intent_and_what_follows_it_survive(store, intent, clock):
    store.note("force", "shop", {})
    number = store.begin(intent("A"))
    store.conclude(number, UNKNOWN)
    assert store.prune(clock() + HOUR) == 1
    store.conclude(number, ACCEPTED)
    assert (sequences(store), store.prune(clock() + HOUR), store.verify_journal()) == ([2, 3, 4], 2, 1)


def test_an_intent_that_somebody_set_aside_keeps_nothing_back(store, intent, snapshot, clock):
    store.begin(intent("A"))
    store.adopt("a1", "shop", snapshot("B"), "r1", "")
    assert store.prune(clock() + HOUR) == 1


def test_more_rows_than_a_batch_go_in_several_and_others_write_in_between(noted, clock, path):
    pauses: list[float] = []

    def meanwhile(seconds: float) -> None:
        noted.note("force", "meanwhile", {})
        pauses.append(seconds)

    with closing(open_for_writing(path)) as database:
        assert retention.prune(database, clock(), batch_rows=2, sleep=meanwhile) == 6
    assert (sequences(noted), noted.verify_journal()) == ([7, 8, 9], 3)
    assert len(pauses) == 3


def test_a_batch_that_fails_leaves_the_journal_whole(noted, clock, path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE DELETE ON journal WHEN OLD.sequence = 4 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    with pytest.raises(StateStoreError, match="changed by hand"):
        noted.prune(clock() + HOUR)
    assert (noted.verify_journal(), noted.dropped_rows()) == (6, 0)


def test_kill_9_in_the_middle_leaves_the_journal_whole(noted, start, path):
    code = """
from datetime import timedelta
from reconciler.state import retention
from reconciler.state.database import open_for_writing
database = open_store()._database
with database.writing():
    last = database.row("last_droppable", before="9", rows=5)
    database.run("move_anchor", sequence=last[0], hash=last[1])
    print(database.run("drop_rows_up_to_the_anchor"), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    process = start(code, path)
    assert process.communicate() == ("5\n", "")
    assert process.returncode == -signal.SIGKILL
    assert (noted.verify_journal(), noted.dropped_rows()) == (6, 0)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE journal SET task = 'x' WHERE sequence = 5", "journal row 5 is not what was written"),
        ("UPDATE journal SET task = 'x' WHERE sequence = 4", "journal row 4 does not follow from the anchor"),
        (
            "DELETE FROM journal WHERE sequence = 4",
            "row 4 does not follow from the anchor, which stands for the 3 rows",
        ),
        ("DELETE FROM journal", "row 4 does not follow from the anchor"),
        ("UPDATE journal_anchor SET hash = 'f00'", "row 4 does not follow from the anchor"),
        (
            "UPDATE journal_anchor SET sequence = 2",
            "row 3 does not follow from the anchor, which stands for the 2 rows",
        ),
        (
            "UPDATE journal_anchor SET sequence = 5",
            "row 6 does not follow from the anchor, which stands for the 5 rows",
        ),
        ("DELETE FROM journal_anchor", "journal row 1 is not what was written"),
    ],
    ids=["row", "first row", "first row gone", "all gone", "hash", "moved back", "moved on", "anchor gone"],
)
def test_tampering_is_found_after_pruning_too(noted, outside, statement, message):
    noted.prune(noted.history("task 4", 1)[0].at)
    outside(statement)
    with pytest.raises(StateStoreError, match=message):
        noted.verify_journal()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_anchor SET sequence = 2",
        "UPDATE journal_anchor SET hash = 'f00'",
        "UPDATE journal_anchor SET sequence = 5, hash = 'f00'",
        "UPDATE journal_anchor SET (sequence, hash) = (SELECT sequence, hash FROM journal WHERE sequence = 6)",
        "DELETE FROM journal_anchor",
        "INSERT INTO journal_anchor VALUES (2, 9, '')",
        "INSERT OR REPLACE INTO journal_anchor VALUES (1, 9, '')",
        "DELETE FROM journal WHERE sequence = 4",
        "UPDATE journal SET task = 'x'",
    ],
    ids=["back", "hash", "no row", "newest", "gone", "two", "replaced", "a row after it", "update"],
)
def test_the_database_refuses_to_move_the_anchor_but_forward(noted, path, statement):
    noted.prune(noted.history("task 4", 1)[0].at)
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError, match="journal"):
        connection.execute(statement)


def test_a_store_opened_for_reading_prunes_nothing(noted, open_store, clock):
    with pytest.raises(StateStoreError, match="opened for reading only"):
        open_store(read_only=True).prune(clock())
