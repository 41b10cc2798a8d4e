from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core import policy
from reconciler.core.policy import Case, Mode, NewTasks, Policy, forced, hold, suspended
from reconciler.model import (
    Action,
    Change,
    ChangeKind,
    Condition,
    Danger,
    DangerLevel,
    ResetEntry,
    ResetKey,
    Stage,
    Suspension,
    Window,
)
from tests.core.builders import APPLY, NOW, around, ready, record_of, task

WHY = Danger(DangerLevel.CONFIRM, "why")
LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
TROUBLE = {"default": ("capability-missing", "no such action")}
STOPPED = {"default": ("stopped", "3 components did not come back healthy")}
PACED = replace(APPLY, intervals={"default": 60.0}, paced=True)
SENT = {"component": "c", "applied_at": NOW - timedelta(seconds=59)}


def change(path="/sink/jdbcUrl", new="b", danger=None, *, stays=False):
    _, section, *rest = path.split("/")
    kind = ChangeKind.REMOVED if new is None else ChangeKind.SET
    return Change(section, "/" + "/".join(rest), kind, "a", new, danger=danger, left_in_place=stays)


def case(
    *changes,
    rules=APPLY,
    intended=Action.UPDATE,
    new=False,
    lacking=(),
    lost=(),
    record=None,
    surroundings=None,
    **members,
):
    desired = ready(task(**members))
    known = None if new else replace(record_of(desired), **(record or {}))
    return Case(desired, known, intended, changes, lacking, around(rules, **(surroundings or {})), lost)


def attempted(condition, attempts=0, *, allow_delete=False):
    digest = ready().request_digest(allow_delete=allow_delete)
    return {"condition": condition, "attempted": digest, "attempts": attempts, "reason": "because"}


def reset(stage, project="np_4x9j00000001"):
    """A ledger with one reset of the task's project, or of another one."""
    key = ResetKey("default", project, False, "r1")
    return {key: ResetEntry(key, "d", "shop/other", "a", 1, stage, NOW)}


def lost_key(record):
    """The same attempt, its secrets fingerprinted with a key that is gone."""
    content = record["attempted"].partition(".")[0]
    return record | {"attempted": f"{content}.{'0' * 64}.{'0' * 16}"}


