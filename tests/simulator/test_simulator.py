import logging
import threading

import pytest

from reconciler.model import Link
from reconciler.simulator.exchange import Request
from reconciler.simulator.faults import Rule
from reconciler.simulator.settings import Timing
from reconciler.simulator.simulator import Simulator

PROJECT = "np_4x9jabcd"
NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"


def test_things_can_be_done_faster_than_usual_by_the_same_clock(clock, update):
    simulator = Simulator(clock=clock, timing=Timing(lag_s=5).faster(100))
    assert simulator.timing.restart_s == pytest.approx(0.032)
    assert simulator.timing.catch_up == 1000
    component = simulator.add_component(PROJECT)
    clock.now += 1
    assert simulator.now == clock.now
    assert simulator.component(component.name).checkpoint == clock.now - 5


@pytest.mark.parametrize("factor", [0, -1, float("nan")])
def test_a_factor_that_leaves_no_time(factor):
    with pytest.raises(ValueError, match="expected a factor above 0, found"):
        Timing().faster(factor)


def test_time_can_jump(simulator, clock):
    simulator.advance(60)
    assert simulator.now == clock.now + 60


def test_what_comes_out_is_a_copy(simulator, update):
    before = simulator.component(NAME)
    update({"sink": {"workerNum": 16}})
    assert before.config["sink"]["workerNum"] == "8"


def test_components_get_usual_names(simulator):
    assert simulator.add_component(PROJECT).name == "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-1:0000000019"
    reverse = simulator.add_component(PROJECT, link=Link.REVERSE, status="STOPPED", checkpoint=5)
    assert reverse.name == "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000032"
    assert (reverse.status, reverse.checkpoint) == ("STOPPED", 5.0)


def test_names_and_ids_are_unique(simulator):
    other = simulator.add_component(PROJECT)
    with pytest.raises(ValueError, match="already"):
        simulator.add_component(PROJECT, NAME)
    with pytest.raises(ValueError, match="already"):
        simulator.add_project(PROJECT)
    with pytest.raises(ValueError, match="already"):
        simulator.move(other.name, ip="10.0.0.1", number=19)


def test_calls_are_kept_with_their_bodies(simulator, update, ask):
    update({"sink": {"workerNum": 16}})
    ask("DescribeRegions")
    (call,) = simulator.calls_of("UpdateIncrSync")
    assert (call.number, call.ticket, call.executed, call.status) == (1, 3_000_001, True, 200)
    assert call.body["config"] == {"sink": {"workerNum": 16}}
    assert [each.action for each in simulator.calls] == ["UpdateIncrSync", "DescribeRegions"]


def test_the_log_has_a_line_per_call_without_secrets(update, caplog):
    with caplog.at_level(logging.INFO, "reconciler.simulator"):
        update({"sink": {"workerNum": 16, "password": "n3w"}}, allowDelete=True)
    (line,) = caplog.messages
    assert line.startswith(f"OMS simulator: call 1: UpdateIncrSync dimension=NAME key={NAME} cmRegion=default allow")
    assert line.endswith(
        "changes: sink.workerNum=16, sink.password=«secret», -coordinator.throttleRps, -coordinator.taskIdentity "
        "-> ticket 3000001"
    )


def test_an_update_without_a_difference_says_so(simulator, update):
    update({"sink": {"workerNum": 8}})
    assert "changes: none" in simulator.calls[0].text


@pytest.mark.parametrize(("keeps", "workers"), [(True, "16"), (False, "8")])
def test_whether_a_move_keeps_the_configuration_is_a_switch(simulator, update, keeps, workers):
    simulator.set_switches(move_keeps_config=keeps)
    update({"sink": {"workerNum": 16}})
    assert simulator.component(simulator.move(NAME)).config["sink"]["workerNum"] == workers


def test_a_moved_component_is_found_by_its_new_name_only(simulator, ask):
    moved = simulator.move(NAME, ip="10.0.0.9")
    assert moved.startswith("10.0.0.9-9000:")
    with pytest.raises(KeyError):
        simulator.component(NAME)
    (listed,) = ask("DescribeProjectComponents", id=PROJECT)["data"]["incrSyncComponents"]
    assert listed["name"] == moved


def test_a_component_is_changed_by_hand(simulator):
    changed = simulator.set_component(NAME, status="EXCEPTION", error="disk full", config={"sink": {"workerNum": 2}})
    assert (changed.status, changed.errors[0]["message"]) == ("EXCEPTION", "disk full")
    assert changed.config["sink"] == {"workerNum": "2"}
    assert simulator.set_component(NAME, checkpoint=7).errors == changed.errors
    assert simulator.set_component(NAME, status="RUNNING").errors == ()


def test_a_removed_component_is_gone(simulator):
    simulator.remove(NAME)
    assert simulator.components == ()


def test_reset_begins_again(simulator, update, clock):
    simulator.set_switches(merge="deep")
    simulator.add_fault(Rule("close"), Rule("poison", parameters={"key": "workerNum"}))
    update({"sink": {"workerNum": 16}})
    simulator.move(NAME)
    simulator.reset()
    assert (simulator.calls, simulator.tickets, simulator.faults) == ((), (), ())
    assert simulator.component(NAME).config["sink"]["workerNum"] == "8"
    assert simulator.switches.merge == "top-level"
    update({"sink": {"workerNum": 16}})
    simulator.finish()
    assert (simulator.calls[0].number, simulator.component(NAME).status) == (1, "RUNNING")


def test_cleared_faults_let_poisoned_configurations_start(simulator, update):
    simulator.add_fault(Rule("poison", parameters={"key": "workerNum"}))
    simulator.clear_faults()
    update({"sink": {"workerNum": 16}})
    simulator.finish()
    assert simulator.component(NAME).status == "RUNNING"


def test_a_condition_is_waited_for(simulator, update):
    thread = threading.Thread(target=update, args=({"sink": {"workerNum": 16}},))
    thread.start()
    assert simulator.wait_until(lambda each: len(each.calls) == 1)
    thread.join()


def test_a_condition_that_never_holds_is_given_up(simulator):
    assert not simulator.wait_until(lambda each: bool(each.calls), timeout_s=0)


def test_a_body_that_is_no_json_is_kept_as_it_came(simulator):
    simulator.answer(Request("StopProject", b"{", "Basic wrong"))
    (call,) = simulator.calls
    assert (call.body, call.raw, call.authorized, call.text) == (None, b"{", False, "wrong credentials")


def test_many_calls_to_many_components_are_quick(simulator, ask, clock):
    names = [simulator.add_component(f"np_{number}").name for number in range(300)]
    for round_ in range(5):
        for name in names:
            ask("UpdateIncrSync", dimension="NAME", key=name, cmRegion="default", config={"sink": {"n": round_}})
    simulator.finish()
    assert len(simulator.tickets) == 1500
    assert {each.config["sink"]["n"] for each in simulator.components if "n" in each.config["sink"]} == {"4"}
