"""Real directories and the real kernel; only the clock that decides about trying again is handed in."""

import itertools
import queue
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reconciler.watch import Touched, Watch
from reconciler.watch.rules import EVERYTHING
from reconciler.watch.watch import RETRY_S

TIMEOUT_S = 10.0
POLL_S = 0.02


class Told:
    """What was told or said, in order."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()

    def __call__(self, what: object) -> None:
        self._queue.put(what)

    def wait_for(self, *expected: object) -> list[object]:
        """Everything up to where all that is expected was told."""
        found: list[object] = []
        while not set(expected) <= set(found):
            try:
                found.append(self._queue.get(timeout=TIMEOUT_S))
            except queue.Empty:
                pytest.fail(f"expected {expected}, was told {found}")
        return found

    def wait_until_covered(self, folder: str) -> None:
        """Until that folder, or one above it with everything below, was told."""
        above = {Touched(folder[:length], deep=True) for length in range(len(folder) + 1)}
        covers = {*above, Touched(folder, deep=False)}
        while self._queue.get(timeout=TIMEOUT_S) not in covers:
            pass

    def wait_for_text(self, part: str) -> str:
        """The next sentence, which must hold *part*."""
        sentence = str(self._queue.get(timeout=TIMEOUT_S))
        assert part in sentence
        return sentence

    def now(self) -> list[object]:
        """What was told by now and not yet asked for."""
        return [self._queue.get() for _ in range(self._queue.qsize())]


class Scene:
    """A desired-state directory with two tasks, and the watch on it."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self.told = Told()
        self.tell: Callable[[Touched], object] = self.told
        self.said = Told()
        self.now_s = 1000.0
        self.tick_s = 0.0  # by which the clock moves whenever it is asked
        self._stack = stack
        self._marks = itertools.count()
        for task in ("shop", "end"):
            (path / task).mkdir(parents=True)
            (path / task / "sink.json").write_text("{}")

    def watched(self, path: Path | None = None, *, poll_s: float = 0.0) -> Watch:
        """A watch that runs until the test is over."""
        watch = Watch(path or self.path, self.tell, self.said, poll_s=poll_s, monotonic=self._monotonic)
        self._stack.callback(watch.stop)
        watch.start()
        return watch

    def _monotonic(self) -> float:
        self.now_s += self.tick_s
        return self.now_s

    def check_until_everything_is_told(self, watch: Watch) -> None:
        """As the daemon does, with the clock running fast."""
        while EVERYTHING not in self.told.now():
            self.now_s += RETRY_S
            watch.check()

    def told_meanwhile(self) -> set[object]:
        """Everything told for changes made before; two marks, because one listing may miss what was before the first."""
        found: set[object] = set()
        for _ in range(2):
            mark = f"end/mark-{next(self._marks)}"
            (self.path / mark).mkdir()
            found |= {*self.told.wait_for(Touched(mark, deep=True))} - {Touched(mark, deep=True)}
        return found - {Touched("end", deep=False)}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(tmp_path / "desired_state", stack)


@pytest.fixture(params=[0.0, POLL_S], ids=["kernel", "polling"])
def poll_s(request: pytest.FixtureRequest) -> float:
    return request.param


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    """Make a folder with a task outside the desired-state directory."""

    def made(name: str) -> Path:
        path = tmp_path / name
        (path / "shop").mkdir(parents=True)
        (path / "shop" / "sink.json").write_text("{}")
        return path

    return made
