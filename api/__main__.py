"""One API process: `python -m api`."""

import warnings

import uvicorn

from domain.settings import settings

FRAME_MAX = 64 * 1024


def main() -> None:
    """Serve on the configured port until SIGTERM or SIGINT."""
    # uvicorn's newer implementation is not measured here yet with peers that do not read; until then the proven one stays.
    warnings.filterwarnings("ignore", message="The `websockets` implementation is deprecated")
    uvicorn.run(
        "api.app:app",
        host="127.0.0.1" if settings().environment == "development" else "0.0.0.0",  # noqa: S104 -- behind a balancer
        port=settings().port,
        ws="websockets",
        ws_max_size=FRAME_MAX,
        log_config=None,
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
