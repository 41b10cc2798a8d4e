"""What each component had been told, at any row of the journal."""

import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.errors import StateStoreError
from reconciler.model import Condition, Outcome, Snapshot
from reconciler.state.queries import MIGRATIONS
from reconciler.state.schema import migrate

ACCEPTED = Outcome(Condition.VERIFYING, "", 9_007_199_254_740_993, "req-1")
UNKNOWN = Outcome(Condition.UNKNOWN, "read timeout")
FAILED = Outcome(Condition.FAILED, "PARAM_ERROR")


@pytest.fixture
def send(store, intent):
    """An attempt that is accepted; returns the number of the row that says so."""

    def send(name="A", **more) -> int:
        store.conclude(store.begin(intent(name, **more)), ACCEPTED)
        return store.last_sequence()

    return send


def told(store, sequence=None):
    """`{address: (task, name in the content)}`."""
    found = store.told(store.last_sequence() if sequence is None else sequence)
    return {one.address: (one.task, store.told_content(one)["sink"]["name"]) for one in found}


def kept(path) -> tuple[int, int]:
    """How many rows there are, and how many contents put away."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT (SELECT count(*) FROM told), (SELECT count(*) FROM told_contents)").fetchone()


def test_nothing_is_told_at_first(store, open_store, tmp_path):
    assert store.told(0) == []
    assert open_store(tmp_path / "none.db", read_only=True).told(0) == []


def test_what_was_accepted_is_told_from_its_row_on(store, send):
    first, second = send("A"), send("B")
    assert [told(store, row) for row in (first - 1, first, second - 1, second)] == [
        {},
        {"a1": ("shop", "A")},
        {"a1": ("shop", "A")},
        {"a1": ("shop", "B")},
    ]


def test_it_is_told_how_it_was_told(store, intent, clock):
    number = store.begin(replace(intent("A"), component="10.0.0.1-9000"))
    store.conclude(number, ACCEPTED)
    (one,) = store.told(2)
    assert (one.address, one.task, one.component, one.at) == ("a1", "shop", "10.0.0.1-9000", clock.at)
    assert (one.action, one.revision, one.plan, one.ticket) == ("update", "revision of A", "plan-1", ACCEPTED.ticket)


def test_what_was_adopted_is_told_without_ticket_and_plan(store, snapshot, send):
    send("A")
    store.adopt("a1", "store", snapshot("B"), "r2", "sent by hand")
    (one,) = store.told(3)
    assert (one.task, one.action, one.revision, one.plan, one.ticket) == ("store", "adopt", "r2", "", None)
    assert told(store) == {"a1": ("store", "B")}


@pytest.mark.parametrize("outcome", [FAILED, UNKNOWN, Outcome(Condition.RETRYING, "503")], ids=str)
def test_what_was_not_accepted_is_not_told(store, intent, send, outcome):
    send("A")
    store.conclude(store.begin(intent("B")), outcome)
    assert told(store) == {"a1": ("shop", "A")}


def test_an_unknown_outcome_that_is_cleared_up_is_told_from_then_on(store, intent):
    number = store.begin(intent("A"))
    store.conclude(number, UNKNOWN)
    store.conclude(number, ACCEPTED)
    assert [told(store, 2), told(store, 3)] == [{}, {"a1": ("shop", "A")}]


def test_the_answer_to_an_attempt_that_was_set_aside_counts(store, intent, snapshot):
    number = store.begin(intent("A"))
    store.adopt("a1", "shop", snapshot("B"), "r1", "")
    store.conclude(number, ACCEPTED)
    assert [told(store, 2), told(store, 3)] == [{"a1": ("shop", "B")}, {"a1": ("shop", "A")}]


def test_the_answer_for_a_record_that_was_dropped_is_not_told(store, intent):
    number = store.begin(intent("A"))
    store.forget("a1")
    store.conclude(number, ACCEPTED)
    assert told(store) == {}


def test_a_renamed_task_has_the_name_of_the_time(store, send):
    send("A")
    store.take_over("a1", "store")
    assert [told(store, 2), told(store, 3)] == [{"a1": ("shop", "A")}, {"a1": ("store", "A")}]
    before, after = store.told(2)[0], store.told(3)[0]
    assert replace(after, number=before.number, task="shop") == before


def test_an_attempt_under_another_name_renames_as_well(store, intent, send):
    send("A")
    number = store.begin(intent("B", task="store"))
    assert [told(store, number - 1), told(store, number)] == [{"a1": ("shop", "A")}, {"a1": ("store", "A")}]


def test_a_takeover_without_another_name_or_of_nothing_told_changes_nothing(store, intent, send, path):
    send("A")
    store.take_over("a1", "shop")
    store.begin(intent("B", address="a2"))
    store.take_over("a2", "store")
    assert told(store) == {"a1": ("shop", "A")}
    assert kept(path) == (1, 0)


def test_a_forgotten_task_is_told_of_until_then(store, send):
    send("A")
    store.forget("a1")
    assert [told(store, 2), told(store, 3)] == [{"a1": ("shop", "A")}, {}]


def test_a_forgotten_address_may_come_back(store, send):
    send("A")
    store.forget("a1")
    send("B", task="back")
    assert [told(store, 4), told(store, 5)] == [{}, {"a1": ("back", "B")}]


def test_content_in_another_form_was_still_told_when_it_was(store, send, snapshot):
    """A secret that a newer release knows as one leaves the database."""
    send("A")
    masked = replace(snapshot("A"), content=snapshot("«secret»").content, digest="digest of it masked")
    store.refingerprint("a1", masked)
    assert [told(store, 2), told(store, 3)] == [{"a1": ("shop", "«secret»")}] * 2
    send("B")
    assert told(store, 2) == {"a1": ("shop", "«secret»")}


def test_answers_are_sorted_by_task_and_address(store, send):
    for address, task in (("a3", "b"), ("a1", "c"), ("a2", "b")):
        send("A", address=address, task=task)
    assert [(one.task, one.address) for one in store.told(6)] == [("b", "a2"), ("b", "a3"), ("c", "a1")]


def test_equal_contents_are_kept_once(store, send, path):
    for address in ("a1", "a2"):
        for name in ("A", "B", "A", "B"):
            send(name, address=address)
    assert kept(path) == (8, 2)
    assert told(store, 14) == {"a1": ("shop", "B"), "a2": ("shop", "A")}


def test_content_may_be_anything_that_a_file_may_hold(store, intent):
    content = {"coordinator": {"é\u202e<b>": "😀"}, "condition": {}, "source": {}, "sink": {"name": "A"}}
    after = Snapshot(content, {}, "k1", "digest")
    store.conclude(store.begin(replace(intent(), after=after)), ACCEPTED)
    store.forget("a1")
    assert store.told_content(store.told(2)[0]) == content


def test_a_store_opened_for_reading_answers_as_well(store, send, open_store):
    send("A")
    send("B")
    assert told(open_store(read_only=True), 2) == {"a1": ("shop", "A")}


def test_kill_9_between_intent_and_outcome_leaves_nothing_told(path, start, open_store):
    process = start("open_store().begin(intent())\nos.kill(os.getpid(), signal.SIGKILL)", path)
    assert process.wait(20) == -signal.SIGKILL
    store = open_store()
    assert (store.last_sequence(), store.told(1), kept(path)) == (1, [], (0, 0))


def test_it_stands_or_falls_with_what_it_reports(store, path, intent, send):
    send("A")
    number = store.begin(intent("B"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TRIGGER refuse BEFORE INSERT ON told BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StateStoreError, match="changed by hand"):
        store.conclude(number, ACCEPTED)
    assert (told(store), store.last_sequence(), store.applied("a1").content["sink"]) == (
        {"a1": ("shop", "A")},
        3,
        {"name": "A"},
    )


# --- retention -------------------------------------------------------------------------------------------------------


def test_what_is_needed_for_the_oldest_row_stays_when_older_rows_are_dropped(store, send, path):
    for name in ("A", "B", "C"):
        send(name)
    oldest = store.rows_after(4)[0].at  # of the intent of C
    assert store.prune(oldest) == 4
    assert [told(store, 5), told(store, 6)] == [{"a1": ("shop", "B")}, {"a1": ("shop", "C")}]
    assert kept(path) == (2, 1)


def test_a_content_that_is_still_referred_to_stays(store, send, path):
    for name in ("A", "B", "A"):
        send(name, address="a1")
        send(name, address="a2")
    assert store.prune(store.rows_after(10)[0].at) == 10
    assert [told(store, 11), told(store, 12)] == [
        {"a1": ("shop", "A"), "a2": ("shop", "B")},
        {"a1": ("shop", "A"), "a2": ("shop", "A")},
    ]
    assert kept(path) == (3, 1)


def test_the_present_content_outlives_its_row(store, send, clock):
    send("A")
    store.note("force", "shop", {})
    store.prune(clock() + timedelta(hours=1))
    assert told(store) == {"a1": ("shop", "A")}


def test_a_row_that_was_dropped_cannot_be_asked_for(store, send, clock):
    send("A")
    store.note("force", "shop", {})
    store.prune(clock() + timedelta(hours=1))
    with pytest.raises(StateStoreError, match=r"row 2 of the journal was dropped .*: ask for a moment after row 2"):
        store.told(2)


def test_content_that_is_dropped_meanwhile_is_none(store, send, clock):
    send("A")
    send("B")
    (one,) = store.told(2)
    store.prune(clock() + timedelta(hours=1))
    assert store.told_content(one) is None


# --- a store of an older release -------------------------------------------------------------------------------------

OLDER = """
CREATE TEMP TABLE made AS SELECT 'a1' AS address, 'shop' AS task, '2026-11-20T12:00:02.000250+00:00' AS at;
INSERT INTO journal SELECT 1, '2026-11-20T12:00:01.000250+00:00', 'intent', task, address, 'update', 'applying', 'r1', 'plan-1', NULL, NULL, '{}', 'x' FROM made;
INSERT INTO journal SELECT 2, at, 'outcome', task, address, 'update', 'verifying', 'r1', 'plan-1', '77', NULL, '{}', 'x' FROM made;
INSERT INTO journal SELECT 3, '2026-11-20T12:00:03.000250+00:00', 'health', task, address, '', 'synced', 'r1', '', '77', NULL, '{}', 'x' FROM made;
INSERT INTO records (address, task, serial, digest, digest_version, revision, applied_at, condition, since, ticket)
SELECT address, task, 1, 'd', 1, 'r1', at, 'synced', at, '77' FROM made;
INSERT INTO contents SELECT address, '{"sink":{"name":"A"}}' FROM made;
INSERT INTO records (address, task, serial, digest, digest_version, revision, applied_at, condition, since)
SELECT 'a2', 'old', 1, 'd', 1, 'r0', '2025-11-20T12:00:02.000250+00:00', 'synced', at FROM made;
INSERT INTO contents VALUES ('a2', '{"sink":{"name":"B"}}');
INSERT INTO records (address, task, serial, digest_version, condition, since) SELECT 'a3', 'new', 1, 1, 'unknown', at FROM made;
DROP TABLE made;
"""


@pytest.fixture
def migrated(path, open_store):
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, [*MIGRATIONS[:2], OLDER])
        connection.execute("PRAGMA user_version = 2")
    return open_store()


def test_of_an_older_store_the_present_contents_are_told_from_its_newest_row_on(migrated):
    assert told(migrated, 3) == {"a1": ("shop", "A"), "a2": ("old", "B")}
    shop, old = sorted(migrated.told(3), key=lambda one: one.address)
    assert (shop.action, shop.plan, shop.ticket, shop.revision) == ("update", "plan-1", 77, "r1")
    assert shop.at.isoformat() == "2026-11-20T12:00:02.000250+00:00"
    assert (old.action, old.plan, old.ticket, old.revision) == ("", "", None, "r0")


def test_of_an_older_store_earlier_rows_are_not_known_and_that_is_said(migrated):
    with pytest.raises(
        StateStoreError, match=r"is kept since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ, .* not known for an earl"
    ):
        migrated.told(2)


def test_an_older_store_goes_on_like_any_other(migrated, intent):
    migrated.conclude(migrated.begin(intent("C")), ACCEPTED)
    assert told(migrated, 4) == {"a1": ("shop", "A"), "a2": ("old", "B")}
    assert told(migrated, 5) == {"a1": ("shop", "C"), "a2": ("old", "B")}
