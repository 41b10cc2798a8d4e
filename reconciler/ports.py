"""What the shell needs from the world: one Protocol per adapter."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reconciler.events import SourceVitals
from reconciler.model import (
    Accepted,
    Approval,
    Commit,
    Condition,
    Head,
    Intent,
    JournalEntry,
    ObservedComponent,
    ObservedProject,
    Outcome,
    RawTask,
    Record,
    ResetEntry,
    ResetKey,
    Sections,
    Snapshot,
    Stage,
    Suspension,
    TaskState,
    UpdateRequest,
)


class Entry(Protocol):
    """One task as it lies there, not yet read."""

    name: str  # path below the root
    stamp: bytes | None  # equal stamps: equal content; None: it cannot be told, read it

    def read(self) -> RawTask:
        """Read the task's files; afterwards `stamp` is None when one of them could not be read."""


class Source(Protocol):
    """Where desired state comes from."""

    root: str  # path shown in front of file names in messages
    revision: str  # name of the whole input: a commit; "" where only its content can be named
    remarks: tuple[str, ...]  # what readers of a plan have to know about it: which edits it does not see, for instance

    def entries(self, below: str = "") -> Iterator[Entry]:
        """Every task at or below a folder ("" = all), sorted by name.

        Raises:
            DesiredStateError: the directory as a whole cannot be read.
        """

    def entry(self, name: str) -> Entry | None:
        """One task by its name; None when there is no such task now.

        Raises:
            DesiredStateError: the directory as a whole cannot be read.
        """

    def names(self) -> Sequence[str]:
        """Names of all tasks, sorted, without reading their files."""

    def tasks(self) -> Iterator[RawTask]:
        """`entries`, read one after another.

        Raises:
            DesiredStateError: the directory as a whole cannot be read.
        """


class CommitSource(Source, Protocol):
    """A source that is the tree of one commit, and moves to another only when it is told to."""

    head: Head

    def advance(self) -> frozenset[str] | None:
        """Move to the newest commit that may be followed; `head` says which, and why it is not a newer one.

        Returns:
            Names of the tasks whose files differ from before, or that came or went; None: it may be any.

        Raises:
            DesiredStateError: there is no commit that can be read, not even the one that was followed last.
        """


class Target(Protocol):
    """One OMS server. One instance belongs to one thread.

    Every method may raise the five subclasses of `TargetError`; reads never raise `UnknownOutcomeError`.
    """

    def take_turn(self) -> None:
        """Wait until a write may be sent; whoever writes calls it first, before anything is written down."""

    def update_incr_sync(self, request: UpdateRequest) -> Accepted:
        """Change a component's configuration; it restarts."""

    def reset_incr_start_timestamp(self, project: str, *, reverse: bool, start_timestamp: int) -> Accepted:
        """Move the position from which a link reads, unix seconds."""

    def stop_project(self, project: str) -> None:
        """Tell a project to stop; it is when its status is SUSPEND. Telling it twice does no harm."""

    def resume_project(self, project: str) -> None:
        """Tell a project that was stopped to go on; it does when its status is RUNNING."""

    def components(self, project: str) -> tuple[ObservedComponent, ...]:
        """Incr-Sync components of a project, both links, in the server's order."""

    def progress(self, project: str) -> ObservedProject:
        """Status and checkpoints of a project."""

    def probe(self) -> None:
        """Return when the server answers any JSON envelope to `DescribeRegions`."""

    def close(self) -> None:
        """Give the connections back."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows of the journal somebody wants to see; what is empty excludes none."""

    tasks: tuple[str, ...] = ()  # names of tasks, or of folders of tasks
    since: datetime | None = None  # aware; rows of this moment are wanted
    until: datetime | None = None  # aware; rows of this moment are not
    revisions: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()  # Condition.value
    limit: int = 50
    also: tuple[str, ...] = ()  # beside tasks: rows that have just this in their place, "*" or "*team=shop"


@dataclass(frozen=True, slots=True)
class Moment:
    """The end of the time in which a revision was the current one."""

    revision: str
    sequence: int  # of the last journal row before another revision became current; of the newest when none did
    at: datetime  # of that row
    current: bool  # whether none did


@dataclass(frozen=True, slots=True)
class Told:
    """What one component had been told at some time, but for the content: see `StateStore.told_content`."""

    number: int  # names the content
    address: str  # Address.id
    task: str  # that the address belonged to
    component: str  # name of the component then; "" when that was not known
    at: datetime  # when it was accepted or adopted
    action: str  # Action.value; "" when the journal did not have it any more
    revision: str
    plan: str
    ticket: int | None


