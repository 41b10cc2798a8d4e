import hashlib
import hmac
import socket
import ssl
import threading
from contextlib import suppress

import httpx
import pytest

from reconciler.events import Vitals
from reconciler.pages import Pages
from reconciler.webhook import BUDGET_BYTES, LONGEST_BYTES, PATH, REFILL_BYTES_PER_S, Budget, Webhook

VITALS = Vitals("", "", {}, 0, 0, 0.0, 0, 0, None, None, {}, "1f2e")
SECRET = "sentinel-of-the-hook"
BODY = b'{"ref": "refs/heads/main"}'
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Hook:
    """The page, served; what it did."""

    def __init__(self):
        self.pushes, self.outcomes, self.now_s = 0, [], 0.0
        self.app = Webhook(self.push, lambda event: self.outcomes.append(event.outcome), lambda: self.now_s)
        self.app.renew(SECRET)
        self.pages = Pages("127.0.0.1:0", lambda: VITALS, lambda _accept: (b"", "text/x"), {PATH: self.app})
        self.port = self.pages.start()
        self.client = httpx.Client(verify=NO_TLS, timeout=10)

    def push(self):
        self.pushes += 1

    def send(self, content=BODY, method="POST", path=PATH, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(method, f"http://127.0.0.1:{self.port}{path}", content=content, headers=named)


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.client.close()
    made.pages.stop()


def digest_of(body=BODY, secret=SECRET):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def github(body=BODY, secret=SECRET):
    return {"x_hub_signature_256": f"sha256={digest_of(body, secret)}"}


def gitea(body=BODY, secret=SECRET):
    return {"x_gitea_signature": digest_of(body, secret)}


# --- who is heard ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [github, gitea], ids=["GitHub", "Gitea and Forgejo"])
def test_a_signed_request_is_accepted_and_fetches(hook, signed):
    answer = hook.send(**signed())
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    assert (hook.pushes, hook.outcomes) == (1, ["accepted"])


def test_an_example_of_github_is_accepted(hook):
    """The values that GitHub's documentation gives for testing an implementation."""
    hook.app.renew("It's a Secret to Everybody")
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert hook.send(b"Hello, World!", x_hub_signature_256=signature).status_code == 202


def test_a_ping_of_github_is_answered_and_fetches_nothing(hook):
    answer = hook.send(**github(), x_github_event="ping")
    assert (answer.status_code, answer.json()) == (200, {"status": "pong"})
    assert (hook.pushes, hook.outcomes) == (0, ["ping"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        github(secret="guess"),
        github(body=b"another"),
        gitea(secret="guess"),
        {"x_hub_signature_256": digest_of()},
        {"x_hub_signature_256": "sha256="},
        {"x_hub_signature_256": "sha1=" + "0" * 40},
        {"x_hub_signature_256": "sha256=" + "g" * 64},
        {"x_hub_signature": github()["x_hub_signature_256"]},
        {"x_hub_signature_256": f"{github()['x_hub_signature_256']}, {github()['x_hub_signature_256']}"},
        github(secret="guess") | gitea(),
        {"x_gitlab_token": SECRET},
        {"x_github_event": "ping"},
    ],
    ids=lambda headers: "+".join(headers) or "none",
)
def test_what_is_not_signed_as_a_whole_is_refused_without_a_reason(hook, headers):
    answer = hook.send(**headers)
    assert (answer.status_code, answer.json()) == (401, {"status": "the signature is missing or wrong"})
    assert (hook.pushes, hook.outcomes) == (0, ["refused"])


def test_two_signatures_are_none(hook):
    headers = [("X-Gitea-Signature", digest_of())] * 2
    answer = hook.client.post(f"http://127.0.0.1:{hook.port}{PATH}", content=BODY, headers=headers)
    assert answer.status_code == 401


def test_the_body_is_never_read_as_anything(hook):
    body = b"\x00\xff not JSON at all"
    assert hook.send(body, **github(body)).status_code == 202


def test_an_empty_body_may_be_signed(hook):
    assert hook.send(b"", **github(b"")).status_code == 202


def test_without_a_secret_there_is_no_such_page(hook):
    hook.app.renew("")
    assert hook.send(**github(secret="")).status_code == 404
    assert hook.send(method="GET").status_code == 404
    assert (hook.pushes, hook.outcomes) == (0, [])


def test_another_secret_counts_at_once(hook):
    hook.app.renew("another")
    assert hook.send(**github()).status_code == 401
    assert hook.send(**github(secret="another")).status_code == 202


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_post_is_allowed(hook, method):
    answer = hook.send(method=method, **github())
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert hook.pushes == 0


@pytest.mark.parametrize("path", ["/hooks", "/hooks/push/more", "/hooks/pull"])
def test_other_paths_are_not_found(hook, path):
    assert hook.send(path=path, **github()).status_code == 404


def test_answers_do_not_say_what_serves_them_and_are_not_kept(hook):
    for answer in (hook.send(**github()), hook.send(), hook.send(method="GET")):
        assert "server" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
        assert SECRET not in answer.text


# --- how much ----------------------------------------------------------------------------------------------------------


def raw(hook, head, body=b""):
    """Answer to a request written by hand."""
    with socket.create_connection(("127.0.0.1", hook.port), timeout=10) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + body)
        return connection.recv(65_536).decode()


