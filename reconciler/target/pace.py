"""Keeps the requests to one target below a rate, over all workers that call it."""

import threading
from collections import deque

from reconciler.ports import Clock


class Pace:
    """Hands out turns, first come, first served. Shared by the threads that call one target.

    A request has its turn one window of time after the request that many places before it. So no window holds more than
    its share, however the requests come, and after a pause a whole share may go at once. With a whole number of
    requests per second the window is a second and the share that number; below one per second the share is one.

    Args:
        per_s: requests per second; 0: no limit.
        clock: tells the time and waits.

    Raises:
        ValueError: per_s < 0.
    """

    def __init__(self, per_s: float, clock: Clock) -> None:
        if not per_s >= 0:
            raise ValueError(f"expected requests per second >= 0, found {per_s}")
        self._clock = clock
        self._lock = threading.Lock()
        share = max(int(per_s), 1)
        self._window_s = share / per_s if per_s else 0.0
        self._turns: deque[float] = deque(maxlen=share)  # the last ones given, of the monotonic clock

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        if not self._window_s:
            return
        delay_s = self._take_turn()
        if delay_s > 0:
            self._clock.sleep(delay_s)

    def _take_turn(self) -> float:
        """Seconds until the caller's turn, which nobody else gets."""
        with self._lock:
            now = turn = self._clock.monotonic()
            if len(self._turns) == self._turns.maxlen:
                turn = max(now, self._turns[0] + self._window_s)
            self._turns.append(turn)
            return turn - now
