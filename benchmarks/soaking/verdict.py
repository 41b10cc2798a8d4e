"""Was everything right? Judged from what the simulator received and has, the journal, and the diary of edits."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import fleet

from soaking.files import Files, Tended, digest
from soaking.trouble import Spell

EARLY_S = 0.02
"""An intent is on disk before its call arrives; the two clocks are one, read by two processes."""

ACCEPTED = ("verifying", "not-verified")

LATE_S = 5.0
"""How long after the daemon gave a call up, or was killed, it may still arrive."""


@dataclass(slots=True)
class Sent:
    """One intent of the journal, and what became of it."""

    sequence: int
    at: float  # unix seconds
    until: float  # when its outcome was written; of one that has none, when the daemon was killed
    outcome: str  # Condition.value; "" when there is none
    action: str
    calls: int = 0  # that the simulator received meanwhile

    @property
    def may_repeat(self) -> bool:
        """Whether the same content may be sent again though it arrived."""
        return self.outcome in ("", "unknown")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the journal."""

    sequence: int
    at: float
    kind: str
    address: str
    action: str
    outcome: str
    detail: dict[str, Any]


def journal(database: Path) -> list[Row]:
    """All rows, oldest first."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT sequence, at, kind, address, action, outcome, detail FROM journal ORDER BY sequence"
        ).fetchall()
    finally:
        connection.close()
    return [Row(row[0], datetime.fromisoformat(row[1]).timestamp(), *row[2:6], json.loads(row[6])) for row in rows]


def converged(files: Files, components: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Every component has what the files ask for, and nothing else than keys that were left in place."""
    for one in files.tended:
        has = components.get(one.component)
        if has is None:
            yield f"{one.name}: the simulator has no {one.component}"
            continue
        wanted = fleet.wanted(fleet.read(one.folder))
        for section, members in wanted.items():
            present = {key: value for key, value in has["config"][section].items() if key != "checkpoint"}
            wrong = sorted(key for key in members if present.get(key) != members[key])
            left = sorted(present.keys() - members.keys() - (set() if one.deletes else one.once[section]))
            if wrong or left:
                yield f"{one.name}: {section}: not as in the files: {wrong}; not in the files: {left}"


def imagined_moves(files: Files, log: str) -> Iterator[str]:
    """The daemon said that a component moved which did not."""
    known = [one.names for one in files.tended]
    for line in log.splitlines():
        if '"kind": "moved"' in line:
            said = json.loads(line)
            if not any(said["before"] in each and said["component"] in each for each in known):
                yield f"{said['task']}: {said['component']} is another component than {said['before']}"


