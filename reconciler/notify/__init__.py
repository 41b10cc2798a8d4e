"""Tells people what needs them: on edges, through Apprise, to mail, chat, webhook and whatever else it knows.

`Notifier` is a listener of the daemon's events; `ChannelSettings` is what it must know of one channel. Apprise itself
is imported when a notifier with a channel is made, not before.
"""

from reconciler.notify.notifier import Notifier
from reconciler.notify.settings import ChannelSettings

__all__ = ["ChannelSettings", "Notifier"]
