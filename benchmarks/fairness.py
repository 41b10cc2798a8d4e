"""Do failing tasks slow healthy ones? Times from edit to call of the healthy half, as ratios, side by side in one go.

.venv/bin/python benchmarks/fairness.py [TASKS]

All tasks are edited at once; in some runs half of them fail for ever, each run in processes of its own. Then, while
those are in back-off, single healthy tasks are edited, one after the other. Exits 1 when a ratio is LIMIT or more.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fleet
from rig import Rig, wait_for

LIMIT = 2.0
SLOTS = (1, 2, 3, 5, 9)  # of ten tasks; no project has a failing and a healthy one
SINGLES = 30
SINGLE_SLOTS = (0, 4, 6)  # those whose project has one component
CONCURRENT = 100
RESTART = {"queue_s": 0.1, "stop_s": 3.4, "start_s": 1.5}
"""Five seconds; the vendor tells of 25 to 44. A task in doubt is watched as long as ever: shorter ones mislead."""

UPDATE = "UpdateIncrSync"
NOTHING = "none fails"


@dataclass(frozen=True, slots=True)
class Measured:
    """Times from edit to call of healthy tasks, seconds, sorted."""

    together: list[float]
    alone: list[float]


def is_healthy(number: int) -> bool:
    """Whether a task's calls are answered as they should be, in every run."""
    return number % 10 not in SLOTS


def rule(kind: str, last_digits: str, **parameters: Any) -> dict[str, Any]:
    """A fault of every update of tasks with these last digits, for ever."""
    return {"kind": kind, "action": UPDATE, "component": f"*[{last_digits}]", "times": None, "parameters": parameters}


def cut_off(tasks: int) -> list[dict[str, Any]]:
    """A fault of every read of the projects of slot 5, which are those of slot 9: the connection is closed."""
    places = (fleet.place_of(number) for number in range(5, tasks, 10))
    return [{"kind": "close", "project": place.project, "times": None} for place in places]


RUNS: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    NOTHING: lambda _: [],
    "half are put off (503, 429, connections closed)": lambda tasks: [
        rule("http", "1", status=503, retry_after=1),
        rule("http", "3", status=429, retry_after=1),
        rule("cm_unavailable", "2"),
        *cut_off(tasks),
    ],
    "half are refused for good": lambda _: [rule("param_error", "12359")],
    "half end unknown": lambda _: [rule("reset", "12359")],
    f"{NOTHING}, again": lambda _: [],
}


def main() -> int:
    """Measure and print."""
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    found: dict[str, Measured] = {}
    for name, rules in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            found[name] = measure(Path(folder), tasks, rules(tasks))
            print(f"  {name}: {_text(found[name].together)}; one alone: {_text(found[name].alone)}", flush=True)
    return report(tasks, found)


def measure(folder: Path, tasks: int, rules: list[dict[str, Any]]) -> Measured:
    """One run."""
    settings = {"quiet_s": 0.2, "max_concurrent": CONCURRENT, "resync_s": 3600}
    rig = Rig(folder, tasks, fleet.FEW_TABLES, **settings)
    try:
        rig.start_simulator()
        rig.back_door("timing", RESTART)
        rig.must("adopt", "--all")
        rig.start_daemon()
        if rules:
            rig.back_door("faults", rules)
        healthy = [number for number in range(tasks) if is_healthy(number)]
        edited = edit(rig, range(tasks))
        wait_for(
            "every task is sent to that can be", lambda: accepted(rig) >= (len(healthy) if rules else tasks), 600, 1.0
        )
        calls = first_calls(rig)
        together = sorted(calls[number] - edited[number] for number in healthy)
        time.sleep(15)  # those that fail are in back-off then
        singles = [number for number in healthy if number % 10 in SINGLE_SLOTS][:SINGLES]
        return Measured(together, sorted(alone(rig, singles)))
    finally:
        rig.close()


def edit(rig: Rig, numbers: Iterable[int]) -> dict[int, float]:
    """Change a value of each task; returns when, unix seconds."""
    at = {}
    for number in numbers:
        path = rig.desired / fleet.name_of(number) / "coordinator.json"
        document = json.loads(path.read_text())
        document["throttleRps"] = str(int(document["throttleRps"]) + 10_000)
        path.write_text(fleet.as_text(document))
        at[number] = time.time()
    return at


def alone(rig: Rig, numbers: Iterable[int]) -> list[float]:
    """Seconds from edit to call of tasks that are edited one after the other."""
    edited: dict[int, float] = {}
    for number in numbers:
        before = accepted(rig)
        edited |= edit(rig, [number])
        wait_for("an edit is sent", lambda before=before: accepted(rig) > before, 120, 0.1)  # type: ignore[misc]
    calls = first_calls(rig, min(edited.values()))
    return [calls[number] - at for number, at in edited.items()]


def first_calls(rig: Rig, since: float = 0.0) -> dict[int, float]:
    """When each task was sent to first, unix seconds."""
    found: dict[int, float] = {}
    for call in rig.updates():
        if call["at"] >= since:
            found.setdefault(int(call["body"]["key"].rpartition(":")[2]), call["at"])
    return found


def accepted(rig: Rig) -> float:
    """How many updates were accepted so far."""
    seen = rig.vital()
    return seen.metric('reconciler_calls_total{action="update",outcome="accepted",target="default"}') if seen else 0.0


def report(tasks: int, found: dict[str, Measured]) -> int:
    """Ratios to the mean of the runs in which none fails; the exit code."""
    calm = [measured for name, measured in found.items() if name.startswith(NOTHING)]
    ratios = {}
    print(f"{tasks} tasks edited at once, {CONCURRENT} at a time; the healthy half, as ratios to when none fails:")
    for name, measured in found.items():
        if name.startswith(NOTHING):
            continue
        for what, mine, theirs in (
            ("all at once", measured.together, [each.together for each in calm]),
            ("one alone", measured.alone, [each.alone for each in calm]),
        ):
            median = statistics.median(mine) / statistics.mean(map(statistics.median, theirs))
            high = _p99(mine) / statistics.mean(map(_p99, theirs))
            ratios[name, what] = max(median, high)
            print(f"  {name:50} {what:12} median {median:4.2f} x   p99 {high:4.2f} x")
    return 1 if max(ratios.values()) >= LIMIT else 0


def _p99(values: list[float]) -> float:
    return values[int(0.99 * (len(values) - 1))]


def _text(values: list[float]) -> str:
    return f"median {statistics.median(values):.3f} s, p99 {_p99(values):.3f} s"


if __name__ == "__main__":
    sys.exit(main())