class Ledger:
    """Calls beside intents, task by task.

    Args:
        files: the diary.
        calls: `UpdateIncrSync` calls that the simulator received.
        rows: the journal.
        kills: when the daemon was killed, unix seconds.
        spells: when something was out of order.
    """

    def __init__(
        self, files: Files, calls: list[dict[str, Any]], rows: list[Row], kills: list[float], spells: list[Spell]
    ) -> None:
        self._files = files
        self._outages = [spell for spell in spells if spell.what.startswith("outage")]
        self._kills = kills
        by_name = {name: one.number for one in files.tended for name in one.names}
        self.calls: dict[int, list[dict[str, Any]]] = defaultdict(list)  # {task: those to its component, in order}
        self.strangers = [call for call in calls if call["body"]["key"] not in by_name]
        for call in sorted(calls, key=lambda call: call["number"]):
            if call["body"]["key"] in by_name:
                self.calls[by_name[call["body"]["key"]]].append(call)
        self.sent = self._intents(rows)

    def _intents(self, rows: list[Row]) -> dict[int, list[Sent]]:
        by_address = {address: one.number for one in self._files.tended for address in addresses(one)}
        found: dict[int, list[Sent]] = defaultdict(list)
        by_sequence: dict[int, Sent] = {}
        for row in rows:
            if row.kind == "intent":
                killed = min((at for at in self._kills if at >= row.at), default=row.at)
                sent = by_sequence[row.sequence] = Sent(row.sequence, row.at, killed, "", row.action)
                found[by_address[row.address]].append(sent)
            elif row.kind == "outcome":
                sent = by_sequence[row.detail["intent"]]
                sent.until, sent.outcome = row.at, row.outcome
        return found

    def unexplained(self) -> Iterator[str]:
        """Calls without an intent, two for one, and intents whose call never arrived though nothing was in its way."""
        for call in self.strangers:
            yield f"call {call['number']} went to {call['body']['key']}, which no task declares"
        for number, calls in self.calls.items():
            for call in calls:
                sent = self._intent_of(number, call)
                if sent is None:
                    yield f"call {call['number']} to {call['body']['key']} has no intent in the journal"
                else:
                    sent.calls += 1
        for number, intents in self.sent.items():
            for sent in intents:
                name = self._files.tended[number].name
                if sent.calls > 1:
                    yield f"{name}: intent {sent.sequence} made {sent.calls} calls"
                elif not sent.calls and not self._may_be_lost(sent):
                    yield f"{name}: intent {sent.sequence} ({sent.outcome or 'open'}) made no call"

    def _intent_of(self, number: int, call: dict[str, Any]) -> Sent | None:
        intents = self.sent.get(number, [])
        fits = [sent for sent in intents if sent.at - EARLY_S <= call["at"] <= sent.until]
        late = [sent for sent in intents if sent.may_repeat and sent.at <= call["at"] <= sent.until + LATE_S]
        return next(iter([*fits, *late]), None)

    def _may_be_lost(self, sent: Sent) -> bool:
        if not sent.outcome:
            return True  # the daemon was killed
        return any(spell.since <= sent.until and sent.at <= spell.until for spell in self._outages)

    def repeated(self) -> Iterator[str]:
        """The same content in a row had its effect twice, and nobody was in doubt about the first time."""
        for number, calls in self.calls.items():
            done = [call for call in calls if call["executed"]]
            for first, second in pairwise(done):
                sent = self._intent_of(number, first)
                if content_of(first) == content_of(second) and not (sent and sent.may_repeat):
                    name = self._files.tended[number].name
                    yield f"{name}: calls {first['number']} and {second['number']} have the same content"

    def undeclared_deletions(self) -> Iterator[str]:
        """`allowDelete` was sent, and no key had been removed from the files that was not deleted before."""
        for number, calls in self.calls.items():
            one = self._files.tended[number]
            deleted: set[str] = set()
            for call in calls:
                if call["body"].get("allowDelete") is not True:
                    continue
                kept = call["body"]["config"]["coordinator"]
                gone = {key for at, key in one.removed if at < call["at"] and key not in kept}
                if not gone - deleted:
                    yield f"{one.name}: call {call['number']} deletes, and no key was removed from the files"
                sent = self._intent_of(number, call)
                if sent is not None and sent.outcome in ACCEPTED:
                    deleted |= gone

    def untouched(self) -> Iterator[str]:
        """Components were sent to though their tasks' files never changed."""
        for number, calls in self.calls.items():
            if not self._files.tended[number].changed:
                yield f"{self._files.tended[number].name}: {len(calls)} calls, and its files never changed"

    def latencies_s(self, spells: list[Spell]) -> list[float]:
        """From a single edit to its call, where nothing was out of order."""
        found = []
        for single in self._files.singles:
            one = self._files.tended[single.number]
            near = [at for at in one.changed if abs(at - single.at) < 10.0]  # noqa: PLR2004 - its own waits count else
            calm = not any(spell.since <= single.at + 1.0 and single.at <= spell.until for spell in spells)
            calls = [call["at"] for call in self.calls[single.number] if call["at"] >= single.at]
            if calm and len(near) == 1 and calls:
                found.append(calls[0] - single.at)
        return sorted(found)


def addresses(one: Tended) -> Iterator[str]:
    """What the journal may call a task's component."""
    place = one.place
    parts = [["default", "NAME", name] for name in one.names]
    if place.by_role:
        parts = [["default", "component", place.project, place.link, place.index]]  # type: ignore[list-item]
    yield from (json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in parts)


def content_of(call: dict[str, Any]) -> str:
    """Name of what a call sends."""
    config = call["body"]["config"]
    source = {key: value for key, value in config["source"].items() if key != "checkpoint"}
    return digest([{**config, "source": source}, call["body"].get("allowDelete", False)])
