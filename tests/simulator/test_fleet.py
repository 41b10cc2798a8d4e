import json

import pytest

from reconciler.model import Link
from reconciler.simulator.fleet import fleet_from_desired_state, fleet_from_file
from reconciler.simulator.simulator import Simulator

NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"


@pytest.fixture
def tasks(tmp_path):
    """Write task.json files, a directory each."""

    def write(*tasks):
        for number, task in enumerate(tasks):
            directory = tmp_path / f"{number}"
            directory.mkdir()
            (directory / "task.json").write_text(task if isinstance(task, str) else json.dumps(task))
        return fleet_from_desired_state(tmp_path)

    return write


def test_a_fleet_file_fills_a_simulator(tmp_path):
    file = tmp_path / "fleet.json"
    component = {"name": NAME, "link": "reverse", "config": {"sink": {"workerNum": 8}}}
    projects = [{"id": "np_4x9jabcd", "name": "orders", "status": "SUSPEND", "region": "hz", "components": [component]}]
    file.write_text(json.dumps({"projects": [*projects, {"id": "np_empty"}]}))
    simulator = Simulator()
    simulator.add_fleet(fleet_from_file(file))
    assert [(each.id, each.name) for each in simulator.projects] == [
        ("np_4x9jabcd", "orders"),
        ("np_empty", "np_empty"),
    ]
    found = simulator.component(NAME)
    assert (found.link, found.region, found.config["sink"]) == (Link.REVERSE, "hz", {"workerNum": "8"})


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"projects": [{"name": "x"}]}',
        '{"projects": [{"id": "x", "components": [{"name": "c", "link": "up"}]}]}',
        '{"projects": [{"id": "x", "components": [{"name": "c", "config": {"sinks": {}}}]}]}',
    ],
)
def test_another_file_is_refused_with_its_name(tmp_path, text):
    file = tmp_path / "fleet.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"fleet\.json: expected a fleet"):
        fleet_from_file(file)


def test_a_name_in_a_task_becomes_a_component(tasks):
    (project,) = tasks({"dimension": "NAME", "key": NAME, "cmRegion": "hz"})
    (component,) = project.components
    assert (project.id, project.region, component.name) == ("np_4x9jabcd", "hz", NAME)
    assert component.config["coordinator"]["taskIdentity"] == "np_4x9jabcd"


def test_an_opaque_name_gets_a_project_of_its_own(tasks):
    (project,) = tasks({"dimension": "NAME", "key": "my component"})
    assert (project.id, project.region) == ("np_my_component", "default")


def test_one_name_is_one_component(tasks):
    task = {"dimension": "NAME", "key": NAME, "cmRegion": "hz"}
    (project,) = tasks(task, task)
    assert len(project.components) == 1


def test_a_role_needs_every_component_before_it(tasks):
    (project,) = tasks(
        {"component": {"project": "np_a", "link": "reverse", "index": 1}},
        {"component": {"project": "np_a"}},
    )
    assert [(each.link.value, each.name) for each in project.components] == [
        ("reverse", "10.0.0.1-9000:connector_v2:np_a-incr_trans-1-0:0000000006"),
        ("reverse", "10.0.0.1-9000:connector_v2:np_a-incr_trans-1-1:0000000019"),
        ("forward", "10.0.0.1-9000:connector_v2:np_a-incr_trans-1-0:0000000032"),
    ]


@pytest.mark.parametrize(
    "task",
    [
        "{",
        "[]",
        {"dimension": "IP", "key": "10.0.0.1", "cmRegion": "hz"},
        {"dimension": "NAME"},
        {"component": {"project": "np_a", "link": "sideways"}},
        {"component": {"project": 7}},
        {"component": {"project": "np_a", "index": "1"}},
    ],
)
def test_what_names_no_single_component_is_left_out(tasks, task):
    assert tasks(task) == ()


def test_a_silly_index_makes_no_million_of_components(tasks):
    (project,) = tasks({"component": {"project": "np_a", "index": 10**9}})
    assert len(project.components) == 100
