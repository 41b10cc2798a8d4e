"""Reads `reconciler.toml` and its overrides in the environment, once, into frozen settings."""

import math
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconciler import resources
from reconciler.core import secrets, windows
from reconciler.core.catalogue import CREDENTIALS
from reconciler.core.policy import Mode, NewTasks, Policy
from reconciler.core.status import State
from reconciler.core.validation import suggest
from reconciler.core.validation.explain import Explainer
from reconciler.core.versions import refusal
from reconciler.errors import ConfigError
from reconciler.model import Cap, Json, JsonObject, Limits, Severity

PREFIX = "RECONCILER_"
_SQLITE = "sqlite:///"
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """One OMS server."""

    name: str
    url: str
    username: str
    password: str = field(repr=False)  # a secret reference, or the password itself
    edition: str  # "CE" | "EE"
    version: str  # "4.2.5"
    max_concurrent: int  # components from call to verified
    min_update_interval_s: float  # between two updates of one component, by the daemon; 0: off
    stop_after_failures: int  # components not healthy after an update within one hour; 0: off
    requests_per_s: float  # 0: no limit
    ca_file: str  # "" = the system's certificates


@dataclass(frozen=True, slots=True)
class GitConfig:
    """Which commit of a repository is the desired state."""

    ref: str  # a branch, a tag, a commit
    remote: str  # name or address of what is fetched; "" = nothing is
    fetch_s: float
    require_signed: bool
    allowed_signers: Path | None  # of SSH signatures; None: what git's own configuration says


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """How the daemon runs."""

    quiet_s: float  # a directory is read after it was quiet for so long
    max_wait_s: float  # and at the latest after so long
    resync_s: float
    http_listen: str  # "127.0.0.1:8484"; "" = off
    webhook_secret: str = field(repr=False)  # a secret reference, or the secret itself; "" = off
    poll_s: float  # 0: the kernel tells what changed; else how often to list the directory
    history_days: float  # 0: journal rows are kept forever
    log_format: str  # "auto" | "text" | "json" | "journal"
    log_level: str  # "debug" | "info" | "warning" | "error"


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """Where people are told."""

    name: str
    url: str = field(repr=False)  # a secret reference, or the Apprise URL itself, which holds a password or a token
    states: frozenset[State]  # of a task, to tell about
    labels: Mapping[str, str]  # that a task must have, all of them


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the configuration says and this release uses."""

    path: Path  # of the configuration file
    desired_state: Path
    git: GitConfig | None  # None: the working tree is the desired state, as it is
    state: Path  # of the database
    policy: Policy
    verify_s: float  # how long apply waits for a component to be seen healthy
    checkpoint_max_age_s: float  # how old a position may be that is filled in for ${oms:checkpoint}
    caps: tuple[Cap, ...]
    literal_secrets: Severity
    targets: Mapping[str, TargetConfig]
    daemon: DaemonConfig
    notify: tuple[ChannelConfig, ...]
    literals: tuple[str, ...] = ()  # keys of the file where a secret is written out: "targets.default.password"

    def warnings(self) -> Iterator[str]:
        """What is allowed and no good."""
        for key in self.literals:
            yield (
                f"{self.path}: {key}: a secret that is written out is known to everybody who can read the file; write"
                " ${env:NAME}, ${file:/path} or ${credential:name}"
            )


def load(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration.

    Args:
        path: of `reconciler.toml`; relative paths inside it start at its folder.
        environment: overrides named `RECONCILER_<SECTION>__<KEY>`; that of the process when None.

    Raises:
        ConfigError: with every problem found, one a line.
    """
    schema = resources.schema("reconciler")
    document = _read(path)
    written = deepcopy(document)
    problems = list(_override(document, schema, os.environ if environment is None else environment))
    _fill_defaults(document, schema)
    problems += _wrong(document, schema)
    if not problems:
        problems += _not_honoured(document)
    if problems:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems))
    return replace(_settings(path, document), literals=tuple(_literals(written)))


def _read(path: Path) -> JsonObject:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; write one, or name it with --config") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected TOML, found {error}") from None


def _member(schema: JsonObject, key: str) -> JsonObject | None:
    """The schema of a member of an object; None when it may not have that one."""
    found = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
    return found if isinstance(found, dict) else None


def _override(document: JsonObject, schema: JsonObject, environment: Mapping[str, str]) -> Iterator[str]:
    """Put `RECONCILER_SECTION__KEY` variables into the document; yields what is wrong with them."""
    single = {f"{PREFIX}{section}_{key}".upper() for section, inner in _members(schema) for key, _ in _members(inner)}
    for name in sorted(environment):
        if name in single:
            yield f"{name} in the environment: expected two underscores between section and key, found one"
        elif name.startswith(PREFIX) and "__" in name:
            yield from _put(document, schema, name, environment[name])


def _members(schema: JsonObject) -> Iterable[tuple[str, JsonObject]]:
    members: JsonObject = schema.get("properties", {})
    return members.items()


