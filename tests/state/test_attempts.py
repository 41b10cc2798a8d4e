"""From intent to outcome."""

import signal

import pytest

from reconciler.errors import StateStoreError
from reconciler.model import Condition, Outcome

ACCEPTED = Outcome(Condition.VERIFYING, "", 77, "req-1")
UNKNOWN = Outcome(Condition.UNKNOWN, "read timeout", None, "req-2")
RETRYING = Outcome(Condition.RETRYING, "503")
FAILED = Outcome(Condition.FAILED, "PARAM_ERROR")


def test_an_intent_for_a_new_address_makes_its_record(store, intent, snapshot):
    store.begin(intent("A"))
    record = store.record("a1")
    assert (record.task, record.serial, record.digest, record.applied_at) == ("shop", 1, None, None)
    assert (record.condition, record.attempted, record.open_intents) == (Condition.APPLYING, "request of A", 1)
    assert store.candidates("a1") == (snapshot("A"),)
    assert store.applied("a1") is None


def test_an_intent_advances_the_serial_and_names_its_task(store, intent, snapshot):
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    store.begin(intent("B", task="store"))
    record = store.record("a1")
    assert (record.serial, record.task, record.digest, record.revision) == (2, "store", "digest of A", "r1")


def test_an_accepted_intent_becomes_last_applied(store, intent, snapshot, clock):
    store.conclude(store.begin(intent("A")), ACCEPTED)
    record = store.record("a1")
    assert store.applied("a1") == snapshot("A")
    assert (record.digest, record.key_id, record.revision) == ("digest of A", "k1", "revision of A")
    assert (record.condition, record.since, record.applied_at) == (Condition.VERIFYING, clock.at, clock.at)
    assert (record.ticket, record.request_id, record.open_intents, record.attempts) == (77, "req-1", 0, 0)


def test_accepted_without_anything_to_verify_is_not_verified(store, intent):
    store.conclude(store.begin(intent("A")), Outcome(Condition.NOT_VERIFIED, ""))
    assert store.record("a1").condition is Condition.NOT_VERIFIED


def test_accepted_closes_every_older_intent(store, intent):
    store.conclude(store.begin(intent("A")), UNKNOWN)
    store.begin(intent("B"))
    store.conclude(store.begin(intent("C")), ACCEPTED)
    assert store.record("a1").open_intents == 0
    assert store.candidates("a1") == ()


def test_accepted_leaves_intents_of_other_addresses_open(store, intent):
    store.conclude(store.begin(intent("A", address="a2")), UNKNOWN)
    store.conclude(store.begin(intent("A")), ACCEPTED)
    assert store.records()["a2"].open_intents == 1


@pytest.mark.parametrize("outcome", [RETRYING, FAILED], ids=["retrying", "failed"])
def test_an_intent_without_effect_is_closed_and_changes_no_content(store, intent, snapshot, outcome):
    store.adopt("a1", "shop", snapshot("A"), "r1", "")
    store.conclude(store.begin(intent("B")), outcome)
    record = store.record("a1")
    assert (record.condition, record.reason, record.attempted) == (outcome.condition, outcome.message, "request of B")
    assert (record.open_intents, record.attempts, record.revision) == (0, 0, "r1")
    assert store.applied("a1") == snapshot("A")


@pytest.mark.parametrize("outcome", [RETRYING, FAILED], ids=["retrying", "failed"])
def test_an_older_unknown_intent_outlives_one_without_effect(store, intent, snapshot, outcome):
    store.conclude(store.begin(intent("A")), UNKNOWN)
    store.conclude(store.begin(intent("B")), outcome)
    assert store.record("a1").condition is outcome.condition
    assert store.candidates("a1") == (snapshot("A"),)


def test_unknown_attempts_at_one_content_are_counted(store, intent, snapshot):
    for _ in range(3):
        store.conclude(store.begin(intent("A")), UNKNOWN)
    record = store.record("a1")
    assert (record.condition, record.attempts, record.open_intents) == (Condition.UNKNOWN, 3, 3)
    assert store.candidates("a1") == (snapshot("A"),) * 3


def test_an_unknown_attempt_at_other_content_counts_from_one(store, intent, snapshot):
    for name in ("A", "A", "B"):
        store.conclude(store.begin(intent(name)), UNKNOWN)
    assert store.record("a1").attempts == 1
    assert store.candidates("a1") == (snapshot("A"), snapshot("A"), snapshot("B"))


def test_an_attempt_without_effect_in_between_does_not_break_the_count(store, intent):
    for name, outcome in (("A", UNKNOWN), ("B", RETRYING), ("A", UNKNOWN)):
        store.conclude(store.begin(intent(name)), outcome)
    assert store.record("a1").attempts == 2


def test_an_attempt_under_way_counts_as_unknown_until_concluded(store, intent):
    store.conclude(store.begin(intent("A")), UNKNOWN)
    number = store.begin(intent("A"))
    assert store.record("a1").attempts == 2
    store.conclude(number, RETRYING)
    assert store.record("a1").attempts == 1


