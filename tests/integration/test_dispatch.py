"""A dispatcher's jobs: each one ends once or is taken back, whatever the server and the store do meanwhile."""

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from reconciler.apply import jobs_of
from reconciler.core.policy import UNKNOWN_ATTEMPTS
from reconciler.dispatch import Dispatcher, Hidden
from reconciler.errors import StateStoreError
from reconciler.events import CallEnded, CallStarted, ItemEnded, TargetChanged
from reconciler.jobs import Result, Status
from reconciler.model import Condition
from tests.integration.bench import REVERSE, SECOND, SENTINELS, name_of
from tests.integration.engine import FaultyStore, Standstill, join

PROGRESS = "DescribeProjectProgress"
HEALTH = "DescribeProjectComponents"
FIRST = name_of(0)


class Desk:
    """A dispatcher of the target "default", and what it told."""

    def __init__(self, bench, *, budget_s=0.0, stop_after=0):
        self.bench = bench
        self.heard, self.done = [], []
        self.tools = replace(bench.tools(), tell=self.heard.append, stop_after={"default": stop_after})
        self.dispatcher = Dispatcher("default", self.tools, self._ended, budget_s)

    def _ended(self, job, result):
        self.done.append((job, result))

    def jobs(self, *tasks):
        """A job for each task with something to do."""
        jobs = {job.item.task: job for job in jobs_of(self.bench.survey(*tasks))}
        return [jobs[task] for task in tasks or sorted(jobs)]

    def submit(self, *tasks):
        jobs = self.jobs(*tasks)
        for job in jobs:
            self.dispatcher.submit(job)
        return jobs

    def run(self, *tasks):
        """Submit and wait; `{task: its status}`."""
        self.submit(*tasks)
        self.dispatcher.wait()
        return self.ended

    @property
    def ended(self):
        return {job.item.task: result.status.value for job, result in self.done if isinstance(result, Result)}

    def told(self, kind):
        return [event for event in self.heard if isinstance(event, kind)]


@pytest.fixture
def desk(bench) -> Iterator[Desk]:
    made = Desk(bench)
    yield made
    bench.oms.watch = None
    made.dispatcher.refuse("the test is over")
    made.dispatcher.end(settle=False)


@pytest.fixture
def still(bench) -> Iterator[Standstill]:
    standing = Standstill(bench.clock)
    yield standing
    standing.end()


class Gate:
    """Holds requests for a component up until it is opened, and the server with them."""

    def __init__(self, bench, action="UpdateIncrSync", key=FIRST):
        self.reached, self._open = threading.Event(), threading.Event()
        self._action, self._key = action, key
        self._opens_by_itself = time.monotonic() + 15.0
        bench.oms.watch = self._watch

    def _watch(self, request):
        if request.action == self._action and self._key.encode() in request.raw:
            self.reached.set()
            self._open.wait(self._opens_by_itself - time.monotonic())

    def wait(self):
        assert self.reached.wait(10.0)

    def open(self):
        self._open.set()


def eventually(question):
    deadline = time.monotonic() + 3.0
    while not question():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.002)


# --- the usual -----------------------------------------------------------------------------------------------------


def test_every_job_is_told_to_be_over_once(bench, desk):
    for number in range(8):
        bench.put(f"t{number}", number)
    assert set(desk.run().values()) == {"applied"}
    assert sorted(job.item.task for job, _ in desk.done) == [f"t{number}" for number in range(8)]
    assert [event.status for event in desk.told(ItemEnded)] == ["applied"] * 8


def test_no_more_components_are_under_way_than_places(bench, desk):
    bench.concurrent["default"] = 2
    for number in range(6):
        bench.put(f"t{number}", number)
    most = 0

    def watch(_request):
        nonlocal most
        most = max(most, desk.dispatcher.counts()[1])

    bench.oms.watch = watch
    desk.run()
    assert most == 2


def test_job_that_waits_and_those_under_way_are_counted(bench, desk):
    bench.put("a", 0)
    bench.put("b", 0, task={"key": SECOND})
    gate = Gate(bench)
    desk.submit("a", "b")
    gate.wait()
    assert desk.dispatcher.counts() == (1, 1)
    gate.open()
    desk.dispatcher.wait()
    assert desk.dispatcher.counts() == (0, 0)


