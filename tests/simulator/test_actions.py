import pytest

from reconciler.model import Link

PROJECT = "np_4x9jabcd"
NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"
GOOD = {"dimension": "NAME", "key": NAME, "cmRegion": "default", "config": {"sink": {"workerNum": "16"}}}


@pytest.fixture
def refused(simulator, ask):
    """The code and message of a refusal; nothing was carried out."""

    def refused(action, **body):
        answer = ask(action, **body)
        assert answer["success"] is False
        assert simulator.tickets == ()
        return f"{answer['code']} {answer['message']}"

    return refused


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"dimension": None}, "dimension"),
        ({"dimension": "HOST"}, "dimension"),
        ({"key": ""}, "key"),
        ({"cmRegion": 7}, "cmRegion"),
        ({"cmRegion": "elsewhere"}, "no component"),
        ({"key": "10.0.0.9-9000:connector_v2:np_x-incr_trans-1-0:0000000009"}, "no component"),
        ({"config": []}, "config"),
        ({"config": {"sinks": {}}}, "config.sinks"),
        ({"config": {"sink": []}}, "config.sink"),
        ({"config": {"sink": {"a": {"b": None}}}}, "no null"),
        ({"allowDelete": "true"}, "allowDelete"),
        ({"dimension": "IP", "key": "10.0.0.1", "allowDelete": True}, "allowDelete needs dimension NAME"),
    ],
)
def test_an_update_with_a_wrong_parameter_is_refused(refused, change, expected):
    text = refused("UpdateIncrSync", **(GOOD | change))
    assert text.startswith("PARAM_ERROR")
    assert expected in text


@pytest.mark.parametrize("key", [PROJECT, "orders", "np_4x9jabcd-incr_trans-1-0"])
def test_task_name_means_project_or_middle_of_the_name(simulator, ask, key):
    simulator.add_component("np_other", "10.0.0.1-9000:connector_v2:np_other-incr_trans-1-0:0000000099")
    simulator.add_project("np_orders", name="orders")
    ordered = simulator.add_component("np_orders")
    ask("UpdateIncrSync", **(GOOD | {"dimension": "TASK_NAME", "key": key}))
    assert simulator.tickets[0].targets == (ordered.name if key == "orders" else NAME,)


def test_ip_means_every_component_of_the_host(simulator, ask):
    second = simulator.add_component("np_other")
    simulator.add_component("np_other", "10.0.0.2-9000:connector_v2:np_other-incr_trans-1-1:0000000099")
    ask("UpdateIncrSync", **(GOOD | {"dimension": "IP", "key": "10.0.0.1"}))
    assert simulator.tickets[0].targets == (NAME, second.name)
    assert simulator.component(second.name).config["sink"] == {"workerNum": "16"}


@pytest.mark.parametrize("dimension", ["TASK_NAME", "IP"])
def test_several_components_can_be_refused(simulator, refused, dimension):
    simulator.set_switches(many="reject")
    assert "not allowed" in refused("UpdateIncrSync", **(GOOD | {"dimension": dimension}))


def test_a_finished_component_takes_no_update(simulator, refused):
    simulator.set_component(NAME, status="FINISHED")
    assert "FINISHED" in refused("UpdateIncrSync", **GOOD)


def test_an_open_ticket_can_refuse_the_next(simulator, ask):
    simulator.set_switches(concurrent_updates="reject")
    assert ask("UpdateIncrSync", **GOOD)["success"] is True
    assert ask("UpdateIncrSync", **GOOD)["code"] == "GHANA-OPERAT000001"
    simulator.finish()
    assert ask("UpdateIncrSync", **GOOD)["success"] is True


def test_null_can_delete_a_key(simulator, ask):
    simulator.set_switches(null_values="delete")
    ask("UpdateIncrSync", **(GOOD | {"config": {"sink": {"workerNum": None}}}))
    assert "workerNum" not in simulator.component(NAME).config["sink"]


@pytest.mark.parametrize("start", [None, True, -1, "yesterday", 1.5, 10**15, "9" * 5000])
def test_a_reset_needs_unix_seconds(refused, start):
    assert "startTimestamp" in refused("ResetIncrStartTimestamp", id=PROJECT, startTimestamp=start)


def test_a_reset_can_need_a_paused_project(simulator, ask):
    simulator.set_switches(reset_needs_suspend=True)
    body = {"id": PROJECT, "reverse": False, "startTimestamp": 1_759_900_000}
    assert "expected SUSPEND" in ask("ResetIncrStartTimestamp", **body)["message"]
    simulator.set_project(PROJECT, status="SUSPEND")
    assert ask("ResetIncrStartTimestamp", **body)["success"] is True


@pytest.mark.parametrize(("switch", "success"), [("reject", False), ("accept", True)])
def test_a_reset_of_a_missing_link_is_a_switch(simulator, ask, switch, success):
    simulator.set_switches(reset_without_link=switch)
    answer = ask("ResetIncrStartTimestamp", id=PROJECT, reverse=True, startTimestamp=1_759_900_000)
    assert answer["success"] is success


