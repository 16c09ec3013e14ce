"""The built Wasm modules: made by shopify_functions/build.sh, which is quick when nothing changed."""

import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "target" / "functions"


@functools.cache
def build() -> None:
    """Brings the modules up to date; raises CalledProcessError with the compiler's words on failure."""
    built = subprocess.run([ROOT / "shopify_functions" / "build.sh"], capture_output=True, text=True, check=False)
    assert built.returncode == 0, f"shopify_functions/build.sh failed:\n{built.stdout}{built.stderr}"


def module_path(name: str) -> Path:
    build()
    return MODULES / f"{name}.wasm"