class StateStore(Protocol):
    """Durable memory. Every method is one short transaction; all may raise `StateStoreError`."""

    def records(self) -> Mapping[str, Record]:
        """Everything known, `{Address.id: Record}`."""

    def record(self, address: str) -> Record | None:
        """What is known of one address."""

    def applied(self, address: str) -> Snapshot | None:
        """Last-applied content of an address."""

    def candidates(self, address: str) -> tuple[Snapshot, ...]:
        """Contents of attempts whose effect is unknown, oldest first."""

    def begin(self, intent: Intent) -> int:
        """Write an intent down, durably, and advance the serial; returns its number."""

    def conclude(self, number: int, outcome: Outcome) -> None:
        """Write down how an intent ended.

        Accepted makes the intent's content last-applied and closes every older intent of the address; RETRYING and
        FAILED close this intent without effect; UNKNOWN leaves it open.
        """

    def set_condition(self, address: str, condition: Condition, reason: str) -> None:
        """Record what health showed after an accepted update."""

    def set_component(self, address: str, component: str) -> None:
        """Record the name that a component has since it moved to another host."""

    def adopt(self, address: str, task: str, snapshot: Snapshot, revision: str, reason: str) -> None:
        """Record content as applied without a call; closes open intents, clears failures, advances the serial."""

    def refingerprint(self, address: str, snapshot: Snapshot) -> None:
        """Replace stored content by the same content with fingerprints of another key or rule; no new serial."""

    def take_over(self, address: str, task: str) -> None:
        """An orphan's address now belongs to another directory."""

    def forget(self, address: str, *, reason: str = "", by: str = "") -> None:
        """Drop the record of an orphan; the journal stays, and says why and by whose account."""

    def retry(self, address: str) -> None:
        """Clear FAILED, RETRYING and the count of unknown attempts; open intents stay."""

    def suspend(self, task: str, suspension: Suspension, *, by: str = "") -> None:
        """Record a suspension by an account; task "*" means all, "*team=shop" those with that label."""

    def resume(self, task: str, *, by: str = "") -> bool:
        """Take a suspension back, by an account; False when there was none."""

    def suspensions(self) -> Mapping[str, Suspension]:
        """`{task: Suspension}`, with "*" for all and "*team=shop" for a label."""

    def approve(self, *given: Approval) -> None:
        """Record approvals, all or none, in place of earlier ones of the same content; each a row of kind "approve"."""

    def disapprove(self, content_id: str, reason: str) -> bool:
        """Take an approval back; False when there was none."""

    def approvals(self) -> Mapping[str, Approval]:
        """`{Item.content_id: Approval}` of those that were not used up; some may have expired."""

    def resets(self) -> Mapping[ResetKey, ResetEntry]:
        """The ledger of resets, whole."""

    def reset(self, key: ResetKey) -> ResetEntry | None:
        """One row of it as it is now."""

    def move_reset(self, entry: ResetEntry, expected: Stage | None) -> bool:
        """Write a row of the ledger, durably, if its stage is still the expected one; None: if there is no row yet.

        Adds a journal row of kind "reset" whose outcome is the stage. An approval of its content is used up
        once the call has ended, but for one that certainly had no effect and is made again.

        Returns:
            Whether it was written; False: somebody else was quicker, read it again.
        """

    def note(self, kind: str, task: str, detail: Mapping[str, object]) -> None:
        """Add a row to the journal that belongs to no address: a forced rail, a target's trouble."""

    def target_trouble(self) -> Mapping[str, tuple[str, str]]:
        """`{target: (kind, message)}`, kind "misconfigured" or "capability-missing"."""

    def set_target_trouble(self, target: str, kind: str, message: str) -> None:
        """Remember that a target cannot be used; kind "" clears it."""

    def history(self, task: str | None, limit: int) -> Sequence[JournalEntry]:
        """Newest rows first."""

    def search(self, wanted: Wanted) -> Sequence[tuple[JournalEntry, Commit | None]]:
        """Newest rows first, each with the commit that touched its task, where its attempt has one."""

    def intent_of_plan(self, plan: str) -> JournalEntry | None:
        """The newest attempt that was made for a plan, by its id or the beginning of it; None when there was none."""

    def revisions(self, beginning: str, limit: int) -> Sequence[str]:
        """Revisions of the journal that begin like that, sorted."""

    def moment(self, revision: str) -> Moment | None:
        """When a revision was the current one for the last time; None when the journal has none of that name."""

    def told(self, sequence: int) -> Sequence[Told]:
        """What every component had been told when a journal row was the newest, sorted by task and address.

        Raises:
            StateStoreError: that is not known, because contents were not kept yet, or are not any more.
        """

    def told_content(self, one: Told) -> Sections | None:
        """The four files, canonical, without secrets; None when they were dropped meanwhile."""

    def head(self, ref: str) -> str:
        """Id of the commit of a ref that was followed last; "" when none was."""

    def set_head(self, ref: str, commit: str, reason: str = "") -> None:
        """Follow a commit from now on: a journal row of kind "head" with it as the revision; the same one writes none.

        The reason is given when somebody says so against the rules: detail `{"ref", "from", "reason"}`.
        """

    def last_sequence(self) -> int:
        """Sequence number of the newest journal row; 0 when there is none."""

    def rows_after(self, sequence: int) -> Sequence[JournalEntry]:
        """Journal rows written since, by any process, oldest first: whoever changes something leaves a row."""

    def unhealthy(self, target: str, since: datetime) -> Mapping[str, str]:
        """`{task: what was seen}`: components of a target that did not come back healthy from an update.

        Those whose present condition is FAILED or UNCONFIRMED because of what health showed after *since*, or after the
        target's last `release_target` if that was later.
        """

    def release_target(self, target: str, reason: str) -> bool:
        """Somebody says that a target is to be used again, whatever its trouble; False when it had none."""

    def states(self) -> Mapping[str, TaskState]:
        """`{task: TaskState}`: what the daemon last said of each task."""

    def put_states(self, changed: Iterable[TaskState], gone: Iterable[str] = ()) -> None:
        """Remember what the daemon says now; one transaction, no journal rows."""

    def notified(self, channel: str) -> Mapping[str, str]:
        """`{subject: mark}`: the last edge that a channel was told of each task or target."""

    def set_notified(self, channel: str, subject: str, mark: str) -> None:
        """Remember that a channel was told; an empty mark forgets the subject."""

    def prune(self, before: datetime) -> int:
        """Drop journal rows older than that, but for those of open intents and what follows them; how many went.

        The chain stays verifiable: the last dropped row's hash is kept as its anchor.
        """

    def ensure_writable(self) -> None:
        """Return when the store could be written now."""

    def verify_journal(self) -> int:
        """Check the hash chain of the whole journal; returns the number of rows.

        Raises:
            StateStoreError: a row was changed, removed or put in from outside.
        """

    def writer_lock(self, wait_s: float, purpose: str) -> AbstractContextManager[None]:
        """Hold the right to call OMS.

        Raises:
            StoreLockedError: not free within wait_s seconds; names the holder.
        """

    def fingerprint_key(self) -> bytes:
        """The key of secret fingerprints, made on first use."""

    def close(self) -> None:
        """Close the store."""


