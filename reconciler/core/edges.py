"""When people are told: on edges, once for each state and content, until it is well again.

The last thing that was told of a subject is its mark: `failed+unconfirmed:<digest of the content>` names the states
that were told of one content. Whoever sends keeps the mark of each subject, and replaces it only after the message was
accepted. So an edge that could not be told stays one, and a restart tells nothing twice.
"""

import hashlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.core.status import State

RECOVERED = "recovered"
GONE = "gone"
ERROR = "error"
DEFAULT_STATES = frozenset({State.FAILED, State.INVALID, State.UNCONFIRMED, State.BLOCKED, State.ORPHANED})
REPEAT_S = 3600.0
"""The same error of the daemon itself is told again after so long: nothing says when it is over."""

BRIEF = timedelta(minutes=10)
"""A block that ends by itself sooner than that is waited for, and no news."""

_DIGEST = 16  # hexadecimal digits of a text that are enough to know it again


@dataclass(frozen=True, slots=True)
class Edge:
    """What follows from an event for one subject."""

    word: str  # what to tell: "failed", "recovered"; "": nothing, and what was not told yet is no longer to be told
    mark: str  # the subject's mark once that was told; "" forgets the subject


def of_task(mark: str, state: State, before: State | None, content: str, wanted: AbstractSet[State]) -> Edge | None:
    """Judge a task's state.

    Args:
        mark: what was told last; "" when nothing was.
        state: the present one.
        before: the one before it; None when the task is seen for the first time.
        content: digest of what the files ask for, or of what is wrong with them.
        wanted: states to tell about.

    Returns:
        None when the event changes nothing: out-of-sync, applying and verifying lead somewhere, but are no news by
        themselves, and neither is any other state that is not wanted.
    """
    if state is not State.SYNCED:
        return _trouble(mark, state.value, content) if state in wanted else None
    over = _well(mark)
    if over.word or state not in wanted:
        return over
    # That a fleet is well is no news when it is seen for the first time, nor when only the reason is another one.
    return None if before in (None, State.SYNCED) else _trouble(mark, state.value, content)


def is_brief(state: State, until: datetime | None, now: datetime) -> bool:
    """Whether a task is only held back for a moment, as between two updates of one component."""
    return state is State.BLOCKED and until is not None and until - now < BRIEF


def of_gone(mark: str) -> Edge:
    """Judge that a task is no longer known: told, if the task ever was."""
    return Edge(GONE if mark else "", "")


def of_target(mark: str, kind: str) -> Edge:
    """Judge a target.

    Args:
        mark: what was told last.
        kind: of its trouble; "" when it can be used.
    """
    return _trouble(mark, kind, "") if kind else _well(mark)


def of_pass(mark: str, *, frozen: bool, problem: bool) -> Edge:
    """Judge what concerns all tasks at once.

    Args:
        mark: what was told last.
        frozen: nothing is sent at all.
        problem: the tasks could not even be looked at.
    """
    word = "unreadable" if problem else "frozen" if frozen else ""
    return _trouble(mark, word, "") if word else _well(mark)


def of_head(mark: str, kind: str, newest: str) -> Edge:
    """Judge which commit is read.

    Args:
        mark: what was told last.
        kind: why the newest one is not; "" when it is.
        newest: its id; "" when there is none.
    """
    return _trouble(mark, kind, newest) if kind else _well(mark)


def of_error(mark: str, text: str, now: datetime) -> Edge:
    """Judge an error of the daemon itself: news when the text is another one, or the last word is an hour old."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    at, _, told = mark.partition(":")
    if told == digest and now.timestamp() - float(at) < REPEAT_S:
        return Edge("", mark)
    return Edge(ERROR, f"{int(now.timestamp())}:{digest}")


def _trouble(mark: str, word: str, content: str) -> Edge:
    words, _, told = mark.partition(":")
    known = set(words.split("+")) if mark and told == content else set()
    if word in known:
        return Edge("", mark)
    return Edge(word, f"{'+'.join(sorted(known | {word}))}:{content}")


def _well(mark: str) -> Edge:
    words = set(mark.partition(":")[0].split("+"))
    return Edge(RECOVERED, "") if words - {"", State.SYNCED.value} else Edge("", mark)
