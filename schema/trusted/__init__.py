"""The documents of our own front ends, which they send by id: `widget/` and `dashboard/`, a file for each.

The id is the SHA-256 of the file's text. `manifest.json` has those that the files hold now, for the clients' build, and
`superseded.json` those that clients in the wild may still send; both are written by `./dev.sh documents`. Why: docs/adr/0026.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

FOLDER = Path(__file__).parent
CLIENTS = ("dashboard", "widget")
MANIFEST = FOLDER.joinpath("manifest.json")
SUPERSEDED = FOLDER.joinpath("superseded.json")
FORMAT = "apollo-persisted-query-manifest"
"""A form that the usual clients' tools read."""


class Trusted(msgspec.Struct, frozen=True, rename="camel"):
    """A document that may be sent by its id. `client_name` is the front end that sends it."""

    id: str
    name: str
    type: Literal["query", "mutation", "subscription"]
    body: str
    client_name: str


class Manifest(msgspec.Struct, frozen=True):
    """A file of documents."""

    operations: list[Trusted]
    format: Literal["apollo-persisted-query-manifest"] = FORMAT
    version: Literal[1] = 1


def kept(path: Path) -> list[Trusted]:
    """The documents of a manifest."""
    return msgspec.json.decode(path.read_bytes(), type=Manifest).operations


def document_id(text: str) -> str:
    """The id of a document: 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def by_id(documents: Iterable[Trusted]) -> dict[str, Trusted]:
    """The documents by their ids."""
    return {one.id: one for one in documents}


TRUSTED = by_id([*kept(SUPERSEDED), *kept(MANIFEST)])
"""Every document that may be sent by its id."""
