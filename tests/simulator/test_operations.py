"""Life of tickets, seen from outside: a fake clock, and requests without a server."""

from itertools import pairwise

import pytest

from reconciler.model import Link
from reconciler.simulator.faults import Rule
from reconciler.simulator.settings import Timing

NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"
PROJECT = "np_4x9jabcd"


def test_a_ticket_lives_through_its_states(simulator, clock, update):
    ticket = update({"sink": {"workerNum": 16}})["data"]
    seen = []
    for seconds in (0.0, 0.1, 0.1, 2.0, 1.0):
        clock.now += seconds
        seen.append((simulator.ticket(ticket).state, simulator.component(NAME).status))
    assert seen == [
        ("Initializing", "RUNNING"),
        ("Ready", "RUNNING"),
        ("In Progress", "STOPPED"),
        ("In Progress", "STOPPED"),
        ("Successful", "RUNNING"),
    ]


def test_ticket_ids_have_gaps_and_jumps(simulator, update):
    ids = [update({"sink": {"workerNum": number}})["data"] for number in range(10)]
    steps = [later - earlier for earlier, later in pairwise(ids)]
    assert ids[0] == 3_000_001
    assert min(steps) == 1
    assert max(steps) > 900_000


def test_configuration_is_stored_at_once_and_runs_after_the_restart(simulator, update):
    update({"sink": {"workerNum": 16}})
    component = simulator.component(NAME)
    assert (component.config["sink"]["workerNum"], component.running_config["sink"]["workerNum"]) == ("16", "8")
    simulator.finish()
    assert simulator.component(NAME).running_config == component.config


def test_a_restart_leaves_lag_that_is_caught_up(simulator, clock, update):
    update({"sink": {"workerNum": 16}})
    clock.now += simulator.timing.restart_s
    lag = clock.now - simulator.component(NAME).checkpoint
    clock.now += 60
    assert lag == pytest.approx(4.0)
    assert clock.now - simulator.component(NAME).checkpoint == pytest.approx(1.0)


def test_a_second_update_waits_for_the_first(simulator, clock, update):
    first, second = (update({"sink": {"workerNum": number}})["data"] for number in (9, 10))
    clock.now += simulator.timing.restart_s
    assert simulator.ticket(first).state == "Successful"
    assert simulator.ticket(second).finished is None
    simulator.finish()
    assert simulator.ticket(second).finished == pytest.approx(clock.now + simulator.timing.restart_s)


@pytest.mark.parametrize(("starts", "status"), [(False, "STOPPED"), (True, "RUNNING")])
def test_whether_an_update_starts_a_stopped_component_is_a_switch(simulator, update, starts, status):
    simulator.set_switches(update_starts_stopped=starts)
    simulator.set_component(NAME, status="STOPPED")
    update({"sink": {"workerNum": 16}})
    simulator.finish()
    assert simulator.component(NAME).status == status


def test_an_update_brings_a_broken_component_back(simulator, update):
    simulator.set_component(NAME, status="EXCEPTION", error="out of memory")
    update({"sink": {"workerNum": 4}})
    simulator.finish()
    assert (simulator.component(NAME).status, simulator.component(NAME).errors) == ("RUNNING", ())


@pytest.mark.parametrize(("noop", "finished"), [("restart", None), ("skip", 1_760_000_000.0)])
def test_whether_an_update_without_a_change_restarts_is_a_switch(simulator, update, noop, finished):
    simulator.set_switches(noop_update=noop)
    ticket = update({"sink": {"workerNum": "8"}})["data"]
    assert simulator.ticket(ticket).finished == finished


@pytest.mark.parametrize(
    ("kind", "state", "status", "workers"),
    [
        ("no_effect", "Successful", "RUNNING", "8"),
        ("exception", "Successful", "EXCEPTION", "16"),
        ("ticket_failed", "Failed", "RUNNING", "8"),
        ("ticket_stuck", "In Progress", "STOPPED", "16"),
    ],
)
def test_an_accepted_update_can_end_in_many_ways(simulator, update, kind, state, status, workers):
    simulator.add_fault(Rule(kind, action="UpdateIncrSync"))
    ticket = update({"sink": {"workerNum": 16}})["data"]
    simulator.finish()
    component = simulator.component(NAME)
    assert simulator.ticket(ticket).state == state
    assert (component.status, component.config["sink"]["workerNum"]) == (status, workers)


@pytest.mark.parametrize(("value", "status"), [(None, "EXCEPTION"), (16, "EXCEPTION"), ("4", "RUNNING")])
def test_a_poisoned_configuration_does_not_start(simulator, update, value, status):
    simulator.add_fault(Rule("poison", parameters={"section": "sink", "key": "workerNum", "value": value}))
    update({"sink": {"workerNum": 16}})
    simulator.finish()
    component = simulator.component(NAME)
    assert component.status == status
    assert ("sink.workerNum" in str(component.errors)) == (status == "EXCEPTION")


@pytest.mark.parametrize(("lost", "status"), [("ignore", "RUNNING"), ("exception", "EXCEPTION")])
def test_whether_lost_keys_break_a_component_is_a_switch(simulator, update, lost, status):
    simulator.set_switches(lost_keys=lost)
    update({"sink": {"workerNum": 16}}, allowDelete=True)
    simulator.finish()
    assert simulator.component(NAME).status == status


def test_a_component_that_never_had_a_key_does_not_lose_it(simulator, update):
    simulator.set_switches(lost_keys="exception")
    update({"sink": {"workerNum": 16}})
    simulator.finish()
    assert simulator.component(NAME).status == "RUNNING"


