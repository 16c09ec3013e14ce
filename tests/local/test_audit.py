"""The audit of packages: what was found, what is clean, and what looks clean because nobody could be asked.

What pip-audit 2.10.1, cargo-audit 0.22.2 and npm 11 say here is what they said, shortened only in descriptions.
"""

import json
import subprocess
from typing import Any

import msgspec
import pytest

from local import audit
from local.audit import CLEAN, CONTROL, FOUND, NOT_ASKED, NotAskedError, Verdict, code_of, of_javascript, of_python, of_rust
from local.prepare import ROOT

FLAW = {"id": "PYSEC-2026-179", "fix_versions": ["2.13.0"], "aliases": ["CVE-2026-48526"], "description": "..."}
UNMENDED = {"id": "PYSEC-2026-9999", "fix_versions": [], "aliases": [], "description": "..."}
UNKNOWN = {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited: b (1.0)"}


def package(name: str, *flaws: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": "2.12.0", "vulns": list(flaws)}


def python(*packages: dict[str, Any], asked: tuple[str, ...] = ("a", "b"), control: dict[str, Any] | None = None) -> Verdict:
    answered = [*packages, package("django", FLAW) if control is None else control]
    return of_python(json.dumps({"dependencies": answered, "fixes": []}), asked=asked)


def test_what_pip_audit_finds() -> None:
    assert python(package("a"), package("b")) == Verdict()
    found = python(package("a", FLAW, UNMENDED), package("b"))
    assert found == Verdict(("a 2.12.0: PYSEC-2026-179, mended in 2.13.0", "a 2.12.0: PYSEC-2026-9999, mended in no version yet"))


@pytest.mark.parametrize("answered", [[UNKNOWN], []], ids=["skipped", "passed over in silence"])
def test_a_package_that_pip_audit_does_not_know_is_not_clean(answered: list[dict[str, Any]]) -> None:
    """It exits with 0 then, and says that no known vulnerabilities were found."""
    why = "1 of 2 packages are not known to the advisory service: is it reachable?"
    assert python(package("a"), *answered) == Verdict(unasked=why)
    assert python(package("a", FLAW), *answered) == Verdict(("a 2.12.0: PYSEC-2026-179, mended in 2.13.0",), why)
    assert python(asked=()).unasked != ""


@pytest.mark.parametrize("control", [package("django"), {"name": "django", "skip_reason": "Dependency not found on PyPI"}])
def test_who_finds_nothing_where_something_is_has_no_advisories(control: dict[str, Any]) -> None:
    """A mirror of PyPI may answer for a package without a word of advisories, and pip-audit takes that for none."""
    verdict = python(package("a"), package("b"), control=control)
    assert verdict == Verdict(unasked=f"Who answered finds nothing in {CONTROL} either, and so has no advisories: is that PyPI?")


def rust(*flaws: dict[str, Any], count: int = 16, complaints: str = "", **warnings: list[dict[str, Any]]) -> Verdict:
    return of_rust(
        json.dumps(
            {
                "database": {"advisory-count": count, "last-commit": "4f1a659", "last-updated": "2026-11-22T00:14:57+00:00"},
                "lockfile": {"dependency-count": 75},
                "settings": {"target_arch": [], "target_os": [], "severity": None, "ignore": []},
                "vulnerabilities": {"found": bool(flaws), "count": len(flaws), "list": flaws},
                "warnings": warnings,
            }
        ),
        complaints=complaints,
    )


def test_what_cargo_audit_finds() -> None:
    told = {"id": "RUSTSEC-2026-0001", "package": "c", "title": "Memory is read twice", "date": "2026-01-01"}
    crate: dict[str, Any] = {"package": {"name": "c", "version": "1.0.0", "checksum": "0"}}
    assert rust() == Verdict()
    assert rust(crate | {"advisory": told}, yanked=[crate | {"kind": "yanked", "advisory": None}]) == Verdict(
        ("c 1.0.0: RUSTSEC-2026-0001, Memory is read twice", "c 1.0.0: yanked")
    )
    assert rust(count=0) == Verdict(unasked="The advisory database is empty.")


def test_a_crate_that_cargo_audit_does_not_find_in_the_index_may_be_yanked() -> None:
    """It exits with 0 then, and its report names no crate."""
    complaint = "error: couldn't check if the package is yanked: not found: No such crate in crates.io index: {}\n"
    verdict = rust(complaints=complaint.format("url") + complaint.format("futures-util"))
    assert verdict == Verdict(unasked="Whether 2 crates were yanked could not be asked: is crates.io reachable?")


def test_what_npm_finds() -> None:
    preact = {
        "source": 1112006,
        "name": "preact",
        "title": "Preact has JSON VNode Injection issue",
        "range": ">=10.28.0 <10.28.2",
    }
    flaws = {
        "preact": {
            "name": "preact",
            "via": [preact | {"url": "https://github.com/advisories/GHSA-36hm-qxxp-pg3m"}],
            "range": "10.28.0",
        },
        "a-form": {"name": "a-form", "via": ["preact"], "range": "*"},
    }
    assert of_javascript(json.dumps({"auditReportVersion": 2, "vulnerabilities": flaws, "metadata": {}})) == Verdict(
        ("preact >=10.28.0 <10.28.2: GHSA-36hm-qxxp-pg3m, Preact has JSON VNode Injection issue",)
    )
    assert of_javascript(json.dumps({"auditReportVersion": 2, "vulnerabilities": {}, "metadata": {}})) == Verdict()


def test_npm_exits_with_the_code_of_a_finding_when_it_reaches_nobody() -> None:
    why = "405 Method Not Allowed - POST /-/npm/v1/security/advisories/bulk"
    said = {"message": why, "method": "POST", "statusCode": 405, "body": "", "error": {"summary": "", "detail": ""}}
    assert of_javascript(json.dumps(said)) == Verdict(unasked=why)
    assert of_javascript('{"error": {"summary": "loading from incorrect packument", "detail": ""}}').unasked != ""


@pytest.mark.parametrize("said", ["", "{}", "[]", "no JSON", '{"dependencies": {}, "vulnerabilities": []}'])
def test_an_answer_that_cannot_be_read_is_no_answer(said: str) -> None:
    for asked in (lambda: of_python(said, asked=("a",)), lambda: of_rust(said)):
        with pytest.raises(msgspec.DecodeError):
            asked()
        assert audit._verdict(asked).unasked.startswith("What was answered cannot be read: ")


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
    assert audit._run(["sh", "-c", "echo '{}'; exit 1"], "it failed", found=1).stdout == "{}\n"


def test_no_lock_file_is_forgotten() -> None:
    """Of those that are kept in Git, or are about to be."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.lock", "*package-lock.json"]
    locks = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert sorted(locks) == sorted(["uv.lock", *audit.CARGO_LOCKS, *(f"{each}/package-lock.json" for each in audit.NPM_PROJECTS)])


def test_every_package_of_the_lock_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of other machines too, which uv marks and pip-audit would leave out."""
    run, commands = audit._run, []

    def pip_audit_is_away(command: list[str], failed: str, *, found: int = 0) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if "pip-audit" not in command:
            return run(command, failed, found=found)
        raise NotAskedError(failed)

    monkeypatch.setattr(audit, "_run", pip_audit_is_away)
    with pytest.raises(NotAskedError, match="pip-audit could not ask"):
        audit._python()
    given = (ROOT / commands[-1][commands[-1].index("--requirement") + 1]).read_text().splitlines()
    locked = msgspec.toml.decode((ROOT / "uv.lock").read_text())["package"]
    assert sorted(given) == sorted(
        [CONTROL, *(f"{one['name']}=={one['version']}" for one in locked if one["name"] != "loyalnest")]
    )


def test_npm_is_the_environments_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit.shutil, "which", lambda *_, **__: None)
    assert audit._run([*audit._npm(), "--version"], "npm could not ask").stdout.startswith("11.")


def test_all_are_asked_and_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def away() -> Verdict:
        raise NotAskedError("the advisories are not reachable")

    monkeypatch.setattr(audit, "_python", lambda: python(package("a", FLAW), package("b")))
    monkeypatch.setattr(audit, "_rust", away)
    monkeypatch.setattr(audit, "_javascript", Verdict)
    assert audit.audit() == FOUND
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert said == [
        "Python     found",
        "a 2.12.0: PYSEC-2026-179, mended in 2.13.0",
        "Rust       could not be asked",
        "the advisories are not reachable",
        "JavaScript clean",
    ]


def test_the_exit_code_is_the_worst_of_all() -> None:
    clean, found, unasked = Verdict(), Verdict(("a flaw",)), Verdict(unasked="why")
    assert code_of([clean, clean]) == CLEAN
    assert code_of([clean, unasked]) == NOT_ASKED
    assert code_of([unasked, found]) == code_of([Verdict(("a flaw",), "why"), clean]) == FOUND


def test_what_stands_in_two_lock_files_is_told_once() -> None:
    both = [Verdict(("one", "two"), "why"), Verdict(("two", "three"), "why")]
    assert audit._together(both) == Verdict(("one", "two", "three"), "why")
