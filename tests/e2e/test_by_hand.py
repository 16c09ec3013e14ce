"""What the documents show by hand: every command is typed into a shell, and what stands behind `#` comes."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from tests.conftest import ROOT
from tests.e2e.processes import PATIENCE_S, free_port, running

EXPECTED = re.compile(r"  # (?P<expected>\S.*)$")
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


def blocks(document: str) -> list[str]:
    text = (ROOT / "docs" / document).read_text()
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def local(block: str, base: str, shopify: str) -> str:
    """The block with the addresses of this test in the place of the usual ones."""
    return block.replace("http://127.0.0.1:8000", base).replace("http://127.0.0.1:9600", shopify)


@pytest.mark.parametrize(("document", "programs"), [("by-hand.md", 2), ("rewards-by-hand.md", 3)])
def test_all_that_a_document_shows(tmp_path: Path, database: str, document: str, programs: int) -> None:
    shopify = f"http://127.0.0.1:{free_port()}"
    with running() as application, closing(Terminal(tmp_path)) as terminal:
        application.environment.update(
            DATABASE_URL=database, LOYALNEST_SHOPIFY_URL=f"{shopify}/{{shop}}", LOYALNEST_PUBLIC_URL=application.url
        )
        seeded = application.seed()
        (tmp_path / ".loyalnest").mkdir()
        (tmp_path / ".loyalnest" / "demo.json").write_text(seeded)
        for module in ("api", "workers", "local.shopify_stand_in")[:programs]:
            application.start(module)
        asyncio.run(application.ready())
        if programs == 3:
            wait_for(shopify)
        prelude = blocks("by-hand.md")[0]
        assert "base=http://127.0.0.1:8000\n" in prelude
        assert terminal.type(local(prelude, application.url, shopify)) == ""
        type_all(terminal, [local(block, application.url, shopify) for block in blocks(document) if block != prelude])


def wait_for(address: str) -> None:
    """Wait until it answers."""
    began = monotonic()
    while True:
        with suppress(httpx.TransportError):
            httpx.get(address)
            return
        assert monotonic() - began < PATIENCE_S
        sleep(0.1)


def type_all(terminal: Terminal, typed: list[str]) -> None:
    """Type every command, and find everywhere what is expected."""
    seen = 0
    for block in typed:
        for command in commands(block):
            expected = EXPECTED.search(command.rpartition("\n")[2])
            said = terminal.type(command)
            if expected is not None:
                seen += 1
                began = monotonic()
                # Workers take a moment. A question can be asked again; what changes something answers at once.
                while expected["expected"] not in said and "mutation" not in command and " -d " not in command:
                    assert monotonic() - began < PATIENCE_S, (command, said)
                    said = terminal.type(command)
                assert expected["expected"] in said, (command, said)
            elif command.startswith(("hook", "curl")) and "> " not in command:
                assert json.loads(said)["status"] == "accepted", (command, said)
            else:
                assert said == "", (command, said)
    assert seen > 12
