"""Only what ends before the server starts; tests/e2e has the rest."""

import socket

import pytest


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--switch", "merge"], '--switch: expected NAME=VALUE, found "merge"'),
        (["--switch", "nope=1"], "unknown: nope"),
        (["--switch", "merge=sideways"], "merge: expected one of top-level, deep"),
        (["--switch", "healthy=maybe"], "healthy: expected"),
        (["--faults", "faults.json"], "kind: expected one of"),
        (["--fleet", "fleet.json"], ""),
        (["--speed", "0"], "Invalid value for '--speed'"),
        (["--port", "70000"], "Invalid value for '--port'"),
        (["--desired-state", "nowhere"], "does not exist"),
        (["--host", "203.0.113.1"], "Cannot assign requested address"),
    ],
)
def test_what_cannot_be_simulated_is_wrong_usage(reconciler, tmp_path, monkeypatch, arguments, problem):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faults.json").write_text('{"kind": "nope"}')
    (tmp_path / "fleet.json").write_text("[")
    ended = reconciler("simulate", *arguments)
    assert (ended.code, ended.out) == (64, "")
    assert problem in ended.err


def test_a_port_in_use_is_wrong_usage(reconciler):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = reconciler("simulate", "--port", str(taken.getsockname()[1]))
    assert ended.code == 64
    assert "in use" in ended.err
