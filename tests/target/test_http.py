import base64
import gzip
import json
import logging
import socket
import subprocess
import sys
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from reconciler import __version__
from reconciler.errors import (
    CapabilityMissingError,
    PermanentTargetError,
    TargetError,
    TargetMisconfiguredError,
    TemporaryTargetError,
    UnknownOutcomeError,
)
from reconciler.model import Accepted, Link, ObservedProject
from reconciler.target import TargetSettings
from reconciler.target.http import HttpTarget

YES = {"success": True, "data": 3000001, "requestId": "7e2b"}
PASSWORD = 'S3ntinel"pass/wörd&'
SECRET = "sentinel-of-the-sink\n%7"


# --- what is sent


def test_update_is_the_documented_request(serve, connect, update):
    server = serve(body=YES)
    assert connect(server).update_incr_sync(update()) == Accepted(3000001, "7e2b")
    (request,) = server.requests
    assert request.line == "POST /api/v2?Action=UpdateIncrSync HTTP/1.1"
    assert request.json == {
        "dimension": "NAME",
        "key": "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006",
        "cmRegion": "cn-beijing",
        "config": {
            "coordinator": {"throttleRps": "1000"},
            "condition": {},
            "source": {"timezone": "東京"},
            "sink": {"password": SECRET},
        },
    }


def test_headers_are_the_documented_ones(serve, connect, update):
    server = serve(body=YES)
    connect(server).update_incr_sync(update())
    headers = server.requests[0].headers
    assert headers["authorization"] == "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == f"oms-reconciler/{__version__}"
    assert headers["host"] == f"127.0.0.1:{server.port}"


def test_allow_delete_is_sent_only_when_asked_for(serve, connect, update):
    server = serve(body=YES)
    connect(server).update_incr_sync(update(allow_delete=True))
    assert server.requests[0].json["allowDelete"] is True


def test_same_content_makes_the_same_bytes(serve, connect, update):
    server = serve(body=YES)
    config = update().config
    connect(server).update_incr_sync(update())
    connect(server).update_incr_sync(update(config=dict(reversed(config.items()))))
    assert server.requests[0].body == server.requests[1].body


def test_reset_is_the_documented_request(serve, connect):
    server = serve(body=YES)
    target = connect(server, edition="EE", version="4.3.0")
    assert target.reset_incr_start_timestamp("np_4x", reverse=False, start_timestamp=1742365118).ticket == 3000001
    (request,) = server.requests
    assert request.line == "POST /api/v2?Action=ResetIncrStartTimestamp HTTP/1.1"
    assert request.json == {"id": "np_4x", "reverse": False, "startTimestamp": 1742365118}


@pytest.mark.parametrize(("action", "name"), [("StopProject", "stop_project"), ("ResumeProject", "resume_project")])
def test_project_is_stopped_and_resumed_by_its_id(serve, connect, action, name):
    server = serve(body=YES)
    getattr(connect(server), name)("np_4x")
    (request,) = server.requests
    assert (request.line, request.json) == (f"POST /api/v2?Action={action} HTTP/1.1", {"id": "np_4x"})


def test_each_command_to_a_project_has_a_connection_of_its_own(serve, connect):
    server = serve(body=YES)
    target = connect(server, edition="EE", version="4.3.0")
    target.stop_project("np_4x")
    target.reset_incr_start_timestamp("np_4x", reverse=False, start_timestamp=1742365118)
    target.resume_project("np_4x")
    assert [request.connection for request in server.requests] == [1, 2, 3]


def test_probe_sends_an_empty_object(serve, connect):
    server = serve(body=YES)
    connect(server).probe()
    assert (server.requests[0].line, server.requests[0].body) == ("POST /api/v2?Action=DescribeRegions HTTP/1.1", b"{}")


@pytest.mark.parametrize("path", ["", "/", "/oms/prefix", "/oms/prefix/"])
def test_base_address_may_have_a_path_and_a_slash(serve, connect, path):
    server = serve(body=YES)
    connect(server.url + path).probe()
    assert server.requests[0].line.split()[1] == f"{path.rstrip('/')}/api/v2?Action=DescribeRegions"


