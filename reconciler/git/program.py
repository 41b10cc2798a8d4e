"""Runs the git program, for what needs the user's own set-up: SSH, credential helpers, keyrings, the index.

All else is read with pygit2. git runs as it would by hand in the same repository, with the same configuration, but it
asks nobody anything, writes nothing that nobody asked for, and what it says is one line, without credentials.
"""

import getpass
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from reconciler.core.render.words import safe
from reconciler.errors import DesiredStateError
from reconciler.git import signature
from reconciler.git.process import Finished, Programs, StoppedError, TooLongError
from reconciler.git.repository import Repository
from reconciler.git.settings import fetched_ref, is_commit_id, redacted
from reconciler.model import TASK_FILES

FETCH_S = 120.0
VERIFY_S = 10.0  # the daemon's loop waits for it
STATUS_S = 30.0
_LONGEST = 400  # characters of git's own words in a message

_OF_A_HOOK = frozenset(
    (
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    )
)
"""What git sets for its hooks: it would lead to another repository. Configuration (`GIT_CONFIG_COUNT`) stays."""

_OF_A_SCREEN = frozenset(("DISPLAY", "SSH_ASKPASS", "WAYLAND_DISPLAY"))  # there is nobody to type into a window

_FETCH = (
    "fetch",
    "--quiet",
    "--refmap=",  # the user's own tracking branches stay as they are
    "--no-tags",
    "--no-prune",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-show-forced-updates",
    "--no-filter",  # libgit2 cannot get what a partial clone left out
)
_KEEP = ("-c", "core.logAllRefUpdates=always")  # what a force-push takes away stays there for as long as reflogs do

_NOISE = ("hint:", "warning:", "please make sure", "and the repository exists", "@@@")

_ADVICE = (
    ("couldn't find remote ref", "was it renamed or deleted there? Set desired_state.ref to what is to be followed"),
    ("dubious ownership", "tell git that it may be trusted: git config --global --add safe.directory DIRECTORY"),
    ("Host key verification failed", "connect once by hand and accept the server's key"),
    ("Permission denied (publickey", "the server does not know the SSH key of this user"),
    ("could not read Username", "set up a credential helper for this user, or use SSH"),
    ("could not read Password", "set up a credential helper for this user, or use SSH"),
    ("Authentication failed", "the credentials of this user are wrong or have expired"),
)


