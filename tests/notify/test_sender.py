import logging
import os
import socketserver
import subprocess
import sys
import threading
from email import message_from_bytes
from email.policy import default
from time import monotonic

import pytest

from reconciler.errors import ConfigError
from reconciler.notify.message import Message
from reconciler.notify.sender import Sender
from reconciler.notify.settings import ChannelSettings

MESSAGE = Message("[reconciler] shop/orders: failed", "Reason: <b>refused</b> \\n *x*\nTicket: 4711", "failure")
TOKEN = "s3ntin3l"
MUTE = logging.CRITICAL + 10


@pytest.fixture
def sender(webhook):
    def made(path="/", query=""):
        return Sender(ChannelSettings("chat", webhook.url(path, query)))

    return made


def test_a_message_arrives_as_it_is(sender, webhook):
    assert sender().send(MESSAGE)
    (received,) = webhook.received
    assert (received["title"], received["message"], received["type"]) == (MESSAGE.title, MESSAGE.body, "failure")
    assert received["attachments"] == []


@pytest.mark.parametrize("status", [302, 307, 400, 401, 404, 429, 500, 503])
def test_every_answer_but_success_is_a_failure_and_no_redirect_is_followed(sender, webhook, status):
    webhook.status = status
    assert sender().send(MESSAGE) is False
    assert webhook.asked == 1


def test_nobody_there_is_a_failure(sender, webhook):
    webhook.shutdown()
    webhook.server_close()
    assert sender().send(MESSAGE) is False


def test_a_service_that_says_nothing_is_given_up_in_time(sender, webhook):
    webhook.silent.set()
    began = monotonic()
    assert sender(query="rto=0.2").send(MESSAGE) is False
    assert monotonic() - began < 3


def test_the_url_cannot_make_a_failure_count_as_sent(sender, webhook):
    webhook.status = 500
    assert sender(query="optional=yes&retry=3&wait=9").send(MESSAGE) is False
    assert webhook.asked == 1


@pytest.mark.parametrize(("query", "number"), [("", 1), ("overflow=split", 2)])
def test_what_is_too_long_for_a_service_is_cut_unless_the_url_says_otherwise(sender, webhook, query, number):
    longest = 32_768  # of a webhook, in Apprise
    assert sender(query=query).send(Message("title", "x" * (longest + 1), "info"))
    assert len(webhook.received) == number


@pytest.mark.parametrize(
    "url",
    [
        f"nonsense://{TOKEN}",
        f"slack://{TOKEN}",
        f"json://{TOKEN}:{TOKEN}@",
        TOKEN,
        "",
        "://",
        f"tgram://{TOKEN}/?overflow={TOKEN}",
        f"json://127.0.0.1/?method={TOKEN}",
        f"glib://[::1/{TOKEN}",
    ],
)
def test_an_address_that_apprise_does_not_know_is_an_error_that_does_not_quote_it(url, caplog):
    caplog.set_level(0)
    with pytest.raises(ConfigError) as raised:
        Sender(ChannelSettings("chat", url))
    assert str(raised.value).startswith("notify.chat.url: expected an Apprise URL of a service")
    assert TOKEN not in f"{raised.value!r} {raised.value.__cause__} {caplog.text}"


@pytest.mark.parametrize("status", [200, 500])
def test_nothing_of_the_address_is_logged(sender, webhook, caplog, status):
    caplog.set_level(0)
    webhook.status = status
    sender(f"/{TOKEN}", f"+X-Auth={TOKEN}&-key={TOKEN}").send(MESSAGE)
    assert webhook.asked == 1
    assert TOKEN not in caplog.text


def test_libraries_stay_mute_whatever_the_root_logger_is_set_to(sender):
    sender()
    names = ("apprise", "urllib3.connectionpool", "urllib3.util.retry", "requests", "oauthlib.oauth2")
    assert {logging.getLogger(name).getEffectiveLevel() for name in names} == {MUTE}


def test_nothing_is_written_to_the_home_directory(tmp_path, webhook):
    code = f"""
from reconciler.notify.sender import Sender
from reconciler.notify.settings import ChannelSettings
from reconciler.notify.message import Message
sent = Sender(ChannelSettings("chat", {webhook.url()!r})).send(Message("a", "b", "info"))
raise SystemExit(0 if sent else 1)
"""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert list(tmp_path.rglob("*")) == []


def test_apprise_is_not_imported_before_there_is_a_channel():
    code = "import sys, reconciler.notify; raise SystemExit('apprise' in sys.modules or 'requests' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


class Postman(socketserver.StreamRequestHandler):
    """Speaks as much SMTP as it takes to be given a mail."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                self.server.mails.append(b"".join(iter(self.rfile.readline, b".\r\n")))
            self.wfile.write(b"250 fine\r\n")


@pytest.fixture
def post():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Postman) as server:
        server.mails = []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def mailed(post):
    """Send a message by mail; returns the mail's subject and its parts by their type."""

    def mailed(kind):
        address = f"mailto://127.0.0.1:{post.server_address[1]}?from=r@mail.example&to=ops@mail.example&format={kind}"
        assert Sender(ChannelSettings("mail", address)).send(MESSAGE)
        mail = message_from_bytes(post.mails[0], policy=default)
        assert mail["To"] == "ops@mail.example"
        return mail["Subject"], {
            part.get_content_type(): part.get_content()
            for part in mail.walk()
            if part.is_attachment() or not part.is_multipart()
        }

    return mailed


def test_a_mail_is_plain_text_and_its_subject_is_the_title(mailed):
    subject, parts = mailed("text")
    assert subject == MESSAGE.title
    assert {kind: text.splitlines() for kind, text in parts.items()} == {"text/plain": MESSAGE.body.splitlines()}


def test_a_mail_in_html_shows_markup_as_text(mailed):
    _, parts = mailed("html")
    assert "&lt;b&gt;refused" in parts["text/html"]
    assert "<b>" not in parts["text/html"]
