"""What goes wrong on the wire, as a client sees it."""

import socket
import time

import httpx
import pytest

from reconciler.simulator.faults import Rule

NAME = "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006"


@pytest.fixture
def send(post):
    """One update over HTTP."""
    body = {"dimension": "NAME", "key": NAME, "cmRegion": "default", "config": {"sink": {"workerNum": 16}}}
    return lambda: post("UpdateIncrSync", **body)


@pytest.mark.parametrize(
    ("kind", "parameters", "error"),
    [
        ("hang", {"seconds": 0.02}, httpx.RemoteProtocolError),
        ("close", {}, httpx.RemoteProtocolError),
        ("reset", {}, httpx.ReadError),
        ("truncated", {"bytes": 30}, httpx.RemoteProtocolError),
    ],
)
def test_a_connection_can_break_before_or_after_the_effect(live, send, kind, parameters, error):
    for effect, tickets in (("before", 0), ("after", 1)):
        live.add_fault(Rule(kind, effect=effect, parameters=parameters))
        with pytest.raises(error):
            send()
        assert len(live.tickets) == tickets
    assert send().json()["success"] is True


def test_broken_connections_are_no_news_to_the_log(live, send, caplog):
    for kind in ("close", "reset", "truncated"):
        live.add_fault(Rule(kind))
        with pytest.raises(httpx.TransportError):
            send()
    assert send().status_code == 200
    assert caplog.records == []


def test_an_answer_may_never_come(live, client, send):
    live.add_fault(Rule("hang", effect="after"))
    client.timeout = httpx.Timeout(0.1)
    try:
        with pytest.raises(httpx.ReadTimeout):
            send()
    finally:
        client.timeout = httpx.Timeout(5)
    assert len(live.tickets) == 1


def test_an_answer_may_come_late(live, send):
    live.add_fault(Rule("slow", parameters={"seconds": 0.05}))
    began = time.monotonic()
    assert send().json()["success"] is True
    assert time.monotonic() - began >= 0.05


def test_json_can_be_cut(live, send):
    live.add_fault(Rule("cut_json", parameters={"bytes": 12}))
    assert send().text == '{"success": '


def test_a_body_can_be_huge(live, send):
    live.add_fault(Rule("oversized", parameters={"bytes": 3_000_000}))
    response = send()
    assert len(response.content) == 3_000_000
    assert response.json()["success"] is True


def test_an_oversized_body_is_never_shorter_than_the_answer(live, send):
    live.add_fault(Rule("oversized", parameters={"bytes": 5}))
    assert send().json()["success"] is True


def test_a_client_may_stop_reading(live, client):
    live.add_fault(Rule("oversized", parameters={"bytes": 50_000_000}))
    request = "POST /api/v2?Action=DescribeRegions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n"
    request += "content-type: application/json\r\nauthorization: Basic YWRtaW46c2ltdWxhdG9y\r\n\r\n{}"
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(request.encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
    assert client.get("/oms/health").status_code == 200


def test_a_login_page_can_come_instead(live, send):
    live.add_fault(Rule("not_json"))
    response = send()
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html;charset=UTF-8")
    assert live.tickets == ()


@pytest.mark.parametrize(
    ("parameters", "kind", "header"),
    [
        ({"status": 302, "location": "/login"}, "json", ("location", "/login")),
        ({"status": 400}, "json", None),
        ({"status": 403}, "json", None),
        ({"status": 408}, "json", None),
        ({"status": 429, "retry_after": 7}, "json", ("retry-after", "7")),
        ({"status": 500}, "html", None),
        ({"status": 500, "html": False}, "json", None),
        ({"status": 502}, "html", None),
        ({"status": 503, "retry_after": 1}, "html", ("retry-after", "1")),
    ],
    ids=str,
)
def test_any_status_can_come_instead(live, send, parameters, kind, header):
    live.add_fault(Rule("http", parameters=parameters))
    response = send()
    assert response.status_code == parameters["status"]
    assert kind in response.headers["content-type"]
    assert header is None or response.headers[header[0]] == header[1]
