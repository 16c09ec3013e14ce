"""Texts in several languages."""

from __future__ import annotations

import strawberry


@strawberry.type(description="A text in one language.")
class LocalisedText:
    """A text and its locale."""

    locale: str = strawberry.field(description="The locale, such as en or pt-BR.")
    text: str = strawberry.field(description="The text.")


def localised(texts: dict[str, str]) -> list[LocalisedText]:
    """A text in every language that it has."""
    return [LocalisedText(locale=locale, text=text) for locale, text in texts.items()]