def _put(document: JsonObject, schema: JsonObject, name: str, text: str) -> Iterator[str]:
    parts = [part.lower() for part in name.removeprefix(PREFIX).split("__")]
    place: Json = document
    keys, inner = [], schema
    for part in parts:
        keys.append(_same_name(part, place))
        place = place.get(keys[-1]) if isinstance(place, dict) else None
        member = _member(inner, keys[-1])
        if member is None:
            yield f"{name} in the environment: unknown key {'.'.join(parts)}.{_suggestion(part, inner)}"
            return
        inner = member
    place = document
    for key in keys[:-1]:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            return  # no table, which is reported when the whole is checked
    place[keys[-1]] = _typed(text, inner)


def _suggestion(key: str, schema: JsonObject) -> str:
    known = sorted(schema.get("properties", {}))
    near = suggest.nearest(key, known)
    if near:
        return f' Did you mean "{near}"?'
    return f" Known here: {', '.join(known)}" if known else ""


def _same_name(part: str, place: Json) -> str:
    """The key that a part of a variable's name means: targets keep their case, and a hyphen is written `_`."""
    if not isinstance(place, dict):
        return part
    for fold in (str.lower, lambda key: key.lower().replace("-", "_")):
        for key in place:
            if fold(key) == part:
                return str(key)
    return part


def _typed(text: str, schema: JsonObject) -> Json:
    kind = schema.get("type")
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in ("integer", "number") and _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _fill_defaults(document: JsonObject, schema: JsonObject) -> None:
    for key, inner in schema.get("properties", {}).items():
        if "default" in inner:
            document.setdefault(key, inner["default"])
        elif inner.get("type") == "object":
            below = document.setdefault(key, {})
            if isinstance(below, dict):
                _fill_defaults(below, inner)
    for key, value in document.items():
        inner = _member(schema, key)
        if key not in schema.get("properties", {}) and isinstance(value, dict) and inner:
            _fill_defaults(value, inner)
        elif isinstance(value, list) and inner:
            for element in value:
                if isinstance(element, dict):
                    _fill_defaults(element, inner.get("items", {}))


def _wrong(document: JsonObject, schema: JsonObject) -> Iterator[str]:
    import jsonschema_rs

    plain = _plain(document)
    if jsonschema_rs.validator_for(schema).is_valid(plain):
        yield from _malformed_references(document)
        yield from _names_used_twice(document)
        return
    for finding in Explainer("reconciler", schema).explain(plain, _may_be_secret):
        place = ".".join(_named(finding.path, document)) or "the file"
        found = finding.found if finding.found != "null" else "a date, a time or no number"
        hint = f". {finding.suggestion}" if finding.suggestion else ""
        yield f"{place}: expected {finding.expected}, found {found}{hint}"


def _plain(value: Json) -> Json:
    """TOML as JSON: what JSON does not have becomes null, which TOML does not have."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(element) for element in value]
    is_json = isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))
    return value if is_json else None


def _named(path: tuple[str, ...], document: JsonObject) -> tuple[str, ...]:
    """A path with a channel's name in the place of its number: `notify.on-call.url`."""
    section, number, *rest = *path, "", ""
    if section != "notify" or not number or rest[:1] == ["name"]:
        return path
    channel = document["notify"][int(number)]
    name = channel.get("name") if isinstance(channel, dict) else None
    return (section, name, *path[2:]) if isinstance(name, str) else path


def _may_be_secret(path: tuple[str, ...], value: Json) -> bool:
    """Addresses may carry credentials, and those of channels are ones; passwords are known by their name."""
    if path[:1] == ("notify",) and (path[-1] == "url" or "://" in str(value)):
        return True
    return isinstance(value, str) and "@" in value


def _malformed_references(document: JsonObject) -> Iterator[str]:
    written = {f"targets.{name}.password": target["password"] for name, target in document["targets"].items()}
    written["daemon.webhook_secret"] = document["daemon"]["webhook_secret"]
    written |= {f"notify.{channel['name']}.url": channel["url"] for channel in document["notify"]}
    for place, text in written.items():
        try:
            secrets.find(text)
        except secrets.ReferenceSyntaxError:
            expected = "${env:NAME}, ${file:/path} or ${credential:name}, and $${ for a literal ${"
            yield f"{place}: expected {expected}, found something else after ${{"


def _literals(written: JsonObject) -> Iterator[str]:
    """Keys of a file whose values are secrets and no references, also where the environment overrides them.

    Of the addresses of channels those count that show it: a user with a password.
    """
    found = {f"targets.{name}.password": target.get("password") for name, target in written.get("targets", {}).items()}
    found["daemon.webhook_secret"] = written.get("daemon", {}).get("webhook_secret")
    channels = {f"notify.{channel['name']}.url": channel["url"] for channel in written.get("notify", ())}
    found |= {key: url for key, url in channels.items() if CREDENTIALS.search(url)}
    yield from (key for key, text in found.items() if text and "${" not in str(text).replace("$${", ""))


