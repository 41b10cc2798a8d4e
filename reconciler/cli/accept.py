"""`reconciler accept`: follows a commit although the history was rewritten. A short transaction, and no call."""

import re
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import Session, pass_session, say
from reconciler.core.heads import named, short
from reconciler.errors import DesiredStateError

if TYPE_CHECKING:
    from reconciler.config import Settings
    from reconciler.model import Head
    from reconciler.state.sqlite import SqliteStore

_ACCEPTABLE = ("rewritten", "unrelated")
_DIGITS = re.compile(r"[0-9a-f]{7,64}", re.IGNORECASE)


@click.command()
@click.argument("commit")
@click.option("--reason", required=True, metavar="TEXT", help="Why; goes to the journal.")
@pass_session
def accept(session: Session, commit: str, reason: str) -> int:
    """Follow a commit although the history was rewritten.

    After a force-push, or where two histories have nothing in common, the last commit stays in force until somebody
    says that the new one is meant. COMMIT is the first 7 or more digits of the id of the commit that the ref names now,
    as status shows it. Calls nothing itself: the daemon, or the next apply, then compares with the new commit.

    A commit without a good signature, or one that cannot be read, is not followed whoever says so.
    """
    from reconciler import wiring
    from reconciler.cli.view import daemon_of

    settings = session.settings()
    if settings.git is None:
        raise click.UsageError(
            'desired_state.source is "directory": its files are read as they are, there is no commit'
        )
    if not _DIGITS.fullmatch(commit):
        raise click.UsageError(f'COMMIT: expected 7 or more hexadecimal digits of a commit id, found "{commit}"')
    if not reason.strip():
        raise click.UsageError("--reason: expected a text that says why, found none")
    with closing(wiring.open_store(settings, read_only=False)) as store:
        last = store.head(settings.git.ref)
        head, followed = _place(settings, last, store)
        if not head.kind and _is(commit, head.commit.id):
            say(f"{named(head.commit)} is followed already: nothing to accept")
            return 0
        _check(head, commit)
        meant = wiring.commits(settings).head  # as if nothing had been followed before
        if meant.commit.id != head.newest:
            raise DesiredStateError(f"{head.ref} moved meanwhile, to {short(meant.commit.id)}: look at that one")
        if store.head(head.ref) != last:
            raise DesiredStateError(f"the daemon followed another commit of {head.ref} meanwhile: see status")
        store.set_head(head.ref, head.newest, reason.strip())
        follows = "the daemon compares with it now" if daemon_of(store) else "the next apply compares with it"
    say(f"accepted {named(meant.commit)} in place of {followed}; {follows}")
    say("reconciler plan shows what it changes")
    return 0


def _place(settings: "Settings", last: str, store: "SqliteStore") -> "tuple[Head, str]":
    """Where the ref stands; and the commit followed last in words, no more than its id if it cannot be read.

    Raises:
        DesiredStateError: the ref names no commit that could be followed, whatever was followed before.
    """
    from reconciler import wiring

    try:
        head = wiring.commits(settings, store).head
    except DesiredStateError:
        if not last:
            raise
        meant = wiring.commits(settings).head
        return replace(meant, newest=meant.commit.id, kind="rewritten"), f"{short(last)}, which cannot be read any more"
    return head, named(head.commit)


def _check(head: "Head", commit: str) -> None:
    """Only what the ref names now can be accepted, and only in spite of its history.

    Raises:
        DesiredStateError: it is something else.
    """
    newest = head.newest or ("" if head.kind else head.commit.id)
    if not newest:
        raise DesiredStateError(f"{head.ref} names no commit now, so none can be accepted: {head.problem}")
    if not _is(commit, newest):
        raise DesiredStateError(
            f"{commit} is not what {head.ref} names now, which is {short(newest)}: look at that one, then accept it"
        )
    if head.kind not in _ACCEPTABLE:
        raise DesiredStateError(f"{short(newest)} cannot be accepted, its history is not what is wrong: {head.problem}")


def _is(given: str, commit_id: str) -> bool:
    return commit_id.startswith(given.lower())
