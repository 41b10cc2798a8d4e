"""The values that every part agrees on: frozen, without behaviour beyond questions about themselves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

Json: TypeAlias = Any
"""A decoded JSON value: None, bool, int, float, str, list or dict with string keys."""

JsonObject: TypeAlias = dict[str, Json]

Sections: TypeAlias = Mapping[str, JsonObject]
"""`{"coordinator": {...}, "condition": {...}, "source": {...}, "sink": {...}}`, always all four."""

SECTIONS = ("coordinator", "condition", "source", "sink")
"""The four configuration files of a component, in the order in which they are shown."""

TASK_FILES = ("task.json", *(f"{section}.json" for section in SECTIONS), "reset.json")
"""What a task's directory may hold; all but the last must be there."""

CHECKPOINT_REFERENCE = "${oms:checkpoint}"
"""The only value that `source.checkpoint` may have: the position that OMS reports when the request is built."""


# --- what is wrong with a file -------------------------------------------------------------------------------------


class Severity(Enum):
    """How much a violation matters."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; both numbers count from 1, columns count characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong (or doubtful) in one file."""

    task: str  # name of the task the file belongs to; "" for the directory as a whole
    file: str  # path below the desired-state directory: "shop/orders/sink.json"
    place: Place | None  # None when the file as a whole is meant
    pointer: str  # RFC 6901 pointer of the value in the file, "" for the whole document
    rule: str  # id of the rule: "schema", "duplicate-key", "checkpoint-clients"
    severity: Severity
    expected: str  # "an integer 1..1024"
    found: str  # '"abc"'; never the value of a secret
    suggestion: str = ""  # what to do, a whole sentence; "" when expected says it all


@dataclass(frozen=True, slots=True)
class RawTask:
    """One task's directory as it lies there: bytes, not yet looked at."""

    name: str
    files: Mapping[str, bytes] = field(repr=False)  # {"sink.json": b"..."}, only files that could be read
    violations: tuple[Violation, ...] = ()  # files that could not be read, near-misses of file names


# --- what the catalogue knows --------------------------------------------------------------------------------------


class Ownership(Enum):
    """Who sets a parameter."""

    OPERATOR = "operator"  # meant to be tuned by people
    TASK = "task"  # written by OMS when the task is created
    RUNTIME = "runtime"  # computed at boot, normally absent from the file


class DangerLevel(Enum):
    """What changing a parameter of a running component may cost."""

    FORBID = "forbid"
    CONFIRM = "confirm"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Danger:
    """Why a change needs care."""

    level: DangerLevel
    reason: str  # what can happen, one clause: "writes the changes to another database"
    lowered_only: bool = False  # only a lower value is dangerous; absent counts as the default, else as unlimited


@dataclass(frozen=True, slots=True)
class Parameter:
    """One entry of the parameter catalogue."""

    section: str
    plugin: str | None  # "StoreSource", "JDBCSink", ...; None for coordinator and condition
    path: tuple[str, ...]  # ("workerNum",); list elements are "*": ("clients", "*", "password")
    type: str  # "integer" | "boolean" | "string" | "array" | "object"
    unit: str | None
    default: Json
    minimum: int | None
    maximum: int | None
    enum: tuple[str, ...]
    enum_open: bool  # other values exist and must not be rejected
    pattern: str | None
    required: bool
    secret: bool
    ownership: Ownership
    evidence: str  # "documented" | "vendor guide" | "field" | "inferred"
    description: str
    note: str | None
    source: str  # address of the page
    danger: Danger | None

    @property
    def name(self) -> str:
        """The key itself, the last part of the path."""
        return self.path[-1]


# --- desired state -------------------------------------------------------------------------------------------------


class Dimension(Enum):
    """How `UpdateIncrSync` finds components."""

    NAME = "NAME"
    TASK_NAME = "TASK_NAME"
    IP = "IP"


class Link(Enum):
    """Direction of a project's incremental synchronisation."""

    FORWARD = "forward"
    REVERSE = "reverse"


@dataclass(frozen=True, slots=True)
class ComponentRole:
    """A component by its place in a project, because its name changes when it moves to another host."""

    project: str  # "np_4x9j00000001"
    link: Link
    index: int  # position among the components of that link, from 0


