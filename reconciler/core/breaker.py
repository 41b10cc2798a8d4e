"""When to stop using a target, and when to ask whether it can be used again."""

from datetime import datetime

from reconciler.core.backoff import delay_s

SUSPICIOUS = 3
"""So many calls in a row without an answer are perhaps no longer their tasks' own trouble."""


class Breaker:
    """Whether a target may be used. Open: nothing is sent; one read from time to time asks whether that may end."""

    def __init__(self) -> None:
        self.kind = ""  # why it is open; "" when it is not
        self.message = ""
        self.since: datetime | None = None
        self._failed = 0  # calls in a row
        self._probes = 0

    def failed(self) -> bool:
        """A call had certainly no effect; True when the target should be asked what is wrong."""
        self._failed += 1
        return not self.kind and self._failed >= SUSPICIOUS

    def worked(self) -> None:
        """A call was answered."""
        self._failed = 0

    def open(self, kind: str, message: str, now: datetime) -> bool:
        """Stop using the target; False when that is nothing new."""
        is_news = kind != self.kind
        if is_news:
            self.kind, self.message, self.since = kind, message, now  # the first words stay: later ones differ in ids
        self._failed = 0
        return is_news

    def close(self) -> bool:
        """Use it again; False when it was not open."""
        was_open = bool(self.kind)
        self.kind, self.message, self.since = "", "", None
        self._failed = 0
        self._probes = 0
        return was_open

    def next_probe_s(self, fraction: float) -> float:
        """How long to wait before the next question, seconds; it counts as asked.

        Args:
            fraction: a random number, 0 <= fraction < 1.
        """
        self._probes += 1
        return delay_s(self._probes, fraction)
