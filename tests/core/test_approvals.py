"""Who has to be asked before what is sent, and what an approval lets through (`core.policy`)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.policy import Mode, NewTasks, Policy, approval_of, needs_approval, unapproved
from reconciler.core.status import status_of
from reconciler.model import Action, Approval, Condition
from tests.core.builders import APPLY, NOW, applied, around, planned, ready, record_of, task, whole

ASK = replace(APPLY, mode=Mode.APPROVE)
DELETIONS = replace(APPLY, approve_deletions=True)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
FEWER, FASTER = whole(sink={"workerNum": ...}), whole(sink={"workerNum": "32"})


def approval(content_id="c", *, at=NOW, until=NOW + DAY, forced=()):
    return Approval(content_id, "shop/orders", "a", "p" * 64, "update", forced, "agreed", "ann", at, until)


def given(item, **more):
    """Surroundings in which an item is approved."""
    return {"approvals": {item.content_id: approval(item.content_id, **more)}}


def edited(policy=ASK, to=FASTER, base=None, **surroundings):
    return planned(task(to, allow_delete=True), base or applied(), policy=policy, **surroundings)


@pytest.mark.parametrize(
    ("rules", "intended", "words"),
    [
        (ASK, Action.UPDATE, 'every call needs an approval (policy.mode is "approve")'),
        (ASK, Action.UPDATE_DELETE, 'every call needs an approval (policy.mode is "approve")'),
        (ASK, Action.RESET, "a reset needs an approval in every mode"),
        (ASK, Action.ADOPT, ""),
        (ASK, Action.NOOP, ""),
        (DELETIONS, Action.UPDATE, ""),
        (DELETIONS, Action.UPDATE_DELETE, "a deletion needs an approval (policy.approve_deletions)"),
        (DELETIONS, Action.RESET, "a reset needs an approval in every mode"),
        (DELETIONS, Action.ADOPT, ""),
        (APPLY, Action.UPDATE, ""),
        (APPLY, Action.UPDATE_DELETE, ""),
        (APPLY, Action.RESET, "a reset needs an approval in every mode"),
    ],
)
def test_what_needs_an_approval(rules, intended, words):
    assert needs_approval(intended, rules) == words


@pytest.mark.parametrize(
    ("at", "until", "holds"),
    [
        pytest.param(NOW, NOW + DAY, True, id="just given"),
        pytest.param(NOW - DAY, NOW + SECOND, True, id="about to expire"),
        pytest.param(NOW - DAY, NOW, False, id="expires now"),
        pytest.param(NOW - 2 * DAY, NOW - DAY, False, id="expired"),
        pytest.param(NOW + SECOND, NOW + DAY, False, id="of a clock that was ahead"),
    ],
)
def test_an_approval_is_in_force_from_when_it_is_given_until_it_expires(at, until, holds):
    found = around(ASK, approvals={"c": approval(at=at, until=until)})
    assert (approval_of("c", found) is not None) is holds
    assert (unapproved("shop", Action.UPDATE, "c", found) is None) is holds


def test_what_waits_says_what_to_do():
    item = edited(DELETIONS, FEWER)
    assert (item.action, item.intended, item.rail) == (Action.BLOCKED, Action.UPDATE_DELETE, "approval")
    assert item.reason == (
        "a deletion needs an approval (policy.approve_deletions):"
        " reconciler approve PLAN --task shop/orders --reason TEXT"
    )
    assert item.approval is None


def test_an_approval_that_expired_is_told_of():
    item = edited(**given(edited(), at=NOW - DAY, until=NOW - SECOND))
    assert item.rail == "approval"
    assert item.reason.endswith("; it was approved by ann, and that expired at 2026-11-21 11:59:59Z")


def test_one_that_is_not_in_force_yet_did_not_expire():
    assert "expired" not in edited(**given(edited(), at=NOW + SECOND)).reason


def test_what_is_approved_goes_and_shows_by_whom():
    item = edited(**given(edited()))
    assert (item.action, item.rail, item.until) == (Action.UPDATE, "", None)
    assert (item.approval.by, item.approval.reason) == ("ann", "agreed")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"to": whole(sink={"workerNum": "33"})}, id="another value"),
        pytest.param({"to": whole(sink={"workerNum": "32", "printSql": "true"})}, id="one more key"),
        pytest.param({"to": whole(sink={"workerNum": "32", "password": "${env:OTHER}"})}, id="another secret"),
        pytest.param({"to": FEWER}, id="a deletion"),
        pytest.param({"base": applied(whole(sink={"workerNum": "8"}))}, id="another value before"),
    ],
)
def test_an_approval_is_for_one_content_only(other):
    assert edited(**other, **given(edited())).rail == "approval"


def test_an_approval_is_for_the_whole_payload_though_the_changes_are_the_same():
    more = {"workerNum": "32", "printSql": "true"}
    other = {"to": whole(sink=more), "base": applied(whole(sink=more | {"workerNum": "16"}))}
    assert edited(**other).changes == edited().changes
    assert edited(**other, **given(edited())).rail == "approval"


def test_an_approval_outlives_an_attempt_that_had_no_effect():
    base = applied(serial=7)
    assert edited(base=base).id != edited().id
    assert edited(base=base, **given(edited())).action is Action.UPDATE


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.APPROVE])
def test_an_approval_lifts_the_rails_that_it_names(mode):
    rules = Policy(mode=mode, new_tasks=NewTasks.HOLD)
    held = planned(policy=rules)
    assert (held.rail, planned(policy=rules, **given(held)).rail) == ("new_tasks", "new_tasks")
    freed = planned(policy=rules, **given(held, forced=("new_tasks",)))
    assert (freed.action, freed.forced) == (Action.UPDATE, ("new_tasks",))


def test_nothing_lifts_a_protected_key():
    protected = task(FASTER, protect=("/sink",))
    item = planned(protected, applied(), policy=ASK)
    assert item.rail == "protect"
    assert planned(protected, applied(), policy=ASK, **given(item, forced=("protect", "danger"))).rail == "protect"


def test_nothing_is_sent_in_observe_whatever_is_approved():
    watching = replace(APPLY, mode=Mode.OBSERVE)
    assert edited(watching, **given(edited(watching), forced=("mode",))).rail == "mode"


def test_adopting_needs_no_approval():
    assert planned(policy=Policy(mode=Mode.APPROVE, new_tasks=NewTasks.ADOPT)).action is Action.ADOPT


def test_other_rails_that_hold_are_named_after_the_first():
    item = edited(replace(ASK, targets={}))
    assert (item.rail, item.reason.rpartition("; ")[2]) == ("target", "then held by: approval")
    paced = replace(ASK, intervals={"default": 60.0}, paced=True)
    waits = edited(paced, base=applied(component="c"), **given(edited(base=applied())))
    assert (waits.rail, waits.until) == ("min_update_interval_s", NOW + timedelta(seconds=60))
    assert waits.approval.until == NOW + DAY


# --- what is said of it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("daemon", "end"),
    [
        pytest.param(False, "--reason TEXT, then apply; or take the change back", id="by hand"),
        pytest.param(True, "--reason TEXT: it is sent by itself then; or take the change back", id="beside a daemon"),
    ],
)
def test_next_step_of_what_waits_names_the_command(daemon, end):
    step = status_of(edited(), None, calling=False, daemon=daemon).next_step
    assert step.startswith(
        "reconciler approvals, which names the plan, then reconciler approve PLAN --task shop/orders"
    )
    assert step.endswith(end)


def test_status_says_who_approved_and_what_was_lifted():
    held = planned(policy=Policy())
    item = planned(policy=Policy(), **given(held, forced=("new_tasks",)))
    reason = status_of(item, None, calling=False).reason
    assert reason.endswith("; approved by ann: agreed (until 2026-11-22 12:00:00Z); lifted: new_tasks")
    retrying = record_of(ready(), condition=Condition.RETRYING, reason="503")
    told = status_of(item, retrying, calling=False).reason
    assert "; lifted: new_tasks; the last attempt had no effect: 503" in told
