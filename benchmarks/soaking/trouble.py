"""What goes wrong during the soak, by chance and from one seed: edits, outages, faults, signals, commands."""

import heapq
import json
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import fleet
from proxy import Manner, Proxy
from rig import Rig, RigError, wait_for

from soaking.files import Files, Tended

UPDATE = "UpdateIncrSync"
BATCH = 50
FAIR_S, FOUL_S = 25.0, 50.0
"""Fair weather, in which files only are changed, and foul weather, in turn."""

SETTLED_S = 3.0
"""How long after a disturbance it still counts as one."""

LONG_S = 20.0

PASSING_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "http", "parameters": {"status": 500}, "times": 2},
    {"kind": "http", "parameters": {"status": 500}, "effect": "after"},
    {"kind": "http", "parameters": {"status": 502}, "effect": "after"},
    {"kind": "http", "parameters": {"status": 429, "retry_after": 2}, "times": 3},
    {"kind": "http", "parameters": {"status": 503, "retry_after": 1}, "times": 3},
    {"kind": "http", "parameters": {"status": 503}, "times": 2},
    {"kind": "inner_error", "times": 2},
    {"kind": "inner_error", "effect": "after"},
    {"kind": "cm_unavailable", "times": 4},
    {"kind": "slow", "parameters": {"seconds": 3.0}, "times": 2},
    {"kind": "hang", "parameters": {"seconds": 12.0}},
    {"kind": "hang", "parameters": {"seconds": 12.0}, "effect": "after"},
    {"kind": "close"},
    {"kind": "reset", "effect": "after"},
    {"kind": "truncated"},
    {"kind": "cut_json"},
    {"kind": "success_missing"},
    {"kind": "success_text"},
    {"kind": "not_json"},
)
"""Of some update, whichever comes."""

READ_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "http", "parameters": {"status": 503}, "times": 5},
    {"kind": "inner_error", "times": 3},
    {"kind": "close", "times": 3},
    {"kind": "slow", "parameters": {"seconds": 2.0}, "times": 5},
)

LONG_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "hang", "parameters": {"seconds": 90.0}},
    {"kind": "hang", "parameters": {"seconds": 90.0}, "effect": "after"},
)
"""Of some update, where there is time enough: the daemon waits a minute for an answer."""

