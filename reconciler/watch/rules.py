"""Which names matter and which links are followed: as the source reads the directory, so it is watched."""

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

LEFTOVERS = ("~", ".tmp", ".swp")  # of editors; a rename to another name is a change of that name


@dataclass(frozen=True, slots=True)
class Touched:
    """Where something may have changed."""

    folder: str  # path below the desired-state directory, "/" between folders; "" is the directory itself
    deep: bool  # everything below it may have changed too


EVERYTHING = Touched("", deep=True)


def is_hidden(name: str) -> bool:
    """Whether nothing of that name, and nothing in a folder of that name, is ever read."""
    return name.startswith(".")


def joined(folder: str, name: str) -> str:
    """Path below the desired-state directory of something in one of its folders."""
    return f"{folder}/{name}" if folder else name


def state_of(thing: "Path | os.DirEntry[str]") -> tuple[int, ...]:
    """Numbers that differ when what a file or link gives to its reader may differ.

    Returns:
        A folder is known by device and inode alone; what cannot be reached, by the reason.
    """
    try:
        status = thing.stat()
    except OSError as error:
        return (error.errno or 0,)
    if stat.S_ISDIR(status.st_mode):
        return status.st_dev, status.st_ino
    # The change time tells what kept its size and had its modification time set back; some file systems have none.
    return status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def folder_led_to(link: Path, root: str, above: Collection[str]) -> str | None:
    """The folder that a link is followed to.

    Args:
        link: path of the link.
        root: the desired-state directory, its real path.
        above: real paths of the folders the link lies in.

    Returns:
        Its real path. None when the link leads to a file, nowhere, out of the root or back up the tree.
    """
    try:
        if not link.is_dir():
            return None
    except OSError:  # a name too long, a mount that is gone, a folder that may not be entered
        return None
    real = os.path.realpath(link)
    return real if real.startswith(root.rstrip("/") + "/") and real not in above else None
