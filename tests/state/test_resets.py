"""The ledger of resets."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.errors import StateStoreError
from reconciler.model import Approval, ResetEntry, ResetKey, Stage

KEY = ResetKey("default", "np_4x9jabcd", False, "back-to-monday")
AT = datetime(2026, 11, 20, 12, 0, 0, 250, tzinfo=UTC)
ENTRY = ResetEntry(KEY, "digest", "shop", "a1", 1_795_132_800, Stage.PENDING, AT, "said so")
FULL = replace(
    ENTRY,
    key=replace(KEY, reverse=True),
    stage=Stage.DONE,
    position_before=1_795_140_000,
    stopped=True,
    plan="plan-1",
    content_id="c1",
    ticket=18_446_744_073_709_551_615,
    request_id="req-1",
)


def test_the_ledger_is_empty_at_first(store, open_store):
    assert store.resets() == open_store(read_only=True).resets() == {}
    assert store.reset(KEY) is None


@pytest.mark.parametrize("entry", [ENTRY, FULL], ids=["begun", "ended"])
def test_a_row_is_read_as_it_was_written(store, open_store, entry):
    assert store.move_reset(entry, None)
    assert store.reset(entry.key) == entry
    assert store.resets() == open_store(read_only=True).resets() == {entry.key: entry}


def test_every_member_of_the_key_makes_another_row(store):
    others = [replace(KEY, **{f.name: True if f.name == "reverse" else "other"}) for f in fields(KEY)]
    assert all(store.move_reset(replace(ENTRY, key=key), None) for key in [KEY, *others])
    assert set(store.resets()) == {KEY, *others}


@pytest.mark.parametrize(
    ("stage", "expected", "moves"),
    [
        (None, None, True),
        (None, Stage.PENDING, False),
        (Stage.PENDING, None, False),
        (Stage.PENDING, Stage.STOPPING, False),
        (Stage.PENDING, Stage.PENDING, True),
    ],
    ids=["none yet", "none, and one expected", "one, and none expected", "at another stage", "as expected"],
)
def test_a_row_moves_only_from_where_it_is_expected(store, stage, expected, moves):
    if stage is not None:
        store.move_reset(replace(ENTRY, stage=stage), None)
    before, rows = store.reset(KEY), store.last_sequence()
    after = replace(ENTRY, stage=Stage.SENDING, since=AT + timedelta(hours=1))
    assert store.move_reset(after, expected) is moves
    assert store.reset(KEY) == (after if moves else before)
    assert store.last_sequence() == rows + moves


def test_every_move_is_on_record(store):
    store.move_reset(replace(ENTRY, key=FULL.key), None)
    store.move_reset(FULL, Stage.PENDING)
    row, first = store.history("shop", 9)
    assert (row.kind, row.address, row.action, row.outcome, row.plan) == ("reset", "a1", "reset", "done", "plan-1")
    assert (row.ticket, row.request_id, first.outcome) == (FULL.ticket, "req-1", "pending")
    assert row.detail == {
        "target": "default",
        "project": "np_4x9jabcd",
        "reverse": True,
        "request": "back-to-monday",
        "start": 1_795_132_800,
        "position_before": 1_795_140_000,
        "stopped": True,
        "reason": "said so",
    }


def test_two_tasks_of_a_project_share_a_row(store):
    store.move_reset(ENTRY, None)
    assert store.move_reset(replace(ENTRY, task="bank", address="a2", stage=Stage.STOPPING), Stage.PENDING)
    assert [(entry.task, entry.address) for entry in store.resets().values()] == [("bank", "a2")]


@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.value)
def test_an_approval_is_used_up_when_the_call_has_ended(store, stage):
    store.approve(Approval("c1", "shop", "a1", "plan-1", "reset", (), "read it", "ann", AT, AT + timedelta(days=1)))
    store.move_reset(replace(ENTRY, stage=stage, content_id="c1"), None)
    assert bool(store.approvals()) is (stage in (Stage.PERHAPS_SENT, Stage.PENDING, Stage.STOPPING, Stage.SENDING))


def test_a_move_that_fails_changes_nothing(store, path):
    store.move_reset(ENTRY, None)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TRIGGER refuse BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StateStoreError, match="changed by hand"):
        store.move_reset(replace(ENTRY, stage=Stage.SENDING), Stage.PENDING)
    assert store.reset(KEY) == ENTRY


# --- rows are never removed ----------------------------------------------------------------------------------------


def test_neither_forgetting_nor_pruning_removes_a_row(store, snapshot, clock):
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    store.move_reset(FULL, None)
    store.forget("a1")
    store.note("force", "shop", {})
    store.prune(clock() + timedelta(days=9999))
    assert store.resets() == {FULL.key: FULL}


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM resets", "never cut"),
        ("INSERT OR REPLACE INTO resets SELECT * FROM resets", "has this request"),
        ("UPDATE resets SET request = 'other'", "stays the one that it is"),
        ("UPDATE resets SET digest = 'other'", "stays the one that it is"),
        ("UPDATE OR REPLACE resets SET reverse = 1", "stays the one that it is"),
    ],
    ids=["delete", "replace", "rename", "other content", "other direction"],
)
def test_the_database_itself_refuses_to_lose_a_row(store, path, statement, words):
    store.move_reset(ENTRY, None)
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError, match=words):
        connection.execute(statement)
    assert store.reset(KEY) == ENTRY


def test_the_same_request_with_other_content_is_refused(store):
    store.move_reset(ENTRY, None)
    with pytest.raises(StateStoreError, match="stays the one that it is"):
        store.move_reset(replace(ENTRY, digest="other", stage=Stage.STOPPING), Stage.PENDING)
    assert store.reset(KEY) == ENTRY


def test_a_row_without_an_address_is_refused(store):
    with pytest.raises(StateStoreError, match="CHECK constraint failed"):
        store.move_reset(replace(ENTRY, address=""), None)


# --- races ---------------------------------------------------------------------------------------------------------

RACER = """
import threading
from reconciler.model import ResetEntry, ResetKey, Stage
store, start, expected = open_store(), threading.Barrier(5), Stage(sys.argv[2]) if sys.argv[2] else None
won = []

