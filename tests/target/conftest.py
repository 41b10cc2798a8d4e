"""A tiny HTTP server on loopback that does exactly what a test says, down to the single byte."""

import contextlib
import json
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field

import pytest
import trustme

from reconciler.model import UpdateRequest
from reconciler.target import TargetSettings
from reconciler.target.http import HttpTarget

PASSWORD = 'S3ntinel"pass/wörd&'
SECRET = "sentinel-of-the-sink\n%7"


@dataclass
class Request:
    head: bytes
    body: bytes
    connection: int

    @property
    def line(self):
        return self.head.split(b"\r\n")[0].decode()

    @property
    def headers(self):
        lines = (line.partition(b": ") for line in self.head.split(b"\r\n")[1:])
        return {name.decode().lower(): value.decode() for name, _, value in lines}

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Server:
    answer: object  # bytes, or a callable(connection, request) that sends what it likes
    tls: ssl.SSLContext | None = None
    greet: object = None  # callable(connection), before anything is read
    requests: list = field(default_factory=list)
    connections: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = []
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            self.threads.append(threading.Thread(target=self._serve, args=(connection, self.connections)))
            self.threads[-1].start()

    def _serve(self, connection, number):
        try:
            if self.greet:
                self.greet(connection)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self.open.append(connection)
            while (request := self._read(connection, number)) is not None:
                self.requests.append(request)
                if callable(self.answer):
                    self.answer(connection, request)
                else:
                    connection.sendall(self.answer)
        except OSError:  # the client went away, which some tests are about
            pass
        finally:
            connection.close()

    def _read(self, connection, number):
        data = b""
        while b"\r\n\r\n" not in data:
            if not (piece := connection.recv(65536)):
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if not lengths:  # nobody of ours: who had this port before is still asked on it
            return None
        (length,) = lengths
        while len(body) < length:
            body += connection.recv(65536)
        return Request(head, body, number)

    def close(self):
        self.stopping.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for connection in self.open:
            connection.close()


def http_bytes(status=200, body=b"", headers=()):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Word", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def reset(connection, _request=None):
    """Close with RST, as a crashed server does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture
def serve():
    servers = []

    def start(status=200, body=b"", headers=(), *, answer=None, tls=None, greet=None):
        servers.append(Server(answer or http_bytes(status, body, headers), tls, greet))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def connect():
    targets = []

    def make(where, *, hide=(SECRET,), transport=None, **settings):
        url = where if isinstance(where, str) else where.url
        known = {"name": "default", "username": "admin", "password": PASSWORD, "read_s": 5.0, **settings}
        targets.append(HttpTarget(TargetSettings(url=url, **known), hide, transport=transport))
        return targets[-1]

    yield make
    for target in targets:
        target.close()


@pytest.fixture
def update():
    def make(**changes):
        return UpdateRequest(
            **{
                "dimension": "NAME",
                "key": "10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006",
                "cm_region": "cn-beijing",
                "config": {
                    "coordinator": {"throttleRps": "1000"},
                    "condition": {},
                    "source": {"timezone": "東京"},
                    "sink": {"password": SECRET},
                },
                **changes,
            }
        )

    return make


@pytest.fixture
def bytes_of():
    return http_bytes


@pytest.fixture
def reset_connection():
    return reset


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A folder with an authority, and keys with certificates for the loopback address and for another host."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    for name, host in (("right", "127.0.0.1"), ("wrong", "other.example")):
        issued = authority.issue_cert(host)
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    return folder


@pytest.fixture
def tls(certificates):
    def context(name):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
        return made

    return context
