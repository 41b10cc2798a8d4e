from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.status import UNDER_WAY, URGENCY, State, counted, explain, said, status_of, together
from reconciler.model import Action, Condition, Item, Outlook, Place, ResetKey, Severity, Stage, TaskState, Violation
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
        "removed_keys",
        "changed_keys",
        "tasks",
        "danger",
        "protect",
        "mode",
        "target",
        "unknown",
        "secret",
        "capability",
        "approval",
        "lost_secret",
        "stop_after_failures",
        "window",
        "suspend --label team=shop",
        "min_update_interval_s",
    ],
)
@pytest.mark.parametrize("daemon", [True, False])
def test_every_rail_has_a_next_step(rail, daemon):
    step = status_of(item(Action.BLOCKED, rail), RECORD, calling=False, daemon=daemon).next_step
    assert step
    assert "{" not in step


@pytest.mark.parametrize(
    ("rail", "step"),
    [
        ("suspend", "reconciler resume shop"),
        ("suspend --all", "reconciler resume --all"),
        ("suspend --label team=shop", "reconciler resume --label team=shop"),
        ("suspend --label who=the shop's", """reconciler resume --label 'who=the shop'"'"'s'"""),
    ],
)
def test_step_for_what_is_suspended_can_be_pasted_into_a_shell(rail, step):
    assert status_of(item(Action.SUSPENDED, rail), RECORD, calling=False).next_step == step


@pytest.mark.parametrize("daemon", [True, False])
@pytest.mark.parametrize(("found", "record", "state"), TABLE)
def test_every_state_but_synced_has_a_next_step(found, record, state, daemon):
    step = status_of(found, record, calling=False, daemon=daemon).next_step
    assert bool(step) is (state is not State.SYNCED)


@pytest.mark.parametrize(("found", "record", "state"), TABLE)
def test_beside_a_daemon_nobody_is_told_to_apply(found, record, state):
    assert "reconciler apply" not in status_of(found, record, calling=False, daemon=True).next_step


def test_what_a_target_in_trouble_needs_is_the_next_step_of_what_waits_for_it():
    found = item(Action.UPDATE, target="a")
    assert "it is asked again by itself" in status_of(found, RECORD, calling=False, trouble="x", daemon=True).next_step
    assert "then reconciler apply" in status_of(found, RECORD, calling=False, trouble="x").next_step


def violation(place):
    return Violation("shop", "shop/sink.json", place, "/workerNum", "schema", Severity.ERROR, "an integer", '"abc"')


@pytest.mark.parametrize(
    ("violations", "reason"),
    [
        ([Place(4, 16)], 'shop/sink.json:4:16: /workerNum: expected an integer, found "abc"'),
        ([None, None], 'shop/sink.json: /workerNum: expected an integer, found "abc" (and 1 more problem)'),
        ([Place(1, 1)] * 3, 'shop/sink.json:1:1: /workerNum: expected an integer, found "abc" (and 2 more problems)'),
    ],
)
def test_of_wrong_files_the_first_problem_is_told_with_its_place(violations, reason):
    wrong = item(Action.INVALID, violations=tuple(map(violation, violations)))
    assert status_of(wrong, None, calling=False).reason == reason


def test_what_the_daemon_remembered_is_a_status_again():
    remembered = TaskState("shop", "blocked", NOW, "why", "wait", NOW, "sha256:0", 4711, "r-1", "digest")
    status = said(remembered)
    assert (status.task, status.state, status.since, status.until) == ("shop", State.BLOCKED, NOW, NOW)
    assert (status.reason, status.next_step) == ("why", "wait")
    assert (status.revision, status.ticket, status.request_id) == ("sha256:0", 4711, "r-1")


def test_every_state_has_its_place_in_the_order_of_urgency():
    assert sorted(URGENCY, key=lambda state: state.value) == sorted(State, key=lambda state: state.value)
    assert set(UNDER_WAY) < set(State)


@pytest.mark.parametrize(
    ("actions", "text"),
    [
        ([], "0 tasks"),
        ([Action.NOOP], "1 task: 1 synced"),
        ([Action.NOOP, Action.NOOP, Action.INVALID], "3 tasks: 1 invalid, 2 synced"),
        ([Action.NOOP] * 1234, "1,234 tasks: 1,234 synced"),
    ],
)
def test_tasks_are_counted_by_state_the_urgent_first(actions, text):
    assert counted(status_of(item(action), None, calling=False) for action in actions) == text


