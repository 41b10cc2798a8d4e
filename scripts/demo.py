"""What `make run` does: the simulator, and the daemon on `desired_state/`, in the foreground until Ctrl-C.

Another directory than `desired_state/` can be named as the one argument; `.run/demo/` is made beside it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
DESIRED = Path(sys.argv[1]).resolve() if sys.argv[1:] else ROOT / "desired_state"
RUN = DESIRED.parent / ".run" / "demo"
RECONCILER = [sys.executable, "-m", "reconciler"]
DRAIN_S = 45  # longer than the daemon lets its calls end
PASSWORD = "simulator"  # noqa: S105 - of the simulator, which is no secret
SAMPLE_SECRETS = {
    "OMS_PASSWORD": PASSWORD,
    "OMS_STORE_PASSWORD": "sample-store-password",
    "SHOP_SINK_PASSWORD": "sample-shop-password",
    "SALES_SOURCE_PASSWORD": "sample-sales-password",
    "SALES_SOURCE_SYS_PASSWORD": "sample-sales-sys-password",
    "SALES_SINK_PASSWORD": "sample-sales-copy-password",
}
CONFIG = """\
[desired_state]
path = "../../{name}"

[policy]
new_tasks = "apply"             # the default, "hold", would wait until you adopt or force

[targets.default]
url = "http://127.0.0.1:{oms}"
username = "admin"
password = "${{env:OMS_PASSWORD}}"

[daemon]
http_listen = "127.0.0.1:{pages}"
log_format = "text"
"""
HINT = """
Now change something in another terminal, and watch:
  a value     in {name}/oceanbase-to-kafka/coordinator.json set throttleRps to "20000"
  a deletion  in {name}/mysql-to-oceanbase/sink.json remove the line of printSql (allowDelete is true there)
  a mistake   break a file, or write worKerNum for workerNum: nothing is sent, the error is shown
Ask:          . .run/demo/secrets; .venv/bin/reconciler --config .run/demo/reconciler.toml status
              likewise plan, explain TASK, history; suspend TASK --reason TEXT, and resume TASK
Look:         http://127.0.0.1:{oms} (the simulator), http://127.0.0.1:{pages} (the daemon)
Ctrl-C ends it.
"""


def main() -> int:
    """Run until Ctrl-C; returns the exit code of the daemon."""
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started it with SIGINT ignored
        signal.signal(number, _interrupt)
    places = {"name": DESIRED.name, "oms": _free_port(8089), "pages": _free_port(8484)}
    _prepare(CONFIG.format(**places))
    with ExitStack() as stack:
        try:
            account = f"admin:{PASSWORD}"
            options = ["--port", str(places["oms"]), "--desired-state", str(DESIRED), "--credentials", account]
            simulator = _start(stack, "simulate", *options)
            _wait_for(f"http://127.0.0.1:{places['oms']}/oms/health", simulator)
            daemon = _start(stack, "--config", str(RUN / "reconciler.toml"), "run")
            _wait_until_idle(f"http://127.0.0.1:{places['pages']}/metrics", daemon)
            print(HINT.format(**places), flush=True)
            return daemon.wait()
        except KeyboardInterrupt:
            print("\nBye: calls under way are ended first.", flush=True)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is on its way
    return daemon.returncode


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _prepare(config: str) -> None:
    shutil.rmtree(RUN, ignore_errors=True)  # the simulator forgets everything too
    RUN.mkdir(parents=True)
    (RUN / "reconciler.toml").write_text(config, encoding="utf-8")
    exports = "".join(f"export {name}={value}\n" for name, value in SAMPLE_SECRETS.items())
    (RUN / "secrets").write_text(exports, encoding="utf-8")


def _free_port(usual: int) -> int:
    """The usual port, or any other when that is taken."""
    for port in (usual, 0):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise SystemExit("no free port on 127.0.0.1")


def _start(stack: ExitStack, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own, so that Ctrl-C does not reach it: the last one is ended first."""
    environment = {**os.environ, **SAMPLE_SECRETS}
    command = [*RECONCILER, *arguments]
    process = subprocess.Popen(
        command, cwd=DESIRED.parent, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )
    stack.callback(_end, process)
    return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(DRAIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> str:
    """Until a page is there; its text."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - of this machine
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit("it did not start; its last lines above say why")


def _wait_until_idle(url: str, daemon: "subprocess.Popen[bytes]") -> None:
    """Until every task was looked at, and what had to be sent was sent and seen healthy."""
    idle = {"reconciler_ready 1.0", "reconciler_queue_depth 0.0", "reconciler_in_flight 0.0"}
    while not idle <= set(_wait_for(url, daemon).splitlines()):
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
