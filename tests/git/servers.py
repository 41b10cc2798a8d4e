"""Remotes that do not work."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import SimpleQueue


class Silent:
    """Takes connections and never says anything."""

    def __init__(self, server: socket.socket) -> None:
        self.address = f"http://127.0.0.1:{server.getsockname()[1]}/x.git"
        self._taken: SimpleQueue[socket.socket] = SimpleQueue()
        self._server = server

    def take(self) -> None:
        """Until the server is closed."""
        with suppress(OSError):
            while True:
                self._taken.put(self._server.accept()[0])

    def connection(self) -> socket.socket:
        """The next one."""
        return self._taken.get(timeout=10)


def wait_for_end(connection: socket.socket) -> None:
    """Until whoever made it has closed it."""
    with connection:
        connection.settimeout(10)
        while connection.recv(4096):
            pass


@contextmanager
def silent() -> Iterator[Silent]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = Silent(server)
        thread = threading.Thread(target=made.take)
        thread.start()
        yield made
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="r"')
        self.end_headers()

    def log_message(self, *_args):
        pass


@contextmanager
def refusing() -> Iterator[str]:
    """Host and port of a server that wants credentials and takes none."""
    with HTTPServer(("127.0.0.1", 0), _Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
