"""What `up`, `down` and the other commands know of a LoyalNest that runs.

Nothing here imports the application, so that it can be stopped and examined when it cannot even be imported.
"""

import fcntl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from local import servers
from local.configuration import LOGS, TEST_HOME
from local.errors import LocalError
from local.liveness import wait_until_gone
from local.prepare import HOME, PYTHON, ROOT
from local.screen import say, show_ready
from local.state import end_leftovers, find, read_state

DEFAULT_PORT = 8000
READY_TIMEOUT_SECONDS = 90
STOP_TIMEOUT_SECONDS = 60


def up_detached(port: int | None) -> None:
    """Start everything in the background, and return when the API answers. Raises LocalError when it does not."""
    with supervisor_lock() as free:
        if not free:
            show_running(port)
            return
    log = LOGS / "up.log"
    command = [str(PYTHON), "-m", "local", "up"]
    command += [] if port is None else ["--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    _wait_until_ready(process, log)


def down() -> None:
    """Stop everything, the servers of the tests too. The data stays."""
    stopped: list[str] = []
    state = read_state()
    supervisor = find(state.supervisor) if state is not None else None
    if supervisor is not None:
        # Once it has ended its programs it stops the servers too.
        stopped += ["the API", "the workers", *servers.running(HOME)]
        supervisor.terminate()
        if wait_until_gone([supervisor], STOP_TIMEOUT_SECONDS):
            supervisor.kill()
    stopped += end_leftovers()
    stopped += servers.stop(HOME)
    stopped += [f"{name} of the tests" for name in servers.stop(TEST_HOME)]
    say(f"stopped {', '.join(dict.fromkeys(stopped))}" if stopped else "nothing was running")


@contextmanager
def supervisor_lock() -> Iterator[bool]:
    """Whether nobody else supervises. The lock is the truth about that: a killed holder holds nothing."""
    with (HOME / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def show_running(port: int | None) -> None:
    """Show the LoyalNest that runs already. Raises LocalError when it is at another port than the wanted one."""
    state = read_state()
    if state is not None and port is not None and not state.base_url.endswith(f":{port}"):
        raise LocalError(f"LoyalNest runs already, at {state.base_url}. Stop it by ./dev.sh down to change the port.")
    say("LoyalNest runs already")
    _wait_until_ready(None, LOGS / "up.log")


def _wait_until_ready(process: subprocess.Popen[bytes] | None, log: Path) -> None:
    """Wait for the supervisor, perhaps `process`, to say that the API answers; then show where everything is."""
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        state = read_state()
        if state is not None and state.ready and find(state.supervisor) is not None:
            show_ready(state.base_url, in_foreground=False)
            return
        # An exit code of 0 means that it found another supervisor at work.
        if process is not None and process.poll():
            raise LocalError(log.read_text(errors="replace").strip()[-3000:])
        time.sleep(0.05)
    raise LocalError(f"LoyalNest did not answer within {READY_TIMEOUT_SECONDS} s. See {LOGS}; ./dev.sh down ends it.")


def answers(url: str) -> bool:
    """Whether the address answers with success."""
    try:
        # No proxy: the address is this machine's own.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as response:
            return response.status == 200
    except (OSError, HTTPException, urllib.error.URLError):
        return False
