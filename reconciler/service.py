"""`reconciler run`: puts the daemon together, from configuration to signals, and takes it apart again."""

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import FrameType

from reconciler import __version__, feeds, logs, wiring
from reconciler.clock import SystemClock
from reconciler.config import Settings
from reconciler.daemon import Daemon, Ears, Setup, Wish
from reconciler.errors import ConfigError, StateStoreError
from reconciler.events import Event, Listener, Notice, Vitals
from reconciler.logs import LogListener, describe_exception
from reconciler.metrics import Metrics
from reconciler.notify import Notifier
from reconciler.pages import Pages
from reconciler.schedule import Schedule
from reconciler.state.sqlite import SqliteStore
from reconciler.systemd import JournalSocket, Manager, under_systemd_journal
from reconciler.webhook import PATH, Webhook

LOCK_WAIT_S = 10.0
FLUSH_S = 5.0
GOODBYE_S = 5.0
"""How long notifications may take to be sent when the daemon stops."""

_WISHES = {
    signal.SIGTERM: Wish.STOP,
    signal.SIGINT: Wish.STOP,
    signal.SIGHUP: Wish.RELOAD,
    signal.SIGUSR1: Wish.RESYNC,
}


def run(load: Callable[[], Settings]) -> None:
    """Run the daemon until a signal ends it.

    Args:
        load: reads the configuration; also when a signal asks for it to be read anew.

    Raises:
        ConfigError: the configuration is wrong.
        StateStoreError: the store cannot be opened or written.
        StoreLockedError: somebody else has the right to call OMS; names the holder.
    """
    manager = Manager.from_environment()
    settings = load()
    _set_up_logs(settings)
    with ExitStack() as stack:
        store = wiring.open_store(settings, read_only=False)
        stack.callback(store.close)
        stack.enter_context(store.writer_lock(LOCK_WAIT_S, "run"))
        _Service(load, settings, store, manager).run()


def _set_up_logs(settings: Settings) -> None:
    daemon, is_journal = settings.daemon, under_systemd_journal(os.environ, sys.stderr)
    log_format = logs.resolve_format(daemon.log_format, is_tty=sys.stderr.isatty(), is_journal=is_journal)
    send = JournalSocket().send if log_format == "journal" else None
    logs.configure(log_format, daemon.log_level, sys.stderr, send)


