"""What the notifier must know of one channel, and what all channels share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.core.edges import DEFAULT_STATES
from reconciler.core.status import State
from reconciler.events import Listener
from reconciler.ports import Clock, StateStore


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """One `[[notify]]` of the configuration, its secret filled in."""

    name: str
    url: str = field(repr=False)  # of Apprise: "mailtos://user:password@host"
    states: frozenset[State] = DEFAULT_STATES
    labels: Mapping[str, str] = field(default_factory=dict)  # that a task must have; {}: every task, and the rest too


@dataclass(frozen=True, slots=True)
class Tools:
    """What every channel needs."""

    store: StateStore
    clock: Clock
    random: Callable[[], float]  # 0 <= number < 1
    say: Listener  # told what is wrong with a channel
    count: Callable[[str, str], None]  # (channel, "sent" | "failed" | "dropped")
