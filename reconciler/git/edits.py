"""Edits in the working tree that are not committed and so are not part of what is followed, in words."""

from collections.abc import Iterator

from reconciler.core.render.words import safe
from reconciler.errors import DesiredStateError
from reconciler.git.program import Git
from reconciler.git.repository import Repository
from reconciler.git.verdict import short

_MOST_NAMES = 5


def remarks(repository: Repository, git: Git, revision: str) -> Iterator[str]:
    """What to say of them: nothing where there are none, or where another commit is checked out.

    Args:
        repository: whose working tree it is.
        git: tells what differs; that takes some 60 ms with 10,000 tasks.
        revision: id of the commit that is followed.
    """
    if not _is_checked_out(repository, revision):
        return
    try:
        names = git.uncommitted()
    except DesiredStateError as error:
        yield f"whether there are edits that are not committed cannot be told: {error}"
        return
    if names:
        number = "1 file that differs" if len(names) == 1 else f"{len(names)} files that differ"
        also = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        listed = ", ".join(safe(name) for name in names[:_MOST_NAMES])
        where = f"from commit {short(revision)} in the working tree"
        yield f"{number} {where}, not committed and so not looked at: {listed}{also}"


def _is_checked_out(repository: Repository, revision: str) -> bool:
    try:
        return repository.workdir is not None and repository.resolve("HEAD") == revision
    except DesiredStateError:
        return False
