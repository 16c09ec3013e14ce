"""Documents: read once, and refused where they are too long."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from graphql import GraphQLError
from strawberry.extensions import MaxTokensLimiter, ParserCache, ValidationCache

TOKENS_MAX = 2_000
CACHED = 1_000


class Documents(ParserCache):
    """Strawberry's cache, which leaves a document that cannot be read to the parser behind it.

    The original raises where a subscription's error is not expected, and the client is told that all went well.
    """

    def on_parse(self) -> Iterator[None]:
        """Take the document from the cache, if it is one."""
        context = self.execution_context
        if context.query is not None:
            with suppress(GraphQLError):
                context.graphql_document = self.cached_parse_document(context.query, **context.parse_options)
        yield


LIMIT_TOKENS = partial(MaxTokensLimiter, max_token_count=TOKENS_MAX)
CACHE_DOCUMENTS = partial(Documents, maxsize=CACHED)
CACHE_VALIDATION = partial(ValidationCache, maxsize=CACHED)
"""Factories: each operation has extensions of its own, and the caches are the process's."""
