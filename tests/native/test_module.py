"""The Python face of the core: types, errors, threads, and the sentence that a missing build gives."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import loyalty_native
import pytest
from loyalty_native import (
    LoyaltyError,
    Order,
    Program,
    allocate,
    currency_exponent,
    money_format,
    money_parse,
    share_floor,
    trace_points,
)

PROGRAM = '{"rules":[{"id":"purchase","kind":"per_currency_unit","rate":{"points":10,"per":1}}]}'
ORDER = '{"currency":"USD","customer":{},"lines":[{"id":"1","unit_price":"100.00"}]}'
NATIVE = Path(__file__).parents[2] / "native"


def test_documents_come_as_bytes_or_text() -> None:
    for encoded in (str, str.encode):
        program, order = Program(encoded(PROGRAM), 7), Order.from_json(encoded(ORDER))
        assert program.version == 7
        assert program.evaluate(order).points == 1000


@pytest.mark.parametrize("document", [None, 1, bytearray(b"{}"), {}])
def test_other_types_are_no_documents(document: object) -> None:
    with pytest.raises(TypeError):
        Order.from_json(document)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError):
        Program(document, 1)  # pyright: ignore[reportArgumentType]


def test_lone_surrogates_are_no_json() -> None:
    with pytest.raises(LoyaltyError) as refusal:
        Order.from_json('{"\ud800": 1}')
    assert refusal.value.code == "JSON_INVALID"


def test_errors_are_value_errors_with_code_path_and_sentence() -> None:
    with pytest.raises(ValueError, match="must be at least 1") as refusal:
        Program(PROGRAM.replace('"per":1', '"per":0'), 1)
    error = refusal.value
    assert isinstance(error, LoyaltyError)
    assert (error.code, error.path) == ("VALUE_ZERO", "rules[0].rate.per")
    assert str(error) == "rules[0].rate.per: must be at least 1"


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        ("1.00", "usd", "CURRENCY_UNKNOWN"),
        ("", "USD", "AMOUNT_INVALID"),
        ("1e2", "USD", "AMOUNT_INVALID"),
        ("١٢", "USD", "AMOUNT_INVALID"),
        ("1.001", "USD", "AMOUNT_PRECISION"),
        ("0.5", "JPY", "AMOUNT_PRECISION"),
        ("92233720368547758.08", "USD", "OVERFLOW"),
    ],
)
def test_amounts_are_refused(amount: str, currency: str, code: str) -> None:
    with pytest.raises(LoyaltyError) as refusal:
        money_parse(amount, currency)
    assert refusal.value.code == code


def test_money() -> None:
    assert money_parse("199.00", "USD") == 19900
    assert money_parse("-0.05", "USD") == -5
    assert money_parse("1999.0", "JPY") == 1999
    assert money_format(-5, "USD") == "-0.05"
    assert money_format(1999, "KWD") == "1.999"
    assert [currency_exponent(code) for code in ("JPY", "USD", "KWD", "CLF")] == [0, 2, 3, 4]
    with pytest.raises(LoyaltyError):
        currency_exponent("XXX")
    with pytest.raises(LoyaltyError):
        money_format(1, "XXX")


def test_a_batch_names_the_order_that_cannot_be_evaluated() -> None:
    orders = [Order.from_json(ORDER), Order.from_json(ORDER.replace("100.00", "90000000000000000.00"))]
    program = Program(PROGRAM.replace('"points":10', '"points":1000000000'), 1)
    for run in (program.evaluate_batch, program.points_batch):
        with pytest.raises(LoyaltyError) as refusal:
            run(orders)
        assert (refusal.value.code, refusal.value.path) == ("OVERFLOW", "orders[1]")
    assert program.points_batch(()) == []


def test_a_changed_trace_is_refused() -> None:
    trace = Program(PROGRAM, 1).evaluate(Order.from_json(ORDER)).trace()
    assert trace_points(trace) == 1000
    with pytest.raises(LoyaltyError) as refusal:
        trace_points(trace.replace(b'"points":1000', b'"points":1001'))
    assert refusal.value.code == "TRACE_INCONSISTENT"


def test_a_batch_lets_other_threads_run() -> None:
    program, orders = Program(PROGRAM, 1), [Order.from_json(ORDER)] * 1_000_000
    span: list[float] = []

    def evaluate() -> None:
        span.append(time.perf_counter())
        program.points_batch(orders)
        span.append(time.perf_counter())

    thread = threading.Thread(target=evaluate)
    seen: list[float] = []
    thread.start()
    while thread.is_alive():
        seen.append(time.perf_counter())
        time.sleep(0.001)
    thread.join()
    # Reading the list and making the result need the interpreter; the evaluation between them does not.
    quarter = (span[1] - span[0]) / 4
    assert sum(span[0] + quarter < at < span[1] - quarter for at in seen) > 10


def test_a_missing_build_says_what_to_do(tmp_path: Path) -> None:
    package = tmp_path / "loyalty_native"
    package.mkdir()
    source = NATIVE / "python" / "python" / "loyalty_native" / "__init__.py"
    (package / "__init__.py").write_text(source.read_text())
    run = subprocess.run(
        [sys.executable, "-c", "import loyalty_native"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "Run ./dev.sh up" in run.stderr


def test_the_stub_names_everything() -> None:
    stub = (NATIVE / "python" / "python" / "loyalty_native" / "_native.pyi").read_text()
    for name in loyalty_native.__all__:
        assert f"class {name}" in stub or f"def {name}" in stub


def test_a_total_is_split_without_losing_a_unit() -> None:
    assert allocate(10, [1, 1, 1]) == [4, 3, 3]
    assert allocate(0, [0, 0]) == [0, 0]
    with pytest.raises(LoyaltyError) as refusal:
        allocate(1, [0])
    assert refusal.value.code == "VALUE_ZERO"


def test_a_share_is_rounded_down() -> None:
    assert [share_floor(334, kept, 3) for kept in range(4)] == [0, 111, 222, 334]
    assert share_floor(2**53, 2**53, 2**53 + 1) == 2**53 - 1
    for part, whole, code in [(1, 0, "VALUE_ZERO"), (-1, 2, "VALUE_NEGATIVE"), (1, -2, "VALUE_NEGATIVE")]:
        with pytest.raises(LoyaltyError) as refusal:
            share_floor(10, part, whole)
        assert refusal.value.code == code