def race(number):
    key = ResetKey("default", "np_1", False, f"request {number}")
    start.wait()
    entry = ResetEntry(key, "digest", "shop", "a1", 5, Stage.STOPPING, datetime.now(UTC))
    won.append(store.move_reset(entry, expected))

for number in range(10):
    start.reset()
    threads = [threading.Thread(target=race, args=(number,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    if not number:
        say("ready")
        input()
    start.wait()
    for thread in threads:
        thread.join()
say(sum(won))
store.close()
"""


@pytest.mark.parametrize("expected", [None, Stage.PENDING], ids=["none yet", "pending"])
def test_of_all_threads_of_two_processes_one_moves_a_reset(store, start, path, expected):
    requests = [ResetKey("default", "np_1", False, f"request {number}") for number in range(10)]
    for key in requests if expected else ():
        store.move_reset(replace(ENTRY, key=key), None)
    processes = [start(RACER, path, expected.value if expected else "") for _ in range(2)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    assert sum(int(process.communicate()[0]) for process in processes) == len(requests)
    rows = [row for row in store.history(None, 999) if row.outcome == Stage.STOPPING.value]
    assert sorted(row.detail["request"] for row in rows) == sorted(key.request for key in requests)
    assert store.verify_journal() == store.last_sequence()


def test_of_two_threads_that_share_a_store_one_moves_a_reset(store):
    won: list[bool] = []
    together = threading.Barrier(8)

    def race() -> None:
        together.wait()
        won.append(store.move_reset(ENTRY, None))

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def test_a_move_is_on_disk_before_its_process_is_killed(start, path, open_store):
    code = """
from reconciler.model import ResetEntry, ResetKey, Stage
entry = ResetEntry(ResetKey("default", "np_1", False, "r"), "d", "shop", "a1", 5, Stage.SENDING, datetime.now(UTC))
open_store().move_reset(entry, None)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert start(code, path).wait() != 0
    assert [entry.stage for entry in open_store(read_only=True).resets().values()] == [Stage.SENDING]
