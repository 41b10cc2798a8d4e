import httpx
import pytest

from reconciler.model import Link
from reconciler.simulator.server import serve
from reconciler.simulator.simulator import Simulator

PROJECT = "np_4x9jabcd"
NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"


@pytest.fixture
def door(client):
    """POST to the back door."""

    def door(path, body=None):
        response = client.post(f"/simulator/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    return door


@pytest.fixture
def update(post):
    return lambda: post(
        "UpdateIncrSync", dimension="NAME", key=NAME, cmRegion="default", config={"sink": {"workerNum": 16}}
    ).json()


def test_state_shows_what_the_api_hides(client, update):
    update()
    state = client.get("/simulator/state").json()
    assert state["simulator"] is True
    assert state["components"][0]["config"]["sink"]["workerNum"] == "16"
    assert (state["tickets"][0]["id"], state["tickets"][0]["state"]) == (3_000_001, "Initializing")
    assert state["projects"][0]["id"] == PROJECT
    assert (state["switches"]["merge"], state["timing"]["stop_s"]) == ("top-level", 2.0)


def test_calls_show_bodies(client, update, post):
    update()
    post("DescribeRegions")
    assert [each["action"] for each in client.get("/simulator/calls").json()] == ["UpdateIncrSync", "DescribeRegions"]
    (call,) = client.get("/simulator/calls", params={"action": "UpdateIncrSync"}).json()
    assert call["body"]["config"] == {"sink": {"workerNum": 16}}
    assert (call["ticket"], call["executed"]) == (3_000_001, True)


def test_one_component_is_shown_by_name(client):
    assert client.get("/simulator/component", params={"name": NAME}).json()["link"] == "forward"
    assert client.get("/simulator/component").status_code == 404


def test_faults_are_ordered_and_taken_back(client, door, update):
    rules = door("faults", [{"kind": "inner_error"}, {"kind": "empty_lists", "times": None}])
    assert [rule["kind"] for rule in rules] == ["inner_error", "empty_lists"]
    assert update()["code"] == "INNER_ERROR"
    client.delete("/simulator/faults")
    assert client.get("/simulator/state").json()["faults"] == []


def test_switches_and_durations_are_changed(live, door):
    assert door("switches", {"merge": "deep", "omit": ["cost"]})["omit"] == ["cost"]
    assert door("timing", {"stop_s": 5})["stop_s"] == 5
    assert (live.switches.merge, live.timing.stop_s) == ("deep", 5)


def test_projects_and_components_are_added():
    simulator = Simulator()
    with serve(simulator) as url:
        httpx.post(f"{url}/simulator/project", json={"project": "np_new", "name": "orders"})
        added = {"project": "np_new", "name": NAME, "link": "reverse", "region": "hz", "config": {"sink": {"n": 1}}}
        httpx.post(f"{url}/simulator/component", json=added)
    component = simulator.component(NAME)
    assert simulator.project("np_new").name == "orders"
    assert (component.link, component.region, component.config["sink"]) == (Link.REVERSE, "hz", {"n": "1"})


def test_a_project_is_changed(door, live):
    door("project", {"project": PROJECT, "status": "RUNNING_MERGING"})
    door("project", {"project": PROJECT, "checkpoint_text": "1,2"})
    project = live.project(PROJECT)
    assert (project.status, project.checkpoint_text) == ("RUNNING_MERGING", "1,2")


def test_a_component_is_changed(door):
    assert door("component", {"name": NAME, "status": "EXCEPTION", "error": "x"})["errors"][0]["message"] == "x"


def test_a_component_moves_and_vanishes(door, live):
    moved = door("move", {"name": NAME, "ip": "10.0.0.5"})["name"]
    assert live.component(moved).name.startswith("10.0.0.5-")
    door("remove", {"name": moved})
    assert live.components == ()


def test_time_jumps(door, live, update):
    update()
    before = live.now
    assert door("advance", {"seconds": 100})["now"] >= before + 100
    update()
    door("advance")
    assert [ticket.state for ticket in live.tickets] == ["Successful", "Successful"]


def test_reset_begins_again(door, live, update):
    update()
    door("reset")
    assert (live.calls, live.tickets) == ((), ())


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("faults", [{"kind": "meteor"}], 400),
        ("switches", {"merge": "shallow"}, 400),
        ("switches", ["merge"], 400),
        ("component", {"name": "unknown", "status": "RUNNING"}, 404),
        ("component", {"name": NAME, "status": "WALKING"}, 400),
        ("component", {}, 404),
        ("advance", {"seconds": None}, 400),
        ("reset", None, 200),
    ],
)
def test_what_the_back_door_cannot_do_it_says(client, path, body, status):
    response = client.post(f"/simulator/{path}", json=body)
    assert response.status_code == status
    assert ("error" in response.json()) == (status != 200)


def test_a_body_that_is_no_json_is_refused(client):
    assert client.post("/simulator/faults", content=b"{").status_code == 400
