"""Hands the daemon's events to every channel."""

from collections.abc import Callable, Sequence

from reconciler.errors import ConfigError
from reconciler.events import Event, Listener
from reconciler.notify.channel import Channel
from reconciler.notify.outbox import subject_of
from reconciler.notify.sender import Sender
from reconciler.notify.settings import ChannelSettings, Tools
from reconciler.ports import Clock, StateStore


class Notifier:
    """A listener of the daemon's events: calling it returns at once, whatever the channels do.

    Args:
        channels: each with a name of its own.
        store: remembers what each channel was told.
        clock: when to send, and when to try again.
        random: 0 <= number < 1, for the waits between attempts.
        say: told, as events of topic "notify", when a channel does not work and when it works again.
        count: (channel, outcome), outcome being "sent" or "failed" for each attempt, "dropped" for each message that
            gave way because too many waited.

    Raises:
        ConfigError: addresses that Apprise does not understand, one a line; each names `notify.<channel>.url`.
    """

    def __init__(
        self,
        channels: Sequence[ChannelSettings],
        store: StateStore,
        clock: Clock,
        random: Callable[[], float],
        say: Listener,
        count: Callable[[str, str], None],
    ) -> None:
        tools = Tools(store, clock, random, say, count)
        self._clock = clock
        self._channels = [Channel(sender.settings, sender.send, tools) for sender in _senders(channels)]

    def start(self) -> None:
        """Begin to send; events that came before wait for that.

        Raises:
            StateStoreError: what was told before cannot be read.
        """
        for channel in self._channels:
            channel.start()

    def __call__(self, event: Event) -> None:
        """Take an event."""
        subject = subject_of(event)
        for channel in self._channels if subject else ():
            channel.offer(subject, event)

    def stop(self, timeout_s: float) -> None:
        """Send what waits, without waiting for others and without a second attempt; returns after *timeout_s* seconds.

        What could not be sent in time is not recorded as told, so it is told after the next start.
        """
        end = self._clock.monotonic() + timeout_s
        for channel in self._channels:
            channel.end(end)
        for channel in self._channels:
            channel.join(max(0.0, end - self._clock.monotonic()))


def _senders(channels: Sequence[ChannelSettings]) -> Sequence[Sender]:
    senders, problems = [], []
    for settings in channels:
        try:
            senders.append(Sender(settings))
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return senders
