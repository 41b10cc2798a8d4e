"""Which commit a daemon reads, as the store keeps it for commands beside it, and in words."""

import json
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.core.status import moment
from reconciler.model import Commit, Head

HEAD = ("", "head")
"""Channel and subject under which the store keeps a `Followed`: no channel of notifications has an empty name."""

_DIGITS = 7
_LONGEST_SUBJECT = 72


@dataclass(frozen=True, slots=True)
class Followed:
    """What is followed, and what keeps it from being the newest."""

    head: Head | None = None  # None: no commit could be read yet
    since: datetime | None = None  # of the head as it is: the same commit, newest commit and kind; None: not known
    remarks: tuple[str, ...] = ()  # of the source: why it is not the newest commit, for instance
    unreached: str = ""  # why the remote cannot be reached; "" when it can, or there is none
    unreached_since: datetime | None = None

    def moved(self, head: Head, remarks: tuple[str, ...], now: datetime) -> "Followed":
        """The same with the head of now."""
        since = self.since if _place(self.head) == _place(head) else now
        return replace(self, head=head, since=since, remarks=remarks)

    def fetched(self, problem: str, now: datetime) -> "Followed":
        """The same after a fetch; *problem* is "" when it went well."""
        return self.reached(problem, (self.unreached_since or now) if problem else None)

    def reached(self, problem: str, since: datetime | None) -> "Followed":
        """The same with what is known of the remote."""
        return replace(self, unreached=problem, unreached_since=since)


NOTHING = Followed()
"""Of a directory, whose files are read as they are."""


def _place(head: Head | None) -> tuple[str, str, str, str] | None:
    return (head.ref, head.commit.id, head.newest, head.kind) if head else None


def to_text(followed: Followed) -> str:
    """As JSON, for the store."""
    head = followed.head
    commit = head and {
        "id": head.commit.id,
        "author": head.commit.author,
        "at": head.commit.at.isoformat(),
        "subject": head.commit.subject,
    }
    return json.dumps(
        {
            "head": head and {"ref": head.ref, "newest": head.newest, "kind": head.kind, "problem": head.problem},
            "commit": commit,
            "since": _iso(followed.since),
            "remarks": followed.remarks,
            "unreached": followed.unreached,
            "unreached_since": _iso(followed.unreached_since),
        }
    )


def from_text(text: str) -> Followed:
    """What `to_text` wrote; nothing where nothing was written, or another release wrote something else."""
    try:
        found = json.loads(text)
        head = found["head"] and Head(commit=_commit(found["commit"]), **found["head"])
        since, unreached_since = _time(found["since"]), _time(found["unreached_since"])
        return Followed(head, since, tuple(found["remarks"]), found["unreached"], unreached_since)
    except (ValueError, KeyError, TypeError):
        return NOTHING


def _commit(found: dict[str, str]) -> Commit:
    return Commit(found["id"], found["author"], datetime.fromisoformat(found["at"]), found["subject"])


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def is_behind(followed: Followed) -> bool:
    """Whether there is, or may be, a newer commit than the one that is read."""
    return bool(followed.unreached or (followed.head and followed.head.kind))


def remarks(followed: Followed) -> tuple[str, ...]:
    """What a person has to know of it, a sentence each: which commit is read, and why that may not be the newest."""
    found = []
    if followed.head is not None:
        head, since = followed.head, f" since {moment(followed.since)}" if followed.since else ""
        found.append(f"reads commit {named(head.commit)} of {head.ref}{since}")
    found += followed.remarks
    if followed.unreached:
        since = f" since {moment(followed.unreached_since)}" if followed.unreached_since else ""
        found.append(f"nothing can be fetched{since}, the last commit stays in force: {followed.unreached}")
    return tuple(found)


def named(commit: Commit) -> str:
    """A commit for people: "1f2e3d4 (Ann: Raise throttle)"."""
    subject = commit.subject
    subject = subject if len(subject) <= _LONGEST_SUBJECT else f"{subject[: _LONGEST_SUBJECT - 1]}…"
    return f"{short(commit.id)} ({commit.author}: {subject})"


def short(commit_id: str) -> str:
    """The first digits of an id."""
    return commit_id[:_DIGITS]
