"""What one channel has been told and what it still has to be told. No thread, no time and no store of its own.

At most one event waits for each subject: a newer one takes its place, because only the last state of a task matters to
somebody who was not told of the ones before. Whether it is news is judged when it is taken, against what was told by
then: a task that failed and recovered while the channel was down is not worth a message.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.core import edges
from reconciler.core.edges import Edge
from reconciler.events import Event, HeadChanged, Notice, PassEnded, StateChanged, TargetChanged, TaskGone
from reconciler.notify.settings import ChannelSettings

CAPACITY = 10_000
"""Subjects that may wait for one channel: a whole fleet."""

_OF_THE_WHOLE: dict[type, str] = {PassEnded: "all tasks", HeadChanged: "desired state"}

TOPIC = "notify"
"""Of what the notifier says about itself: never told through a channel, or a broken one would be its own news."""


@dataclass(frozen=True, slots=True)
class News:
    """Something that a channel is to be told."""

    subject: str
    event: Event
    edge: Edge


def subject_of(event: Event) -> str:
    """What an event is about, as marks are kept by it; "" when nobody is ever told of such an event."""
    # A directory's name may be no text at all; the store writes it out like this, and it must be found again.
    return _subject(event).encode("utf-8", "backslashreplace").decode("utf-8")


def _subject(event: Event) -> str:
    match event:
        case StateChanged():
            return f"task {event.status.task}"
        case TaskGone():
            return f"task {event.task}"
        case TargetChanged():
            return f"target {event.target}"
        case Notice(level="error") if event.topic != TOPIC:
            return f"daemon {event.topic}"
        case _:
            return _OF_THE_WHOLE.get(type(event), "")


class Outbox:
    """Events that wait for a channel; its owner sees to it that one thread at a time is here.

    Args:
        settings: the channel's filters.
        capacity: how many subjects may wait; the longest waiting one goes when there are more.
    """

    def __init__(self, settings: ChannelSettings, capacity: int = CAPACITY) -> None:
        self._settings = settings
        self._capacity = capacity
        self._marks: dict[str, str] = {}
        self._waiting: dict[str, Event] = {}
        self._on_the_way: dict[str, Event] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def unsent(self) -> int:
        """How many subjects wait or are on the way."""
        return len(self._waiting.keys() | self._on_the_way.keys())

    def remember(self, marks: Mapping[str, str]) -> None:
        """Begin with what was told before; to be called before the first event, which is judged by it."""
        self._marks = dict(marks)

    def offer(self, subject: str, event: Event, now: datetime) -> bool:
        """Keep an event if it may be news.

        Returns:
            Whether another one had to go for it.
        """
        edge = self._judge(subject, event, now)
        if edge is None:
            return False
        self._waiting.pop(subject, None)  # and to the end of the line: what changes last is told last
        # While a message about the subject is on the way, nobody knows yet what this one is to be compared with.
        if not edge.word and subject not in self._on_the_way:
            return False
        self._waiting[subject] = event
        if len(self._waiting) <= self._capacity:
            return False
        del self._waiting[next(iter(self._waiting))]
        return True

    def take(self, now: datetime) -> tuple[News, ...]:
        """Everything that is news by now, the longest waiting first; it is on the way until settled or put back."""
        judged = [(subject, event, self._judge(subject, event, now)) for subject, event in self._waiting.items()]
        news = tuple(News(subject, event, edge) for subject, event, edge in judged if edge and edge.word)
        self._waiting = {}
        self._on_the_way = {each.subject: each.event for each in news}
        return news

    def settle(self, news: Iterable[News]) -> None:
        """The channel was told."""
        for each in news:
            del self._on_the_way[each.subject]
            self._marks.pop(each.subject, None)
            if each.edge.mark:
                self._marks[each.subject] = each.edge.mark

    def put_back(self, last: Iterable[News]) -> None:
        """Let everything that is on the way wait again, *last* at the end; what is newer stays."""
        back = dict(self._on_the_way)
        for each in last:
            back[each.subject] = back.pop(each.subject)
        self._waiting = {**back, **self._waiting}
        self._on_the_way = {}

    def _judge(self, subject: str, event: Event, now: datetime) -> Edge | None:
        mark = self._marks.get(subject, "")
        if isinstance(event, StateChanged):
            return self._judge_state(mark, event, now)
        if isinstance(event, TaskGone):
            return edges.of_gone(mark)
        if self._settings.labels:
            return None  # who looks after some tasks is not told of the rest
        return _judge_rest(mark, event, now)

    def _judge_state(self, mark: str, event: StateChanged, now: datetime) -> Edge | None:
        status, wanted = event.status, self._settings.states
        fits = all(event.labels.get(label) == value for label, value in self._settings.labels.items())
        if not fits or edges.is_brief(status.state, status.until, now):
            wanted = frozenset()
        return edges.of_task(mark, status.state, event.before, event.content, wanted)


def _judge_rest(mark: str, event: Event, now: datetime) -> Edge | None:
    if isinstance(event, TargetChanged):
        return edges.of_target(mark, event.kind)
    if isinstance(event, PassEnded):
        return edges.of_pass(mark, frozen=bool(event.frozen), problem=bool(event.problem))
    if isinstance(event, HeadChanged):
        return edges.of_head(mark, event.head.kind, event.head.newest)
    return edges.of_error(mark, event.text, now) if isinstance(event, Notice) else None