class Clock(Protocol):
    """Time, handed in so that tests can own it."""

    def now(self) -> datetime:
        """Aware UTC."""

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        """Wait on a condition that is held, until it is notified or the seconds have passed (None: only notified)."""


class Schedule(Protocol):
    """What time causes."""

    def at(self, name: str, seconds_from_now: float, action: Callable[[], None]) -> None:
        """Do something once; an earlier wish of that name is replaced."""


class Watching(Protocol):
    """Learns that files or refs may have changed, and tells whom it was made with."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End; nothing is told once this has returned."""

    def check(self) -> None:
        """See to it that it still works; to be called about once a second."""


class Feed(Protocol):
    """What tells that files are others than before: edits of a directory, or commits. Used by the loop's thread."""

    cause: str  # of the looks that follow: PassEnded.cause

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End; nothing wakes the loop once this has returned."""

    def check(self) -> None:
        """See to it that nothing is missed; called about once a second."""

    def take(self) -> frozenset[str] | None:
        """Names of tasks to look at since the last call; None: all. Raises ReconcilerError: to be called again."""

    def next_s(self) -> float | None:
        """When to `take` at the latest, monotonic; None: when the loop is woken."""

    def is_restless(self, task: str) -> bool:
        """Whether a task's files are still being written."""

    def asked(self, task: str) -> bool:
        """Somebody asks for a look at a task, or at "*"; whether everything is to be looked at."""

    def pushed(self) -> None:
        """A code host says that there is something new."""

    def look(self) -> None:
        """See with the next `take` whether there is something new."""

    def covers(self, at_s: float) -> bool:
        """Whether what was asked for until then, monotonic, was taken in."""

    def vitals(self) -> SourceVitals:
        """How it is; asked by any thread."""


SecretResolver = Callable[[str, str], str]
"""(scheme, name) -> value. Raises SecretError naming the reference."""
