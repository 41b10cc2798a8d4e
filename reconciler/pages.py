"""The daemon's own pages: is it alive, is it ready, its metrics. Read only, for probes and Prometheus.

What else is to be answered is handed in. They run in a thread of their own and can be slow or flooded without the
daemon noticing: one request a connection, 10 s for all of it, 100 at once. Signals stay with the daemon. Nothing is
protected by a password, and nothing shown is a secret; who may ask is decided by the address they listen on.
"""

import asyncio
import errno
import os
import re
import socket
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler.errors import ConfigError
from reconciler.events import Vitals

CONNECTION_S = 10.0  # from the first byte of a connection to its last
MOST_CONNECTIONS = 100  # at once; those above are closed
LONGEST_REQUEST_BYTES = 16_384  # request line and headers
STOP_S = 5.0  # how long `stop` waits for the thread
_BACKLOG = 128
_HIGHEST_PORT = 65_535
_EVERY = "0.0.0.0"  # noqa: S104 - what an empty host means
_HEADERS = {"cache-control": "no-store", "connection": "close", "x-content-type-options": "nosniff"}
_SETTING = "[daemon] http_listen"
_ADVICE = {
    errno.EADDRINUSE: "the port is in use; stop what uses it (ss -ltnp shows it), or choose another port",
    errno.EACCES: "this user may not use the port; choose one above 1023",
    errno.EADDRNOTAVAIL: "this machine does not have the address; use one of its own, or 127.0.0.1",
}

_Vitals: TypeAlias = Callable[[], Vitals]
_Render: TypeAlias = Callable[[str], tuple[bytes, str]]


class Pages:
    """Serves the pages from `start` to `stop`.

    Args:
        listen: "127.0.0.1:8484", "[::1]:8484", "localhost:0"; port 0 is any free one, no host is every IPv4 address.
        vitals: how the daemon is; must return at once, whatever the daemon does.
        render_metrics: takes the Accept header; returns body and content type.
        more: `{path: who answers there}`, every method.
        connection_s: what a connection may last, seconds.
    """

    def __init__(
        self,
        listen: str,
        vitals: _Vitals,
        render_metrics: _Render,
        more: Mapping[str, ASGIApp] | None = None,
        *,
        connection_s: float = CONNECTION_S,
    ) -> None:
        self._listen = listen
        self._server = _Server(_app(vitals, render_metrics, more or {}), connection_s)
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Listen, and serve in a thread.

        Returns:
            The port.

        Raises:
            ConfigError: it is no address, or one that cannot be used.
        """
        listener = _open(self._listen)
        port: int = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="pages", daemon=True)
        self._thread.start()
        return port

    def stop(self) -> None:
        """Close the port and every connection; does nothing when they were never opened."""
        if self._thread is not None:
            self._server.stop()
            self._thread.join(STOP_S)


def _open(listen: str) -> socket.socket:
    host, port = _parse(listen)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except socket.gaierror as error:
        raise ConfigError(f'{_SETTING} = "{listen}": {host} is no address of this machine: {error.strerror}') from error
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0) or os.strerror(error.errno or 0)
        raise ConfigError(f'{_SETTING} = "{listen}": {advice}; an empty text turns the pages off') from error


def _parse(listen: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]*)):(?P<port>[0-9]{1,5})", listen)
    if found is None or int(found["port"]) > _HIGHEST_PORT:
        raise ConfigError(
            f'{_SETTING}: expected "host:port" with a port 0..65535, and brackets round an IPv6 address, '
            f'found "{listen}"'
        )
    return found["v6"] or found["name"] or _EVERY, int(found["port"])


def _app(vitals: _Vitals, render_metrics: _Render, more: Mapping[str, ASGIApp]) -> Starlette:
    # The functions are asynchronous so that they run in the one thread: a pool of threads would grow with the clients.
    async def index(_request: Request) -> Response:
        return PlainTextResponse(_index(vitals()), headers=_HEADERS)

    async def healthz(_request: Request) -> Response:
        return _status(vitals().alive)

    async def readyz(_request: Request) -> Response:
        return _status(vitals().ready)

    async def metrics(request: Request) -> Response:
        body, content_type = render_metrics(request.headers.get("accept", ""))
        return Response(body, headers={**_HEADERS, "content-type": content_type})

    pages = {"/": index, "/healthz": healthz, "/readyz": readyz, "/metrics": metrics}
    routes = [Route(path, page, methods=["GET"]) for path, page in pages.items()]
    return Starlette(routes=[*routes, *(Route(path, app) for path, app in more.items())])


def _index(vitals: Vitals) -> str:
    return (
        "reconciler\n\n"
        f"/healthz  {vitals.alive or 'ok'}\n"
        f"/readyz   {vitals.ready or 'ok'}\n"
        "/metrics  for Prometheus\n\n"
        "reconciler status shows every task.\n"
    )


def _status(trouble: str) -> Response:
    body = {"status": "failing" if trouble else "ok", "reason": trouble}
    return JSONResponse(body, 503 if trouble else 200, headers=_HEADERS)


class _Connection(H11Protocol):
    """uvicorn's protocol with an end: neither a client that says nothing nor one that reads nothing stays."""

    def __init__(self, *arguments: Any, connection_s: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._connection_s = connection_s
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, if there is room."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self._deadline = self.loop.call_later(self._connection_s, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    """uvicorn in a thread, woken only by clients and by `stop`."""

    def __init__(self, app: Starlette, connection_s: float) -> None:
        config = uvicorn.Config(
            app,
            http=partial(_Connection, connection_s=connection_s),  # type: ignore[arg-type] # called like the class
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            h11_max_incomplete_event_size=LONGEST_REQUEST_BYTES,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self._ready = threading.Event()
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop

    def stop(self) -> None:
        """End the server from another thread."""
        self._ready.wait()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended.set)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Work from the first connection to the last."""
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await super().serve(sockets)

    async def main_loop(self) -> None:
        """Work until `stop`; answers are written at once, so that what is still open then is a client that waits."""
        await self._ended.wait()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
