"""One commit's tree for a comparison with another one: single files can be read without the rest of their task."""

from reconciler.git.listing import Kind, items_of
from reconciler.git.refusal import FAILURES
from reconciler.git.repository import Repository
from reconciler.git.tree import CommitTree


class ComparedTree(CommitTree):
    """One side of a comparison; implements `compare.Tree`. For the arguments see `CommitTree`."""

    def __init__(
        self,
        repository: Repository,
        commit_id: str,
        shown: str | None = None,
        before: CommitTree | None = None,
    ) -> None:
        super().__init__(repository, commit_id, shown, before)
        self._repository = repository

    def content(self, name: str, file: str) -> bytes | None:
        """One of the files of a task; None when there is none of that name that can be read.

        Raises:
            DesiredStateError: the task's folder cannot be listed any more.
        """
        seen = self.seen[name]
        kind, found = items_of(self._repository, seen.tree).get(file, (None, None)) if seen.tree else (None, None)
        if kind is Kind.LINK:
            return self.look.read(name, seen).files.get(file)
        if kind is not Kind.FILE or found is None:
            return None
        try:
            return bytes(self._repository.opened[found].read_raw())
        except FAILURES:
            return None


def has_folder(repository: Repository, commit_id: str) -> bool:
    """Whether a commit has something where the desired state is to be, whatever it is.

    Raises:
        DesiredStateError: the commit cannot be read.
    """
    tree = repository.lookup(commit_id).tree_id
    for part in repository.folder.split("/") if repository.folder else ():
        kind, found = items_of(repository, tree).get(part, (None, tree))
        if kind is not Kind.FOLDER:
            return kind is not None
        tree = found
    return True
