"""Which commit is the desired state, and why it is not a newer one.

A ref says which commit is the newest. It is followed when it passes three tests, else the commit followed last stays:

1. Where others decide what a ref names (a remote, or a bare repository that people push to), it has to descend from
   the commit followed last: a force-push takes nothing back by itself. In a working repository without a remote, reset,
   amend, rebase and checkout are the operator's own doing; only a history that has nothing in common is refused there.
2. With `require_signed` its signature has to be good. Only the newest commit's: whoever signs a commit answers for its
   whole tree. A commit that was followed before is not asked for its signature again.
3. Its trees, and the files that differ from before, can be read.

`reconciler accept` overrides the first: it records a commit as the one followed last.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress

from reconciler.core.render.words import safe
from reconciler.errors import ConfigError, DesiredStateError
from reconciler.git import edits
from reconciler.git.newest import Newest
from reconciler.git.program import Git
from reconciler.git.repository import RENEW_S, Repository
from reconciler.git.settings import GitSettings, is_fetchable
from reconciler.git.tree import CommitEntry, CommitTree
from reconciler.git.verdict import Judge, RefusedError, short
from reconciler.model import Head, RawTask

_DAMAGED = ("unreadable", "a readable file")  # rule and expectation of a file whose object is missing or corrupt


class GitSource:
    """The tree of one commit, and the way to the next; implements `ports.CommitSource`. It belongs to one thread.

    Args:
        repository: where the commits are.
        settings: which of them is wanted.
        last: ref -> id of the commit followed last, "" when none was; None: whatever was read before counts as that.
        uncommitted: whether `remarks` tell of edits that are not committed: it takes git some 60 ms with 10,000 tasks.
        monotonic: the time, seconds; it decides when to look again at what was refused.
        tick: called for every task that a new commit changed, so that somebody can see progress.

    Raises:
        ConfigError: the ref cannot be fetched.
    """

    head: Head
    root: str
    revision: str

    def __init__(
        self,
        repository: Repository,
        settings: GitSettings,
        last: Callable[[str], str] | None = None,
        *,
        uncommitted: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        if settings.remote and not is_fetchable(settings.ref):
            raise ConfigError(
                "desired_state.ref: expected a branch, a tag or a whole commit id, because it is fetched from a remote,"
                f' found "{safe(settings.ref)}"'
            )
        self.repository = repository
        self._settings = settings
        self._last = last
        self._uncommitted = uncommitted
        self._tick = tick
        self._monotonic = monotonic
        self._renew_at = monotonic() + RENEW_S
        self._git = Git(repository)
        self._ref = Newest(repository, settings)
        self._judge = Judge(repository, settings, self._git, monotonic)
        self._tree: CommitTree | None = None
        self.root = repository.shown
        self.revision = ""
        self.remarks: tuple[str, ...] = ()

    # --- reading: of the commit that is followed --------------------------------------------------------------------

    def entries(self, below: str = "") -> Iterator[CommitEntry]:
        """See `ports.Source`."""
        return self._readable().entries(below)

    def entry(self, name: str) -> CommitEntry | None:
        """See `ports.Source`."""
        return self._readable().entry(name)

    def names(self) -> Sequence[str]:
        """See `ports.Source`."""
        return self._readable().names()

    def tasks(self) -> Iterator[RawTask]:
        """See `ports.Source`."""
        return self._readable().tasks()

    def _readable(self) -> CommitTree:
        if self._tree is None:
            raise DesiredStateError(f"{self.root}: no commit was taken up yet")
        return self._tree

    # --- following --------------------------------------------------------------------------------------------------

    def advance(self) -> frozenset[str] | None:
        """Move to the newest commit that may be followed; see `ports.CommitSource`.

        Raises:
            DesiredStateError: there is no commit that can be read, not even the one that was followed last.
            StateStoreError: which one was followed last cannot be told.
        """
        self._renew()
        base = (self._last(self._settings.ref) if self._last else "") or self.revision
        newest = ""
        try:
            newest = self._ref.find()
            self._judge.judge(base, newest)
            changed = self._move(base, newest)
        except RefusedError as refused:
            changed = self._stay(base, newest, refused)
        self.remarks = (*self._readable().remarks, *self._remarks())
        return changed

    def _renew(self) -> None:
        if self._monotonic() >= self._renew_at:
            self._renew_at = self._monotonic() + RENEW_S
            with suppress(DesiredStateError):  # what is wrong with it is found when it is read
                self.repository.renew()

    # --- moving -----------------------------------------------------------------------------------------------------

    def _move(self, base: str, newest: str) -> frozenset[str] | None:
        if self._tree is not None and self._tree.revision == newest:
            changed: frozenset[str] | None = frozenset()
        else:
            changed = self._take(self._tested(base, newest))
        self.head = Head(self._settings.ref, self.head.commit)
        return changed

    def _tested(self, base: str, newest: str) -> CommitTree:
        """The tree of a commit, after all that differs from before was read."""
        before = self._tree or self._tree_of_last(base, newest)
        try:
            tree = CommitTree(self.repository, newest, before=before)
            self.repository.commit(newest)
            damage = _damage(tree, tree.differences(before), self._tick) if before and newest != base else ""
        except DesiredStateError as error:
            damage = self._said(error)
        if damage:
            refused = RefusedError("unreadable", damage)
            self._judge.remember(base, newest, refused)
            raise refused
        return tree

    def _tree_of_last(self, base: str, newest: str) -> CommitTree | None:
        """To compare with. Without it, files that cannot be read are no more than faults of their tasks."""
        if base in ("", newest):
            return None
        try:
            return CommitTree(self.repository, base)
        except DesiredStateError:
            return None

    def _take(self, tree: CommitTree) -> frozenset[str] | None:
        changed = tree.differences(self._tree) if self._tree else None
        self.head = Head(self._settings.ref, self.repository.commit(tree.revision))
        self._tree = tree
        self.revision = tree.revision
        return changed

    def _stay(self, base: str, newest: str, refused: RefusedError) -> frozenset[str] | None:
        """Go on with the commit followed last.

        Raises:
            DesiredStateError: it cannot be read either, or there is none.
        """
        changed: frozenset[str] | None = frozenset()
        if not base:
            raise DesiredStateError(f"{self.root}: {refused.problem}")
        if self.revision != base:
            try:
                changed = self._take(CommitTree(self.repository, base, before=self._tree))
            except DesiredStateError as error:
                if self._tree is None:
                    both = f"{refused.problem}. Nor can that one be read: {self._said(error)}"
                    raise DesiredStateError(f"{self.root}: {both}") from error
        self.head = Head(self._settings.ref, self.head.commit, newest, refused.kind, refused.problem)
        return changed

    def _said(self, error: DesiredStateError) -> str:
        return str(error).removeprefix(f"{self.root}: ")

    # --- what is said -----------------------------------------------------------------------------------------------

    def _remarks(self) -> Iterator[str]:
        head = self.head
        if head.kind:
            newest = f"the newest, {short(head.newest)}, is not followed" if head.newest else "there is no newer one"
            yield f"commit {short(head.commit.id)} of {self._settings} stays in force; {newest}: {head.problem}"
        if self._ref.note:
            yield self._ref.note
        if self._uncommitted:
            yield from edits.remarks(self.repository, self._git, self.revision)


def _damage(tree: CommitTree, names: Collection[str], tick: Callable[[], None]) -> str:
    """The first file of these tasks whose object cannot be read; "" when all can."""
    for entry in (entry for name in sorted(names) if (entry := tree.entry(name))):
        tick()
        for violation in entry.read().violations:
            if (violation.rule, violation.expected) == _DAMAGED:
                where = f"{violation.file} of commit {short(tree.revision)}"
                return f"{where} cannot be read: {violation.found}. {violation.suggestion}"
    return ""
