"""GraphiQL in development, from our own files: no page of ours loads code from elsewhere."""

from pathlib import Path
from typing import Any

from litestar import MediaType, Response, get
from litestar.static_files import create_static_files_router  # pyright: ignore[reportUnknownVariableType] -- untyped callbacks

ASSETS = Path(__file__).parent / "playground_assets"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@get("/graphql", media_type=MediaType.HTML)
async def playground() -> Response[str]:
    """The page."""
    return Response((ASSETS / "index.html").read_text(), headers={"content-security-policy": POLICY})


def playground_routes() -> tuple[Any, ...]:
    """The page and its files."""
    files = create_static_files_router(path="/graphql/assets", directories=[ASSETS], name="playground")
    return playground, files
