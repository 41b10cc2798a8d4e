from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.status import State, explain, status_of
from reconciler.model import Action, Condition, Item
from tests.core.builders import NOW, ready, record_of

RECORD = record_of(ready())


def item(action=Action.NOOP, rail="", **more):
    return Item(id="i", task="shop", action=action, reason="the item's reason", rail=rail, **more)


def with_(condition, reason=""):
    return replace(RECORD, condition=condition, reason=reason)


TABLE = [
    pytest.param(item(), None, State.SYNCED, id="nothing known"),
    pytest.param(item(), RECORD, State.SYNCED, id="synced"),
    pytest.param(item(), with_(Condition.NOT_VERIFIED), State.SYNCED, id="not verified"),
    pytest.param(item(), with_(Condition.VERIFYING), State.VERIFYING, id="verifying"),
    pytest.param(item(), with_(Condition.UNCONFIRMED), State.UNCONFIRMED, id="unconfirmed"),
    pytest.param(item(), with_(Condition.FAILED), State.UNCONFIRMED, id="failed at other content"),
    pytest.param(item(rail="failed"), with_(Condition.FAILED), State.FAILED, id="failed since"),
    pytest.param(item(Action.BLOCKED, "failed"), with_(Condition.FAILED), State.FAILED, id="failed at this content"),
    pytest.param(item(Action.BLOCKED, "danger"), RECORD, State.BLOCKED, id="blocked"),
    pytest.param(item(Action.INVALID), None, State.INVALID, id="invalid"),
    pytest.param(item(Action.ORPHANED), RECORD, State.ORPHANED, id="orphaned"),
    pytest.param(item(Action.SUSPENDED, "suspend"), RECORD, State.SUSPENDED, id="suspended"),
    pytest.param(item(Action.UPDATE), RECORD, State.OUT_OF_SYNC, id="update"),
    pytest.param(item(Action.UPDATE_DELETE), RECORD, State.OUT_OF_SYNC, id="update+delete"),
    pytest.param(item(Action.ADOPT), None, State.OUT_OF_SYNC, id="adopt"),
    pytest.param(item(Action.UPDATE), with_(Condition.APPLYING), State.OUT_OF_SYNC, id="died while applying"),
]


@pytest.mark.parametrize(("found", "record", "state"), TABLE)
def test_state_follows_from_plan_and_record(found, record, state):
    assert status_of(found, record, calling=False).state is state


@pytest.mark.parametrize(
    ("found", "state"),
    [
        pytest.param(item(Action.UPDATE), State.APPLYING, id="call under way"),
        pytest.param(item(), State.APPLYING, id="same content under way"),
        pytest.param(item(Action.BLOCKED, "danger"), State.BLOCKED, id="newer content is blocked"),
    ],
)
def test_intent_without_outcome_is_applying_while_somebody_calls(found, state):
    assert status_of(found, with_(Condition.APPLYING), calling=True).state is state


def test_writer_lock_alone_does_not_mean_applying():
    assert status_of(item(), RECORD, calling=True).state is State.SYNCED
    assert status_of(item(), None, calling=True).state is State.SYNCED


@pytest.mark.parametrize(
    ("found", "record", "reason"),
    [
        pytest.param(item(), RECORD, "the item's reason", id="plan"),
        pytest.param(item(Action.BLOCKED, "danger"), RECORD, "danger: the item's reason", id="rail"),
        pytest.param(
            item(), with_(Condition.NOT_VERIFIED), "not verified: its health cannot be read", id="not verified"
        ),
        pytest.param(item(), with_(Condition.UNCONFIRMED, "not seen"), "not seen", id="unconfirmed"),
        pytest.param(
            item(),
            with_(Condition.VERIFYING),
            "accepted; waiting until the component is seen healthy",
            id="verifying",
        ),
        pytest.param(
            item(Action.UPDATE),
            with_(Condition.RETRYING, "connection refused"),
            "the item's reason; the last attempt had no effect: connection refused",
            id="retrying",
        ),
        pytest.param(item(Action.UPDATE), with_(Condition.RETRYING), "the item's reason", id="retrying, taken back"),
    ],
)
def test_reason_comes_from_what_knows_most(found, record, reason):
    assert status_of(found, record, calling=False).reason == reason


@pytest.mark.parametrize(
    "rail",
    [
        "new_tasks",
        "first_run",
        "vanished",
        "incomplete",
        "danger",
        "protect",
        "mode",
        "target",
        "unknown",
        "secret",
        "capability",
        "approval",
    ],
)
def test_every_rail_has_a_next_step(rail):
    step = status_of(item(Action.BLOCKED, rail), RECORD, calling=False).next_step
    assert step
    assert "{" not in step


@pytest.mark.parametrize(("found", "record", "state"), TABLE)
def test_every_state_but_synced_has_a_next_step(found, record, state):
    assert bool(status_of(found, record, calling=False).next_step) is (state is not State.SYNCED)


def test_row_carries_what_the_store_knows():
    status = status_of(item(until=NOW), RECORD, calling=False)
    assert (status.task, status.since, status.until) == ("shop", NOW, NOW)
    assert (status.revision, status.ticket, status.request_id) == ("sha256:0123456789ab", 4711, "r-1")


def test_row_of_an_unknown_task_is_empty_where_nothing_is_known():
    status = status_of(item(Action.INVALID), None, calling=False)
    assert (status.since, status.revision, status.ticket, status.request_id) == (None, "", None, None)


@pytest.mark.parametrize(
    ("found", "record", "sentence"),
    [
        pytest.param(
            item(),
            RECORD,
            "shop is synced since 2026-11-21 12:00:00Z: the item's reason (ticket 4711).",
            id="synced",
        ),
        pytest.param(
            item(Action.INVALID), None, "shop is invalid: the item's reason. Next: reconciler validate.", id="invalid"
        ),
        pytest.param(
            item(Action.BLOCKED, "unknown", until=NOW + timedelta(hours=1)),
            replace(RECORD, ticket=None),
            "shop is blocked, until 2026-11-21 13:00:00Z: unknown: the item's reason."
            " Next: look at the component in the console, then reconciler retry shop.",
            id="blocked",
        ),
    ],
)
def test_explanation_is_a_sentence_or_two(found, record, sentence):
    assert explain(status_of(found, record, calling=False)) == sentence
