"""Revisions of the journal, as people name them: by the beginning of an id, or as git names commits."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from reconciler.core.status import moment as time_text
from reconciler.errors import DesiredStateError
from reconciler.ports import Moment, Wanted

if TYPE_CHECKING:
    from reconciler.config import Settings
    from reconciler.git.repository import Repository
    from reconciler.model import JournalEntry
    from reconciler.state.sqlite import SqliteStore

_SHORTEST = 4  # digits of an id that name it, as for git: fewer are more likely a name
_MOST = 5  # revisions that a message names
_DIGITS = 12  # of an id in a table
_ROWS = 200  # of the journal, in which the newest is looked for that made a revision current
_CURRENT = ("head", "intent", "adopt")  # kinds of such rows
_HEX = re.compile(r"[0-9a-fA-F]+")


def revision(settings: "Settings", store: "SqliteStore", option: str, text: str) -> str:
    """The revision that a text means: one of the journal, else a commit of the repository.

    Args:
        settings: say where the repository is, if there is one.
        store: knows the journal.
        option: named in messages.
        text: a revision or its beginning, or what git takes for a commit, such as `HEAD~1` or a tag.

    Raises:
        click.UsageError: it means none, or several.
    """
    found = _in_journal(store, text)
    if text in found or len(found) == 1:
        return text if text in found else found[0]
    if found:
        named = ", ".join(found[:_MOST])
        raise click.UsageError(
            f'{option}: expected the beginning of one revision, "{text}" is that of several: {named}'
        )
    return _in_repository(settings, store, option, text)


def moment(settings: "Settings", store: "SqliteStore", option: str, text: str) -> Moment:
    """When the revision that a text means was the current one; for the arguments see `revision`.

    Raises:
        click.UsageError: it means none, or several, or one that never was, as far as the journal is kept.
    """
    named = revision(settings, store, option, text)
    found = store.moment(named)
    if found is None:
        meant = f'"{text}"' if named.startswith(text) else f'"{text}" ({short(named)})'
        raise click.UsageError(
            f"{option}: the journal does not tell of a time in which {meant} was the current revision; "
            f"{_with(settings, store, named) or _newest(store)}"
        )
    return found


def short(named: str) -> str:
    """A revision for a table: of a commit enough digits to be found again by."""
    return named[:_DIGITS] if _HEX.fullmatch(named) else named


def _in_journal(store: "SqliteStore", text: str) -> tuple[str, ...]:
    if len(text) < _SHORTEST:
        return ()
    digests = store.revisions(f"sha256:{text}", _MOST) if _HEX.fullmatch(text) else ()
    return (*store.revisions(text, _MOST), *digests)


def _in_repository(settings: "Settings", store: "SqliteStore", option: str, text: str) -> str:
    problem = f'{option}: no revision of the journal begins with "{text}"'
    if settings.git is None:
        raise click.UsageError(f"{problem}; {_alike(store, text)}")
    try:
        return _repository(settings).resolve(text)
    except DesiredStateError as error:
        raise click.UsageError(f"{problem}; {_alike(store, text)}. {error}") from None


def _repository(settings: "Settings") -> "Repository":
    from reconciler.git.repository import Repository

    return Repository.discover(settings.desired_state)


def _alike(store: "SqliteStore", text: str) -> str:
    """The revision that has the longest beginning in common with a text, else the newest."""
    for digits in range(len(text) - 1, _SHORTEST - 1, -1):
        found = _in_journal(store, text[:digits])
        if found:
            return f'the nearest is "{found[0]}"'
    return _newest(store)


def _with(settings: "Settings", store: "SqliteStore", named: str) -> str:
    """The commit that brought another one with it: several that arrive together are followed as one; "" for none."""
    if settings.git is None:
        return ""
    try:
        repository = _repository(settings)
        made = repository.commit(named).at
    except DesiredStateError:  # the journal remembers commits that the repository has dropped
        return ""
    before = store.search(Wanted(until=made, limit=1))
    for row in _making_current(store.rows_after(before[0][0].sequence if before else 0)):
        if repository.is_ancestor(named, row.revision):
            return f'it came with "{row.revision}", {time_text(row.at)}'
    return ""


def _newest(store: "SqliteStore") -> str:
    row = next(_making_current(entry for entry, _ in store.search(Wanted(limit=_ROWS))), None)
    return f'the newest is "{row.revision}", {time_text(row.at)}' if row else "nothing was done yet"


def _making_current(rows: "Iterable[JournalEntry]") -> "Iterator[JournalEntry]":
    return (row for row in rows if row.kind in _CURRENT and row.revision)
