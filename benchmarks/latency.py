"""What a large fleet costs the daemon: start, memory, a look at nothing new, and the way from an edit to its call.

.venv/bin/python benchmarks/latency.py [TASKS]

Everything is told beside something that must be done anyway, measured in the same go: reading and parsing the files,
and a bare program that waits for inotify and opens a socket.
"""

import ctypes
import ctypes.util
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fleet
from rig import Rig, Vital, wait_for

EDITS = 60
RESYNCS = 5
PEOPLED = 200  # tasks that have a component
BESIDE = "--beside"


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == [BESIDE]:
        notify_and_connect(sys.argv[2], int(sys.argv[3]))
        return
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder), tasks, quiet_s=0, resync_s=3600, max_concurrent=8)
        try:
            measure(rig)
        finally:
            rig.close()


def measure(rig: Rig) -> None:
    """All of it, in one go."""
    rig.start_simulator(PEOPLED)
    began = time.perf_counter()
    rig.must("adopt", "--all")
    print(f"{rig.tasks} tasks; adopting them took {time.perf_counter() - began:.1f} s")
    floor_s = read_and_parse_s(rig.desired)
    start_s = rig.start_daemon()
    at_start = vital(rig)
    print(f"  start to READY       {start_s:6.2f} s, {start_s / floor_s:4.1f} x reading and parsing all files")
    print(f"  memory at READY      {at_start.rss_kib / 1024:6.0f} MiB")
    resync_s = resync_cpu_s(rig)
    print(f"  a look at nothing new{resync_s:6.3f} s of CPU, {resync_s / at_start.cpu_s:5.3f} x the start's")
    print(f"  memory after {RESYNCS} looks {vital(rig).rss_kib / 1024:6.0f} MiB")
    bare = bare_latencies_s(rig.desired)
    first, call = edit_latencies_s(rig)
    for name, values in (("bare inotify, socket", bare), ("edit to first request", first), ("edit to call", call)):
        ratio = statistics.median(values) / statistics.median(bare)
        p99 = values[int(0.99 * (len(values) - 1))]
        print(f"  {name:21} p50 {1000 * statistics.median(values):6.1f} ms, p99 {1000 * p99:6.1f} ms, {ratio:5.1f} x")


def vital(rig: Rig) -> Vital:
    """How the daemon is."""
    found = rig.vital()
    if found is None:
        raise SystemExit("the daemon does not answer")
    return found


def read_and_parse_s(root: Path) -> float:
    """Seconds to read and parse every file, the best of three: the floor of a start."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        for path in root.rglob("*.json"):
            json.loads(path.read_bytes())
        times.append(time.perf_counter() - began)
    return min(times)


def resync_cpu_s(rig: Rig) -> float:
    """CPU seconds of one look at everything when nothing changed, the median of some."""
    name = 'reconciler_passes_total{cause="command",result="complete"}'
    times = []
    for _ in range(RESYNCS):
        before = vital(rig)
        rig.signal(signal.SIGUSR1)
        wait_for("a resync", lambda seen=before: vital(rig).metric(name) > seen.metric(name), 60)  # type: ignore[misc]
        times.append(vital(rig).cpu_s - before.cpu_s)
    return statistics.median(times)


# --- from edit to call -----------------------------------------------------------------------------------------------


def edit_latencies_s(rig: Rig) -> tuple[list[float], list[float]]:
    """Seconds from an edit to the first request it causes, and to its call; one task after the other."""
    edits = []
    numbers = [number for number in range(PEOPLED) if number % 10 == 0][:EDITS]  # each has a project of its own
    for turn in range(EDITS):
        number = numbers[turn % len(numbers)]
        edits.append((number, edit(rig.desired / fleet.name_of(number), turn)))
        wait_for("an edit is sent and verified", lambda: is_idle_after(rig, len(edits)), 60, 0.2)
    calls = rig.back_door("calls")
    first, call = [], []
    for number, at in edits:
        place = fleet.place_of(number)
        mine = [
            c for c in calls if c["at"] >= at and place.project in (c["body"].get("id") or c["body"].get("key", ""))
        ]
        first.append(mine[0]["at"] - at)
        call.append(next(c["at"] - at for c in mine if c["action"] == "UpdateIncrSync"))
    return sorted(first), sorted(call)


def is_idle_after(rig: Rig, calls: int) -> bool:
    """Whether so many calls were made, and nothing is to be done."""
    seen = vital(rig)
    name = 'reconciler_calls_total{action="update",outcome="accepted",target="default"}'
    return seen.metric(name) >= calls and seen.is_idle


def edit(folder: Path, turn: int) -> float:
    """Change a value; returns when, unix seconds."""
    path = folder / "coordinator.json"
    document = json.loads(path.read_text())
    document["throttleRps"] = str(20_000 + turn)
    text = fleet.as_text(document)
    at = time.time()
    path.write_text(text)
    return at


def bare_latencies_s(root: Path) -> list[float]:
    """Seconds from an edit to a connection of a program that does nothing else than wait for it."""
    folder = root / fleet.name_of(PEOPLED)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        beside = subprocess.Popen([sys.executable, __file__, BESIDE, str(folder), str(port)])
        try:
            listener.accept()[0].close()  # it watches
            times = []
            for turn in range(EDITS):
                at = edit(folder, turn)
                connection, _ = listener.accept()
                connection.recv(1)
                times.append(time.time() - at)
                connection.close()
                time.sleep(0.1)
        finally:
            beside.kill()
            beside.wait()
    return sorted(times)


def notify_and_connect(folder: str, port: int) -> None:
    """The bare program: a connection with a byte for each time a file was written and closed."""
    in_close_write, event = 0x8, struct.Struct("iIII")
    libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    watch = libc.inotify_init1(0)
    if watch < 0 or libc.inotify_add_watch(watch, os.fsencode(folder), in_close_write) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    connect(port)
    while os.read(watch, 64 * (event.size + 256)):
        connect(port)


def connect(port: int) -> None:
    """Send one byte."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"x")


if __name__ == "__main__":
    main()
