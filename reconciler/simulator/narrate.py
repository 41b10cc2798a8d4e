"""One readable line per call; values of keys that look secret never get into it."""

import json
import re
from collections.abc import Iterator

from reconciler.model import Json, JsonObject
from reconciler.simulator.configuration import Config

SECRET = re.compile(r"(?i)passw|pass.?phrase|pwd|secret|token|(?:access|api|private).?key|credential|sasl|jaas")
USER_INFO = re.compile(r"//[^/@]*:[^/@]*@")
WIDTH = 40  # longer values are cut
HIDDEN = "«secret»"


def changes(present: Config, sent: Config, *, allow_delete: bool) -> Iterator[str]:
    """What an update changes of a component's top-level keys, a piece of text each."""
    for section, members in sent.items():
        for key, value in members.items():
            if key not in present[section] or present[section][key] != value:
                yield f"{section}.{key}={shown(key, value)}"
    if allow_delete:
        for section, members in present.items():
            yield from (f"-{section}.{key}" for key in members if key not in sent.get(section, {}))


def shown(key: str, value: Json) -> str:
    """A value for reading: secrets hidden, lists and objects not opened, long texts cut."""
    if SECRET.search(key) or (isinstance(value, str) and (SECRET.search(value) or USER_INFO.search(value))):
        return HIDDEN
    if isinstance(value, dict):
        return "{…}"
    if isinstance(value, list):
        return f"[{len(value)}]"
    text = str(value)
    return text if len(text) <= WIDTH else text[:WIDTH] + "…"


def request(action: str, body: JsonObject) -> str:
    """Name of an action with the parameters that are neither long nor secret."""
    names = ("dimension", "key", "cmRegion", "allowDelete", "id", "reverse", "startTimestamp")
    values = {name: json.dumps(body[name]) for name in names if isinstance(body.get(name), bool)}
    values |= {name: str(body[name]) for name in names if isinstance(body.get(name), (str, int)) and name not in values}
    parts = (f"{name}={values[name]}" for name in names if name in values)
    return " ".join(" ".join([action or "(no action)", *parts]).split())
