from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core import ledger, resets
from reconciler.core.policy import Mode, Policy
from reconciler.core.reset_gates import objection
from reconciler.model import (
    Action,
    Approval,
    ResetEntry,
    ResetRequest,
    Stage,
    Suspension,
    Window,
)
from tests.core.builders import NOW, around, ready, record_of, task

PROJECT = "np_4x9j00000001"
HOUR = timedelta(hours=1)
START = int((NOW - 2 * HOUR).timestamp())
ASKED = ResetRequest("r1", PROJECT, False, START, "lost logs", None, True)
TASK = task(reset=ASKED)
RECORD = record_of(ready(TASK))
RULES = Policy(targets={"default": "EE"}, resets={"default": ""}, retention_s={"default": 7 * 86_400.0})
BEFORE = task(reset=replace(ASKED, request="r0"))  # what another reset was for: the ledger is not empty
UNDER_WAY = [stage for stage in Stage if stage.is_under_way]


def entry(stage, declared=TASK, **more):
    made = ResetEntry(
        ledger.key_of(declared), ledger.digest_of(declared), declared.name, declared.address.id, START, stage, NOW
    )
    return replace(made, **more)


def book(*entries):
    """A ledger that is not empty."""
    return {one.key: one for one in (entry(Stage.DONE, BEFORE), *entries)}


def approval(until=NOW + HOUR, *, content=None, **more):
    number = content or planned(approvals={}).content_id
    made = Approval(number, TASK.name, TASK.address.id, "p", "reset", (), "read", "ann", NOW - HOUR, until)
    return {number: replace(made, **more)}


def planned(given=TASK, record=RECORD, policy=RULES, **more):
    """The item of a reset that nothing speaks against but what a test says."""
    found = {"resets": book(), **more}
    if "approvals" not in found:
        found["approvals"] = approval()
    return resets.plan(given, record, around(policy, **found))


def asked(**changed):
    return task(reset=replace(ASKED, **changed))


def at(moment):
    return asked(start_timestamp=int(moment.timestamp()))


# --- what is planned -----------------------------------------------------------------------------------------------


def test_task_without_a_reset_has_no_item():
    assert planned(task(), approvals={}) is None


def test_approved_reset_goes():
    item = planned()
    assert (item.action, item.intended, item.rail, item.target) == (Action.RESET, Action.RESET, "", "default")
    assert item.reason == f"reset r1 of the forward link of {PROJECT} to 2026-11-21 10:00:00Z: lost logs"
    assert item.approval.by == "ann"


@pytest.mark.parametrize(
    ("changed", "cost"),
    [({}, "stops the project and resumes it"), ({"stop": False}, "resets the link while it runs")],
    ids=["stop", "no stop"],
)
def test_cost_says_whether_the_project_stops(changed, cost):
    assert planned(asked(**changed)).cost == (cost,)


def test_held_reset_says_what_it_would_do():
    assert planned(approvals={}).remarks == (planned().reason,)


@pytest.mark.parametrize(
    "changed",
    [{"request": "r2"}, {"start_timestamp": START - 1}, {"reverse": True}, {"stop": False}],
    ids=["request", "start", "link", "stop"],
)
def test_what_is_asked_for_makes_another_item(changed):
    other = planned(asked(**changed))
    assert (other.id == planned().id, other.content_id == planned().content_id) == (False, False)


def test_reason_and_expiry_make_no_other_item():
    other = planned(asked(reason="other", expires=NOW + HOUR))
    assert (other.id, other.content_id) == (planned().id, planned().content_id)


def test_serial_makes_another_id_and_the_same_content():
    other = planned(record=replace(RECORD, serial=9))
    assert (other.id == planned().id, other.content_id) == (False, planned().content_id)


def test_another_try_has_another_id():
    tried = planned(resets=book(entry(Stage.PENDING, since=NOW + HOUR)))
    assert (tried.action, tried.id == planned().id, tried.content_id) == (Action.RESET, False, planned().content_id)


def test_sink_for_messages_is_known():
    sections = {**TASK.sections, "coordinator": {"sinkType": "KAFKA"}}
    assert (planned().outlook.messages, planned(task(sections, reset=ASKED)).outlook.messages) == (False, True)


# --- gates ---------------------------------------------------------------------------------------------------------

DENY = Window("nights", allows=False, cron="* * * * *", duration_s=60, zone="UTC")
SUSPENDED = {"*": Suspension("migration", None)}
REFUSED = "not allowed"