class _Service:
    """The daemon and everything that listens to it."""

    def __init__(self, load: Callable[[], Settings], settings: Settings, store: SqliteStore, manager: Manager) -> None:
        self._load = load
        self._store = store
        self._manager = manager
        self._clock = SystemClock()
        self._log = LogListener()
        self._metrics = Metrics(self._vitals, __version__)
        self._notifier: Notifier | None = None
        self._pages: Pages | None = None
        self._webhook = Webhook(self._push, self._tell)
        self._settings = settings
        self._started = False
        self._schedule = Schedule(
            self._schedule_failed, wall=self._clock.now, monotonic=self._clock.monotonic, random=random.random
        )
        self._daemon = Daemon(self._make, store, self._schedule, manager, self._tell, describe_exception)

    def run(self) -> None:
        """From the first look to the last."""
        self._renew_pages(self._settings)
        self._started = True
        if self._notifier is not None:
            self._notifier.start()
        self._schedule.every("log", FLUSH_S, self._log.flush)
        if self._manager.problem:
            self._tell(Notice("warning", "lifecycle", self._manager.problem))
        self._tell(Notice("info", "lifecycle", f"reconciler {__version__} runs, process {os.getpid()}"))
        try:
            with _signals(self._daemon):
                self._daemon.run()
        finally:
            self._tell(Notice("info", "lifecycle", "stopped"))
            self._log.flush()
            if self._notifier is not None:
                self._notifier.stop(GOODBYE_S)
            if self._pages is not None:
                self._pages.stop()

    def _vitals(self) -> Vitals:
        return self._daemon.vitals()

    def _push(self) -> None:
        self._daemon.push()

    # --- what depends on the configuration ---------------------------------------------------------------------------

    def _make(self, ears: Ears) -> Setup:
        """Read the configuration and make everything anew; nothing has changed when it raises.

        Raises:
            ConfigError: it is wrong, or asks for what only a restart can bring.
        """
        settings = self._load()
        if settings.state != self._settings.state:
            raise ConfigError(f"{settings.path}: state.url: another store needs a restart of the daemon")
        notifier, secret = self._new_notifier(settings), wiring.webhook_secret(settings)
        setup = self._setup(settings, ears)
        if self._started:
            self._renew_pages(settings)
        self._webhook.renew(secret)
        self._renew_notifier(notifier)
        _set_up_logs(settings)
        self._settings = settings
        for text in settings.warnings():
            self._tell_without_notifier(Notice("warning", "config", text))
        return setup

    def _new_notifier(self, settings: Settings) -> Notifier:
        say, count = self._tell_without_notifier, self._metrics.notification
        try:
            return Notifier(wiring.channels(settings), self._store, self._clock, random.random, say, count)
        except ConfigError as error:
            raise ConfigError("\n".join(f"{settings.path}: {line}" for line in str(error).split("\n"))) from None

    def _setup(self, settings: Settings, ears: Ears) -> Setup:
        fed = self._fed(settings, ears)
        return Setup(
            settings=settings,
            rules=replace(settings.policy, paced=True),
            reconciler=fed.reconciler,
            tools=wiring.tools(settings, self._store, _nobody_reads, ears.tell),
            feed=fed.feed,
        )

    def _fed(self, settings: Settings, ears: Ears) -> feeds.Fed:
        if settings.git is None:
            return feeds.of_directory(settings, self._store, ears)
        return feeds.of_commits(settings, settings.git, self._store, self._schedule, ears)

    def _renew_pages(self, settings: Settings) -> None:
        listen = settings.daemon.http_listen
        if self._started and listen == self._settings.daemon.http_listen:
            return
        pages = Pages(listen, self._vitals, self._metrics.render, {PATH: self._webhook}) if listen else None
        if pages is not None:
            pages.start()
        if self._pages is not None:
            self._pages.stop()
        self._pages = pages

    def _renew_notifier(self, notifier: Notifier) -> None:
        """Events from here on wait in the new one until the old one has sent, or given up, what it had."""
        old, self._notifier = self._notifier, notifier
        if self._started:
            threading.Thread(target=self._take_over, args=(old, notifier), name="notifier", daemon=True).start()

    def _take_over(self, old: Notifier | None, new: Notifier) -> None:
        if old is not None:
            old.stop(GOODBYE_S)
        try:
            new.start()
        except StateStoreError as error:
            self._tell_without_notifier(Notice("error", "notify", f"nobody is notified until the next reload: {error}"))

    # --- who listens -----------------------------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        self._tell_without_notifier(event)
        if self._notifier is not None:
            self._pass_on(self._notifier, event)

    def _tell_without_notifier(self, event: Event) -> None:
        self._pass_on(self._log, event)
        self._pass_on(self._metrics, event)

    def _pass_on(self, listener: Listener, event: Event) -> None:
        """What a listener does wrong never reaches the daemon or the others."""
        try:
            listener(event)
        except Exception as error:  # noqa: BLE001 - the border
            sys.stderr.write(f"a listener failed, please report it: {describe_exception(error)}\n")

    def _schedule_failed(self, name: str, error: Exception) -> None:
        self._tell(Notice("error", "defect", f"{name} failed and goes on: {describe_exception(error)}"))


def _nobody_reads(_task: str, _text: str) -> None:
    """The daemon's progress is told in events."""


@contextmanager
def _signals(daemon: Daemon) -> Iterator[None]:
    """SIGTERM drains, SIGHUP reloads, SIGUSR1 resyncs."""

    def ask(number: int, _frame: FrameType | None) -> None:
        daemon.wish(_WISHES[signal.Signals(number)])

    before = {number: signal.signal(number, ask) for number in _WISHES}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
