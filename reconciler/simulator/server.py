"""The simulator as a server: in a thread for tests, in the foreground for people."""

import asyncio
import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn

from reconciler.simulator.app import make_app
from reconciler.simulator.simulator import PREFIX, Simulator
from reconciler.simulator.transport import Protocol, Silences

KEEP_ALIVE_S = 75  # as nginx, which stands in front of a real OMS
TICK_S = 1.0  # how often the Date header is renewed
log = logging.getLogger("reconciler.simulator")


@contextmanager
def serve(simulator: Simulator, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve in a thread of its own.

    Args:
        simulator: what answers.
        host: address to listen on.
        port: 0: any free one.

    Yields:
        Base URL, `http://127.0.0.1:40123`.

    Raises:
        OSError: the address cannot be used.
    """
    silences = Silences()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=1024)
    server = _Server(simulator, silences)
    thread = threading.Thread(target=server.run, args=([listener],), name="oms-simulator", daemon=True)
    thread.start()
    try:
        bound = listener.getsockname()[1]
        yield f"http://[{host}]:{bound}" if family == socket.AF_INET6 else f"http://{host}:{bound}"
    finally:
        server.stop()
        thread.join()


def run_foreground(
    simulator: Simulator,
    host: str = "127.0.0.1",
    port: int = 8089,
    *,
    stop: threading.Event | None = None,
    verbose: bool = False,
) -> None:
    """Serve until Ctrl-C, SIGTERM or *stop*, with a line per write in the log `reconciler.simulator`.

    The log goes to stderr unless logging was set up before. Signals are handled only in the main thread.

    Args:
        simulator: what answers.
        host: address to listen on.
        port: 0: any free one, which the first line names.
        stop: ends it when set.
        verbose: a line per read as well.

    Raises:
        OSError: the address cannot be used.
    """
    ended = stop or threading.Event()
    with _logging(verbose=verbose), _signals(ended), serve(simulator, host, port) as url:
        log.info("%s listening on %s with %d components; it is no OMS", PREFIX, url, len(simulator.components))
        ended.wait()
        log.info("%s stopping", PREFIX)


class _Server(uvicorn.Server):
    """uvicorn, stopped at once rather than at its next tick."""

    def __init__(self, simulator: Simulator, silences: Silences) -> None:
        config = uvicorn.Config(
            make_app(simulator, silences),
            http=Protocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        super().__init__(config)
        self._silences = silences
        self._ready = threading.Event()
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop

    def stop(self) -> None:
        """End the server from another thread; connections that are kept waiting are broken."""
        self._ready.wait()
        self._loop.call_soon_threadsafe(self._ended.set)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Work from the first connection to the last."""
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await super().serve(sockets)

    async def main_loop(self) -> None:
        """Work until `stop`."""
        while not self._ended.is_set():
            await self.on_tick(0)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), TICK_S)
        self._silences.end()


@contextmanager
def _logging(*, verbose: bool) -> Iterator[None]:
    handler, level = logging.StreamHandler(sys.stderr), log.level
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    if not log.hasHandlers():
        log.addHandler(handler)
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


@contextmanager
def _signals(ended: threading.Event) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
