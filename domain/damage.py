"""What is sealed and does not open: somebody or something has changed it, or moved it, or has changed its key."""

from typing import Any
from uuid import UUID

from domain.errors import Code, DomainError
from domain.log import log


class Damaged(DomainError):
    """A sealed value does not open. The caller learns that, and nothing of what is there; the operators learn where."""

    code = Code.DATA_DAMAGED

    def __init__(self) -> None:
        super().__init__("What is kept here does not open. The operators of the platform have been told.")


def damaged(merchant_id: UUID, column: str, row: Any, why: Exception) -> Damaged:
    """Tell the operators of a value that does not open, such as one of `customers.profile`, and return the refusal to raise.

    The line in the log says where the value lies and nothing of what is in it. `./dev.sh verify` finds it again.
    """
    table, _, name = column.partition(".")
    log.error("seal.damaged", merchant_id=str(merchant_id), table=table, column=name, row=str(row), why=type(why).__name__)
    return Damaged()
