"""What the doctor finds: one line each, with the mend when there is something to mend."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """`warn` is worth knowing and stops nothing; `fail` must be mended before LoyalNest can run."""

    subject: str
    verdict: Literal["ok", "warn", "fail"]
    detail: str
    mend: str = ""


def ok(subject: str, detail: str) -> Finding:
    return Finding(subject, "ok", detail)


def warn(subject: str, detail: str, mend: str) -> Finding:
    return Finding(subject, "warn", detail, mend)


def fail(subject: str, detail: str, mend: str) -> Finding:
    return Finding(subject, "fail", detail, mend)
