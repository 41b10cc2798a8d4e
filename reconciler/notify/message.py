"""What a message says: plain text, one title line, one line for each fact.

Names and reasons come from people's files. Each is put on one line, with everything written out that could move a
cursor, hide or reorder text, and chats are kept from taking a piece of it for a call to everybody. What a service
takes for markup is escaped by Apprise, which is told that all of this is plain text.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.core.edges import ERROR, GONE, RECOVERED
from reconciler.core.heads import named
from reconciler.core.render.words import safe
from reconciler.core.status import TaskStatus
from reconciler.events import Event, HeadChanged, Notice, PassEnded, StateChanged, TargetChanged
from reconciler.model import Head
from reconciler.notify.outbox import News

FIRST = 5  # names that a summary gives for each state
_LONGEST = {"title": 120, "line": 600}  # characters
_KINDS = {
    RECOVERED: "success",
    "synced": "success",
    "failed": "failure",
    "invalid": "failure",
    "misconfigured": "failure",
    "stopped": "failure",
    "unreachable": "failure",
    "unreadable": "failure",
    "rewritten": "failure",
    "unrelated": "failure",
    "unsigned": "failure",
    ERROR: "failure",
    GONE: "info",
    "out-of-sync": "info",
    "applying": "info",
    "verifying": "info",
}
_CALL = re.compile(r"(?<=<)(?=[@!#])|(?<=@)(?=(?:all|channel|everyone|here)\b)", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"
_GONE = "no longer known: it was forgotten, or its directory went before it was ever applied"
_WELL_AGAIN = "tasks are looked at and sent again"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent."""

    title: str  # one line
    body: str
    kind: str  # "failure", "warning", "success", "info": services show it as a colour or a picture


def message_of(news: News) -> Message:
    """The message about one subject."""
    subject, word = _name(news), news.edge.word
    title = f"[reconciler] {_line(subject, 'title')}: {word}"
    lines = [f"{label}: {_line(text)}" for label, text in _facts(news.event) if text]
    return Message(title, "\n".join(lines) or title, _kind(word))


def summary_of(news: Sequence[News]) -> Message:
    """One message about many subjects: how many in which state, and the first of each."""
    words = list(dict.fromkeys(each.edge.word for each in news))
    counted = {word: [each for each in news if each.edge.word == word] for word in words}
    title = ", ".join(f"{len(these)} {word}" for word, these in counted.items())
    lines = [f"{word} ({len(these)}): {_names(these)}" for word, these in counted.items()]
    lines += ["Next: reconciler status"]
    return Message(f"[reconciler] {title}", "\n".join(lines), _worst(words))


def _name(news: News) -> str:
    return news.subject.removeprefix("task ")


def _names(news: Sequence[News]) -> str:
    first = ", ".join(_line(_name(each), "title") for each in news[:FIRST])
    return f"{first} and {len(news) - FIRST} more" if len(news) > FIRST else first


def _kind(word: str) -> str:
    return _KINDS.get(word, "warning")


def _worst(words: Iterable[str]) -> str:
    kinds = {_kind(word) for word in words}
    return next(kind for kind in ("failure", "warning", "success", "info") if kind in kinds)


def _facts(event: Event) -> Sequence[tuple[str, str]]:
    if isinstance(event, StateChanged):
        return _facts_of_task(event.status)
    if isinstance(event, TargetChanged):
        return (("Reason", event.message or "it can be used again"),)
    if isinstance(event, PassEnded):
        return (("Reason", event.problem or event.frozen or _WELL_AGAIN), ("Next", "reconciler status"))
    if isinstance(event, HeadChanged):
        return _facts_of_head(event.head)
    return (("Reason", event.text if isinstance(event, Notice) else _GONE),)


def _facts_of_task(status: TaskStatus) -> Sequence[tuple[str, str]]:
    return (
        ("Reason", status.reason),
        ("Since", _time(status.since)),
        ("Until", _time(status.until)),
        ("Next", status.next_step),
        ("Revision", status.revision),
        ("Ticket", "" if status.ticket is None else str(status.ticket)),
    )


def _facts_of_head(head: Head) -> Sequence[tuple[str, str]]:
    return (
        ("Reason", head.problem or "the newest commit is read"),
        ("In force", named(head.commit)),
        ("Not followed", head.newest),
        ("Next", "reconciler status"),
    )


def _time(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if at else ""


def _line(text: str, what: str = "line") -> str:
    shown = safe(" ".join(text.split()))
    longest = _LONGEST[what]
    shown = shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
    return _CALL.sub(_ZERO_WIDTH_SPACE, shown)
