"""What is fetched, for whoever does so again and again in a thread of its own."""

from pathlib import Path

from reconciler.git.process import Programs
from reconciler.git.program import FETCH_S, Git
from reconciler.git.repository import Repository
from reconciler.git.settings import GitSettings


class Remote:
    """One ref of a remote repository.

    The local repository is opened for each fetch: it may be replaced meanwhile, and pygit2's objects belong to one
    thread.

    Args:
        folder: the desired-state folder, in the local repository.
        settings: which remote, which ref.
        timeout_s: the most that a fetch may take, seconds.
    """

    def __init__(self, folder: Path, settings: GitSettings, *, timeout_s: float = FETCH_S) -> None:
        self._folder = folder
        self._settings = settings
        self._timeout_s = timeout_s
        self._programs = Programs()

    def fetch(self) -> None:
        """Bring what is new into the local repository; see `Git.fetch`.

        Raises:
            DesiredStateError: that was not possible; one line, without credentials, with what to do.
        """
        git = Git(Repository.discover(self._folder), programs=self._programs)
        git.fetch(self._settings.remote, self._settings.ref, timeout_s=self._timeout_s)

    def stop(self) -> None:
        """End a fetch that is under way, from another thread; begin none any more."""
        self._programs.stop()