NIGHT = Window("night", allows=True, cron="0 22 * * *", duration_s=3600, zone="UTC")
NOON = Window("noon", allows=False, cron="0 12 * * *", duration_s=3600, zone="UTC")
OF_SHOP = replace(NOON, labels=(("team", "shop"),))
HOLDING = [
    pytest.param("suspend in task.json", case(suspend=Suspension("maintenance", None)), id="suspend"),
    pytest.param("mode", case(rules=Policy(mode=Mode.OBSERVE)), id="observe"),
    pytest.param("target", case(rules=replace(APPLY, targets={"b": "CE", "a": "EE"})), id="unknown target"),
    pytest.param("target", case(rules=replace(APPLY, targets={})), id="no targets"),
    pytest.param("target", case(rules=replace(APPLY, refused={"default": "too old"})), id="target too old"),
    pytest.param("first_run", case(new=True, surroundings={"first_run": True}), id="first run"),
    pytest.param("new_tasks", case(new=True, rules=Policy(new_tasks=NewTasks.HOLD)), id="new"),
    pytest.param("reset", case(surroundings={"resets": reset(Stage.STOPPING)}), id="reset under way"),
    pytest.param("reset", case(surroundings={"resets": reset(Stage.UNKNOWN)}), id="reset of unknown outcome"),
    pytest.param("capability", case(surroundings={"troubles": TROUBLE}), id="capability"),
    pytest.param("stop_after_failures", case(surroundings={"troubles": STOPPED}), id="stopped"),
    pytest.param("failed", case(record=attempted(Condition.FAILED)), id="failed"),
    pytest.param("failed", case(record=attempted(Condition.FAILED, allow_delete=True)), id="failed deletion"),
    pytest.param("failed", case(record=lost_key(attempted(Condition.FAILED))), id="failed, key lost"),
    pytest.param("unknown", case(record=attempted(Condition.UNKNOWN, 3)), id="unknown"),
    pytest.param("unknown", case(record=lost_key(attempted(Condition.UNKNOWN, 3))), id="unknown, key lost"),
    pytest.param("protect", case(change(), protect=("/sink/jdbcUrl",)), id="protected"),
    pytest.param("protect", case(change("/sink/a"), protect=("/sink/a/b",)), id="protected inside"),
    pytest.param("protect", case(change("/sink/a/b", None), protect=("/sink/*",)), id="protected above"),
    pytest.param("danger", case(change(danger=WHY)), id="confirm"),
    pytest.param("danger", case(change(danger=Danger(DangerLevel.FORBID, "why"))), id="forbid"),
    pytest.param("danger", case(change(), change("/sink/a", danger=WHY)), id="second change"),
    pytest.param("danger", case(change("/sink/a", danger=WHY), allow=("/sink/a/b",)), id="allowed inside only"),
    pytest.param("incomplete", case(intended=Action.UPDATE_DELETE, lacking=("/sink/jar",)), id="incomplete"),
    pytest.param("lost_secret", case(lost=("/sink/props/token",)), id="lost secret"),
    pytest.param("window", case(rules=replace(APPLY, windows=(NIGHT,))), id="no window is open"),
    pytest.param(
        "window", case(rules=replace(APPLY, windows=(OF_SHOP,)), labels=(("team", "shop"),)), id="of its label"
    ),
    pytest.param("window", case(windows=(NOON,)), id="window of task.json"),
    pytest.param("window", case(new=True, windows=(NOON,)), id="first send by noon"),
    pytest.param("window", case(windows=(NOON,), record={"open_intents": 1, "attempted": "other"}), id="newer content"),
    pytest.param("window", case(windows=(NOON,), record=attempted(Condition.UNKNOWN, 1)), id="answered since"),
    pytest.param("min_update_interval_s", case(rules=PACED, record=SENT), id="updated a moment ago"),
]
FREE = [
    pytest.param(case(), id="nothing holds"),
    pytest.param(case(suspend=Suspension("over", EARLIER)), id="suspension expired"),
    pytest.param(case(rules=replace(APPLY, targets={"default": "CE"})), id="known target"),
    pytest.param(case(new=True), id="new, apply"),
    pytest.param(case(rules=Policy(new_tasks=NewTasks.HOLD)), id="known, hold"),
    pytest.param(case(surroundings={"first_run": True}), id="first run, but known"),
    pytest.param(case(record={"digest": None, "open_intents": 1}, rules=Policy()), id="perhaps sent is not new"),
    pytest.param(case(surroundings={"troubles": {"other": TROUBLE["default"]}}), id="another target's trouble"),
    pytest.param(case(surroundings={"troubles": {"default": ("misconfigured", "x")}}), id="trouble that is probed"),
    pytest.param(case(record={"condition": Condition.FAILED, "attempted": "other"}), id="other content failed"),
    pytest.param(case(record=attempted(Condition.RETRYING)), id="retrying"),
    pytest.param(case(record=attempted(Condition.UNKNOWN, 2)), id="two unknown attempts"),
    pytest.param(case(record={"attempts": 3, "attempted": "other"}), id="other content unknown"),
    pytest.param(case(change(), protect=("/sink/other", "/source")), id="other keys protected"),
    pytest.param(case(change(stays=True, danger=WHY), protect=("/sink",)), id="left in place"),
    pytest.param(case(change(), new=True, protect=("/sink",)), id="protected, but new"),
    pytest.param(case(change(danger=WHY), new=True), id="dangerous, but new"),
    pytest.param(case(change(danger=Danger(DangerLevel.WARN, "why"))), id="warning"),
    pytest.param(case(change(danger=WHY), allow=("/sink/jdbcUrl",)), id="allowed"),
    pytest.param(case(change(danger=WHY), allow=("/*/jdbcUrl",)), id="allowed by a pattern"),
    pytest.param(case(lacking=("/sink/jar",)), id="incomplete update"),
    pytest.param(case(intended=Action.UPDATE_DELETE), id="complete deletion"),
    pytest.param(case(rules=replace(APPLY, refused={"other": "too old"})), id="another target too old"),
    pytest.param(case(surroundings={"troubles": {"other": STOPPED["default"]}}), id="another target stopped"),
    pytest.param(case(rules=replace(APPLY, windows=(OF_SHOP,))), id="window of another label"),
    pytest.param(case(rules=replace(APPLY, windows=(NIGHT, replace(NOON, allows=True)))), id="one of two is open"),
    pytest.param(case(windows=(NIGHT,), new=True, intended=Action.ADOPT), id="adopting at any time"),
    pytest.param(case(windows=(NIGHT,), record=attempted(Condition.APPLYING) | {"open_intents": 1}), id="begun before"),
    pytest.param(case(rules=PACED, record=SENT | {"applied_at": NOW - timedelta(seconds=60)}), id="interval is over"),
    pytest.param(case(rules=PACED, record=SENT | {"component": ""}), id="adopted, not updated"),
    pytest.param(case(rules=PACED, record=SENT | {"applied_at": None}), id="never applied"),
    pytest.param(case(rules=PACED, new=True), id="new, paced"),
    pytest.param(case(rules=replace(PACED, paced=False), record=SENT), id="intervals are the daemon's"),
    pytest.param(case(rules=replace(PACED, intervals={"other": 60.0}), record=SENT), id="another target's interval"),
    pytest.param(case(rules=replace(PACED, intervals={"default": 0.0}), record=SENT), id="interval off"),
]