@dataclass(frozen=True, slots=True)
class Address:
    """What a task's calls are for: either dimension and key, or a role in a project."""

    target: str
    dimension: Dimension | None = None
    key: str | None = None
    role: ComponentRole | None = None

    @property
    def id(self) -> str:
        """JSON text that names the address in the store: `["default","NAME","10.0.0.1-9000:..."]`."""
        if self.role is not None:
            parts: list[str | int | None] = [
                self.target,
                "component",
                self.role.project,
                self.role.link.value,
                self.role.index,
            ]
        else:
            parts = [self.target, self.dimension.value if self.dimension else None, self.key]
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))

    @property
    def exact(self) -> bool:
        """Whether the address means exactly one component."""
        return self.role is not None or self.dimension is Dimension.NAME


@dataclass(frozen=True, slots=True)
class Suspension:
    """A wish that nothing is called for a task."""

    reason: str
    until: datetime | None  # aware UTC; None: until it is taken back


@dataclass(frozen=True, slots=True)
class Window:
    """Times in which tasks may be called for, or in which they must not be."""

    name: str  # for people: "nights"; of a task's own: "1 of task.json"
    allows: bool  # False: it denies
    cron: str  # when it opens: five fields, as of Debian's cron
    duration_s: int  # how long it stays open, elapsed seconds
    zone: str  # of the cron expression, an IANA name: "Europe/Berlin"
    labels: tuple[tuple[str, str], ...] = ()  # a task it is for has them all; () = every task


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may change at once: a limit trips above its share and above its floor."""

    removed_keys: float = 0.10  # share of a task's keys, and of those of all tasks
    changed_keys: float = 0.30  # likewise; keys that have another value, or are new
    tasks: float = 0.30  # share of all tasks that something is sent to
    keys_floor: int = 5  # so many keys are never too many
    tasks_floor: int = 5


@dataclass(frozen=True, slots=True)
class Cap:
    """What all tasks that write to one host may ask of it together; 0: no cap."""

    host: str  # of the sink's jdbcUrl, lower case: "10.0.0.41:2883"; without a port all its ports are meant
    throttle_rps: int  # sum of coordinator.throttleRps, records a second
    workers: int  # sum of sink.workerNum


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """A declared reset of a link's start timestamp (`reset.json`)."""

    request: str  # unique per (target, project, reverse)
    project: str
    reverse: bool
    start_timestamp: int  # unix seconds
    reason: str
    expires: datetime | None  # aware UTC
    stop: bool  # stop the project before, resume it after


@dataclass(frozen=True, slots=True)
class Task:
    """One valid task of the desired state."""

    name: str  # path below the desired-state directory, "/" between folders
    address: Address
    cm_region: str | None  # None when the address is a role: the region is resolved with the name
    allow_delete: bool
    sections: Sections = field(repr=False)  # as written, without "$schema"; secrets still as references
    source_plugin: str | None = None  # name in the catalogue; None when boosterClass is absent or unknown
    sink_plugin: str | None = None
    manage: tuple[str, ...] = ()  # JSON pointers whose first part is the section: "/sink/workerNum"
    allow: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    unmanaged: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    suspend: Suspension | None = None
    windows: tuple[Window, ...] = ()  # its own, beside those of the configuration
    limits: tuple[tuple[str, float], ...] = ()  # names and values of fields of Limits that differ from the policy's
    reset: ResetRequest | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit, as reports name it."""

    id: str  # 40 or 64 hexadecimal digits
    author: str  # name, without the address
    at: datetime  # author's date, aware
    subject: str  # first line of the message; any text: reports escape it


@dataclass(frozen=True, slots=True)
class Head:
    """Which commit is the desired state, and why it is not a newer one."""

    ref: str
    commit: Commit  # that is read
    newest: str = ""  # id of the commit that the ref names, where that one is not read; "" too when it names none
    kind: str = ""  # why it is not read: "rewritten", "unrelated", "unsigned", "unreadable", "gone"; "" when it is read
    problem: str = ""  # the same in a sentence, with what to do


@dataclass(frozen=True, slots=True)
class Origins:
    """Who changed what a plan shows, and why: for reports only."""

    tasks: Mapping[str, Commit] = field(default_factory=dict)  # {task: last commit that touched its directory}
    keys: Mapping[tuple[str, str], Commit] = field(default_factory=dict)  # {(task, Change.path): its last commit}
    remark: str = ""  # what could not be told, and why: a shallow clone; "" when all could


NO_ORIGINS = Origins()


# --- last-applied state --------------------------------------------------------------------------------------------


class Condition(Enum):
    """How the last word about an address ended."""

    SYNCED = "synced"
    NOT_VERIFIED = "not-verified"  # accepted, and nothing to read its health from
    VERIFYING = "verifying"
    UNCONFIRMED = "unconfirmed"  # accepted, but not seen healthy in time
    APPLYING = "applying"  # an intent without an outcome: a call is under way, or the program died during it
    UNKNOWN = "unknown"  # sent, no clear answer
    RETRYING = "retrying"  # certainly without effect; will be tried again
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of a component as far as we know it: canonical, without secrets."""

    content: Sections = field(repr=False)  # canonical (core.canonical), secrets replaced by core.secrets.MARK
    fingerprints: Mapping[str, str]  # {"/sink/password": hex HMAC-SHA256 of the value}
    key_id: str  # which fingerprint key made them
    digest: str  # SHA-256 of content, hex