GATES = [
    pytest.param({"suspensions": SUSPENDED}, "suspend --all", id="suspended"),
    pytest.param({"policy": replace(RULES, mode=Mode.OBSERVE)}, "mode", id="observe"),
    pytest.param({"policy": replace(RULES, mode=Mode.APPROVE)}, "", id="approve"),
    pytest.param({"policy": replace(RULES, targets={})}, "target", id="no such target"),
    pytest.param({"policy": replace(RULES, resets={"default": REFUSED})}, "target", id="refused"),
    pytest.param({"policy": replace(RULES, resets={})}, "target", id="nothing said"),
    pytest.param({"troubles": {"default": ("capability-missing", "?")}}, "capability", id="capability"),
    pytest.param({"troubles": {"default": ("stopped", "?")}}, "stop_after_failures", id="stopped"),
    pytest.param({"given": asked(expires=NOW + timedelta(microseconds=1))}, "", id="not yet expired"),
    pytest.param({"given": asked(expires=NOW)}, "expired", id="expired just now"),
    pytest.param({"given": asked(expires=NOW - HOUR)}, "expired", id="expired"),
    pytest.param({"resets": book(entry(Stage.REFUSED))}, "failed", id="refused before"),
    pytest.param({"resets": book(entry(Stage.PENDING))}, "", id="said not to be sent"),
    pytest.param({"resets": book(entry(Stage.PERHAPS_SENT))}, "perhaps_sent", id="row of one perhaps sent"),
    pytest.param({"resets": {}}, "perhaps_sent", id="empty ledger"),
    pytest.param({"resets": {entry(Stage.PENDING).key: entry(Stage.PENDING)}}, "", id="only row is its own"),
    pytest.param({"record": None}, "perhaps_sent", id="no record"),
    pytest.param({"record": replace(RECORD, digest=None)}, "perhaps_sent", id="never applied"),
    pytest.param({"given": at(NOW)}, "", id="now"),
    pytest.param({"given": at(NOW + timedelta(seconds=1))}, "future", id="future"),
    pytest.param({"given": at(NOW - timedelta(days=7))}, "", id="oldest log"),
    pytest.param({"given": at(NOW - timedelta(days=7, seconds=1))}, "retention", id="older than the logs"),
    pytest.param(
        {"given": at(NOW - timedelta(days=99)), "policy": replace(RULES, retention_s={})}, "", id="unknown logs"
    ),
    pytest.param({"approvals": {}}, "approval", id="no approval"),
    pytest.param({"approvals": approval(NOW)}, "approval", id="approval over just now"),
    pytest.param({"approvals": approval(NOW + timedelta(microseconds=1))}, "", id="approval nearly over"),
    pytest.param({"approvals": approval(content="of something else")}, "approval", id="another's approval"),
    pytest.param({"policy": replace(RULES, windows=(DENY,))}, "window", id="window"),
    pytest.param({"given": task(reset=ASKED, windows=(DENY,))}, "window", id="window of the task"),
    pytest.param({"policy": replace(RULES, windows=(DENY,), forced=frozenset({"window"}))}, "", id="forced window"),
    pytest.param(
        {"policy": replace(RULES, windows=(DENY,)), "approvals": approval(forced=("window",))}, "", id="approved window"
    ),
    pytest.param(
        {"policy": replace(RULES, forced=frozenset({"approval", "future"})), "approvals": {}}, "approval", id="forced"
    ),
]


def gated(given=TASK, **more):
    """Each content has its own approval, unless the test is about that."""
    if "approvals" not in more:
        number = planned(given, approvals={}).content_id
        more["approvals"] = approval(content=number)
    return planned(given, **more)


@pytest.mark.parametrize(("changed", "rail"), GATES)
def test_gate(changed, rail):
    item = gated(**changed)
    assert item.rail == rail
    assert (item.action is Action.RESET) is not rail
    assert item.intended is Action.RESET


def test_gates_are_asked_in_their_order():
    everything = {
        "given": asked(expires=NOW, start_timestamp=int((NOW + HOUR).timestamp())),
        "policy": replace(RULES, mode=Mode.OBSERVE, resets={}, windows=(DENY,)),
        "resets": {},
        "approvals": {},
    }
    lifted = [
        ("suspend --all", {"suspensions": {}}),
        ("mode", {"policy": replace(RULES, resets={}, windows=(DENY,))}),
        ("target", {"policy": replace(RULES, windows=(DENY,))}),
        ("expired", {"given": at(NOW + HOUR)}),
        ("perhaps_sent", {"resets": book()}),
        ("future", {"given": TASK}),
        ("approval", {"approvals": approval()}),
        ("window", {"policy": RULES}),
        ("", {}),
    ]
    state = everything | {"suspensions": SUSPENDED}
    for rail, lift in lifted:
        assert planned(**state).rail == rail
        state |= lift


def test_forced_window_is_told():
    assert gated(policy=replace(RULES, windows=(DENY,), forced=frozenset({"window"}))).forced == ("window",)
    assert gated(policy=replace(RULES, forced=frozenset({"window"}))).forced == ()


