"""The server's own words, made fit to be shown: without secrets, without control characters, short.

A server may quote the configuration it was sent, passwords included, as text, as JSON inside a text, or as part of
an address. Whoever shows such words passes them through a `Scrubber` first, before anything is cut, because half
a secret is one too.
"""

import html
import json
import string
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import quote, quote_plus

HIDDEN = "«secret»"
_LONGEST_READ = 16_384  # characters of one text that are looked at; nothing behind them is ever shown
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # unlike str.lower, never changes a length
_UNQUOTED = ("", "/", "!'()*~", "*")  # what JavaScript and Java leave as it is, besides letters and digits


class Scrubber:
    """Replaces secrets in a text by `HIDDEN`, in any spelling of letters.

    Args:
        secrets: values to hide, from any number of sources. A collection is read again at every use, so that a set
            which its owner fills later (secrets are resolved when a request is built) is honoured; anything else
            is read once.
    """

    def __init__(self, *secrets: Iterable[str]) -> None:
        self._sources = tuple(source if isinstance(source, Collection) else tuple(source) for source in secrets)
        self._known: frozenset[str] = frozenset()
        self._forms: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({sum(map(len, self._sources))} secrets)"

    def __call__(self, text: str) -> str:
        """Hide every secret in a text; overlapping ones leave no rest behind."""
        forms = self._all_forms()
        folded = text.translate(_LOWER)
        pieces: list[str] = []
        shown = 0
        for start, end in _merged(sorted(_spans(folded, forms))):
            pieces += [text[shown:start], HIDDEN]
            shown = end
        return "".join([*pieces, text[shown:]])

    def words(self, text: str, limit: int) -> str:
        """Make a text fit for one line of a message.

        Args:
            text: what the server said.
            limit: longest result, characters.

        Returns:
            The text without secrets, every run of blanks and control characters as one blank, cut with "…".
        """
        shown = self(text[:_LONGEST_READ])
        if len(text) > _LONGEST_READ:  # the cut may have gone through a secret: drop what it could have left
            shown = shown[: -max(map(len, self._forms), default=1)]
        return shorten(printable(shown), limit)

    def _all_forms(self) -> tuple[str, ...]:
        known = frozenset(secret for source in self._sources for secret in tuple(source))
        if known != self._known:
            forms = {form.translate(_LOWER) for secret in known for form in _forms(secret)}
            self._known, self._forms = known, tuple(sorted(forms - {""}, key=lambda form: (-len(form), form)))
        return self._forms


def printable(text: str) -> str:
    """Replace what could move a cursor, reverse a line or fail to be encoded, each run by one blank."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def shorten(text: str, limit: int) -> str:
    """Cut a text to at most *limit* characters, the last one being "…" when something is missing."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _forms(secret: str) -> Iterator[str]:
    """Ways in which a server may spell a secret: raw, in Python, HTML, JSON, JSON inside JSON, an address."""
    yield from (secret, repr(secret)[1:-1], html.escape(secret))
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]
        yield "".join(f"\\u{ord(char):04x}" if char in "=<>&'" else char for char in once)  # Gson's way
    for unquoted in _UNQUOTED:
        yield quote(secret, safe=unquoted, errors="replace")
        yield quote_plus(secret, safe=unquoted, errors="replace")


def _spans(text: str, forms: Iterable[str]) -> Iterator[tuple[int, int]]:
    for form in forms:
        start = text.find(form)
        while start >= 0:
            yield start, start + len(form)
            start = text.find(form, start + 1)


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join spans that touch or overlap; *spans* are sorted."""
    current: tuple[int, int] | None = None
    for start, end in spans:
        if current is None or start > current[1]:
            if current is not None:
                yield current
            current = (start, end)
        else:
            current = (current[0], max(current[1], end))
    if current is not None:
        yield current
