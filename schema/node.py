"""What has a global id."""

import strawberry


@strawberry.interface(description="A thing with a global id, which `node` finds again.")
class Node:
    """A thing with a global id."""

    id: strawberry.ID = strawberry.field(description="The global id, such as gid://loyalnest/Customer/0197…")
