"""Runs a built function as Shopify does: the guest and Shopify's own provider in one store, instructions counted in both.

At Shopify a trampoline rewrites the guest so that its imports call the provider and copy strings between the two
memories. Here two small modules, gate.wat and copier.wat, do the same without changing the guest.
"""

import functools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import wasmtime

from local.shopify_stand_in.build import module_path

IMPORTS = "shopify_function_v2"
HERE = Path(__file__).parent
# More than any run may use, so that a run over the limit is measured and reported instead of stopped.
FUEL = 10**12


@dataclass(frozen=True)
class Run:
    """What one run of a function left behind.

    `instructions` counts the instantiation of the guest and the call, guest and provider together, as Shopify's runner
    does; `memory_bytes` is the guest's linear memory at the end, `input_bytes` and `output_bytes` the MessagePack sizes.
    """

    output: Any
    log: str
    instructions: int
    memory_bytes: int
    input_bytes: int
    output_bytes: int


@functools.cache
def engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.consume_fuel = True
    return wasmtime.Engine(config)


@functools.cache
def compiled(path: Path) -> wasmtime.Module:
    return wasmtime.Module.from_file(engine(), str(path))


def run(name: str, export: str, function_input: Any) -> Run:
    """Runs the function module `name` once; raises wasmtime.Trap when the guest traps."""
    store = wasmtime.Store(engine())
    store.set_fuel(FUEL)
    linker = wasmtime.Linker(engine())
    provider = wasmtime.Instance(store, compiled(module_path("functions_provider")), [])
    linker.define_instance(store, "provider", provider)
    exports = provider.exports(store)
    memory = exports["memory"]
    packed = msgpack.packb(function_input)
    memory.write(store, packed, exports["initialize"](store, len(packed)))

    gate = linker.instantiate(store, compiled(HERE / "gate.wat"))
    linker.define_instance(store, "gate", gate)
    linker.define_instance(store, IMPORTS, gate)
    for import_name in imports_of(name) - set(gate.exports(store)):
        linker.define(store, IMPORTS, import_name, exports[f"_{import_name}"])
    before = store.get_fuel()
    guest = linker.instantiate(store, compiled(module_path(name)))
    instantiation = before - store.get_fuel()
    linker.define_instance(store, "guest", guest)
    linker.instantiate(store, compiled(HERE / "copier.wat"))
    before = store.get_fuel()
    guest.exports(store)[export](store)
    instructions = instantiation + before - store.get_fuel()

    results = struct.unpack("<6I", read(store, memory, exports["finalize"](store), 24))
    output = read(store, memory, results[0], results[1])
    log = read(store, memory, results[2], results[3]) + read(store, memory, results[4], results[5])
    return Run(
        output=msgpack.unpackb(output) if output else None,
        log=log.decode(errors="replace"),
        instructions=instructions,
        memory_bytes=guest.exports(store)["memory"].data_len(store),
        input_bytes=len(packed),
        output_bytes=len(output),
    )


@functools.cache
def imports_of(name: str) -> frozenset[str]:
    """What the guest imports of Shopify; raises AssertionError when it imports anything else."""
    imports = compiled(module_path(name)).imports
    assert {imported.module for imported in imports} == {IMPORTS}
    return frozenset(str(imported.name) for imported in imports)


def read(store: wasmtime.Store, memory: wasmtime.Memory, address: int, length: int) -> bytes:
    return bytes(memory.read(store, address, address + length))


def answers(export: str, cases: list[str]) -> list[str]:
    """The answers of the parity guest to many cases in one call; raises wasmtime.Trap when it traps."""
    text = "\n".join(cases).encode()
    store = wasmtime.Store(engine())
    store.set_fuel(FUEL)
    guest = wasmtime.Instance(store, compiled(module_path("functions_parity")), []).exports(store)
    address = guest["allocate"](store, len(text))
    guest["memory"].write(store, text, address)
    where = guest[export](store, address, len(text)) & 0xFFFF_FFFF_FFFF_FFFF
    lines = read(store, guest["memory"], where >> 32, where & 0xFFFF_FFFF).decode().split("\n")
    assert len(lines) == len(cases)
    return lines
