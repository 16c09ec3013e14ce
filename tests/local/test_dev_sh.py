"""dev.sh, as far as it goes before there is an environment."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEV = ROOT / "dev.sh"


def run(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(DEV), *arguments], check=False, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",), ("-h",)])
def test_help(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    helped = re.findall(r"^  \./dev\.sh ([\w-]+)", done.stdout, flags=re.MULTILINE)
    dispatched = re.findall(r"^    ([a-z| -]+)\)$", DEV.read_text(), flags=re.MULTILINE)
    commands = {word for line in dispatched for word in line.split(" | ")} - {"help", "-h", "--help"}
    assert set(helped) == commands
    assert {"up", "down", "test", "check", "schema", "doctor", "demo", "verify"} <= commands


def test_an_unknown_command_is_refused() -> None:
    done = run("dance")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("There is no command 'dance'.\n")


def test_without_a_python_it_says_what_to_install(tmp_path: Path) -> None:
    copy = tmp_path / "dev.sh"
    copy.write_text(DEV.read_text())
    copy.chmod(0o755)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "env", "dirname", "cat"):
        (tools / name).symlink_to(f"/usr/bin/{name}" if Path(f"/usr/bin/{name}").exists() else f"/bin/{name}")
    done = subprocess.run([str(copy), "up"], check=False, env={"PATH": str(tools)}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr


@pytest.mark.parametrize("command", ["down", "doctor"])
def test_without_an_environment_nothing_is_made(tmp_path: Path, command: str) -> None:
    copy = tmp_path / "dev.sh"
    copy.write_text(DEV.read_text())
    copy.chmod(0o755)
    done = subprocess.run([str(copy), command], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "./dev.sh up makes it anew" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["dev.sh"]


@pytest.mark.parametrize(
    ("given", "kept"), [({}, "none, none"), ({"PYTHONDONTWRITEBYTECODE": "1"}, "none, {home}/.loyalnest/pycache")]
)
def test_modules_are_compiled_once_also_where_that_is_forbidden(tmp_path: Path, given: dict[str, str], kept: str) -> None:
    copy = tmp_path / "dev.sh"
    copy.write_text(DEV.read_text())
    copy.chmod(0o755)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "${PYTHONDONTWRITEBYTECODE-none}, ${PYTHONPYCACHEPREFIX-none}"\n')
    python.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([str(copy), "doctor"], check=False, env=environment | given, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, kept.format(home=tmp_path) + "\n", "")
