import json
import signal
import socket
import ssl
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import httpx
import pytest

from reconciler.errors import ConfigError
from reconciler.events import Vitals
from reconciler.pages import LONGEST_REQUEST_BYTES, MOST_CONNECTIONS, Pages

VITALS = Vitals("", "", {}, 0, 0, 0.0, 0, 0, None, None, {}, "1f2e")
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading certificates that nobody needs takes the most time
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def served(vitals=VITALS, listen="127.0.0.1:0", **members):
    pages = Pages(listen, lambda: vitals, lambda accept: (f"asked for {accept}".encode(), "text/x"), **members)
    port = pages.start()
    try:
        yield port
    finally:
        pages.stop()


@pytest.fixture(scope="module")
def port():
    with served() as port:
        yield port


def request(method, url, **members):
    return httpx.request(method, url, verify=NO_TLS, **members)


def get(port, path, **members):
    return request("GET", f"http://127.0.0.1:{port}{path}", **members)


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def ended(connection):
    """Whether the server ended a connection."""
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    return True


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_daemon_that_is_well_says_ok(port, path):
    answer = get(port, path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "reason": ""})


@pytest.mark.parametrize(
    ("path", "vitals"),
    [("/healthz", replace(VITALS, alive="no\nprogress")), ("/readyz", replace(VITALS, ready="no\nprogress"))],
)
def test_trouble_is_503_and_says_why(path, vitals):
    with served(vitals) as port:
        answer = get(port, path)
    assert answer.status_code == 503
    assert answer.json() == {"status": "failing", "reason": "no\nprogress"}


def test_alive_and_ready_are_two_questions():
    with served(replace(VITALS, ready="starting")) as port:
        assert get(port, "/healthz").status_code == 200


def test_metrics_come_in_the_format_that_was_asked_for(port):
    answer = get(port, "/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.text == "asked for application/openmetrics-text"
    assert answer.headers["content-type"] == "text/x"


def test_the_first_page_names_the_others_and_what_is_wrong():
    with served(replace(VITALS, ready="the store is read-only")) as port:
        text = get(port, "/").text
    assert "/healthz  ok" in text
    assert "/readyz   the store is read-only" in text
    assert "/metrics" in text


def test_head_is_answered_without_a_body(port):
    answer = request("HEAD", f"http://127.0.0.1:{port}/healthz")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics"])
def test_nothing_can_be_changed(port, method, path):
    answer = request(method, f"http://127.0.0.1:{port}{path}", content=b"x")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_other_pages_are_not_found(port):
    assert get(port, "/tasks").status_code == 404


def test_answers_do_not_say_what_serves_them_and_are_not_kept(port):
    headers = get(port, "/healthz").headers
    assert "server" not in headers
    assert headers["cache-control"] == "no-store"


def test_a_page_that_breaks_leaves_the_others_alone():
    def broken(_accept):
        raise RuntimeError("sentinel-secret")

    pages = Pages("127.0.0.1:0", lambda: VITALS, broken)
    port = pages.start()
    try:
        answer = get(port, "/metrics")
        assert (answer.status_code, answer.text) == (500, "Internal Server Error")
        assert get(port, "/healthz").status_code == 200
    finally:
        pages.stop()


def test_after_stopping_the_port_is_free():
    with served() as port:
        pass
    with pytest.raises(httpx.ConnectError):
        get(port, "/healthz")
    with served(listen=f"127.0.0.1:{port}") as again:
        assert again == port


def test_stopping_twice_or_before_the_start_does_nothing():
    pages = Pages("127.0.0.1:0", lambda: VITALS, lambda _accept: (b"", ""))
    pages.stop()
    pages.start()
    pages.stop()
    pages.stop()


@pytest.mark.parametrize("said", [b"", REQUEST[:10], REQUEST], ids=["nothing", "half a request", "a request"])
def test_stopping_does_not_wait_for_clients_that_stay(said):
    with ExitStack() as stack:
        with served() as port:
            connection = stack.enter_context(connected(port))
            connection.sendall(said)
            get(port, "/healthz")  # what was sent before is taken by now
            before = time.monotonic()
        assert time.monotonic() - before < 2
        assert ended(connection)


@pytest.mark.parametrize("said", [b"", REQUEST[:10]], ids=["nothing", "half a request"])
def test_a_slow_client_is_sent_away(said):
    with served(connection_s=0.2) as port, connected(port) as connection:
        connection.sendall(said)
        assert ended(connection)


def test_a_client_that_does_not_read_is_sent_away():
    pages = Pages("127.0.0.1:0", lambda: VITALS, lambda _accept: (b"x" * 50_000_000, "text/x"), connection_s=0.5)
    port = pages.start()
    try:
        with connected(port) as connection:
            connection.sendall(REQUEST.replace(b"healthz", b"metrics"))
            assert connection.recv(1) == b"H"
            threading.Event().wait(0.6)  # nobody reads, and the time of the connection passes
            received = 0
            try:
                while part := connection.recv(1_000_000):
                    received += len(part)
            except ConnectionResetError:
                pass
            assert received < 50_000_000
    finally:
        pages.stop()


def test_a_crowd_is_sent_away_and_leaves_room_again(port):
    with ExitStack() as stack:
        crowd = [stack.enter_context(connected(port)) for _ in range(MOST_CONNECTIONS)]
        with connected(port) as late:
            assert ended(late)
        crowd[0].sendall(REQUEST)
        assert crowd[0].recv(20).startswith(b"HTTP/1.1 200")
        assert ended(crowd[0])
        assert get(port, "/healthz").status_code == 200


def test_a_request_without_end_is_refused(port):
    with connected(port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * (LONGEST_REQUEST_BYTES + 1))
        assert connection.recv(20).startswith(b"HTTP/1.1 400")


def test_many_clients_at_once_are_answered(port):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(get(port, "/readyz").status_code)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 20


def test_signals_stay_with_the_daemon():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    with served() as port:
        get(port, "/")
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)] == before


def test_no_host_is_every_address():
    with served(listen=":0") as port:
        assert get(port, "/healthz").status_code == 200


def test_a_name_is_looked_up():
    with served(listen="localhost:0") as port:
        assert request("GET", f"http://localhost:{port}/healthz").status_code == 200


def test_ipv6_is_written_in_brackets():
    with served(listen="[::1]:0") as port:
        assert json.loads(request("GET", f"http://[::1]:{port}/healthz").content)["status"] == "ok"


@pytest.mark.parametrize("listen", ["8484", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:http", "::1:8484"])
def test_what_is_no_address_is_refused(listen):
    with pytest.raises(ConfigError, match=r"\[daemon\] http_listen: expected .* found"):
        Pages(listen, lambda: VITALS, lambda _accept: (b"", "")).start()


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("192.0.2.1:0", "this machine does not have the address"),
        ("no-such-host.invalid:0", "no-such-host.invalid is no address"),
    ],
)
def test_an_address_of_others_is_refused_and_says_what_to_do(listen, expected):
    with pytest.raises(ConfigError, match=expected):
        Pages(listen, lambda: VITALS, lambda _accept: (b"", "")).start()


def test_a_port_in_use_is_refused_and_says_what_to_do(port):
    with pytest.raises(ConfigError, match=r"http_listen = .*the port is in use; .* choose another port"):
        Pages(f"127.0.0.1:{port}", lambda: VITALS, lambda _accept: (b"", "")).start()
