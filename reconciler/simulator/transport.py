"""Answers on the wire, including those that HTTP does not allow: silence, resets, bodies shorter than promised."""

import asyncio
import socket
import struct

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler.simulator.damage import Answer, Manner

CHUNK = b" " * 65_536  # blanks behind a JSON value are still JSON


class Protocol(H11Protocol):
    """uvicorn's protocol, which also hands its transport to the application as `scope["state"]["transport"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection; head and body go out without waiting for each other."""
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


class Silences:
    """Connections that are being kept waiting, so that the server can end them when it stops."""

    def __init__(self) -> None:
        self._open: set[asyncio.Transport] = set()

    def end(self) -> None:
        """Break all of them."""
        for transport in self._open:
            transport.abort()

    async def keep(self, transport: asyncio.Transport, receive: Receive, seconds: float) -> bool:
        """Wait for some seconds; False when the client went away before."""
        self._open.add(transport)
        try:
            await asyncio.wait_for(_disconnected(receive), seconds)
        except TimeoutError:
            return True
        finally:
            self._open.discard(transport)
        return False


class AnswerResponse(Response):
    """An `Answer` as a Starlette response.

    Args:
        answer: what to send, and how.
        silences: where waiting connections are kept.
    """

    def __init__(self, answer: Answer, silences: Silences) -> None:
        super().__init__(answer.body, answer.status)
        self._answer = answer
        self._silences = silences
        size = max(answer.size, len(answer.body)) if answer.manner is Manner.OVERSIZED else len(answer.body)
        pairs = (*answer.headers, ("content-length", str(size)))
        self.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        answer, transport = self._answer, scope["state"]["transport"]
        if answer.seconds and not await self._silences.keep(transport, receive, answer.seconds):
            return
        if answer.manner is Manner.RESET:
            _reset(transport)
        elif answer.manner in (Manner.CLOSE, Manner.HANG):
            transport.close()
        elif answer.manner is Manner.TRUNCATED:
            await self._start(send)
            await send({"type": "http.response.body", "body": answer.body[: answer.size], "more_body": True})
            transport.close()
        elif answer.manner is Manner.OVERSIZED:
            await self._start(send)
            await self._send_oversized(send)
        else:
            await super().__call__(scope, receive, send)
            return
        if transport.is_closing():  # the server must see the end before it misses an answer
            await _disconnected(receive)

    async def _start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _send_oversized(self, send: Send) -> None:
        await send({"type": "http.response.body", "body": self._answer.body, "more_body": True})
        left = self._answer.size - len(self._answer.body)
        while left > 0:
            await send({"type": "http.response.body", "body": CHUNK[:left], "more_body": True})
            left -= len(CHUNK)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _reset(transport: asyncio.Transport) -> None:
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
