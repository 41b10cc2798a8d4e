"""Components as OMS has them, and the forms in which somebody may have copied what they have."""

import json
import operator
from collections.abc import Callable, Mapping
from pathlib import Path

from hypothesis import strategies as st

from reconciler.core import secrets
from reconciler.model import SECTIONS, JsonObject, Sections
from reconciler.simulator.fleet import written_by_oms
from tests import tasks
from tests.core import builders
from tests.projects import SAMPLES

NAME = "10.0.0.1-9000:connector_v2:np_4x9jimport-incr_trans-1-0:0000000006"
ADDRESS = ("--key", NAME, "--region", "default")
SENTINEL = "S3nt1nel"
POSITION = {"checkpoint": {"c-1-0": "1760000000"}}
COMPUTED = {"bridgeQueueSize": "256", "throttleMemoryBound": "8589934592"}


def _value(scheme: str, name: str) -> str:
    """What a reference of a sample may stand for."""
    return f'{SENTINEL}-{scheme}-{name} «ü» "q" ${{x}}'


def _clear(sections: Sections) -> dict[str, JsonObject]:
    content = secrets.resolve({section: dict(sections[section]) for section in SECTIONS}, _value)
    return {
        section: {key: value for key, value in content[section].items() if key != "$schema"} for section in SECTIONS
    }


def _sample(folder: Path) -> Sections:
    return {section: json.loads((folder / f"{section}.json").read_text()) for section in SECTIONS}


def present(sections: Sections) -> dict[str, JsonObject]:
    """The same with what OMS and the component write themselves."""
    ours = written_by_oms("np_4x9jimport")["coordinator"] | COMPUTED
    content = _clear(sections)
    coordinator = {**ours, **content["coordinator"], "taskIdentity": "np_4x9jimport"}
    return content | {"coordinator": coordinator, "source": content["source"] | POSITION}


EXAMPLES: Mapping[str, dict[str, JsonObject]] = {
    **{folder.name: present(_sample(folder)) for folder in sorted(SAMPLES.iterdir())},
    "whole": present(builders.WHOLE),
    "of the tests": present({name: tasks.DOCUMENTS_OF_A_TASK[name] for name in SECTIONS}),
    "written by OMS": {section: {} for section in SECTIONS} | written_by_oms("np_4x9jimport"),
    "empty": {section: {} for section in SECTIONS},
}


def conf(folder: Path, sections: Sections) -> str:
    """A copy of `conf/`, with what else lies there."""
    place = folder / "conf"
    place.mkdir(parents=True)
    for section, content in sections.items():
        (place / f"{section}.json").write_text(json.dumps(content))
    (place / "runningConf.json").write_text("{}")
    (place / "checkpoint.chk").touch()
    return str(place)


def run_directory(folder: Path, sections: Sections) -> str:
    """A copy of the whole run directory."""
    conf(folder / NAME, sections)
    return str(folder / NAME)


def document(folder: Path, sections: Sections) -> str:
    """One file with the four members."""
    return _written(folder, {**sections, "more": "of it"})


def request(folder: Path, sections: Sections) -> str:
    """The body of an update."""
    return _written(folder, {"dimension": "NAME", "key": NAME, "cmRegion": "default", "config": sections})


def running(folder: Path, sections: Sections) -> str:
    """As `runningConf.json` has it: lists are JSON text."""
    texts = {
        section: {key: json.dumps(value) if isinstance(value, list) else value for key, value in content.items()}
        for section, content in sections.items()
    }
    return _written(folder, texts)


def _written(folder: Path, content: JsonObject) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "exported.json"
    place.write_text(json.dumps(content, ensure_ascii=False))
    return str(place)


FORMS: Mapping[str, Callable[[Path, Sections], str]] = {
    form.__name__: form for form in (conf, run_directory, document, request, running)
}


# --- any component -----------------------------------------------------------------------------------------------

_texts = st.text(st.sampled_from("ab1 \"'\\/{}[]:,$=&;é«\u4e2d\U0001f600\u202e\n\t~"), max_size=12) | st.sampled_from(
    ("${", "$${x}", "${env:HOME}", "${oms:checkpoint}", '{"a": "${x}"}', "[1, 2]", "true", "")
)
_secrets = st.builds(lambda text, number: f"{SENTINEL}{number}{text}", _texts, st.integers(0, 99))
_tokens = st.builds(lambda text: f"{SENTINEL}{text}", st.text(st.sampled_from("ab@:;%=!"), max_size=6))
_whole_numbers = st.integers(-(2**53) + 1, 2**53 - 1)
_scalars = _texts | st.booleans() | _whole_numbers | st.floats(allow_nan=False, allow_infinity=False)
_names = st.sampled_from(("x1", "note", "a/b", "m~n", "ümlaut", "", "deep er"))
_secret_names = st.sampled_from(("password", "apiToken", "sasl.jaas.config", "trustStorePwd", "credentials"))
_addresses = st.one_of(
    st.builds("jdbc:oceanbase://10.0.0.21:2883?user=u@t#c&password={}&useUnicode=true".format, _tokens),
    st.builds("jdbc:mysql://u:{}@10.0.0.21:2883/shop".format, _tokens),
    st.builds("jdbc:oracle:thin:u/{}@10.0.0.21:1521/x".format, _tokens),
    st.builds('{{"ssl.password": "{}"}}'.format, _tokens),
    st.builds('required username="u" password="{}";'.format, _tokens),
)
_below_a_secret = _secrets | st.lists(_secrets, max_size=2) | st.booleans()
_values = st.recursive(
    _scalars | _addresses,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_names, inner, max_size=3)
        | st.dictionaries(_secret_names, _below_a_secret, max_size=2)
    ),
    max_leaves=8,
)
_members = st.builds(
    operator.or_,
    st.dictionaries(_names, _values, max_size=4),
    st.dictionaries(_secret_names, _secrets, max_size=2),
)
_clients = st.lists(st.fixed_dictionaries({"password": _secrets}), min_size=1, max_size=3).map(
    lambda rows: {"clients": [{"clientId": f"c{number}", **row} for number, row in enumerate(rows)]}
)
_rules = st.lists(
    st.fixed_dictionaries(
        {"name": st.text("abc${", min_size=1, max_size=4)},
        optional={"map": st.text("xyz", min_size=1), "attr": st.fixed_dictionaries({"apiToken": _secrets})},
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda rule: rule["name"],
).map(lambda rules: {"whiteCondition": rules})
_added = {
    "coordinator": _members,
    "condition": _rules,
    "source": st.builds(operator.or_, _members, _clients),
    "sink": st.builds(operator.or_, _members, st.fixed_dictionaries({"jdbcUrl": _addresses})),
}
any_component = st.fixed_dictionaries(_added).map(
    lambda added: {section: {**EXAMPLES["mysql-to-oceanbase"][section], **added[section]} for section in SECTIONS}
)
"""What a component may have: unknown keys of any value, secrets wherever one can be."""
