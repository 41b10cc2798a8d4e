"""Who changed what: the last commit of a task's directory, and the last commit of each value, for reports.

A value's commit is the one that made it what it is to OMS: indenting a file anew, sorting it, writing "8" for 8,
another kind of line end, moving the directory: none of that counts. Nothing here decides what is sent, and whatever is
wrong with the history ends in a remark.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping

from pygit2.enums import FileMode

from reconciler.core.layout import joined
from reconciler.git.history import MissingError
from reconciler.git.repository import RENEW_S, Repository
from reconciler.git.walk import Walk
from reconciler.model import Commit, Origins

MOST_COMMITS = 10_000
"""Commits that are looked at for a report."""

LONGEST_WAIT_S = 1.0
"""How long a call waits for the name of a commit."""

_NO_FOLDER = ("", ".")  # what task files in the desired-state directory itself are called: that is an error

_MAY_BE_TASKS = (FileMode.TREE, FileMode.LINK)

_MOST_WALKS = 64  # that are kept, each for the tasks of one folder at one commit

_SHALLOW = (
    "the history here is shallow: who made older changes is not known; fetch all of it "
    "(git fetch --unshallow; in a pipeline fetch-depth: 0, or GIT_DEPTH: 0)"
)
_MISSING = (
    "a part of the history cannot be read: who changed what before it is not known; "
    "git fsck tells what is missing or damaged"
)


def find(repository: Repository, commit_id: str, wanted: Mapping[str, Collection[str]]) -> Origins:
    """Look up the last commits of tasks and of values, all in one walk through the history.

    Args:
        repository: used by this thread alone for as long as it takes.
        commit_id: where to begin; the answers are this commit and those before it.
        wanted: `{task: Change.path of each value}`; a value may be one that is gone: then who took it away is meant.

    Returns:
        What was found; the remark says why it is not all. What is not in this history at all is not in it either.
    """
    walk = Walk(repository, commit_id)
    for task, places in wanted.items():
        if task not in _NO_FOLDER:
            walk.seek(joined(repository.folder, task), task, places)
    walk.run(MOST_COMMITS)
    ids = {*walk.tasks.values(), *walk.keys.values()}
    commits = {commit: repository.commit(commit) for commit in sorted(ids)}
    return Origins(
        tasks={task: commits[walk.tasks[task]] for task in wanted if task in walk.tasks},
        keys={
            (task, place): commits[walk.keys[task, place]]
            for task, places in wanted.items()
            for place in places
            if (task, place) in walk.keys
        },
        remark=_remark(repository, walk),
    )


def _remark(repository: Repository, walk: Walk) -> str:
    remarks = []
    if walk.has_lost:
        remarks.append(_SHALLOW if repository.is_shallow else _MISSING)
    if not walk.is_done:
        remarks.append(f"only the last {MOST_COMMITS:,} commits were searched for who changed what")
    return "; ".join(remarks)


class LastCommits:
    """Last commits of one task after another, while calls wait for them; for all threads.

    Tasks that lie in one folder are looked for together, and no further than to the one that was asked for: the first
    send of a large fleet walks through the history once, not once a task. A walk that takes too long is interrupted;
    whoever asks next makes it go on.

    Args:
        open_repository: opens the repository for this object alone.
        monotonic: a clock, seconds.
    """

    def __init__(
        self, open_repository: Callable[[], Repository], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._open_repository = open_repository
        self._monotonic = monotonic
        self._repository: Repository | None = None
        self._renew_at = monotonic() + RENEW_S
        self._walks: dict[tuple[str, str], Walk] = {}  # {(commit, folder): walk}
        self._guard = threading.Lock()

    def find(self, commit_id: str, task: str) -> Commit | None:
        """The last commit that touched a task's directory.

        Args:
            commit_id: where to begin.
            task: its name.

        Returns:
            The commit; None when there is none, and when it was not found within LONGEST_WAIT_S.

        Raises:
            DesiredStateError: the repository cannot be opened.
        """
        with self._guard:
            self._let_go()
            self._repository = self._repository or self._open_repository()
            walk = self._walk(self._repository, commit_id, task)
            until = self._monotonic() + LONGEST_WAIT_S
            while task not in walk.tasks and not walk.is_done and self._monotonic() < until:
                walk.step()
            return self._repository.commit(walk.tasks[task]) if task in walk.tasks else None

    def _let_go(self) -> None:
        """Walks have documents of history in them, and an open repository has all packs that it ever read."""
        if self._monotonic() >= self._renew_at:
            self._walks.clear()
            self._repository = None
            self._renew_at = self._monotonic() + RENEW_S

    def _walk(self, repository: Repository, commit_id: str, task: str) -> Walk:
        folder = task.rpartition("/")[0]
        walk = self._walks.pop((commit_id, folder), None) or _walk_of_all(repository, commit_id, folder)
        if walk.head.is_readable:
            self._walks[commit_id, folder] = walk  # at the end: the one that was used longest ago goes first
            while len(self._walks) > _MOST_WALKS:
                del self._walks[next(iter(self._walks))]
        else:  # it may be there the next time, or the repository may be another one
            self._repository = None
        return walk


def _walk_of_all(repository: Repository, commit_id: str, folder: str) -> Walk:
    """A walk for everything that lies in a folder."""
    walk = Walk(repository, commit_id)
    path = walk.real(joined(repository.folder, folder))
    try:
        inside = walk.head.tree(path) or ()
    except MissingError:
        inside = ()
    for entry in inside:
        if entry.name is not None and entry.filemode in _MAY_BE_TASKS:
            walk.seek(joined(path, entry.name), joined(folder, entry.name))
    return walk
