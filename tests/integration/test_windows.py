"""Windows beside a daemon and an `apply`, in time of their own: what is held, when it goes, and what is finished."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.apply import carry_out
from reconciler.core.windows import read
from reconciler.errors import StateStoreError
from reconciler.jobs import Status
from reconciler.model import Approval
from tests.integration.bench import name_of
from tests.integration.engine import Engine, FaultyStore

KNOWN = ("default", "other")
DAY = timedelta(days=1)


def window(cron, duration="1h", kind="allow", **labels):
    return read({"kind": kind, "cron": cron, "duration": duration, "labels": labels}, "w")


def opening(bench, hours, duration="2h", kind="allow"):
    """A window that opens at the full hour so many hours from now, or has opened then."""
    return window(f"0 {bench.clock.now() + timedelta(hours=hours):%H} * * *", duration, kind)


@pytest.fixture
def nights(bench):
    """A window that opens in fourteen hours: time goes on from test to test."""
    return opening(bench, 14)


@pytest.fixture
def engines(bench):
    """Makes engines that are ended when the test is over."""
    made = []

    def make(*windows, **changes):
        made.append(Engine(bench, windows=windows, **changes))
        return made[-1]

    yield make
    for engine in made:
        engine.end()


def edited(bench, value, task="shop"):
    bench.edit("sink", task, workerNum=value)


def in_time(engine, task="shop"):
    """Turn until a task is synced, however many hours that takes."""
    engine.until(lambda: engine.state(task) == "synced", 3600.0)


def this_minute(bench):
    """A window that opens now and closes in a minute."""
    later(bench, seconds=60 - bench.clock.now().second)
    now = bench.clock.now()
    return window(f"{now.minute} {now.hour} * * *", "1m")


def later(bench, **delta):
    bench.clock.advance_to(bench.clock.monotonic() + timedelta(**delta).total_seconds())


# --- a daemon --------------------------------------------------------------------------------------------------------


def test_change_by_day_waits_for_the_window_and_the_next_one_for_the_next(bench, engines, nights):
    bench.applied()
    engine = engines(nights)
    edited(bench, "20")
    engine.everything()
    said = engine.said()["shop"]
    assert (said.state, f"{said.until:%M}", bench.sent) == ("blocked", "00", [])
    assert said.reason.startswith("window w allows calls only for 2h from ")
    in_time(engine)
    assert (said.until <= bench.clock.now(), len(bench.sent)) == (True, 1)
    engine.pass_time(7200)
    edited(bench, "21")
    engine.some("shop")
    assert (engine.state(), engine.said()["shop"].until - said.until, len(bench.sent)) == ("blocked", DAY, 1)


def test_denying_window_holds_until_it_closes(bench, engines):
    bench.applied()
    engine = engines(opening(bench, -1, "3h", "deny"))
    edited(bench, "20")
    engine.everything()
    until = engine.said()["shop"].until
    assert (engine.state(), until - bench.clock.now() <= timedelta(hours=2), bench.sent) == ("blocked", True, [])
    in_time(engine)
    assert (bench.clock.now() >= until, len(bench.sent)) == (True, 1)


def test_windows_of_task_json_hold_its_task_alone(bench, engines, nights):
    bench.applied("shop", 0)
    bench.applied("free", 1)
    bench.edit("task", "shop", windows=[{"kind": "allow", "cron": nights.cron, "duration": "2h"}])
    engine = engines()
    for task in ("shop", "free"):
        edited(bench, "20", task)
    engine.everything()
    engine.settled("free")
    assert (engine.state(), bench.keys) == ("blocked", [name_of(1)])
    assert "window 1 of task.json allows calls only" in engine.said()["shop"].reason


def test_label_decides_whose_window_it_is(bench, nights):
    bench.applied(task={"labels": {"team": "shop"}})
    edited(bench, "20")
    assert bench.item(windows=(window(nights.cron, team="stock"),)).action.sends
    assert bench.item(windows=(window(nights.cron, team="shop"),)).rail == "window"


def test_reload_with_other_windows_counts_at_once(bench, engines, nights):
    bench.applied()
    engine = engines(nights)
    edited(bench, "20")
    engine.everything()
    said = engine.said()["shop"]
    assert said.state == "blocked"
    engine.rules = replace(engine.rules, windows=())
    engine.renew(KNOWN, windows=())
    engine.everything()
    engine.settled("shop")
    assert (bench.clock.now() < said.until, len(bench.sent)) == (True, 1)


def test_task_that_waited_in_the_queue_while_the_window_closed_is_not_sent_before_it_opens_again(bench, engines):
    bench.concurrent["default"] = 1
    bench.applied("a", 0)
    bench.applied("b", 1)
    bench.fault("ticket_stuck")
    engine = engines(this_minute(bench), verify_s=70.0)
    for task in ("a", "b"):
        edited(bench, "20", task)
    engine.everything()
    engine.until(lambda: engine.state("a") == "unconfirmed")
    engine.until(lambda: engine.state("b") == "blocked")
    until = engine.said()["b"].until
    assert (bench.keys, until > bench.clock.now() + DAY * 0.9) == ([name_of(0)], True)
    in_time(engine, "b")
    assert (bench.keys[1:], bench.clock.now() >= until) == ([name_of(1)], True)


# --- what is let through ---------------------------------------------------------------------------------------------


def test_first_sends_are_held_and_adoptions_are_not(bench, nights):
    bench.put()
    assert bench.item(windows=(nights,)).rail == "window"
    assert bench.apply(new="adopt", windows=(nights,))["shop"].status is Status.ADOPTED


def test_task_without_a_difference_is_not_held(bench, nights):
    bench.applied()
    assert bench.actions(windows=(nights,)) == {"shop": "noop"}


def test_forced_window_is_recorded_and_sent(bench, nights):
    bench.applied()
    edited(bench, "20")
    item = bench.item(windows=(nights,), forced=frozenset(("window",)))
    assert (item.action.sends, item.forced) == (True, ("window",))
    tools = replace(bench.tools(), windows=(nights,))
    (result,) = carry_out(bench.survey(windows=(nights,), forced=frozenset(("window",))), tools, "urgent")
    assert result.status is Status.APPLIED


def test_approval_may_lift_the_window_for_one_item(bench, nights):
    bench.applied()
    edited(bench, "20")
    held, now = bench.item(windows=(nights,)), bench.clock.now()
    bench.store.approve(
        Approval(held.content_id, "shop", held.address, "p", "update", ("window",), "urgent", "ann", now, now + DAY)
    )
    assert (bench.item(windows=(nights,)).forced, bench.item(windows=(nights,)).rail) == (("window",), "")


def test_apply_that_comes_too_late_sends_nothing_and_says_when_it_may(bench):
    bench.applied()
    edited(bench, "20")
    windows = (this_minute(bench),)
    survey = bench.survey(windows=windows)
    later(bench, minutes=2)
    (result,) = carry_out(survey, replace(bench.tools(), windows=windows))
    assert (result.status, bench.sent) == (Status.BLOCKED, [])
    assert result.message.startswith("not sent: window w allows calls only")
    assert bench.item(windows=windows).rail == "window"


# --- finishing what was begun ----------------------------------------------------------------------------------------


def test_update_without_a_clear_answer_is_sent_again_though_the_window_closed(bench, engines):
    bench.applied()
    bench.fault("close", effect="before")
    edited(bench, "20")
    engine = engines(this_minute(bench), verify_s=90.0)
    engine.everything()
    engine.settled("shop")
    assert len(bench.sent) == 2


@pytest.fixture
def interrupted(bench):
    """An update of which nobody wrote down how it ended, as after kill -9."""
    bench.applied()
    edited(bench, "20")
    store = FaultyStore(bench.store)
    store.failing.add("conclude")
    with pytest.raises(StateStoreError):
        carry_out(bench.survey(), replace(bench.tools(), store=store))
    assert (bench.record().open_intents, len(bench.sent)) == (1, 1)


def test_interrupted_update_is_finished_outside_the_window(bench, interrupted, nights):
    assert bench.item(windows=(nights,)).action.sends
    (result,) = carry_out(bench.survey(windows=(nights,)), replace(bench.tools(), windows=(nights,)))
    assert (result.status, len(bench.sent)) == (Status.APPLIED, 2)


def test_newer_content_than_the_interrupted_one_waits_for_the_window(bench, interrupted, nights):
    edited(bench, "21")
    assert bench.item(windows=(nights,)).rail == "window"


def test_component_is_looked_at_outside_the_window(bench, engines):
    bench.applied()
    bench.fault("ticket_stuck")
    edited(bench, "20")
    engine = engines(this_minute(bench), verify_s=90.0)
    engine.everything()
    engine.until(lambda: engine.state() == "unconfirmed")
    assert (len(bench.sent), bench.item(windows=engine.rules.windows).action.value) == (1, "noop")