@pytest.mark.parametrize(
    ("data", "ticket"),
    [(2**53 + 1, 2**53 + 1), ("3000001", 3000001), (None, None), (True, None), (3.0, None), ({"id": 3}, None)],
)
def test_ticket_is_a_64_bit_integer_or_nothing(serve, connect, update, data, ticket):
    server = serve(body={"Success": True, "Data": data})
    assert connect(server).update_incr_sync(update()) == Accepted(ticket, None)


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        pytest.param({"version": "4.1.0"}, {}, id="old release"),
        pytest.param({}, {"key": ""}, id="no key"),
        pytest.param({}, {"cm_region": ""}, id="no region"),
        pytest.param({}, {"dimension": "IP", "allow_delete": True}, id="deletion on many components"),
    ],
)
def test_refused_update_is_not_sent(serve, connect, update, settings, changes):
    server = serve(body=YES)
    with pytest.raises(PermanentTargetError, match="Nothing was sent"):
        connect(server, **settings).update_incr_sync(update(**changes))
    assert server.connections == 0


def test_reset_of_community_edition_is_not_sent(serve, connect):
    server = serve(body=YES)
    with pytest.raises(PermanentTargetError, match=r"target default .*: ResetIncrStartTimestamp: .*Nothing was sent"):
        connect(server).reset_incr_start_timestamp("np_4x", reverse=True, start_timestamp=1)
    assert server.connections == 0


# --- connections


def test_reads_share_a_connection_and_each_write_has_its_own(serve, connect, update):
    server = serve(body=YES)
    target = connect(server)
    for call in (target.probe, target.probe, lambda: target.update_incr_sync(update()), target.probe):
        call()
    target.update_incr_sync(update())
    assert [request.connection for request in server.requests] == [1, 1, 2, 1, 3]


def test_connection_that_the_server_closed_is_not_used_again(serve, connect, bytes_of):
    closed = threading.Event()

    def answer_and_close(connection, _request):
        connection.sendall(bytes_of(200, YES))
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    server = serve(answer=answer_and_close)
    target = connect(server)
    target.probe()
    assert closed.wait(10)
    target.probe()
    assert server.connections == 2


def test_nothing_is_repeated_by_itself(serve, connect, update, reset_connection):
    server = serve(answer=reset_connection)
    with pytest.raises(UnknownOutcomeError):
        connect(server).update_incr_sync(update())
    assert len(server.requests) == 1


def test_cookies_are_not_kept(serve, connect):
    server = serve(body=YES, headers=["Set-Cookie: session=1; Path=/"])
    target = connect(server)
    target.probe()
    target.probe()
    assert "cookie" not in server.requests[1].headers


def test_proxy_of_the_environment_is_not_used(serve, connect, monkeypatch):
    server, proxy = serve(body=YES), serve(body=YES)
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("ALL_PROXY", proxy.url)
    connect(server).probe()
    assert (server.connections, proxy.connections) == (1, 0)


def test_redirect_is_not_followed_and_carries_no_credentials_away(serve, connect, update):
    other = serve(body=YES)
    server = serve(307, headers=[f"Location: {other.url}/login?session=abc"])
    with pytest.raises(TargetMisconfiguredError, match=r"HTTP 307 .*/login\"") as caught:
        connect(server).update_incr_sync(update())
    assert other.connections == 0
    assert "session" not in str(caught.value)


# --- what comes back: the table, over sockets


def both(target, update):
    """Exceptions of a write and of a read."""
    raised = []
    for call in (lambda: target.update_incr_sync(update()), lambda: target.progress("np_4x")):
        with pytest.raises(TargetError) as caught:
            call()
        raised.append(caught.value)
    return raised


def kinds(errors):
    return tuple(type(error) for error in errors)


def test_refused_connection_is_temporary(connect, update):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    errors = both(connect(f"http://127.0.0.1:{port}"), update)
    assert kinds(errors) == (TemporaryTargetError, TemporaryTargetError)
    assert "refused" in str(errors[0])