def test_one_job_does_not_wait_for_the_slow_answer_of_another(bench, desk):
    """Also when both come while one worker is idle, and has not woken up yet."""
    for number in range(3):
        bench.put(f"t{number}", number)
    desk.run("t2")
    bench.fault("slow", component=name_of(0), seconds=0.6)
    slow, other = desk.jobs("t0", "t1")
    before = sys.getswitchinterval()
    sys.setswitchinterval(5.0)  # nobody else runs between the two
    try:
        desk.dispatcher.submit(slow)
        desk.dispatcher.submit(other)
    finally:
        sys.setswitchinterval(before)
    desk.dispatcher.wait()
    assert list(desk.ended) == ["t2", "t1", "t0"]


# --- one write in flight for each project ---------------------------------------------------------------------------


def one_project(bench):
    """Two components of one project with something to send, one that is only to be looked at, and a reverse one."""
    bench.put("looked", 0, task={"key": REVERSE})
    bench.fault("ticket_stuck", component=REVERSE)
    assert bench.apply("looked")["looked"].status is Status.UNCONFIRMED
    bench.put("first", 0)
    bench.put("second", 0, task={"key": SECOND})
    bench.look_away()


def test_looking_at_a_component_lets_no_other_write_into_its_project(bench, desk):
    one_project(bench)
    bench.fault("ticket_stuck", component=name_of(0))
    assert desk.run("first", "looked", "second")["second"] == "applied"
    words = [(type(event), event.task) for event in desk.heard]
    assert words.index((CallStarted, "second")) > words.index((ItemEnded, "first"))


# --- taking back ---------------------------------------------------------------------------------------------------


def test_job_that_is_not_begun_is_taken_back_without_a_word(bench, desk):
    bench.put("a", 0)
    bench.put("b", 0, task={"key": SECOND})
    gate = Gate(bench)
    desk.submit("a", "b")
    gate.wait()
    assert desk.dispatcher.withdraw("b") is True
    gate.open()
    desk.dispatcher.wait()
    assert (desk.ended, bench.keys) == ({"a": "applied"}, [name_of(0)])


def test_job_that_is_sent_cannot_be_taken_back(bench, desk):
    bench.put("a", 0)
    gate = Gate(bench)
    desk.submit("a")
    gate.wait()
    assert desk.dispatcher.withdraw("a") is False
    gate.open()
    desk.dispatcher.wait()
    assert desk.ended == {"a": "applied"}


def test_component_that_is_verified_cannot_be_taken_back(bench, desk):
    bench.put("a", 0)
    gate = Gate(bench, HEALTH, "np_0")
    desk.submit("a")
    gate.wait()
    gate.open()
    eventually(lambda: bench.sent)
    assert desk.dispatcher.withdraw("a") is False
    desk.dispatcher.wait()
    assert desk.ended == {"a": "applied"}


def test_unknown_task_is_taken_back(desk):
    assert desk.dispatcher.withdraw("nobody") is True


def test_retry_of_an_unclear_answer_is_taken_back_and_lets_its_place_go(bench, desk, still):
    bench.concurrent["default"] = 1
    bench.put("a", 0)
    bench.put("b", 1)
    bench.fault("close", effect="after")
    desk.submit("a")
    eventually(lambda: [event.outcome for event in desk.told(CallEnded)] == ["unknown"])
    eventually(lambda: desk.dispatcher.withdraw("a"))
    assert desk.dispatcher.counts() == (0, 0)
    desk.submit("b")
    eventually(lambda: name_of(1) in bench.keys)


# --- refusing ------------------------------------------------------------------------------------------------------


def test_refusing_ends_what_is_not_begun_and_lets_go_on_what_is(bench, desk):
    bench.put("a", 0)
    bench.put("b", 0, task={"key": SECOND})
    gate = Gate(bench)
    desk.submit("a", "b")
    gate.wait()
    desk.dispatcher.refuse("why")
    gate.open()
    desk.dispatcher.wait()
    assert desk.ended == {"b": "pending", "a": "applied"}
    assert next(result.message for job, result in desk.done if job.item.task == "b") == "not sent: why"


def test_what_is_submitted_after_a_refusal_ends_at_once(bench, desk):
    bench.put("a", 0)
    desk.dispatcher.refuse("why")
    desk.submit("a")
    assert (desk.ended, bench.oms.calls) == ({"a": "pending"}, ())


def test_after_accepting_jobs_go_again(bench, desk):
    bench.put("a", 0)
    desk.dispatcher.refuse("why")
    desk.dispatcher.accept()
    assert desk.run("a") == {"a": "applied"}