@pytest.mark.parametrize(("rail", "held"), HOLDING)
def test_rail_holds(rail, held):
    assert hold(held).rail == rail


@pytest.mark.parametrize("free", FREE)
def test_rail_does_not_hold(free):
    assert hold(free) is None


@pytest.mark.parametrize(("rail", "held"), HOLDING)
def test_only_rails_that_can_be_forced_are_lifted(rail, held):
    lifted = replace(held.around.policy, forced=frozenset((rail,)))
    pushed = replace(held, around=replace(held.around, policy=lifted))
    if rail in policy.FORCIBLE:
        assert (hold(pushed), forced(pushed)) == (None, (rail,))
    else:
        assert (hold(pushed).rail, forced(pushed)) == (rail, ())


def test_rail_that_holds_nothing_is_not_recorded_as_forced():
    assert forced(case(rules=replace(APPLY, forced=frozenset(policy.FORCIBLE)))) == ()


def test_forcing_first_sight_is_recorded_though_the_rule_is_to_adopt():
    rules = Policy(new_tasks=NewTasks.ADOPT, forced=frozenset(("new_tasks",)))
    assert forced(case(new=True, rules=rules)) == ("new_tasks",)


def test_first_rail_in_order_is_the_one_that_is_told():
    held = case(
        change(danger=WHY),
        rules=Policy(mode=Mode.OBSERVE, targets={}),
        intended=Action.UPDATE_DELETE,
        lacking=("/sink/jar",),
        record=attempted(Condition.FAILED, 3),
        surroundings={"troubles": TROUBLE},
        protect=("/sink",),
        suspend=Suspension("x", None),
    )
    rails = [found.rail for gate in policy.GATES if (found := gate(held))]
    assert rails == [
        "suspend in task.json",
        "mode",
        "target",
        "capability",
        "failed",
        "unknown",
        "protect",
        "danger",
        "incomplete",
    ]
    assert hold(held).rail == "suspend in task.json"


def test_forced_rail_gives_way_to_the_next_one():
    rules = Policy(new_tasks=NewTasks.HOLD, forced=frozenset(("new_tasks",)))
    assert hold(case(new=True, rules=rules, surroundings={"troubles": TROUBLE})).rail == "capability"


@pytest.mark.parametrize(
    ("rail", "words"),
    [
        pytest.param("protect", "/sink/jdbcUrl is protected in task.json and would be changed", id="protect"),
        pytest.param("danger", 'add "/sink/jdbcUrl" to allow in task.json', id="danger"),
    ],
)
def test_reason_names_the_key(rail, words):
    held = case(change(danger=WHY), protect=("/sink",) if rail == "protect" else ())
    assert words in hold(held).reason


def test_reason_says_removed_of_a_removal():
    assert "/sink/a would be removed: why" in hold(case(change("/sink/a", None, WHY))).reason


def test_reason_of_an_incomplete_payload_lists_what_is_missing():
    held = case(intended=Action.UPDATE_DELETE, lacking=("/sink/jar", "/source/clients"))
    assert hold(held).reason.endswith("missing: /sink/jar, /source/clients")


