"""What an operator says about a reset that the program cannot know the end of, and what follows from it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.core.ledger import title
from reconciler.core.status import moment
from reconciler.model import ResetEntry, Stage


@dataclass(frozen=True, slots=True)
class Question:
    """A reset that something may be said about."""

    entry: ResetEntry  # its row of the ledger; where there is none yet, as its reset.json declares it
    known: Stage | None  # stage of its row; None: there is none
    declared: bool  # a reset.json asks for it


@dataclass(frozen=True, slots=True)
class Verdict:
    """The row as it is to be written, if its stage is still the one that was known."""

    entry: ResetEntry
    known: Stage | None
    follows: str  # what comes next, for people


_OPEN = ((Stage.UNKNOWN,), (Stage.PERHAPS_SENT, None))
_AFTER_SENT = {
    None: Stage.DONE,
    Stage.PERHAPS_SENT: Stage.DONE,
    Stage.PENDING: Stage.DONE,
    Stage.UNKNOWN: Stage.ACCEPTED,
    # What the ledger of a restored backup says may be older than the call
    Stage.STOPPING: Stage.ACCEPTED,
    Stage.RETURNING: Stage.ACCEPTED,
    Stage.REFUSED: Stage.DONE,
}
_AFTER_NOT_SENT = {
    None: Stage.PENDING,
    Stage.PERHAPS_SENT: Stage.PENDING,
    Stage.REFUSED: Stage.PENDING,
    Stage.UNKNOWN: Stage.REFUSED,
}


def meant(questions: Iterable[Question]) -> tuple[Question, ...]:
    """Those of a task's resets that somebody means who names none: what has to be answered first.

    Returns:
        One; more when they are equally likely; () of none.
    """
    every = tuple(questions)
    for stages in _OPEN:
        found = tuple(question for question in every if question.known in stages)
        if found:
            return found
    declared = tuple(question for question in every if question.declared)
    return declared or tuple(sorted(every, key=lambda question: question.entry.since)[-1:])


def judge(question: Question, *, sent: bool, who: str, reason: str, now: datetime) -> Verdict | str:
    """What follows when somebody says that a reset was sent, or was not.

    Args:
        question: the reset.
        sent: what they say.
        who: their account.
        reason: how they know.
        now: aware.

    Returns:
        The verdict; or why there is nothing to say, as a sentence.
    """
    stage = (_AFTER_SENT if sent else _AFTER_NOT_SENT).get(question.known)
    if stage is None:
        return _nothing_to_say(question.entry)
    entry = question.entry
    if stage is Stage.REFUSED and entry.stopped:
        stage = Stage.RETURNING
    if stage is Stage.PENDING:  # it begins anew
        entry = replace(entry, stopped=False, position_before=None, plan="", ticket=None, request_id=None)
    why = f"{who} says that it was {'' if sent else 'not '}sent: {reason}"
    return Verdict(replace(entry, stage=stage, since=now, reason=why), question.known, _follows(entry, stage))


def _follows(entry: ResetEntry, stage: Stage) -> str:
    if stage is Stage.ACCEPTED:
        resumed = ", then the project is told to go on" if entry.stopped else ""
        return f"its position is looked at{resumed}"
    if stage is Stage.RETURNING:
        return "the project is told to go on without it"
    if stage is Stage.REFUSED:
        return "nothing is called; --not-sent once more lets it be tried again"
    return "it is never sent" if stage is Stage.DONE else "it is sent once it is approved"


def _nothing_to_say(entry: ResetEntry) -> str:
    name = title(entry.key)
    if entry.stage.is_under_way:
        return (
            f"{name} is under way ({entry.stage.value}): the daemon, or the next apply, goes on with it, and asks when"
            " somebody has to say how it ended"
        )
    if entry.stage is Stage.DONE:
        return f"{name} was carried out at {moment(entry.since)}; to move the link again, give another request a name"
    if entry.stage is Stage.UNCONFIRMED:
        return (
            f"{name} was accepted, and not seen at its new position until {moment(entry.since)}: look at the link in"
            " the console; nothing is waited for, and it is never sent again"
        )
    return f"{name} counts as not sent already: {entry.reason or 'it waits'}"
