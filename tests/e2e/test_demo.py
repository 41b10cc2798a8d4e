"""`scripts/demo.py`, which `make run` starts, on a copy of the samples."""

import json
import os
import queue
import re
import signal
import sys
import threading

import httpx
import pytest

from tests.projects import KAFKA, MYSQL, ORACLE, ROOT, SAMPLES, Project, lay_out


class Demo:
    """The running demonstration: its lines as they come, and the simulator it started."""

    def __init__(self, process):
        self.process, self.seen, self._lines, self.url = process, [], queue.Queue(), ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, pattern):
        """The lines up to one that matches."""
        lines = []
        while True:
            line = self._lines.get(timeout=30)
            assert line is not None, "".join(self.seen)
            lines.append(line)
            self.seen.append(line)
            if found := re.search(r"listening on (\S+)", line):
                self.url = found[1]
            if re.search(pattern, line):
                return "".join(lines)

    def ask(self, path, body=None):
        address = f"{self.url}/simulator/{path}"
        answer = httpx.get(address, timeout=5) if body is None else httpx.post(address, json=body, timeout=5)
        return answer.json()

    def updates(self):
        return self.ask("calls?action=UpdateIncrSync")


@pytest.fixture
def begin(tmp_path, start):
    """Starts it on the tasks of `tmp_path`, with components that restart quickly."""

    def begun():
        script = [sys.executable, str(ROOT / "scripts" / "demo.py"), str(tmp_path / "desired_state")]
        demo = Demo(start(cwd=tmp_path, program=lambda: script, stderr=-2))
        demo.wait_for("listening on")
        demo.ask("timing", {"queue_s": 0, "stop_s": 0.1, "start_s": 0.1})
        return demo

    return begun


@pytest.fixture
def project(tmp_path):
    return Project(lay_out(tmp_path), "", None, None)


def test_the_demonstration_does_what_it_promises(begin, project):
    demo = begin()
    first = demo.wait_for("Ctrl-C ends it")
    for task in (MYSQL, KAFKA, ORACLE):
        assert re.search(rf"{task}: update was accepted .*ticket=\d", first)
        assert f"{task} is synced" in first
    assert len(demo.updates()) == 3

    project.edit(KAFKA, "coordinator", throttleRps="20000")
    assert re.search(r"update was accepted .*ticket=\d", demo.wait_for(f"{KAFKA} is synced"))
    assert demo.updates()[3]["body"]["config"]["coordinator"]["throttleRps"] == "20000"

    project.edit(MYSQL, "sink", "printSql")
    assert f"{MYSQL}: update+delete was accepted" in demo.wait_for(f"{MYSQL} is synced")
    assert demo.updates()[4]["body"]["allowDelete"] is True
    assert "printSql" not in demo.updates()[4]["body"]["config"]["sink"]

    project.edit(KAFKA, "sink", worKerNum="13")
    assert 'found "worKerNum"' in demo.wait_for(f"{KAFKA} is invalid")
    assert len(demo.updates()) == 5

    demo.process.send_signal(signal.SIGINT)
    demo.wait_for("Bye")
    demo.wait_for("stopped")  # the daemon, before
    demo.wait_for("stopping")  # the simulator
    assert demo.process.wait(timeout=10) == 0
    with pytest.raises(httpx.ConnectError):
        demo.ask("state")


def test_the_demonstration_ends_when_the_daemon_does(begin, project):
    project.keep(KAFKA)
    demo = begin()
    pid = re.search(r"process (\d+)", demo.wait_for(r"reconciler .* runs, process"))[1]
    demo.wait_for("Ctrl-C ends it")
    os.kill(int(pid), signal.SIGTERM)
    demo.wait_for("stopped")
    assert demo.process.wait(timeout=10) == 0


def test_the_hints_of_the_demonstration_fit_the_samples():
    text = (ROOT / "scripts" / "demo.py").read_text()
    assert "printSql" in text
    assert "printSql" in (SAMPLES / MYSQL / "sink.json").read_text()
    assert json.loads((SAMPLES / MYSQL / "task.json").read_text())["allowDelete"] is True
    assert "throttleRps" in json.loads((SAMPLES / KAFKA / "coordinator.json").read_text())
