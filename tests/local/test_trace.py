"""`./dev.sh trace`: from a request's id to what became of it."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from domain import merchants
from local.trace import story
from tests.shop import Shop, order


@pytest.fixture
def alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were no other merchants: some of other tests are sealed under master keys that are gone."""

    async def only() -> list[UUID]:
        return [shop.merchant.id]

    monkeypatch.setattr(merchants, "every_id", only)


async def test_a_delivery_is_followed_from_the_log_into_the_database(shop: Shop, tmp_path: Path) -> None:
    response = await shop.webhook("orders/create", order(4_711), webhook_id="delivery-1")
    request_id = response.headers["x-request-id"]
    (tmp_path / "api.log").write_text(
        f'{{"event": "other", "request_id": "{uuid4()}"}}\n'
        f'{{"event": "webhook.taken", "request_id": "{request_id}", "merchant_id": "{shop.merchant.id}"}}\n'
    )
    logged, delivery = await story(tmp_path, request_id)
    assert logged.startswith('api  {"event": "webhook.taken"')
    assert delivery.endswith("delivery delivery-1 of orders/create: pending after 0 attempts")
    await shop.work()
    assert (await story(tmp_path, request_id))[1].endswith("done after 1 attempts")


@pytest.mark.usefixtures("alone")
async def test_a_change_is_found_without_any_log(shop: Shop, tmp_path: Path) -> None:
    made = await shop.ask('mutation { apiKeyCreate(name: "x", scopes: [READ]) { apiKey { id } } }')
    key = made["data"]["apiKeyCreate"]["apiKey"]["id"]
    [entry] = (await shop.data("{ auditEntries(first: 1) { nodes { requestId } } }"))["auditEntries"]["nodes"]
    [told] = await story(tmp_path, entry["requestId"])
    assert told.endswith(f"staff:90210 did api_key.created to {key}")


@pytest.mark.usefixtures("alone")
async def test_of_what_never_was_nothing_is_known(shop: Shop, tmp_path: Path) -> None:
    await shop.customer()
    assert await story(tmp_path, str(uuid4())) == []