def test_unknown_host_is_temporary(connect, update, monkeypatch):
    def resolve(*_args):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    errors = both(connect("http://oms.example"), update)
    assert kinds(errors) == (TemporaryTargetError, TemporaryTargetError)
    assert "Name or service not known" in str(errors[0])


def test_handshake_without_an_answer_is_temporary(serve, connect, update):
    server = serve(greet=lambda connection: connection.recv(1) and server.stopping.wait(10))
    target = connect(server.url.replace("http:", "https:"), connect_s=0.1)
    assert kinds(both(target, update)) == (TemporaryTargetError, TemporaryTargetError)
    assert server.requests == []


def test_server_that_speaks_no_tls_is_temporary(serve, connect, update):
    server = serve(greet=lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    target = connect(server.url.replace("http:", "https:"))
    assert kinds(both(target, update)) == (TemporaryTargetError, TemporaryTargetError)


def test_reset_before_the_request_is_read_is_unknown_for_a_write(serve, connect, update, reset_connection):
    def reset_unread(connection):
        connection.recv(1, socket.MSG_PEEK)
        reset_connection(connection)

    server = serve(greet=reset_unread)
    errors = both(connect(server), update)
    assert kinds(errors) == (UnknownOutcomeError, TemporaryTargetError)
    assert server.requests == []


def test_reset_after_the_request_is_read_is_unknown_for_a_write(serve, connect, update, reset_connection):
    errors = both(connect(serve(answer=reset_connection)), update)
    assert kinds(errors) == (UnknownOutcomeError, TemporaryTargetError)


def test_close_without_an_answer_is_unknown_for_a_write(serve, connect, update):
    server = serve(answer=lambda connection, _request: connection.shutdown(socket.SHUT_RDWR))
    assert kinds(both(connect(server), update)) == (UnknownOutcomeError, TemporaryTargetError)


def test_silence_is_unknown_for_a_write(serve, connect, update):
    server = serve(answer=lambda _connection, _request: server.stopping.wait(10))
    errors = both(connect(server, read_s=0.1), update)
    assert kinds(errors) == (UnknownOutcomeError, TemporaryTargetError)
    assert "ReadTimeout" in str(errors[0])


def test_answer_that_drips_is_unknown_for_a_write(serve, connect, update, bytes_of):
    def drip(connection, _request):
        for byte in bytes_of(200, YES | {"message": "x" * 5000}):
            connection.sendall(bytes([byte]))
            if byte == ord("x") and server.stopping.wait(0.02):
                return

    server = serve(answer=drip)
    started = time.monotonic()
    errors = both(connect(server, read_s=0.2), update)
    assert kinds(errors) == (UnknownOutcomeError, TemporaryTargetError)
    assert time.monotonic() - started < 5


def test_answer_that_is_no_http_is_unknown_for_a_write(serve, connect, update):
    errors = both(connect(serve(answer=b"SSH-2.0-OpenSSH_9.6\r\n\r\n")), update)
    assert kinds(errors) == (UnknownOutcomeError, TemporaryTargetError)


@pytest.mark.parametrize("whole", [True, False], ids=["whole JSON", "half JSON"])
def test_body_shorter_than_announced_is_unknown_for_a_write(serve, connect, update, bytes_of, whole):
    def cut(connection, _request):
        data = bytes_of(200, YES)
        connection.sendall(data.replace(b"Length: ", b"Length: 1") if whole else data[:-9])
        connection.shutdown(socket.SHUT_RDWR)

    errors = both(connect(serve(answer=cut)), update)
    assert kinds(errors) == (UnknownOutcomeError, TemporaryTargetError)
    assert "HTTP 200 OK with an answer cut short" in str(errors[0])


def test_body_that_simply_ends_is_unknown_for_a_write(serve, connect, update):
    def cut(connection, _request):
        connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"success": true, "da')
        connection.shutdown(socket.SHUT_RDWR)

    assert kinds(both(connect(serve(answer=cut)), update)) == (UnknownOutcomeError, TemporaryTargetError)


def test_refusal_with_a_cut_body_is_still_a_refusal(serve, connect, update, bytes_of):
    def cut(connection, _request):
        connection.sendall(bytes_of(401, YES)[:-5])
        connection.shutdown(socket.SHUT_RDWR)

    assert kinds(both(connect(serve(answer=cut)), update)) == (TargetMisconfiguredError, TargetMisconfiguredError)


def test_answer_over_the_limit_is_unknown_for_a_write_and_permanent_for_a_read(serve, connect, update):
    server = serve(body=b'{"success": true, "x": "' + bytes(8 * 1024**2) + b'"}')
    errors = both(connect(server), update)
    assert kinds(errors) == (UnknownOutcomeError, PermanentTargetError)
    assert "an answer over 8 MiB" in str(errors[0])


def test_bomb_counts_as_what_it_becomes(serve, connect, update):
    server = serve(body=gzip.compress(bytes(9 * 1024**2)), headers=["Content-Encoding: gzip"])
    assert kinds(both(connect(server), update)) == (UnknownOutcomeError, PermanentTargetError)


def test_compressed_answer_is_read_though_not_asked_for(serve, connect, update):
    server = serve(body=gzip.compress(json.dumps(YES).encode()), headers=["Content-Encoding: gzip"])
    assert connect(server).update_incr_sync(update()).ticket == 3000001
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_content_type_does_not_matter(serve, connect, update):
    server = serve(body=YES, headers=["Content-Type: text/html; charset=gbk"])
    assert connect(server).update_incr_sync(update()).ticket == 3000001


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_in_seconds_is_handed_on(serve, connect, update, code):
    errors = both(connect(serve(code, headers=["Retry-After: 7"])), update)
    assert [(type(error), error.retry_after_s) for error in errors] == [(TemporaryTargetError, 7)] * 2


def test_retry_after_as_a_date_is_handed_on(serve, connect):
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    with pytest.raises(TemporaryTargetError) as caught:
        connect(serve(503, headers=[f"Retry-After: {at}"])).progress("np_4x")
    assert 90 < caught.value.retry_after_s <= 100


UNKNOWN = (UnknownOutcomeError, TemporaryTargetError)
TEMPORARY, PERMANENT = (TemporaryTargetError,) * 2, (PermanentTargetError,) * 2
MISCONFIGURED, INCAPABLE = (TargetMisconfiguredError,) * 2, (CapabilityMissingError,) * 2


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        pytest.param(500, b"", UNKNOWN, id="500"),
        pytest.param(503, b"", UNKNOWN, id="503"),
        pytest.param(200, {"success": False, "code": "INNER_ERROR"}, UNKNOWN, id="inner"),
        pytest.param(200, {"success": "true"}, UNKNOWN, id="text"),
        pytest.param(200, {"success": False, "code": "GHANA-OPERAT1"}, TEMPORARY, id="passing"),
        pytest.param(200, {"success": False, "code": "PARAM_ERROR"}, PERMANENT, id="refused"),
        pytest.param(400, b"", PERMANENT, id="400"),
        pytest.param(401, b"", MISCONFIGURED, id="401"),
        pytest.param(200, b"<html>", MISCONFIGURED, id="page"),
        pytest.param(200, {"success": False, "message": "Unsupported action: X"}, INCAPABLE, id="action"),
    ],
)
def test_answer_raises(serve, connect, update, status, body, raised):
    assert kinds(both(connect(serve(status, body)), update)) == raised


