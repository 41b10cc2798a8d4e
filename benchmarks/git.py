"""What a look at a new commit costs, as ratios to `git diff --name-only` between the same two commits.

.venv/bin/python benchmarks/git.py [TASKS]
"""

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import fleet

from reconciler.git.repository import Repository
from reconciler.git.tree import CommitTree

Result = TypeVar("Result")

ROUNDS = 5
FLOOR = "git diff --name-only (the floor)"
WHO = "A <a@example.com> 1790000000 +0000"
LAYOUTS: dict[str, Callable[[int], str]] = {
    "in 50 folders": fleet.name_of,
    "all in one folder": lambda number: f"task-{number:05}",
}


def main() -> None:
    """Measure and print."""
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for layout, name in LAYOUTS.items():
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), tasks, name)
            print(f"{tasks} tasks {layout}, one file changed, median of {ROUNDS}:")
            measure(Path(folder))


def make(folder: Path, tasks: int, name: Callable[[int], str]) -> None:
    """A bare repository with two commits: all tasks, then an edit of one file."""
    subprocess.run(["git", "init", "--quiet", "--bare", folder], check=True)  # noqa: S607 - found on the path
    importer = ["git", "-C", str(folder), "fast-import", "--quiet"]
    with subprocess.Popen(importer, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None  # noqa: S101 - a pipe
        for text in stream(tasks, name):
            process.stdin.write(text.encode())
        process.stdin.close()
        if process.wait():
            sys.exit("git fast-import failed")


def stream(tasks: int, name: Callable[[int], str]) -> Iterator[str]:
    """What `git fast-import` reads."""
    chance = random.Random(1)  # noqa: S311 - reproducible, nothing to protect
    yield f"commit refs/heads/one\ncommitter {WHO}\ndata 0\n"
    for number in range(tasks):
        for file, document in fleet.documents(number, chance, fleet.FEW_TABLES).items():
            yield blob(f"{name(number)}/{file}.json", fleet.as_text(document))
    yield f"commit refs/heads/two\ncommitter {WHO}\ndata 0\nfrom refs/heads/one\n"
    yield blob(f"{name(tasks // 2)}/sink.json", "{}")


def blob(path: str, text: str) -> str:
    """One file of a commit."""
    return f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n"


def measure(folder: Path) -> None:
    """Time each step, each round in the same order and with a repository opened anew."""
    rounds = [once(folder) for _ in range(ROUNDS)]
    medians = {step: statistics.median(spent[step] for spent in rounds) for step in rounds[0]}
    for step, median in medians.items():
        print(f"  {step:35} {1000 * median:9.2f} ms  {median / medians[FLOOR]:7.2f} x")


def once(folder: Path) -> dict[str, float]:
    """Seconds that each step took."""
    repository = Repository.discover(folder)
    one, two = repository.resolve("one"), repository.resolve("two")
    command = ["git", "-C", str(folder), "diff", "--name-only", one, two]
    spent = {}
    spent[FLOOR], _ = clock(lambda: subprocess.run(command, check=True, capture_output=True))
    spent["first look at a commit"], before = clock(lambda: CommitTree(repository, one))
    spent["look at the next commit"], after = clock(lambda: CommitTree(repository, two, before=before))
    spent["which tasks differ"], names = clock(lambda: after.differences(before))
    spent["read the one that does"], _ = clock(lambda: [e.read() for name in names if (e := after.entry(name))])
    spent["read every file"], _ = clock(lambda: [raw.name for raw in after.tasks()])
    return spent


def clock(work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds, and what came of it."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


if __name__ == "__main__":
    main()
