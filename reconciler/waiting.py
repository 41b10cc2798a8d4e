"""Jobs of one target that wait, in the order in which they may go. Holds no lock and knows no time of its own."""

import heapq
from collections.abc import Callable, Iterator

from reconciler.jobs import Job

_Entry = tuple[float, int, Job]  # (due, order, job)


def lane(job: Job) -> str:
    """What may have one write in flight: the project, or the address where no project is known."""
    return job.project or job.item.address


class Waiting:
    """A heap of those that are not begun, one of those that come back, and those whose lane is busy.

    Args:
        places: how many lanes may be busy at once.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self.busy: dict[str, Job] = {}  # {lane: the job that has it}: its component is under way
        self._order = 0
        self._new: list[_Entry] = []
        self._back: list[_Entry] = []  # under way, or only looking: they wait for nothing but their time
        self._parked: dict[str, list[_Entry]] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._back) + sum(map(len, self._parked.values()))

    def jobs(self) -> Iterator[Job]:
        """All of them, in no order."""
        for entries in (self._new, self._back, *self._parked.values()):
            yield from (job for _, _, job in entries)

    def push(self, due: float, job: Job) -> None:
        """Add a job; *due* is a monotonic time in seconds."""
        self._order += 1
        heapq.heappush(self._back if _is_free(job) else self._new, (due, self._order, job))

    def pop(self, now: float) -> Job | None:
        """Take a job that is due, whose lane is free, and for which there is a place; None when there is none."""
        if self._back and self._back[0][0] <= now:
            return heapq.heappop(self._back)[2]
        while self._new and self._new[0][0] <= now and len(self.busy) < self.places:
            entry = heapq.heappop(self._new)
            mine = lane(entry[2])
            if mine not in self.busy:
                self.busy[mine] = entry[2]
                return entry[2]
            self._parked.setdefault(mine, []).append(entry)
        return None

    def due(self, now: float) -> float | None:
        """Seconds until time alone lets a job go; None when none waits for time."""
        times = [self._back[0][0]] if self._back else []
        times += [entry[0] for entry in self._new[:1] if entry[0] > now]
        return max(0.0, min(times) - now) if times else None

    def free(self, job: Job) -> None:
        """A job lets others have its lane, if it has it."""
        if self.busy.get(lane(job)) is not job:
            return
        del self.busy[lane(job)]
        for entry in self._parked.pop(lane(job), ()):
            heapq.heappush(self._new, entry)

    def take_out(self, wanted: Callable[[Job], bool]) -> list[Job]:
        """Remove jobs, in the order in which they came."""
        entries = [e for heap in (self._new, self._back, *self._parked.values()) for e in heap if wanted(e[2])]
        if entries:
            self._new = [e for e in self._new if not wanted(e[2])]
            self._back = [e for e in self._back if not wanted(e[2])]
            parked = {mine: [e for e in waiting if not wanted(e[2])] for mine, waiting in self._parked.items()}
            self._parked = {mine: waiting for mine, waiting in parked.items() if waiting}
            heapq.heapify(self._new)
            heapq.heapify(self._back)
        return [job for _, _, job in sorted(entries, key=lambda entry: entry[1])]


def _is_free(job: Job) -> bool:
    return job.under_way or job.only_looks