@pytest.mark.parametrize(
    ("action", "status", "expected"),
    [("StopProject", "SUSPEND", "expected RUNNING"), ("ResumeProject", "RUNNING", "expected SUSPEND or FAILED")],
)
def test_projects_change_only_from_certain_states(simulator, refused, action, status, expected):
    simulator.set_project(PROJECT, status=status)
    assert expected in refused(action, id=PROJECT)


@pytest.mark.parametrize(
    "action",
    ["DescribeProjectComponents", "DescribeProjectProgress", "StopProject", "ResumeProject", "ResetIncrStartTimestamp"],
)
def test_an_unknown_project_is_gone(refused, action):
    assert refused(action, id="np_gone").startswith("GHANA-PROJECT000001")


@pytest.mark.parametrize("action", ["DescribeProjectComponents", "StopProject"])
def test_a_project_id_is_needed(refused, action):
    assert "parameter id" in refused(action)


@pytest.mark.parametrize(
    ("edition", "action"),
    [("EE", "UpdateIncrSync"), ("CE", "ResetIncrStartTimestamp"), ("CE", "DescribeRegions"), ("any", "ListIncrSync")],
)
def test_an_edition_does_not_know_every_action(simulator, refused, edition, action):
    simulator.set_switches(edition=edition)
    assert refused(action, **GOOD).endswith(f"Unsupported action: {action}")


def test_an_older_server_knows_fewer_actions(simulator, refused):
    simulator.set_switches(unsupported=["StopProject"], unsupported_code="PARAM_ERROR")
    assert refused("StopProject", id=PROJECT) == "PARAM_ERROR [PARAM_ERROR]: Unsupported action: StopProject"


def test_components_are_listed_by_link(simulator, ask):
    reverse = simulator.add_component(PROJECT, link=Link.REVERSE, region="hz")
    data = ask("DescribeProjectComponents", id=PROJECT)["data"]
    assert [each["name"] for each in data["incrSyncComponents"]] == [NAME]
    assert [each["name"] for each in data["reverseIncrSyncComponents"]] == [reverse.name]
    assert data["reverseStoreList"][0]["subtopic"] == f"MYSQL_{PROJECT}_reverse-1-0"
    assert data["fullImportComponents"][0]["status"] == "FINISHED"
    assert data["fullVerifyComponents"][0]["status"] == "DONE"
    assert [each["region"] for each in ask("DescribeRegions")["data"]] == ["default", "hz"]


def test_a_component_shows_status_and_position_but_no_configuration(ask):
    (component,) = ask("DescribeProjectComponents", id=PROJECT)["data"]["incrSyncComponents"]
    assert component == {
        "region": "default",
        "name": NAME,
        "ip": "10.0.0.1",
        "identity": PROJECT,
        "subtopics": [f"MYSQL_{PROJECT}-1-0"],
        "status": "RUNNING",
        "checkpoint": "2025-10-09T08:53:19",
        "tps": 120,
        "delay": 1,
        "checkpointSampleTimestamp": 1_760_000_000,
        "gmtCreate": "2025-10-09T08:53:20",
        "gmtModify": "2025-10-09T08:53:20",
        "errorDetails": [],
    }


@pytest.mark.parametrize(("status", "tps"), [("RUNNING", 1200), ("STOPPED", 0)])
def test_lag_shows_in_delay_and_rate(simulator, ask, status, tps):
    simulator.set_component(NAME, status=status, checkpoint=1_759_999_000)
    (component,) = ask("DescribeProjectComponents", id=PROJECT)["data"]["incrSyncComponents"]
    assert (component["delay"], component["tps"]) == (1000, tps)


def test_progress_shows_state_and_checkpoints(simulator, ask):
    simulator.set_project(PROJECT, status="RUNNING_MODIFYING")
    data = ask("DescribeProjectProgress", id=PROJECT)["data"]
    assert (data["status"], data["incrSyncCheckpoint"]) == ("RUNNING_MODIFYING", 1_759_999_999)
    assert (data["enableReverseIncrTransfer"], data["reverseIncrTransferCheckpoint"]) == (False, None)


def test_a_checkpoint_can_be_a_text(simulator, ask):
    simulator.set_project(PROJECT, checkpoint_text="12,3456")
    assert ask("DescribeProjectProgress", id=PROJECT)["data"]["incrSyncCheckpoint"] == "12,3456"
    simulator.set_project(PROJECT, checkpoint_text="")
    assert ask("DescribeProjectProgress", id=PROJECT)["data"]["incrSyncCheckpoint"] == 1_759_999_999


def test_a_project_without_components_has_empty_lists(simulator, ask):
    simulator.add_project("np_empty")
    data = ask("DescribeProjectComponents", id="np_empty")["data"]
    assert set(map(len, data.values())) == {0}
    assert ask("DescribeProjectProgress", id="np_empty")["data"]["incrSyncCheckpoint"] is None
