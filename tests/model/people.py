"""Customers as a shop knows them: who is open, whose address is proved, and who has become whom. Nothing of the domain."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

Telling = tuple[str, dict[str, Any]]
"""A topic and what is told."""


@dataclass(eq=False)
class ModelPerson:
    """A customer after all that has been delivered of them. None: two things came at once, and either may have been first."""

    number: int
    id: UUID
    email: str
    told_at: datetime | None = None
    is_enabled: bool | None = True
    is_verified: bool | None = False
    into: "ModelPerson | None" = None
    is_going: bool = False
    """Whether the shop has merged them into another, which may not have been delivered."""
    is_erased: bool = False

    @property
    def stands(self) -> "ModelPerson":
        """Who stands for them."""
        return self if self.into is None else self.into.stands

    @property
    def is_open(self) -> bool:
        """Whether they earn and spend."""
        return self.into is None and self.is_enabled is True and not self.is_erased

    @property
    def is_surely_closed(self) -> bool:
        """Whether they neither earn nor spend, whatever came first."""
        return self.into is not None or self.is_enabled is False or self.is_erased

    def came_to(self) -> "Iterable[ModelPerson]":
        """Those of whom they have become one, one after the other."""
        person = self
        while person.into is not None:
            person = person.into
            yield person


class People:
    """The customers of a shop, and what the shop tells of them."""

    def __init__(self, persons: Sequence[ModelPerson], since: datetime) -> None:
        self.all = list(persons)
        self.since = since
        self.by_number = {person.number: person for person in persons}
        self._seconds = itertools.count(1)
        self._jobs = itertools.count(1)

    def _instant(self) -> str:
        return (self.since + timedelta(seconds=next(self._seconds))).isoformat()

    def switched(self, person: ModelPerson, *, on: bool) -> Telling:
        """The shop closes an account, or opens it."""
        return f"customers/{'enable' if on else 'disable'}", {"id": person.number, "updated_at": self._instant()}

    def verified(self, person: ModelPerson) -> Telling:
        """Somebody proves their address, and so that they are there."""
        return "customers/update", {
            "id": person.number,
            "created_at": self.since.isoformat(),
            "updated_at": self._instant(),
            "email": person.email,
            "verified_email": True,
            "state": "enabled",
        }

    def merged(self, kept: ModelPerson, gone: ModelPerson) -> Telling:
        """The shop has made two customers one."""
        gone.is_going = True
        return "customers/merge", {
            "admin_graphql_api_customer_kept_id": f"gid://shopify/Customer/{kept.number}",
            "admin_graphql_api_customer_deleted_id": f"gid://shopify/Customer/{gone.number}",
            "admin_graphql_api_job_id": f"gid://shopify/Job/{next(self._jobs)}",
            "status": "completed",
        }

    def erased(self, person: ModelPerson, orders: Iterable[int]) -> Telling:
        """Somebody is to be forgotten, with all who have become one with them, and with what they ordered as a guest."""
        for one in self.all:
            if one is person or (person.into is None and one.stands is person):
                one.is_erased = True
        return "customers/redact", {
            "shop_id": 1,
            "shop_domain": "model.myshopify.com",
            "customer": {"id": person.number, "email": person.email},
            "orders_to_redact": list(orders),
        }

    def take_in(self, told: Sequence[Telling]) -> set[ModelPerson]:
        """What is delivered at one time, in no order. Returns those of whom it was told, and those into whom they went."""
        merges = {
            self._of(payload["admin_graphql_api_customer_deleted_id"]): self._of(payload["admin_graphql_api_customer_kept_id"])
            for topic, payload in told
            if topic == "customers/merge"
        }
        touched = {*merges, *merges.values()}
        for topic, payload in told:
            person = self.by_number.get(payload.get("id", 0))
            if person is None:
                continue
            touched.add(person)
            # What comes late of somebody who has gone, or is forgotten, changes nothing.
            if person.into is not None or person.is_erased:
                continue
            if topic == "customers/update":
                person.is_verified = person.is_verified or (None if person in merges else True)
            elif person in merges:
                person.is_enabled = None
            elif person.told_at is None or datetime.fromisoformat(payload["updated_at"]) > person.told_at:
                person.told_at, person.is_enabled = datetime.fromisoformat(payload["updated_at"]), topic == "customers/enable"
        for gone, kept in merges.items():
            gone.into = kept
        return touched

    def part(self, person: ModelPerson, *, enabled: bool) -> None:
        """A merge was undone: they stand for themselves again, as they did before."""
        assert person.is_enabled in {None, enabled}
        person.into, person.is_going, person.is_enabled = None, False, enabled

    def _of(self, global_id: str) -> ModelPerson:
        return self.by_number[int(global_id.rpartition("/")[2])]