@dataclass(frozen=True, slots=True)
class Record:
    """What the store knows of one address; `Snapshot`s are read separately, when digests differ."""

    address: str  # Address.id
    task: str  # name of the directory that last declared it
    serial: int  # +1 with every intent: a plan that starts from an older serial is stale
    digest: str | None  # of the last-applied snapshot; None when nothing was ever applied or adopted
    digest_version: int  # core.canonical.VERSION that made the digest
    fingerprints: Mapping[str, str]
    key_id: str
    revision: str  # of the desired state that was last applied
    applied_at: datetime | None
    condition: Condition
    reason: str  # why the condition is what it is, one sentence; "" for synced
    since: datetime  # of the condition
    attempted: str | None  # Intent.request_digest of the last attempt, for FAILED, UNKNOWN and RETRYING
    attempts: int  # consecutive attempts with an unknown outcome at that content
    open_intents: int  # attempts whose effect is unknown: the base is uncertain while there are any
    ticket: int | None
    request_id: str | None
    component: str = ""  # name of the component that was last sent to, as it was seen last; "" when none was
    status_before: str = ""  # status of that component just before; "" when it was not seen


@dataclass(frozen=True, slots=True)
class TaskState:
    """What the daemon last said of one task: `status` reads it, and a restart begins with it."""

    task: str
    state: str  # core.status.State.value
    since: datetime  # aware UTC
    reason: str
    next_step: str
    until: datetime | None
    revision: str  # last applied
    ticket: int | None
    request_id: str | None
    content: str  # digest of what the files ask for, or of what is wrong with them


@dataclass(frozen=True, slots=True)
class Intent:
    """What is written down before a call."""

    address: str
    task: str
    action: str  # Action.value
    plan: str  # plan id
    item: str  # item id
    revision: str
    request_digest: str  # SHA-256 of what is sent, secrets by fingerprint, hex
    attempt: int  # from 1
    after: Snapshot = field(repr=False)  # the content of the component if the call has its effect
    forced: tuple[str, ...] = ()  # rails that were overridden
    reason: str = ""  # of --force or --resend
    commit: Commit | None = None  # the last one that touched the task's directory; None when there is no history
    component: str = ""  # name of the component it is for
    status_before: str = ""  # status of that component; "" when it was not seen
    content_id: str = ""  # Item.content_id: an approval of it is used up when it is accepted


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    condition: Condition  # VERIFYING or NOT_VERIFIED (accepted), RETRYING, UNKNOWN or FAILED
    message: str  # "" when accepted
    ticket: int | None = None
    request_id: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the server said `success: true`."""
        return self.condition in (Condition.VERIFYING, Condition.NOT_VERIFIED)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One row of the journal; `hash` chains it to the one before."""

    sequence: int
    at: datetime
    kind: str  # "intent", "outcome", "health", "adopt", "forget", "retry", "suspend", "resume", "takeover", "pending",
    #            "blocked", "target", "refingerprint", "head", "approve", "reset", "rail", "policy"
    task: str
    address: str
    action: str
    outcome: str  # Condition.value, or "" where there is none
    revision: str
    plan: str
    ticket: int | None
    request_id: str | None
    detail: Mapping[str, Json]
    hash: str


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody says that an item of a plan may go."""

    content_id: str  # Item.content_id
    task: str
    address: str
    plan: str  # id of the plan that was read
    action: str  # Action.value of what is intended
    forced: tuple[str, ...]  # rails that are lifted with it
    reason: str
    by: str  # account of whoever said so
    at: datetime
    until: datetime

    @property
    def text(self) -> str:
        """Who and why: "approved by ann: agreed with shop"."""
        return f"approved by {self.by}: {self.reason}"


class Stage(Enum):
    """How far a reset is. Each is written down before what it names is begun."""

    PERHAPS_SENT = "perhaps-sent"  # an operator has to say whether it was, before this store knew of it
    PENDING = "pending"  # certainly not sent: an operator said so, or the server did
    STOPPING = "stopping"  # the project is told to stop
    SENDING = "sending"  # the call is under way; found so after a start, its outcome is unknown
    UNKNOWN = "unknown"  # sent, no clear answer: an operator decides
    ACCEPTED = "accepted"  # the position is looked at
    RESUMING = "resuming"  # accepted; the project is told to go on
    RETURNING = "returning"  # not carried out; the project is told to go on
    DONE = "done"  # seen at its new position
    UNCONFIRMED = "unconfirmed"  # accepted, and not seen at its new position in time
    REFUSED = "refused"  # certainly not carried out

    @property
    def is_under_way(self) -> bool:
        """Whether somebody has to go on with it: edits of the project's tasks wait."""
        return self in (Stage.STOPPING, Stage.SENDING, Stage.ACCEPTED, Stage.RESUMING, Stage.RETURNING)

    @property
    def is_over(self) -> bool:
        """Whether nothing will be done about it any more."""
        return self in (Stage.DONE, Stage.UNCONFIRMED)


