"""Sends one message through Apprise, and keeps Apprise from saying, storing or following anything.

A channel's address is a secret as a whole. Apprise and the libraries below it write addresses to their logs (down to
the path of each request) and put them into exceptions; so their loggers are shut and no exception leaves this module.
"""

import logging
import warnings
from typing import TYPE_CHECKING

from reconciler.errors import ConfigError
from reconciler.notify.message import Message
from reconciler.notify.settings import ChannelSettings

if TYPE_CHECKING:
    from apprise import Apprise, NotifyBase

_TALKATIVE = ("apprise", "urllib3", "requests", "oauthlib", "requests_oauthlib")
_EXPECTED = (
    'an Apprise URL of a service that this installation supports, such as "jsons://host/path" or'
    ' "mailtos://user:password@host"'
)


class Sender:
    """One channel's service.

    Args:
        settings: of the channel.

    Raises:
        ConfigError: Apprise does not understand the URL; the message does not quote it.
    """

    def __init__(self, settings: ChannelSettings) -> None:
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL + 10)
        service = _service(settings.url)
        if service is None:
            raise ConfigError(f"notify.{settings.name}.url: expected {_EXPECTED}, found something else (not shown)")
        self.settings = settings
        self._apprise = _apprise(service)

    def send(self, message: Message) -> bool:
        """Whether the service accepted the message; returns after its time limits, at the latest."""
        from apprise import NotifyFormat, NotifyType

        # Apprise raises nothing here: whatever goes wrong in a service is a result that is not true.
        sent = self._apprise.notify(
            title=message.title,
            body=message.body,
            body_format=NotifyFormat.TEXT,
            notify_type=NotifyType(message.kind),
        )
        return bool(sent)


def _service(url: str) -> "NotifyBase | None":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what its services import
        from apprise import Apprise, AppriseAsset

        asset = AppriseAsset(
            app_id="reconciler",
            app_desc="reconciler",
            async_mode=False,  # each channel has a thread of its own
            service_timeout=0,  # which waits for the sockets' limits itself, and leaves no other thread behind
            storage_mode="memory",
            pgp_autogen=False,
            pem_autogen=False,
            http_redirects=False,  # a token goes to the configured address and nowhere else
            interpret_emojis=False,
            interpret_escapes=False,
        )
        try:
            return Apprise.instantiate(url, asset=asset)
        except Exception:  # noqa: BLE001 - whatever a service makes of a wrong address, its words hold the address
            return None


def _apprise(service: "NotifyBase") -> "Apprise":
    from apprise import Apprise, OverflowMode

    service.retry = 0  # when to try again is decided by the channel
    service.optional = False  # a failure that counts as sent would be recorded as told
    if "overflow_mode" not in vars(service):  # not set by the URL: what is too long would be refused for ever
        service.overflow_mode = OverflowMode.TRUNCATE
    apprise = Apprise(asset=service.asset)
    apprise.add(service)
    return apprise
