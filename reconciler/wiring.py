"""The one place that picks the adapters."""

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler import resources, secret_files
from reconciler.clock import SystemClock
from reconciler.config import GitConfig, Settings
from reconciler.core import canonical, secrets
from reconciler.core.render.text import matters
from reconciler.core.validation.validator import Validator
from reconciler.errors import (
    ConfigError,
    DesiredStateError,
    SecretError,
    StateStoreError,
    TargetMisconfiguredError,
)
from reconciler.events import Event, Listener
from reconciler.jobs import Tools, no_history
from reconciler.model import NO_ORIGINS, SECTIONS, Commit, Item, Origins, Plan, ResetEntry, ResetKey, Severity
from reconciler.ports import Source, StateStore, Target
from reconciler.reconcile import Reconciler
from reconciler.source import DirectorySource

if TYPE_CHECKING:
    from reconciler.git.follow import GitSource
    from reconciler.git.settings import GitSettings
    from reconciler.notify import ChannelSettings
    from reconciler.state.sqlite import SqliteStore

_MOST_TASKS = 1_000
"""Tasks of a plan whose commits are looked up: more than anybody reads."""


def validator(literal_secrets: Severity = Severity.ERROR) -> Validator:
    """A validator with the shipped schemas and catalogue."""
    schemas = {name: resources.schema(name) for name in ("task", "reset", *SECTIONS)}
    return Validator(resources.catalogue(), schemas, literal_secrets)


def source(settings: Settings, store: "StateStore | None" = None) -> Source:
    """Where the desired state is: a directory, or the newest commit of a repository that may be followed.

    Args:
        settings: the configuration.
        store: knows which commit was followed last; without it the newest one is taken whatever came before.

    Raises:
        DesiredStateError: there is no such repository or commit.
    """
    if settings.git is None:
        return DirectorySource(settings.desired_state)
    return commits(settings, store, edits=True)


def commits(
    settings: Settings,
    store: "StateStore | None" = None,
    *,
    edits: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> "GitSource":
    """The repository, at the newest commit that may be followed.

    Args:
        settings: see `source`.
        store: likewise.
        edits: whether its remarks tell of files that are not committed, each time it advances.
        tick: called for every task that a new commit changed.

    Raises:
        DesiredStateError: there is no such repository or commit.
        ConfigError: the desired state is not read from git.
    """
    from reconciler.git.follow import GitSource
    from reconciler.git.repository import Repository

    if settings.git is None:
        raise ConfigError(f'{settings.path}: desired_state.source: expected "git" for this, found "directory"')
    repository, last = Repository.discover(settings.desired_state), store.head if store else None
    found = GitSource(repository, git_settings(settings.git), last, uncommitted=edits, tick=tick)
    found.advance()
    return found


def edits(settings: Settings, revision: str) -> tuple[str, ...]:
    """What to say of edits that are not committed; nothing where another commit than this is checked out.

    Beside a daemon, which does not look for them: whoever asks why an edit does nothing has to hear of it.
    """
    if settings.git is None:
        return ()
    from reconciler.git import edits as git_edits
    from reconciler.git.program import Git
    from reconciler.git.repository import Repository

    try:
        repository = Repository.discover(settings.desired_state)
    except DesiredStateError:  # that is for the daemon to say
        return ()
    return tuple(git_edits.remarks(repository, Git(repository), revision))


def git_settings(config: GitConfig) -> "GitSettings":
    """What the git adapter has to know of the configuration."""
    from reconciler.git.settings import GitSettings

    return GitSettings(config.ref, config.remote, config.require_signed, config.allowed_signers)


def origins(source: Source, plan: Plan) -> Origins:
    """Which commits a plan's changes come from; none where the desired state is a plain directory.

    The repository is opened anew, because one that is open belongs to its thread. A plan is not less true when its
    history cannot be told: the remark then says why.
    """
    wanted: dict[str, list[str]] = {}
    for item in filter(matters, plan.items if source.revision else ()):
        wanted.setdefault(item.task, []).extend(change.path for change in item.changes)
    if not wanted:
        return NO_ORIGINS
    from reconciler.git.origins import find
    from reconciler.git.repository import Repository

    some = dict(islice(wanted.items(), _MOST_TASKS))
    try:
        found = find(Repository.discover(Path(source.root)), source.revision, some)
    except DesiredStateError as error:
        return Origins(remark=f"who changed what is not known: {error}")
    if len(some) == len(wanted):
        return found
    remark = f"who changed what was looked up for the first {len(some):,} of {len(wanted):,} tasks only"
    return replace(found, remark="; ".join(filter(None, (remark, found.remark))))


def last_commits(settings: Settings) -> Callable[[str, str], Commit | None]:
    """Tells who touched a task last, for the journal; asked by all threads that call a target."""
    if settings.git is None:
        return no_history
    from reconciler.git.origins import LastCommits
    from reconciler.git.repository import Repository

    return LastCommits(lambda: Repository.discover(settings.desired_state)).find


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
    settings: Settings,
    store: "SqliteStore",
    files: Source | None = None,
    *,
    lenient: bool = False,
    whole: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> Reconciler:
    """What looks at desired and last-applied state; *files* are opened when not given. For the others see there.

    With *whole* its plans remark on what is wrong with several tasks together: the daemon spares itself the effort.
    """
    return Reconciler(
        files or source(settings, store),
        validator(settings.literal_secrets),
        resources.catalogue(),
        store,
        secret_files.resolver(),
        SystemClock(),
        lenient=lenient,
        caps=settings.caps if whole else None,
        tick=tick,
    )


LOOK_S = 5.0
"""How long a server may be silent when it is asked for the sake of a report only."""


def with_outlook(
    settings: Settings, items: Iterable[Item], hide: Collection[str], ledger: Mapping[ResetKey, ResetEntry]
) -> tuple[Item, ...]:
    """Items of a plan, the resets among them with how far they move their links; see `reconciler.outlook`."""
    found = tuple(items)
    if not any(item.outlook for item in found):
        return found
    from reconciler.outlook import with_outlook as looked_up

    return looked_up(found, target_factory(settings, read_s=LOOK_S), hide, ledger)


def target_factory(settings: Settings, *, read_s: float = 60.0) -> Callable[[str, Collection[str]], Target]:
    """Opens targets by name; each instance belongs to one thread.

    Args:
        settings: the configuration.
        read_s: longest silence of a server, seconds.
    """
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
            name, config.url, config.username, password, config.edition, config.version, config.ca_file, read_s=read_s
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
        origin=last_commits(settings),
        windows=settings.policy.windows,
        checkpoint_max_age_s=settings.checkpoint_max_age_s,
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


def webhook_secret(settings: Settings) -> str:
    """What a code host signs with; "" when there is no webhook.

    Raises:
        ConfigError: it cannot be found.
    """
    try:
        return secrets.substitute(settings.daemon.webhook_secret, secret_files.resolver())
    except (SecretError, secrets.ReferenceSyntaxError) as error:
        raise ConfigError(f"{settings.path}: daemon.webhook_secret: {error}") from None