def test_unclear_answer_stays_unknown_when_its_retry_is_refused(bench, desk, still):
    bench.put("a", 0)
    bench.fault("close", effect="after")
    desk.submit("a")
    eventually(lambda: [event.outcome for event in desk.told(CallEnded)] == ["unknown"])
    desk.dispatcher.refuse("why")
    desk.dispatcher.wait()
    (_, result) = desk.done[-1]
    assert result.status is Status.UNKNOWN
    assert bench.record("a").condition is Condition.UNKNOWN


def test_job_whose_retry_comes_too_late_for_a_refusal_ends_in_the_step(bench, desk):
    bench.put("a", 0)
    bench.fault("http", status=429)
    gate = Gate(bench)
    desk.submit("a")
    gate.wait()
    desk.dispatcher.refuse("why")
    gate.open()
    desk.dispatcher.wait()
    assert desk.ended == {"a": "pending"}


# --- the end -------------------------------------------------------------------------------------------------------


def verifying(bench, desk):
    """A component under verification, time standing still."""
    bench.put("a", 0)
    desk.submit("a")
    eventually(lambda: [event.outcome for event in desk.told(CallEnded)] == ["accepted"])


def test_end_leaves_what_is_verified_to_the_next_start(bench, desk, still):
    verifying(bench, desk)
    desk.dispatcher.end(settle=False)
    assert (desk.done, bench.record("a").condition) == ([], Condition.VERIFYING)


def test_end_of_a_single_run_counts_it_as_not_confirmed(bench, desk, still):
    verifying(bench, desk)
    desk.dispatcher.end(settle=True)
    assert desk.ended == {"a": "unconfirmed"}
    assert bench.record("a").condition is Condition.UNCONFIRMED


def test_end_waits_for_the_call_in_flight(bench, desk):
    bench.put("a", 0)
    gate = Gate(bench)
    desk.submit("a")
    gate.wait()
    ending = threading.Thread(target=desk.dispatcher.end, kwargs={"settle": False})
    ending.start()
    gate.open()
    join([ending])
    assert bench.record("a").condition is Condition.VERIFYING


def test_end_tells_of_jobs_that_were_not_begun(bench, desk):
    bench.put("a", 0)
    bench.put("b", 0, task={"key": SECOND})
    gate = Gate(bench)
    desk.submit("a", "b")
    gate.wait()
    ending = threading.Thread(target=desk.dispatcher.end, kwargs={"settle": False})
    ending.start()
    gate.open()
    join([ending])
    assert desk.ended == {"b": "pending"}


# --- what goes wrong -----------------------------------------------------------------------------------------------


def test_what_a_step_raises_reaches_whoever_submitted_it_and_the_worker_goes_on(bench):
    bench.store = FaultyStore(bench.store)
    bench.put("a", 0)
    bench.put("b", 1)
    desk = Desk(bench)
    jobs = desk.jobs("a", "b")
    bench.store.failing.add("begin")
    desk.dispatcher.submit(jobs[0])
    desk.dispatcher.wait()
    bench.store.failing.clear()
    desk.dispatcher.submit(jobs[1])
    desk.dispatcher.wait()
    assert [type(result) for _, result in desk.done] == [StateStoreError, Result]
    assert (desk.ended, bench.keys) == ({"b": "applied"}, [name_of(1)])
    desk.dispatcher.end(settle=False)


@pytest.mark.parametrize(
    ("fault", "method"),
    [("http", "set_target_trouble"), ("http", "note"), ("unsupported_action", "target_trouble")],
    ids=["misconfigured", "misconfigured, journal", "capability missing"],
)
def test_job_is_over_though_the_trouble_of_its_target_cannot_be_written_down(bench, fault, method):
    bench.store = FaultyStore(bench.store)
    bench.put("a", 0)
    bench.put("b", 1)
    desk = Desk(bench)
    bench.fault(fault, **({"status": 403} if fault == "http" else {}))
    (job,) = desk.jobs("a")
    gate = Gate(bench)
    desk.dispatcher.submit(job)
    gate.wait()
    bench.store.failing.add(method)
    gate.open()
    eventually(lambda: desk.done)
    bench.store.failing.clear()
    desk.dispatcher.accept()
    assert desk.run("b")["b"] == "applied"
    desk.dispatcher.end(settle=False)


