"""Components, projects and tickets, and how a component's position moves; what acts on them is in `operations`.

Source:
    DescribeProjectComponents, https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000001792132; O&M tickets,
    https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000000862259.
"""

import re
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from reconciler.model import JsonObject, Link
from reconciler.simulator.configuration import Config
from reconciler.simulator.settings import Timing

NAME = re.compile(r"(?P<ip>[^:]+)-(?P<port>\d+):(?P<framework>[^:]+):(?P<middle>[^:]+):(?P<number>\d+)")
"""`10.0.0.1-9000:connector_v2:np_4x9jabcd-incr_trans-1-0:0000000006`"""

MIDDLE = re.compile(r"(?P<project>.+)-(?P<stage>incr_trans|full_trans)-(?P<sub>\d+)-(?P<index>\d+)")


class ComponentStatus(StrEnum):
    """What an Incr-Sync component can report."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    EXCEPTION = "EXCEPTION"
    FINISHED = "FINISHED"


class TicketState(StrEnum):
    """Life of an O&M ticket; the console's words."""

    INITIALIZING = "Initializing"
    READY = "Ready"
    IN_PROGRESS = "In Progress"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"


class Ending(Enum):
    """How a ticket and its components end."""

    AS_ASKED = "as asked"
    NO_EFFECT = "successful, and nothing was done"
    EXCEPTION = "successful, and the component does not run"
    FAILED = "failed: restarted with the old configuration"
    STUCK = "In Progress for ever"


@dataclass(slots=True, eq=False)
class Ticket:
    """One O&M ticket; no action of the API shows it."""

    id: int
    action: str
    targets: tuple[str, ...]  # names of components when the ticket was made
    created: float  # unix seconds
    state: TicketState = TicketState.INITIALIZING
    finished: float | None = None

    def finish(self, state: TicketState, at: float) -> None:
        """End the ticket's life."""
        self.state, self.finished = state, at


@dataclass(slots=True, eq=False)
class Project:
    """One task of OMS: a forward link, perhaps a reverse one."""

    id: str
    name: str
    region: str
    status: str  # RUNNING, SUSPEND, FAILED, RUNNING_MODIFYING, RUNNING_MERGING, ...
    created: float
    modified: float
    stopping: bool = False  # told to stop, and not SUSPEND yet
    checkpoint_text: str | None = None  # some sources have a position that is no time: "fileId,fileOffset"


@dataclass(slots=True, eq=False)
class Component:
    """One Incr-Sync component: its configuration, its status and its position."""

    name: str
    project: str
    link: Link
    region: str
    config: Config = field(repr=False)  # as stored; never changed in place
    running_config: Config = field(repr=False)  # as it was when the component last started
    initial: Config = field(repr=False)  # as OMS wrote it
    status: ComponentStatus
    checkpoint: float  # unix seconds up to which changes are written, at `as_of`
    as_of: float
    created: float
    modified: float
    sampled: float = 0.0  # checkpoint that is reported, taken at `sampled_at`
    sampled_at: float = 0.0
    errors: tuple[JsonObject, ...] = ()
    busy_until: float = 0.0  # end of the last ticket that touches it

    def move_to(self, at: float, timing: Timing) -> None:
        """Let time pass for the position; *at* earlier than `as_of` changes nothing."""
        if timing.sample_s:
            sample = at - at % timing.sample_s
            if sample > self.sampled_at:
                self._advance(sample, timing)
                self.sampled, self.sampled_at = self.checkpoint, sample
        self._advance(at, timing)
        if not timing.sample_s:
            self.sampled, self.sampled_at = self.checkpoint, self.as_of

    def place(self, checkpoint: float, at: float) -> None:
        """Put the position somewhere else."""
        self.checkpoint = self.sampled = checkpoint
        self.as_of = self.sampled_at = self.modified = at

    def turn(self, status: ComponentStatus, at: float, timing: Timing, *errors: JsonObject) -> None:
        """Change the status at a moment; errors are those it has from now on."""
        self.move_to(at, timing)
        self.status, self.modified, self.errors = status, at, errors

    def _advance(self, at: float, timing: Timing) -> None:
        elapsed = at - self.as_of
        if elapsed <= 0:
            return
        if self.status is ComponentStatus.RUNNING:
            reachable = min(self.checkpoint + elapsed * timing.catch_up, at - timing.lag_s)
            self.checkpoint = max(self.checkpoint, reachable)
        self.as_of = at


def component_name(ip: str, project: str, index: int, number: int) -> str:
    """The usual form of an Incr-Sync component's name."""
    return f"{ip}-9000:connector_v2:{project}-incr_trans-1-{index}:{number:010d}"


def ip_of(name: str) -> str:
    """Host address in a component's name; empty when the name has another form."""
    match = NAME.fullmatch(name)
    return match["ip"] if match else ""


def project_in(name: str) -> str:
    """Project id in a component's name; empty when the name has another form."""
    match = NAME.fullmatch(name)
    middle = MIDDLE.fullmatch(match["middle"]) if match else None
    return middle["project"] if middle else ""


def middle_of(name: str) -> str:
    """`np_4x9jabcd-incr_trans-1-0`, which TASK_NAME may mean; empty when the name has another form."""
    match = NAME.fullmatch(name)
    return match["middle"] if match else ""


def moved_name(name: str, ip: str | None, number: int | None) -> str:
    """Name after a move to another host; what is not given is made up.

    Args:
        name: present name. One that has another form only gets a suffix.
        ip: new host.
        number: new numeric id.
    """
    match = NAME.fullmatch(name)
    if not match:
        return f"{name}~{ip or 'moved'}"
    host = ip or re.sub(r"\d+$", lambda last: str(int(last[0]) % 254 + 1), match["ip"])
    counted = int(match["number"]) + 1_000_003 if number is None else number
    return f"{host}-{match['port']}:{match['framework']}:{match['middle']}:{counted:010d}"
