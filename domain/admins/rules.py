"""Passwords, codes, addresses and networks: what is good, and how it is kept."""

import hmac
import ipaddress
import os
import re
import secrets
from base64 import b32encode
from datetime import datetime
from urllib.parse import quote

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from domain.errors import Code, DomainError

PASSWORD_LENGTH_MIN = 12
PASSWORD_LENGTH_MAX = 200
STEP_S = 30
CODE_DIGITS = 6
FAILURES_MAX = 5
"""After so many failures in a row each further one locks the account, twice as long every time, up to an hour."""
LOCK_S = 60
LOCK_MAX_S = 3_600
NETWORKS_MAX = 50
NAME_LENGTH_MAX = 100

# OWASP's recommendation of 2024: 19 MiB, two passes, one lane. About 30 ms of one core.
_MEMORY_KIB, _PASSES, _LANES = 19 * 1024, 2, 1
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,190}\.[^@\s\x00-\x1f.]{2,63}")


class PasswordWeak(DomainError):
    """The password would be guessed."""

    code = Code.PASSWORD_WEAK


def check_email(email: str) -> str:
    """An e-mail address as it is kept: without surrounding space, in small letters. Raises a BAD_INPUT refusal."""
    kept = email.strip().casefold()
    if not _EMAIL.fullmatch(kept):
        raise DomainError("This is no e-mail address.", field=("email",))
    return kept


def check_name(name: str) -> str:
    """A person's name for the others. Raises BLANK and TOO_LONG refusals."""
    kept = name.strip()
    if not kept:
        raise DomainError("Say what the person is called.", field=("name",), code=Code.BLANK)
    if len(kept) > NAME_LENGTH_MAX:
        raise DomainError(f"A name has at most {NAME_LENGTH_MAX} characters.", field=("name",), code=Code.TOO_LONG)
    return kept


def check_networks(networks: list[str]) -> list[str]:
    """Networks in their usual form. Raises a BAD_INPUT refusal that names the first that is none."""
    if len(networks) > NETWORKS_MAX:
        raise DomainError(f"An account has at most {NETWORKS_MAX} networks.", field=("networks",), code=Code.TOO_LONG)
    kept: list[str] = []
    for index, network in enumerate(networks):
        try:
            kept.append(str(ipaddress.ip_network(network, strict=False)))
        except ValueError as error:
            raise DomainError("A network is written such as 203.0.113.0/24.", field=("networks", str(index))) from error
    return kept


def inside(address: str, networks: list[str]) -> bool:
    """Whether the address lies in one of the networks; in none of them only where some are named."""
    if not networks:
        return True
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(network) for network in networks)


def check_password(password: str, email: str | None) -> None:
    """Raises PasswordWeak. Length is what counts; no classes of characters are asked for."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise PasswordWeak(f"A password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters.", field=("password",))
    plain = password.casefold()
    obvious = ["password", "loyalnest", *([] if email is None else [email.partition("@")[0]])]
    if len(set(plain)) < 5 or any(word in plain for word in obvious):
        raise PasswordWeak("Everybody would try this password first.", field=("password",))


def hash_password(password: str) -> str:
    """The password as it is kept: argon2id with its parameters and salt. About 30 ms of work: call it in a thread."""
    return _argon(os.urandom(16)).derive_phc_encoded(password.encode())


def is_password(password: str, hashed: str) -> bool:
    """Whether the password is the one hashed. About 30 ms of work: call it in a thread."""
    try:
        Argon2id.verify_phc_encoded(password.encode(), hashed)
    except InvalidKey:
        return False
    return True


NOBODYS_HASH = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""Compared where there is no such account, so that the time does not tell which addresses have one."""


def _argon(salt: bytes) -> Argon2id:
    return Argon2id(salt=salt, length=32, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB)


def new_password() -> str:
    """A password for the first sign-in."""
    return secrets.token_urlsafe(18)


def new_totp_secret() -> bytes:
    """The secret of an authenticator: 160 bits, as RFC 4226 recommends."""
    return os.urandom(20)


def totp_address(secret: bytes, email: str) -> str:
    """What an authenticator reads, as a link or a QR code."""
    key = b32encode(secret).decode()
    return f"otpauth://totp/LoyalNest:{quote(email)}?secret={key}&issuer=LoyalNest&algorithm=SHA1&digits=6&period=30"


def code_at(secret: bytes, step: int) -> str:
    """The code of a time step."""
    return _totp(secret).generate(step * STEP_S).decode()


def step_of(secret: bytes, code: str, at: datetime, used: int) -> int | None:
    """The time step whose code this is: the present one or a neighbour, and later than the last one used."""
    present, _ = divmod(int(at.timestamp()), STEP_S)
    given = code.replace(" ", "").encode()
    for step in (present, present - 1, present + 1):
        if step > used and hmac.compare_digest(code_at(secret, step).encode(), given):
            return step
    return None


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, CODE_DIGITS, SHA1(), STEP_S)  # noqa: S303 -- what every authenticator expects; HMAC is not broken by collisions


def lock_seconds(failures: int) -> int:
    """How long an account is locked after so many failures in a row; zero while they are few."""
    if failures < FAILURES_MAX:
        return 0
    return min(LOCK_S * 2 ** min(failures - FAILURES_MAX, 10), LOCK_MAX_S)
