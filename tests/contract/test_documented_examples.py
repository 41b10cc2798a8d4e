"""The samples that the vendor prints, given to the client and to the simulator.

Source:
    UpdateIncrSync https://en.oceanbase.com/docs/community-oms-en-10000000001080575, ResetIncrStartTimestamp
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913051, DescribeProjectProgress (which prints `Data`)
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913060, DescribeProjectComponents
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000001792132, Basic authentication (whose sample value lacks
    one "=" of its padding) https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913065; ids that the pages
    mask with asterisks are written out here.
"""

import base64
import json

import pytest

from reconciler.errors import PermanentTargetError
from reconciler.model import Accepted, Link
from tests.contract.conftest import NAME, PROJECT, REGION, RESET_PROJECT

EMPTY: dict[str, dict[str, str]] = {"coordinator": {}, "condition": {}, "source": {}, "sink": {}}
UPDATE = {"dimension": "NAME", "key": NAME, "cmRegion": REGION, "config": EMPTY}
RESET = {"id": RESET_PROJECT, "reverse": False, "startTimestamp": 1742365118}

NO_PAGES = {"pageNumber": None, "pageSize": None, "totalCount": None}
TRIO = {"pageNumber": 1, "pageSize": 10, "totalCount": 415}  # printed for UpdateIncrSync, which has no pages
HEAD = {
    "success": True,
    "errorDetail": None,
    "code": None,
    "message": None,
    "advice": None,
    "requestId": "471748100001",
}
UPDATE_ANSWER = HEAD | TRIO | {"cost": "36 ms", "data": 3000001}
RESET_ANSWER = HEAD | NO_PAGES | {"cost": "10 ms", "data": 1}
ENVELOPE = [*HEAD, *NO_PAGES, "cost", "data"]

PROGRESS = {
    "projectId": PROJECT,
    "status": "RUNNING",
    "alarmLevel": "HIGH",
    "enableIncrSync": True,
    "currentStep": "INCR_TRANSFER",
    "incrSyncCheckpoint": 1742365118,
    "enableReverseIncrTransfer": False,
    "reverseIncrTransferCheckpoint": 0,
}


@pytest.fixture
def ce(connect, page):
    """A client of a server that answers what the page prints."""
    return connect(page.url, edition="CE", version="4.1.1")


@pytest.fixture
def ee(connect, page):
    return connect(page.url, edition="EE", version="4.3.0")


def reset(target):
    return target.reset_incr_start_timestamp(RESET_PROJECT, reverse=False, start_timestamp=1742365118)


# --- UpdateIncrSync ------------------------------------------------------------------------------------------------


def test_client_sends_the_documented_update(ce, page, update):
    page.answer = UPDATE_ANSWER
    ce.update_incr_sync(update())
    ((path, headers, body),) = page.requests
    assert path == "/api/v2?Action=UpdateIncrSync"
    assert headers["content-type"] == "application/json"
    assert body == json.dumps(UPDATE, sort_keys=True, separators=(",", ":")).encode()


def test_client_sends_allow_delete_only_when_it_is_true(ce, page, update):
    page.answer = UPDATE_ANSWER
    ce.update_incr_sync(update(allow_delete=True))
    assert json.loads(page.requests[0][2]) == UPDATE | {"allowDelete": True}


def test_client_understands_the_documented_answer_to_an_update(ce, page, update):
    page.answer = UPDATE_ANSWER
    assert ce.update_incr_sync(update()) == Accepted(3000001, "471748100001")


def test_client_sends_no_update_to_a_release_before_the_page(connect, page, update):
    with pytest.raises(PermanentTargetError, match=r"4\.1\.1"):
        connect(page.url, edition="CE", version="4.1.0").update_incr_sync(update())
    assert page.requests == []


def test_simulator_accepts_the_documented_update(post):
    answer = post("UpdateIncrSync", UPDATE)
    assert list(answer) == ENVELOPE
    assert answer == UPDATE_ANSWER | {name: answer[name] for name in ("requestId", "cost")}
    assert (answer["cost"].endswith(" ms"), bool(answer["requestId"])) == (True, True)


def test_documented_update_of_four_empty_sections_changes_nothing(post, oms):
    before = oms.component(NAME).config
    post("UpdateIncrSync", UPDATE)
    oms.finish()
    assert oms.component(NAME).config == before


def test_documented_update_with_one_section_changes_that_key(post, oms):
    post("UpdateIncrSync", UPDATE | {"config": {"coordinator": {"throttleRps": "1000"}}, "allowDelete": False})
    assert oms.component(NAME).config["coordinator"] == {"throttleRps": "1000"}


def test_client_and_simulator_agree_on_the_documented_update(target, oms, update):
    accepted = target.update_incr_sync(update())
    (call,) = oms.calls
    assert (call.body, call.authorized) == (UPDATE, True)
    assert accepted == Accepted(call.ticket, call.request_id)


