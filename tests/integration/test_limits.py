"""Limits of a run in the daemon: a change over much of the fleet is counted as one, however it arrives."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core.limits import REMOVED, TASKS
from reconciler.core.policy import Mode, NewTasks, Policy
from reconciler.events import Notice
from reconciler.model import Approval, Limits, Suspension, Window
from tests.integration.bench import Bench
from tests.integration.engine import Engine

DAY = timedelta(days=1)
CLOSED = Window("never", allows=False, cron="* * * * *", duration_s=3600, zone="UTC")


@pytest.fixture
def fleet(bench):
    """50 adopted tasks, of which 15 may be sent at once; an engine that looked at them."""
    made = []

    def engine(number=50, **rules):
        for each in range(number):
            bench.put(f"t{each:03}", each)
        bench.reconciler().adopt((), reason="as it is", only_new=True)
        bench.concurrent["default"] = 16
        made.append(Engine(bench, **rules))
        made[-1].everything()
        return made[-1]

    yield engine
    for one in made:
        one.end()


def names(*numbers):
    return [f"t{number:03}" for number in range(*numbers)]


def edit(engine, *numbers, value="128"):
    """Edit files, and say so as the watch of the files does."""
    for name in names(*numbers):
        engine.bench.edit("sink", name, workerNum=value)
    engine.agenda.add(names(*numbers))


def idle(engine):
    """Turn until there is nothing to look at."""
    while engine.agenda.waiting()[0]:
        engine.turn()


def held(engine):
    """Tasks that the limit of tasks holds, as the store has it."""
    return {
        name for name, said in engine.said().items() if said.state == "blocked" and said.reason.startswith("tasks: ")
    }


def told(engine):
    return [(notice.level, notice.text.partition(":")[0]) for notice in engine.of(Notice) if notice.topic == "limit"]


def approve(engine, *rails):
    """Somebody approves all that the plan holds."""
    plan, now = engine.bench.survey().plan, engine.bench.clock.now()
    for item in plan.items:
        if item.rail:
            engine.bench.store.approve(
                Approval(
                    content_id=item.content_id,
                    task=item.task,
                    address=item.address,
                    plan=plan.id,
                    action=item.intended.value,
                    forced=rails,
                    reason="meant",
                    by="ann",
                    at=now,
                    until=now + DAY,
                )
            )
            engine.agenda.add((item.task,))


# --- what trips ----------------------------------------------------------------------------------------------------


def test_edit_over_half_of_the_fleet_sends_none(bench, fleet):
    engine = fleet(200)
    edit(engine, 100)
    engine.pass_time(60.0)
    assert (bench.sent, held(engine)) == ([], set(names(100)))
    assert told(engine) == [("warning", "limit tasks")]


def test_as_many_as_may_be_are_sent(bench, fleet):
    engine = fleet()
    edit(engine, 15)
    engine.until(lambda: len(bench.sent) == 15)
    engine.settled()
    assert told(engine) == []


def test_held_tasks_say_what_to_do(bench, fleet):
    engine = fleet()
    edit(engine, 16)
    idle(engine)
    said = engine.said()["t000"]
    assert said.reason.startswith("tasks: more than 30 % and more than 5 of all tasks would be restarted at once")
    assert "reconciler approve PLAN --force tasks --reason TEXT" in said.next_step


def test_tasks_that_were_not_edited_are_left_alone(bench, fleet):
    engine = fleet()
    edit(engine, 16)
    idle(engine)
    assert {engine.state(name) for name in names(16, 50)} == {"synced"}


def test_more_than_one_batch_is_counted_before_the_first_is_sent(bench, fleet):
    engine = fleet(200, limits=Limits(tasks=0.34))  # more than a batch of 64
    edit(engine, 69)
    engine.turn()
    idle(engine)
    assert (bench.sent, len(held(engine))) == ([], 69)


def test_keys_of_all_tasks_are_counted_together(bench, fleet):
    engine = fleet(10, limits=Limits(removed_keys=0.005, keys_floor=1, tasks=1))
    for name in names(2):
        bench.edit("task", name, allowDelete=True)
        bench.edit("source", name, splitThreshold=None)
    engine.agenda.add(names(2))
    idle(engine)
    assert bench.sent == []
    assert {engine.said()[name].reason.partition(":")[0] for name in names(2)} == {REMOVED}


def test_what_waits_for_a_window_trips_when_it_is_committed(bench, fleet):
    engine = fleet(windows=(CLOSED,))
    edit(engine, 15)
    idle(engine)
    assert {engine.said()[name].reason.partition(" ")[0] for name in names(15)} == {"window"}
    edit(engine, 15, 16)
    idle(engine)
    assert held(engine) == set(names(16))


def test_fresh_daemon_holds_it_as_well(bench, fleet):
    edit(fleet(), 16)
    again = Engine(bench)
    again.everything()
    again.pass_time(60.0)
    assert (bench.sent, held(again)) == ([], set(names(16)))
    again.end()


# --- in portions ---------------------------------------------------------------------------------------------------


def test_edits_in_portions_are_held_once_they_are_too_many_and_what_was_queued_is_taken_back(bench, fleet):
    engine = fleet()
    bench.concurrent["default"] = 1
    edit(engine, 10)
    engine.turn()
    engine.until(lambda: bench.sent)
    edit(engine, 10, 50)
    idle(engine)
    begun = len(bench.sent)
    engine.pass_time(600.0)
    assert begun < 10
    assert len(bench.sent) == begun
    assert len(held(engine)) == 50 - begun


def test_what_waits_for_its_target_is_held_when_a_limit_trips(bench, fleet):
    engine = fleet()
    engine.targets.suspect({"default": ("misconfigured", "no")})  # nothing begins until it was asked
    edit(engine, 15)
    engine.some(*names(15))
    edit(engine, 15, 16)
    engine.some("t015")
    engine.until(lambda: not engine.targets.troubles())
    engine.pass_time(60.0)
    assert (bench.sent, held(engine)) == ([], set(names(16)))


def test_call_that_was_begun_is_finished_though_a_limit_trips(bench, fleet):
    engine = fleet()
    bench.fault("close", effect="after", times=1)
    edit(engine, 1)
    engine.until(lambda: engine.state("t000") == "unconfirmed" or len(bench.sent) == 1)
    edit(engine, 1, 30)
    idle(engine)
    engine.settled("t000")
    assert {body["key"] for body in bench.sent} == {bench.read("task", "t000")["key"]}
    assert held(engine) == set(names(1, 30))


def test_what_was_sent_before_without_an_answer_counts_towards_nothing(bench, fleet):
    fleet()
    bench.edit("sink", "t000", workerNum="128")
    bench.fault("close", effect="after", times=3)
    assert bench.apply("t000")["t000"].status.value == "unknown"
    bench.store.retry(bench.record("t000").address)
    for name in names(1, 16):
        bench.edit("sink", name, workerNum="128")
    assert list(bench.actions().values()).count("update") == 16


# --- what releases -------------------------------------------------------------------------------------------------


def test_what_is_held_goes_when_enough_is_taken_back(bench, fleet):
    engine = fleet()
    edit(engine, 20)
    idle(engine)
    edit(engine, 4, value="16")
    engine.pass_time(5.0)
    assert bench.sent == []
    edit(engine, 4, 5, value="16")
    engine.settled()
    assert len(bench.sent) == 15
    assert told(engine) == [("warning", "limit tasks"), ("info", "limit tasks")]


def test_what_is_approved_with_the_rail_goes_and_that_is_on_record(bench, fleet):
    engine = fleet()
    edit(engine, 20)
    idle(engine)
    approve(engine, TASKS)
    engine.settled()
    intents = [entry for entry in bench.store.history(None, 1000) if entry.kind == "intent"]
    assert len(bench.sent) == len(intents) == 20
    assert {tuple(entry.detail["forced"]) for entry in intents} == {(TASKS,)}


def test_approval_without_the_rail_lifts_nothing(bench, fleet):
    engine = fleet()
    edit(engine, 20)
    idle(engine)
    approve(engine)
    engine.pass_time(5.0)
    assert (bench.sent, len(held(engine))) == ([], 20)


def test_suspended_tasks_count_when_they_are_resumed(bench, fleet):
    engine = fleet()
    bench.store.suspend("*", Suspension("maintenance", None))
    edit(engine, 20)
    idle(engine)
    assert {engine.state(name) for name in names(20)} == {"suspended"}
    bench.store.resume("*")
    engine.everything()
    engine.pass_time(5.0)
    assert (bench.sent, len(held(engine))) == ([], 20)


def test_limit_that_is_off_holds_nothing(bench, fleet):
    engine = fleet(20, limits=Limits(tasks=1))
    edit(engine, 20)
    engine.until(lambda: len(bench.sent) == 20)
    engine.settled()


def test_deleted_tasks_are_counted_no_more(bench, fleet):
    engine = fleet(limits=Limits(tasks_floor=1, tasks=0.02))
    edit(engine, 2)
    idle(engine)
    assert held(engine) == set(names(2))
    bench.store.forget(bench.record("t001").address)
    for file in (bench.desired / "t001").iterdir():
        file.unlink()
    engine.agenda.add(("t001",))
    engine.settled("t000")
    assert len(bench.sent) == 1


# --- what waits for a word -------------------------------------------------------------------------------------------

THEN = "; then, together with the others, held by: tasks"


def foretold(engine):
    """Tasks that wait for an approval and say that the limit of tasks would hold them then."""
    return {name for name, said in engine.said().items() if said.reason.endswith(THEN)}


def test_what_waits_is_told_what_would_hold_it_as_soon_as_that_is_so_and_no_longer(bench, fleet):
    engine = fleet(mode=Mode.APPROVE)
    edit(engine, 15)
    idle(engine)
    assert ({engine.state(name) for name in names(15)}, foretold(engine)) == ({"blocked"}, set())
    edit(engine, 15, 16)
    idle(engine)
    assert (foretold(engine), told(engine)) == (set(names(16)), [])
    edit(engine, 1, value="16")
    idle(engine)
    assert foretold(engine) == set()


def test_what_waits_and_would_be_too_much_still_goes_one_by_one(bench, fleet):
    engine = fleet(mode=Mode.APPROVE)
    edit(engine, 16)
    idle(engine)
    approve_one(engine, "t000")
    engine.until(lambda: bench.sent)
    engine.settled("t000")
    assert (len(bench.sent), foretold(engine)) == (1, set())


def approve_one(engine, task):
    plan, now = engine.bench.survey(mode=Mode.APPROVE).plan, engine.bench.clock.now()
    (item,) = (item for item in plan.items if item.task == task)
    word = Approval(item.content_id, task, item.address, plan.id, "update", (), "meant", "ann", now, now + DAY)
    engine.bench.store.approve(word)
    engine.agenda.add((task,))


def test_limits_that_tripped_are_known_with_their_numbers(bench, fleet):
    engine = fleet()
    edit(engine, 20)
    idle(engine)
    (rail,) = (rail for rail in engine.passes.rails if rail.name == TASKS)
    assert (rail.tasks, rail.found) == (
        20,
        "20 of 50 tasks would be restarted at once (40 %), more than 30 % and more than 5",
    )


# --- plans ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def edited(bench, fleet):
    """20 of 50 tasks are edited."""
    edit(fleet(), 20)
    return bench


def rails(survey):
    return {item.rail for item in survey.plan.items if item.intended.sends}


def test_plan_says_how_much_is_too_much(edited):
    survey = edited.survey()
    assert rails(survey) == {TASKS}
    assert survey.plan.remarks[0].startswith("limit tasks: 20 of 50 tasks would be restarted at once (40 %)")
    assert (survey.work, survey.left) == ({}, frozenset())


def test_forced_plan_sends_and_says_what_was_forced(edited):
    survey = edited.survey(forced=frozenset((TASKS,)))
    assert {item.forced for item in survey.plan.items if item.action.sends} == {(TASKS,)}
    assert len(survey.work) == 20
    assert survey.plan.id == edited.survey().plan.id


def test_selection_counts_what_is_selected_of_all_tasks(edited):
    assert rails(edited.survey(*names(15))) == {""}
    assert rails(edited.survey(*names(16))) == {TASKS}


def test_keys_of_a_selection_are_those_of_the_selected(bench, fleet):
    fleet(4)
    for name in names(2):
        bench.edit("task", name, allowDelete=True)
        bench.edit("source", name, splitThreshold=None)
    rules = {"limits": Limits(removed_keys=0.03, keys_floor=1)}
    assert rails(bench.survey(**rules)) == {""}
    assert rails(bench.survey(*names(2), **rules)) == {REMOVED}


def test_work_that_was_not_kept_is_left_only_while_nothing_holds_it(edited):
    loose, strict = Limits(tasks=0.4), Limits()
    free = edited.reconciler().survey(Policy(new_tasks=NewTasks.APPLY, limits=loose), most=3)
    tight = edited.reconciler().survey(Policy(new_tasks=NewTasks.APPLY, limits=strict), most=3)
    assert (len(free.work), len(free.left)) == (3, 17)
    assert (len(tight.work), len(tight.left)) == (0, 0)


def test_first_sends_are_not_counted(bench):
    for number in range(20):
        bench.put(f"t{number:03}", number)
    assert {item.action.value for item in bench.survey().plan.items} == {"update"}


# --- whatever the order --------------------------------------------------------------------------------------------

edits = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["16", "17"]), st.booleans()), min_size=1, max_size=12)
TIGHT = Limits(removed_keys=0.01, changed_keys=0.02, tasks=0.3, keys_floor=0, tasks_floor=1)


def write(bench, task, value, keeps):
    content = bench.read("sink", task) | {"workerNum": value}
    source = bench.read("source", task) | {"splitThreshold": "128"}
    if not keeps:
        del source["splitThreshold"]
    bench.write("sink", task, content)
    bench.write("source", task, source)


def said_of(survey):
    return {item.task: (item.rail, item.behind, item.reason) for item in survey.plan.items}


@settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(edits, st.sampled_from(Mode))
def test_order_of_looks_does_not_change_what_is_held_or_would_be(served, tmp_path_factory, steps, mode):
    oms, url, clock = served
    bench = Bench(tmp_path_factory.mktemp("fleet"), oms, url, clock)
    for number in range(6):
        bench.put(f"t{number}", number, task={"allowDelete": True})
    reconciler, rules = bench.reconciler(), Policy(limits=TIGHT, mode=mode)
    reconciler.adopt((), reason="as it is", only_new=True)
    found = said_of(reconciler.survey(rules))
    for number, value, keeps in steps:
        write(bench, f"t{number}", value, keeps)
        waiting = {f"t{number}"}
        while waiting:
            survey = reconciler.look(rules, waiting)
            found |= said_of(survey)
            waiting = survey.unsettled
    fresh = bench.reconciler().survey(rules)
    bench.store.close()
    assert found == said_of(fresh)
    assert fresh.plan.remarks == survey.plan.remarks