class Git:
    """The git program in one repository. Every method may be called from any thread.

    Args:
        repository: where it runs.
        environment: what it finds in its environment; None: what this process has.
        programs: runs it; whoever made it may end it.
    """

    def __init__(
        self,
        repository: Repository,
        environment: Mapping[str, str] | None = None,
        programs: Programs | None = None,
    ) -> None:
        self._git_dir = repository.git_dir
        self._workdir = repository.workdir
        self._below = repository.folder
        self._shown = repository.shown
        self._environment = _quiet(os.environ if environment is None else environment)
        self._programs = programs or Programs()

    def fetch(self, remote: str, ref: str, *, timeout_s: float = FETCH_S) -> None:
        """Get one branch or tag of a remote repository into `refs/reconciler/remote/`.

        Nothing else is written: no other ref, no tag, no FETCH_HEAD, and nothing is cleared up afterwards. What was
        there before is in the reflog of that ref.

        Args:
            remote: its name, as `git remote` lists it, or its address.
            ref: a branch, a tag, a whole commit id, or "HEAD".
            timeout_s: the most that it may take, seconds.

        Raises:
            DesiredStateError: it could not be fetched; one line, without credentials, with what to do.
        """
        target = fetched_ref(ref)
        try:
            done = self._run((*_KEEP, *_FETCH, "--", remote, f"+{ref}:{target}"), timeout_s)
        except DesiredStateError as error:
            raise DesiredStateError(f"{self._of(remote)}: {error}") from error
        if done.code:
            raise DesiredStateError(f"{self._of(remote)}: {self._advised(_said(done), remote)}")

    def verify(self, commit_id: str, allowed_signers: Path | None = None) -> str:
        """Check the signature of a commit, GPG or SSH, as `git verify-commit` does.

        A GPG key counts when it is in the keyring of the user that this runs as (or in `GNUPGHOME`), whatever trust is
        set for it, because a keyring for this purpose holds nobody else's; with git's `gpg.minTrustLevel` set, that
        decides. An SSH key counts when it is in the file of allowed signers. The signature is the commit's own, not
        that of a tag.

        Args:
            commit_id: the whole id.
            allowed_signers: a file as ssh-keygen(1) describes it; None: `gpg.ssh.allowedSignersFile` of git's
                configuration.

        Returns:
            "" when the signature is good, else why it is not, or why that cannot be told.
        """
        if not is_commit_id(commit_id):
            raise ValueError(f"expected a commit id, found {commit_id!r}")
        signers = ("-c", f"gpg.ssh.allowedSignersFile={allowed_signers.absolute()}") if allowed_signers else ()
        try:
            done = self._run((*signers, "verify-commit", "--raw", commit_id), VERIFY_S)
        except DesiredStateError as error:
            return f"its signature cannot be checked: {error}"
        return signature.why_not(done.code, _text(done.complaint))

    def uncommitted(self) -> tuple[str, ...]:
        """Files of tasks that differ from HEAD or are not committed at all.

        Returns:
            Paths below the desired-state folder, sorted; () in a bare repository. No more than fit 1 MiB.

        Raises:
            DesiredStateError: git cannot tell.
        """
        if self._workdir is None:
            return ()
        which = ("--porcelain=v2", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=all")
        done = self._run(("-c", "core.fsmonitor=false", "status", *which, "--", self._below or "."), STATUS_S)
        if done.code:
            raise DesiredStateError(f"{self._shown}: git status: {_said(done)}")
        records = done.output.split(b"\0")[:-1]  # the last one is empty, or cut
        paths = (path.removeprefix(f"{self._below}/") for path in map(_path, records) if path)
        return tuple(sorted(path for path in paths if path.rpartition("/")[2] in TASK_FILES))

    def _run(self, arguments: tuple[str, ...], timeout_s: float) -> Finished:
        where = [f"--git-dir={self._git_dir}", *([f"--work-tree={self._workdir}"] if self._workdir else [])]
        command = ["git", *where, "--literal-pathspecs", *arguments]
        try:
            return self._programs.run(
                command, folder=self._workdir or self._git_dir, environment=self._environment, timeout_s=timeout_s
            )
        except TooLongError as error:
            raise DesiredStateError(f"git did not end within {timeout_s:g} s, and was ended") from error
        except StoppedError as error:
            raise DesiredStateError("git was ended, because reconciler is stopping") from error
        except OSError as error:
            raise DesiredStateError(_not_started(error)) from error

    def _of(self, remote: str) -> str:
        return f"{self._shown}: {redacted(safe(remote))} cannot be fetched"

    def _advised(self, said: str, remote: str) -> str:
        advice = next((f"; {words}" for text, words in _ADVICE if text in said), "")
        command = shlex.join(["git", "-C", str(self._workdir or self._git_dir), "fetch", redacted(safe(remote))])
        return f'{said.rstrip(".")}{advice}. Try it by hand as the user "{_user()}": {command}'


def _quiet(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which git asks nobody, speaks English and works where it is told to."""
    kept = {name: value for name, value in environment.items() if name not in _OF_A_HOOK | _OF_A_SCREEN}
    return kept | {
        "GCM_INTERACTIVE": "never",
        "GIT_NO_REPLACE_OBJECTS": "1",  # libgit2 knows none: the commit that is checked is the one that is read
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_REFLOG_ACTION": "reconciler fetch",  # else the whole command, with the address of the remote in it
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
        "SSH_ASKPASS_REQUIRE": "never",
    }


def _not_started(error: OSError) -> str:
    if error.filename == "git":
        return f"the git program cannot be run: {error.strerror}; install git, and see that PATH leads to it"
    return f"git cannot be run: {error.filename}: {error.strerror}"


def _said(done: Finished) -> str:
    """What git complains of, in one line."""
    lines = (line.strip() for line in _text(done.complaint).splitlines())
    kept = [line for line in lines if line and not line.lower().startswith(_NOISE)]
    said = safe(redacted("; ".join(kept))) or f"git ended with exit code {done.code}"
    return said if len(said) <= _LONGEST else f"…{said[1 - _LONGEST :]}"


def _text(printed: bytes) -> str:
    return printed.decode("utf-8", "backslashreplace")


def _path(record: bytes) -> str:
    """Path in one record of `git status --porcelain=v2 -z`; "" when it is about none."""
    columns = {b"1": 8, b"u": 10, b"?": 1}.get(record[:1], 0)
    return os.fsdecode(record.split(b" ", columns)[-1]) if columns else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, in a container
        return str(os.getuid())
