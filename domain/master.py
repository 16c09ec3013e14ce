"""The master key, behind the three functions that a key management service would stand in for: wrap, unwrap and mac.

Nothing else reads the key. A wrapped value is `2 | length of the key's id | id | nonce (12 bytes) | AES-256-GCM ciphertext`; its
associated data is the context, so that a value wrapped for one place does not open in another. During a rotation the previous
key is in the settings beside the new one: what it wrapped still opens, and everything new is wrapped by the new one.
"""

import hmac
import os
from functools import cache
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.settings import settings

VERSION = b"\x02"
NONCE_BYTES = 12
TERM_BYTES = 16


class UnknownMasterKey(Exception):
    """A value was wrapped by a key that is neither the present one nor the previous one."""


UNOPENED = (InvalidTag, UnknownMasterKey)
"""What `unwrap` raises for a value that does not open. Anything else is a fault on the way to the key, and passes."""


async def wrap(plain: bytes, context: str) -> bytes:
    """Seal a key, or another short secret, under the present master key for one place."""
    key_id = current_id()
    nonce = os.urandom(NONCE_BYTES)
    head = VERSION + bytes([len(key_id)]) + key_id.encode()
    return head + nonce + AESGCM(_derived(key_id, "wrap")).encrypt(nonce, plain, _associated(key_id, context))


async def unwrap(wrapped: bytes, context: str) -> bytes:
    """Open what `wrap` made for the same place. Raises UnknownMasterKey, or InvalidTag when it was changed or moved."""
    key_id, rest = id_of(wrapped), wrapped[2 + len(id_of(wrapped)) :]
    nonce, ciphertext = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
    if wrapped[:1] != VERSION or len(nonce) < NONCE_BYTES:
        raise InvalidTag
    return AESGCM(_derived(key_id, "wrap")).decrypt(nonce, ciphertext, _associated(key_id, context))


async def macs(data: str, context: str) -> list[bytes]:
    """Keyed hashes of a text under every master key: first the one to keep it under, then those to find it under."""
    keys = (_derived(key_id, f"mac/{context}") for key_id in _keys())
    return [hmac.digest(key, data.encode(), "sha256")[:TERM_BYTES] for key in keys]


def current_id() -> str:
    """The id of the present master key: it tells one key from another, and nothing of either."""
    return next(iter(_keys()))


def id_of(wrapped: bytes) -> str:
    """The id of the master key that wrapped a value."""
    return wrapped[2 : 2 + wrapped[1]].decode("latin-1") if len(wrapped) > 1 else ""


def _keys() -> dict[str, bytes]:
    given = (settings().master_key_bytes, settings().master_key_previous_bytes)
    return {sha256(b"loyalnest/master/" + key).hexdigest()[:12]: key for key in given if key is not None}


def _derived(key_id: str, purpose: str) -> bytes:
    key = _keys().get(key_id)
    if key is None:
        raise UnknownMasterKey(f"no master key {key_id} is configured")
    return _derive(key, purpose)


@cache
def _derive(key: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"loyalnest/{purpose}/2".encode()).derive(key)


def _associated(key_id: str, context: str) -> bytes:
    return f"{key_id}|{context}".encode()
