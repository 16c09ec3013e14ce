"""`test`: everything, or what the arguments choose."""

import subprocess
import sys
from collections.abc import Sequence

from local import servers
from local.configuration import TEST_HOME
from local.prepare import PYTHON, ROOT, tool_environment


def run(arguments: Sequence[str]) -> int:
    """Run the Rust tests and then pytest; with arguments, only pytest with these. Returns the exit code.

    pytest comes last, so that its summary is the last that is printed. What tests draw by chance is the same in every run, so
    that a change passes or fails by what it changes: PROPTEST_RNG_SEED and --hypothesis-seed draw anew.
    """
    environment = {"PROPTEST_RNG_SEED": "1"} | tool_environment()
    if not arguments:
        failed = subprocess.run(["cargo", "test", "--quiet", "--locked"], check=False, cwd=ROOT, env=environment).returncode
        if failed:
            # Stopping here keeps a failure from being hidden behind the good news of pytest.
            sys.stderr.write("The Rust tests failed, so pytest was not run.\n")
            return failed
    with servers.borrowed(TEST_HOME):
        return subprocess.run([str(PYTHON), "-m", "pytest", *arguments], check=False, cwd=ROOT, env=environment).returncode
