"""Which commit a ref names now: a local one, or the one that was fetched from a remote."""

import shlex
from collections.abc import Iterator

from reconciler.core.render.words import safe
from reconciler.errors import DesiredStateError
from reconciler.git.refusal import FAILURES
from reconciler.git.repository import Repository
from reconciler.git.settings import GitSettings, fetched_ref, is_commit_id, redacted
from reconciler.git.verdict import RefusedError, has_commit


class Newest:
    """Finds the newest commit.

    Args:
        repository: where to look.
        settings: what to look for.

    Attributes:
        note: what people have to know of the last answer; "" as a rule.
    """

    def __init__(self, repository: Repository, settings: GitSettings) -> None:
        self._repository = repository
        self._settings = settings
        self.note = ""

    def find(self) -> str:
        """Id of the commit that the ref names now.

        Raises:
            RefusedError: it names none that can be read.
        """
        ref = self._settings.ref
        self.note = ""
        if not self._settings.remote or (is_commit_id(ref) and has_commit(self._repository, ref)):
            return self._resolved(ref)
        fetched = fetched_ref(ref)
        name = next((name for name in (fetched, *self._stand_ins()) if _has_ref(self._repository, name)), "")
        if not name:
            raise RefusedError("gone", f"{self._settings} was not fetched yet; {self._by_hand(fetched)}")
        if name != fetched:
            self.note = f"{self._settings} was not fetched yet: {name} of the local repository is followed in its place"
        return self._resolved(name)

    def _stand_ins(self) -> Iterator[str]:
        """What else tells of the remote. Not a branch of a working repository: it may hold work that was not pushed."""
        branch = self._settings.ref.removeprefix("refs/heads/")
        yield f"refs/remotes/{self._settings.remote}/{branch}"
        yield f"refs/tags/{self._settings.ref.removeprefix('refs/tags/')}"
        if self._repository.workdir is None:
            yield "HEAD" if branch == "HEAD" else f"refs/heads/{branch}"

    def _resolved(self, name: str) -> str:
        try:
            return self._repository.resolve(name)
        except DesiredStateError as error:
            kind = "unreadable" if self._is_damaged(name) else "gone"
            raise RefusedError(kind, str(error).removeprefix(f"{self._repository.shown}: ")) from error

    def _is_damaged(self, name: str) -> bool:
        """Whether a ref that leads to no commit is there all the same, or the whole repository is not."""
        repository = self._repository
        if not (repository.git_dir / "HEAD").is_file():
            return True
        try:
            repository.opened.lookup_reference_dwim(name)
        except (KeyError, ValueError):
            return False
        except FAILURES:
            return True
        return True

    def _by_hand(self, fetched: str) -> str:
        where = str(self._repository.workdir or self._repository.git_dir)
        what = ("fetch", redacted(safe(self._settings.remote)), f"+{self._settings.ref}:{fetched}")
        return f"wait for the daemon to do so, or: {shlex.join(('git', '-C', where, *what))}"


def _has_ref(repository: Repository, name: str) -> bool:
    try:
        repository.opened.lookup_reference(name)
    except (KeyError, ValueError):
        return False
    except FAILURES:  # it is damaged
        return True
    return True