def test_future_ends_when_it_is_past():
    item = gated(at(NOW + HOUR))
    assert (item.until, "in the future" in item.reason) == (NOW + HOUR, True)


def test_retention_names_the_setting():
    assert "reach back 168 h (log_retention_h)" in gated(at(NOW - timedelta(days=8))).reason


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"resets": {}}, "the ledger of this store is empty"),
        ({"record": None}, "nothing was ever applied or adopted for this address"),
        ({"resets": book(entry(Stage.PERHAPS_SENT, reason="a restored copy"))}, "a restored copy"),
        ({"resets": book(entry(Stage.PERHAPS_SENT))}, "its row says so"),
    ],
    ids=["ledger", "record", "row", "row without a reason"],
)
def test_perhaps_sent_says_why_and_what_to_do(changed, why):
    reason = planned(**changed).reason
    assert why in reason
    assert "reconciler reset resolve shop/orders --not-sent --reason TEXT" in reason


@pytest.mark.parametrize("stage", [stage for stage in Stage if not ledger.is_open(entry(stage))], ids=str)
def test_same_request_with_other_content_is_wrong(stage):
    other = task(reset=replace(ASKED, start_timestamp=START - 3600))
    item = planned(other, resets=book(entry(stage)))
    (violation,) = item.violations
    assert (item.action, violation.file, violation.pointer) == (Action.INVALID, "shop/orders/reset.json", "/request")
    assert violation.found == '"r1", that of a reset to 2026-11-21 10:00:00Z'


def test_refused_reset_failed():
    item = planned(resets=book(entry(Stage.REFUSED, reason="PARAM_ERROR")))
    assert (item.action, item.reason) == (
        Action.BLOCKED,
        f"reset r1 of the forward link of {PROJECT} was not carried out: PARAM_ERROR",
    )


@pytest.mark.parametrize("stage", [*UNDER_WAY, Stage.UNKNOWN], ids=str)
def test_reset_waits_for_another_one_of_its_project(stage):
    other = entry(stage, BEFORE, address="another")
    item = planned(resets={other.key: other})
    assert (item.action, item.rail) == (Action.BLOCKED, "reset")


# --- one that is over ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "remarks"), [(Stage.DONE, 0), (Stage.UNCONFIRMED, 1)], ids=["done", "unconfirmed"])
def test_finished_reset_is_nothing_to_do_whatever_the_gates_say(stage, remarks):
    finished = asked(expires=NOW - HOUR)
    item = planned(finished, policy=Policy(mode=Mode.OBSERVE), resets=book(entry(stage)), suspensions=SUSPENDED)
    assert (item.action, item.intended, item.cost, len(item.remarks)) == (Action.NOOP, Action.NOOP, (), remarks)
    assert "was carried out at 2026-11-21 12:00:00Z" in item.reason


@pytest.mark.parametrize(
    ("given", "entries", "settled"),
    [
        (task(), (), True),
        (TASK, (), False),
        (TASK, (entry(Stage.DONE),), True),
        (TASK, (entry(Stage.UNCONFIRMED),), True),
        (TASK, (entry(Stage.REFUSED),), False),
        (asked(stop=False), (entry(Stage.DONE),), False),
    ],
    ids=["none", "not begun", "done", "unconfirmed", "refused", "other content"],
)
def test_settled_is_what_nothing_will_be_done_about(given, entries, settled):
    assert resets.is_settled(given, around(RULES, resets=book(*entries))) is settled


# --- one that was begun --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", UNDER_WAY, ids=str)
def test_reset_that_was_begun_goes_on_whatever_the_gates_say(stage):
    rules = replace(RULES, windows=(DENY,))
    given = asked(expires=NOW)
    item = planned(given, policy=rules, resets=book(entry(stage)), approvals={}, suspensions=SUSPENDED)
    assert (item.action, item.rail) == (Action.RESET, "")
    assert "is under way" in item.reason


@pytest.mark.parametrize("stage", UNDER_WAY, ids=str)
def test_where_nothing_is_called_a_reset_that_was_begun_stays(stage):
    item = planned(policy=replace(RULES, mode=Mode.OBSERVE), resets=book(entry(stage, stopped=True)))
    assert (item.action, item.rail) == (Action.BLOCKED, "mode")
    assert item.reason.endswith("; the project is left stopped")


def test_reset_that_was_begun_stays_without_its_target():
    item = planned(policy=replace(RULES, targets={"other": "EE"}), resets=book(entry(Stage.RESUMING)))
    assert (item.action, item.rail) == (Action.BLOCKED, "target")
    assert "the project is told to go on" in item.reason


