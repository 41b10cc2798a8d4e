"""Finds the working tree that a path lies in, or makes one, without a library that every command would have to load."""

import subprocess
from pathlib import Path


def top_of(path: Path) -> Path | None:
    """The topmost directory of the working tree that *path* lies in, without links; None outside of one."""
    here = path.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), None)


def branch_of(folder: Path) -> str:
    """The branch that is checked out where a directory lies; "" where that cannot be told."""
    command = ["git", "-C", str(folder), "symbolic-ref", "--quiet", "--short", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def start(folder: Path, branch: str) -> str:
    """Make a repository of a directory, with that branch.

    Returns:
        Why that could not be done; "" when it was.
    """
    command = ["git", "init", "--quiet", f"--initial-branch={branch}", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    except OSError as error:
        return f"git cannot be run: {error.strerror}"
    return done.stderr.strip() if done.returncode else ""
