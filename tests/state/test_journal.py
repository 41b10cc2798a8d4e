"""The journal and its chain."""

import sqlite3
import timeit
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.errors import StateStoreError
from reconciler.model import Condition, JournalEntry, Outcome, Suspension
from reconciler.state import journal
from reconciler.state.database import open_for_writing
from reconciler.state.journal import Entry
from reconciler.state.sqlite import ROWS_AT_ONCE


@pytest.fixture
def tampered(store, path):
    """Change the database from outside, the triggers that forbid it taken away."""
    for number in range(1, 5):
        store.note("force", f"task {number}", {})

    def run(statement: str) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute(statement)

    return run


def test_an_outcome_is_written_down_with_all_that_identifies_it(store, intent):
    number = store.begin(intent("A"))
    store.conclude(number, Outcome(Condition.VERIFYING, "", 77, "req-1"))
    entry = store.history("shop", 1)[0]
    assert entry == JournalEntry(
        sequence=2,
        at=datetime(2026, 11, 20, 12, 0, 2, 250, tzinfo=UTC),
        kind="outcome",
        task="shop",
        address="a1",
        action="update",
        outcome="verifying",
        revision="revision of A",
        plan="plan-1",
        ticket=77,
        request_id="req-1",
        detail={"intent": number, "message": ""},
        hash=entry.hash,
    )


def test_an_intent_is_written_down_with_what_it_will_send_and_why(store, intent):
    store.begin(replace(intent("A"), forced=("limits",), reason="asked for by ops"))
    entry = store.history("shop", 1)[0]
    assert (entry.kind, entry.sequence, entry.outcome) == ("intent", 1, "applying")
    assert entry.detail == {
        "item": "item-1",
        "request": "request of A",
        "attempt": 1,
        "digest": "digest of A",
        "forced": ["limits"],
        "reason": "asked for by ops",
    }


def test_everything_that_happens_is_written_down(store, intent, snapshot):
    store.adopt("a1", "shop", snapshot("A"), "r1", "first sight")
    store.conclude(store.begin(intent("B")), Outcome(Condition.VERIFYING, ""))
    store.set_condition("a1", Condition.SYNCED, "")
    store.refingerprint("a1", snapshot("B", key_id="k2"))
    store.take_over("a1", "store")
    store.retry("a1")
    store.forget("a1")
    store.suspend("*", Suspension("freeze", None))
    store.resume("*")
    store.note("force", "shop", {"rail": "limits"})
    kinds = [entry.kind for entry in reversed(store.history(None, 99))]
    assert kinds == [
        *("adopt", "intent", "outcome", "health", "refingerprint"),
        *("takeover", "retry", "forget", "suspend", "resume", "force"),
    ]
    assert store.verify_journal() == len(kinds)


def test_history_has_the_newest_rows_first_and_at_most_limit(store):
    for number in range(1, 5):
        store.note("force", "shop" if number % 2 else "other", {"number": number})
    assert [entry.sequence for entry in store.history(None, 3)] == [4, 3, 2]
    assert [entry.sequence for entry in store.history("shop", 9)] == [3, 1]


def test_a_note_may_hold_what_json_does_not_know(store):
    store.note("force", "shop", {"until": datetime(2026, 12, 1, tzinfo=UTC), "why": "\udcff"})
    assert store.history("shop", 1)[0].detail == {"until": "2026-12-01 00:00:00+00:00", "why": "\udcff"}
    assert store.verify_journal() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET task = 'x'",
        "DELETE FROM journal",
        "INSERT OR REPLACE INTO journal SELECT * FROM journal",
        "INSERT INTO journal SELECT 9, at, kind, task, '', '', '', '', '', NULL, NULL, '{}', '' FROM journal",
    ],
    ids=["update", "delete", "replace", "gap"],
)
def test_the_database_refuses_to_change_the_journal(store, path, statement):
    store.note("force", "shop", {})
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "sequence"),
    [
        ("UPDATE journal SET detail = '{\"rail\":1}' WHERE sequence = 3", 3),
        ("UPDATE journal SET hash = 'f00' WHERE sequence = 2", 2),
        ("DELETE FROM journal WHERE sequence = 2", 2),
        ("DELETE FROM journal WHERE sequence = 4", 4),
        ("DELETE FROM journal", 1),
        ("INSERT INTO journal SELECT 5, at, kind, task, '', '', '', '', '', NULL, NULL, '{}', hash FROM journal", 5),
    ],
    ids=["changed", "hash changed", "removed", "last removed", "all removed", "put in"],
)
def test_the_first_row_that_is_not_what_was_written_is_named(store, tampered, statement, sequence):
    tampered(statement + (" LIMIT 1" if "SELECT" in statement else ""))
    with pytest.raises(StateStoreError, match=f"reconciler.db: journal row {sequence} is not what was written"):
        store.verify_journal()


def test_a_row_stands_or_falls_with_what_it_reports(store, path, intent):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TRIGGER refuse BEFORE INSERT ON intents BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StateStoreError, match="changed by hand"):
        store.begin(intent())
    assert (store.records(), store.history(None, 9)) == ({}, [])


def test_the_number_of_the_newest_row_is_that_of_any_process(store, open_store, start, path):
    reader = open_store(read_only=True)
    assert reader.last_sequence() == 0
    store.note("force", "shop", {})
    assert start("open_store().note('force', 'shop', {})", path).wait(20) == 0
    assert (reader.last_sequence(), store.last_sequence()) == (2, 2)


def test_rows_after_a_number_come_with_the_oldest_first(store):
    for number in range(1, 5):
        store.note("force", f"task {number}", {})
    assert [entry.task for entry in store.rows_after(2)] == ["task 3", "task 4"]
    assert list(store.rows_after(0)) == list(reversed(store.history(None, 9)))
    assert store.rows_after(4) == []


def test_rows_come_in_portions(store, path, clock):
    with closing(open_for_writing(path)) as database, database.writing():
        for number in range(ROWS_AT_ONCE + 1):
            journal.append(database, clock.at, Entry("force", f"task {number}"))
    rows = store.rows_after(0)
    assert (len(rows), rows[-1].sequence) == (ROWS_AT_ONCE, ROWS_AT_ONCE)
    assert [entry.sequence for entry in store.rows_after(ROWS_AT_ONCE)] == [ROWS_AT_ONCE + 1]


def test_asking_for_the_newest_number_is_cheap(store):
    store.note("force", "shop", {})
    assert min(timeit.repeat(store.last_sequence, number=100, repeat=20)) / 100 < 50e-6
