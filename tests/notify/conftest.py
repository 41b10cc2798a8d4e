"""A real webhook on loopback, a real store; only clock and randomness are handed in."""

import json
import threading
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from reconciler.core.status import State, TaskStatus
from reconciler.events import StateChanged
from reconciler.notify import ChannelSettings, Notifier
from reconciler.state.sqlite import SqliteStore
from tests.integration.clocks import FakeClock

SINCE = datetime(2026, 11, 21, 12, tzinfo=UTC)
PATIENCE_S = 10


class Webhook(ThreadingHTTPServer):
    """Takes notifications; answers `status`, or nothing at all before `silent` is cleared."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.refuses = lambda _message: False
        self.silent = threading.Event()
        self.spoken = threading.Event()
        self.received, self.asked = [], 0
        self.changed = threading.Condition()

    def url(self, path="/", query=""):
        return f"json://127.0.0.1:{self.server_port}{path}" + (f"?{query}" if query else "")

    @property
    def titles(self):
        return [message["title"].removeprefix("[reconciler] ") for message in self.received]

    def wait_for(self, number):
        """Until so many messages were accepted."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.received) >= number, PATIENCE_S), self.titles

    def wait_for_attempts(self, number):
        with self.changed:
            assert self.changed.wait_for(lambda: self.asked >= number, PATIENCE_S), self.asked


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        hook = self.server
        status = 500 if hook.refuses(message) else hook.status
        with hook.changed:
            hook.asked += 1
            if status == 200 and not hook.silent.is_set():
                hook.received.append(message)
            hook.changed.notify_all()
        if hook.silent.is_set():
            hook.spoken.wait(PATIENCE_S)
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Location", hook.url("/elsewhere"))
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def webhooks():
    with ExitStack() as stack:

        def start():
            hook = Webhook()
            threading.Thread(target=hook.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(hook.server_close)
            stack.callback(hook.shutdown)
            stack.callback(hook.spoken.set)
            return hook

        yield start


@pytest.fixture
def webhook(webhooks):
    return webhooks()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(tmp_path, clock):
    with closing(SqliteStore.open(tmp_path / "state.db", clock.now, digest_version=1)) as store:
        yield store


@pytest.fixture
def said():
    """Events of topic "notify"."""
    return []


@pytest.fixture
def counted():
    """(channel, outcome) of everything that was counted."""
    return []


@pytest.fixture
def start(store, clock, said, counted):
    """Start notifiers, with events that came before; those still running are stopped when the test is over."""
    with ExitStack() as stack:

        def started(*channels, events=()):
            notifier = Notifier(
                channels, store, clock, lambda: 0.5, said.append, lambda name, outcome: counted.append((name, outcome))
            )
            for event in events:
                notifier(event)
            notifier.start()
            stack.callback(notifier.stop, 0)
            return notifier

        yield started


@pytest.fixture
def chat(webhook):
    """Settings of a channel to the webhook."""

    def settings(name="chat", hook=webhook, query="", **filters):
        return ChannelSettings(name, hook.url(query=query), **filters)

    return settings


@pytest.fixture(scope="session")
def changed():
    """An event: a task is in a state."""

    def event(state, task="shop/orders", content="abc", before=State.APPLYING, labels=None, **status):
        known = {"since": SINCE, "reason": "refused", "next_step": "", "until": None, "revision": "", "ticket": None}
        row = TaskStatus(task=task, state=State(state), request_id=None, **known | status)
        return StateChanged(row, before, labels or {}, content)

    return event
