import pytest

from reconciler.simulator.configuration import complete
from reconciler.simulator.narrate import changes, request, shown

PRESENT = complete({"sink": {"workerNum": "8", "batchSize": "5"}, "source": {"dbType": "MYSQL"}})


def test_only_differences_are_told():
    sent = {"sink": {"workerNum": "8", "batchSize": "6", "new": "x"}}
    assert list(changes(PRESENT, sent, allow_delete=False)) == ["sink.batchSize=6", "sink.new=x"]


def test_removed_keys_are_told_with_allow_delete():
    sent = {"sink": {"workerNum": "8"}}
    assert list(changes(PRESENT, sent, allow_delete=True)) == ["-source.dbType", "-sink.batchSize"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("password", "x"),
        ("sslAccessKey", "x"),
        ("jaasConfig", "x"),
        ("jdbcUrl", "jdbc:mysql://h/?password=x"),
        ("url", "http://u:x@h/"),
    ],
)
def test_secrets_are_hidden(key, value):
    assert shown(key, value) == "«secret»"


@pytest.mark.parametrize(
    ("value", "text"), [({"password": "x"}, "{…}"), (["x", "y"], "[2]"), ("8", "8"), ("x" * 50, "x" * 40 + "…")]
)
def test_values_are_short(value, text):
    assert shown("key", value) == text


def test_a_request_is_one_line_without_its_configuration():
    body = {"dimension": "NAME", "key": "a\nb", "allowDelete": True, "config": {"sink": {}}, "startTimestamp": 5}
    assert request("UpdateIncrSync", body) == "UpdateIncrSync dimension=NAME key=a b allowDelete=true startTimestamp=5"
    assert request("", {}) == "(no action)"
