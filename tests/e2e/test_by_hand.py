"""docs/by-hand.md does what it says: every command is typed into a shell, and what stands behind `#` comes."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.conftest import ROOT
from tests.e2e.processes import PATIENCE_S, running

DOCUMENT = ROOT / "docs" / "by-hand.md"
EXPECTED = re.compile(r"# (?P<expected>\S.*)$")
END = "-- said --"


class Terminal:
    """A shell that is typed into."""

    def __init__(self, folder: Path) -> None:
        self._shell = subprocess.Popen(
            ["bash"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def type(self, command: str) -> str:
        """What the command says."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{command}\necho; echo '{END}'\n")
        self._shell.stdin.flush()
        said: list[str] = []
        for line in self._shell.stdout:
            if line.rstrip("\n") == END:
                break
            said.append(line)
        return "".join(said).strip()

    def close(self) -> None:
        """End it."""
        self._shell.kill()
        self._shell.wait()


def commands(block: str) -> Iterator[str]:
    """The block's commands: as many lines as make one that a shell can read."""
    lines: list[str] = []
    for line in block.splitlines():
        lines.append(line)
        command = "\n".join(lines)
        read = subprocess.run(["bash", "-n"], input=command, text=True, check=False, capture_output=True)
        if read.returncode == 0 and not line.endswith("\\"):
            yield command
            lines = []
    assert lines == []


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def terminal(tmp_path: Path, database: str) -> Iterator[Terminal]:
    """A shell beside a running demo of which the first block has been typed."""
    with running() as application:
        application.environment["DATABASE_URL"] = database
        seeded = application.seed()
        (tmp_path / ".loyalnest").mkdir()
        (tmp_path / ".loyalnest" / "demo.json").write_text(seeded)
        application.start("api")
        application.start("workers")
        asyncio.run(application.ready())
        shell = Terminal(tmp_path)
        address = json.loads(seeded)["graphql_url"].removesuffix("/graphql")
        prelude = blocks()[0]
        assert "base=http://127.0.0.1:8000\n" in prelude
        assert shell.type(prelude.replace("http://127.0.0.1:8000", address)) == ""
        yield shell
        shell.close()


def test_all_that_the_document_shows(terminal: Terminal) -> None:
    seen = 0
    for block in blocks()[1:]:
        for command in commands(block):
            expected = EXPECTED.search(command.rpartition("\n")[2])
            said = terminal.type(command)
            if expected is not None:
                seen += 1
                began = monotonic()
                # Workers take a moment. A question can be asked again; what changes something answers at once.
                while expected["expected"] not in said and "mutation" not in command:
                    assert monotonic() - began < PATIENCE_S, (command, said)
                    said = terminal.type(command)
                assert expected["expected"] in said, (command, said)
            elif command.startswith(("hook", "curl")):
                assert json.loads(said)["status"] == "accepted", (command, said)
            else:
                assert said == "", (command, said)
    assert seen > 15
