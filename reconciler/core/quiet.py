"""Waits until something that changes has come to rest, but not for ever.

Several files of a task are written one after the other; reading between two of them would see half of an edit. Which
keys there are is the caller's business, and so is the time: it is handed in.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Quiet(Generic[Key]):
    """Keys that were touched and are not yet ripe.

    A key is ripe when nothing touched it for `quiet_s`, at the latest `max_wait_s` after its first touch. Every
    operation costs the same however many keys wait, because with equal waits for all, the order of the touches is the
    order of ripening.

    Args:
        quiet_s: how long a key must be left alone, seconds.
        max_wait_s: how long it waits at most, seconds.
    """

    def __init__(self, quiet_s: float, max_wait_s: float) -> None:
        self._quiet_s = quiet_s
        self._max_wait_s = max_wait_s
        self._first: OrderedDict[Key, float] = OrderedDict()  # when first touched, oldest first
        self._last: OrderedDict[Key, float] = OrderedDict()  # when last touched, oldest first

    def __len__(self) -> int:
        return len(self._last)

    def touch(self, key: Key, now_s: float) -> None:
        """Something happened to *key*.

        Args:
            key: what to look at when it has come to rest.
            now_s: monotonic seconds, never less than at an earlier call.
        """
        self._first.setdefault(key, now_s)
        self._last[key] = now_s
        self._last.move_to_end(key)

    def ripe(self, now_s: float) -> tuple[Key, ...]:
        """Take out the keys that are ripe, each once.

        Args:
            now_s: monotonic seconds.

        Returns:
            First those that came to rest, then those that waited long enough; each group in the order of its touches.
        """
        found = []
        while (ripe_s := self.next_s()) is not None and ripe_s <= now_s:
            found.append(self._take(now_s))
        return tuple(found)

    def drop(self, key: Key) -> None:
        """Somebody says that *key* is at rest."""
        self._first.pop(key, None)
        self._last.pop(key, None)

    def clear(self) -> None:
        """Somebody says that everything is at rest."""
        self._first.clear()
        self._last.clear()

    def __contains__(self, key: object) -> bool:
        """Whether something happened to *key* and it is not ripe yet."""
        return key in self._last

    def next_s(self) -> float | None:
        """When the next key becomes ripe, on the clock of `touch`; None when there is none."""
        if not self._last:
            return None
        return min(self._rests_s(), next(iter(self._first.values())) + self._max_wait_s)

    def _rests_s(self) -> float:
        return next(iter(self._last.values())) + self._quiet_s

    def _take(self, now_s: float) -> Key:
        """The key that rests longest if that is long enough, else the one that waits longest."""
        if self._rests_s() <= now_s:
            key, _ = self._last.popitem(last=False)
            del self._first[key]
        else:
            key, _ = self._first.popitem(last=False)
            del self._last[key]
        return key