def test_row_carries_what_the_store_knows():
    status = status_of(item(until=NOW), RECORD, calling=False)
    assert (status.task, status.since, status.until) == ("shop", NOW, NOW)
    assert (status.revision, status.ticket, status.request_id) == ("sha256:0123456789ab", 4711, "r-1")


def test_row_of_an_unknown_task_is_empty_where_nothing_is_known():
    status = status_of(item(Action.INVALID), None, calling=False)
    assert (status.since, status.revision, status.ticket, status.request_id) == (None, "", None, None)


LATER = NOW + timedelta(minutes=12)


@pytest.mark.parametrize(
    ("found", "record", "sentence"),
    [
        pytest.param(
            item(),
            RECORD,
            "shop is synced since 2026-11-21 12:00:00Z (12 min ago): the item's reason (ticket 4711).",
            id="synced",
        ),
        pytest.param(
            item(Action.INVALID), None, "shop is invalid: the item's reason. Next: reconciler validate.", id="invalid"
        ),
        pytest.param(
            item(Action.BLOCKED, "unknown", until=LATER + timedelta(hours=1)),
            replace(RECORD, ticket=None),
            "shop is blocked, until 13:12:00Z (in 60 min): unknown: the item's reason."
            " Next: look at the component in the console, then reconciler retry shop.",
            id="blocked",
        ),
        pytest.param(
            item(Action.UPDATE, until=LATER + timedelta(seconds=12)),
            RECORD,
            "shop is out-of-sync, next try at 12:12:12Z (in 12 s): the item's reason. Next: reconciler apply shop.",
            id="out of sync",
        ),
    ],
)
def test_explanation_is_a_sentence_or_two(found, record, sentence):
    assert explain(status_of(found, record, calling=False), LATER) == sentence


@pytest.mark.parametrize(
    ("apart", "text"),
    [
        (timedelta(0), "12:00:00Z (now)"),
        (timedelta(milliseconds=900), "12:00:00Z (now)"),
        (timedelta(seconds=119), "12:01:59Z (in 119 s)"),
        (timedelta(minutes=2), "12:02:00Z (in 2 min)"),
        (timedelta(hours=2), "14:00:00Z (in 2 h)"),
        (timedelta(hours=47), "2026-11-23 11:00:00Z (in 47 h)"),
        (timedelta(days=3), "2026-11-24 12:00:00Z (in 3 d)"),
        (timedelta(minutes=-5), "11:55:00Z (5 min ago)"),
    ],
)
def test_an_end_is_told_as_short_as_can_be_and_how_far_it_is(apart, text):
    held = status_of(item(Action.BLOCKED, "danger", until=NOW + apart), None, calling=False)
    assert f", until {text}: danger" in explain(held, NOW)


def test_a_ticket_that_the_reason_names_is_told_once():
    status = status_of(item(), with_(Condition.UNCONFIRMED, "look at ticket 4711"), calling=False)
    assert explain(status, NOW).count("4711") == 1


def test_every_suspension_has_to_be_taken_back():
    found = item(
        Action.SUSPENDED, "suspend --all", also=("suspend", "suspend --label team=shop", "suspend in task.json")
    )
    assert status_of(found, RECORD, calling=False).next_step == (
        "reconciler resume --all, and reconciler resume shop, and reconciler resume --label team=shop, and take suspend"
        " out of task.json"
    )


def test_window_is_named_once():
    found = replace(item(Action.BLOCKED, "window"), reason="window nights allows calls only for 8h")
    assert status_of(found, RECORD, calling=False).reason == "window nights allows calls only for 8h"
    assert status_of(item(Action.BLOCKED, "window"), RECORD, calling=False).reason == "window: the item's reason"


# --- a task with a reset ---------------------------------------------------------------------------------------------


def reset(action=Action.BLOCKED, rail="approval", stage=None, **more):
    outlook = Outlook(ResetKey("default", "np_a", False, "r1"), 1, stage, messages=False)
    intended = more.pop("intended", Action.RESET)
    made = replace(item(action, rail, outlook=outlook, intended=intended, target="default", **more))
    return replace(made, reason="of the reset")


def both(main, more):
    """The row of a task with an item of its own and one of its reset."""
    return together(status_of(main, RECORD, calling=False), more, status_of(more, None, calling=False))


