"""The daemon over a fleet for half an hour, with everything going wrong that a simulated OMS and its users can do.

.venv/bin/python benchmarks/soak.py [--minutes M] [--tasks N] [--seed S] [--git]

Ends with PASS or FAIL, the reasons, and a table; report.json and the daemon's log stay in .run/soak-….
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import fleet
from proxy import Proxy
from rig import ROOT, SECRETS, Rig, RigError, Vital, free_port, wait_for
from soaking import samples, verdict
from soaking.commits import SOURCE, Commits
from soaking.files import Files
from soaking.trouble import Trouble

QUIET_S = 60.0
RESYNC_S = 30
PACE_S = 0.4  # mean time between two things that happen
CALLS_KEPT_S = 240.0  # the simulator forgets calls, in the end
MOST_OF_A_KIND = 10


class Soak:
    """One run.

    Args:
        folder: what it leaves behind.
        minutes: how long trouble is made.
        tasks: size of the fleet.
        seed: of all chance.
        git: edits are committed, and the daemon follows a clone; else it watches the files.
    """

    def __init__(self, folder: Path, minutes: float, tasks: int, seed: int, *, git: bool = False) -> None:
        self._folder, self._minutes, self._tasks = folder, minutes, tasks
        chance = random.Random(seed)  # noqa: S311 - reproducible, nothing to protect
        port = free_port()
        self._rig = Rig(folder, tasks, fleet.FEW_TABLES, url=f"http://127.0.0.1:{port}", resync_s=RESYNC_S)
        self._commits = Commits(self._rig, random.Random(seed)) if git else None  # noqa: S311 - likewise
        if git:
            self._rig.configure(source=SOURCE)
        self._proxy = Proxy(port, int(self._rig.simulator_url.rpartition(":")[2]))
        self._files = Files(self._rig.desired, tasks, chance)
        longest_s = max(10.0, min(60.0, 2 * minutes))
        self._trouble = Trouble(self._rig, self._files, self._proxy, chance, longest_s)
        self._sampler = samples.Sampler(self._rig)
        self._calls: dict[int, dict[str, Any]] = {}
        self._failures: list[str] = []
        self._figures: dict[str, Any] = {"tasks": tasks, "minutes": minutes, "seed": seed}

    def run(self) -> int:
        """From the start to the verdict; the exit code."""
        with ExitStack() as stack:
            stack.callback(self._rig.close)
            self._proxy.start()
            stack.callback(self._proxy.stop)
            self._begin()
            if self._commits is not None:
                self._commits.start()
                stack.callback(self._commits.stop)
            self._sampler.start()
            stack.callback(self._sampler.stop)
            idle_early = self._make_trouble()
            self._settle()
            idle_late = self._stay_quiet()
            self._judge(idle_early, idle_late)
            self._end()
        return self._report()

    # --- phases ------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._rig.start_simulator()
        if self._commits is not None:
            self._commits.begin()
        self._rig.must("adopt", "--all")
        self._figures["start_s"] = round(self._rig.start_daemon(), 2)
        print(f"{self._tasks} tasks adopted, the daemon was ready after {self._figures['start_s']} s", flush=True)

    def _make_trouble(self) -> Vital:
        began, whole_s = time.monotonic(), 60 * self._minutes
        pieces = (
            (0.04, self._trouble.kill),
            (0.10, self._trouble.kill_during_a_call),
            (0.20, lambda: None),
            (0.35, self._trouble.refuse_configuration),
            (0.50, self._trouble.move_a_host),
            (0.65, self._trouble.stop_a_target),
            (1.00, lambda: None),
        )
        idle_early: Vital | None = None
        for share, piece in pieces:
            until = began + share * whole_s
            while time.monotonic() < until:
                self._trouble.for_a_while(min(until, time.monotonic() + CALLS_KEPT_S), PACE_S)
                self._remember_calls()
            piece()
            self._say()
            if idle_early is None and share >= 0.2:  # noqa: PLR2004 - both kills are over
                self._trouble.mend()
                idle_early = self._idle()
        if idle_early is None:
            raise RigError("the daemon was never idle")
        return idle_early

    def _say(self) -> None:
        vital = self._rig.vital()
        rss_mib = vital.rss_kib // 1024 if vital else 0
        edits = sum(self._files.counts.values())
        print(f"{datetime.now():%H:%M:%S} {edits} edits, {len(self._calls)} calls, RSS {rss_mib} MiB", flush=True)  # noqa: DTZ005 - for eyes

    def _idle(self, timeout_s: float = 180.0) -> Vital:
        """Wait until nothing is to be done, for some seconds on end."""
        calm: list[Vital] = []

        def is_calm() -> bool:
            vital = self._rig.vital()
            if vital is None or not vital.is_idle:
                calm.clear()
            else:
                calm.append(vital)
            return len(calm) >= 10  # noqa: PLR2004 - five seconds

        wait_for("nothing is to be done", is_calm, timeout_s, 0.5)
        return calm[-1]

    def _remember_calls(self) -> None:
        self._calls |= {call["number"]: call for call in self._rig.updates()}

    def _settle(self) -> None:
        """End all trouble, do what an operator would do, and wait until every task is synced."""
        self._trouble.mend()
        try:
            took_s = wait_for("every task is synced", self._is_synced, 300.0, 3.0)
            self._figures["settled_after_s"] = round(took_s, 1)
        except RigError as error:
            left = [f"{t['task']}: {t['state']}: {t['reason']}" for t in self._status() if t["state"] != "synced"]
            self._failures += [f"{error}: {len(left)} are not", *left[:MOST_OF_A_KIND]]

    def _is_synced(self) -> bool:
        vital = self._rig.vital()
        if vital is None or not vital.is_idle:
            return False
        left = [task for task in self._status() if task["state"] != "synced"]
        by_name = {one.name: one for one in self._files.tended}
        for task in left:
            one = by_name.get(task["task"])
            if one is not None and one.is_stale and "moved" in task["reason"]:
                self._files.set_key(one)
            elif one is not None and task["state"] in ("failed", "unconfirmed"):
                self._files.edit(one)
            elif task["state"] == "blocked" and "never clearly answered" in task["reason"]:
                self._rig.run("retry", task["task"])
        return not left

    def _status(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self._rig.must("status", "--format", "json"))["tasks"]
        return found

    def _stay_quiet(self) -> Vital:
        """A minute with resyncs in it and without a call."""
        before, resyncs = len(self._rig.updates()), self._resyncs()
        time.sleep(QUIET_S)
        more = len(self._rig.updates()) - before
        if more:
            self._failures.append(f"{more} calls within {QUIET_S:g} s after everything was synced")
        if self._resyncs() == resyncs:
            self._failures.append(f"no resync within {QUIET_S:g} s")
        return self._idle()

    def _resyncs(self) -> float:
        vital = self._rig.vital()
        return vital.metric('reconciler_passes_total{cause="resync",result="complete"}') if vital else 0.0

    # --- verdict -----------------------------------------------------------------------------------------------------

    def _judge(self, idle_early: Vital, idle_late: Vital) -> None:
        self._remember_calls()
        components = {each["name"]: each for each in self._rig.back_door("state")["components"]}
        rows = verdict.journal(self._folder / "state" / "reconciler.db")
        spells = self._trouble.spells
        ledger = verdict.Ledger(self._files, list(self._calls.values()), rows, self._trouble.kills, spells)
        grown = samples.growth(self._sampler.vitals, idle_early, idle_late)
        for problems in (
            self._trouble.problems,
            self._commits.problems if self._commits else (),
            verdict.converged(self._files, components),
            ledger.unexplained(),
            ledger.repeated(),
            ledger.undeclared_deletions(),
            ledger.untouched(),
            verdict.imagined_moves(self._files, self._rig.log()),
            grown.problems(),
        ):
            self._fail(problems)
        self._measure(ledger, rows, grown)

    def _fail(self, problems: Iterable[str]) -> None:
        """Remember what is wrong, not more than a screen of one kind."""
        found = list(problems)
        self._failures += found[:MOST_OF_A_KIND]
        if len(found) > MOST_OF_A_KIND:
            self._failures.append(f"… and {len(found) - MOST_OF_A_KIND} more of this kind")

    def _measure(self, ledger: verdict.Ledger, rows: list[verdict.Row], grown: samples.Growth) -> None:
        outcomes = [row.outcome for row in rows if row.kind == "outcome"]
        vitals = self._sampler.vitals
        latencies = ledger.latencies_s([*self._trouble.spells, *samples.backlogs(vitals)])
        self._figures |= {
            "edits": dict(sorted(self._files.counts.items())),
            "trouble": dict(sorted(self._trouble.counts.items())),
            "commits": dict(self._commits.counts) if self._commits else None,
            "calls": len(self._calls),
            "calls_with_effect": sum(call["executed"] for call in self._calls.values()),
            "intents": sum(row.kind == "intent" for row in rows),
            "outcomes": {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))},
            "journal_rows": len(rows),
            "most_in_queue": max(vital.metric("reconciler_queue_depth") for vital in vitals),
            "edit_to_call_s": {
                "measured": len(latencies),
                "p50": round(statistics.median(latencies), 3) if latencies else None,
                "p99": round(latencies[int(0.99 * (len(latencies) - 1))], 3) if latencies else None,
            },
            "rss_kib_by_fifth": grown.fifths,
            "idle_fds": grown.idle_fds,
            "most_threads": grown.threads,
            "cpu_share": round(vitals[-1].cpu_s / max(1.0, vitals[-1].at - vitals[0].at), 3),
        }

    def _end(self) -> None:
        """Stop the daemon as systemd does, and look at what it leaves behind."""
        history = self._rig.run("history", "--verify", "--limit", "1")
        if history.code or "journal intact" not in history.err:
            self._failures.append(f"history --verify exited {history.code}: {history.err[-300:]}")
        self._sampler.stop()
        code = self._rig.stop_daemon()
        if code:
            self._failures.append(f"the daemon exited {code} after SIGTERM")
        log = self._rig.log()
        self._failures += [line[:300] for line in log.splitlines() if "Traceback" in line or '"defect"' in line]
        for path in (self._rig.log_path, *sorted((self._folder / "state").iterdir())):
            self._search(path)
        self._failures += sorted(set(self._rig.leaks))

    def _search(self, path: Path) -> None:
        content = path.read_bytes()
        names = [name for name, value in SECRETS.items() if value.encode() in content]
        self._failures += [f"{path.name}: the value of {name}" for name in names]

    def _report(self) -> int:
        report = {
            "passed": not self._failures,
            "failures": self._failures,
            "figures": self._figures,
            "kills": self._trouble.kills,
            "spells": [asdict(spell) for spell in self._trouble.spells],
            "samples": [asdict(vital) for vital in self._sampler.vitals],
        }
        text = json.dumps(report, indent=1)
        (self._folder / "report.json").write_text(text, encoding="utf-8")
        for name, value in self._figures.items():
            print(f"  {name:20} {value}")
        for reason in self._failures:
            print(f"  FAILED: {reason}")
        print("FAIL" if self._failures else "PASS", f"({len(self._failures)} reasons); {self._folder}/report.json")
        return 1 if self._failures else 0


def main() -> int:
    """Run once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--git", action="store_true", help="follow commits")
    given = parser.parse_args()
    folder = ROOT / ".run" / f"soak-{datetime.now():%m%d-%H%M%S}"  # noqa: DTZ005 - a name for eyes
    folder.mkdir(parents=True)
    return Soak(folder, given.minutes, given.tasks, given.seed, git=given.git).run()


if __name__ == "__main__":
    sys.exit(main())
