"""All records in memory: always what is in the database."""

import sqlite3
import threading
from contextlib import closing
from datetime import timedelta

import pytest

from reconciler.errors import StateStoreError
from reconciler.model import Condition, Outcome, Suspension

ACCEPTED = Outcome(Condition.VERIFYING, "", 77, "req-1")
UNKNOWN = Outcome(Condition.UNKNOWN, "read timeout")
ACTS = {
    "begin": lambda store, intent, _: store.begin(intent("B")),
    "conclude": lambda store, _, __: store.conclude(1, ACCEPTED),
    "conclude again": lambda store, _, __: store.conclude(1, Outcome(Condition.RETRYING, "503")),
    "set_condition": lambda store, _, __: store.set_condition("a1", Condition.FAILED, "EXCEPTION"),
    "set_component": lambda store, _, __: store.set_component("a1", "c2"),
    "adopt": lambda store, _, snapshot: store.adopt("a1", "shop", snapshot("B"), "r2", ""),
    "refingerprint": lambda store, _, snapshot: store.refingerprint("a1", snapshot("C", key_id="k2")),
    "take_over": lambda store, _, __: store.take_over("a1", "store"),
    "forget": lambda store, _, __: store.forget("a1"),
    "retry": lambda store, _, __: store.retry("a1"),
}


@pytest.fixture
def filled(store, intent, snapshot):
    """A store that knows two addresses, one with content and an attempt whose outcome is unknown."""
    number = store.begin(intent("A"))
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    store.conclude(number, UNKNOWN)
    store.adopt("a2", "bank", snapshot("A"), "r1", "")
    return store


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_whatever_another_store_changes_is_seen(filled, open_store, intent, snapshot, act):
    other = open_store()
    before = filled.records()["a1"]
    act(other, intent, snapshot)
    assert filled.records() == open_store(read_only=True).records()
    assert filled.records().get("a1") != before


def test_only_what_changed_is_read_again(filled, open_store):
    before = filled.records()
    open_store().set_condition("a1", Condition.FAILED, "EXCEPTION")
    after = filled.records()
    assert after["a1"] is not before["a1"]
    assert after["a2"] is before["a2"]


def test_rows_about_no_address_read_nothing(filled, open_store):
    before = filled.records()
    open_store().suspend("*", Suspension("freeze", None))
    assert filled.records() is filled.records() is before


def test_records_handed_out_stay_as_they_were(filled, snapshot):
    before = filled.records()
    names = iter(before)
    assert next(names) == "a1"
    filled.adopt("a3", "shop", snapshot("A"), "r1", "")
    filled.forget("a1")
    assert list(filled.records()) == ["a2", "a3"]
    assert (list(names), list(before)) == (["a2"], ["a1", "a2"])


def test_nobody_changes_what_others_read(filled):
    with pytest.raises(TypeError):
        filled.records()["a1"] = None


def test_new_addresses_come_in_order(filled, snapshot):
    filled.records()
    for address in ("a9", "a0", "a11", "é", "Z"):
        filled.adopt(address, "shop", snapshot("A"), "r1", "")
    assert list(filled.records()) == ["Z", "a0", "a1", "a11", "a2", "a9", "é"]


def test_changes_whose_rows_were_dropped_are_seen_all_the_same(filled, open_store, clock):
    filled.records()
    other = open_store()
    other.set_condition("a2", Condition.FAILED, "EXCEPTION")
    other.conclude(1, ACCEPTED)
    other.set_condition("a1", Condition.SYNCED, "")
    other.prune(clock() + timedelta(hours=1))
    assert filled.records() == open_store(read_only=True).records()


def test_a_backup_put_back_is_seen(filled, open_store, path, tmp_path, snapshot):
    with closing(open_store(tmp_path / "other.db")) as other:
        for number in range(9):
            other.adopt(f"b{number}", "shop", snapshot("B"), "r1", "")
    filled.records()
    with closing(sqlite3.connect(tmp_path / "other.db")) as source, closing(sqlite3.connect(path)) as place:
        source.backup(place)
    assert list(filled.records()) == [f"b{number}" for number in range(9)]


def test_a_change_that_was_undone_is_not_seen(filled, path, intent):
    before = filled.records()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TRIGGER refuse BEFORE INSERT ON intents BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StateStoreError, match="changed by hand"):
        filled.begin(intent("B", address="a3"))
    assert filled.records() == before


def test_threads_read_while_others_write(filled, open_store, snapshot):
    other, done, seen = open_store(), threading.Event(), []

    def read() -> None:
        while not done.is_set():
            seen.append(sum(record.serial for record in filled.records().values()))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(60):
        (filled if number % 2 else other).adopt(f"b{number}", "shop", snapshot("A"), "r1", "")
    done.set()
    for reader in readers:
        reader.join()
    assert max(seen, default=0) <= sum(record.serial for record in filled.records().values())
    assert filled.records() == other.records()
