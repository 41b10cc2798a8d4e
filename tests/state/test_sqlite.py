"""What is known of an address, what people say, and reading beside a writer."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest

from reconciler.errors import StateStoreError
from reconciler.model import Condition, Outcome, Record, Suspension

ACCEPTED = Outcome(Condition.VERIFYING, "", 9_007_199_254_740_993, "req-1")


def test_adopting_records_content_without_a_call(store, snapshot):
    store.adopt("a1", "shop", snapshot("A"), "r1", "first sight")
    assert store.records() == {
        "a1": Record(
            address="a1",
            task="shop",
            serial=1,
            digest="digest of A",
            digest_version=1,
            fingerprints={"/sink/password": "print of A"},
            key_id="k1",
            revision="r1",
            applied_at=datetime(2026, 11, 20, 12, 0, 1, 250, tzinfo=UTC),
            condition=Condition.SYNCED,
            reason="",
            since=datetime(2026, 11, 20, 12, 0, 1, 250, tzinfo=UTC),
            attempted=None,
            attempts=0,
            open_intents=0,
            ticket=None,
            request_id=None,
        )
    }
    assert store.record("a1") == store.records()["a1"]
    assert store.applied("a1") == snapshot("A")


def test_nothing_is_known_of_an_address_at_first(store):
    assert store.records() == {}
    assert store.record("a1") is None
    assert store.applied("a1") is None
    assert store.candidates("a1") == ()


def test_adopting_closes_open_intents_and_clears_failures(store, intent, snapshot):
    store.conclude(store.begin(intent("A")), ACCEPTED)
    store.conclude(store.begin(intent("B")), Outcome(Condition.UNKNOWN, "timeout"))
    store.adopt("a1", "shop", snapshot("C"), "r2", "")
    record = store.record("a1")
    assert (record.condition, record.open_intents, record.attempts, record.attempted) == (Condition.SYNCED, 0, 0, None)
    assert (record.serial, record.ticket, record.request_id) == (3, None, None)
    assert store.candidates("a1") == ()


def test_health_is_recorded_with_the_moment_it_changed(store, snapshot):
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    store.set_condition("a1", Condition.FAILED, "EXCEPTION")
    since = store.record("a1").since
    store.set_condition("a1", Condition.FAILED, "EXCEPTION: no space")
    record = store.record("a1")
    assert (record.condition, record.reason, record.since) == (Condition.FAILED, "EXCEPTION: no space", since)


def test_the_same_health_again_writes_nothing(store, snapshot):
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    store.set_condition("a1", Condition.UNCONFIRMED, "no answer")
    store.set_condition("a1", Condition.UNCONFIRMED, "no answer")
    assert [entry.kind for entry in store.history(None, 9)] == ["health", "adopt"]


def test_new_fingerprints_keep_the_serial(store, snapshot, open_store):
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    open_store(digest_version=2).refingerprint("a1", snapshot("A2", key_id="k2"))
    record = store.record("a1")
    assert (record.serial, record.digest, record.digest_version, record.key_id) == (1, "digest of A2", 2, "k2")
    assert store.applied("a1") == snapshot("A2", key_id="k2")


def test_new_fingerprints_without_stored_content_do_nothing(store, intent, snapshot):
    store.begin(intent("A"))
    store.refingerprint("a1", snapshot("A2"))
    assert store.applied("a1") is None
    assert [entry.kind for entry in store.history(None, 9)] == ["intent"]


def test_a_taken_over_record_stays_the_same_but_for_its_task(store, snapshot):
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    store.take_over("a1", "store")
    record = store.record("a1")
    assert (record.task, record.serial, record.digest) == ("store", 1, "digest of A")
    assert store.history("store", 1)[0].detail == {"from": "shop"}


def test_forgetting_drops_record_content_and_intents_but_not_the_journal(store, intent):
    store.conclude(store.begin(intent("A")), ACCEPTED)
    store.begin(intent("B"))
    store.forget("a1")
    assert (store.records(), store.applied("a1"), store.candidates("a1")) == ({}, None, ())
    assert [entry.kind for entry in store.history("shop", 9)] == ["forget", "intent", "outcome", "intent"]


@pytest.mark.parametrize(
    "act",
    [
        lambda store, _: store.set_condition("a9", Condition.SYNCED, ""),
        lambda store, snapshot: store.refingerprint("a9", snapshot("A")),
        lambda store, _: store.take_over("a9", "shop"),
        lambda store, _: store.forget("a9"),
        lambda store, _: store.retry("a9"),
    ],
    ids=["set_condition", "refingerprint", "take_over", "forget", "retry"],
)
def test_an_address_without_a_record_is_left_alone(store, snapshot, act):
    act(store, snapshot)
    assert store.records() == {}
    assert store.history(None, 9) == []


def test_a_suspension_replaces_the_one_before(store):
    until = datetime(2026, 12, 1, 8, 0, tzinfo=timezone(timedelta(hours=8)))
    store.suspend("shop", Suspension("freeze", None))
    store.suspend("shop", Suspension("longer freeze", until))
    store.suspend("*", Suspension("all", None))
    assert store.suspensions() == {"*": Suspension("all", None), "shop": Suspension("longer freeze", until)}
    assert store.suspensions()["shop"].until.tzinfo is UTC


def test_resuming_says_whether_there_was_a_suspension(store):
    store.suspend("shop", Suspension("freeze", None))
    assert [store.resume("shop"), store.resume("shop")] == [True, False]
    assert store.suspensions() == {}
    assert [entry.kind for entry in store.history("shop", 9)] == ["resume", "suspend"]


def test_the_last_trouble_of_a_target_is_remembered_until_cleared(store):
    store.set_target_trouble("default", "misconfigured", "401")
    store.set_target_trouble("default", "capability-missing", "Unsupported action")
    assert store.target_trouble() == {"default": ("capability-missing", "Unsupported action")}
    store.set_target_trouble("default", "", "")
    assert store.target_trouble() == {}


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
