"""Who may import whom, as pyproject.toml says it."""

import subprocess
import sys
from pathlib import Path

from tests.house.source import ROOT


def test_the_import_rules_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "4 kept, 0 broken" in done.stdout
