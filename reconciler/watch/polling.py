"""Learns of changes by listing the directory again and again: for file systems whose kernel tells nothing.

One number a folder is remembered, not the state of every file: watchdog's own polling keeps and compares all of them,
follows links round in circles, and does not see a file rewritten with its old size and time.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from reconciler.watch.rules import LEFTOVERS, Touched, folder_led_to, is_hidden, joined, state_of


class Poll(threading.Thread):
    """Lists a directory at intervals and tells the folders that differ.

    Args:
        root: real path of the desired-state directory.
        tell: called from this thread, and never after `stop` returned.
        poll_s: pause between two listings, seconds, > 0.
    """

    lost = ""  # a listing is complete or it is not used
    limit: OSError | None = None

    def __init__(self, root: str, tell: Callable[[Touched], None], poll_s: float) -> None:
        super().__init__(name="watch", daemon=True)
        self._root = root
        self._tell = tell
        self._poll_s = poll_s
        self._over = threading.Event()
        self._known: Mapping[str, int] = {}

    def start(self) -> None:
        """List the directory once, so that what changes from now on is told.

        Raises:
            OSError: the directory cannot be listed.
        """
        self._known = self._listing()
        super().start()

    def stop(self) -> None:
        """Wait for the thread to end."""
        self._over.set()
        if self.ident is not None:
            self.join()

    def look(self) -> None:
        """Nothing: a listing follows links."""

    def run(self) -> None:
        """List and tell until stopped."""
        while not self._over.wait(self._poll_s):
            try:
                listing = self._listing()
            except OSError:  # away for a moment is no change; `Watch.check` notices a directory that is gone
                continue
            self._compare(listing)

    def _compare(self, listing: Mapping[str, int]) -> None:
        for touched in _differences(self._known, listing):
            if self._over.is_set():
                return
            self._tell(touched)
        self._known = listing

    def _listing(self) -> Mapping[str, int]:
        """`{folder: a number that differs when its listing does}`; what was known when stopped on the way."""
        found: dict[str, int] = {}
        waiting: list[tuple[str, str, tuple[str, ...]]] = [("", self._root, ())]
        while waiting:
            folder, path, above = waiting.pop()
            if self._over.is_set():
                return self._known
            below: dict[str, str] = {}
            try:
                found[folder] = _number(path, self._root, (*above, path), below)
            except OSError as error:
                if not folder:
                    raise
                found[folder] = error.errno or 0
            waiting.extend((joined(folder, name), inner, (*above, path)) for name, inner in below.items())
        return found


def _number(path: str, root: str, above: tuple[str, ...], below: dict[str, str]) -> int:
    """A number for the listing of one folder; the folders in it go to *below*, `{name: real path}`."""
    states: list[tuple[object, ...]] = []
    with os.scandir(path) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                below[entry.name] = entry.path
                states.append((entry.name, entry.inode()))
            elif entry.is_symlink() or not entry.name.endswith(LEFTOVERS):
                states.append((entry.name, *state_of(entry)))
                if entry.is_symlink() and (inner := folder_led_to(Path(entry.path), root, above)):
                    below[entry.name] = inner
    return hash(frozenset(states))


def _differences(known: Mapping[str, int], listing: Mapping[str, int]) -> Iterator[Touched]:
    """Folders whose listing differs; of those that came or went together only the topmost."""
    came_or_went = known.keys() ^ listing.keys()
    for folder in sorted({folder for folder, _ in known.items() ^ listing.items()}):
        if folder not in came_or_went:
            yield Touched(folder, deep=False)
        elif folder.rpartition("/")[0] not in came_or_went:
            yield Touched(folder, deep=True)