@pytest.mark.parametrize(
    ("raised", "write", "read"),
    [
        (httpx.PoolTimeout, TemporaryTargetError, TemporaryTargetError),
        (httpx.ConnectTimeout, TemporaryTargetError, TemporaryTargetError),
        (httpx.WriteTimeout, UnknownOutcomeError, TemporaryTargetError),
        (httpx.WriteError, UnknownOutcomeError, TemporaryTargetError),
        (httpx.CloseError, UnknownOutcomeError, TemporaryTargetError),
        (httpx.LocalProtocolError, UnknownOutcomeError, TemporaryTargetError),
        (httpx.ProxyError, UnknownOutcomeError, TemporaryTargetError),
    ],
    ids=lambda value: value.__name__,
)
def test_exception_of_the_library_becomes(connect, update, raised, write, read):
    def handle(request):
        raise raised("", request=request)

    errors = both(connect("http://oms", transport=httpx.MockTransport(handle)), update)
    assert kinds(errors) == (write, read)
    assert raised.__name__ in str(errors[0])


# --- reads


def test_components_of_both_links_are_read(serve, connect):
    lists = {"incrSyncComponents": [{"name": "a"}], "reverseIncrSyncComponents": [{"name": "b"}]}
    server = serve(body={"success": True, "Data": lists})
    found = connect(server).components("np_4x")
    assert [(one.name, one.link) for one in found] == [("a", Link.FORWARD), ("b", Link.REVERSE)]
    assert (server.requests[0].line.split()[1], server.requests[0].json) == (
        "/api/v2?Action=DescribeProjectComponents",
        {"id": "np_4x"},
    )