@pytest.mark.parametrize(
    ("main", "more", "state"),
    [
        (item(), reset(), State.BLOCKED),
        (item(), reset(Action.RESET, ""), State.OUT_OF_SYNC),
        (item(), reset(rail="failed"), State.FAILED),
        (item(), reset(Action.INVALID, ""), State.INVALID),
        (item(), reset(Action.SUSPENDED, "suspend"), State.SUSPENDED),
        (item(Action.UPDATE), reset(), State.OUT_OF_SYNC),
        (item(Action.UPDATE), reset(rail="failed"), State.FAILED),
        (item(Action.BLOCKED, "reset"), reset(Action.RESET, ""), State.OUT_OF_SYNC),
        (item(Action.BLOCKED, "danger"), reset(), State.BLOCKED),
        (item(Action.INVALID), reset(rail="failed"), State.FAILED),
        (item(Action.INVALID), reset(), State.INVALID),
    ],
    ids=lambda value: value.value if isinstance(value, State) else f"{value.action.value} {value.rail}",
)
def test_the_more_urgent_of_task_and_reset_counts(main, more, state):
    row = both(main, more)
    assert row.state is state
    assert ("of the reset" in row.reason, "the item's reason" in row.reason) == (True, True)


def test_nothing_to_do_beside_a_reset_is_not_told():
    main = replace(item(), reason="no difference")
    assert both(main, reset()).reason == "approval: of the reset"
    assert both(main, replace(item(Action.ORPHANED), reason="left")).reason == "left"


@pytest.mark.parametrize("stage", [Stage.UNKNOWN, Stage.STOPPING])
def test_edit_that_waits_for_the_reset_of_its_task_is_told_shortly(stage):
    main = replace(item(Action.BLOCKED, "reset"), reason="waits until somebody says how reset r1 of np_a ended")
    other = replace(main, reason="waits until somebody says how reset r2 of np_a ended")
    mine = reset(rail="reset", stage=stage)
    assert both(main, mine).reason == "reset: of the reset; its edit waits for that"
    assert both(other, mine).reason == f"reset: of the reset; reset: {other.reason}"


def test_suspension_of_task_and_reset_is_told_once():
    main = item(Action.SUSPENDED, "suspend", also=("suspend --all",))
    row = both(main, replace(reset(Action.SUSPENDED, "suspend"), reason=main.reason))
    assert (row.reason, row.next_step) == (
        "suspend: the item's reason",
        "reconciler resume shop, and reconciler resume --all",
    )


def test_row_of_a_task_keeps_what_it_knows_of_the_record():
    row = both(item(), reset())
    assert (row.revision, row.ticket, row.since) == (RECORD.revision, RECORD.ticket, None)


def test_finished_reset_says_nothing_but_that_it_was_not_seen():
    done = reset(Action.NOOP, "", Stage.DONE, intended=Action.NOOP)
    assert both(item(), done).reason == "the item's reason"
    assert both(item(), replace(done, remarks=("not seen",))).reason == "the item's reason; not seen"


def test_address_that_a_task_left_is_added_and_changes_no_state():
    row = both(item(), item(Action.ORPHANED))
    assert (row.state, row.next_step) == (State.SYNCED, "restore the directory, or reconciler forget shop")


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (reset(rail="reset"), "wait for it: reconciler reset list shows how far it is"),
        (reset(rail="reset", stage=Stage.UNKNOWN), "reconciler reset resolve shop --sent or --not-sent, --reason TEXT"),
        (reset(Action.INVALID, ""), "give the request in reset.json another name"),
        (reset(rail="failed"), "reconciler reset resolve shop --not-sent --reason TEXT and approve it again"),
        (reset(rail="target"), "correct allow_reset, edition and version of target default"),
        (reset(rail="perhaps_sent"), "reconciler reset resolve shop --not-sent --reason TEXT, or --sent"),
        (reset(rail="expired"), "take reset.json out, or give it a later expires"),
        (reset(rail="future"), "write a moment that is over into reset.json"),
        (reset(rail="retention"), "correct log_retention_h of target default"),
    ],
    ids=lambda value: f"{value.rail} {value.outlook.stage}" if isinstance(value, Item) else "",
)
@pytest.mark.parametrize("daemon", [False, True], ids=["by hand", "beside a daemon"])
def test_step_for_a_reset_that_is_held(found, step, daemon):
    assert step in status_of(found, None, calling=False, daemon=daemon).next_step
