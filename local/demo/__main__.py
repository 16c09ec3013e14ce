"""`python -m local.demo`: what ./dev.sh demo runs."""

import argparse
import sys

from local.demo import demo
from local.errors import LocalError

ORDERS = 24


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 100_000:
        raise argparse.ArgumentTypeError("between 1 and 100000")
    return count


def main() -> int:
    """Run the demo with the arguments of the command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="./dev.sh demo", description="Send a day of orders and watch balances move.")
    parser.add_argument("--orders", type=_count, default=ORDERS, metavar="N", help=f"how many orders (default {ORDERS})")
    parser.add_argument("--fast", action="store_true", help="without pauses")
    arguments = parser.parse_args()
    try:
        return demo(arguments.orders, fast=arguments.fast)
    except LocalError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. What was sent is booked all the same.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