def test_reason_of_a_failure_is_the_recorded_one():
    assert "because" in hold(case(record=attempted(Condition.FAILED))).reason
    assert "sent 3 times" in hold(case(record=attempted(Condition.UNKNOWN, 3))).reason


def test_reason_of_an_unknown_target_lists_the_known_ones():
    reasons = [hold(case(rules=replace(APPLY, targets=targets))).reason for targets in ({"b": "CE", "a": "EE"}, {})]
    assert [reason.rpartition(": ")[2] for reason in reasons] == ["a, b", "none"]


def test_interval_holds_until_it_is_over_and_says_so():
    held = hold(case(rules=PACED, record=SENT))
    assert held.until == NOW + timedelta(seconds=1)
    assert "less than 60 s ago (min_update_interval_s of target default)" in held.reason


def test_interval_is_the_last_rail_so_that_what_needs_a_person_is_told_first():
    held = case(change(danger=WHY), rules=PACED, record=SENT)
    assert hold(held).rail == "danger"


def test_reason_of_a_stop_and_of_lost_secrets_is_told():
    assert "3 components" in hold(case(surroundings={"troubles": STOPPED})).reason
    assert hold(case(lost=("/sink/a", "/sink/b"))).reason.endswith("no longer declare: /sink/a, /sink/b")


def test_window_says_until_when_it_holds():
    assert hold(case(windows=(NOON,))).until == NOW + timedelta(hours=1)
    assert hold(case(windows=(NOON, replace(NIGHT, cron="0 22 29 2 *")))).until is None


# --- suspension ----------------------------------------------------------------------------------------------------


def named(name, suspend=None):
    return replace(case().desired.task, name=name, suspend=suspend, labels=(("x", "y z"),))


@pytest.mark.parametrize(
    ("declared", "commands", "rail"),
    [
        pytest.param(Suspension("r", None), {}, "suspend in task.json", id="declared"),
        pytest.param(None, {"a": Suspension("r", None)}, "suspend", id="by command"),
        pytest.param(None, {"*": Suspension("r", None)}, "suspend --all", id="all by command"),
        pytest.param(None, {"*x=y z": Suspension("r", None)}, "suspend --label x=y z", id="label by command"),
        pytest.param(
            None,
            {"*": Suspension("x", None), "*x=y z": Suspension("r", None)},
            "suspend --label x=y z",
            id="label before all",
        ),
        pytest.param(
            None, {"a": Suspension("r", None), "*x=y z": Suspension("x", None)}, "suspend", id="task before label"
        ),
        pytest.param(Suspension("old", EARLIER), {"a": Suspension("r", LATER)}, "suspend", id="declared one expired"),
    ],
)
def test_suspension_says_where_it_comes_from(declared, commands, rail):
    held = suspended(named("a", declared), None, around(suspensions=commands))
    assert (held.rail, held.reason.partition(";")[0], held.action) == (rail, "r", Action.SUSPENDED)


LAST = LATER + timedelta(hours=2)


@pytest.mark.parametrize(
    ("declared", "commands", "rail", "until", "also"),
    [
        pytest.param(LATER, {"*": LAST}, "suspend --all", LAST, ("suspend in task.json",), id="the widest ends last"),
        pytest.param(LAST, {"*": LATER}, "suspend in task.json", LAST, ("suspend --all",), id="the narrowest does"),
        pytest.param(LAST, {"*": None}, "suspend --all", None, ("suspend in task.json",), id="one never ends"),
        pytest.param(LATER, {"a": LATER}, "suspend in task.json", LATER, ("suspend",), id="both at once"),
        pytest.param(
            LATER, {"a": EARLIER, "*": LATER, "*x=y z": LAST}, "suspend --label x=y z", LAST,
            ("suspend in task.json", "suspend --all"), id="three, and one that is over",
        ),
    ],
)  # fmt: skip
def test_suspension_that_ends_last_counts(declared, commands, rail, until, also):
    given = {key: Suspension(f"why {key}", end) for key, end in commands.items()}
    held = suspended(named("a", Suspension("declared", declared)), None, around(suspensions=given))
    assert (held.rail, held.until, held.also) == (rail, until, also)


