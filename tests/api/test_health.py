"""Health, and the page for people: served in development, from our own files, and nowhere else."""

import re

import httpx
import pytest
from litestar import Litestar

from api import app as app_module
from api.playground import ASSETS
from domain import db
from domain.settings import settings


def client(application: object) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=application)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://loyalnest.test")


async def test_the_process_says_that_it_lives(application: object) -> None:
    async with client(application) as http:
        response = await http.get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "live"})
    assert response.headers["x-request-id"]


async def test_the_process_says_that_it_can_serve(application: object) -> None:
    async with client(application) as http:
        response = await http.get("/health/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize("error", [OSError("refused"), ConnectionResetError()])
async def test_without_postgresql_the_process_lives_and_is_not_ready(
    application: object, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def away() -> None:
        raise error

    monkeypatch.setattr(db, "reference", away)
    async with client(application) as http:
        ready, live = await http.get("/health/ready"), await http.get("/health/live")
    assert (ready.status_code, ready.json()) == (503, {"status": "no database"})
    assert live.status_code == 200


async def test_the_page_comes_from_our_own_files(application: object) -> None:
    async with client(application) as http:
        page = await http.get("/graphql")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        loaded = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)""", page.text)
        files = [one for one in loaded if one.startswith("/graphql/assets/")]
        assert len(files) >= 4
        assert [one for one in loaded if one not in files] == ["data:,"], "the empty icon, so that none is asked for"
        for one in files:
            assert (await http.get(one)).status_code == 200, one
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy.replace("https:", "http:")


async def test_the_files_are_only_those(application: object) -> None:
    async with client(application) as http:
        for path in ("../playground.py", "%2e%2e/playground.py", "..%2fplayground.py", "nothing.js", ""):
            response = await http.get(f"/graphql/assets/{path}")
            assert response.status_code in (404, 405), path
            assert "import" not in response.text
    assert {path.name for path in ASSETS.iterdir()} >= {"index.html", "playground.js"}


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> Litestar:
    """The application as production makes it; it is asked nothing here that needs the database."""
    configured = settings().model_copy(update={"environment": "production"})
    monkeypatch.setattr(app_module, "settings", lambda: configured)
    monkeypatch.setattr(app_module, "configure", lambda **_: None)
    return app_module.create_app()


async def test_there_is_no_page_in_production(production: Litestar) -> None:
    async with client(production) as http:
        page = await http.get("/graphql")
        asset = await http.get("/graphql/assets/index.html")
        live = await http.get("/health/live")
    assert (page.status_code, asset.status_code, live.status_code) == (405, 404, 200)
    assert page.json()["errors"][0]["extensions"]["code"] == "BAD_INPUT"
