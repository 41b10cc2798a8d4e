import pytest

from reconciler.model import Link
from reconciler.simulator.components import (
    Component,
    ComponentStatus,
    component_name,
    ip_of,
    middle_of,
    moved_name,
    project_in,
)
from reconciler.simulator.configuration import complete
from reconciler.simulator.settings import Timing

NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"


def a_component(checkpoint: float = 0.0, status: ComponentStatus = ComponentStatus.RUNNING) -> Component:
    config = complete({})
    return Component(
        NAME, "np_4x9jabcd", Link.FORWARD, "default", config, config, config, status, checkpoint, 100.0, 0.0, 0.0
    )


def test_a_name_has_its_parts():
    assert component_name("10.0.0.1", "np_4x9jabcd", 0, 6) == NAME
    assert (ip_of(NAME), project_in(NAME)) == ("10.0.0.1", "np_4x9jabcd")
    assert middle_of(NAME) == "np_4x9jabcd-incr_trans-1-0"


@pytest.mark.parametrize("name", ["opaque", "10.0.0.1-9000:connector_v2:other:0000000006"])
def test_a_name_of_another_form_has_no_project(name):
    assert project_in(name) == ""


def test_an_opaque_name_has_no_parts():
    assert (ip_of("opaque"), middle_of("opaque")) == ("", "")


@pytest.mark.parametrize(
    ("ip", "number", "expected"),
    [
        (None, None, "10.0.0.2-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0001000009"),
        ("10.9.9.9", 7, "10.9.9.9-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000007"),
    ],
)
def test_a_move_changes_host_and_number(ip, number, expected):
    assert moved_name(NAME, ip, number) == expected


@pytest.mark.parametrize(("ip", "expected"), [(None, "opaque~moved"), ("10.9.9.9", "opaque~10.9.9.9")])
def test_a_move_renames_an_opaque_name_too(ip, expected):
    assert moved_name("opaque", ip, None) == expected


def test_a_running_component_catches_up_and_then_follows():
    component = a_component(checkpoint=0.0)
    component.move_to(105.0, Timing(catch_up=10.0, lag_s=1.0))
    assert component.checkpoint == 50.0
    component.move_to(1000.0, Timing(catch_up=10.0, lag_s=1.0))
    assert component.checkpoint == 999.0


def test_a_stopped_component_stays_where_it_is():
    component = a_component(checkpoint=50.0, status=ComponentStatus.STOPPED)
    component.move_to(200.0, Timing())
    assert (component.checkpoint, component.as_of) == (50.0, 200.0)


def test_a_position_in_the_future_waits_for_its_time():
    component = a_component(checkpoint=500.0)
    component.move_to(200.0, Timing())
    assert component.checkpoint == 500.0


def test_reported_checkpoints_are_samples():
    component, timing = a_component(checkpoint=99.0), Timing(sample_s=10)
    for at, reported in ((105.0, 99.0), (112.0, 109.0), (119.0, 109.0), (120.0, 119.0)):
        component.move_to(at, timing)
        assert component.sampled == pytest.approx(reported)


def test_time_does_not_go_back():
    component = a_component(checkpoint=99.0)
    component.move_to(90.0, Timing())
    assert (component.checkpoint, component.as_of) == (99.0, 100.0)
