"""What planning an unchanged fleet costs, as ratios to reading and parsing the same files, side by side in one go.

.venv/bin/python benchmarks/plan.py [TASKS]
"""

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import fleet

from reconciler import resources, wiring
from reconciler.config import load
from reconciler.core.desired import prepare
from reconciler.source import DirectorySource

ROUNDS = 3
CONFIG = """
[desired_state]
path = "desired_state"
[targets.default]
url = "http://127.0.0.1:1"
username = "nobody"
password = "nothing is called"
"""


def main() -> None:
    """Measure and print."""
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    os.environ["BENCH_SECRET"] = "x"  # noqa: S105 - any text
    with tempfile.TemporaryDirectory() as folder:
        fleet.make(Path(folder) / "desired_state", tasks)
        (Path(folder) / "reconciler.toml").write_text(CONFIG, encoding="utf-8")
        measure(Path(folder), tasks)


def measure(folder: Path, tasks: int) -> None:
    """Time the steps of a pass over an adopted fleet, each round in the same order."""
    settings = load(folder / "reconciler.toml")
    source, validator, catalogue = DirectorySource(settings.desired_state), wiring.validator(), resources.catalogue()
    store = wiring.open_store(settings, read_only=False)
    reconciler = wiring.reconciler(settings, store)
    reconciler.adopt((), reason="benchmark", only_new=True)
    valid = [examined.task for raw in source.tasks() if (examined := validator.examine(raw)).task]
    steps: dict[str, Callable[[], object]] = {
        "read and parse (the floor)": lambda: [json.loads(d) for raw in source.tasks() for d in raw.files.values()],
        "read and validate": lambda: [validator.examine(raw).violations for raw in source.tasks()],
        "canonical form, secrets, digest": lambda: [
            prepare(t, catalogue, lambda *_: "x", b"k" * 32).task for t in valid
        ],
        "whole plan, nothing changed": lambda: reconciler.survey(settings.policy).plan.id,
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - began)
    store.close()
    floor = statistics.median(times["read and parse (the floor)"])
    print(f"{tasks} tasks, median of {ROUNDS}:")
    for name, measured in times.items():
        median = statistics.median(measured)
        print(f"  {name:35} {median:7.2f} s  {median / floor:5.1f} x  {1000 * median / tasks:6.2f} ms a task")
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory, all valid tasks kept in memory by this script: {peak_mib:.0f} MiB")


if __name__ == "__main__":
    main()
