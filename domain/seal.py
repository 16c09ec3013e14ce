"""Personal data and secrets at rest: sealed with a key of the merchant's, findable only by exact word.

A sealed value is `2 | key id (2 bytes) | nonce (12 bytes) | AES-256-GCM ciphertext and tag`. Its associated data names merchant,
column, row and key, so that a value moved anywhere else does not open. The first version, `1 | nonce | ciphertext`, was sealed by
the key that is number 1 today. A search term is the first 16 bytes of an HMAC-SHA256 with another key of the merchant's: equal
words give equal terms inside one merchant and nowhere else.
"""

import hmac
import os
from collections.abc import Iterable
from uuid import UUID

from cryptography.exceptions import InvalidTag

from domain import keyring
from domain.damage import damaged
from domain.keyring import MATCH, SEAL, SEARCH, KeyDamaged, KeyMissing

OLD_VERSION = b"\x01"
VERSION = b"\x02"
NONCE_BYTES = 12
TERM_BYTES = 16
FIRST_KEY = 1
SEALED_MIN = 1 + NONCE_BYTES + 16
"""What is shorter has no room for the tag."""
UNOPENED = (InvalidTag, KeyMissing)


def seal(merchant_id: UUID, column: str, row: str, plain: bytes) -> bytes:
    """Seal `plain` for one row of one column, such as `customers.profile`. Precondition: a connection to the merchant's rows.

    Raises KeyDamaged.
    """
    key_id, key = keyring.active(merchant_id, SEAL)
    nonce = os.urandom(NONCE_BYTES)
    ciphertext = keyring.cipher(key).encrypt(nonce, plain, _associated(merchant_id, column, row, key_id))
    return prefix(key_id) + nonce + ciphertext


def unseal(merchant_id: UUID, column: str, row: str, sealed: bytes) -> bytes:
    """Open what `seal` made for the same row and column.

    Raises Damaged when it was changed or moved, or its key is none of the merchant's, and tells the operators where it lies; when
    it is the key that does not open, KeyDamaged, of which they were told as it was read.
    """
    try:
        return _unsealed(merchant_id, column, row, sealed)
    except UNOPENED as error:
        raise damaged(merchant_id, column, row, error) from error


def opens(merchant_id: UUID, column: str, row: str, sealed: bytes) -> bool:
    """Whether a value opens; for who looks at all of them and tells of those that do not."""
    try:
        _unsealed(merchant_id, column, row, sealed)
    except (*UNOPENED, KeyDamaged):
        return False
    return True


def _unsealed(merchant_id: UUID, column: str, row: str, sealed: bytes) -> bytes:
    if len(sealed) < SEALED_MIN or sealed[:1] not in (OLD_VERSION, VERSION):
        raise InvalidTag
    if sealed[:1] == OLD_VERSION:
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        associated = f"{merchant_id}|{column.partition('.')[0]}|{row}".encode()
        return keyring.cipher(keyring.key(merchant_id, SEAL, FIRST_KEY)).decrypt(nonce, ciphertext, associated)
    key_id = int.from_bytes(sealed[1:3])
    nonce, ciphertext = sealed[3 : 3 + NONCE_BYTES], sealed[3 + NONCE_BYTES :]
    cipher = keyring.cipher(keyring.key(merchant_id, SEAL, key_id))
    return cipher.decrypt(nonce, ciphertext, _associated(merchant_id, column, row, key_id))


def prefix(key_id: int) -> bytes:
    """How every value begins that is sealed with this key."""
    return VERSION + key_id.to_bytes(2)


def search_term(merchant_id: UUID, word: str) -> bytes:
    """The keyed hash under which a word is kept; letter case and surrounding space do not matter."""
    return _term(keyring.active(merchant_id, SEARCH)[1], word)


def match_term(merchant_id: UUID, word: str) -> bytes:
    """The keyed hash by which guests' orders and reviews are known again. Its key never turns: it is all that is kept of them."""
    return _term(keyring.active(merchant_id, MATCH)[1], word)


def search_terms(merchant_id: UUID, words: Iterable[str]) -> tuple[list[bytes], list[bytes]]:
    """The terms under which rows with all these words are found: under the present key, and under the other one of a rotation.

    Without a rotation both are the same.
    """
    wanted = list(words)
    present = keyring.active(merchant_id, SEARCH)[1]
    other = keyring.other(merchant_id, SEARCH) or present
    return [_term(present, word) for word in wanted], [_term(other, word) for word in wanted]


def _term(key: bytes, word: str) -> bytes:
    return hmac.digest(key, word.strip().casefold().encode(), "sha256")[:TERM_BYTES]


def _associated(merchant_id: UUID, column: str, row: str, key_id: int) -> bytes:
    return f"{merchant_id}|{column}|{row}|{key_id}".encode()