@pytest.mark.parametrize("given", [TASK, task(), asked(stop=False)], ids=["declared", "gone", "changed"])
def test_unknown_outcome_is_for_people_whatever_the_files_say(given):
    item = planned(given, resets=book(entry(Stage.UNKNOWN, reason="timeout", stopped=True)), approvals={})
    assert (item.action, item.rail) == (Action.BLOCKED, "reset")
    assert "timeout; the project is left stopped" in item.reason
    assert item.reason.endswith("reconciler reset resolve shop/orders --sent or --not-sent, --reason TEXT")


@pytest.mark.parametrize(
    ("given", "policy"),
    [(task(), RULES), (asked(stop=False), RULES), (asked(request="r2"), RULES), (TASK, replace(RULES, resets={}))],
    ids=["gone", "changed", "another request", "no longer allowed"],
)
@pytest.mark.parametrize("stage", [Stage.STOPPING, Stage.ACCEPTED], ids=str)
def test_begun_and_no_longer_asked_for(given, policy, stage):
    found = around(policy, resets=book(entry(stage)))
    item = resets.plan(given, RECORD, found)
    assert resets.order(given, item, found).declared is False
    assert ("nothing further is sent" in item.reason) is (stage is Stage.STOPPING)


def test_begun_reset_follows_a_renamed_directory():
    renamed = replace(TASK, name="renamed")
    found = around(RULES, resets=book(entry(Stage.STOPPING)))
    item = resets.plan(renamed, RECORD, found)
    assert (item.task, resets.order(renamed, item, found).declared) == ("renamed", True)


def test_begun_reset_of_no_task_is_an_item_of_its_own():
    begun = entry(Stage.STOPPING, stopped=True, content_id="c")
    item, order = resets.gone(begun, around(RULES, resets=book(begun)))
    assert (item.action, item.task, item.address) == (Action.RESET, "shop/orders", TASK.address.id)
    assert (order.entry, order.known, order.declared) == (begun, Stage.STOPPING, False)


# --- orders --------------------------------------------------------------------------------------------------------


def ordered(given=TASK, *entries):
    found = around(RULES, resets=book(*entries), approvals=approval(content=planned(given, approvals={}).content_id))
    return resets.order(given, resets.plan(given, RECORD, found), found)


def test_order_of_one_that_is_to_be_begun():
    order = ordered(asked(expires=NOW + HOUR, stop=False))
    assert (order.known, order.declared, order.stop, order.expires) == (None, True, False, NOW + HOUR)
    assert order.retention_s == 7 * 86_400.0
    assert (order.entry.stage, order.entry.start_timestamp, order.entry.plan) == (Stage.PENDING, START, "")
    assert order.entry.content_id == planned(asked(stop=False), approvals={}).content_id


def test_order_of_one_that_was_said_not_to_be_sent():
    row = entry(Stage.PENDING, since=NOW - HOUR)
    assert ordered(TASK, row).known is Stage.PENDING


def test_order_of_one_that_was_begun_has_its_row():
    row = entry(Stage.SENDING)
    order = ordered(TASK, row)
    assert (order.entry, order.known, order.declared) == (row, Stage.SENDING, True)


# --- the rest ------------------------------------------------------------------------------------------------------


def test_secrets_that_are_missing_hold_a_reset_that_was_not_begun():
    held = resets.without_secrets(planned(), "${env:X} is not there")
    assert (held.action, held.rail, held.reason) == (Action.BLOCKED, "secret", "${env:X} is not there")


def test_secrets_that_are_missing_hold_nothing_that_was_begun_or_is_held():
    begun, waiting = planned(resets=book(entry(Stage.STOPPING))), planned(approvals={})
    assert (resets.without_secrets(begun, "?"), resets.without_secrets(waiting, "?")) == (begun, waiting)


@pytest.mark.parametrize(
    ("given", "rail"),
    [
        (TASK, "approval"),
        (at(NOW + HOUR), "future"),
        (at(NOW - timedelta(days=8)), "retention"),
        (asked(expires=NOW), "expired"),
    ],
    ids=["approval", "future", "retention", "expired"],
)
def test_proposal_is_judged_without_the_ledger(given, rail):
    assert resets.proposed(given, None, around(RULES)).rail == rail


@pytest.mark.parametrize(
    ("start", "rail"),
    [(NOW, None), (NOW + timedelta(seconds=1), "future"), (datetime(1970, 1, 1, tzinfo=UTC), "retention")],
    ids=["now", "future", "epoch"],
)
def test_objection(start, rail):
    found = objection(int(start.timestamp()), NOW, 3600.0)
    assert (found.rail if found else None) == rail


def test_unknown_retention_objects_to_nothing_old():
    assert objection(0, NOW, 0.0) is None
