"""Whether the newest commit may be followed: where it descends from, and who signed it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.core.render.words import SHORT_COMMIT
from reconciler.errors import DesiredStateError
from reconciler.git.program import Git
from reconciler.git.refusal import FAILURES
from reconciler.git.repository import Repository
from reconciler.git.settings import GitSettings

RETRY_S = 30.0
"""How often to look again at a commit that was refused: a key may have been imported since, an object fetched."""

_ACCEPTED = 12  # digits of a commit id in a command

_TAKES_PUSHES = ("updateinstead", "ignore", "warn", "false", "no", "off", "0")  # git takes them in any case


class RefusedError(Exception):
    """The newest commit is not followed.

    Args:
        kind: see `Head.kind`.
        problem: see `Head.problem`; without the path of the directory in front.
    """

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(problem)
        self.kind = kind
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Verdict:
    """That a commit is refused, so that it need not be found out again at once."""

    base: str
    newest: str
    refused: RefusedError
    until_s: float


class Judge:
    """Refuses commits.

    Args:
        repository: where they are.
        settings: what is asked of them.
        git: checks signatures.
        monotonic: the time, seconds; it decides when to look again at what was refused.
    """

    def __init__(
        self,
        repository: Repository,
        settings: GitSettings,
        git: Git,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._repository = repository
        self._settings = settings
        self._git = git
        self._monotonic = monotonic
        self._is_guarded = bool(settings.remote) or _is_pushed_to(repository, settings.ref)
        self._verdict: _Verdict | None = None
        self._signed = ""  # id of the last commit whose signature was good

    def judge(self, base: str, newest: str) -> None:
        """Return when a commit may be followed. What was followed, or accepted by somebody, is taken as it is.

        Args:
            base: id of the commit followed last; "" when there is none.
            newest: id of the commit to be followed.

        Raises:
            RefusedError: it may not.
        """
        if newest == base:
            return
        known = self._verdict
        if known and (known.base, known.newest) == (base, newest) and self._monotonic() < known.until_s:
            raise known.refused
        try:
            self._judge_ancestry(base, newest)
            self._judge_signature(newest)
        except RefusedError as refused:
            self.remember(base, newest, refused)
            raise

    def remember(self, base: str, newest: str, refused: RefusedError) -> None:
        """Refuse it again for the next `RETRY_S`, without looking at it."""
        self._verdict = _Verdict(base, newest, refused, self._monotonic() + RETRY_S)

    def _judge_ancestry(self, base: str, newest: str) -> None:
        repository = self._repository
        if not base or repository.is_ancestor(base, newest):
            return
        if not has_commit(repository, base):
            if self._is_guarded:
                raise self._rewritten(f"commit {short(base)}, which was followed last, is not here any more", newest)
            return
        if not self._is_related(base, newest):
            what = f"it has nothing in common with commit {short(base)}, which was followed last"
            problem = f"{self._settings} is another history now: {what}; {_accept(newest)}"
            raise RefusedError("unrelated", problem)
        if self._is_guarded:
            cut = " (or what is in between is missing: git fetch --unshallow)" if repository.is_shallow else ""
            what = f"it does not contain commit {short(base)}, which was followed last{cut}"
            raise self._rewritten(what, newest)

    def _is_related(self, base: str, newest: str) -> bool:
        """Whether they have history in common, or nobody can tell, or a first commit was amended."""
        repository = self._repository
        is_first = not self._is_guarded and not repository.lookup(base).parent_ids
        return is_first or repository.is_shallow or repository.have_common_ancestor(base, newest)

    def _rewritten(self, what: str, newest: str) -> RefusedError:
        return RefusedError("rewritten", f"{self._settings} was rewritten: {what}; {_accept(newest)}")

    def _judge_signature(self, newest: str) -> None:
        if not self._settings.require_signed or newest == self._signed:
            return
        why = self._git.verify(newest, self._settings.allowed_signers)
        if why:
            problem = f"commit {short(newest)} has no good signature: {why}. A newer one that has is followed at once"
            raise RefusedError("unsigned", problem)
        self._signed = newest


def _is_pushed_to(repository: Repository, ref: str) -> bool:
    """Whether others decide what the ref names.

    In a bare repository, for the branches that its worktrees share, and where people may push to the branch that is
    checked out.

    Source:
        git-config(1), receive.denyCurrentBranch
    """
    if repository.workdir is None:
        return True
    config = repository.opened.config
    try:
        said = ["", *config.get_multivar("receive.denyCurrentBranch")]
        if str(said[-1]).lower() in _TAKES_PUSHES:
            return True
        return ref != "HEAD" and config.get_bool("core.bare")
    except FAILURES:  # it is not set
        return False


def has_commit(repository: Repository, commit_id: str) -> bool:
    """Whether a commit can be read."""
    try:
        repository.lookup(commit_id)
    except DesiredStateError:
        return False
    return True


def _accept(newest: str) -> str:
    return f"if it is to be followed all the same: reconciler accept {newest[:_ACCEPTED]} --reason TEXT"


def short(commit_id: str) -> str:
    """A commit id in a sentence."""
    return commit_id[:SHORT_COMMIT]