LASTING_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "param_error"},
    {"kind": "echo"},  # the server quotes the request, with its secrets
    {"kind": "error"},
    {"kind": "http", "parameters": {"status": 400}},
    {"kind": "exception"},
    {"kind": "ticket_stuck"},
    {"kind": "inner_error", "times": 3},
    {"kind": "inner_error", "times": 3, "effect": "after"},
)
"""Of one task, until a later edit mends it, or somebody asks for a retry."""


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which something was out of order."""

    what: str
    since: float  # unix seconds
    until: float


class Trouble:
    """Makes it, and remembers what was made when.

    Args:
        rig: the processes.
        files: what is edited.
        proxy: what stands before the simulator.
        chance: where chance comes from.
        longest_s: of an outage.
    """

    def __init__(self, rig: Rig, files: Files, proxy: Proxy, chance: random.Random, longest_s: float) -> None:
        self._rig, self._files, self._proxy, self._chance = rig, files, proxy, chance
        self._longest_s = longest_s
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self.spells: list[Spell] = []
        self.kills: list[float] = []
        self.counts: dict[str, int] = {}
        self.problems: list[str] = []  # of the daemon, seen on the way
        self._faults = PASSING_FAULTS + (LONG_FAULTS if longest_s >= LONG_S else ())
        fair: list[tuple[float, Callable[[], None]]] = [
            (40, self._single),
            (10, self._several),
            (6, self._add),
            (6, self._remove),
            (4, self._touch),
            (3, self._rename),
        ]
        foul = [
            *fair,
            (3, self._break),
            (2, self._away),
            (1.5, self._batch),
            (6, self._passing_fault),
            (2, self._read_fault),
            (2.5, self._lasting_fault),
            (0.3, self._misconfigured),
            (1.2, self._outage),
            (1.5, self._suspend),
            (1.5, self._ask),
            (0.7, self._signal),
        ]
        self._weathers = {True: fair, False: foul}
        self._began = time.monotonic()

    def count(self, kind: str) -> None:
        """One more of a kind."""
        self.counts[kind] = self.counts.get(kind, 0) + 1

    # --- time --------------------------------------------------------------------------------------------------------

    def for_a_while(self, until: float, pace_s: float) -> None:
        """Make trouble by chance until a moment (monotonic)."""
        while time.monotonic() < until:
            doings = self._weathers[(time.monotonic() - self._began) % (FAIR_S + FOUL_S) < FAIR_S]
            (_, do) = self._chance.choices(doings, [weight for weight, _ in doings])[0]
            do()
            self._catch_up()
            time.sleep(min(self._chance.expovariate(1 / pace_s), 5.0))

    def _after(self, seconds: float, work: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._later, (time.monotonic() + seconds, self._order, work))

    def _catch_up(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()

    def mend(self) -> None:
        """End everything that is out of order, and do what was put off; edits are still made for it."""
        if self._proxy.manner is not Manner.PASS:
            self._proxy.be(Manner.PASS)
        self._rig.back_door("faults", method="DELETE")
        while self._later:
            heapq.heappop(self._later)[2]()
        if self._proxy.manner is not Manner.PASS:
            self._proxy.be(Manner.PASS)
        self._rig.back_door("faults", method="DELETE")

    def _spell(self, what: str, seconds: float) -> None:
        now = time.time()
        self.spells.append(Spell(what, now, now + seconds + SETTLED_S))

    # --- edits -------------------------------------------------------------------------------------------------------

    def _single(self) -> None:
        one = self._files.any()
        if one is not None:
            self._files.edit_single(one)

    def _edit(self, kind: str, fits: Callable[[Tended], bool] = lambda _: True) -> None:
        one = self._files.any(fits)
        if one is not None:
            self._files.edit(one, kind)

    def _several(self) -> None:
        self._edit("several")

    def _add(self) -> None:
        self._edit("add")

    def _remove(self) -> None:
        self._edit("remove", self._files.can_lose_a_key)

    def _touch(self) -> None:
        one = self._files.any(everywhere=True)
        if one is not None:
            self._files.touch(one)

    def _break(self) -> None:
        is_edit = self._chance.random() < 0.5  # noqa: PLR2004 - one of two; else the file becomes what it was
        one = self._files.any(everywhere=not is_edit)
        if one is not None:
            self._after(self._chance.uniform(2, 20), self._files.break_(one, is_edit=is_edit))

    def _away(self) -> None:
        one = self._files.any(everywhere=True)
        if one is not None:
            self._after(self._chance.uniform(2, 30), self._files.move_away(one))

    def _rename(self) -> None:
        one = self._files.any(everywhere=True)
        if one is not None:
            self._files.rename(one)

    def _batch(self) -> None:
        found = {one.number: one for _ in range(BATCH) if (one := self._files.any()) is not None}
        self._files.edit_many(found.values())
        self._spell("batch", len(found) / 2)

    # --- faults ------------------------------------------------------------------------------------------------------

    def _fault(self, rule: dict[str, Any], **more: Any) -> None:
        self._rig.back_door("faults", {"action": UPDATE, **rule, **more})
        self.count(f"fault {rule['kind']}{' ' + rule['effect'] if 'effect' in rule else ''}")
        self._spell("fault", 15.0)

    def _passing_fault(self) -> None:
        self._fault(self._chance.choice(self._faults))

    def _read_fault(self) -> None:
        action = self._chance.choice(("DescribeProjectComponents", "DescribeProjectProgress"))
        self._fault(self._chance.choice(READ_FAULTS), action=action)

    def _lasting_fault(self) -> None:
        one = self._files.any()
        if one is not None:
            rule = self._chance.choice(LASTING_FAULTS)
            self._spoil(one, rule)
            mend = self._retry if rule["kind"] in ("param_error", "inner_error") else self._take_back
            self._after(self._chance.uniform(10, 40), lambda: mend(one))

    def _spoil(self, one: Tended, rule: dict[str, Any]) -> None:
        self._fault(rule, component=one.component)
        one.is_away = True
        self._files.edit(one)

    def _take_back(self, one: Tended) -> None:
        one.is_away = False
        self._files.edit(one)

    def _retry(self, one: Tended) -> None:
        one.is_away = False
        self._command("retry", one.name)

    def _misconfigured(self) -> None:
        self._fault({"kind": "http", "parameters": {"status": self._chance.choice((401, 403))}})

    def _outage(self) -> None:
        if self._proxy.manner is not Manner.PASS:
            return
        manner = self._chance.choice([manner for manner in Manner if manner is not Manner.PASS])
        seconds = self._chance.uniform(min(10.0, self._longest_s / 2), self._longest_s)
        self._proxy.be(manner)
        self._spell(f"outage: {manner.value}", seconds + 60.0)  # until the breaker has asked again
        self.count(f"outage: {manner.value}")
        self._after(seconds, lambda: self._proxy.be(Manner.PASS))

    # --- commands and signals ----------------------------------------------------------------------------------------

    def _suspend(self) -> None:
        one = self._files.any()
        if one is not None:
            one.is_away = True
            self._command("suspend", one.name, "--reason", "the soak tries it")
            self._files.edit(one)
            self._after(self._chance.uniform(5, 20), lambda: self._resume(one))

    def _resume(self, one: Tended) -> None:
        self._command("resume", one.name)
        one.is_away = False

    def _ask(self) -> None:
        one = self._files.any()
        questions: list[tuple[str, ...]] = [
            ("status", "--format", "json"),
            ("plan", "--format", "json"),
            ("history", "--limit", "20"),
            ("sync",),
        ]
        if one is not None:
            questions += [("retry", one.name), ("explain", one.name), ("sync", one.name)]
        self._command(*self._chance.choice(questions))

    def _command(self, *arguments: str) -> None:
        ended = self._rig.run(*arguments)
        self.count(f"command {arguments[0]}")
        usual = (0, 1, 2, 3) if arguments[0] == "plan" else (0,)
        if ended.code not in usual or "Traceback" in ended.err:
            self.problems.append(f"reconciler {' '.join(arguments)} exited {ended.code}: {ended.err[-300:]}")

    def _signal(self) -> None:
        number = self._chance.choice((signal.SIGHUP, signal.SIGUSR1))
        self._rig.signal(number)
        self.count(number.name)
        self._spell(number.name, 5.0)

    # --- what happens once or twice ----------------------------------------------------------------------------------

    def kill(self) -> None:
        """`kill -9` at any moment, and a restart."""
        self.kills.append(time.time())
        self._spell("kill -9", 15.0)
        self._rig.kill_daemon()
        self._rig.start_daemon()
        self.count("kill -9")

    def kill_during_a_call(self) -> None:
        """`kill -9` while the server has a call and did not answer yet, and a restart."""
        self.mend()
        one = self._must_have(lambda one: not one.is_stale)
        self._fault({"kind": "slow", "parameters": {"seconds": 8.0}}, component=one.component)
        self._files.edit(one)
        wait_for("a call to kill the daemon in", lambda: self._has(one), 60, 0.05)
        self.kill()

    def _has(self, one: Tended) -> bool:
        """Whether a component has what was edited last: the call arrived, answered or not."""
        has = self._rig.back_door(f"component?name={quote(one.component)}")["config"]
        return bool(has["coordinator"] == fleet.wanted(fleet.read(one.folder))["coordinator"])

    def _must_have(self, fits: Callable[[Tended], bool]) -> Tended:
        one = self._files.any(fits)
        if one is None:
            raise RigError("no task is left to try something on")
        return one

    def refuse_configuration(self) -> None:
        """SIGHUP with a configuration that is wrong, then with the right one again."""
        text = self._rig.config_path.read_text()
        for wrong in ("[targets.default\n", text.replace("max_concurrent", "max_concurent")):
            self._rig.config_path.write_text(wrong)
            self._reload("error")
        self._rig.config_path.write_text(text)
        self._reload("info")

    def _reload(self, level: str) -> None:
        """SIGHUP, and wait until the daemon says what it thinks of the configuration."""
        name = f'reconciler_notices_total{{level="{level}",topic="config"}}'

        def heard() -> float:
            vital = self._rig.vital()
            return vital.metric(name) if vital else 0.0

        before = heard()
        self._rig.signal(signal.SIGHUP)
        self.count(f"SIGHUP, {'refused' if level == 'error' else 'followed'}")
        self._spell("SIGHUP", 5.0)
        try:
            wait_for("an answer to SIGHUP", lambda: heard() > before, 20)
        except RigError as error:
            self.problems.append(str(error))

    def move_a_host(self) -> None:
        """A host dies: a task that says a place in a project is followed, one that names a component is held."""
        self.mend()
        role = self._must_have(lambda one: one.place.by_role)
        named = self._must_have(lambda one: not one.place.by_role)
        hosts = {one.component.partition("-")[0] for one in (role, named)}
        for one in self._files.tended:
            if one.component.partition("-")[0] in hosts:
                moved = self._rig.back_door("move", {"name": one.component, "ip": f"10.1.0.{1 + one.number % 250}"})
                one.names.append(moved["name"])
                one.is_stale = not one.place.by_role
        self.count("host moved")
        self._spell("host moved", 20.0)
        self._files.edit(role)
        self._files.edit(named)
        self._see("a task that says a place follows its component", lambda: self._has(role))
        self._see(f"{named.name} is held because it may have moved", lambda: "moved" in self._reason(named, "blocked"))
        self._files.set_key(named)  # another address, so another task: what was known of the old one is not of it
        self._see("a corrected key is sent to", lambda: self._has(named))

    def _reason(self, one: Tended, state: str) -> str:
        """Why a task is in a state; empty when it is in another one."""
        for row in json.loads(self._rig.must("status", one.name, "--format", "json"))["tasks"]:
            if row["state"] == state:
                return str(row["reason"])
        return ""

    def _see(self, what: str, condition: Callable[[], bool], timeout_s: float = 180.0) -> None:
        """Wait for it as long as the jobs of an outage that is just over may take to pass."""
        try:
            wait_for(what, condition, timeout_s, 0.5)
        except RigError as error:
            self.problems.append(str(error))

    def stop_a_target(self) -> None:
        """Components that do not come back stop the target, until somebody says that it may be used again."""
        self.mend()
        self._rig.configure(stop_after_failures=2)
        self._reload("info")
        spoilt = [self._must_have(lambda _: True) for _ in range(3)]
        for one in spoilt:
            self._spoil(one, {"kind": "exception"})
        self._see("the target is stopped", lambda: not self._is_usable())
        held = self._must_have(lambda _: True)
        self._files.edit(held)
        time.sleep(3)
        if self._has(held):
            self.problems.append(f"{held.name} was sent to while its target was stopped")
        self._rig.back_door("faults", method="DELETE")
        self._rig.configure(stop_after_failures=0)
        self._reload("info")
        self._command("resume", "--target", "default")
        self._see("the target is used again", self._is_usable)
        for one in spoilt:
            self._take_back(one)
        self.count("target stopped")
        self._spell("target stopped", 30.0)

    def _is_usable(self) -> bool:
        vital = self._rig.vital()
        return vital is not None and vital.metric('reconciler_target_usable{target="default"}') == 1
