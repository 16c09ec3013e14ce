"""What the processes on this machine read from their environment, and the files in `.loyalnest/`."""

import base64
import json
import os
import secrets
from pathlib import Path

from local.errors import LocalError
from local.prepare import HOME
from local.servers import Servers

SECRETS = HOME / "secrets.json"
DEMO = HOME / "demo.json"
LOGS = HOME / "logs"
TEST_HOME = HOME / "test"
STAND_IN_PORT = 9600


def environment(servers: Servers, port: int) -> dict[str, str]:
    """All variables for the API and the workers. What the user has set already, wins."""
    return {
        "LOYALNEST_ENVIRONMENT": "development",
        # Whoever tries the API out has questions of their own.
        "LOYALNEST_DOCUMENTS": "any",
        # The demo's shops are ours alone: what is said to Shopify on this machine never leaves it (./dev.sh shopify).
        "LOYALNEST_SHOPIFY_URL": f"http://127.0.0.1:{STAND_IN_PORT}/{{shop}}",
        "LOYALNEST_PUBLIC_URL": f"http://127.0.0.1:{port}",
        **_secrets(),
        **os.environ,
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "LOYALNEST_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }


def _secrets() -> dict[str, str]:
    """The secrets of this machine, made at the first call. Losing the file makes sealed data unreadable."""
    if SECRETS.exists():
        try:
            return {str(name): str(value) for name, value in json.loads(SECRETS.read_text()).items()}
        except (ValueError, AttributeError) as error:
            raise LocalError(f"{SECRETS} is damaged ({error}). Move {HOME} away to start anew.") from error
    made = {
        "LOYALNEST_TOKEN_SECRET": secrets.token_urlsafe(48),
        "LOYALNEST_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "LOYALNEST_SHOPIFY_CLIENT_ID": secrets.token_hex(16),
        "LOYALNEST_SHOPIFY_CLIENT_SECRET": f"shpss_{secrets.token_hex(16)}",
    }
    write_private(SECRETS, made)
    return made


def write_private(path: Path, content: object) -> None:
    """Write a JSON file that only its owner can read; whole, or not at all."""
    draft = path.with_name(f"{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    draft.replace(path)
