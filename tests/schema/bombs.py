"""Documents that are small to send and dear to run, and what refuses each."""

from schema.documents import CHARACTERS_MAX


def doubling(levels: int) -> str:
    """Each fragment spreads the next one twice: 2 ** levels paths through a page of text."""
    chain = [f"fragment F{level} on Query {{ ...F{level + 1} ...F{level + 1} }}" for level in range(levels)]
    return " ".join(["{ ...F0 }", *chain, f"fragment F{levels} on Query {{ __typename }}"])


COMPLEX = "COST_EXCEEDED"
UNREADABLE = "BAD_INPUT"

BOMBS: dict[str, tuple[str, str]] = {
    "much space": ("{ __typename" + " " * 200_000 + "}", COMPLEX),
    "a comment": ("{ __typename } #" + "x" * CHARACTERS_MAX, COMPLEX),
    "aliases": ("{ " + " ".join(f"a{number}: __typename" for number in range(240)) + " }", COMPLEX),
    "5,000 aliases": ("{ " + " ".join(f"a{number}:b" for number in range(2_000)) + " }", UNREADABLE),
    "one field many times": ("{ " + "program { id } " * 225 + " }", COMPLEX),
    "one leaf many times": ("{ program { " + "id " * 450 + "} }", COMPLEX),
    "arguments that conflict": ("{ " + " ".join(f'node(id: "{number}") {{ id }}' for number in range(90)) + " }", COMPLEX),
    "overlapping sub-selections": ("{ " + "program { earning } program { id version } " * 80 + " }", COMPLEX),
    "inline fragments": ("{ " + "... { program { id } } " * 110 + " }", COMPLEX),
    "depth 600": ("{ a" * 600 + " }" * 600, UNREADABLE),
    "depth 3,000": ("{ a" * 3_000 + " }" * 3_000, UNREADABLE),
    "depth 20": ("{ a: __schema { queryType { fields " + "{ type { fields " * 8 + "{ name }" + " } }" * 8 + " } } }", COMPLEX),
    "doubling 40": (doubling(40), COMPLEX),
    "doubling 60": (doubling(60), COMPLEX),
    "introspection": (
        " ".join(
            [
                "{ __schema { types { ...F0 } } }",
                *(f"fragment F{n} on __Type {{ a: ofType {{ ...F{n + 1} }} b: ofType {{ ...F{n + 1} }} }}" for n in range(12)),
                "fragment F12 on __Type { name }",
            ]
        ),
        COMPLEX,
    ),
    "directives": ("{ __typename " + "@a " * 400 + "}", COMPLEX),
    "unknown fields": ("{ " + " ".join(f"f{number}" for number in range(450)) + " }", UNREADABLE),
    "lists in lists": ("{ node(id: " + "[" * 900 + "]" * 900 + ") { id } }", UNREADABLE),
    "variables": ("query (" + " ".join(f"$v{number}: ID" for number in range(230)) + ") { __typename }", UNREADABLE),
    "arguments": ("{ program(" + "version: 1 " * 240 + ") { id } }", COMPLEX),
    "operations": (" ".join(f"query Q{number} {{ __typename }}" for number in range(80)), COMPLEX),
    "fragments in a ring": ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", UNREADABLE),
    "a page of pages": (
        "{ customers(first: 100) { nodes { pointsTransactions(first: 100) { nodes { id } } } } }",
        COMPLEX,
    ),
}
