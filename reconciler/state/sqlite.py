"""`StateStore` on SQLite: what each operation means, in one short transaction each.

An intent stays open from `begin` until something says what became of it; while one is open, the content of the
component is uncertain. A program that dies between `begin` and `conclude` leaves its intent open and the condition
APPLYING, which is to be read as unknown. How connections and transactions work is left to `database`, what an attempt
leaves behind to `attempts`, the chain of the journal to `journal`.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Self

from reconciler.errors import StateStoreError
from reconciler.model import Action, Condition, Intent, JournalEntry, Outcome, Record, Snapshot, Suspension
from reconciler.state import attempts, fingerprint_key, journal, lock
from reconciler.state.database import Database, open_for_reading, open_for_writing
from reconciler.state.journal import Entry
from reconciler.state.lock import Holder
from reconciler.state.rows import entry_of, find_record, record_of, snapshot_of, snapshot_values, time_of, time_text


class SqliteStore:
    """The state store in one SQLite file; see `ports.StateStore` for what the methods promise.

    Addresses without a record are no error: `set_condition`, `refingerprint`, `take_over`, `retry` and `forget` then
    do nothing, because another process may have dropped the record a moment ago.

    Args:
        database: opened.
        clock: aware UTC time of what is recorded.
        digest_version: version of the canonical form, stored with every snapshot that is written.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime], digest_version: int) -> None:
        self._database = database
        self._clock = clock
        self._digest_version = digest_version
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

    # --- reading ---------------------------------------------------------------------------------------------------

    def records(self) -> Mapping[str, Record]:
        """Everything known, `{Address.id: Record}`, sorted by address."""
        with self._database.reading() as database:
            return {row[0]: record_of(row) for row in database.rows("records")}

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

    def suspensions(self) -> Mapping[str, Suspension]:
        """`{task: Suspension}`, with "*" for all; those whose time is over are still there."""
        with self._database.reading() as database:
            return {task: Suspension(reason, time_of(until)) for task, reason, until in database.rows("suspensions")}

    def target_trouble(self) -> Mapping[str, tuple[str, str]]:
        """`{target: (kind, message)}`."""
        with self._database.reading() as database:
            return {target: (kind, message) for target, kind, message in database.rows("target_trouble")}

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

    def verify_journal(self) -> int:
        """Check the hash chain of the whole journal; returns the number of rows.

        Raises:
            StateStoreError: names the first row that was changed, removed or put in from outside.
        """
        with self._database.reading() as database:
            return journal.verify(database)

    # --- attempts --------------------------------------------------------------------------------------------------

    def begin(self, intent: Intent) -> int:
        """Write an intent down, durably, and advance the serial; returns its number.

        The attempt counts as unknown from here on, until it is concluded.
        """
        now = self._clock()
        with self._database.writing() as database:
            return attempts.begin(database, now, intent, self._digest_version)

    def conclude(self, number: int, outcome: Outcome) -> None:
        """Write down how an intent ended.

        Accepted closes this intent and all older ones of its address. When somebody adopted other content while the
        call was under way, the answer counts: it came later. When the record was dropped meanwhile, only the journal
        says how it ended.

        Raises:
            StateStoreError: no intent has this number.
        """
        now = self._clock()
        with self._database.writing() as database:
            attempts.conclude(database, now, number, outcome)

    def retry(self, address: str) -> None:
        """Clear FAILED, RETRYING, UNKNOWN and APPLYING and the count of unknown attempts; open intents stay.

        The condition becomes UNKNOWN while intents are open (the base is uncertain, whoever asks), else
        UNCONFIRMED when something was ever applied (how it is now is to be looked at), else RETRYING: certainly without
        effect, and to be tried again. `attempted` stays
        only beside UNKNOWN: elsewhere no attempt stands between the task and its next one.
        """
        now = self._clock()
        with self._database.writing() as database:
            attempts.retry(database, now, address)

    # --- what is known ---------------------------------------------------------------------------------------------

    def set_condition(self, address: str, condition: Condition, reason: str) -> None:
        """Record what health showed after an accepted update; `since` moves only when the condition changes.

        The same condition for the same reason writes nothing, so that polling does not fill the journal.
        """
        now = self._clock()
        with self._database.writing() as database:
            record = find_record(database, address)
            values = {"address": address, "condition": condition.value, "reason": reason, "now": time_text(now)}
            if record is None or not database.run("set_condition", **values):
                return
            entry = Entry(
                kind="health",
                task=record.task,
                address=address,
                outcome=condition.value,
                revision=record.revision,
                ticket=record.ticket,
                request_id=record.request_id,
                detail={"reason": reason},
            )
            journal.append(database, now, entry)

    def adopt(self, address: str, task: str, snapshot: Snapshot, revision: str, reason: str) -> None:
        """Record content as applied without a call; closes open intents, clears failures, advances the serial.

        The reason goes to the journal; ticket and request id of an earlier call no longer belong to the content.
        """
        now, values = self._clock(), snapshot_values(snapshot)
        content = values.pop("content")
        entry = Entry(
            kind="adopt",
            task=task,
            address=address,
            action=Action.ADOPT.value,
            outcome=Condition.SYNCED.value,
            revision=revision,
            detail={"digest": snapshot.digest, "reason": reason},
        )
        with self._database.writing() as database:
            database.run(
                "adopt",
                address=address,
                task=task,
                digest_version=self._digest_version,
                revision=revision,
                now=time_text(now),
                **values,
            )
            database.run("set_content", address=address, content=content)
            database.run("set_intents_aside", address=address)
            journal.append(database, now, entry)

    def refingerprint(self, address: str, snapshot: Snapshot) -> None:
        """Replace stored content by the same content with fingerprints of another key or rule; no new serial.

        Does nothing when no content is stored. Contents of open intents stay as they are.
        """
        now, values = self._clock(), snapshot_values(snapshot)
        content = values.pop("content")
        with self._database.writing() as database:
            record = find_record(database, address)
            if record is None or not database.run(
                "refingerprint", address=address, digest_version=self._digest_version, **values
            ):
                return
            database.run("set_content", address=address, content=content)
            entry = Entry(
                kind="refingerprint",
                task=record.task,
                address=address,
                revision=record.revision,
                detail={"digest": snapshot.digest, "digest_version": self._digest_version, "key_id": snapshot.key_id},
            )
            journal.append(database, now, entry)

    def take_over(self, address: str, task: str) -> None:
        """An orphan's address now belongs to another directory."""
        with self._database.writing() as database:
            record = find_record(database, address)
            if record is not None:
                database.run("take_over", address=address, task=task)
                detail = {"from": record.task}
                entry = Entry(kind="takeover", task=task, address=address, revision=record.revision, detail=detail)
                journal.append(database, self._clock(), entry)

    def forget(self, address: str) -> None:
        """Drop the record of an orphan with its open intents; the journal stays."""
        with self._database.writing() as database:
            record = find_record(database, address)
            if record is not None:
                database.run("forget", address=address)
                entry = Entry(kind="forget", task=record.task, address=address, revision=record.revision)
                journal.append(database, self._clock(), entry)

    # --- what people say -------------------------------------------------------------------------------------------

    def suspend(self, task: str, suspension: Suspension) -> None:
        """Record a suspension, in place of an earlier one; task "*" means all."""
        until = None if suspension.until is None else time_text(suspension.until)
        entry = Entry(kind="suspend", task=task, detail={"reason": suspension.reason, "until": until})
        with self._database.writing() as database:
            database.run("suspend", task=task, reason=suspension.reason, until=until)
            journal.append(database, self._clock(), entry)

    def resume(self, task: str) -> bool:
        """Take a suspension back; False when there was none."""
        with self._database.writing() as database:
            found = database.run("resume", task=task) > 0
            if found:
                journal.append(database, self._clock(), Entry(kind="resume", task=task))
        return found

    def note(self, kind: str, task: str, detail: Mapping[str, object]) -> None:
        """Add a row to the journal that belongs to no address."""
        with self._database.writing() as database:
            journal.append(database, self._clock(), Entry(kind=kind, task=task, detail=detail))

    def set_target_trouble(self, target: str, kind: str, message: str) -> None:
        """Remember that a target cannot be used; kind "" clears it. For the journal, use `note`."""
        with self._database.writing() as database:
            if kind:
                database.run("set_target_trouble", target=target, kind=kind, message=message)
            else:
                database.run("clear_target_trouble", target=target)

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
