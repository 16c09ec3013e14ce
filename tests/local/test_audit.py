"""The audit of packages: what was found, what is clean, and what looks clean because nobody could be asked."""

import json
from typing import Any

import pytest

from local import audit
from local.audit import CLEAN, FOUND, NOT_ASKED, NotAskedError, Verdict, code_of, of_python, of_rust

FLAW = {"id": "PYSEC-2026-1", "fix_versions": ["2.1"], "aliases": [], "description": "..."}


def python(*packages: dict[str, Any]) -> Verdict:
    return of_python(json.dumps({"dependencies": packages, "fixes": []}))


def package(name: str, *flaws: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": "2.0", "vulns": list(flaws)}


def rust(*flaws: dict[str, Any], warnings: dict[str, Any] | None = None) -> Verdict:
    return of_rust(json.dumps({"vulnerabilities": {"found": bool(flaws), "list": flaws}, "warnings": warnings or {}}))


def test_what_is_clean() -> None:
    assert python(package("a"), package("b")) == rust() == Verdict()
    assert code_of([python(package("a")), rust()]) == CLEAN


def test_what_was_found() -> None:
    unmended = FLAW | {"id": "PYSEC-2026-2", "fix_versions": []}
    verdict = python(package("a", FLAW, unmended), package("b"))
    assert verdict.findings == (
        "a 2.0: PYSEC-2026-1, mended in 2.1",
        "a 2.0: PYSEC-2026-2, mended in no version yet",
    )
    crate = {"package": {"name": "c", "version": "1.0.0"}}
    told = {"id": "RUSTSEC-2026-0001", "title": "Memory is read twice"}
    flawed = rust(crate | {"advisory": told}, warnings={"yanked": [crate | {"kind": "yanked", "advisory": None}]})
    assert flawed.findings == ("c 1.0.0: RUSTSEC-2026-0001, Memory is read twice", "c 1.0.0: yanked")
    assert code_of([verdict, rust()]) == code_of([Verdict(), flawed]) == code_of([Verdict(unasked="x"), flawed]) == FOUND


def test_what_nobody_could_be_asked_about_is_not_clean() -> None:
    """pip-audit says that it has found no vulnerability when it could ask about no package."""
    verdict = python({"name": "a", "skip_reason": "Dependency not found on PyPI"}, package("b"))
    assert verdict == Verdict(unasked="1 of 2 packages are not known to the advisory service: is it reachable?")
    assert code_of([verdict, rust()]) == NOT_ASKED
    assert python().unasked != ""


@pytest.mark.parametrize(
    ("program", "found"),
    [
        # Nothing was said, although it went well.
        ("true", 1),
        # Another code than that of a finding.
        ("exit 2", 1),
        ("echo '{}'; exit 1", 0),
        ("no-such-program", 1),
    ],
)
def test_a_program_that_fails_has_asked_nobody(program: str, found: int) -> None:
    with pytest.raises(NotAskedError, match="it failed"):
        audit._run(["sh", "-c", program], "it failed", found=found)
    with pytest.raises(NotAskedError, match="it failed"):
        audit._run(["/nowhere/at-all"], "it failed")
    assert audit._run(["sh", "-c", "echo '{}'; exit 1"], "it failed", found=1) == "{}\n"


def test_both_are_asked_and_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def away() -> Verdict:
        raise NotAskedError("the advisories are not reachable")

    monkeypatch.setattr(audit, "_python", lambda: python(package("a", FLAW)))
    monkeypatch.setattr(audit, "_rust", away)
    assert audit.audit() == FOUND
    said = capsys.readouterr().out
    assert "a 2.0: PYSEC-2026-1" in said
    assert "could not be asked" in said
    assert "the advisories are not reachable" in said
