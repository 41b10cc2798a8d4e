"""The API over HTTP."""

import socket

import httpx
import pytest

from reconciler.simulator.faults import Rule

PROJECT = "np_4x9jabcd"
NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"


def test_an_update_is_accepted_over_http(live, post):
    response = post(
        "UpdateIncrSync", dimension="NAME", key=NAME, cmRegion="default", config={"sink": {"workerNum": 16}}
    )
    assert response.headers["content-type"] == "application/json;charset=UTF-8"
    assert response.json()["data"] == live.tickets[0].id


@pytest.mark.parametrize("path", ["/", "/oms/health", "/simulator/state", "/nowhere", "/api/v2"])
def test_every_answer_says_it_comes_from_a_simulator(client, path):
    assert client.get(path).headers["x-oms-simulator"] == "true"


def test_health_needs_no_password(client, live):
    assert httpx.get(f"{client.base_url}/oms/health").json()["data"] == {"healthy": True}
    live.set_switches(healthy=False)
    assert client.get("/oms/health").json()["data"] == {"healthy": False}


@pytest.mark.parametrize(
    ("switch", "status", "kind"), [("json", 401, "json"), ("redirect", 302, "html"), ("html", 200, "html")]
)
@pytest.mark.parametrize("auth", [("admin", "wrong"), None])
def test_wrong_credentials_are_answered_in_three_ways(client, live, switch, status, kind, auth):
    live.set_switches(wrong_credentials=switch)
    response = httpx.post(f"{client.base_url}/api/v2?Action=DescribeRegions", json={}, auth=auth)
    assert response.status_code == status
    assert kind in response.headers["content-type"]
    assert not live.calls[0].authorized


def test_wrong_credentials_use_no_rule_up(client, live):
    live.add_fault(Rule("close"))
    httpx.post(f"{client.base_url}/api/v2?Action=DescribeRegions", json={})
    assert len(live.faults) == 1


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json; charset=utf-8", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "text/plain", 415),
    ],
)
def test_a_body_that_is_no_json_object_is_a_bad_request(client, content, content_type, status):
    response = client.post("/api/v2?Action=DescribeRegions", content=content, headers={"content-type": content_type})
    assert response.status_code == status


def test_the_api_takes_only_post(client):
    assert client.get("/api/v2?Action=DescribeRegions").status_code == 405


def test_an_action_must_be_named(client):
    assert client.post("/api/v2", json={}).json()["message"] == "Unsupported action: "


def test_the_page_for_people_shows_components_and_calls(client, post):
    post("DescribeProjectProgress", id="<b>")
    page = client.get("/").text
    assert "This is a simulator" in page
    assert NAME in page
    assert "DescribeProjectProgress id=&lt;b&gt;" in page


def test_a_client_that_goes_away_in_its_request_leaves_no_trace(client, live, caplog):
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address) as connection:
        connection.sendall(b"POST /api/v2 HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{")
    assert client.get("/oms/health").status_code == 200
    assert (live.calls, caplog.records) == ((), [])
