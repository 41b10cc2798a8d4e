"""The fleet's files as a repository that people commit to, and the bare clone that the daemon follows."""

import json
import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress

from rig import Rig, RigError, wait_for

CLONE = "clone.git"
SOURCE = f"""\
path = "{CLONE}/desired_state"
source = "git"
ref = "main"
remote = "origin"
fetch_s = 1
"""
TURN_S = 0.25
REWRITE_S = 120.0
"""How often history is rewritten, about."""


class Commits:
    """Commits what the edits leave, a few times a second; packs, and rewrites history now and then.

    Args:
        rig: whose files they are.
        chance: of what happens beside commits.
    """

    def __init__(self, rig: Rig, chance: random.Random) -> None:
        self._rig, self._chance = rig, chance
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="commits", daemon=True)

    def begin(self) -> None:
        """Make the two repositories."""
        self._git("init", "--quiet", "--initial-branch=main")
        self._commit()
        self._git("clone", "--quiet", "--bare", ".", CLONE)

    def start(self) -> None:
        """Begin to commit."""
        self._thread.start()

    def stop(self) -> None:
        """Commit no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _git(self, *arguments: str, folder: str = ".") -> str:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        person = {f"GIT_{role}_{what}": "soak" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        done = subprocess.run(
            [shutil.which("git") or "git", *arguments],
            cwd=self._rig.folder / folder,
            env={**ours, **person, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RigError(f"git {' '.join(arguments)}: {done.stderr[-300:]}")
        return done.stdout.strip()

    def _commit(self) -> None:
        with suppress(RigError):  # a file went away while it was added: the next turn finds out
            self._git("add", "--all", "desired_state")
            if self._git("diff", "--cached", "--name-only"):
                self._git("commit", "--quiet", "--message", f"edits {self.counts['commits']}")
                self.counts["commits"] += 1

    def _work(self) -> None:
        rewrite_at = time.monotonic() + REWRITE_S
        while not self._ended.wait(TURN_S):
            self._commit()
            try:
                if time.monotonic() >= rewrite_at:
                    rewrite_at = time.monotonic() + self._chance.uniform(0.5, 1.5) * REWRITE_S
                    self._rewrite()
                elif self._chance.random() < 0.01:  # noqa: PLR2004 - about twice a minute
                    self._pack()
            except RigError as error:
                self.problems.append(str(error))

    def _pack(self) -> None:
        folder = self._chance.choice((".", CLONE))
        arguments = self._chance.choice((("gc", "--quiet"), ("repack", "-adq"), ("pack-refs", "--all")))
        self.counts[f"git {arguments[0]}"] += 1
        self._git(*arguments, folder=folder)

    def _rewrite(self) -> None:
        """Another commit with the same files in the place of the newest: refused until somebody accepts it."""
        wait_for("the newest commit is followed", lambda: self._followed() == ("", self._newest()), 60, 0.5)
        self._git("commit", "--quiet", "--amend", "--message", "rewritten")
        wait_for("a rewritten history is refused", lambda: self._followed()[0] == "rewritten", 60, 0.5)
        self._rig.must("accept", self._newest(), "--reason", "the soak rewrites history")
        wait_for("an accepted commit is followed", lambda: self._followed() == ("", self._newest()), 60, 0.5)
        self.counts["rewritten"] += 1

    def _newest(self) -> str:
        return self._git("rev-parse", "HEAD")

    def _followed(self) -> tuple[str, str]:
        """Why the newest is not followed, and which one is."""
        head = json.loads(self._rig.must("status", "--format", "json")).get("head") or {"kind": "", "commit": ""}
        commit = head["commit"]
        return head["kind"] or "", commit["id"] if isinstance(commit, dict) else commit
