"""`StateStore` on SQLite: each operation is one short transaction; what it does there stands in a module of its own.

An intent stays open from `begin` until something says what became of it; while one is open, the content of the
component is uncertain. A program that dies between `begin` and `conclude` leaves its intent open and the condition
APPLYING, which is to be read as unknown. How connections and transactions work is left to `database`, what an attempt
leaves behind to `attempts`, what is known otherwise to `known`, `holds`, `heads` and `said`, what was known once to
`told`, who approved what to `approvals`, the ledger of resets to `resets`, the chain of the journal to `journal`,
finding its rows to `search` and `moments`.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Self

from reconciler.errors import StateStoreError
from reconciler.model import (
    Approval,
    Commit,
    Condition,
    Intent,
    JournalEntry,
    Outcome,
    Record,
    ResetEntry,
    ResetKey,
    Sections,
    Snapshot,
    Stage,
    Suspension,
    TaskState,
)
from reconciler.ports import Moment, Told, Wanted
from reconciler.state import (
    approvals,
    attempts,
    fingerprint_key,
    heads,
    holds,
    journal,
    known,
    lock,
    moments,
    resets,
    retention,
    said,
    search,
    told,
)
from reconciler.state.database import Database, open_for_reading, open_for_writing
from reconciler.state.journal import Entry
from reconciler.state.known import Declared
from reconciler.state.lock import Holder
from reconciler.state.record_cache import RecordCache
from reconciler.state.rows import entry_of, find_record, snapshot_of

ROWS_AT_ONCE = 10_000
"""How many rows `rows_after` gives at most."""


class SqliteStore:
    """The state store in one SQLite file; see `ports.StateStore` for what the methods promise.

    Addresses without a record are no error: `set_condition`, `set_component`, `refingerprint`, `take_over`, `retry`
    and `forget` then do nothing, because another process may have dropped the record a moment ago.

    Args:
        database: opened.
        clock: aware UTC time of what is recorded.
        digest_version: version of the canonical form, stored with every snapshot that is written.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime], digest_version: int) -> None:
        self._database = database
        self._clock = clock
        self._digest_version = digest_version
        self._records = RecordCache()
        self._approvals = approvals.cache()
        self._resets = resets.cache()
        self._key: bytes | None = None
        self._key_lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, clock: Callable[[], datetime], *, digest_version: int, read_only: bool = False) -> Self:
        """Open the store.

        Args:
            path: the database file. A writer creates it (mode 0600) and its directory (0700).
            clock: aware UTC time of what is recorded.
            digest_version: `core.canonical.VERSION`.
            read_only: create nothing, write nothing; a missing database is an empty store.

        Raises:
            MigrationError: the database belongs to another release.
            StateStoreError: it cannot be read, or written.
        """
        return cls(open_for_reading(path) if read_only else open_for_writing(path), clock, digest_version)

    @property
    def exists(self) -> bool:
        """Whether there is a database; False only for a store that was opened for reading."""
        return self._database.exists

    @contextmanager
    def _writing(self) -> Iterator[tuple[Database, datetime]]:
        """A transaction and its time: taken once it has begun, so that rows of the journal are in the order of time."""
        with self._database.writing() as database:
            yield database, self._clock()

    # --- what is known of an address -------------------------------------------------------------------------------

    def records(self) -> Mapping[str, Record]:
        """Everything known, `{Address.id: Record}`, sorted by address; the mapping stays as it is when others write.

        Only what changed since the last call is read.
        """
        return self._records.records(self._database)

    def record(self, address: str) -> Record | None:
        """What is known of one address."""
        with self._database.reading() as database:
            return find_record(database, address)

    def applied(self, address: str) -> Snapshot | None:
        """Last-applied content of an address."""
        with self._database.reading() as database:
            row = database.row("applied", address=address)
        return None if row is None else snapshot_of(row)

    def candidates(self, address: str) -> tuple[Snapshot, ...]:
        """Contents of open intents, oldest first."""
        with self._database.reading() as database:
            return tuple(snapshot_of(row) for row in database.rows("candidates", address=address))

    def set_condition(self, address: str, condition: Condition, reason: str) -> None:
        """Record what health showed after an accepted update; `since` moves only when the condition changes.

        The same condition for the same reason writes nothing, so that polling does not fill the journal.
        """
        with self._writing() as (database, now):
            known.set_condition(database, now, address, condition, reason)

    def set_component(self, address: str, component: str) -> None:
        """Record the name that a component has since it moved to another host; the same name writes nothing."""
        with self._writing() as (database, now):
            known.set_component(database, now, address, component)

    def adopt(self, address: str, task: str, snapshot: Snapshot, revision: str, reason: str) -> None:
        """Record content as applied without a call; closes open intents, clears failures, advances the serial.

        The reason goes to the journal; ticket and request id of an earlier call no longer belong to the content.
        """
        with self._writing() as (database, now):
            declared = Declared(address, task, snapshot, revision, reason)
            known.adopt(database, now, declared, self._digest_version)

    def refingerprint(self, address: str, snapshot: Snapshot) -> None:
        """Replace stored content by the same content with fingerprints of another key or rule; no new serial.

        Does nothing when no content is stored. Contents of open intents stay as they are.
        """
        with self._writing() as (database, now):
            known.refingerprint(database, now, address, snapshot, self._digest_version)

    def take_over(self, address: str, task: str) -> None:
        """An orphan's address now belongs to another directory."""
        with self._writing() as (database, now):
            known.take_over(database, now, address, task)

    def forget(self, address: str, *, reason: str = "", by: str = "") -> None:
        """Drop the record of an orphan with its open intents; the journal stays, and says why and by whose account."""
        with self._writing() as (database, now):
            known.forget(database, now, address, {"reason": reason, "by": by})

    # --- attempts --------------------------------------------------------------------------------------------------

    def begin(self, intent: Intent) -> int:
        """Write an intent down, durably, and advance the serial; returns its number.

        The attempt counts as unknown from here on, until it is concluded.
        """
        with self._writing() as (database, now):
            return attempts.begin(database, now, intent, self._digest_version)

    def conclude(self, number: int, outcome: Outcome) -> None:
        """Write down how an intent ended.

        Accepted closes this intent and all older ones of its address. When somebody adopted other content while the
        call was under way, the answer counts: it came later. When the record was dropped meanwhile, only the journal
        says how it ended.

        Raises:
            StateStoreError: no intent has this number.
        """
        with self._writing() as (database, now):
            attempts.conclude(database, now, number, outcome)

    def retry(self, address: str) -> None:
        """Clear FAILED, RETRYING, UNKNOWN and APPLYING and the count of unknown attempts; open intents stay.

        The condition becomes UNKNOWN while intents are open (the base is uncertain, whoever asks), else
        UNCONFIRMED when something was ever applied (how it is now is to be looked at), else RETRYING: certainly without
        effect, and to be tried again. `attempted` stays
        but beside RETRYING: what health shows next is about that content.
        """
        with self._writing() as (database, now):
            attempts.retry(database, now, address)

    # --- what keeps tasks and targets back -------------------------------------------------------------------------

    def suspend(self, task: str, suspension: Suspension, *, by: str = "") -> None:
        """Record a suspension, in place of an earlier one; task "*" means all, "*team=shop" those with that label.

        The journal says by whose account.
        """
        with self._writing() as (database, now):
            holds.suspend(database, now, task, suspension, by)

    def resume(self, task: str, *, by: str = "") -> bool:
        """Take a suspension back, by an account; False when there was none."""
        with self._writing() as (database, now):
            return holds.resume(database, now, task, by)

    def suspensions(self) -> Mapping[str, Suspension]:
        """`{task: Suspension}`, "*" for all, "*team=shop" for a label; those whose time is over are still there."""
        with self._database.reading() as database:
            return holds.suspensions(database)

    def target_trouble(self) -> Mapping[str, tuple[str, str]]:
        """`{target: (kind, message)}`."""
        with self._database.reading() as database:
            return holds.target_trouble(database)

    def set_target_trouble(self, target: str, kind: str, message: str) -> None:
        """Remember that a target cannot be used; kind "" clears it. For the journal, use `note`."""
        with self._database.writing() as database:
            holds.set_target_trouble(database, target, kind, message)

    def release_target(self, target: str, reason: str) -> bool:
        """Use a target again, whatever its trouble, and count its unhealthy components anew; False when it had none."""
        with self._writing() as (database, now):
            return holds.release_target(database, now, target, reason)

    def unhealthy(self, target: str, since: datetime) -> Mapping[str, str]:
        """`{task: what was seen}` of those that health found FAILED or UNCONFIRMED then or later, and that still are.

        Args:
            target: name of the target.
            since: aware; what was found before the target's last release does not count either.
        """
        with self._database.reading() as database:
            return holds.unhealthy(database, target, since)

    # --- approvals and resets --------------------------------------------------------------------------------------

    def approve(self, *given: Approval) -> None:
        """Record approvals, all or none, in place of earlier ones of the same content."""
        with self._writing() as (database, now):
            for approval in given:
                approvals.approve(database, now, approval)

    def disapprove(self, content_id: str, reason: str) -> bool:
        """Take an approval back; False when there was none."""
        with self._writing() as (database, now):
            return approvals.disapprove(database, now, content_id, reason)

    def approvals(self) -> Mapping[str, Approval]:
        """`{Item.content_id: Approval}` of those that were not used up; those that expired are there for a week.

        Accepted uses up the approval of the intent's content, and those of older intents of its address; so does
        forgetting the address. Only what changed since the last call is read.
        """
        return self._approvals.rows(self._database)

    def resets(self) -> Mapping[ResetKey, ResetEntry]:
        """The ledger of resets, whole; only what changed since the last call is read."""
        return self._resets.rows(self._database)

    def reset(self, key: ResetKey) -> ResetEntry | None:
        """One row of the ledger as it is now; None when there is none."""
        with self._database.reading() as database:
            return resets.find(database, key)

    def move_reset(self, entry: ResetEntry, expected: Stage | None) -> bool:
        """Write a row of the ledger if its stage is still the expected one; None: if there is no row yet.

        A move that ends the call, whatever came of it, uses up the approval of the entry's content; one back to where
        it may be sent does not.

        Returns:
            Whether it was written; False: somebody else was quicker.

        Raises:
            StateStoreError: the row is about another reset: same request, other digest.
        """
        with self._writing() as (database, now):
            return resets.move(database, now, entry, expected)

    # --- which commit is followed ----------------------------------------------------------------------------------

    def head(self, ref: str) -> str:
        """Id of the commit of a ref that was followed last; "" when none was."""
        with self._database.reading() as database:
            return heads.head(database, ref)

    def set_head(self, ref: str, commit: str, reason: str = "") -> None:
        """Follow a commit from now on: a journal row of kind "head" with it as the revision.

        The same one again writes nothing, unless another ref was followed in between: the journal then tells that it
        is this one once more.

        Args:
            ref: as it is configured.
            commit: its id.
            reason: given when somebody says so against the rules.
        """
        with self._writing() as (database, now):
            heads.set_head(database, now, ref, commit, reason)

    # --- what the daemon said --------------------------------------------------------------------------------------

    def states(self) -> Mapping[str, TaskState]:
        """`{task: TaskState}`, sorted by task."""
        with self._database.reading() as database:
            return said.states(database)

    def put_states(self, changed: Iterable[TaskState], gone: Iterable[str] = ()) -> None:
        """Replace the states of some tasks and drop those of others, in one transaction and without journal rows."""
        said.put_states(self._database, changed, gone)

    def notified(self, channel: str) -> Mapping[str, str]:
        """`{subject: mark}`: what a channel was last told of each."""
        with self._database.reading() as database:
            return said.notified(database, channel)

    def set_notified(self, channel: str, subject: str, mark: str) -> None:
        """Remember that a channel was told; an empty mark forgets the subject."""
        with self._database.writing() as database:
            said.set_notified(database, channel, subject, mark)

    # --- journal ---------------------------------------------------------------------------------------------------

    def note(self, kind: str, task: str, detail: Mapping[str, object]) -> None:
        """Add a row to the journal that belongs to no address."""
        with self._writing() as (database, now):
            journal.append(database, now, Entry(kind=kind, task=task, detail=detail))

    def history(self, task: str | None, limit: int) -> Sequence[JournalEntry]:
        """Newest rows first.

        Args:
            task: name of a task; None for all.
            limit: at most so many rows.
        """
        with self._database.reading() as database:
            query = "history" if task is None else "history_of_task"
            values = {"limit": limit} if task is None else {"limit": limit, "task": task}
            return [entry_of(row) for row in database.rows(query, **values)]

    def search(self, wanted: Wanted) -> Sequence[tuple[JournalEntry, Commit | None]]:
        """Newest rows first, each with the commit that had touched its task last when its attempt began.

        Rows about no attempt have none, and those whose attempt was dropped, or was made outside of git.
        """
        with self._database.reading() as database:
            return search.find(database, wanted)

    def wide_holds(self) -> frozenset[str]:
        """What rows of the journal have in place of a task that mean several: "*", "*team=shop"."""
        with self._database.reading() as database:
            return search.wide_holds(database)

    def intent_of_plan(self, plan: str) -> JournalEntry | None:
        """The newest attempt that was made for a plan, by its id or the beginning of it; None when there was none."""
        with self._database.reading() as database:
            return search.intent_of_plan(database, plan)

    def revisions(self, beginning: str, limit: int) -> Sequence[str]:
        """Revisions of rows of the journal that begin like that, sorted, at most so many."""
        with self._database.reading() as database:
            return moments.revisions(database, beginning, limit)

    def moment(self, revision: str) -> Moment | None:
        """When a revision was the current one for the last time, see `moments`; None when no row tells."""
        with self._database.reading() as database:
            return moments.find(database, revision)

    def told(self, sequence: int) -> Sequence[Told]:
        """What every component had been told when a row of the journal was the newest, sorted by task and address.

        It is the content that was last accepted or adopted by then: an attempt without a clear answer counts from when
        it was known to be accepted.

        Raises:
            StateStoreError: that is not known, because contents were not kept yet, or are not any more.
        """
        with self._database.reading() as database:
            return told.at(database, sequence)

    def told_content(self, one: Told) -> Sections | None:
        """The four files, canonical, without secrets; None when they were dropped meanwhile."""
        with self._database.reading() as database:
            return told.content(database, one)

    def last_sequence(self) -> int:
        """Sequence number of the newest row; 0 when there is none. Cheap enough to ask many times a second."""
        row = self._database.glance("journal_end")
        return 0 if row is None else int(row[0])

    def rows_after(self, sequence: int) -> Sequence[JournalEntry]:
        """Rows with a larger number, oldest first, at most `ROWS_AT_ONCE`; those dropped meanwhile are missing."""
        with self._database.reading() as database:
            return [entry_of(row) for row in database.rows("rows_after", sequence=sequence, limit=ROWS_AT_ONCE)]

    def prune(self, before: datetime) -> int:
        """Drop rows from the beginning, up to the first that is not older, or is of an open intent; returns how many.

        The newest row stays. The work is cut into transactions of some dozen milliseconds; what was dropped when one
        fails stays dropped, and the rest whole.
        """
        with self._writing() as (database, now):
            approvals.drop_expired(database, now)
        return retention.prune(self._database, before)

    def dropped_rows(self) -> int:
        """How many rows `prune` has dropped since the store was made."""
        with self._database.reading() as database:
            return journal.dropped_rows(database)

    def ensure_writable(self) -> None:
        """Return when a transaction that writes could begin now.

        Raises:
            StateStoreError: it could not.
        """
        with self._database.writing():
            pass

    def verify_journal(self) -> int:
        """Check the hash chain of the journal as far as it was kept; returns the number of rows there are.

        Raises:
            StateStoreError: names the first row that was changed, removed or put in from outside.
        """
        with self._database.reading() as database:
            return journal.verify(database)

    # --- beside the database ---------------------------------------------------------------------------------------

    def writer_lock(self, wait_s: float, purpose: str) -> AbstractContextManager[None]:
        """Hold the right to call OMS.

        Args:
            wait_s: how long to wait for another holder, seconds.
            purpose: shown to those who wait: "apply", "run".

        Raises:
            StoreLockedError: not free in time; names the holder.
        """
        if self._database.read_only:
            raise StateStoreError(f"{self._database.path}: opened for reading only: there is nothing to lock")
        return lock.hold(self._beside(".lock"), wait_s, purpose, self._clock)

    def holder(self) -> Holder | None:
        """Who holds the writer lock now; None when nobody does."""
        return lock.read_holder(self._beside(".lock"))

    def fingerprint_key(self) -> bytes:
        """The key of secret fingerprints, made on first use.

        A store that was opened for reading makes none: without a key file it returns a random key that equals no
        stored one, the same as long as the store is open.

        Raises:
            StateStoreError: the key file is damaged, or others may read it.
        """
        path = self._database.path.with_name("fingerprint.key")
        with self._key_lock:
            if self._key is None:
                if self._database.read_only:
                    self._key = fingerprint_key.load_key(path) or fingerprint_key.random_key()
                else:
                    self._key = fingerprint_key.load_or_make_key(path)
            return self._key

    def close(self) -> None:
        """Close the store; a second time does nothing."""
        self._database.close()

    def _beside(self, suffix: str) -> Path:
        return self._database.path.with_name(self._database.path.name + suffix)