def test_misconfigured_target_ends_everything_that_is_not_begun_and_is_told_once(bench, desk):
    for number in range(6):
        bench.put(f"t{number}", number)
    bench.set_target(password="wrong")
    assert set(desk.run().values()) == {"pending"}
    assert {event.kind for event in desk.told(TargetChanged)} == {"misconfigured"}
    assert len(desk.told(TargetChanged)) <= bench.concurrent["default"] + 1
    assert len(bench.oms.calls) <= bench.concurrent["default"] + 1


def test_target_that_was_misconfigured_is_asked_something_harmless_first(bench, desk):
    bench.put("a", 0)
    bench.store.set_target_trouble("default", "misconfigured", "401")
    assert desk.run("a") == {"a": "applied"}
    assert bench.oms.calls[0].action == "DescribeRegions"
    assert bench.store.target_trouble() == {}


def test_password_that_is_right_again_is_used_by_every_worker(bench, desk):
    """A password in a file changes without the configuration being read anew."""
    for number in range(4):
        bench.put(f"t{number}", number)
    bench.set_target(password="wrong")
    desk.run("t0", "t1")
    bench.set_target(password="simulator")
    desk.dispatcher.accept()
    desk.run("t2", "t3")
    assert (desk.ended["t2"], desk.ended["t3"]) == ("applied", "applied")


def test_worker_uses_the_target_as_it_is_configured_now(bench, desk):
    bench.put("a", 0)
    bench.put("b", 1)
    desk.run("a")
    before = len(bench.opened)
    desk.dispatcher.renew(replace(desk.tools, max_concurrent={"default": 1}))
    desk.run("b")
    assert len(bench.opened) > before


# --- secrets -------------------------------------------------------------------------------------------------------


def test_secrets_of_jobs_that_are_over_stay_hidden_up_to_a_bound(bench, desk, monkeypatch):
    bench.put("a", 0)
    bench.put("b", 1, sink={"password": "${env:STORE}"})
    a, b = desk.jobs("a", "b")
    hidden = Hidden()
    hidden.add(a)
    hidden.add(b)
    hidden.end(a)
    assert (set(hidden), len(hidden), SENTINELS["SINK"] in hidden) == (set(SENTINELS.values()), 2, True)
    monkeypatch.setattr("reconciler.dispatch.MOST_HIDDEN", 0)
    hidden.end(a)
    assert set(hidden) == {SENTINELS["STORE"]}


def test_server_that_quotes_requests_tells_nobody_a_secret_while_jobs_come_and_go(bench, desk):
    for number in range(12):
        bench.put(f"t{number:02}", number)
    bench.fault("echo", times=None)
    assert set(desk.run().values()) == {"failed"}
    told = repr(desk.heard) + repr([result for _, result in desk.done]) + repr(bench.said) + repr(bench.kinds())
    told += repr(list(bench.store.records().values())) + repr(bench.store.history(None, 1000))
    assert "cannot apply" in told
    assert not [secret for secret in SENTINELS.values() if secret in told]


def own_secret(bench, number):
    """A task with a secret of its own, which the server will quote."""
    value = f"s3ntinel-number-{number}"
    bench.environment[f"OWN_{number}"] = value
    bench.put(f"t{number}", number, sink={"password": f"${{env:OWN_{number}}}"})
    bench.fault("param_error", component=name_of(number), message=f"no access with {value}")


def told_by(desk):
    told = repr(desk.heard) + repr([result for _, result in desk.done]) + repr(desk.bench.said)
    return told + repr(desk.bench.store.history(None, 1000)) + repr(desk.bench.store.records())


def test_secrets_of_a_job_that_comes_later_are_hidden_by_workers_that_are_there(bench, desk):
    for number in range(4):
        own_secret(bench, number)
    for number in range(4):
        desk.run(f"t{number}")
    assert "no access with" in told_by(desk)
    assert "s3ntinel-number" not in told_by(desk)


def test_secrets_of_a_job_are_hidden_however_many_others_came_after_it(bench, desk, monkeypatch):
    """A single run queues the jobs of a whole fleet before the first is sent."""
    monkeypatch.setattr("reconciler.dispatch.MOST_HIDDEN", 4)
    for number in range(8):
        own_secret(bench, number)
    desk.run()
    assert "no access with" in told_by(desk)
    assert "s3ntinel-number" not in told_by(desk)


# --- stop_after_failures -------------------------------------------------------------------------------------------


