"""A whole run: several tasks and targets, the journal, what one task's trouble means for the others."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import apply, wiring
from reconciler.config import load
from reconciler.core.policy import NewTasks, Policy
from reconciler.dispatch import MISCONFIGURED
from reconciler.errors import StateStoreError, TargetMisconfiguredError
from reconciler.jobs import Job, Status
from reconciler.model import Action, Condition
from tests.integration.bench import REVERSE, SECOND, SENTINELS, name_of

ROOT = Path(__file__).parents[2]
UPDATE = "UpdateIncrSync"
PROBE = "DescribeRegions"


def statuses(results):
    return {task: result.status.value for task, result in results.items()}


# --- several tasks -------------------------------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_plan(bench):
    for number in (3, 1, 2):
        bench.put(f"t{number}", number)
    bench.fault("http", component=name_of(1), status=429)
    assert list(bench.apply()) == ["t1", "t2", "t3"]


def test_nothing_to_do_opens_no_connection(bench):
    bench.applied()
    bench.opened.clear()
    assert bench.apply() == {}
    assert bench.opened == []


def test_failing_task_does_not_hold_up_a_healthy_one(bench):
    bench.concurrent["default"] = 1
    for number in range(4):
        bench.put(f"t{number}", number)
    bench.fault("http", component=name_of(0), times=3, status=429)
    assert set(statuses(bench.apply()).values()) == {"applied"}
    assert bench.keys[:2] == [name_of(0), name_of(1)]
    assert bench.keys[-1] == name_of(0)


def test_hanging_task_does_not_hold_up_a_healthy_one(bench):
    bench.set_target(read_s=0.3)
    for number in range(4):
        bench.put(f"t{number}", number)
    bench.fault("hang", component=name_of(0))
    assert set(statuses(bench.apply()).values()) == {"applied"}
    assert sorted(bench.keys) == [name_of(0), *(name_of(number) for number in range(4))]
    assert bench.keys[-1] == name_of(0)


def test_refused_task_stops_no_other(bench):
    for number in range(3):
        bench.put(f"t{number}", number)
    bench.fault("param_error", component=name_of(1))
    assert statuses(bench.apply()) == {"t0": "applied", "t1": "failed", "t2": "applied"}


def test_adoption_and_updates_go_together(bench):
    bench.applied("known", 1)
    bench.edit("coordinator", "known", throttleRps="30000")
    bench.put("new", 2)
    assert statuses(bench.apply(new="adopt")) == {"known": "applied", "new": "adopted"}
    assert bench.keys == [name_of(1)]


# --- how many at once ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limits", "most"), [({}, 1), ({"default": 1}, 1), ({"default": 2}, 2), ({"default": 3}, 3)])
def test_no_more_components_are_under_way_than_allowed(bench, limits, most):
    under_way = []

    def count(request):
        if request.action == UPDATE:
            under_way.append(1 + sum(ticket.finished is None for ticket in bench.oms.tickets))

    bench.concurrent = limits
    bench.oms.watch = count
    for number in range(8):
        bench.put(f"t{number}", number)
    assert set(statuses(bench.apply()).values()) == {"applied"}
    assert max(under_way) <= most


def test_project_has_one_write_in_flight(bench):
    open_tickets = []
    bench.concurrent["default"] = 4
    bench.oms.watch = lambda request: (
        open_tickets.append([t for t in bench.oms.tickets if t.finished is None]) if request.action == UPDATE else None
    )
    for task, key in (("a", name_of(0)), ("b", SECOND), ("c", REVERSE)):
        bench.put(task, task={"key": key})
    assert set(statuses(bench.apply()).values()) == {"applied"}
    assert open_tickets == [[], [], []]


def test_projects_are_written_to_side_by_side(bench):
    together = threading.Barrier(2)  # broken when one waits for the other in vain

    def report(_task, text):
        if text.startswith("update of"):
            together.wait(10)

    bench.put("a", 1)
    bench.put("b", 2)
    apply.carry_out(bench.survey(), replace(bench.tools(), report=report))
    assert not together.broken


# --- targets in trouble --------------------------------------------------------------------------------------------


@pytest.fixture
def two_targets(bench):
    """Three tasks on a target with a wrong password, and one on another target."""
    bench.concurrent["default"] = 1
    for number in range(3):
        bench.put(f"t{number}", number)
    bench.put("sound", 9, task={"target": "other"})
    bench.set_target(password="wrong")
    return bench


def test_misconfigured_target_is_left_alone_after_the_first_call(two_targets):
    results = two_targets.apply()
    assert statuses(results) == {"t0": "pending", "t1": "pending", "t2": "pending", "sound": "applied"}
    assert len([call for call in two_targets.oms.calls if not call.authorized]) == 1
    assert results["t1"].message.startswith("not sent: ")


def test_misconfigured_target_is_remembered(two_targets):
    two_targets.apply()
    kind, message = two_targets.store.target_trouble()["default"]
    assert (kind, "401" in message) == (MISCONFIGURED, True)


def test_misconfigured_target_is_probed_first_by_the_next_apply(two_targets):
    two_targets.apply()
    seen = len(two_targets.oms.calls)
    assert statuses(two_targets.apply()) == {"t0": "pending", "t1": "pending", "t2": "pending"}
    assert [call.action for call in two_targets.oms.calls[seen:]] == [PROBE]


def test_mended_target_is_probed_and_used(two_targets):
    two_targets.apply()
    two_targets.set_target(password="simulator")
    seen = len(two_targets.oms.calls)
    assert set(statuses(two_targets.apply()).values()) == {"applied"}
    assert two_targets.oms.calls[seen].action == PROBE
    assert two_targets.store.target_trouble() == {}


def test_probe_out_of_reach_leaves_the_verdict_to_the_calls(two_targets):
    two_targets.apply()
    two_targets.set_target(password="simulator")
    two_targets.fault("http", action=PROBE, status=500, times=None)
    assert set(statuses(two_targets.apply()).values()) == {"applied"}
    assert "default" in two_targets.store.target_trouble()


@pytest.mark.parametrize(
    ("kind", "parameters"), [("http", {"status": 403}), ("http", {"status": 302}), ("not_json", {})]
)
def test_misconfiguration_seen_at_the_update_itself_is_no_failure_of_the_task(bench, kind, parameters):
    bench.put()
    bench.fault(kind, **parameters)
    assert statuses(bench.apply()) == {"shop": "pending"}
    assert (bench.record().condition, bench.record().open_intents) == (Condition.RETRYING, 0)


def test_unknown_outcome_before_a_misconfiguration_stays_unknown(bench):
    bench.put()
    bench.fault("http", status=500)
    bench.fault("http", status=403)
    result = bench.apply()["shop"]
    assert (result.status, "403" in result.message, bench.record().open_intents) == (Status.UNKNOWN, True, 1)


@pytest.mark.parametrize(("unknown", "status"), [(True, Status.UNKNOWN), (False, Status.PENDING)])
def test_job_that_goes_no_further_stays_unknown_when_it_is(bench, unknown, status):
    bench.put()
    survey = bench.survey()
    (item,) = survey.plan.items
    job = Job(item, survey.work[item.id], survey.plan.id, survey.plan.revision, unknown=unknown)
    assert job.unsent(Status.PENDING, "not sent: the target is given up").status is status


def test_missing_capability_is_remembered_and_holds_what_follows(bench):
    bench.concurrent["default"] = 1
    bench.put("a", 1)
    bench.put("b", 2)
    bench.oms.set_switches(unsupported=[UPDATE])
    assert statuses(bench.apply()) == {"a": "pending", "b": "pending"}
    assert len(bench.sent) == 1
    assert {item.rail for item in bench.survey().plan.items} == {"capability"}
    assert bench.apply() == {}


@pytest.mark.parametrize(
    "change", [{"url": "ftp://x"}, {"username": "a:b"}, {"url": "https://x", "ca_file": "/nowhere"}]
)
def test_target_with_impossible_settings_stops_no_other_and_is_remembered(bench, change):
    bench.put("bad", 1)
    bench.put("sound", 2, task={"target": "other"})
    bench.set_target(**change)
    assert statuses(bench.apply()) == {"bad": "pending", "sound": "applied"}
    assert bench.store.target_trouble()["default"][0] == MISCONFIGURED
    bench.edit("coordinator", "sound", throttleRps="1")
    assert statuses(bench.apply()) == {"bad": "pending", "sound": "applied"}


# --- the journal ---------------------------------------------------------------------------------------------------


def test_intent_is_in_the_file_before_the_call(bench):
    seen = []

    def look(request):
        if request.action == UPDATE:
            seen.extend(bench.rows("SELECT kind, outcome FROM journal ORDER BY sequence"))
            seen.extend(bench.rows("SELECT condition, attempts FROM records"))

    bench.oms.watch = look
    bench.put()
    bench.apply()
    assert seen == [("intent", "applying"), ("applying", 1)]


def test_outcome_is_in_the_file_before_health_is_asked_for(bench):
    seen = []

    def look(request):
        if request.action == "DescribeProjectComponents" and bench.sent:
            seen.append(bench.rows("SELECT kind, outcome FROM journal ORDER BY sequence"))

    bench.oms.watch = look
    bench.put()
    bench.apply()
    assert seen[0] == [("intent", "applying"), ("outcome", "verifying")]


def test_journal_tells_the_whole_way(bench):
    bench.put()
    bench.fault("http", status=429)
    bench.fault("http", status=500)
    bench.apply()
    assert [outcome for _, outcome in bench.kinds()] == [
        "applying",
        "retrying",
        "applying",
        "unknown",
        "applying",
        "verifying",
        "synced",
    ]
    assert bench.store.verify_journal() == 7


def test_journal_names_plan_revision_and_attempt(bench):
    bench.put()
    bench.fault("http", status=429)
    survey = bench.survey()
    bench.carry_out(survey)
    intents = [entry for entry in bench.store.history("shop", 100) if entry.kind == "intent"]
    assert {(entry.plan, entry.revision) for entry in intents} == {(survey.plan.id, survey.plan.revision)}
    assert [entry.detail["attempt"] for entry in intents] == [2, 1]


def test_store_that_cannot_be_written_means_no_call(bench):
    bench.put("a", 1)
    bench.put("b", 2)
    survey = bench.survey()
    with closing(sqlite3.connect(bench.database)) as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        connection.commit()
    with pytest.raises(StateStoreError):
        bench.carry_out(survey)
    assert bench.sent == []


def test_store_that_fails_after_the_call_leaves_the_intent_open(bench):
    def fill(request):
        if request.action == UPDATE:
            with closing(sqlite3.connect(bench.database)) as connection:
                connection.execute(
                    "CREATE TRIGGER full BEFORE INSERT ON journal WHEN NEW.kind = 'outcome'"
                    " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
                )
                connection.commit()

    bench.oms.watch = fill
    bench.put()
    with pytest.raises(StateStoreError):
        bench.apply()
    assert (bench.record().condition, bench.record().open_intents) == (Condition.APPLYING, 1)


def test_store_that_fails_stops_the_other_tasks(bench):
    bench.concurrent["default"] = 1
    for number in range(4):
        bench.put(f"t{number}", number)
    bench.oms.watch = lambda request: bench.store.close() if request.action == UPDATE else None
    with pytest.raises(StateStoreError):
        bench.apply()
    assert len(bench.sent) == 1


KILLED = """
import sys
from pathlib import Path
from reconciler import apply, wiring
from reconciler.config import load
from reconciler.core.policy import NewTasks, Policy
from reconciler.dispatch import MISCONFIGURED