@dataclass(frozen=True, slots=True)
class ResetKey:
    """What a reset is carried out once for."""

    target: str
    project: str
    reverse: bool
    request: str


@dataclass(frozen=True, slots=True)
class ResetEntry:
    """One row of the ledger of resets. Rows are never removed."""

    key: ResetKey
    digest: str  # of what was asked for: the same request with other content is an error
    task: str  # name of the directory that declares it
    address: str  # Address.id of that task
    start_timestamp: int  # unix seconds
    stage: Stage
    since: datetime  # of the stage, aware UTC
    reason: str = ""  # why the stage is what it is, a sentence
    position_before: int | None = None  # unix seconds at which the link was just before the call: to undo it
    stopped: bool = False  # we told the project to stop, so we tell it to go on
    plan: str = ""  # id of the plan it was begun for
    content_id: str = ""  # Item.content_id of the approved item
    ticket: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ResetOrder:
    """One reset to be carried out, or one that was begun and is to be brought to its end.

    Every item of action RESET comes with one, also when the declaration of a reset under way is gone or was changed:
    then nothing is sent any more, and a project that was stopped for it is told to go on. Whoever carries it out looks
    again at the ledger, the approval (`StateStore.approvals` by `entry.content_id`), suspensions, the future and the
    retention; the stage alone says what comes next. A row in SENDING is ordered as well: its outcome is unknown then,
    and that gets written down.
    """

    entry: ResetEntry  # as the ledger has it; where it has none, or a PENDING one, as it is to be begun: stage PENDING,
    #                    content_id that of the item; the plan's id is filled in when it is begun
    known: Stage | None  # stage of its row when it was planned; None: the ledger had none
    declared: bool  # the files still ask for just this
    stop: bool = True  # stop the project before, tell it to go on afterwards
    expires: datetime | None = None  # aware UTC; not sent after that
    retention_s: float = 0.0  # how far back the logs of the target reach; 0: not known


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a reset asks for, and how far it moves a link, for reports: no part of any id."""

    key: ResetKey
    start_timestamp: int  # unix seconds
    stage: Stage | None  # of its row in the ledger; None: it has none
    messages: bool  # the sink takes messages, which are there twice when they are repeated
    position: int | None = None  # where the link is now, unix seconds; None: not looked up, or not known
    rows: int | None = None  # about how many records lie between, at the present rate; None: not known
    problem: str = ""  # why the position is not known although it was looked up
    position_before: int | None = None  # of one with an unknown outcome: where the link was just before the call

    @property
    def shift_s(self) -> int | None:
        """How far the link moves, seconds: below 0 backwards; None when that is not known."""
        return None if self.position is None else self.start_timestamp - self.position


# --- plan ----------------------------------------------------------------------------------------------------------


class Action(Enum):
    """What a plan would do about a task."""

    NOOP = "noop"
    ADOPT = "adopt"
    UPDATE = "update"
    UPDATE_DELETE = "update+delete"
    RESET = "reset"
    BLOCKED = "blocked"
    INVALID = "invalid"
    ORPHANED = "orphaned"
    SUSPENDED = "suspended"

    @property
    def sends(self) -> bool:
        """Whether carrying it out calls the target."""
        return self in (Action.UPDATE, Action.UPDATE_DELETE, Action.RESET)


class ChangeKind(Enum):
    """Whether a key has a (new) value or is gone."""

    SET = "set"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Part:
    """One difference inside a list, for reports only: the list as a whole is the change."""

    kind: str  # "added" | "removed" | "changed" | "moved"
    subject: str  # "table shop.orders", "/0/subtopic"
    text: str  # 'map "orders" -> "orders_v2"'; "" when kind and subject say it all
    danger: Danger | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One typed difference between last-applied and desired."""

    section: str
    pointer: str  # RFC 6901, below the section: "/workerNum"
    kind: ChangeKind
    old: Json  # canonical; None when absent; core.secrets.MARK for a secret
    new: Json
    secret: bool = False
    fingerprint: str = ""  # of the new value of a secret, for ids only: never shown
    parts: tuple[Part, ...] = ()
    danger: Danger | None = None
    parameter: Parameter | None = None  # None when the catalogue does not know the key
    left_in_place: bool = False  # removed from the files, and staying on the component

    @property
    def path(self) -> str:
        """Pointer with the section in front, as `task.json` writes it: "/sink/workerNum"."""
        return f"/{self.section}{self.pointer}"


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a plan: what happens to one task, and why."""

    id: str  # SHA-256, hex; the same for the same changes from the same serial
    task: str
    action: Action
    reason: str  # one sentence
    intended: Action = Action.NOOP  # what would be done were it not blocked or suspended
    rail: str = ""  # which rail holds it; "" when none does
    until: datetime | None = None
    changes: tuple[Change, ...] = ()
    unchanged: int = 0  # leaves that stay as they are
    target: str = ""
    address: str = ""  # Address.id
    serial: int = 0
    cost: tuple[str, ...] = ()  # "restarts the component", "forward link"
    remarks: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    forced: tuple[str, ...] = ()  # rails that were overridden
    content_id: str = ""  # like id, whatever the serial: what approvals bind to
    approval: Approval | None = None  # that lets it go; None when it needs none, or has none
    outlook: Outlook | None = None  # of a reset
    also: tuple[str, ...] = ()  # further suspensions that hold it, as rails
    behind: tuple[str, ...] = ()  # rails that hold it as well, behind the first; in no id

    @property
    def is_begun_reset(self) -> bool:
        """Whether it is a reset that somebody has to go on with: its project may be stopped."""
        stage = self.outlook.stage if self.outlook else None
        return stage is not None and stage.is_under_way


class RailState(Enum):
    """How a rail stands in one plan."""

    OFF = "off"  # it holds nothing, whatever comes
    ON = "on"  # it would hold something
    TRIPPED = "tripped"  # it does
    OVERRIDDEN = "overridden"  # it would, and somebody lifted it


@dataclass(frozen=True, slots=True)
class Rail:
    """One rail, as plan and status show it."""

    name: str  # as `--force` takes it: "tasks", "window"
    state: RailState
    text: str = ""  # its setting: "more than 30 % of the tasks, and more than 5"
    tasks: int = 0  # how many it holds, or was lifted for
    found: str = ""  # of one that judges all tasks together and has tripped: what it found, with numbers


@dataclass(frozen=True, slots=True)
class Plan:
    """Ordered items; the same input gives the same bytes."""

    id: str
    revision: str
    items: tuple[Item, ...]
    remarks: tuple[str, ...] = ()  # about the whole: why it is frozen
    frozen: bool = False  # so many known tasks are gone that nothing is begun
    rails: tuple[Rail, ...] = ()  # every rail there is, in the order in which they are asked
    selection: tuple[str, ...] = ()  # tasks and folders that it was made of by name; (): of all

    @property
    def to_send(self) -> tuple[Item, ...]:
        """The items that call a target."""
        return tuple(item for item in self.items if item.action.sends)


# --- observed state ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """One `UpdateIncrSync` call, ready for the wire."""

    dimension: str
    key: str
    cm_region: str
    config: Sections = field(repr=False)  # wire form, secrets filled in
    allow_delete: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """A target's `success: true`."""

    ticket: int | None  # O&M ticket id, 64 bit; no API reads it
    request_id: str | None


@dataclass(frozen=True, slots=True)
class ObservedComponent:
    """One Incr-Sync component as `DescribeProjectComponents` shows it."""

    name: str
    region: str
    link: Link
    status: str  # RUNNING | STOPPED | EXCEPTION | FINISHED, or a word not known yet
    checkpoint: int | None  # unix seconds
    delay_s: int | None
    modified: str  # gmtModify as text: a change of it is a hint only
    errors: str = ""  # joined texts of errorDetails
    tps: int | None = None  # records a second


@dataclass(frozen=True, slots=True)
class ObservedProject:
    """One project as `DescribeProjectProgress` shows it."""

    status: str  # RUNNING, SUSPEND, RUNNING_MODIFYING, ...
    checkpoint: int | str | None  # forward link; unix seconds, or text for some sources
    reverse_checkpoint: int | str | None
