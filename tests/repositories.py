"""Real git repositories for tests, made by the real git program, whatever the machine's configuration of git is."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pygit2
from pygit2.enums import ConfigLevel

from reconciler.core.validation.validator import DOCUMENTS
from tests import tasks
from tests.projects import SAMPLES

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
AUTHOR = "Ann Operator"
_LEVELS = (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL)


def git_environment(home: Path | str = "/nonexistent") -> dict[str, str]:
    """Environment in which git reads no configuration but the repository's own, and asks nobody."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "SSH_", "GNUPG"))}
    return ours | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": "4",
        "GIT_CONFIG_KEY_0": "init.defaultBranch",
        "GIT_CONFIG_VALUE_0": "main",
        "GIT_CONFIG_KEY_1": "commit.gpgsign",
        "GIT_CONFIG_VALUE_1": "false",
        "GIT_CONFIG_KEY_2": "protocol.file.allow",  # submodules from a folder next to it
        "GIT_CONFIG_VALUE_2": "always",
        "GIT_CONFIG_KEY_3": "gc.auto",
        "GIT_CONFIG_VALUE_3": "0",
        "LC_ALL": "C.UTF-8",
    }


def isolate(monkeypatch, home: Path) -> None:
    """Keep the machine's configuration of git away from this process: from pygit2 and from git programs it starts."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in git_environment(home).items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    for level in _LEVELS:  # libgit2 takes these from HOME when it is loaded, and knows no GIT_CONFIG_GLOBAL
        pygit2.settings.search_path[level] = str(home)


def _seconds(at: datetime) -> str:
    return f"{int(at.timestamp())} {at.strftime('%z') or '+0000'}"


@dataclass
class Repo:
    """A repository and its working tree; every commit is a minute later than the one before."""

    path: Path
    env: Mapping[str, str] = field(default_factory=dict)  # for every call, over `git_environment`
    commits: int = 0

    @classmethod
    def make(cls, path: Path, *arguments: str, bare: bool = False) -> Self:
        """`git init`, with more of its options as *arguments*."""
        path.mkdir(parents=True, exist_ok=True)
        repo = cls(path)
        repo.git("init", "--quiet", *(["--bare"] if bare else []), *arguments)
        return repo

    def clone(self, path: Path, *arguments: str) -> "Repo":
        """A clone of it, with more of `git clone`'s options as *arguments*: `"--bare"`, `"--depth=1"`."""
        self.git("clone", "--quiet", "--no-local", *arguments, str(self.path), str(path))
        return Repo(path, self.env)

    def git(self, *arguments: str, input: str | None = None, env: Mapping[str, str] | None = None) -> str:  # noqa: A002
        """What git prints, without the last newline; an AssertionError with its complaints when it fails."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=self._identity(AUTHOR, None) | dict(self.env) | dict(env or {}),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"git {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.removesuffix("\n")

    def _identity(self, author: str, at: datetime | None) -> dict[str, str]:
        when = _seconds(at) if at else f"{int(AT.timestamp()) + 60 * self.commits} +0000"
        mail = f"{author.split(maxsplit=1)[0].lower()}@example.com" if author.split() else "nobody@example.com"
        return git_environment(self.path.parent) | {
            "GIT_AUTHOR_NAME": author,
            "GIT_AUTHOR_EMAIL": mail,
            "GIT_AUTHOR_DATE": when,
            "GIT_COMMITTER_NAME": author,
            "GIT_COMMITTER_EMAIL": mail,
            "GIT_COMMITTER_DATE": when,
        }

    def write(self, path: str, text: str | bytes | None) -> Path:
        """Put a file into the working tree, or take it away."""
        place = self.path / path
        if text is None:
            place.unlink()
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode() if isinstance(text, str) else text)
        return place

    def commit(
        self,
        message: str = "a commit",
        files: Mapping[str, str | bytes | None] | None = None,
        *,
        author: str = AUTHOR,
        at: datetime | None = None,
    ) -> str:
        """Write these files (None: remove), `git add -A`, commit, even if nothing changed; returns its id."""
        for path, text in (files or {}).items():
            self.write(path, text)
        self.git("add", "-A")
        self.commits += 1
        identity = self._identity(author, at)
        self.git("commit", "--quiet", "--allow-empty", "--allow-empty-message", "-m", message, env=identity)
        return self.head()

    def head(self) -> str:
        """Id of the commit that is checked out."""
        return self.git("rev-parse", "HEAD")


def task_files(folder: str = "shop", **changes) -> dict[str, str]:
    """`{path: text}` of a valid task; for *changes* see `tests.tasks.files`."""
    return {f"{folder}/{name}": text.decode() for name, text in tasks.files(**changes).items()}


def sample_files(folder: str = "desired_state") -> dict[str, str]:
    """`{path: text}` of the sample tasks."""
    names = {f"{name}.json" for name in DOCUMENTS}
    found = sorted(path for path in SAMPLES.rglob("*.json") if path.name in names)
    return {f"{folder}/{path.relative_to(SAMPLES).as_posix()}": path.read_text() for path in found}
