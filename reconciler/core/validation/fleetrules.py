"""Rules over all tasks together: what no single directory shows.

They work on what `fleetfacts` keeps of each task; what is found is told with names and places by reading the tasks that
it concerns once more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from reconciler.core.plural import counted
from reconciler.core.validation.findings import Finding, shown
from reconciler.core.validation.fleetfacts import HOST, Facts, Table, source_ids, tables
from reconciler.model import Cap, Task

MAX_FINDINGS = 200  # of one rule
_NAMED = 5  # tasks named in one message
_REMARKS = 3  # in one plan

Reread = Callable[[str], Task | None]
"""A task as it is now, by its name; None when it is gone or wrong by now."""


@dataclass(frozen=True, slots=True)
class FleetFinding:
    """Something wrong or doubtful about several tasks."""

    task: str  # the one at which it is shown
    tasks: tuple[str, ...]  # all that it concerns
    finding: Finding


def check(facts: Iterable[Facts], caps: Sequence[Cap], reread: Reread) -> Iterator[FleetFinding]:
    """Everything these rules find, errors first.

    Args:
        facts: of every valid task.
        caps: what hosts may be asked for; without any the rules about them are off.
        reread: tells what a hash stood for.
    """
    known = sorted(facts, key=lambda found: found.task)
    for cap in caps:  # errors come first: of what follows a plan may say no more than a number
        yield from _over_cap(known, cap)
    yield from islice(_unknown_sources(known, reread), MAX_FINDINGS)
    yield from islice(_shared_tables(known, reread), MAX_FINDINGS)


# --- source_id and clientId ----------------------------------------------------------------------------------------


def _unknown_sources(known: Iterable[Facts], reread: Reread) -> Iterator[FleetFinding]:
    referring = [facts for facts in known if facts.sources]
    declared = {name for facts in known for name in facts.clients} if referring else set()
    for facts in referring:
        if declared.issuperset(facts.sources):
            continue
        task = reread(facts.task)
        for path, text in source_ids(task.sections["condition"]) if task else ():
            if text not in declared:
                expected = "a clientId that a task declares in clients of source.json"
                finding = Finding("condition", path, "fleet-source-id", expected, shown(text, path))
                yield FleetFinding(facts.task, (facts.task,), finding)


# --- tables that several tasks write -------------------------------------------------------------------------------


def _shared_tables(known: Sequence[Facts], reread: Reread) -> Iterator[FleetFinding]:
    sinks: dict[int, list[Facts]] = {}
    for facts in known:
        if facts.sink and facts.tables:
            sinks.setdefault(facts.sink, []).append(facts)
    for group in sinks.values():
        for (first, second), keys in _conflicts(group).items():
            yield from _told(group[first], group[second], keys, reread)


def _conflicts(group: Sequence[Facts]) -> Mapping[tuple[int, int], list[int]]:
    """`{(a task, a later one): hashes of tables that they write differently}`; compared is with who is first."""
    writers: dict[int, tuple[int, int]] = {}
    found: dict[tuple[int, int], list[int]] = {}
    for number, facts in enumerate(group if len(group) > 1 else ()):
        numbers = iter(facts.tables)
        for key, mapping in zip(numbers, numbers, strict=True):
            first, theirs = writers.setdefault(key, (number, mapping))
            if theirs != mapping:
                found.setdefault((first, number), []).append(key)
    return found


def _told(first: Facts, second: Facts, keys: Sequence[int], reread: Reread) -> Iterator[FleetFinding]:
    ours, theirs = (_named_tables(reread(facts.task), keys) for facts in (second, first))
    both = [(table, theirs[key]) for key, table in ours.items() if key in theirs]
    if not both:
        return  # the files are others by now
    mine, other = both[0]
    table = f"table {mine.target} at {','.join(second.hosts)}"
    if mine.source == other.source:
        expected, found = f"{table} with the columns of task {first.task}", "other tables or columns as well"
    else:
        expected = f"{table} written from {other.source} only, as by task {first.task}"
        found = f"written from {mine.source}"
    more = f"; likewise {counted(len(both) - 1, 'more table')}" if len(both) > 1 else ""
    finding = Finding("condition", mine.path, "fleet-sink-table", expected, found + more)
    yield FleetFinding(second.task, (first.task, second.task), finding)


def _named_tables(task: Task | None, keys: Sequence[int]) -> dict[int, Table]:
    """`{hash: table}` in the order of the files; of several that go into one table the first."""
    wanted = set(keys)
    found: dict[int, Table] = {}
    for key, table in tables(task.sections["condition"]) if task else ():
        if key in wanted:
            found.setdefault(key, table)
    return found


# --- hosts with a cap ----------------------------------------------------------------------------------------------


def _is_meant(cap: str, host: str) -> bool:
    """Whether a cap is for a host: one without a port is for all its ports."""
    found = HOST.fullmatch(host)
    return host == cap or (found is not None and found["name"] == cap)


def _over_cap(known: Iterable[Facts], cap: Cap) -> Iterator[FleetFinding]:
    host = cap.host.casefold()
    writers = [facts for facts in known if any(_is_meant(host, found) for found in facts.hosts)]
    if cap.throttle_rps:
        yield from _over_throttle(cap, {facts.task: facts.throttle_rps for facts in writers})
    if cap.workers:
        yield from _over_workers(cap, {facts.task: facts.workers for facts in writers})


def _over_throttle(cap: Cap, amounts: Mapping[str, int | None]) -> Iterator[FleetFinding]:
    free = [task for task, amount in amounts.items() if amount is None]
    if free:
        found = f"no throttle in {len(free):,} of {counted(len(amounts), 'task')}: {_listed(free)}"
    elif sum(_known(amounts).values()) > cap.throttle_rps:
        found = _sum(amounts)
    else:
        return
    expected = f"at most {cap.throttle_rps:,} records/s by all tasks that write to {cap.host} (fleet.caps)"
    task = free[0] if free else _largest(amounts)[0]
    finding = Finding("coordinator", ("throttleRps",), "fleet-throttle-cap", expected, found)
    yield FleetFinding(task, tuple(amounts), finding)


def _over_workers(cap: Cap, amounts: Mapping[str, int | None]) -> Iterator[FleetFinding]:
    if sum(_known(amounts).values()) <= cap.workers:
        return
    untold = [task for task, amount in amounts.items() if amount is None]
    found = _sum(_known(amounts)) + (f"; not counted, as how many is not known: {_listed(untold)}" if untold else "")
    expected = f"at most {counted(cap.workers, 'worker')} by all tasks that write to {cap.host} (fleet.caps)"
    finding = Finding("sink", ("workerNum",), "fleet-worker-cap", expected, found)
    yield FleetFinding(_largest(amounts)[0], tuple(amounts), finding)


def _known(amounts: Mapping[str, int | None]) -> dict[str, int]:
    return {task: amount for task, amount in amounts.items() if amount is not None}


def _largest(amounts: Mapping[str, int | None]) -> list[str]:
    """Tasks whose share is known, those with most of it first."""
    known = _known(amounts)
    return sorted(known, key=lambda task: (-known[task], task))


def _sum(amounts: Mapping[str, int | None]) -> str:
    known = _known(amounts)
    shares = [f"{task} ({known[task]:,})" for task in _largest(amounts)]
    return f"{sum(known.values()):,} by {counted(len(known), 'task')}: {_listed(shares)}"


# --- words ---------------------------------------------------------------------------------------------------------


def remarks(found: Iterable[FleetFinding], chosen: Callable[[str], bool]) -> tuple[str, ...]:
    """What a plan says of it: a few sentences, then how many more there are.

    Args:
        found: everything.
        chosen: whether a plan is about a task.
    """
    told = [
        f"{finding.rule}: {each.task}: expected {finding.expected}, found {finding.found}"
        for each in found
        if (finding := each.finding) and any(map(chosen, each.tasks))
    ]
    more = len(told) - _REMARKS
    if more <= 0:
        return tuple(told)
    return (*told[:_REMARKS], f"{counted(more, 'more remark')} about several tasks: reconciler validate shows all")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
