"""What is to be run: a document that the caller sends, or one of our front ends' that the caller names by its id."""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.connection import ASGIConnection

from api.auth import Caller
from api.process import process_of
from domain.errors import Code, DomainError
from domain.scope import Door
from schema.trusted import TRUSTED, document_id

ID_PREFIX = "sha256:"
"""How the GraphQL-over-HTTP specification begins the ids that are hashes."""


class PersistedQuery(msgspec.Struct, rename="camel"):
    """A document's id, as Apollo's clients send it."""

    sha256_hash: str
    version: int = 1


class Extensions(msgspec.Struct, rename="camel"):
    """What is read of a request's extensions."""

    persisted_query: PersistedQuery | None = None


class Asked(msgspec.Struct, rename="camel"):
    """A request for one operation, by the GraphQL-over-HTTP specification; over a socket, the payload of `subscribe`."""

    query: str | None = None
    document_id: str | None = None
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: Extensions | None = None

    def id(self) -> str | None:
        """The id of the document, in either form. Raises BAD_INPUT when there are two."""
        plain = None if self.document_id is None else self.document_id.removeprefix(ID_PREFIX)
        persisted = self.extensions.persisted_query if self.extensions else None
        if persisted is None or plain in (None, persisted.sha256_hash):
            return plain if persisted is None else persisted.sha256_hash
        raise DomainError("`documentId` and `extensions.persistedQuery` name two documents.")


@dataclass(frozen=True, slots=True)
class Document:
    """What is run. `name` is a trusted document's."""

    text: str
    name: str | None = None


def document_of(connection: ASGIConnection[Any, Any, Any, Any], caller: Caller, asked: Asked) -> Document:
    """The document to be run for a caller. Raises BAD_INPUT, DOCUMENT_REQUIRED and DOCUMENT_UNKNOWN."""
    named = asked.id()
    if (asked.query or named is None) and not _may_write(connection, caller):
        raise DomainError("Name a document by its id, and send no text.", code=Code.DOCUMENT_REQUIRED)
    if named is not None and not asked.query:
        found = TRUSTED.get(named)
        if found is None:
            raise DomainError("There is no document with this id.", code=Code.DOCUMENT_UNKNOWN)
        return Document(found.body, found.name)
    if asked.query is None:
        raise DomainError('Send a document, such as {"query": "{ program { id } }"}, or the id of one.')
    if named is not None and document_id(asked.query) != named:
        raise DomainError("The id is not the SHA-256 of the text.")
    return Document(asked.query)


def _may_write(connection: ASGIConnection[Any, Any, Any, Any], caller: Caller) -> bool:
    """Whether the caller may send texts: a partner, one of the platform's people, and whoever tries things out."""
    return caller.actor.door in (Door.PARTNER, Door.ADMIN) or caller.sandbox or process_of(connection).any_documents
