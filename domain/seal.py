"""Personal data at rest: sealed with a key of the merchant's, findable only by exact word.

A sealed value is `1 | nonce (12 bytes) | AES-256-GCM ciphertext and tag`. Its associated data names merchant, table and row,
so that a value moved to another row does not open. A search term is the first 16 bytes of an HMAC-SHA256 with another
key of the merchant's: equal words give equal terms inside one merchant and nowhere else.
"""

import hmac
import os
from functools import lru_cache
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.settings import settings

VERSION = b"\x01"
NONCE_BYTES = 12
TERM_BYTES = 16


def seal(merchant_id: UUID, table: str, row: str, plain: bytes) -> bytes:
    """Seal `plain` for one row of one table of one merchant."""
    nonce = os.urandom(NONCE_BYTES)
    cipher = AESGCM(_key(merchant_id, "seal"))
    return VERSION + nonce + cipher.encrypt(nonce, plain, _associated(merchant_id, table, row))


def unseal(merchant_id: UUID, table: str, row: str, sealed: bytes) -> bytes:
    """Open what `seal` made for the same row. Raises cryptography's InvalidTag when it was changed or moved."""
    assert sealed[:1] == VERSION, "a sealed value of an unknown version"
    nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    return AESGCM(_key(merchant_id, "seal")).decrypt(nonce, ciphertext, _associated(merchant_id, table, row))


def search_term(merchant_id: UUID, word: str) -> bytes:
    """The keyed hash under which a word can be found; letter case and surrounding space do not matter."""
    return hmac.digest(_key(merchant_id, "search"), word.strip().casefold().encode(), "sha256")[:TERM_BYTES]


def _associated(merchant_id: UUID, table: str, row: str) -> bytes:
    return f"{merchant_id}|{table}|{row}".encode()


@lru_cache(maxsize=4096)
def _key(merchant_id: UUID, purpose: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=merchant_id.bytes, info=f"loyalnest/{purpose}/1".encode())
    return derivation.derive(settings().master_key_bytes)
