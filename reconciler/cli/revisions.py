"""Two commits to be compared, as `plan --rev` names them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from reconciler.errors import DesiredStateError

if TYPE_CHECKING:
    from reconciler.config import Settings
    from reconciler.git.compared import ComparedTree
    from reconciler.git.repository import Repository

_EMPTY_TREES = (
    "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
)
"""What git calls a tree with nothing in it, in repositories of SHA-1 and of SHA-256: `git diff` takes them as well."""

_DIGITS = 7  # of a commit's id, for people
_DEEPER = (
    "older commits are missing in this shallow clone: git fetch --unshallow, or fetch-depth: 0 (GitHub Actions),"
    " GIT_DEPTH: 0 (GitLab CI) in a pipeline"
)


@dataclass(frozen=True, slots=True)
class Revisions:
    """The trees of two commits of one repository."""

    before: "ComparedTree | None"  # None: nothing at all
    after: "ComparedTree"

    @property
    def title(self) -> str:
        """Above a report on them."""
        old = self.before.revision[:_DIGITS] if self.before else "nothing"
        return f"What {self.after.revision[:_DIGITS]} changes against {old}, by the files alone"


def parse(text: str) -> tuple[str, str, bool]:
    """Read `A..B`, or `A...B`; a side that is left out is HEAD.

    Returns:
        Both sides, and whether B is to be compared with what it has in common with A.

    Raises:
        click.UsageError: it is neither.
    """
    for dots in ("...", ".."):
        before, found, after = text.partition(dots)
        if found and ".." not in after and not after.startswith("."):
            return before or "HEAD", after or "HEAD", dots == "..."
    raise click.UsageError(f'--rev: expected A..B or A...B, such as main...HEAD, found "{text}"')


def find(settings: "Settings", text: str) -> Revisions:
    """The two commits that `--rev` means, of the repository that holds the desired state.

    Raises:
        click.UsageError: the text is wrong, or names no commits.
        DesiredStateError: there is no repository, or one of the commits cannot be read.
    """
    from reconciler.git.compared import ComparedTree, has_folder
    from reconciler.git.repository import Repository

    old, new, since_common = parse(text)
    repository = Repository.discover(settings.desired_state)
    shown = str(settings.desired_state)
    after = _resolved(repository, text, new)
    before = "" if old in _EMPTY_TREES else _resolved(repository, text, old)
    if before and since_common:
        before = _common(repository, text, before, after)
    base = ComparedTree(repository, before, shown) if before and has_folder(repository, before) else None
    return Revisions(base, ComparedTree(repository, after, shown, base))


def _resolved(repository: "Repository", text: str, ref: str) -> str:
    try:
        return repository.resolve(ref)
    except DesiredStateError as error:
        raise click.UsageError(f"--rev {text}: {error}{_hint(repository)}") from None


def _hint(repository: "Repository") -> str:
    return f". {_DEEPER[0].upper()}{_DEEPER[1:]}" if repository.is_shallow else ""


def _common(repository: "Repository", text: str, one: str, other: str) -> str:
    """The commit that both have in common; where there are several of the same right, one of them, as git does."""
    from reconciler.git.refusal import FAILURES

    try:
        found: Any = repository.opened.merge_base(one, other)  # None where there is none, whatever its annotation says
    except FAILURES as error:
        raise repository.damaged("a commit that leads to", other, error) from error
    if found is None:
        why = _DEEPER if repository.is_shallow else "they have no commit in common; A..B compares them all the same"
        raise click.UsageError(f"--rev {text}: {why}")
    return str(found)
