"""What `make run` does: the simulator, and the reconciler on `desired_state/`, in the foreground until Ctrl-C.

It looks at the files once a second and runs `reconciler apply` when they changed and are quiet again. Another
directory than `desired_state/` can be named as the one argument; `.run/` is made beside it.
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
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
DESIRED = Path(sys.argv[1]).resolve() if sys.argv[1:] else ROOT / "desired_state"
RUN = DESIRED.parent / ".run"
RECONCILER = [sys.executable, "-m", "reconciler"]
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
path = "../{name}"

[policy]
new_tasks = "apply"             # the default, "hold", would wait until you adopt or force

[targets.default]
url = "http://127.0.0.1:{port}"
username = "admin"
password = "${{env:OMS_PASSWORD}}"
"""
HINT = """
Now change something in another terminal, and watch:
  a value     in desired_state/oceanbase-to-kafka/coordinator.json set throttleRps to "20000"
  a deletion  in desired_state/mysql-to-oceanbase/sink.json remove the line of printSql (allowDelete is true there)
  a mistake   break a file, or write worKerNum for workerNum: nothing is sent, the error is shown
Ask:          . .run/secrets; .venv/bin/reconciler --config .run/reconciler.toml status
Ctrl-C ends it.
"""


def main() -> int:
    """Run until Ctrl-C."""
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started it with SIGINT ignored
        signal.signal(number, _interrupt)
    port = _free_port()
    shutil.rmtree(RUN, ignore_errors=True)  # the simulator forgets everything too
    RUN.mkdir()
    (RUN / "reconciler.toml").write_text(CONFIG.format(port=port, name=DESIRED.name), encoding="utf-8")
    exports = "".join(f"export {name}={value}\n" for name, value in SAMPLE_SECRETS.items())
    (RUN / "secrets").write_text(exports, encoding="utf-8")
    environment = {**os.environ, **SAMPLE_SECRETS}
    arguments = ["simulate", "--port", str(port), "--desired-state", str(DESIRED), "--credentials", f"admin:{PASSWORD}"]
    # A session of its own, so that Ctrl-C ends the reconciler first.
    simulator = subprocess.Popen([*RECONCILER, *arguments], cwd=RUN.parent, env=environment, start_new_session=True)
    try:
        _wait_for(port, simulator)
        _follow(environment)
    except KeyboardInterrupt:
        print("\nBye.", flush=True)
    finally:
        simulator.terminate()
        simulator.wait()
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _free_port() -> int:
    """8089, as on an OMS, or any other when that is taken."""
    for port in (8089, 0):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise SystemExit("no free port on 127.0.0.1")


def _wait_for(port: int, simulator: "subprocess.Popen[bytes]") -> None:
    while simulator.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/oms/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit("the simulator did not start; its last lines above say why")


def _follow(environment: dict[str, str]) -> None:
    applied: object = None
    seen: object = None
    while True:
        now = _look()
        if now == seen and now != applied:  # changed, and quiet for one look
            first, applied = applied is None, now
            _apply(environment)
            if first:
                print(HINT, flush=True)
        seen = now
        time.sleep(1)


def _look() -> tuple[tuple[str, int, int], ...]:
    """Name, time and size of every file."""
    files = sorted(path for path in DESIRED.rglob("*.json") if path.is_file())
    return tuple((str(path), (status := path.stat()).st_mtime_ns, status.st_size) for path in files)


def _apply(environment: dict[str, str]) -> None:
    print("\n$ reconciler --config .run/reconciler.toml apply --yes", flush=True)
    arguments = ["--config", ".run/reconciler.toml", "apply", "--yes"]
    process = subprocess.Popen([*RECONCILER, *arguments], cwd=RUN.parent, env=environment, stdin=subprocess.DEVNULL)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.wait()  # Ctrl-C reached it too: it ends the call in flight and writes down how
        raise


if __name__ == "__main__":
    sys.exit(main())