def test_progress_is_read(serve, connect):
    server = serve(body={"success": True, "data": {"status": "RUNNING", "incrSyncCheckpoint": 5}})
    assert connect(server).progress("np_4x") == ObservedProject("RUNNING", 5, None)
    assert server.requests[0].line.split()[1] == "/api/v2?Action=DescribeProjectProgress"


@pytest.mark.parametrize("read", ["components", "progress"])
def test_data_of_another_shape_is_permanent(serve, connect, read):
    target = connect(serve(body={"success": True, "data": 5, "requestId": "7e2b"}))
    with pytest.raises(PermanentTargetError, match=r"expected data to be .* \(requestId 7e2b\)") as caught:
        getattr(target, read)("np_4x")
    assert caught.value.request_id == "7e2b"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(200, {"success": True, "data": []}, id="success"),
        pytest.param(200, {"success": False, "code": "PARAM_ERROR"}, id="failure"),
        pytest.param(200, {"Success": False, "message": "Unsupported action: DescribeRegions"}, id="no such action"),
        pytest.param(500, {"success": False}, id="server error"),
    ],
)
def test_probe_is_content_with_any_envelope(serve, connect, status, body):
    connect(serve(status, body)).probe()


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        pytest.param(401, {"success": False}, TargetMisconfiguredError, id="credentials"),
        pytest.param(200, b"<html>", TargetMisconfiguredError, id="page"),
        pytest.param(200, {"data": []}, TemporaryTargetError, id="JSON of another program"),
        pytest.param(502, b"", TemporaryTargetError, id="gateway"),
    ],
)
def test_probe_raises_without_an_envelope_or_with_wrong_credentials(serve, connect, status, body, raised):
    with pytest.raises(raised):
        connect(serve(status, body)).probe()


# --- TLS


@pytest.fixture
def secure(serve, connect, tls, certificates):
    def make(certificate, authority):
        server = serve(body=YES, tls=tls(certificate))
        return server, connect(server, ca_file=str(certificates / authority) if authority else "")

    return make


def test_certificate_of_the_own_authority_is_trusted(secure, update):
    _, target = secure("right", "authority.pem")
    assert target.update_incr_sync(update()).ticket == 3000001


@pytest.mark.parametrize(
    ("names", "why"),
    [
        pytest.param(("wrong", "authority.pem"), "not valid for '127.0.0.1'", id="another name"),
        pytest.param(("right", ""), "certificate verify failed", id="system's authorities"),
        pytest.param(("right", "wrong.pem"), "certificate verify failed", id="another authority"),
    ],
)
def test_certificate_that_is_not_trusted_means_misconfigured(secure, update, names, why):
    server, target = secure(*names)
    errors = both(target, update)
    assert kinds(errors) == (TargetMisconfiguredError, TargetMisconfiguredError)
    assert why in str(errors[0])
    assert server.requests == []


# --- construction


@pytest.mark.parametrize(
    "url", ["", "oms.example:8089", "ftp://oms", "http://", "http://oms?x=1", "http://oms#x", "http://o\x00ms", f"http://{'x' * 64}.example"]
)  # fmt: skip
def test_address_that_cannot_be_called_is_misconfigured(connect, url):
    with pytest.raises(TargetMisconfiguredError, match="target default: expected a url such as"):
        connect(url)


