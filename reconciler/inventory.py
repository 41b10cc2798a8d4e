"""What is remembered of every task between two looks: stamps and digests, no documents.

A task whose stamp is the same is not read; one whose bytes are the same is not parsed; one whose digests are those of
its record is not compared. So a look costs what changed, not what there is.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import filterfalse

from reconciler.core.desired import Desired
from reconciler.core.validation.fleetfacts import Facts
from reconciler.core.validation.validator import Validator, address_clashes
from reconciler.errors import SecretError
from reconciler.model import SECTIONS, Address, RawTask, Sections, Severity, Task, Violation
from reconciler.ports import Entry, SecretResolver

_EMPTY: Sections = {section: {} for section in SECTIONS}


@dataclass(frozen=True, slots=True)
class Gist:
    """What a valid task asks for, without its documents."""

    desired: Desired  # hollow: no sections, no content, no secrets; digest and fingerprints are right
    unchanged: int  # leaves of its content
    references: tuple[tuple[str, str], ...]  # (scheme, name) of the secrets that went into it
    secrets: bytes  # keyed digest of their values

    def has_same_secrets(self, lookup: SecretResolver, key: bytes) -> bool:
        """Whether its secrets have the values they had: they may be rotated without a change of the files."""
        try:
            values = {reference: lookup(*reference) for reference in self.references}
        except SecretError:
            return False
        return hmac.compare_digest(self.secrets, _secrets_digest(values, key))


def gist_of(desired: Desired, unchanged: int, used: Mapping[tuple[str, str], str], key: bytes) -> Gist:
    """What is worth remembering of a prepared task.

    Args:
        desired: with everything in it.
        unchanged: leaves of its content.
        used: `{(scheme, name): value}` of its secrets.
        key: the fingerprint key.
    """
    hollow = replace(
        desired,
        task=replace(desired.task, sections=_EMPTY),
        resolved=_EMPTY,
        content=_EMPTY,
        secret_values=frozenset(),
        snapshot=replace(desired.snapshot, content=_EMPTY),
    )
    return Gist(hollow, unchanged, tuple(sorted(used)), _secrets_digest(used, key))


def _secrets_digest(values: Mapping[tuple[str, str], str], key: bytes) -> bytes:
    digest = hmac.new(key, b"secrets of a task", hashlib.sha256)
    for reference, value in sorted(values.items()):
        for text in (*reference, value):
            data = text.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


@dataclass(slots=True)
class Known:
    """One task as it was seen last."""

    name: str
    stamp: bytes | None  # Entry.stamp; None: it must be read again
    imprint: bytes  # digest of its files' bytes
    address: Address | None  # None: its files are wrong
    address_id: str  # Address.id; "" when there is none
    errors: tuple[Violation, ...]
    labels: tuple[tuple[str, str], ...] = ()
    gist: Gist | None = field(default=None, repr=False)
    facts: Facts | None = field(default=None, repr=False)  # for rules over all tasks, where they are asked


class Inventory:
    """All tasks of a directory, as they were seen last.

    Args:
        validator: judges those that are new.
        gather: takes what rules over all tasks have to know of a valid one; None where they are not asked.
    """

    def __init__(self, validator: Validator, gather: Callable[[Task], Facts] | None = None) -> None:
        self._validator = validator
        self._gather = gather
        self._known: dict[str, Known] = {}
        self._at: dict[str, dict[str, Address]] = {}  # {Address.id: {name of a task that declares it: Address}}
        self._crowded: set[str] = set()  # addresses that several tasks declare
        self._disturbed: set[str] = set()
        self._valid: dict[str, Address] | None = {}  # None: to be made anew
        self._sum = 0  # of all imprints: changes with one task without a walk over the others

    def see(self, entry: Entry, *, anew: bool = False) -> tuple[Known, Task | None]:
        """Look at one task.

        Args:
            entry: where it lies.
            anew: read it whatever its stamp says.

        Returns:
            What is known of it; and the task itself when it had to be read and is valid.
        """
        known = self._known.get(entry.name)
        if known is not None and not anew and entry.stamp is not None and known.stamp == entry.stamp:
            return known, None
        raw = entry.read()
        imprint = imprint_of(raw)
        if known is not None and not anew and known.imprint == imprint:
            known.stamp = entry.stamp
            return known, None
        return self._examine(raw, entry.stamp, imprint)

    def _examine(self, raw: RawTask, stamp: bytes | None, imprint: bytes) -> tuple[Known, Task | None]:
        examined = self._validator.examine(raw, warnings=False)
        task, before = examined.task, self._known.get(raw.name)
        address = task.address if task else None
        known = Known(
            name=raw.name,
            stamp=stamp,
            imprint=imprint,
            address=address,
            address_id=address.id if address else "",
            errors=tuple(v for v in examined.violations if v.severity is Severity.ERROR) if task is None else (),
            labels=task.labels if task else before.labels if before else (),  # broken files are still somebody's
            facts=self._gather(task) if task and self._gather else None,
        )
        self._replace(raw.name, known)
        return known, task

    def see_defect(self, name: str, error: Violation) -> Known:
        """Take note of a task that we fail to examine: nothing is known of it but that it is there."""
        known = Known(name=name, stamp=None, imprint=b"", address=None, address_id="", errors=(error,))
        self._replace(name, known)
        return known

    def drop(self, name: str) -> None:
        """A task that is there no more."""
        self._replace(name, None)

    def keep_only(self, names: Iterable[str]) -> None:
        """Drop every task but these."""
        for name in self._known.keys() - names:
            self.drop(name)

    def _replace(self, name: str, known: Known | None) -> None:
        before = self._known.pop(name, None)
        old, new = (before.address_id if before else ""), (known.address_id if known else "")
        if old != new:
            self._leave(name, old)
            if known is not None and known.address is not None:
                self._come(name, new, known.address)
        if known is not None:
            self._known[name] = known
        self._sum = (self._sum + _weight(known) - _weight(before)) % _MODULUS

    def _come(self, name: str, address_id: str, address: Address) -> None:
        others = self._at.setdefault(address_id, {})
        self._disturbed |= others.keys()
        others[name] = address
        self._recount(address_id)

    def _leave(self, name: str, address_id: str) -> None:
        if address_id:
            others = self._at[address_id]
            del others[name]
            self._disturbed |= others.keys()
            self._recount(address_id)
            if not others:
                del self._at[address_id]

    def _recount(self, address_id: str) -> None:
        self._valid = None
        if len(self._at[address_id]) > 1:
            self._crowded.add(address_id)
        else:
            self._crowded.discard(address_id)

    def disturbed(self) -> frozenset[str]:
        """Tasks whose address another one came to or left, and that were not looked at since."""
        return frozenset(self._disturbed)

    def settle(self, names: Iterable[str]) -> None:
        """These were looked at."""
        self._disturbed.difference_update(names)

    # --- questions -------------------------------------------------------------------------------------------------

    def count(self) -> int:
        """Tasks, valid or not."""
        return len(self._known)

    def undeclared(self, address_ids: Iterable[str]) -> Iterator[str]:
        """Those of which no valid task has the Address.id; one that clashes with another has it too."""
        return filterfalse(self._at.__contains__, address_ids)

    def valid(self) -> Mapping[str, Address]:
        """`{task: Address}` of every valid task, clashing ones not included; what was handed out never changes."""
        if self._valid is None:
            alone = (names for names in self._at.values() if len(names) == 1)
            self._valid = {name: address for names in alone for name, address in names.items()}
        return self._valid

    def facts(self) -> Iterator[Facts]:
        """What was gathered of every valid task; clashing ones are not included."""
        return (known.facts for name, known in self._known.items() if known.facts is not None and self.is_valid(name))

    def is_valid(self, name: str) -> bool:
        """Whether there is a valid task of that name, whose address no other one declares."""
        known = self._known.get(name)
        return known is not None and len(self._at.get(known.address_id, ())) == 1

    def is_unreadable(self, name: str) -> bool:
        """Whether a task, or a folder above it, is there and wrong: it still holds its own address."""
        parts = name.split("/")
        above = ("/".join(parts[:length]) for length in range(1, len(parts) + 1))
        return any(found in self._known and not self.is_valid(found) for found in above)

    def clashes(self) -> dict[str, Violation]:
        """`{task: violation}` for every two tasks that have one address."""
        crowded = (self._at[address_id] for address_id in sorted(self._crowded))
        return address_clashes(pair for names in crowded for pair in sorted(names.items()))

    def names_below(self, folder: str) -> frozenset[str]:
        """Tasks at or below a folder; all for ""."""
        return frozenset(name for name in self._known if not folder or name == folder or name.startswith(f"{folder}/"))

    def revision(self) -> str:
        """Name of everything that the files say: "sha256:" and 12 digits."""
        return f"sha256:{hashlib.sha256(self._sum.to_bytes(_SUM_BYTES, 'big')).hexdigest()[:12]}"


_SUM_BYTES = 32
_MODULUS = 1 << (8 * _SUM_BYTES)


def _weight(known: Known | None) -> int:
    """What a task adds to the sum: the order of tasks does not matter to it."""
    if known is None:
        return 0
    material = known.name.encode("utf-8", "surrogateescape") + b"\0" + known.imprint
    return int.from_bytes(hashlib.sha256(material).digest(), "big")


def imprint_of(raw: RawTask) -> bytes:
    """Digest of one task's files, and of what kept them from being read."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(raw.files):
        digest.update(f"{name}\0{len(raw.files[name])}\0".encode())
        digest.update(raw.files[name])
    for violation in raw.violations:
        digest.update(f"{violation.rule}\0{violation.file}\0{violation.found}\0".encode("utf-8", "surrogateescape"))
    return digest.digest()
