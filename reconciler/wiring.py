"""The one place that picks the adapters."""

import random
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from reconciler import resources, secret_files
from reconciler.clock import SystemClock
from reconciler.config import Settings
from reconciler.core import canonical, secrets
from reconciler.core.validation.validator import Validator
from reconciler.errors import ConfigError, SecretError, StateStoreError, TargetMisconfiguredError
from reconciler.events import Event, Listener
from reconciler.jobs import Tools
from reconciler.model import SECTIONS, Severity
from reconciler.ports import Target
from reconciler.reconcile import Reconciler
from reconciler.source import DirectorySource

if TYPE_CHECKING:
    from reconciler.notify import ChannelSettings
    from reconciler.state.sqlite import SqliteStore


def validator(literal_secrets: Severity = Severity.ERROR) -> Validator:
    """A validator with the shipped schemas and catalogue."""
    schemas = {name: resources.schema(name) for name in ("task", "reset", *SECTIONS)}
    return Validator(resources.catalogue(), schemas, literal_secrets)


def source(settings: Settings) -> DirectorySource:
    """Where the desired state is."""
    return DirectorySource(settings.desired_state)


def open_store(settings: Settings, *, read_only: bool) -> "SqliteStore":
    """The state store.

    Raises:
        StateStoreError: it cannot be opened.
    """
    from reconciler.state.sqlite import SqliteStore

    clock = SystemClock()
    return SqliteStore.open(settings.state, clock.now, digest_version=canonical.VERSION, read_only=read_only)


def open_store_for_reports(settings: Settings) -> "tuple[SqliteStore, str]":
    """The store of a command that reports even when nothing can be written; the text says so when that is so."""
    try:
        return open_store(settings, read_only=False), ""
    except StateStoreError as error:
        return open_store(
            settings, read_only=True
        ), f"the store cannot be written, so nothing could be applied: {error}"


def reconciler(
    settings: Settings, store: "SqliteStore", *, lenient: bool = False, tick: Callable[[], None] = lambda: None
) -> Reconciler:
    """What looks at desired and last-applied state; for *lenient* and *tick* see there."""
    return Reconciler(
        source(settings),
        validator(settings.literal_secrets),
        resources.catalogue(),
        store,
        secret_files.resolver(),
        SystemClock(),
        lenient=lenient,
        tick=tick,
    )


def target_factory(settings: Settings) -> Callable[[str, Collection[str]], Target]:
    """Opens targets by name; each instance belongs to one thread."""
    from reconciler.target.pace import Pace

    lookup = secret_files.resolver()
    clock = SystemClock()
    paces = {name: Pace(target.requests_per_s, clock) for name, target in settings.targets.items()}

    def open_target(name: str, hide: Collection[str]) -> Target:
        from reconciler.target.http import HttpTarget
        from reconciler.target.settings import TargetSettings

        config = settings.targets.get(name)
        if config is None:
            raise TargetMisconfiguredError(f'{settings.path}: has no target "{name}" any more')
        try:
            password = secrets.substitute(config.password, lookup)
        except (SecretError, secrets.ReferenceSyntaxError) as error:
            raise TargetMisconfiguredError(f"{settings.path}: targets.{name}.password: {error}") from None
        wanted = TargetSettings(
            name, config.url, config.username, password, config.edition, config.version, config.ca_file
        )
        return HttpTarget(wanted, hide, pace=paces[name])

    return open_target


def _nobody(_event: Event) -> None:
    """Listens to nothing."""


def tools(
    settings: Settings, store: "SqliteStore", report: Callable[[str, str], None], tell: Listener = _nobody
) -> Tools:
    """What carrying a plan out needs."""
    return Tools(
        store=store,
        open_target=target_factory(settings),
        clock=SystemClock(),
        random=random.random,
        verify_s=settings.verify_s,
        max_concurrent={name: target.max_concurrent for name, target in settings.targets.items()},
        report=report,
        tell=tell,
        stop_after={name: target.stop_after_failures for name, target in settings.targets.items()},
    )


def channels(settings: Settings) -> "tuple[ChannelSettings, ...]":
    """Where notifications go, their secrets filled in.

    Raises:
        ConfigError: a secret cannot be found.
    """
    from reconciler.notify import ChannelSettings

    lookup = secret_files.resolver()
    found = []
    for channel in settings.notify:
        try:
            url = secrets.substitute(channel.url, lookup)
        except (SecretError, secrets.ReferenceSyntaxError) as error:
            raise ConfigError(f"notify.{channel.name}.url: {error}") from None
        found.append(ChannelSettings(channel.name, url, channel.states, dict(channel.labels)))
    return tuple(found)