def _names_used_twice(document: JsonObject) -> Iterator[str]:
    tables = (("notify", "channel", document["notify"]), ("policy.windows", "window", document["policy"]["windows"]))
    for place, what, named in tables:
        for name, times in Counter(table["name"] for table in named).items():
            if times > 1:
                expected = f"a name that no other {what} has"
                yield f"{place}.{name}: expected {expected}, found {times} {what}s of that name"


def _not_honoured(document: Mapping[str, Any]) -> Iterator[str]:
    """What a schema cannot say, and what could not be honoured: refusing it is honest, ignoring it dangerous."""
    yield from _deaf_webhook(document)
    for window in document["policy"]["windows"]:
        for fault in windows.faults(window):
            yield f"policy.windows.{window['name']}.{fault}"


def _deaf_webhook(document: Mapping[str, Any]) -> Iterator[str]:
    """A webhook that nobody could call, or that had nothing to do."""
    if not document["daemon"]["webhook_secret"]:
        return
    if not document["daemon"]["http_listen"]:
        yield "daemon.webhook_secret: expected daemon.http_listen as well, found it turned off: nobody could call it"
    if document["desired_state"]["source"] != "git":
        yield 'daemon.webhook_secret: expected desired_state.source = "git" as well: for a directory nothing is fetched'


def _settings(path: Path, document: Mapping[str, Any]) -> Settings:
    folder = path.absolute().parent
    rules = document["policy"]
    return Settings(
        path=path,
        desired_state=_short(folder / document["desired_state"]["path"]),
        git=_git(document["desired_state"], folder),
        state=folder / document["state"]["url"].removeprefix(_SQLITE),
        policy=Policy(
            mode=Mode(rules["mode"]),
            new_tasks=NewTasks(rules["new_tasks"]),
            limits=Limits(**rules["limits"]),
            windows=tuple(windows.read(window, window["name"]) for window in rules["windows"]),
            approve_deletions=rules["approve_deletions"],
            resets={name: _no_resets(target) for name, target in document["targets"].items()},
            retention_s={name: target["log_retention_h"] * 3600.0 for name, target in document["targets"].items()},
            refused={
                name: why
                for name, target in document.get("targets", {}).items()
                if (why := refusal("UpdateIncrSync", target["edition"], target["version"]))
            },
            targets={name: target["edition"] for name, target in document.get("targets", {}).items()},
            concurrent={name: target["max_concurrent"] for name, target in document["targets"].items()},
            intervals={name: target["min_update_interval_s"] for name, target in document["targets"].items()},
            stop_after={name: target["stop_after_failures"] for name, target in document["targets"].items()},
            checkpoint_max_age_s=rules["checkpoint_max_age_s"],
        ),
        verify_s=rules["verify_s"],
        checkpoint_max_age_s=rules["checkpoint_max_age_s"],
        caps=tuple(Cap(**cap) for cap in document["fleet"]["caps"]),
        literal_secrets=Severity(rules["literal_secrets"]),
        targets={name: _target(name, target, folder) for name, target in document["targets"].items()},
        daemon=_daemon(document),
        notify=tuple(_channel(channel) for channel in document["notify"]),
    )


def _no_resets(target: Mapping[str, Any]) -> str:
    """Why no reset may be sent to a target; "" when one may."""
    if not target["allow_reset"]:
        return "allow_reset is false: resets of it are shown and never carried out"
    return refusal("ResetIncrStartTimestamp", target["edition"], target["version"]) or ""


def _git(files: Mapping[str, Any], folder: Path) -> GitConfig | None:
    if files["source"] != "git":
        return None
    signers = folder / files["allowed_signers"] if files["allowed_signers"] else None
    return GitConfig(files["ref"], files["remote"], files["fetch_s"], files["require_signed"], signers)


def _daemon(document: Mapping[str, Any]) -> DaemonConfig:
    files, rest = document["desired_state"], document["daemon"]
    return DaemonConfig(quiet_s=files["quiet_s"], max_wait_s=files["max_wait_s"], **rest)


def _channel(channel: Mapping[str, Any]) -> ChannelConfig:
    states = frozenset(State(state) for state in channel["states"])
    return ChannelConfig(channel["name"], channel["url"], states, channel["labels"])


def _short(path: Path) -> Path:
    """The same place, written from here when it lies below, so that messages stay short."""
    short = Path(os.path.relpath(path))
    return short if ".." not in short.parts and short.resolve() == path.resolve() else path


def _target(name: str, target: Mapping[str, Any], folder: Path) -> TargetConfig:
    return TargetConfig(
        name=name,
        url=target["url"],
        username=target["username"],
        password=target["password"],
        edition=target["edition"],
        version=target["version"],
        max_concurrent=target["max_concurrent"],
        min_update_interval_s=target["min_update_interval_s"],
        stop_after_failures=target["stop_after_failures"],
        requests_per_s=target["requests_per_s"],
        ca_file=str(folder / target["ca_file"]) if target["ca_file"] else "",
    )