def test_further_suspensions_are_told_with_their_ends():
    given = {"a": Suspension("lunch", LATER), "*x=y z": Suspension("for ever", None), "*": Suspension("night", LAST)}
    assert suspended(named("a"), None, around(suspensions=given)).reason == (
        f"for ever; suspend too until {LATER:%Y-%m-%d %H:%M:%S}Z: lunch;"
        f" suspend --all too until {LAST:%Y-%m-%d %H:%M:%S}Z: night"
    )


def test_suspension_of_a_task_that_kept_its_name_is_one():
    given = {"a": Suspension("r", None)}
    assert suspended(named("a"), record_of(case().desired, task="a"), around(suspensions=given)).also == ()


@pytest.mark.parametrize(
    ("until", "holds"),
    [
        pytest.param(None, True, id="no end"),
        pytest.param(LATER, True, id="ends later"),
        pytest.param(NOW, False, id="ends now"),
        pytest.param(EARLIER, False, id="ended"),
    ],
)
def test_suspension_holds_until_it_ends(until, holds):
    held = suspended(named("a", Suspension("r", until)), None, around())
    assert (held is not None, held and held.until) == (holds, until if holds else None)


def test_suspension_of_another_task_does_not_hold():
    assert suspended(named("a"), None, around(suspensions={"b": Suspension("r", None)})) is None


def test_suspension_follows_a_directory_that_was_renamed():
    commands = {"old": Suspension("r", None)}
    assert (
        suspended(named("new"), record_of(case().desired, task="old"), around(suspensions=commands)).rail == "suspend"
    )


@pytest.mark.parametrize("key", ["*x=y", "*x", "*y z=x", "x=y z", "*X=y z"])
def test_suspension_of_another_label_does_not_hold(key):
    assert suspended(named("a"), None, around(suspensions={key: Suspension("r", None)})) is None


@pytest.mark.parametrize(
    ("left", "rail"), [("*x=y z", "suspend --all"), ("*", "suspend --label x=y z"), ("other", "suspend --label x=y z")]
)
def test_suspension_that_is_left_aside_gives_way_to_the_next_one(left, rail):
    commands = {"*x=y z": Suspension("r", None), "*": Suspension("r", None)}
    rules = replace(APPLY, resumed=frozenset((left,)))
    assert suspended(named("a"), None, around(rules, suspensions=commands)).rail == rail


def test_suspension_in_task_json_is_never_left_aside():
    rules = replace(APPLY, resumed=frozenset(("a", "*")))
    assert suspended(named("a", Suspension("r", None)), None, around(rules)).rail == "suspend in task.json"


@pytest.mark.parametrize(
    ("key", "label", "shown"),
    [("*", "", "all tasks"), ("*team=shop", "team=shop", "tasks with team=shop"), ("shop/orders", "", "shop/orders")],
)
def test_name_of_a_suspension_says_whom_it_holds(key, label, shown):
    assert (policy.label_of(key), policy.shown_key(key)) == (label, shown)
    assert not label or policy.label_key(label) == key


def test_every_obstacle_of_a_rail_is_told_at_once():
    dangers = case(change("/sink/a", danger=WHY), change("/sink/b", danger=WHY))
    guards = case(change("/sink/a"), change("/sink/b"), protect=("/sink/*",))
    for held in (dangers, guards):
        reason = hold(held).reason
        assert "/sink/a" in reason
        assert "/sink/b" in reason


@pytest.mark.parametrize(
    "ledger",
    [
        *(reset(stage) for stage in (Stage.PENDING, Stage.PERHAPS_SENT, Stage.DONE, Stage.UNCONFIRMED, Stage.REFUSED)),
        reset(Stage.STOPPING, "np_other"),
    ],
    ids=["pending", "perhaps sent", "done", "unconfirmed", "refused", "of another project"],
)
def test_reset_that_nobody_works_on_holds_nothing(ledger):
    assert hold(case(change("/sink/workerNum"), surroundings={"resets": ledger})) is None


def test_hold_for_a_reset_names_it_and_who_has_to_say_how_it_ended():
    waits = hold(case(surroundings={"resets": reset(Stage.RESUMING)})).reason
    asks = hold(case(surroundings={"resets": reset(Stage.UNKNOWN)})).reason
    assert waits == "waits for reset r1 of np_4x9j00000001, which is under way"
    command = "reconciler reset resolve shop/other --sent or --not-sent, --reason TEXT"
    assert asks.endswith(f"reset r1 of np_4x9j00000001 ended: {command}")
