"""`test`: everything, or what the arguments choose."""

import subprocess
import sys
from collections.abc import Mapping, Sequence

from local import servers
from local.configuration import TEST_HOME
from local.prepare import PYTHON, ROOT, tool_environment

SPREAD = ("-n", "logical", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder")
"""One process for each processor runs tests (ADR 48): a file's tests all in one of them, the files in their usual order."""


def run(arguments: Sequence[str]) -> int:
    """Run the Rust tests and then pytest; with arguments, only pytest with these. Returns the exit code.

    pytest comes last, so that its summary is the last that is printed. What tests draw by chance is the same in every run, so
    that a change passes or fails by what it changes: PROPTEST_RNG_SEED and --hypothesis-seed draw anew.
    """
    environment = {"PROPTEST_RNG_SEED": "1"} | tool_environment()
    if not arguments:
        failed = _test_rust(environment)
        if failed:
            # Stopping here keeps a failure from being hidden behind the good news of pytest.
            sys.stderr.write("The Rust tests failed, so pytest was not run.\n")
            return failed
        arguments = SPREAD
    with servers.borrowed(TEST_HOME):
        return subprocess.run([str(PYTHON), "-m", "pytest", *arguments], check=False, cwd=ROOT, env=environment).returncode


def _test_rust(environment: Mapping[str, str]) -> int:
    """Run the Rust tests, and build the Shopify functions beside them, which many of pytest's tests run."""
    command = ["cargo", "test", "--quiet", "--locked"]
    with subprocess.Popen([str(ROOT / "shopify_functions" / "build.sh")], cwd=ROOT, env=environment) as building:
        failed = subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode
        # A build that fails has said why, and each test that needs it says it again.
        building.wait()
    return failed
