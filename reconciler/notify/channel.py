"""One channel at work: a thread that gathers what is news, sends it, tries again, and writes down what was told.

A thread for each channel, so that one that hangs holds up nobody but itself. What was told is recorded after it was
accepted: a crash in between tells it once more, never not at all.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from math import inf

from reconciler.core.backoff import delay_s
from reconciler.errors import StateStoreError
from reconciler.events import Event, Notice
from reconciler.notify.message import Message, message_of, summary_of
from reconciler.notify.outbox import CAPACITY, TOPIC, News, Outbox
from reconciler.notify.settings import ChannelSettings, Tools

LIMIT = 10
"""More messages than these at once, or within a minute, become one."""

GATHER_S = 2.0
"""How long the first message waits for others, seconds: what is over by then was no news."""

PAUSE_S = 60.0
_BASE_S, _CAP_S = 2.0, 300.0  # of the waits between attempts


class Channel:
    """Tells one channel what concerns it.

    Args:
        settings: name and filters.
        send: whether the service accepted a message.
        tools: shared by all channels.
    """

    def __init__(self, settings: ChannelSettings, send: Callable[[Message], bool], tools: Tools) -> None:
        self._name = settings.name
        self._send = send
        self._tools = tools
        self._changed = threading.Condition()
        self._outbox = Outbox(settings)
        self._early: deque[tuple[str, Event]] | None = deque(maxlen=CAPACITY)  # what came before the start
        self._due = self._not_before = 0.0  # monotonic, seconds
        self._end: float | None = None  # monotonic, seconds; when it is all over, once that is known
        self._attempts = 0  # that failed since the last success
        self._recent: deque[float] = deque(maxlen=LIMIT)  # when the last messages became due
        self._unrecorded: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name=f"notify-{settings.name}", daemon=True)

    def start(self) -> None:
        """Read what was told before, and begin.

        Raises:
            StateStoreError: it cannot be read.
        """
        marks = self._tools.store.notified(self._name)
        with self._changed:
            self._outbox.remember(marks)
            early, self._early = self._early or (), None
            for subject, event in early:
                self._take(subject, event)
        self._thread.start()

    def offer(self, subject: str, event: Event) -> None:
        """Take an event; returns at once."""
        with self._changed:
            if self._early is None:
                is_full = self._take(subject, event)
            else:
                is_full = len(self._early) == CAPACITY
                self._early.append((subject, event))
        if is_full:
            self._tools.count(self._name, "dropped")

    def _take(self, subject: str, event: Event) -> bool:
        was_empty = not self._outbox
        is_full = self._outbox.offer(subject, event, self._tools.clock.now())
        if was_empty and self._outbox:
            self._due = self._first_due()
            self._changed.notify()
        return is_full

    def end(self, at: float) -> None:
        """Send what waits now, until *at* (monotonic, seconds) and without a second attempt."""
        with self._changed:
            self._end = at
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait for the end; say what was left."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        with self._changed:
            left = self._outbox.unsent()
        if left:
            self._warn(f"{left} messages were not sent before the end; the next start tells what is still so")

    def _first_due(self) -> float:
        now = self._tools.clock.monotonic()
        is_busy = len(self._recent) == LIMIT and self._recent[0] > now - PAUSE_S
        return max(self._not_before, now + (PAUSE_S if is_busy else GATHER_S))

    def _run(self) -> None:
        while self._wait():
            self._deliver()
        self._deliver()

    def _wait(self) -> bool:
        """Until something is due; False when all is over."""
        with self._changed:
            while self._end is None:
                left = self._due - self._tools.clock.monotonic() if self._outbox else None
                if left is not None and left <= 0:
                    return True
                self._tools.clock.wait(self._changed, left)
            return False

    def _deliver(self) -> None:
        with self._changed:
            news = self._outbox.take(self._tools.clock.now())
            self._recent.extend([self._tools.clock.monotonic()] * min(len(news), LIMIT))
        groups = [news] if len(news) > LIMIT else [(each,) for each in news]
        for group in groups:
            if self._is_over() or not self._attempt(group):
                # What was refused goes last: what a service never takes must not stand in the way of the others.
                with self._changed:
                    self._outbox.put_back(group)
                return
            with self._changed:
                self._outbox.settle(group)
            self._record(group)

    def _is_over(self) -> bool:
        return self._tools.clock.monotonic() >= (inf if self._end is None else self._end)

    def _attempt(self, group: Sequence[News]) -> bool:
        accepted = self._send(message_of(group[0]) if len(group) == 1 else summary_of(group))
        self._tools.count(self._name, "sent" if accepted else "failed")
        if accepted:
            self._succeed()
        else:
            self._fail()
        return accepted

    def _succeed(self) -> None:
        if self._attempts:
            self._tools.say(Notice("info", TOPIC, f"channel {self._name}: messages are accepted again"))
        self._attempts = 0

    def _fail(self) -> None:
        self._attempts += 1
        wait_s = delay_s(self._attempts, self._tools.random(), base_s=_BASE_S, cap_s=_CAP_S)
        with self._changed:
            self._not_before = self._due = self._tools.clock.monotonic() + wait_s
        if self._attempts == 1:
            self._warn(
                "a message was not accepted, and is tried again. If that lasts, look whether the service is reachable"
                f" from here, and whether notify.{self._name}.url is still right"
            )

    def _record(self, group: Sequence[News]) -> None:
        self._unrecorded |= {each.subject: each.edge.mark for each in group}
        try:
            for subject, mark in tuple(self._unrecorded.items()):
                self._tools.store.set_notified(self._name, subject, mark)
                del self._unrecorded[subject]
        except StateStoreError as error:
            self._warn(f"what was told cannot be recorded, so a restart may tell it again: {error}")

    def _warn(self, text: str) -> None:
        self._tools.say(Notice("warning", TOPIC, f"channel {self._name}: {text}"))
