"""Talks to systemd: to the service manager how the daemon is, to the journal what it has to say.

Both are datagrams on a Unix socket. Each message opens a socket of its own: nothing is held open, forked or closed,
and a journal that was restarted is found again. What to say, and when, is left to the daemon and its logs.

Source:
    sd_notify(3), sd_watchdog_enabled(3); https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
"""

import os
import re
import socket
import struct
import time
from collections.abc import Mapping, MutableMapping
from typing import IO, Any

JOURNAL = "/run/systemd/journal/socket"

LONGEST_STATUS = 300
"""Characters of `STATUS=`: the manager ignores a message of more than 4,096 bytes."""

LONGEST_FIELD_BYTES = 16_384
"""Of one value in the journal: a dozen such still fit one datagram."""

_PATIENCE_S = 1.0  # a manager or journal that does not read would else stop the daemon
_MICROSECONDS = 1_000_000
_NOTIFY = "NOTIFY_SOCKET"
_WATCHDOG = "WATCHDOG_USEC"
_OF_WHOM = "WATCHDOG_PID"
_DIGITS = re.compile(r"[0-9]{1,18}")
_FIELD = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_STREAM = re.compile(r"([0-9]{1,20}):([0-9]{1,20})")


class Manager:
    """The service manager that started this process; every method does nothing where there is none.

    A method returns what went wrong, to be logged: in words when sending begins to fail, "" when it did not or when
    that was said before. It is tried again with every message, and never raises.

    Args:
        address: of its socket, a path or `@` and an abstract name; "" for none.
        watchdog_interval_s: how often to call `watchdog`, seconds; None when nobody waits for it.
        problem: what is wrong with the environment that this was read from; "" for nothing.
    """

    def __init__(self, address: str = "", watchdog_interval_s: float | None = None, problem: str = "") -> None:
        self.watchdog_interval_s = watchdog_interval_s
        self.problem = problem
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._failing = False

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] | None = None) -> "Manager":
        """Read the variables that systemd sets, and remove them: children are not to speak for the daemon.

        Args:
            environment: where they are; that of the process when None.
        """
        found = os.environ if environment is None else environment
        address, interval, of_whom = (found.pop(name, "") for name in (_NOTIFY, _WATCHDOG, _OF_WHOM))
        if address and address[0] not in "/@":
            return cls(
                problem=f'{_NOTIFY}: expected a path or "@" and a name, found "{address}": systemd is told nothing'
            )
        if not address or not interval or of_whom not in ("", str(os.getpid())):
            return cls(address)
        if not _DIGITS.fullmatch(interval) or not int(interval):
            return cls(
                address, problem=f'{_WATCHDOG}: expected microseconds, found "{interval}": the watchdog is not fed'
            )
        return cls(address, int(interval) / _MICROSECONDS / 2)

    def ready(self, status: str) -> str:
        """Started, or through with reloading."""
        return self._send("READY=1", _status(status))

    def reloading(self) -> str:
        """The configuration is read again; `ready` ends it."""
        # The time tells a manager of Type=notify-reload which of its requests this answers; others ignore it.
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        return self._send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def status(self, text: str) -> str:
        """Show a line in `systemctl status`."""
        return self._send(_status(text))

    def watchdog(self) -> str:
        """The daemon makes progress."""
        return self._send("WATCHDOG=1") if self.watchdog_interval_s is not None else ""

    def stopping(self, status: str) -> str:
        """The daemon ends."""
        return self._send("STOPPING=1", _status(status))

    def extend_timeout(self, seconds: float) -> str:
        """Starting or stopping takes so much longer from now, whatever the unit's limit says."""
        return self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * _MICROSECONDS)}")

    def _send(self, *assignments: str) -> str:
        if not self._address:
            return ""
        try:
            _post(self._address, "\n".join(assignments).encode())
        except OSError as error:
            said, self._failing = self._failing, True
            name = self._address.replace("\0", "@", 1)
            return "" if said else f"{_NOTIFY} {name}: systemd cannot be told: {error.strerror or error}"
        self._failing = False
        return ""


def _status(text: str) -> str:
    """`STATUS=` with one line of what a terminal can show."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"STATUS={line if len(line) <= LONGEST_STATUS else f'{line[: LONGEST_STATUS - 1]}…'}"


def under_systemd_journal(environment: Mapping[str, str], stream: IO[Any]) -> bool:
    """Whether a stream still leads to the journal that systemd connected it to.

    Args:
        environment: of the process; `JOURNAL_STREAM` holds device and inode of the connection.
        stream: standard error, as a rule.
    """
    named = _STREAM.fullmatch(environment.get("JOURNAL_STREAM", ""))
    if named is None:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return (status.st_dev, status.st_ino) == (int(named[1]), int(named[2]))


class JournalSocket:
    """Where the journal takes lines with fields.

    Args:
        path: of its socket.
    """

    def __init__(self, path: str = JOURNAL) -> None:
        self._path = path

    def send(self, fields: Mapping[str, str]) -> None:
        r"""Write one entry.

        Args:
            fields: `{"MESSAGE": "…", "TASK": "shop/orders"}`; values may have several lines. A value of more than
                `LONGEST_FIELD_BYTES` is cut, and ends in `… [cut, 1234567 bytes]`.

        Raises:
            ValueError: a name is not `[A-Z][A-Z0-9_]*` of at most 64 characters: the journal would drop it silently.
            OSError: the journal did not take it within a second: say it on standard error instead. Also with more
                long values than fit one datagram (`net.core.wmem_default`, 208 KiB as a rule).
        """
        _post(self._path, b"".join(_field(name, value) for name, value in fields.items()))


def _field(name: str, value: str) -> bytes:
    """One field; with its length before it where a line feed would end it."""
    if not _FIELD.fullmatch(name):
        raise ValueError(f'expected the name of a journal field such as "TASK", found "{name}"')
    data = value.encode("utf-8", "backslashreplace")
    if len(data) > LONGEST_FIELD_BYTES:
        mark = f"… [cut, {len(data)} bytes]".encode()
        data = data[: LONGEST_FIELD_BYTES - len(mark)].decode("utf-8", "ignore").encode() + mark
    if b"\n" in data:
        return b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(data)), data)
    return b"%s=%s\n" % (name.encode(), data)


def _post(address: str, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.settimeout(_PATIENCE_S)
        sender.connect(address)  # so that waiting for a full queue sleeps: sendto() would try without a pause
        sender.send(data)