def test_credentials_in_the_address_are_refused_and_not_shown(connect):
    with pytest.raises(TargetMisconfiguredError, match="username and password instead") as caught:
        connect("http://admin:hunter2@oms")
    assert "hunter2" not in str(caught.value)


def test_colon_in_the_user_name_is_refused(connect):
    with pytest.raises(TargetMisconfiguredError, match="username without a colon"):
        connect("http://oms", username="a:b")


@pytest.mark.parametrize("content", [None, "", "no PEM"], ids=["missing", "empty", "no PEM"])
def test_ca_file_that_cannot_be_read_is_misconfigured(connect, tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(TargetMisconfiguredError, match=r"expected PEM certificates in ca_file .*ca\.pem, found"):
        connect("https://oms", ca_file=str(path))


def test_password_from_an_environment_of_other_bytes_is_sent_as_those(serve, connect):
    server = serve(body=YES)
    connect(server, password="p\udcff").probe()
    assert base64.b64decode(server.requests[0].headers["authorization"].split()[1]) == b"admin:p\xff"


def test_package_is_imported_without_httpx():
    code = "import sys, reconciler.target; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- secrets


def spellings():
    token = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, SECRET, token):
        yield from (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1])


def shown(error):
    """Everything that a log could show of an exception, locals of our own frames included."""
    full = traceback.TracebackException.from_exception(error, capture_locals=True)
    full.stack = traceback.StackSummary(frame for frame in full.stack if "/reconciler/" in frame.filename)
    assert full.stack
    plain = traceback.format_exception(error)
    return "".join([*full.format(), *plain, str(error), repr(error), repr(vars(error))])


@pytest.fixture
def echo(serve, bytes_of):
    """A server that answers with everything it was sent."""

    def make(status):
        def answer(connection, request):
            token = request.headers["authorization"].split()[1]
            words = f"{token} {base64.b64decode(token).decode()} {request.body.decode()} {json.loads(request.body)}"
            detail = {"code": words, "message": words, "messageMcmsContext": {"message": words}, "requestId": words}
            body = {"success": False, "code": words, "message": words, "requestId": words, "errorDetail": detail}
            connection.sendall(bytes_of(status, body))

        return serve(answer=answer)

    return make


@pytest.mark.parametrize("status", [200, 302, 400, 401, 429, 500])
def test_no_secret_is_in_an_exception_its_traceback_or_a_log(echo, connect, update, caplog, status):
    caplog.set_level(logging.DEBUG)
    for error in both(connect(echo(status)), update):
        assert "«secret»" in str(error)
        assert not [one for one in spellings() if one in shown(error)]
        assert (error.__cause__, error.__context__) == (None, None)
    assert not [one for one in spellings() if one in caplog.text]


def test_no_secret_is_in_an_exception_of_the_network(serve, connect, update, reset_connection):
    for error in both(connect(serve(answer=reset_connection)), update):
        assert not [one for one in spellings() if one in shown(error)]
        assert (error.__cause__, error.__context__) == (None, None)


def test_no_secret_is_in_an_exception_of_the_constructor(connect):
    with pytest.raises(TargetMisconfiguredError) as caught:
        connect("https://oms", hide=(), ca_file="/nowhere")
    assert not [one for one in spellings() if one in shown(caught.value)]


def test_no_secret_is_in_a_repr():
    settings = TargetSettings("default", "http://oms", "admin", PASSWORD)
    target = HttpTarget(settings, [SECRET])
    reprs = repr(settings) + repr(target) + "".join(map(repr, vars(target).values()))
    target.close()
    assert not [one for one in spellings() if one in reprs]


def test_no_secret_is_in_what_is_read(serve, connect):
    element = {"name": "a", "status": SECRET, "gmtModify": SECRET, "errorDetails": [{"message": f"password {SECRET}"}]}
    (one,) = connect(serve(body={"success": True, "data": {"incrSyncComponents": [element]}})).components("np_4x")
    assert "sentinel" not in repr(one)


def test_no_secret_is_in_an_accepted_request_id(serve, connect, update):
    accepted = connect(serve(body={"success": True, "requestId": SECRET})).update_incr_sync(update())
    assert accepted.request_id == "«secret»"
