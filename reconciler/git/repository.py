"""Opens a repository and answers questions about its commits, with pygit2: no program is run, nothing is written.

What libgit2 says is turned into our errors here and nowhere else. An object is looked for again in packs that came
since, so a repository may be repacked, collected and fetched into while it is open.
"""

import os
from datetime import UTC, datetime, timedelta, timezone
from difflib import get_close_matches
from pathlib import Path
from typing import Self

import pygit2
from pygit2.enums import RepositoryOpenFlag

from reconciler.core.render.words import safe
from reconciler.errors import DesiredStateError
from reconciler.git.refusal import FAILURES, reason, refusal
from reconciler.model import Commit

_EARLIEST = -62_135_510_400  # 0001-01-02 and 9999-12-30, seconds since 1970: the same day in every time zone
_LATEST = 253_402_128_000
_DAY_MIN = 24 * 60

RENEW_S = 120.0
"""How long to keep a repository open: libgit2 lets go of no pack that it ever read, though a repack has removed it."""

pygit2.settings.cache_max_size(8 << 20)  # bytes of small objects, in all repositories; libgit2 would keep 256 MiB


class Repository:
    """A repository, and the folder of its trees that holds the desired state.

    Args:
        opened: the repository.
        folder: path below the root of each tree, "/" between folders; "" is the root itself.
        shown: the directory as the user wrote it, for messages.
    """

    def __init__(self, opened: pygit2.Repository, folder: str, shown: str) -> None:
        self.opened = opened
        self.folder = folder
        self.shown = shown

    @classmethod
    def discover(cls, path: Path) -> Self:
        """Find the repository that *path* lies in: a folder of a working tree, or of the trees of a bare repository.

        The folder need not exist on disk: `/srv/config.git/desired_state` is that folder in each commit of the bare
        repository `/srv/config.git`. A link on the way that is part of the repository is followed in each commit, any
        other one on the disk.

        Raises:
            DesiredStateError: there is none, or it belongs to somebody whom git was not told to trust.
        """
        real = os.path.realpath(path)
        place = next(above for above in (Path(real), *Path(real).parents) if os.path.isdir(above))  # noqa: PTH112 - never raises
        try:
            opened = pygit2.Repository(str(place), RepositoryOpenFlag.DEFAULT)
        except FAILURES as error:
            raise refusal(path, place, error) from error
        return cls(opened, _folder(opened, path, Path(real)), str(path))

    def renew(self) -> None:
        """Open it anew; what was read before stays valid, and is let go of when nobody has it any more.

        Raises:
            DesiredStateError: that cannot be done now; it stays open as it is.
        """
        try:
            self.opened = pygit2.Repository(self.opened.path, RepositoryOpenFlag.NO_SEARCH)
        except FAILURES as error:
            raise refusal(Path(self.shown), self.git_dir, error) from error

    @property
    def git_dir(self) -> Path:
        """Where HEAD of this working tree is."""
        return Path(self.opened.path)

    @property
    def workdir(self) -> Path | None:
        """The working tree; None when the repository is bare."""
        return Path(self.opened.workdir) if self.opened.workdir else None

    @property
    def is_shallow(self) -> bool:
        """Whether older commits are missing because they were not fetched."""
        return self.opened.is_shallow

    def resolve(self, ref: str) -> str:
        """Id of the commit that a name stands for.

        Args:
            ref: a branch, a tag, an id or its beginning, or anything else that git takes for a commit: "main~2".

        Raises:
            DesiredStateError: it stands for none, or for one that is missing.
        """
        if "\0" in ref:  # where libgit2 would stop reading
            raise self._no_commit(ref, "found nothing of that name")
        try:
            found = self.opened.revparse_single(ref)
        except FAILURES as error:
            raise self._no_commit(ref, self._absence(ref, error)) from error
        try:
            return str(found.peel(pygit2.Commit).id)
        except FAILURES as error:
            raise self._no_commit(ref, f"found a {_untagged(found).type_str}") from error

    def _no_commit(self, ref: str, found: str) -> DesiredStateError:
        return DesiredStateError(
            f'{self.shown}: "{safe(ref)}" names no commit of this repository: '
            f"expected a branch, a tag or a commit, {found}"
        )

    def _absence(self, ref: str, error: Exception) -> str:
        if isinstance(error, pygit2.AmbiguousError):
            return "found the beginning of several ids (or too short a one): write more of it"
        if not isinstance(error, KeyError):
            return f"found what git cannot make out: {reason(error)}"
        if self.opened.head_is_unborn and ref in ("HEAD", self._unborn_branch()):
            return f'found branch "{safe(self._unborn_branch())}", which has no commit yet: make the first one'
        if ref in self._names():
            return 'found a name for an object that is missing: "git fsck" says what else is; fetch it again'
        close = get_close_matches(ref, self._names(), n=1)
        hint = f'; did you mean "{safe(close[0])}"?' if close else ""
        depth = "; older commits are missing here: git fetch --unshallow" if self.is_shallow else ""
        return f"found nothing of that name{hint}{depth}"

    def _unborn_branch(self) -> str:
        return str(self.opened.lookup_reference("HEAD").target).removeprefix("refs/heads/")

    def _names(self) -> list[str]:
        try:
            names = list(self.opened.references)
        except FAILURES:  # the names are for a hint only
            return []
        return [*names, *(name.split("/", 2)[2] for name in names if name.count("/") > 1)]

    def lookup(self, commit_id: str) -> pygit2.Commit:
        """One commit.

        Raises:
            DesiredStateError: it cannot be read.
        """
        try:
            return self.opened[commit_id].peel(pygit2.Commit)
        except FAILURES as error:
            raise self.damaged("commit", commit_id, error) from error

    def damaged(self, kind: str, object_id: object, error: Exception) -> DesiredStateError:
        """What to say of an object that cannot be read and that everything depends on."""
        return DesiredStateError(
            f"{self.shown}: {kind} {safe(str(object_id))} cannot be read: {reason(error)}; "
            f'"git -C {self.git_dir} fsck" says what else is damaged; fetch it again, or restore the repository'
        )

    def commit(self, commit_id: str) -> Commit:
        """What a report says of a commit.

        Raises:
            DesiredStateError: it cannot be read.
        """
        found = self.lookup(commit_id)
        author, encoding = found.author, _encoding(found)
        subject = _text(found.raw_message, encoding).strip().partition("\n")[0].strip()
        return Commit(str(found.id), _text(author.raw_name, encoding), _date(author), subject)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether a commit is another one, or in its history; False too when the history in between is missing."""
        try:
            first, last = self.lookup(older).id, self.lookup(newer).id
            return first == last or self.opened.descendant_of(last, first)
        except (DesiredStateError, *FAILURES):
            return False

    def have_common_ancestor(self, one: str, other: str) -> bool:
        """Whether two commits have a history in common; False too when it is missing."""
        try:
            return self.opened.merge_base(self.lookup(one).id, self.lookup(other).id) is not None
        except (DesiredStateError, *FAILURES):
            return False


def _folder(opened: pygit2.Repository, path: Path, real: Path) -> str:
    top = Path(os.path.realpath(opened.workdir or opened.path))
    if not real.is_relative_to(top) or ".git" in real.relative_to(top).parts:
        raise DesiredStateError(
            f"{path}: expected a folder of the working tree {top}, found the files that git keeps for itself"
        )
    folder = _written(opened, path, top) or real.relative_to(top)
    return "" if folder == Path() else folder.as_posix()


def _written(opened: pygit2.Repository, path: Path, top: Path) -> Path | None:
    """The path below the top as it is written, if there is a link in it that is part of the repository."""
    ways = [(above, path.absolute().relative_to(above)) for above in path.absolute().parents]
    way = next((below for above, below in ways if os.path.realpath(above) == str(top)), None)
    if way is None or ".." in way.parts:
        return None
    links = [part for part in (way, *way.parents) if (top / part).is_symlink()]
    return way if links and links[-1].as_posix() in opened.index else None


def _untagged(found: pygit2.Object) -> pygit2.Object:
    while isinstance(found, pygit2.Tag):
        found = found.get_object()
    return found


def _encoding(commit: pygit2.Commit) -> str:
    try:
        return commit.message_encoding or "utf-8"
    except UnicodeDecodeError:
        return "utf-8"


def _text(data: bytes, encoding: str) -> str:
    """Text that can be written as UTF-8, whatever the bytes are and whatever the commit says of them."""
    try:
        text = data.decode(encoding, "replace")
    except (LookupError, ValueError):  # an encoding that nobody knows, or that is none for text
        text = data.decode("utf-8", "replace")
    return text.encode("utf-8", "replace").decode("utf-8")


def _date(author: pygit2.Signature) -> datetime:
    offset = author.offset if abs(author.offset) < _DAY_MIN else 0
    zone = timezone(timedelta(minutes=offset)) if offset else UTC
    return datetime.fromtimestamp(min(max(author.time, _EARLIEST), _LATEST), zone)
