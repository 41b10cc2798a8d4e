"""A TCP proxy between daemon and simulator that can be out of order: the simulator's own state outlives that."""

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from enum import Enum

CHUNK = 65_536


class Manner(Enum):
    """What becomes of connections."""

    PASS = "passed on"  # noqa: S105 - no password
    REFUSE = "refused"
    HANG = "accepted, and never answered"
    CUT = "reset before anything is passed on"
    MUTE = "passed on, and reset instead of the answer"


class Proxy:
    """Listens in a thread of its own from `start` to `stop`.

    Args:
        port: to listen on.
        to: port to pass on to.
    """

    def __init__(self, port: int, to: int) -> None:
        self._port, self._to = port, to
        self._manner = Manner.PASS
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()  # of the daemon's connections
        self._serving: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._do(self._listen())

    def stop(self) -> None:
        """Close everything."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def manner(self) -> Manner:
        """How it is now."""
        return self._manner

    def be(self, manner: Manner) -> None:
        """Treat connections in this manner from now on; those that are open are reset."""
        self._do(self._become(manner))

    def _do(self, work: "asyncio._CoroutineLike[None]") -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, backlog=256)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            _reset(writer)
        if self._serving:
            await asyncio.wait(self._serving)

    async def _become(self, manner: Manner) -> None:
        self._manner = manner
        await self._close()
        if manner is not Manner.REFUSE:
            await self._listen()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        manner = self._manner
        self._open.add(writer)
        if (mine := asyncio.current_task()) is not None:
            self._serving.add(mine)
            mine.add_done_callback(self._serving.discard)
        try:
            with suppress(OSError):
                if manner is Manner.HANG:
                    while await reader.read(CHUNK):
                        pass
                elif manner is Manner.CUT:
                    await reader.read(1)
                    _reset(writer)
                else:
                    await self._pass_on(reader, writer, mute=manner is Manner.MUTE)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, mute: bool) -> None:
        behind, ahead = await asyncio.open_connection("127.0.0.1", self._to)
        ways = [asyncio.create_task(_copy(reader, ahead))]
        ways.append(asyncio.create_task(behind.read(1) if mute else _copy(behind, writer)))
        try:  # whoever ends first ends both, as a process that dies does
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if mute:
                _reset(writer)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            ahead.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(CHUNK):
        sink.write(chunk)
        await sink.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