# --- ResetIncrStartTimestamp ---------------------------------------------------------------------------------------


def test_client_sends_the_documented_reset(ee, page):
    page.answer = RESET_ANSWER
    reset(ee)
    ((path, _, body),) = page.requests
    assert path == "/api/v2?Action=ResetIncrStartTimestamp"
    assert body == json.dumps(RESET, separators=(",", ":")).encode()


def test_client_understands_the_documented_answer_to_a_reset(ee, page):
    page.answer = RESET_ANSWER
    assert reset(ee) == Accepted(1, "471748100001")


def test_simulator_accepts_the_documented_reset(post):
    answer = post("ResetIncrStartTimestamp", RESET)
    assert list(answer) == ENVELOPE
    assert answer == RESET_ANSWER | {name: answer[name] for name in ("requestId", "cost", "data")}


def test_simulator_accepts_a_start_timestamp_as_text_as_the_table_says(post):
    assert post("ResetIncrStartTimestamp", RESET | {"startTimestamp": "1742365118"})["success"] is True


def test_client_and_simulator_agree_on_the_documented_reset(connect, served, oms):
    accepted = reset(connect(served[1], edition="EE", version="4.3.0"))
    (call,) = oms.calls
    assert (call.body, accepted) == (RESET, Accepted(call.ticket, call.request_id))


# --- StopProject and ResumeProject, as the vendor's own client calls them --------------------------------------------


@pytest.mark.parametrize(("action", "name"), [("StopProject", "stop_project"), ("ResumeProject", "resume_project")])
def test_client_names_the_project_and_understands_an_answer_without_data(ee, page, action, name):
    page.answer = HEAD | NO_PAGES | {"cost": "10 ms", "data": None}
    assert getattr(ee, name)(PROJECT) is None
    ((path, _, body),) = page.requests
    assert (path, json.loads(body)) == (f"/api/v2?Action={action}", {"id": PROJECT})


def test_client_and_simulator_agree_on_stopping_and_resuming(connect, served, oms):
    target = connect(served[1], edition="EE", version="4.3.0")
    target.stop_project(PROJECT)
    oms.finish()
    assert target.progress(PROJECT).status == "SUSPEND"
    target.resume_project(PROJECT)
    oms.finish()
    assert target.progress(PROJECT).status == "RUNNING"


# --- reads, and what the pages print oddly --------------------------------------------------------------------------


def test_client_reads_capitalised_data(ce, page):
    page.answer = HEAD | NO_PAGES | {"cost": "1089 ms", "Data": PROGRESS}
    found = ce.progress(PROJECT)
    assert (found.status, found.checkpoint) == ("RUNNING", 1742365118)
    assert json.loads(page.requests[0][2]) == {"id": PROJECT}


@pytest.mark.parametrize("case", ["lower", "envelope", "all"])
def test_client_reads_the_simulator_whatever_the_case_of_its_fields(target, oms, update, case):
    oms.set_switches(field_case=case)
    assert target.update_incr_sync(update()).ticket == oms.tickets[0].id
    assert [(each.name, each.region, each.link) for each in target.components(PROJECT)] == [
        (NAME, REGION, Link.FORWARD)
    ]
    assert target.progress(PROJECT).status == "RUNNING"


@pytest.mark.parametrize(
    "switches",
    [
        {"paging_trio": False},
        {"null": ["pageNumber", "pageSize", "totalCount"]},
        {"omit": ["pageNumber", "pageSize", "totalCount", "cost", "advice", "errorDetail", "code", "message"]},
        {"cost": "null"},
        {"null": ["requestId"]},
        {"omit": ["requestId"]},
    ],
    ids=str,
)
def test_client_needs_only_the_verdict_and_the_data(target, oms, update, switches):
    oms.set_switches(**switches)
    assert target.update_incr_sync(update()).ticket == oms.tickets[0].id
    assert target.components(PROJECT)[0].name == NAME


def test_client_reads_data_that_is_text_as_the_table_says(ce, page):
    components = {"incrSyncComponents": [{"name": NAME, "region": REGION, "status": "RUNNING", "delay": 3}]}
    page.answer = HEAD | NO_PAGES | {"data": json.dumps(components)}
    assert [(each.name, each.delay_s) for each in ce.components(PROJECT)] == [(NAME, 3)]


def test_credentials_are_padded_where_the_printed_sample_is_not(connect, page, update):
    page.answer = UPDATE_ANSWER
    connect(page.url, password="secret!").update_incr_sync(update())
    scheme, _, token = page.requests[0][1]["authorization"].partition(" ")
    assert (scheme, token[-2:], base64.b64decode(token, validate=True)) == ("Basic", "==", b"admin:secret!")


def test_probe_sends_the_documented_empty_object(ce, page):
    page.answer = HEAD | NO_PAGES | {"data": []}
    ce.probe()
    ((path, _, body),) = page.requests
    assert (path, body) == ("/api/v2?Action=DescribeRegions", b"{}")
