"""The store as a whole: beside other stores, threads and processes, and without a file."""

import threading

import pytest

from reconciler.errors import StateStoreError
from reconciler.model import Condition, Outcome

ACCEPTED = Outcome(Condition.VERIFYING, "", 9_007_199_254_740_993, "req-1")


def test_nothing_is_known_of_an_address_at_first(store):
    assert store.records() == {}
    assert store.record("a1") is None
    assert store.applied("a1") is None
    assert store.candidates("a1") == ()


def test_a_second_store_sees_at_once_what_was_recorded(store, open_store, snapshot):
    reader = open_store(read_only=True)
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    assert reader.exists
    assert reader.records() == store.records()


def test_another_process_sees_at_once_what_was_recorded(store, start, path, snapshot):
    process = start("store = open_store()\nsay('open')\ninput()\nsay(list(store.records()))\nstore.close()", path)
    assert process.stdout.readline() == "open\n"
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    assert process.communicate("\n") == ("['a1']\n", "")


def test_threads_share_a_store(store, intent):
    def attempt(number: int) -> None:
        for _ in range(5):
            store.conclude(store.begin(intent("A", address=f"a{number}")), ACCEPTED)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {record.serial for record in store.records().values()} == {5}
    assert store.verify_journal() == 40


def test_a_missing_store_opened_for_reading_is_empty_and_stays_missing(open_store, path):
    reader = open_store(read_only=True)
    assert not reader.exists
    assert (reader.records(), reader.history(None, 9), reader.verify_journal()) == ({}, [], 0)
    assert (reader.suspensions(), reader.target_trouble(), reader.holder()) == ({}, {}, None)
    assert not path.parent.exists()


def test_a_store_opened_for_reading_records_nothing(store, open_store, intent):
    reader = open_store(read_only=True)
    with pytest.raises(StateStoreError, match="opened for reading only: nothing can be recorded"):
        reader.begin(intent())
    with pytest.raises(StateStoreError, match="opened for reading only: there is nothing to lock"):
        reader.writer_lock(0, "apply")


def test_a_closed_store_says_so_and_closes_again(store):
    store.close()
    store.close()
    with pytest.raises(StateStoreError, match="closed database"):
        store.records()
