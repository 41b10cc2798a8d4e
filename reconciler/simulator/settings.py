"""What the vendor's pages leave open, and how long things take: one dataclass each.

Pages are cited by product (CE, EE) and number: `CE:1080575` is
https://en.oceanbase.com/docs/community-oms-en-10000000001080575, `EE:2913051` is
https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913051.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

T = TypeVar("T", "Switches", "Timing")


def _one_of(*words: str) -> Any:
    """A field whose first word is the default."""
    return field(default=words[0], metadata={"words": words})


@dataclass(frozen=True, slots=True)
class Switches:
    """One reading for everything the pages leave open; each comment names the open point.

    Fields of text accept only the words listed in their definition.

    Raises:
        ValueError: a field has a word or type that it does not accept.
    """

    edition: str = _one_of("any", "CE", "EE")  # "CE" and "EE" know only actions with a page of that edition
    unsupported: tuple[str, ...] = ()  # further actions that an older server does not know
    unsupported_code: str | None = None  # UNKNOWN: code of "Unsupported action"
    wrong_credentials: str = _one_of("json", "redirect", "html")  # UNKNOWN: 401 JSON, 302 to a login page, 200 HTML
    many: str = _one_of("apply", "reject")  # UNKNOWN: TASK_NAME and IP change every match, or are refused
    merge: str = _one_of("top-level", "deep")  # UNKNOWN: depth of the merge without allowDelete
    retain: str = _one_of("whole", "per-section")  # UNKNOWN: allowDelete empties an omitted section, or keeps it
    null_values: str = _one_of("reject", "delete", "literal")  # UNKNOWN: meaning of null in a configuration
    noop_update: str = _one_of("restart", "skip")  # UNKNOWN: an update that changes nothing restarts, or not
    concurrent_updates: str = _one_of("queue", "reject")  # UNKNOWN: an update while another ticket is open
    update_starts_stopped: bool = False  # UNKNOWN: an update starts a stopped component
    move_keeps_config: bool = True  # UNKNOWN: the configuration survives a move to another host
    sent_checkpoint: str = _one_of("used", "ignored")  # UNKNOWN: a changed source.checkpoint moves the position
    lost_keys: str = _one_of("ignore", "exception")  # UNKNOWN: a component without a key OMS wrote does not start
    reset_needs_suspend: bool = False  # UNKNOWN: state a project must have for ResetIncrStartTimestamp
    reset_without_link: str = _one_of("reject", "accept")  # UNKNOWN: reverse=true without a reverse link
    first_ticket: int = 3_000_001  # UNKNOWN: range of ticket ids, 64 bit are safe; counts from the next beginning
    paging_trio: bool = True  # CE:1080575 prints 1/10/415 in a call without pages, its siblings null
    omit: tuple[str, ...] = ()  # UNKNOWN: which envelope fields may be absent; "errorDetail", "success", ...
    null: tuple[str, ...] = ()  # UNKNOWN: which envelope fields may be null
    field_case: str = _one_of("lower", "envelope", "all")  # EE:2913060 prints `Data`: capitals outside, or everywhere
    language: str = _one_of("en", "zh")  # UNKNOWN: language of messages
    cost: str = _one_of("text", "null")  # "36 ms" on the pages, null in recorded answers
    healthy: bool = True  # what /oms/health says

    def __post_init__(self) -> None:
        _check(self)


_SPANS = ("queue_s", "stop_s", "start_s", "suspend_s", "resume_s", "reset_s", "sample_s")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take, in seconds. Real ones: stop 15-34 s, start 10 s, samples every 10 s.

    Raises:
        ValueError: a field is not a number, or negative.
    """

    queue_s: float = 0.2  # a ticket is Initializing, then Ready, half of it each
    stop_s: float = 2.0  # In Progress, the component is STOPPED
    start_s: float = 1.0  # still STOPPED, at its end RUNNING and the ticket Successful
    suspend_s: float = 1.0  # from StopProject to SUSPEND
    resume_s: float = 1.0  # from ResumeProject to RUNNING
    reset_s: float = 1.0  # work of a reset's ticket after the queue
    sample_s: float = 0.0  # reported checkpoints are taken this often; 0: at every read
    lag_s: float = 1.0  # distance of a healthy component from its source
    catch_up: float = 10.0  # seconds of changes written per second while behind

    def __post_init__(self) -> None:
        _check(self)

    @property
    def restart_s(self) -> float:
        """From an accepted update to the end of its ticket, when nothing else is queued."""
        return self.queue_s + self.stop_s + self.start_s

    def faster(self, factor: float) -> "Timing":
        """The same with everything done *factor* times as fast; positions stay those of the clock.

        Raises:
            ValueError: the factor is not above 0.
        """
        if not factor > 0:
            raise ValueError(f"expected a factor above 0, found {factor:g}")
        spans = {name: getattr(self, name) / factor for name in _SPANS}
        return replace(self, catch_up=self.catch_up * factor, **spans)


def changed(settings: T, changes: Mapping[str, Any]) -> T:
    """The same settings with some fields replaced, as a back-door request names them.

    Raises:
        ValueError: an unknown field, or a value that it does not accept.
    """
    known = {each.name for each in fields(settings)}
    if unknown := sorted(set(changes) - known):
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()
    }
    return replace(settings, **values)


def _check(settings: Switches | Timing) -> None:
    for each in fields(settings):
        value = getattr(settings, each.name)
        if words := each.metadata.get("words"):
            accepted = value in words
        elif isinstance(each.default, bool):
            accepted = isinstance(value, bool)
        elif isinstance(each.default, tuple):
            accepted = isinstance(value, tuple) and all(isinstance(name, str) for name in value)
        elif isinstance(each.default, (int, float)):
            accepted = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
        else:
            accepted = value is None or isinstance(value, str)
        if not accepted:
            expected = f"one of {', '.join(words)}" if words else f"a value like {each.default!r}"
            raise ValueError(f"{each.name}: expected {expected}, got {value!r}")
