"""What lies in the trees of a commit, remembered from one commit to the next.

A tree whose id was seen at the same place in the commit before is not opened again, nor anything below it: a look at a
new commit costs the folders on the way to what changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from typing import TypeAlias

import pygit2
from pygit2.enums import FileMode, ObjectType

from reconciler.core.layout import Folder, is_hidden, is_leftover, is_task_file, ordered
from reconciler.git.refusal import FAILURES
from reconciler.git.repository import Repository


class Kind(Enum):
    """What an entry of a tree is; whether a file may be executed says nothing here."""

    FILE = "file"
    LINK = "link"
    FOLDER = "folder"
    MODULE = "submodule"


Items: TypeAlias = Mapping[str, tuple[Kind, pygit2.Oid]]
"""`{name: (kind, object id)}` of one tree."""

Parts: TypeAlias = tuple[str, ...]
"""Names of a folder and of those above it, from the root of a commit's tree on, none of them a link."""

_KINDS = {ObjectType.TREE: Kind.FOLDER, ObjectType.COMMIT: Kind.MODULE}


@dataclass(frozen=True, slots=True)
class Seen:
    """A task as a commit has it."""

    stamp: bytes
    tree: pygit2.Oid | None  # of its folder; None when that cannot be listed
    real: Parts = ()  # where the folder is; told only when links matter to it
    problem: str = ""  # what keeps the folder from being listed


@dataclass(slots=True)
class Node:
    """One folder of the tree."""

    id: pygit2.Oid
    seen: Seen | None = None  # the task that it is; None too when its links decide about that
    folders: Mapping[str, "Node"] = field(default_factory=dict)  # those that a walk enters
    links: Parts = ()  # names of its links
    modules: Parts = ()  # names of its submodules
    is_plain: bool = True  # neither links nor submodules, in it or below


def items_of(repository: Repository, tree: pygit2.Oid) -> Items:
    """What a tree object holds.

    Raises:
        DesiredStateError: it cannot be read.
    """
    try:
        found = repository.opened[tree].peel(pygit2.Tree)
        items = {_text(entry.raw_name): (_kind(entry), entry.id) for entry in found}
    except FAILURES as error:
        raise repository.damaged("tree", tree, error) from error
    if "/" in "".join(items):
        raise repository.damaged("tree", tree, ValueError('it holds a name with "/"'))
    return items


def _text(name: bytes | None) -> str:
    return (name or b"").decode("utf-8", "surrogateescape")


def _kind(entry: pygit2.Object) -> Kind:
    found = _KINDS.get(entry.type)
    return found or (Kind.LINK if entry.filemode == FileMode.LINK else Kind.FILE)  # asking for the mode is slow


def grow(repository: Repository, tree: pygit2.Oid, before: Node | None = None) -> Node:
    """List a folder and everything below it.

    Args:
        repository: holds the objects.
        tree: id of the folder's tree.
        before: the same folder in a commit looked at before.

    Raises:
        DesiredStateError: a tree cannot be read.
    """
    if before is not None and before.id == tree:
        return before
    top = Node(tree)
    waiting: list[tuple[Node, Node | None]] = [(top, before)]
    grown = []
    while waiting:
        node, old = waiting.pop()
        waiting.extend(_fill(repository, node, old))
        grown.append(node)
    for node in reversed(grown):
        node.is_plain = node.is_plain and all(below.is_plain for below in node.folders.values())
    return top


def _fill(repository: Repository, node: Node, before: Node | None) -> list[tuple[Node, Node | None]]:
    """List one folder; returns those below it that are new or changed."""
    items = items_of(repository, node.id)
    known = before.folders if before else {}
    folders: dict[str, Node] = {}
    changed: list[tuple[Node, Node | None]] = []
    links, modules = [], []
    for name, (kind, found) in items.items():
        if kind is Kind.FILE or is_hidden(name):
            continue
        if kind is Kind.LINK:
            links.append(name)
        elif not is_task_file(name):
            old = known.get(name)
            if kind is Kind.MODULE:
                modules.append(name)
            elif old is not None and old.id == found:
                folders[name] = old
            else:
                folders[name] = Node(found)
                changed.append((folders[name], old))
    node.folders, node.links, node.modules = folders, tuple(links), tuple(modules)
    node.is_plain = not links and not modules
    if not links and ordered(items):
        node.seen = Seen(stamp_of(folder_of("", items), items, {}), node.id)
    return changed


def folder_of(task: str, items: Items, is_folder: Callable[[str], bool] = lambda _: False) -> Folder:
    """What a folder is by the rules of the desired state.

    Args:
        task: name of the folder.
        items: what it holds.
        is_folder: whether one of its links leads to a folder, or to where nobody can tell.
    """

    def may_be_meant(name: str, kind: Kind) -> bool:
        if is_hidden(name) or is_task_file(name) or is_leftover(name):
            return False
        return kind is Kind.FILE or (kind is Kind.LINK and not is_folder(name))

    others = sorted(name for name, (kind, _) in items.items() if may_be_meant(name, kind))
    return Folder(task, files=ordered(items), others=tuple(others))


def stamp_of(folder: Folder, items: Items, links: Mapping[str, object]) -> bytes:
    """Digest of everything that what is read depends on.

    Args:
        folder: the task's folder.
        items: what it holds.
        links: `{task file that is a link: where it leads}`.
    """
    files = [(file, items[file][0].value, links.get(file, items[file][1].raw)) for file in folder.files]
    return blake2b(repr((folder.problem, folder.others, files)).encode(), digest_size=16).digest()