settings = load(Path(sys.argv[1]))
store = wiring.open_store(settings, read_only=False)
with store.writer_lock(1, "apply"):
    survey = wiring.reconciler(settings, store).survey(Policy(new_tasks=NewTasks.APPLY))
    apply.carry_out(survey, wiring.tools(settings, store, lambda task, text: print(text, flush=True)))
"""


@pytest.fixture
def configured(bench):
    """The path of a configuration for the bench's files, store and server."""
    path = bench.database.parents[1] / "reconciler.toml"
    url = bench.targets["default"].url
    path.write_text(
        f'[desired_state]\npath = "desired_state"\n[targets.default]\nurl = "{url}"\nusername = "admin"\n'
        'password = "${env:OMS_PASSWORD}"\n'
    )
    return path


@pytest.mark.parametrize("effect", ["before", "after"])
def test_killed_during_a_call_leaves_its_intent_and_the_next_apply_sends_once_more(bench, configured, effect):
    bench.applied()
    bench.edit("sink", workerNum="12")
    bench.fault("hang", effect=effect)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")}
    environment |= {"OMS_PASSWORD": "simulator", **SENTINELS}
    command = [sys.executable, "-c", KILLED, str(configured)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        assert bench.oms.wait_until(lambda _: bench.sent, 20)
        process.kill()
    bench.reopen()
    assert (bench.record().condition, bench.record().open_intents) == (Condition.APPLYING, 1)
    assert statuses(bench.apply()) == {"shop": "applied"}
    assert (len(bench.sent), bench.record().open_intents, bench.actions()) == (2, 0, {"shop": "noop"})
    assert bench.store.verify_journal() > 0


def test_killed_attempts_count_as_attempts(bench):
    bench.put()
    bench.fault("http", times=2, status=500)
    bench.oms.watch = lambda request: bench.store.close() if request.action == UPDATE and len(bench.sent) == 2 else None
    with pytest.raises(StateStoreError):
        bench.apply()
    bench.store = bench.open_store()
    assert (bench.record().attempts, bench.actions()) == (3, {"shop": "blocked"})


# --- stopped from outside ------------------------------------------------------------------------------------------


@pytest.fixture
def four(bench):
    bench.concurrent["default"] = 1
    for number in range(4):
        bench.put(f"t{number}", number)
    return bench


@pytest.fixture
def interrupted(four):
    """A run of four tasks that Ctrl-C stops during its first update."""
    started = threading.Event()

    def interrupt():
        assert started.wait(10)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    four.oms.watch = lambda request: started.set() if request.action == UPDATE else None
    four.fault("slow", seconds=0.2)
    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        four.apply()
    helper.join()
    return four


def test_interrupted_run_ends_its_call_and_starts_no_other(interrupted):
    assert interrupted.keys == [name_of(0)]
    assert (interrupted.record("t0").condition, interrupted.record("t0").open_intents) == (Condition.UNCONFIRMED, 0)
    assert interrupted.store.verify_journal() == len(interrupted.kinds())


def test_interrupted_run_is_taken_up_by_the_next(interrupted):
    rest = {"t1": "applied", "t2": "applied", "t3": "applied"}
    assert statuses(interrupted.apply()) == {"t0": "confirmed", **rest}


def test_error_of_ours_in_one_worker_stops_all_and_comes_out(bench):
    bench.put("a", 1)
    bench.put("b", 2, task={"target": "other"})

    def report(task, text):
        raise RuntimeError(text)

    tools = replace(bench.tools(), report=report)
    with pytest.raises(RuntimeError):
        apply.carry_out(bench.survey(), tools)
    assert (bench.sent, bench.kinds()) == ([], [])


# --- secrets -------------------------------------------------------------------------------------------------------


def test_no_secret_reaches_store_journal_or_messages(bench):
    bench.put()
    bench.fault("echo")
    results = bench.apply()
    bench.environment["SINK"] = "n3w-sentinel"
    bench.fault("inner_error")
    results |= bench.apply()
    written = b"".join(path.read_bytes() for path in bench.database.parent.iterdir() if path.is_file())
    spoken = repr((bench.said, results, bench.store.history(None, 100), bench.store.records())).encode()
    for secret in (*SENTINELS.values(), "n3w-sentinel"):
        assert secret.encode() not in written + spoken


def test_secret_of_one_task_is_hidden_in_what_is_said_about_another(bench):
    bench.put("a", 1)
    bench.put("b", 2, sink={"password": "${env:OTHER}"})
    bench.environment["OTHER"] = "s3ntinel-of-b"
    bench.fault("param_error", component=name_of(1), message="leaked s3ntinel-of-b")
    message = bench.apply()["a"].message
    assert ("leaked" in message, "s3ntinel-of-b" in message + repr(bench.said)) == (True, False)


# --- as the program puts it together -------------------------------------------------------------------------------


def test_wiring_joins_the_same_parts(bench, configured, monkeypatch):
    for name, value in {"OMS_PASSWORD": "simulator", **SENTINELS}.items():
        monkeypatch.setenv(name, value)
    bench.put()
    settings = load(configured)
    said = []
    with closing(wiring.open_store(settings, read_only=False)) as store, store.writer_lock(1, "apply"):
        survey = wiring.reconciler(settings, store).survey(Policy(new_tasks=NewTasks.APPLY))
        tools = replace(wiring.tools(settings, store, lambda *said_of: said.append(said_of)), verify_s=0.0)
        (result,) = apply.carry_out(survey, tools)
    assert (result.action, result.status, len(bench.sent)) == (Action.UPDATE, Status.UNCONFIRMED, 1)


def test_password_that_cannot_be_resolved_is_a_misconfigured_target(bench, configured, monkeypatch):
    monkeypatch.delenv("OMS_PASSWORD", raising=False)
    with pytest.raises(TargetMisconfiguredError, match=r"targets\.default\.password: .*OMS_PASSWORD"):
        wiring.target_factory(load(configured))("default", ())