def test_nothing_is_begun_between_the_last_failure_and_the_stop(bench):
    bench.concurrent["default"] = 1
    for number in range(2):
        bench.put(f"t{number}", number)
    bench.fault("exception")
    desk = Desk(bench, stop_after=1)
    desk.run()
    assert (bench.keys, sorted(desk.ended.values())) == ([name_of(0)], ["failed", "pending"])
    desk.dispatcher.end(settle=False)


def test_two_workers_that_see_too_many_failures_stop_the_target_once(bench):
    bench.concurrent["default"] = 4
    for number in range(8):
        bench.put(f"t{number}", number)
    bench.fault("exception", times=None)
    desk = Desk(bench, stop_after=1)
    desk.run()
    assert [event.kind for event in desk.told(TargetChanged)] == ["stopped"]
    desk.dispatcher.end(settle=False)


def test_components_that_could_not_be_looked_at_after_a_restart_stop_nothing(bench, desk, still):
    """That the server is away says nothing about what was sent to it."""
    for number in range(2):
        bench.put(f"t{number}", number)
    desk.submit("t0", "t1")
    eventually(lambda: [event.outcome for event in desk.told(CallEnded)] == ["accepted"] * 2)
    desk.dispatcher.end(settle=False)
    still.end()
    bench.fault("http", action=PROGRESS, status=503, times=None)
    bench.fault("http", action=HEALTH, status=503, times=None)
    after = Desk(bench, stop_after=2)
    after.run("t0", "t1")
    assert bench.store.target_trouble() == {}
    after.dispatcher.end(settle=False)


# --- any faults, any order -----------------------------------------------------------------------------------------

FAULTS = [
    ("http", {"status": 429}),
    ("http", {"status": 500, "effect": "after"}),
    ("close", {"effect": "after"}),
    ("close", {"effect": "before"}),
    ("truncated", {}),
    ("param_error", {}),
    ("exception", {}),
    ("echo", {}),
    ("cm_unavailable", {}),
]


@pytest.mark.parametrize("seed", range(3))
def test_no_job_is_lost_or_ends_twice_whatever_happens(bench, seed):
    chance = random.Random(seed)  # noqa: S311 - repeatable
    bench.concurrent["default"] = 3
    tasks = [f"t{number:02}" for number in range(20)]
    for number, task in enumerate(tasks):
        bench.put(task, number)
    desk = Desk(bench, budget_s=chance.choice([0.0, 30.0]))
    taken_back = Counter()
    for job in desk.jobs():
        if chance.random() < 0.5:
            kind, parameters = chance.choice(FAULTS)
            bench.fault(kind, **parameters)
        desk.dispatcher.submit(job)
        if chance.random() < 0.3:
            task = chance.choice(tasks)
            submitted = task <= job.item.task and not any(done.item.task == task for done, _ in desk.done)
            taken_back[task] += desk.dispatcher.withdraw(task) and submitted
        if chance.random() < 0.1:
            desk.dispatcher.refuse("for a moment")
            desk.dispatcher.accept()
    desk.dispatcher.wait()
    ended = Counter(job.item.task for job, _ in desk.done)
    assert max(ended.values()) == 1
    assert all(ended[task] or taken_back[task] for task in tasks)
    assert desk.dispatcher.counts() == (0, 0)
    assert all(isinstance(result, Result) for _, result in desk.done)
    assert max(Counter(bench.keys).values(), default=0) <= UNKNOWN_ATTEMPTS + 1
    desk.dispatcher.end(settle=False)


def test_jobs_that_are_submitted_and_taken_back_by_many_threads_leave_nothing_behind(bench):
    for number in range(12):
        bench.put(f"t{number:02}", number)
    bench.fault("http", status=429, times=30)
    desk = Desk(bench)
    jobs = desk.jobs()

    def hammer(mine):
        for job in mine:
            desk.dispatcher.submit(job)
            if not desk.dispatcher.withdraw(job.item.task):
                desk.dispatcher.counts()

    threads = [threading.Thread(target=hammer, args=(jobs[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    join(threads)
    desk.dispatcher.wait()
    assert desk.dispatcher.counts() == (0, 0)
    assert max(Counter(job.item.task for job, _ in desk.done).values(), default=0) <= 1
    ending = threading.Thread(target=desk.dispatcher.end, kwargs={"settle": False})
    ending.start()
    join([ending])
