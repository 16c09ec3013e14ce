"""What the discount function costs at checkout: size, and instructions from 1 to 2,000 lines.

Run: .venv/bin/python -m benches.functions

Prints a table and draws docs/functions-growth.svg. Instructions are counted as Shopify counts them, guest and provider
together (local/shopify_stand_in/host.py), for a cart and a discount of eight offers with 25 conditions
(tests/functions/heavy.py), beside a function that only reads the same fields.
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

from loyalty_native import discount_query_variables

from local.shopify_stand_in.build import module_path
from local.shopify_stand_in.host import run
from local.shopify_stand_in.inputs import DELIVERY, LINES, function_input
from tests.functions import heavy

LENGTHS = (1, 50, 200, 500, 1000, 2000)
# Shopify's limit up to 200 lines; it grows with the lines above, up to tenfold.
LIMIT = 11_000_000
PLOT = Path(__file__).parents[1] / "docs" / "functions-growth.svg"


@dataclass(frozen=True)
class Point:
    """Instructions at one length of the cart, and the input's size as JSON."""

    lines: int
    function: int
    reading: int
    generated: int
    delivery: int
    input_bytes: int

    @property
    def limit(self) -> int:
        return round(LIMIT * min(10.0, max(1.0, self.lines * 0.005)))


def measure(lines: int) -> Point:
    case = heavy.case(lines)
    variables = json.loads(discount_query_variables(json.dumps(case["config"])))
    whole = function_input(LINES, case, variables)
    return Point(
        lines=lines,
        function=run("loyalty-discount", LINES, whole).instructions,
        reading=run("functions-reads", "read_interned", whole).instructions,
        generated=run("functions-reads", "read_generated", whole).instructions,
        delivery=run("loyalty-discount", DELIVERY, function_input(DELIVERY, case, variables)).instructions,
        input_bytes=len(json.dumps(whole, separators=(",", ":"))),
    )


def table(points: list[Point]) -> str:
    header = "| Lines | Function | Reading alone | Ratio | Reading, generated types | Delivery target | Limit | Of it |"
    rows = [
        f"| {point.lines:,} | {point.function:,} | {point.reading:,} | {point.function / point.reading:.2f} "
        f"| {point.generated:,} | {point.delivery:,} | {point.limit:,} | {point.function / point.limit:.0%} |"
        for point in points
    ]
    return "\n".join([header, "|" + "---:|" * 8, *rows])


def plot(points: list[Point]) -> str:
    """The growth as an SVG of two lines and the limit, both axes linear and from zero."""
    width, height, left, bottom, top = 720, 420, 90, 50, 30
    most_lines, most = points[-1].lines, points[-1].limit
    right = width - 30

    def place(lines: float, instructions: float) -> str:
        across = left + (right - left) * lines / most_lines
        up = height - bottom - (height - bottom - top) * instructions / most
        return f"{across:.1f},{up:.1f}"

    def curve(values: list[tuple[int, int]], colour: str, dashes: str = "") -> str:
        path = " ".join(place(*value) for value in values)
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'

    def words(lines: float, instructions: float, text: str, attributes: str) -> str:
        across, up = place(lines, instructions).split(",")
        return f'<text x="{across}" y="{up}" {attributes}>{text}</text>'

    grid = [
        f'<polyline points="{place(0, value)} {place(most_lines, value)}" stroke="#e4e4e4"/>'
        + words(0, value, f"{value // 1_000_000} M", 'text-anchor="end" dx="-8" dy="4"')
        for value in range(0, most + 1, 10_000_000)
    ]
    ticks = [words(lines, 0, f"{lines:,}", 'text-anchor="middle" dy="20"') for lines in range(0, most_lines + 1, 500)]
    last = points[-1]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
            "<title>Instructions of the discount function by lines of the cart</title>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            *grid,
            *ticks,
            words(most_lines / 2, 0, "lines of the cart", 'text-anchor="middle" dy="40"'),
            curve([(0, LIMIT), (200, LIMIT), (most_lines, most)], "#c0392b", "6 4"),
            curve([(point.lines, point.function) for point in points], "#1f5fbf"),
            curve([(point.lines, point.reading) for point in points], "#7f8c8d"),
            words(most_lines * 0.72, most * 0.72, "Shopify's limit", 'text-anchor="end" dx="-6" dy="-6" fill="#c0392b"'),
            words(most_lines, last.function, "discount function", 'text-anchor="end" dy="-12" fill="#1f5fbf"'),
            words(most_lines, last.reading, "reading the same fields", 'text-anchor="end" dy="24" fill="#5f6c6d"'),
            "</svg>\n",
        ]
    )


def main() -> None:
    module = module_path("loyalty-discount").read_bytes()
    print(f"loyalty-discount.wasm: {len(module):,} bytes ({len(gzip.compress(module)):,} compressed)\n")
    points = [measure(lines) for lines in LENGTHS]
    print(table(points))
    sizes = ", ".join(f"{point.input_bytes:,} at {point.lines:,}" for point in points)
    print(f"\nInput as JSON, bytes by lines: {sizes}")
    PLOT.write_text(plot(points))
    print(f"drew {PLOT.name}")


if __name__ == "__main__":
    main()
