"""Finds what somebody may have meant: names that differ by a slip of the finger."""

from collections.abc import Iterable
from functools import lru_cache

_SHORT = 8  # below this length one slip, from it on two


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The name in *known* that *word* is probably a slip of.

    Args:
        word: what was written.
        known: names that exist; the order does not matter.

    Returns:
        The one with the fewest slips, None when none is near. Letter case alone counts as no slip.
    """
    return _nearest(word, tuple(known))


@lru_cache(maxsize=4096)  # a fleet has the same few unknown keys in thousands of files
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    folded = word.casefold()
    best: tuple[int, str] | None = None
    for name in sorted(known):
        limit = 1 if min(len(word), len(name)) < _SHORT else 2
        if abs(len(word) - len(name)) <= limit:
            slips = distance(folded, name.casefold())
            if slips <= limit and (best is None or slips < best[0]):
                best = (slips, name)
    return best[1] if best else None


def distance(one: str, other: str) -> int:
    """Slips between two words: a letter too many, missing, wrong, or two neighbours swapped.

    Source:
        Optimal string alignment distance; Damerau, "A technique for computer detection and correction of spelling
        errors", 1964.
    """
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