def signed_head(body=BODY, secret=SECRET):
    return f"X-Hub-Signature-256: sha256={digest_of(body, secret)}\r\n"


def test_what_is_announced_too_large_is_refused_before_it_comes(hook):
    answer = raw(hook, f"{signed_head()}Content-Length: {LONGEST_BYTES + 1}\r\n")
    assert answer.startswith("HTTP/1.1 413")
    assert hook.outcomes == ["too-large"]


def test_what_turns_out_too_large_is_cut(hook):
    def pieces():
        for _ in range(LONGEST_BYTES // 2**20 + 1):
            yield b"x" * 2**20

    with suppress(httpx.WriteError):  # the answer comes before all was sent
        assert hook.send(pieces(), **github()).status_code == 413
    assert hook.outcomes == ["too-large"]


def test_a_body_in_pieces_is_taken(hook):
    assert hook.send(iter([BODY[:5], BODY[5:]]), **github()).status_code == 202


@pytest.mark.parametrize("length", ["-1", "x", "1, 2"])
def test_a_length_that_is_none_is_refused(hook, length):
    assert raw(hook, f"{signed_head()}Content-Length: {length}\r\n").startswith("HTTP/1.1 400")
    assert hook.pushes == 0


def test_a_sender_that_leaves_in_between_is_counted(hook):
    with socket.create_connection(("127.0.0.1", hook.port), timeout=10) as connection:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{signed_head()}Content-Length: 100\r\n\r\n"
        connection.sendall(head.encode() + b"begin")
    ended = threading.Event()
    for _ in range(500):
        if hook.outcomes:
            break
        ended.wait(0.01)
    assert (hook.outcomes, hook.pushes) == (["incomplete"], 0)


LARGE = b"x" * LONGEST_BYTES


def test_strangers_who_send_much_are_limited_and_told_when_to_come_again(hook):
    assert [hook.send(LARGE, **github(secret="guess")).status_code for _ in range(2)] == [401, 401]
    answer = raw(hook, f"{signed_head(LARGE)}Content-Length: {len(LARGE)}\r\n")
    assert answer.startswith("HTTP/1.1 429")
    assert f"retry-after: {BUDGET_BYTES // REFILL_BYTES_PER_S}" in answer.lower()
    hook.now_s = float(BUDGET_BYTES // REFILL_BYTES_PER_S)
    assert hook.send(LARGE, **github(LARGE)).status_code == 202


def test_strangers_keep_no_usual_push_waiting(hook):
    for _ in range(2):
        hook.send(LARGE, **github(secret="guess"))
    assert {hook.send(**github(secret="guess")).status_code for _ in range(50)} == {401}
    assert hook.send(**github()).status_code == 202


def test_what_is_in_pieces_is_limited_as_well(hook):
    for _ in range(2):
        hook.send(LARGE, **github(secret="guess"))
    with suppress(httpx.TransportError):  # who sends on after the answer may not get to read it
        assert hook.send(iter([LARGE]), **github()).status_code == 429
    assert hook.outcomes[-1] == "limited"


def test_signed_requests_use_up_nothing(hook):
    assert {hook.send(LARGE, **github(LARGE)).status_code for _ in range(4)} == {202}


# --- the budget ----------------------------------------------------------------------------------------------------------


def test_a_budget_fills_by_itself_and_not_above_the_brim():
    now = [0.0]
    budget = Budget(100, 10, lambda: now[0])
    assert budget.take(100)
    assert not budget.take(1)
    assert budget.wait_s(25) == 3
    now[0] = 3.0
    assert budget.take(25)
    now[0] = 1000.0
    assert budget.wait_s(100) == 0
    assert not budget.take(101)
