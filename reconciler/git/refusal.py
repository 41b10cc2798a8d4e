"""Why a repository cannot be used, and what to do about it.

libgit2 tells its reasons in words only; what is not known here is passed on as it is.
"""

import os
import pwd
import re
import shlex
from pathlib import Path

import pygit2

from reconciler.core.render.words import safe
from reconciler.errors import DesiredStateError

FAILURES = (KeyError, ValueError, OSError, pygit2.GitError)
"""What pygit2 raises for what a repository holds."""

_FOREIGN = re.compile(r"repository path '(?P<place>.*)' is not owned by current user", re.DOTALL)
_ADVICE = (  # (what libgit2 says, what to do)
    (r"extensions?\.refstorage", "its refs are in a format that is not read here: git refs migrate --ref-format=files"),
    (r"extensions?\.partialclone", "it lacks objects that git fetches when it needs them: clone it without --filter"),
    (
        r"object format|extensions?\.objectformat",
        "only repositories with SHA-1 ids are read: git init --object-format=sha1",
    ),
    (r"unsupported (extension|repository)", "it was made by a newer git: clone it with the defaults of git clone"),
    (r"config file", "repair its configuration: git config --list says where it is wrong"),
)


def reason(error: Exception) -> str:
    """What libgit2 says, for a sentence of ours."""
    if isinstance(error, KeyError):
        return "there is no such object"
    return safe(str(error)).rstrip(".")


def refusal(path: Path, place: Path, error: Exception) -> DesiredStateError:
    """The error to raise.

    Args:
        path: what the user wrote.
        place: the folder where the repository was looked for.
        error: what libgit2 raised.
    """
    said = str(error)
    foreign = _FOREIGN.search(said)
    if foreign:
        return _distrust(path, place, foreign["place"])
    if said.startswith("Repository not found"):
        missing = "" if _is_there(path, place) else "no such directory, and "
        return DesiredStateError(
            f"{path}: {missing}no git repository that can be read in it or above it: expected a folder of a working "
            'tree or of a bare repository (git init makes one), or desired_state.source = "directory"'
        )
    advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, said, re.IGNORECASE)), "")
    return DesiredStateError(
        f"{path}: cannot be read as a git repository: {reason(error)}{f'; {advice}' if advice else ''}"
    )


def _distrust(path: Path, place: Path, owned: str) -> DesiredStateError:
    key = next((above for above in (place, *place.parents) if os.path.lexists(above / ".git")), Path(owned))
    owner, reader = _user(os.stat(owned).st_uid), _user(os.geteuid())  # noqa: PTH116 - as libgit2 wrote it
    scope = "--global" if os.environ.get("HOME") else "--system"
    return DesiredStateError(
        f"{path}: git trusts no repository of another user: {safe(owned)} belongs to {owner}, this program runs as "
        f"{reader}; if it is all right, run as {reader if scope == '--global' else 'root'}: "
        f"git config {scope} --add safe.directory {shlex.quote(str(key))}"
    )


def _is_there(path: Path, place: Path) -> bool:
    """Whether a path exists, or may exist in a folder that nobody lets us enter."""
    return os.path.lexists(path) or not os.access(place, os.X_OK, effective_ids=True)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
