"""An account at any instant: what it was, with its proof, and what it will be when all that is known has come."""

from domain.balances.queries import Balance, Proof, as_of
from domain.balances.rules import Change, ChangeKind

__all__ = ["Balance", "Change", "ChangeKind", "Proof", "as_of"]
