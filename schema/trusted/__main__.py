"""Writes the manifests from the documents' files: `python -m schema.trusted`, which `./dev.sh documents` runs."""

import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
from graphql import OperationDefinitionNode, parse

from schema.trusted import CLIENTS, FOLDER, MANIFEST, SUPERSEDED, Manifest, Trusted, document_id, kept


def written(folder: Path) -> list[Trusted]:
    """The documents that the files hold. A file holds one operation, which is called as the file is."""
    return [_read(path) for client in CLIENTS for path in sorted(folder.joinpath(client).glob("*.graphql"))]


def _read(path: Path) -> Trusted:
    text = path.read_text()
    operations = [one for one in parse(text).definitions if isinstance(one, OperationDefinitionNode)]
    if len(operations) != 1 or operations[0].name is None or operations[0].name.value != path.stem:
        raise ValueError(f"{path} must hold one operation, called {path.stem}.")
    return Trusted(document_id(text), path.stem, operations[0].operation.value, text, path.parent.name)


def superseded(now: Iterable[Trusted], before: Iterable[Trusted]) -> list[Trusted]:
    """What was a document before and is none now, each once: clients that have not been loaded anew still send it."""
    present = {one.id for one in now}
    past = {one.id: one for one in before if one.id not in present}
    return sorted(past.values(), key=lambda one: (one.client_name, one.name, one.id))


def main() -> None:
    """Write both manifests."""
    now = written(FOLDER)
    past = superseded(now, [*kept(SUPERSEDED), *kept(MANIFEST)])
    for path, documents in ((SUPERSEDED, past), (MANIFEST, now)):
        path.write_bytes(msgspec.json.format(msgspec.json.encode(Manifest(documents)), indent=2) + b"\n")
    sys.stdout.write(f"{len(now)} documents, and {len(past)} that they have superseded.\n")


if __name__ == "__main__":
    main()
