"""Time that passes because somebody waits for it, so that minutes of retries and restarts take milliseconds."""

import threading
import time
from datetime import UTC, datetime

BEGIN = 1_800_000_000.0
LONGEST_REAL_WAIT_S = 20.0


class FakeClock:
    """`ports.Clock`, and the clock of the simulator beside it: who sleeps moves the time for all.

    Args:
        patience_s: real seconds that a waiting thread leaves to the others before it moves the time itself.
    """

    def __init__(self, patience_s: float = 0.005) -> None:
        self.patience_s = patience_s
        self.slept: list[float] = []
        self._passed = 0.0
        self._asked = 0
        self._guard = threading.Lock()

    def time(self) -> float:
        """Unix seconds; for the simulator, which asks only when it is asked itself."""
        return BEGIN + self._passed

    def now(self) -> datetime:
        self._asked += 1
        return datetime.fromtimestamp(self.time(), UTC)

    def monotonic(self) -> float:
        self._asked += 1
        return self._passed

    def sleep(self, seconds: float) -> None:
        self._asked += 1
        self.slept.append(seconds)
        self.advance_to(self._passed + seconds)

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        """Wait for a notification; the time jumps once no other thread is heard of any more."""
        if seconds is None:
            assert condition.wait(LONGEST_REAL_WAIT_S), "nobody notified a thread that waits without an end"
            return
        due = self._passed + seconds
        deadline = time.monotonic() + LONGEST_REAL_WAIT_S
        while self._passed < due and time.monotonic() < deadline:
            heard = self._asked
            if condition.wait(self.patience_s):
                return
            if heard == self._asked:
                self.advance_to(due)

    def advance_to(self, moment: float) -> None:
        with self._guard:
            self._passed = max(self._passed, moment)