@pytest.mark.parametrize(("sent", "moved"), [("used", True), ("ignored", False)])
def test_whether_a_sent_checkpoint_moves_the_position_is_a_switch(simulator, clock, update, sent, moved):
    simulator.set_switches(sent_checkpoint=sent)
    simulator.set_timing(catch_up=0)
    update({"source": {"checkpoint": {"c1": "1759990000"}}})
    simulator.finish()
    assert (simulator.component(NAME).checkpoint == 1_759_990_000) == moved


def test_an_unchanged_checkpoint_moves_nothing(simulator, update):
    update({"source": {"checkpoint": {"c1": "1759990000"}}})
    simulator.finish()
    simulator.advance(3600)
    update({"source": {"checkpoint": {"c1": "1759990000"}, "splitThreshold": 64}})
    simulator.finish()
    assert simulator.component(NAME).checkpoint > 1_760_000_000


def test_a_reset_moves_the_checkpoint_when_its_ticket_succeeds(simulator, clock, ask):
    ticket = ask("ResetIncrStartTimestamp", id=PROJECT, reverse=False, startTimestamp=1_759_900_000)["data"]
    clock.now += 0.2
    assert simulator.ticket(ticket).state == "In Progress"
    assert simulator.component(NAME).checkpoint > 1_759_900_000
    simulator.set_timing(catch_up=0)
    clock.now += 1.0
    assert simulator.ticket(ticket).state == "Successful"
    assert simulator.component(NAME).checkpoint == 1_759_900_000


def test_a_reset_of_one_link_leaves_the_other(simulator, ask):
    other = simulator.add_component(PROJECT, link=Link.REVERSE)
    simulator.set_timing(catch_up=0)
    ask("ResetIncrStartTimestamp", id=PROJECT, reverse=True, startTimestamp="1759900000")
    simulator.finish()
    assert simulator.component(other.name).checkpoint == 1_759_900_000
    assert simulator.component(NAME).checkpoint > 1_759_900_000


def test_a_stopped_project_stops_its_components_after_a_while(simulator, clock, ask):
    ask("StopProject", id=PROJECT)
    assert simulator.project(PROJECT).status == "RUNNING"
    clock.now += 1.0
    assert (simulator.project(PROJECT).status, simulator.component(NAME).status) == ("SUSPEND", "STOPPED")


@pytest.mark.parametrize("status", ["SUSPEND", "FAILED"])
def test_a_resumed_project_runs_again(simulator, clock, ask, status):
    simulator.set_project(PROJECT, status=status)
    simulator.set_component(NAME, status="STOPPED")
    ask("ResumeProject", id=PROJECT)
    clock.now += 1.0
    assert (simulator.project(PROJECT).status, simulator.component(NAME).status) == ("RUNNING", "RUNNING")


def test_a_project_that_is_told_to_stop_twice_stops_once(simulator, clock, ask):
    ask("StopProject", id=PROJECT)
    clock.now += 0.9
    ask("StopProject", id=PROJECT)
    clock.now += 0.2
    ask("ResumeProject", id=PROJECT)
    clock.now += 5.0
    assert simulator.project(PROJECT).status == "RUNNING"


@pytest.mark.parametrize(("action", "status"), [("StopProject", "RUNNING"), ("ResumeProject", "SUSPEND")])
def test_a_command_to_a_project_can_be_accepted_without_effect(simulator, ask, action, status):
    simulator.set_project(PROJECT, status=status)
    simulator.add_fault(Rule("no_effect", action))
    assert ask(action, id=PROJECT)["success"] is True
    simulator.finish()
    assert simulator.project(PROJECT).status == status


@pytest.mark.parametrize(
    ("kind", "state"),
    [("no_effect", "Successful"), ("ticket_failed", "Failed"), ("ticket_stuck", "In Progress")],
)
def test_a_reset_whose_ticket_does_not_end_as_asked_moves_nothing(simulator, ask, kind, state):
    simulator.add_fault(Rule(kind, "ResetIncrStartTimestamp"))
    ticket = ask("ResetIncrStartTimestamp", id=PROJECT, reverse=False, startTimestamp=1_759_900_000)["data"]
    simulator.finish()
    assert simulator.ticket(ticket).state == state
    assert simulator.component(NAME).checkpoint > 1_759_990_000


def test_a_finished_component_stays_finished(simulator, ask):
    simulator.set_component(NAME, status="FINISHED")
    ask("StopProject", id=PROJECT)
    simulator.finish()
    ask("ResumeProject", id=PROJECT)
    simulator.finish()
    assert simulator.component(NAME).status == "FINISHED"


def test_a_restart_does_not_start_a_component_of_a_paused_project(simulator, ask, update):
    simulator.set_timing(suspend_s=0.5)
    update({"sink": {"workerNum": 16}})
    ask("StopProject", id=PROJECT)
    simulator.finish()
    assert simulator.component(NAME).status == "STOPPED"


def test_a_component_that_moves_during_its_restart_comes_back(simulator, clock, update):
    update({"sink": {"workerNum": 16}})
    clock.now += 1.0
    moved = simulator.move(NAME)
    simulator.finish()
    assert simulator.component(moved).status == "RUNNING"


def test_durations_can_be_changed(simulator, clock, update):
    assert simulator.set_timing(queue_s=0, stop_s=0, start_s=0) == Timing(queue_s=0, stop_s=0, start_s=0)
    ticket = update({"sink": {"workerNum": 16}})["data"]
    assert simulator.ticket(ticket).state == "Successful"
