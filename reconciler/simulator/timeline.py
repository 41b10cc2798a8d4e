"""What is still to happen, in order of time. Nothing happens by itself: somebody asks for the state at a moment."""

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[float], None]
"""Called with the moment it was planned for, unix seconds."""


SLACK_S = 1e-5
"""Unix seconds as floats are this coarse after a few additions."""


class Timeline:
    """Planned actions, carried out in the order of their moments, then of their planning."""

    def __init__(self) -> None:
        self._planned: list[tuple[float, int, Action]] = []
        self._order = count()

    def at(self, when: float, action: Action) -> None:
        """Plan an action for a moment, unix seconds."""
        heapq.heappush(self._planned, (when, next(self._order), action))

    def run_until(self, now: float) -> None:
        """Carry out everything planned for *now* or earlier, and what that plans in turn."""
        while self._planned and self._planned[0][0] <= now + SLACK_S:
            when, _, action = heapq.heappop(self._planned)
            action(when)

    @property
    def last(self) -> float | None:
        """The latest planned moment; None when nothing is planned."""
        return max((when for when, _, _ in self._planned), default=None)
