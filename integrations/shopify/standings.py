"""Tells checkout how customers stand: their `$app:loyalty` metafields, 25 a call, compare-and-set; who was erased has none."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from domain.rewards.standings import Wanted
from domain.scope import Scope
from integrations.shopify.client import Shopify
from integrations.shopify.errors import Refused

STALE = frozenset({"STALE_OBJECT", "INVALID_COMPARE_DIGEST"})


class _Told(msgspec.Struct, order=True):
    """What of a metafield tells which of two is newer, in this order."""

    turns: int = 0
    account_version: int = -1
    membership_revision: int = 0


Done = tuple[UUID, int, str | None]
"""A customer, the change up to which checkout was told, and Shopify's digest of it, or None when nothing is there."""


async def write(shopify: Shopify, scope: Scope, wanted: Sequence[Wanted]) -> list[Done]:
    """Write what is wanted, and delete what nobody may know any more; returns what was done for those whom Shopify knows.

    Nothing older replaces anything newer: the digest is that of what we last saw, and where another has written since, what
    Shopify has is read first. Raises Refused when it is changed again and again in between.
    """
    told = [one for one in wanted if one.value is not None]
    erased = [one for one in wanted if one.value is None]
    done = await _delete(shopify, scope, erased) if erased else []
    if not told:
        return done
    known = {one.customer_id: one.digest for one in told}
    try:
        return done + await _set(shopify, scope, told, known)
    except Refused as error:
        if error.code not in STALE | {"INVALID"}:
            raise
    return done + await _again(shopify, scope, told)


async def _delete(shopify: Shopify, scope: Scope, erased: Sequence[Wanted]) -> list[Done]:
    """Delete what Shopify still has of these. It has erased them too by then, or does so soon."""
    there = await _read(shopify, scope, erased)
    left = [{"ownerId": gid, "namespace": "$app", "key": "loyalty"} for gid, loyalty in there.items() if loyalty is not None]
    if left:
        await shopify.call(scope, "LoyaltyDelete", metafields=left)
    return [(one.customer_id, one.wanted, None) for one in erased]


async def _read(shopify: Shopify, scope: Scope, wanted: Sequence[Wanted]) -> dict[str, Any]:
    """What Shopify has of those whom it knows."""
    nodes = await shopify.call(scope, "LoyaltyRead", ids=[_gid(one) for one in wanted])
    return {node["id"]: node["loyalty"] for node in nodes if node}


async def _again(shopify: Shopify, scope: Scope, wanted: Sequence[Wanted]) -> list[Done]:
    """Read what Shopify has, leave out what is newer there and whom it does not know, and write the rest."""
    at_shopify = await _read(shopify, scope, wanted)
    done: list[Done] = []
    rest: list[Wanted] = []
    for one in wanted:
        if _gid(one) not in at_shopify:
            continue
        there = at_shopify[_gid(one)]
        if there is not None and _version(there["value"]) > _version(one.value or ""):
            done.append((one.customer_id, one.wanted, there["compareDigest"]))
        else:
            rest.append(one)
    digests: dict[UUID, str | None] = {}
    for one in rest:
        there = at_shopify[_gid(one)]
        digests[one.customer_id] = None if there is None else there["compareDigest"]
    return done + (await _set(shopify, scope, rest, digests) if rest else [])


async def _set(shopify: Shopify, scope: Scope, wanted: Sequence[Wanted], digests: dict[UUID, str | None]) -> list[Done]:
    metafields = [
        {
            "ownerId": _gid(one),
            "namespace": "$app",
            "key": "loyalty",
            "type": "json",
            "value": one.value,
            "compareDigest": digests[one.customer_id],
        }
        for one in wanted
    ]
    answer = await shopify.call(scope, "LoyaltySet", metafields=metafields)
    written = {one["owner"]["id"]: one["compareDigest"] for one in answer["metafields"]}
    return [(one.customer_id, one.wanted, written[_gid(one)]) for one in wanted]


def _gid(one: Wanted) -> str:
    return f"gid://shopify/Customer/{one.shopify_id}"


def _version(value: str) -> _Told:
    try:
        return msgspec.json.decode(value, type=_Told)
    except msgspec.DecodeError:
        # Somebody else has written there, which is no version of ours.
        return _Told()
