"""Every rail, below its limit, at it, above it, when it is forced, and when what it waits for has passed."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler import apply
from reconciler.core import rails
from reconciler.core.policy import FORCIBLE, Mode, Policy
from reconciler.jobs import Status
from reconciler.model import Approval, Limits, Stage, Suspension, Window
from tests.integration.bench import documents, name_of
from tests.integration.resets import HOUR_S, RULES, Resets

LATER = timedelta(hours=1)
KEYS = (("coordinator", "throttleRps"), ("coordinator", "throttleIOPS"), ("source", "splitThreshold"))
OFF = Limits(removed_keys=1, changed_keys=1, tasks=1, keys_floor=0, tasks_floor=0)
NOTHING_PASSES = "no time ends it"


class World:
    """A bench and what a rail does there.

    Args:
        bench: files, store and server.
    """

    def __init__(self, bench) -> None:
        self.bench = bench
        self.rules: dict[str, Any] = {}
        self.force = False

    def edited(self, number=1, *, of=1, remove=False, task=None, **files):
        """Tasks with one changed or removed key in so many of them."""
        for each in range(of):
            self.bench.put(f"t{each}", each, task={"allowDelete": True} | (task or {}), **files)
        self.bench.reconciler().adopt((), reason="as it is", only_new=True)
        for each in range(number):
            self.bench.edit("sink", f"t{each}", workerNum=None if remove else "128")
        return self

    def policy(self, **rules):
        self.rules |= rules
        return self

    def wait(self, seconds):
        self.bench.clock.sleep(seconds)
        return self

    def held(self, rail):
        """Whether the rail holds anything in a plan."""
        forced = {"forced": frozenset({rail})} if self.force else {}
        items = self.bench.survey(**(self.rules | forced)).plan.items
        return any(name == rail for item in items for name in map(rails.name_of, (item.rail, *item.behind)))

    def sends(self, rail):
        """Whether a run sends something; for rails that are asked just before the call."""
        forced = {"forced": frozenset({rail})} if self.force else {}
        results = self.bench.apply(reason="meant", **(self.rules | forced))
        return any(result.status in (Status.APPLIED, Status.UNCONFIRMED) for result in results.values())


Cell = Callable[[World], bool] | str
"""Whether the rail holds something there; or why there is no such case."""


@dataclass(frozen=True)
class Row:
    below: Cell
    at: Cell
    above: Cell
    expired: Cell
    holds_at: bool = False  # a limit that says "so many" trips at it, one that says "more than" above it
    ends_held: bool = False  # an approval that expires holds again


# --- what stands around a call --------------------------------------------------------------------------------------


def mode(which):
    return lambda world: world.edited().policy(mode=which).held("mode")


def new_task(new):
    def held(world):
        world.bench.put()
        return world.policy(new=new).held("new_tasks")

    return held


def first_run(number):
    def held(world):
        for each in range(number):
            world.bench.put(f"t{each:02}", each)
        return world.policy(new="apply").held("first_run")

    return held


def vanished(number, of=20, *, back=False):
    def held(world):
        world.edited(of=of)
        away = world.bench.desired.with_name("away")
        away.mkdir()
        for each in range(of - number, of):
            shutil.move(world.bench.desired / f"t{each}", away)
        for path in away.iterdir() if back else ():
            shutil.move(path, world.bench.desired)
        return world.held("vanished")

    return held


def suspended(until, wait_s=0.0):
    def held(world):
        world.edited()
        world.bench.store.suspend("t0", Suspension("maintenance", world.bench.clock.now() + until))
        return world.wait(wait_s).held("suspend")

    return held


# --- what is in a change --------------------------------------------------------------------------------------------


def protected(pointer):
    return lambda world: world.edited(task={"protect": [pointer]} if pointer else {}).held("protect")


def dangerous(**sink):
    def held(world):
        task = sink.pop("task", {})
        world.edited(0, task=task)
        world.bench.edit("sink", "t0", **sink)
        return world.held("danger")

    return held


def incomplete(*, remove, lacks):
    """A change of a task whose files may not say which project its component belongs to."""
    coordinator = {key: value for key, value in documents()["coordinator"].items() if key != "taskIdentity"}
    files = {"coordinator": json.dumps(coordinator).encode()} if lacks else {}
    return lambda world: world.edited(remove=remove, **files).held("incomplete")


# --- how much -------------------------------------------------------------------------------------------------------


def keys(rail, number):
    """So many keys of one task, of which two are never too many."""

    def held(world):
        world.edited(0)
        for section, key in KEYS[:number]:
            world.bench.edit(section, "t0", **{key: None if rail == "removed_keys" else "77"})
        return world.policy(limits=replace(OFF, **{rail: 0.01}, keys_floor=2)).held(rail)

    return held


def tasks(number):
    """So many of ten tasks, of which three may be restarted at once."""
    limits = replace(OFF, tasks=0.3, tasks_floor=2)
    return lambda world: world.edited(number, of=10).policy(limits=limits).held("tasks")


# --- who and when ---------------------------------------------------------------------------------------------------


def approved(until=None, wait_s=0.0, mode=Mode.APPROVE):
    """An approval until then; None: there is none."""

    def held(world):
        world.edited().policy(mode=mode)
        if until is not None:
            (item,) = world.bench.survey(mode=mode).plan.items
            now = world.bench.clock.now()
            word = Approval(item.content_id, item.task, item.address, "p", "update", (), "yes", "ann", now, now + until)
            world.bench.store.approve(word)
        return world.wait(wait_s).held("approval")

    return held


def window(begins_in_s, wait_s=0.0):
    """Calls are allowed for an hour that begins so many seconds after a full minute."""

    def held(world):
        world.edited().wait(60.0 - world.bench.clock.time() % 60.0)
        opens = world.bench.clock.now() + timedelta(seconds=begins_in_s)
        cron = f"{opens.minute} {opens.hour} {opens.day} * *"
        world.policy(windows=(Window("w", allows=True, cron=cron, duration_s=3600, zone="UTC"),))
        return world.wait(wait_s).held("window")

    return held


def interval(seconds):
    """So long after an update of a component that is updated every minute at most."""

    def held(world):
        world.edited()
        assert world.sends("")
        since = world.bench.record("t0").applied_at
        world.bench.edit("sink", "t0", workerNum="64")
        world.bench.clock.advance_to(world.bench.clock.monotonic() + _until(world, since, seconds))
        return world.policy(intervals={"default": 60.0}, paced=True).held("min_update_interval_s")

    return held


def _until(world, since, seconds):
    return (since - world.bench.clock.now()).total_seconds() + seconds


def checkpoint(age_s, wait_s=0.0):
    """A deletion while the position that the server reports is so old; an hour is allowed."""

    def held(world):
        world.edited(remove=True)
        world.bench.oms.set_component(name_of(0), status="STOPPED", checkpoint=world.bench.clock.time() - age_s)
        if wait_s:
            assert not world.sends("checkpoint")
            world.wait(wait_s).bench.oms.set_component(name_of(0), checkpoint=world.bench.clock.time())
        return not world.sends("checkpoint")

    return held


def restarts(number, seconds=0.0):
    """So many components to restart, of which two may at once."""

    def held(world):
        bench = world.edited(number, of=number).bench
        bench.concurrent["default"] = 2
        begun, over = [], []

        def report(task, text):
            (begun if text.startswith("update of") else over if text.startswith("applied") else []).append(task)
            world.most = max(world.most, len(begun) - len(over))

        world.most = 0
        apply.carry_out(bench.survey(limits=OFF), replace(bench.tools(), report=report))
        assert (len(over), world.most) == (number, min(number, 2))
        return number > world.most

    return held


def failures(number, wait_s=0.0):
    """So many components that did not come back healthy, of which two stop a target."""

    def held(world):
        bench = world.edited(number, of=4).bench
        bench.fault("exception", times=number)
        stopping = replace(bench.tools(), stop_after={"default": 2})
        for each in range(number):
            apply.carry_out(bench.survey(f"t{each}", limits=OFF), stopping)
            world.wait(wait_s)
        bench.edit("sink", "t3", workerNum="64")
        return world.policy(limits=OFF).held("stop_after_failures")

    return held


# --- resets ---------------------------------------------------------------------------------------------------------


def reset_under_way(stage):
    def held(world):
        resets = Resets(world.bench)
        if stage is not None:
            resets.found(stage)
        world.bench.edit("sink", "shop", workerNum="128")
        return world.policy(**RULES).held("reset")

    return held


def retention(back_s, later_s=0):
    """A reset so far back, when the logs reach back two hours."""

    def held(world):
        resets = Resets(world.bench, HOUR_S)
        resets.declare(request="r2", startTimestamp=int(world.bench.clock.time()) - back_s + later_s)
        return world.policy(**(RULES | {"retention_s": {"default": 2.0 * HOUR_S}})).held("retention")

    return held


TABLE = {
    "mode": Row(mode(Mode.AUTO), mode(Mode.APPROVE), mode(Mode.OBSERVE), NOTHING_PASSES),
    "new_tasks": Row(
        lambda world: world.edited().held("new_tasks"), new_task("adopt"), new_task("hold"), NOTHING_PASSES
    ),
    "first_run": Row(first_run(49), first_run(50), first_run(51), NOTHING_PASSES),
    "vanished": Row(vanished(5), vanished(6), vanished(7), vanished(7, back=True)),
    "suspend": Row(
        suspended(-LATER), suspended(timedelta(0)), suspended(LATER), suspended(LATER, LATER.total_seconds())
    ),
    "protect": Row(protected(None), protected("/sink/batchNum"), protected("/sink/workerNum"), NOTHING_PASSES),
    "danger": Row(
        dangerous(workerNum="128"),
        dangerous(jdbcUrl="jdbc:oceanbase://10.0.0.22:2883", task={"allow": ["/sink/jdbcUrl"]}),
        dangerous(jdbcUrl="jdbc:oceanbase://10.0.0.22:2883"),
        NOTHING_PASSES,
    ),
    "incomplete": Row(
        incomplete(remove=False, lacks=True),
        incomplete(remove=True, lacks=False),
        incomplete(remove=True, lacks=True),
        NOTHING_PASSES,
    ),
    "removed_keys": Row(keys("removed_keys", 1), keys("removed_keys", 2), keys("removed_keys", 3), NOTHING_PASSES),
    "changed_keys": Row(keys("changed_keys", 1), keys("changed_keys", 2), keys("changed_keys", 3), NOTHING_PASSES),
    "tasks": Row(tasks(2), tasks(3), tasks(4), NOTHING_PASSES),
    "approval": Row(
        approved(mode=Mode.AUTO),
        approved(LATER, LATER.total_seconds() - 1.0),
        approved(),
        approved(LATER, LATER.total_seconds()),
        ends_held=True,
    ),
    "window": Row(window(-60), window(0), window(60), window(60, 60.0)),
    "checkpoint": Row(checkpoint(3500), checkpoint(3595), checkpoint(3605), checkpoint(3605, 60.0)),
    "min_update_interval_s": Row(interval(61.0), interval(60.0), interval(59.0), interval(600.0)),
    "max_concurrent": Row(restarts(1), restarts(2), restarts(3), "its turn comes in the same run"),
    "stop_after_failures": Row(failures(1), failures(2), failures(3), failures(2, 3601.0), holds_at=True),
    "reset": Row(
        reset_under_way(None),
        reset_under_way(Stage.PENDING),
        reset_under_way(Stage.STOPPING),
        reset_under_way(Stage.DONE),
    ),
    "retention": Row(retention(HOUR_S), retention(2 * HOUR_S - 5), retention(2 * HOUR_S + 5), NOTHING_PASSES),
}


@pytest.fixture
def world(bench):
    return World(bench)


def cases(column):
    rows = [(name, getattr(row, column), row) for name, row in TABLE.items()]
    return [pytest.param(*each, id=each[0]) for each in rows if not isinstance(each[1], str)]


def test_every_rail_has_its_row():
    assert set(TABLE) == set(rails.NAMES) == {rail.name for rail in rails.states(Policy())}


@pytest.mark.parametrize(("name", "cell", "row"), cases("below"))
def test_below_its_limit_a_rail_holds_nothing(world, name, cell, row):
    assert not cell(world)


@pytest.mark.parametrize(("name", "cell", "row"), cases("at"))
def test_at_its_limit_a_rail_holds_nothing_that_may_still_go(world, name, cell, row):
    assert cell(world) == row.holds_at


@pytest.mark.parametrize(("name", "cell", "row"), cases("above"))
def test_above_its_limit_a_rail_holds(world, name, cell, row):
    assert cell(world)


@pytest.mark.parametrize(("name", "cell", "row"), cases("above"))
def test_force_lifts_what_may_be_forced_and_nothing_else(world, name, cell, row):
    world.force = True
    assert cell(world) == (name not in FORCIBLE)


@pytest.mark.parametrize(("name", "cell", "row"), cases("expired"))
def test_what_time_or_a_return_ends_is_over(world, name, cell, row):
    assert cell(world) == row.ends_held
