"""Which commit is to be followed, as the configuration says it."""

import re
from dataclasses import dataclass
from pathlib import Path

import pygit2

from reconciler.core.render.words import safe

OURS = "refs/reconciler/remote/"
"""Where what was fetched is kept: no branch of the user's, and no tool shows or moves it by itself."""

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_CREDENTIALS = re.compile(r"(\w[\w+.-]*://)[^/\s]*@")
_QUERY = re.compile(r"(\w[\w+.-]*://[^\s?]*)\?[^\s'\"]*")


@dataclass(frozen=True, slots=True)
class GitSettings:
    """See `[desired_state]` of the configuration."""

    ref: str = "HEAD"  # a branch, a tag, a commit
    remote: str = ""  # name or address of what is fetched; "" = nothing is
    require_signed: bool = False
    allowed_signers: Path | None = None  # of SSH signatures; None: what git's own configuration says

    def __str__(self) -> str:
        """The ref, for people: `"main" of origin`."""
        remote = f" of {redacted(safe(self.remote))}" if self.remote else ""
        return f'"{safe(self.ref)}"{remote}'


def is_commit_id(ref: str) -> bool:
    """Whether it is a whole commit id, SHA-1 or SHA-256."""
    return _COMMIT.fullmatch(ref) is not None


def fetched_ref(ref: str) -> str:
    """Where a ref of the remote is kept: `refs/heads/main` is in `refs/reconciler/remote/heads/main`."""
    return OURS + ref.removeprefix("refs/")


def is_fetchable(ref: str) -> bool:
    """Whether a remote can be asked for it: no `main~2`, no pattern."""
    return pygit2.reference_is_valid_name(fetched_ref(ref))


def redacted(text: str) -> str:
    """*text* without the credentials in its addresses: `https://***@host/config.git`."""
    return _QUERY.sub(r"\1?***", _CREDENTIALS.sub(r"\1***@", text))