def test_a_failure_does_not_overwrite_ticket_and_request_of_what_is_applied(store, intent):
    store.conclude(store.begin(intent("A")), ACCEPTED)
    store.conclude(store.begin(intent("B")), UNKNOWN)
    record = store.record("a1")
    assert (record.ticket, record.request_id) == (77, "req-1")


def test_an_unknown_intent_may_be_concluded_later(store, intent, snapshot):
    number = store.begin(intent("A"))
    store.conclude(number, UNKNOWN)
    store.conclude(number, ACCEPTED)
    assert store.applied("a1") == snapshot("A")
    assert store.record("a1").open_intents == 0


def test_an_answer_that_comes_after_an_adoption_counts(store, intent, snapshot):
    number = store.begin(intent("A"))
    store.adopt("a1", "shop", snapshot("B"), "r2", "")
    store.conclude(number, ACCEPTED)
    assert store.applied("a1") == snapshot("A")


def test_an_unknown_outcome_after_an_adoption_makes_the_content_uncertain_again(store, intent, snapshot):
    number = store.begin(intent("A"))
    store.adopt("a1", "shop", snapshot("B"), "r2", "")
    store.conclude(number, UNKNOWN)
    assert (store.applied("a1"), store.candidates("a1")) == (snapshot("B"), (snapshot("A"),))


def test_an_intent_set_aside_by_an_adoption_is_gone_with_the_next_one(store, intent, snapshot):
    number = store.begin(intent("A"))
    store.adopt("a1", "shop", snapshot("B"), "r2", "")
    store.begin(intent("C"))
    store.conclude(number, UNKNOWN)
    assert store.candidates("a1") == (snapshot("C"),)


def test_the_outcome_of_a_forgotten_intent_is_only_in_the_journal(store, intent):
    number = store.begin(intent("A"))
    store.forget("a1")
    store.conclude(number, ACCEPTED)
    assert store.records() == {}
    assert (store.history("shop", 1)[0].kind, store.history("shop", 1)[0].ticket) == ("outcome", 77)


def test_concluding_what_was_never_begun_is_an_error(store):
    store.note("force", "shop", {})
    for number in (1, 2):
        with pytest.raises(StateStoreError, match=f"no intent has the number {number}"):
            store.conclude(number, ACCEPTED)
    assert len(store.history(None, 9)) == 1


def test_a_ticket_beyond_64_bits_and_broken_characters_lose_no_outcome(store, intent):
    store.conclude(store.begin(intent("A")), Outcome(Condition.VERIFYING, "odd \udcff text", 2**64, "é\ud800"))
    record = store.record("a1")
    assert (record.ticket, record.reason, record.request_id) == (2**64, "odd \\udcff text", "é\\ud800")
    assert store.verify_journal() == 2


def test_kill_9_right_after_begin_leaves_the_intent_open(start, path, open_store, snapshot):
    process = start("store = open_store(); store.begin(intent()); os.kill(os.getpid(), signal.SIGKILL)", path)
    assert process.wait(20) == -signal.SIGKILL
    store = open_store()
    record = store.record("a1")
    assert (record.condition, record.open_intents, record.attempts) == (Condition.APPLYING, 1, 1)
    assert store.candidates("a1")[0].digest == snapshot("A").digest
    assert [entry.kind for entry in store.history(None, 9)] == ["intent"]


def test_retry_of_failed_content_over_applied_content_is_unconfirmed(store, intent):
    store.conclude(store.begin(intent("A")), ACCEPTED)
    store.conclude(store.begin(intent("B")), FAILED)
    store.retry("a1")
    record = store.record("a1")
    assert (record.condition, record.reason, record.attempted, record.serial) == (
        Condition.UNCONFIRMED,
        "a retry was asked for",
        "request of B",
        2,
    )


@pytest.mark.parametrize("outcome", [RETRYING, FAILED], ids=["retrying", "failed"])
def test_retry_where_nothing_was_ever_applied_is_retrying_with_no_attempt(store, intent, outcome):
    store.conclude(store.begin(intent("A")), outcome)
    store.retry("a1")
    record = store.record("a1")
    assert (record.condition, record.attempted, record.attempts) == (Condition.RETRYING, None, 0)


def test_retry_with_open_intents_stays_unknown_and_counts_anew(store, intent):
    for _ in range(3):
        store.conclude(store.begin(intent("A")), UNKNOWN)
    store.retry("a1")
    record = store.record("a1")
    assert (record.condition, record.attempts, record.open_intents) == (Condition.UNKNOWN, 0, 3)
    store.conclude(store.begin(intent("A")), UNKNOWN)
    assert store.record("a1").attempts == 1


def test_retry_of_an_attempt_that_died_with_its_program_is_unknown(store, intent):
    store.begin(intent("A"))
    store.retry("a1")
    assert store.record("a1").condition is Condition.UNKNOWN


def test_retry_of_what_did_not_fail_changes_nothing_but_is_on_record(store, intent):
    store.conclude(store.begin(intent("A")), ACCEPTED)
    before = store.records()
    store.retry("a1")
    assert store.records() == before
    assert (store.history("shop", 1)[0].kind, store.history("shop", 1)[0].outcome) == ("retry", "")
